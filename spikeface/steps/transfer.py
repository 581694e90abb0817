"""Images to a classifier on a transferred encoder, tested by clip and by recording.

>>> transfer(RunFolder.create(Path("runs/finetune"), to_toml(config)), config)
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conversion.classifier import EvTransFER, build_classifier
from conversion.clips import WindowClips, labelled_recordings
from conversion.transfer import KEPT_FOLDER, encoder_path, transferred_encoder
from snn.events.datasets import file_digest
from snn.training import EpochMetrics, Evaluation, best_epoch, evaluate
from snn.training import train as train_network
from spikeface.config import ReconstructionRunConfig, TransferRunConfig, load_run_config
from spikeface.errors import ConfigError
from spikeface.runs import RunFolder
from spikeface.steps.images import ImageData, open_images
from spikeface.steps.sections import simulated
from spikeface.steps.sources import PARTS
from spikeface.steps.training import following

SAME_IMAGES = ("variant", "kernel", "path", "upside_down", "frame_rate_hz", "box", "size")
SAME_DATA = ("protocol", "fold", "n_folds")


def transfer(
    run: RunFolder | None, config: TransferRunConfig, data: ImageData | None = None
) -> None:
    """Train, select on validation, test once, write the report.

    Parameters
    ----------
    run : RunFolder or None
        None in all processes of a team but the first, which writes for all.
    config : TransferRunConfig
    data : ImageData, optional
        Images that are open already.
    """
    check_encoder(config)  # before minutes of work on images
    data = data or open_images(config, survey=config.data.baselines)
    encoder, about = transferred_encoder(config.transfer, size=config.images.size)
    torch.manual_seed(config.training.seed)
    network = build_classifier(
        config.transfer, size=config.images.size, n_classes=len(data.classes), encoder=encoder
    )
    labelled = labelled_recordings(
        data.parts["train"].labels, config.transfer.label_share, seed=config.training.seed
    )
    clips = {
        part: WindowClips(
            data.parts[part], config.transfer.window, labelled if part == "train" else None
        )
        for part in PARTS
    }
    if run is None:
        _train(network, clips, config, Path(os.devnull))
        evaluate(network, clips["test"])
        return
    started = time.perf_counter()
    with run.step("train"):
        with following(run, config.training, len(clips["train"])) as (on_epoch, advance):
            history = _train(
                network, clips, config, run.checkpoint, on_epoch=on_epoch, on_batch=advance
            )
        tested = evaluate(network, clips["test"])
        scored = _scored(config, tested)
        seconds = time.perf_counter() - started
        run.update_report(
            name=run.path.name,
            task=config.task,
            data=data.description,
            transfer=_transfer_section(config, about, labelled, len(clips["train"])),
            training=_training_section(network, config, history, seconds),
            accuracy=_accuracy_section(config, data, tested, labelled),
            predictions={
                "tag": "simulated",
                "labels": scored[0].tolist(),
                "float": scored[1].tolist(),
            },
            confusion_float={
                "tag": "simulated",
                "rows_are_true_classes": _confusion(*scored, len(data.classes)).tolist(),
            },
        )


def check_encoder(config: TransferRunConfig) -> None:
    """Refuse the encoder of a run that saw other images, or people who are tested here.

    Raises
    ------
    ConfigError
        Naming what differs. Of an encoder file outside of a run nothing is known.
    """
    if config.transfer.mode == "scratch":
        return
    path = encoder_path(config.transfer)
    folder = path.parent.parent
    if path.parent.name != KEPT_FOLDER or not (folder / "config.toml").is_file():
        return
    source = load_run_config(folder / "config.toml")
    if not isinstance(source, ReconstructionRunConfig):
        raise ConfigError(
            f"{folder}: task = {source.task!r}; an encoder is made by a reconstruction"
        )
    pairs: list[tuple[str, Any, Any]] = [
        (f"images.{name}", getattr(source.images, name), getattr(config.images, name))
        for name in SAME_IMAGES
    ]
    if source.data.dataset == config.data.dataset:
        pairs += [
            (f"data.{name}", getattr(source.data, name), getattr(config.data, name))
            for name in SAME_DATA
        ]
        # With the videos come the boxes of faces.
        pairs.append(("data.videos", bool(source.data.videos), bool(config.data.videos)))
    if different := [
        f"{name} = {one!r}, here {other!r}" for name, one, other in pairs if one != other
    ]:
        raise ConfigError(
            f"{folder}: its encoder was trained with {'; '.join(different)}. Other images mean "
            "nothing to it, and another split may hold people who are tested here; make a "
            "reconstruction with the same [images] and [data]"
        )


def _train(
    network: EvTransFER,
    clips: dict[str, WindowClips],
    config: TransferRunConfig,
    checkpoint: Path,
    **callbacks: Any,
) -> list[EpochMetrics]:
    return train_network(
        network,
        clips["train"],
        clips["validation"],
        config.training,
        checkpoint=checkpoint,
        **callbacks,
    )


def _scored(config: TransferRunConfig, tested: Evaluation) -> tuple[torch.Tensor, torch.Tensor]:
    """True and predicted classes of what the protocol counts: recordings or clips."""
    if config.training.selection == "recording" and tested.votes:
        return tested.votes.labels, tested.votes.predictions
    return tested.labels, tested.predictions


def _confusion(labels: torch.Tensor, predictions: torch.Tensor, n: int) -> torch.Tensor:
    return torch.bincount(labels * n + predictions, minlength=n * n).view(n, n)


def _transfer_section(
    config: TransferRunConfig, about: dict[str, Any], labelled: np.ndarray, n_clips: int
) -> dict[str, Any]:
    chosen = config.transfer
    section: dict[str, Any] = {
        "mode": chosen.mode,
        "window": chosen.window,
        "lstm_layers": chosen.lstm_layers,
        "label_share": chosen.label_share,
        "labelled_recordings": len(labelled),
        "labelled_clips": n_clips,
        "encoder": None,
    }
    if chosen.mode != "scratch":
        path = encoder_path(chosen)
        section["encoder"] = {
            "file": str(path),
            "epoch": about.get("epoch"),
            "sha256": file_digest(path),
        }
    return section


def _training_section(
    network: EvTransFER, config: TransferRunConfig, history: list[EpochMetrics], seconds: float
) -> dict[str, Any]:
    best = best_epoch(history, config.training.selection)
    return {
        "family": "evtransfer",
        "engine": "torch",
        "seed": config.training.seed,
        "epochs": len(history),
        "best_epoch": best.epoch + 1,
        "selection": config.training.selection,
        "best_validation_accuracy": simulated(best.accuracy(config.training.selection)),
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "host_seconds": seconds,
    }


def _accuracy_section(
    config: TransferRunConfig, data: ImageData, tested: Evaluation, labelled: np.ndarray
) -> dict[str, Any]:
    """Accuracy by clip and by recording; ``float`` is the one that epochs are selected by."""
    n_classes = len(data.classes)
    labels, predictions = _scored(config, tested)
    votes = tested.votes
    assert votes is not None  # clips of window images are parts of recordings
    by_class = _confusion(labels, predictions, n_classes)
    splits = data.splits
    parts = {part: getattr(splits, part) for part in PARTS}
    parts["train"] = splits.train[labelled]
    commonest = np.bincount(splits.labels[parts["train"]]).argmax()
    return {
        "protocol": data.protocol,
        "selection": config.training.selection,
        "chance": 1 / n_classes,
        "majority": simulated(
            float((splits.labels[splits.test] == commonest).mean()), n=len(splits.test)
        ),
        "per_clip": simulated(tested.accuracy, n=len(tested.labels)),
        "per_recording": simulated(votes.accuracy, n=len(votes.labels)),
        "float": simulated(float((labels == predictions).double().mean()), n=len(labels)),
        "float_per_class": {
            "tag": "simulated",
            **{
                name: int(row[k]) / int(row.sum()) if row.sum() else None
                for k, (name, row) in enumerate(zip(data.classes, by_class, strict=True))
            },
        },
        **(data.survey.baselines(parts, splits.labels) if data.survey else {}),
    }
