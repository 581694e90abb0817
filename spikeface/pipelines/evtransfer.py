"""evTransFER in one go at 64 pixels: faces, reconstruction, six classifiers, one table.

    DIR/faces.h5  faces.png          the rendered faces
    DIR/gan                          the reconstruction run
    DIR/scratch ... finetune-lstm    a transfer run each
    DIR/table.csv  report.html       what came out

A run folder each, and ``status.json`` in DIR: steps that are done are skipped when it goes on.

>>> ./run evtransfer --quick --out runs/evtransfer
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from spikeface import steps
from spikeface.config import (
    CONFIGS,
    ReconstructionRunConfig,
    RunConfig,
    TransferRunConfig,
    load_run_config,
    to_toml,
)
from spikeface.errors import ConfigError
from spikeface.figures.results import save_faces_preview
from spikeface.outputs import writing
from spikeface.pages.writing import write_page
from spikeface.runs import RunFolder
from spikeface.steps.images import ImageData, open_images

MODES = ("scratch", "frozen", "finetune")
# Published: three images, three layers of 512 on 512 features. A recording has two images here, and
# an encoder of width 16 has 128 features.
LSTM = ("transfer.window=2", "transfer.lstm_layers=1", "transfer.lstm_hidden=128")
QUICK = (
    "faces.train_subjects=10",
    "faces.validation_subjects=3",
    "faces.test_subjects=4",
    "faces.clips_per_class=1",
    "images.size=32",
    "reconstruction.width=8",
    "reconstruction.epochs=4",
    "transfer.width=8",
    "training.epochs=4",
)
SHARED = ("faces", "data", "images")  # sections that reconstruction and classifiers must agree in
OWN = ("reconstruction", "transfer", "training")


@dataclass(frozen=True)
class Pipeline:
    """All configurations of one pipeline, and the images that its runs share.

    Parameters
    ----------
    run : RunFolder
        Of the whole; the runs lie in it.
    assignments : tuple of str
        ``SECTION.KEY=VALUE`` on top of the shipped configurations.
    """

    run: RunFolder
    assignments: tuple[str, ...]

    @property
    def data(self) -> Path:
        """The rendered faces."""
        return self.run.path.resolve() / "faces.h5"

    @property
    def gan(self) -> Path:
        """The reconstruction run."""
        return self.run.path.resolve() / "gan"

    def reconstruction(self) -> ReconstructionRunConfig:
        """The configuration of the reconstruction."""
        config = self._config("evtransfer_gan_faces.toml", (*SHARED, "reconstruction"), ())
        assert isinstance(config, ReconstructionRunConfig)
        return config

    def classifier(self, mode: str, *, lstm: bool) -> TransferRunConfig:
        """The configuration of one classifier."""
        own = [f"transfer.mode={mode!r}", *(LSTM if lstm else ())]
        if mode != "scratch":
            own.append(f"transfer.encoder={json.dumps(str(self.gan))}")
        config = self._config("evtransfer_faces.toml", (*SHARED, "transfer", "training"), own)
        assert isinstance(config, TransferRunConfig)
        return config

    @cached_property
    def images(self) -> ImageData:
        """Images of all parts, made when a classifier first needs them."""
        return open_images(self.classifier("scratch", lstm=False), survey=True)

    def _config(self, name: str, sections: Sequence[str], own: Sequence[str]) -> RunConfig:
        chosen = [text for text in self.assignments if text.split(".")[0].strip() in sections]
        root = f"data.root={json.dumps(str(self.data))}"
        return load_run_config(CONFIGS / name, [root, *own, *chosen])


def evtransfer(
    path: Path, *, quick: bool = False, assignments: Sequence[str] = (), resume: bool = False
) -> dict[str, Any]:
    """Run all steps into one folder and return the report.

    Parameters
    ----------
    path : Path
        A new folder, or with `resume` an interrupted one.
    quick : bool
        Few faces, small images, few epochs: a look, whose numbers mean nothing.
    assignments : sequence of str
        Go to all configurations that have their section.

    Raises
    ------
    ConfigError
        For a section that none of the configurations has, or a value that is not allowed.
    """
    for text in assignments:
        if text.split(".")[0].strip() not in (*SHARED, *OWN):
            raise ConfigError(f"--set {text}: the sections here are {', '.join((*SHARED, *OWN))}")
    everything = (*QUICK, *assignments) if quick else tuple(assignments)
    pipeline = Pipeline(RunFolder(path), everything)
    names = {f"{mode}{'-lstm' * lstm}": (mode, lstm) for lstm in (False, True) for mode in MODES}
    pipeline.reconstruction()  # what is wrong shows before a folder is made
    for mode, lstm in names.values():
        pipeline.classifier(mode, lstm=lstm)
    asked = [f"quick = {json.dumps(quick)}", f"set = {json.dumps(list(assignments))}"]
    run = RunFolder.create(path, "\n".join(['task = "evtransfer"', *asked, ""]), resume=resume)
    todo: list[tuple[str, str, Callable[[], object]]] = [
        ("faces", "render event faces", partial(_render, pipeline)),
        ("gan", "learn to make faces from events", partial(_reconstruct, pipeline)),
    ]
    for name, (mode, lstm) in names.items():
        text = f"classifier on {'two images' if lstm else 'one image'}, encoder: {mode}"
        todo.append((name, text, partial(_classify, pipeline, name, mode, lstm)))
    began = time.perf_counter()
    for number, (name, text, action) in enumerate(todo, start=1):
        if run.is_done(name):
            continue
        started = time.perf_counter()
        print(f"[{number}/{len(todo) + 1}] {text}", file=sys.stderr, flush=True)
        with run.step(name):
            action()
        print(f"      {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"[{len(todo) + 1}/{len(todo) + 1}] write the table", file=sys.stderr, flush=True)
    _report(pipeline, list(names), time.perf_counter() - began)
    return run.read_report()


def _render(pipeline: Pipeline) -> None:
    config = pipeline.reconstruction()
    if not pipeline.data.exists():
        steps.render_faces(pipeline.data, config)
    if not (preview := pipeline.data.with_suffix(".png")).exists():
        save_faces_preview(preview, config.faces)


def _reconstruct(pipeline: Pipeline) -> None:
    config = pipeline.reconstruction()
    run = RunFolder.create(pipeline.gan, to_toml(config), resume=True)
    steps.reconstruct(run, config)
    write_page(run)


def _classify(pipeline: Pipeline, name: str, mode: str, lstm: bool) -> None:
    config = pipeline.classifier(mode, lstm=lstm)
    run = RunFolder.create(pipeline.run.path / name, to_toml(config), resume=True)
    steps.transfer(run, config, pipeline.images)
    write_page(run)


def _report(pipeline: Pipeline, names: Sequence[str], seconds: float) -> None:
    """``report.json``, ``table.csv`` and the page, from what the runs say."""
    run = pipeline.run
    reports = {name: RunFolder.open(run.path / name).read_report() for name in names}
    gan = RunFolder.open(pipeline.gan).read_report()
    first = reports[names[0]]
    rows = [
        {
            "run": name,
            "mode": report["transfer"]["mode"],
            "window": report["transfer"]["window"],
            "lstm_layers": report["transfer"]["lstm_layers"],
            "clip_accuracy": report["accuracy"]["per_clip"]["value"],
            "clips": report["accuracy"]["per_clip"]["n"],
            "recording_accuracy": report["accuracy"]["per_recording"]["value"],
            "recordings": report["accuracy"]["per_recording"]["n"],
            "best_epoch": report["training"]["best_epoch"],
            "trained_parameters": report["training"]["trained_parameters"],
            "seconds": round(report["training"]["host_seconds"], 1),
        }
        for name, report in reports.items()
    ]
    with writing(run.path / "table.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    keys = ("protocol", "selection", "chance", "majority", "baseline_event_count", "baseline_ridge")
    run.update_report(
        name=run.path.name,
        task="evtransfer",
        data=first["data"],
        reconstruction=gan["reconstruction"],
        accuracy={key: first["accuracy"][key] for key in keys if key in first["accuracy"]},
        classifiers={"tag": "simulated", "rows": rows},
        host_seconds=seconds,
    )
    write_page(run)
