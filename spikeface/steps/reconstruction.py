"""Images and video frames to a reconstruction network, whose encoders are kept for the transfer.

>>> reconstruct(RunFolder.create(Path("runs/gan"), to_toml(config)), config)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from conversion.images import WindowImages
from conversion.reconstruction import (
    ImagePairs,
    ReconstructionMetrics,
    encoder_path,
    mean_face_quality,
    sample_sheet,
    train_reconstruction,
)
from snn.events.datasets import file_digest
from spikeface.config import ReconstructionRunConfig
from spikeface.progress import Advance, progress_bar
from spikeface.runs import RunFolder
from spikeface.steps.images import ImageData, open_images

PARTS = ("train", "validation")  # nobody who is tested later is seen here
SAMPLES = 8  # columns of the sheet of examples
BEST_PSNR_DB = 100.0  # stands for infinity, two equal images; rounding to 8 bits gives 59


def reconstruct(
    run: RunFolder, config: ReconstructionRunConfig, data: ImageData | None = None
) -> None:
    """Train to the last epoch, keep encoders, compare with the mean face, write the report.

    Parameters
    ----------
    run : RunFolder
    config : ReconstructionRunConfig
    data : ImageData, optional
        Images with video frames that are open already.
    """
    data = data or open_images(config, frames=True, parts=PARTS)
    training, validation = (_pairs(data.parts[part]) for part in PARTS)
    started = time.perf_counter()
    with run.step("train"):
        run.encoders.mkdir(exist_ok=True)
        with _following(run, config, len(training)) as (on_epoch, advance):
            generator, history = train_reconstruction(
                training,
                validation,
                config.reconstruction,
                size=config.images.size,
                checkpoint=run.checkpoint,
                encoders=run.encoders,
                on_epoch=on_epoch,
                on_batch=advance,
            )
        shown = telling_windows(data.parts["validation"], SAMPLES)
        run.write_samples(sheet=sample_sheet(generator, validation, shown.tolist()))
        run.update_report(
            name=run.path.name,
            task=config.task,
            data=data.description,
            protocol=data.protocol,
            reconstruction={
                "variant": config.images.variant,
                "seed": config.reconstruction.seed,
                "epochs": len(history),
                "width": config.reconstruction.width,
                "parameters": sum(p.numel() for p in generator.parameters()),
                "encoder_parameters": sum(p.numel() for p in generator.encoder.parameters()),
                "host_seconds": time.perf_counter() - started,
                "quality": _quality(history[-1].row()),
                "mean_face": _quality(mean_face_quality(training, validation)),
                "encoders": _kept(run, config),
                "shown": [_shown(data.parts["validation"], int(i)) for i in shown],
            },
        )


def telling_windows(windows: WindowImages, count: int) -> np.ndarray:
    """Of recordings spread evenly over a part, the window with most active pixels each."""
    chosen = np.linspace(0, windows.n_recordings - 1, min(count, windows.n_recordings))
    found = []
    for recording in chosen.astype(int):
        of_it = np.flatnonzero(windows.recordings == recording)
        active = (windows.images[of_it] > 0).any(axis=1).sum(axis=(1, 2))
        found.append(int(of_it[active.argmax()]))
    return np.array(found)


def _pairs(windows: WindowImages) -> ImagePairs:
    assert windows.frames is not None  # asked for in ``open_images``
    return ImagePairs(windows.images, windows.frames)


@contextmanager
def _following(
    run: RunFolder, config: ReconstructionRunConfig, n_pairs: int
) -> Iterator[tuple[Any, Advance]]:
    """A progress bar, and a function that writes each epoch's metrics as soon as it ended."""
    rows: list[dict[str, Any]] = []
    total = config.reconstruction.epochs * n_pairs
    with progress_bar(total, "reconstruction", "pair") as advance:

        def on_epoch(metrics: ReconstructionMetrics) -> None:
            rows.append(metrics.row())
            run.write_metrics(rows)
            advance.note(
                f"epoch {metrics.epoch + 1}: PSNR {metrics.psnr:.1f} dB, SSIM {metrics.ssim:.3f}"
            )

        yield on_epoch, advance


def _quality(row: dict[str, Any]) -> dict[str, Any]:
    names = ("mse", "rmse", "mae", "psnr", "ssim", "ncc")
    values = {name: float(row[name]) for name in names}
    values["psnr"] = min(values["psnr"], BEST_PSNR_DB)
    return {"tag": "simulated", **values}


def _kept(run: RunFolder, config: ReconstructionRunConfig) -> list[dict[str, Any]]:
    """Which encoders were kept, and what their files are."""
    paths = {e: encoder_path(run.encoders, e) for e in config.reconstruction.kept_epochs}
    return [
        {"epoch": epoch, "file": f"{run.encoders.name}/{path.name}", "sha256": file_digest(path)}
        for epoch, path in paths.items()
    ]


def _shown(windows: WindowImages, index: int) -> dict[str, Any]:
    recording = int(windows.recordings[index])
    return {
        "recording": windows.names[recording],
        "subject": windows.subjects[recording],
        "window": int(windows.numbers[index]),
    }
