"""``report.html`` of a run folder: one self-contained page, whatever is known so far.

The page holds no script and loads nothing: figures are part of it. The same figures are written
as SVG files to ``figures/``.

>>> write_report(RunFolder.open(Path("runs/demo")))
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from hardware.chip.storage import load_network
from spikeface.errors import RunFolderError
from spikeface.figures.results import (
    accuracy_bars,
    confusion_matrix,
    layer_bars,
    learning_curve,
    wilson_interval,
)
from spikeface.figures.spikes import input_strip, spike_raster
from spikeface.figures.style import inline_svg, to_svg
from spikeface.pages.html import environment
from spikeface.runs import MEMBRANE, SCHEMA, RunFolder, write_text
from spikeface.text.summary import ACCURACIES

TEMPLATE = "report.html.j2"
WINDOWS_LISTED = 20  # of a recording; all of them are in report.json


class Sample(NamedTuple):
    """One test clip: input ``[T, 2, H, W]``, spikes ``[T, ...]`` of each layer, true class.

    ``membrane``, ``[T, classes]``, is the answer of a network that is not read by its spikes.
    """

    frames: np.ndarray
    layers: dict[str, np.ndarray]
    label: int
    membrane: np.ndarray | None

    @property
    def scores(self) -> list[int]:
        """Spikes, or membrane after the last step, of each output neuron."""
        if self.membrane is not None:
            return self.membrane[-1].ravel().tolist()
        output = list(self.layers.values())[-1]
        return output.sum(axis=0, dtype=int).ravel().tolist()


class AccuracyRow(NamedTuple):
    """One line of the accuracy table; without n there is no interval."""

    label: str
    value: float
    tag: str
    n: int | None
    interval: tuple[float, float] | None


def write_report(run: RunFolder) -> None:
    """Write ``report.html`` and ``figures/``, and say in ``report.json`` where they are.

    Parameters
    ----------
    run : RunFolder
        Sections that ``report.json`` lacks are left out of the page, with the command that adds
        them.

    Raises
    ------
    RunFolderError
        When the report has another schema, or the folder cannot be read or written.
    """
    with run.step("report"):
        report = run.read_report()
        if report.get("schema") != SCHEMA:
            raise RunFolderError(
                f"{run.report}: expected schema {SCHEMA!r}, found {report.get('schema')!r}; "
                "make the run again with this version"
            )
        sample = _read_sample(run)
        files = {}
        inline = {}
        for name, label, svg in _draw(report, read_metrics(run), sample):
            run.figures.mkdir(exist_ok=True)
            write_text(run.figures / f"{name}.svg", svg)
            files[name] = f"{run.figures.name}/{name}.svg"
            inline[name] = Markup(inline_svg(svg, label=label))
        write_text(run.page, _render(run, report, inline, sample))
        run.update_report(figures=files, folder=str(run.path.resolve()))


def accuracy_rows(report: dict[str, Any]) -> list[AccuracyRow]:
    """The accuracies that are known, baselines first."""
    rows = []
    for key, label in ACCURACIES:
        entry = report.get("accuracy", {}).get(key)
        if entry:
            n = entry.get("n")
            interval = wilson_interval(entry["value"], n) if n else None
            rows.append(AccuracyRow(label, entry["value"], entry["tag"], n, interval))
    return rows


def _draw(
    report: dict[str, Any], metrics: list[dict[str, float]], sample: Sample | None
) -> Iterator[tuple[str, str, str]]:
    """Name, description and SVG of each figure that the report has the numbers for."""
    classes = report.get("data", {}).get("classes", [])
    accuracy = report.get("accuracy")
    if accuracy:
        rows = [(row.label, row.value, row.n) for row in accuracy_rows(report)]
        figure = accuracy_bars(rows, chance=accuracy["chance"])
        yield "accuracy", "Test accuracies as bars", to_svg(figure, salt="accuracy")
    if metrics:
        figure = learning_curve(
            metrics,
            chance=accuracy["chance"] if accuracy else None,
            best_epoch=report.get("training", {}).get("best_epoch"),
        )
        yield "learning", "Accuracy and loss by epoch", to_svg(figure, salt="learning")
    answers = report.get("confusion", report.get("confusion_float"))
    if answers:
        counts = np.array(answers["rows_are_true_classes"])
        figure = confusion_matrix(counts, classes)
        yield "confusion", "Confusion matrix of the test clips", to_svg(figure, salt="confusion")
    if sample:
        figure = input_strip(sample.frames)
        yield "input", "Input of one clip, step by step", to_svg(figure, salt="input")
        figure = spike_raster(
            sample.frames,
            sample.layers,
            classes=classes,
            label=sample.label,
            membrane=sample.membrane,
        )
        yield "raster", "Spikes of one clip, layer by layer", to_svg(figure, salt="raster")
    if "spikes" in report:
        spikes = report["spikes"]
        figure = layer_bars(spikes["layers"], input_spikes=spikes["input_spikes"])
        yield "layers", "Spikes and synaptic operations by layer", to_svg(figure, salt="layers")


def read_metrics(run: RunFolder) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``, none where there is no such file."""
    if not run.metrics.is_file():
        return []
    with run.metrics.open(newline="", encoding="utf-8") as file:
        return [{key: float(v) for key, v in row.items()} for row in csv.DictReader(file)]


def _read_sample(run: RunFolder) -> Sample | None:
    """The first of the kept clips; first and not best, so that the picture flatters nothing."""
    if not (run.samples.is_file() and run.chip.is_file()):
        return None
    network = load_network(run.chip)
    try:
        with np.load(run.samples, allow_pickle=False) as kept:
            return Sample(
                _unpack(kept["input"][0], network.input_shape),
                {p.name: _unpack(kept[p.name][0], p.shape) for p in network.populations},
                int(kept["labels"][0]),
                kept[MEMBRANE][0] if network.readout == "membrane" else None,
            )
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise RunFolderError(
            f"{run.samples}: does not fit network.chip ({error}); "
            "write it again with 'spikeface run'"
        ) from error


def _unpack(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo ``np.packbits(..., axis=-1)`` for one clip, uint8 ``[T, *shape]``."""
    return np.unpackbits(packed, axis=-1, count=shape[-1]).reshape(-1, *shape)


def _render(
    run: RunFolder, report: dict[str, Any], figures: dict[str, Markup], sample: Sample | None
) -> str:
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            figures=figures,
            sample=sample,
            accuracies=accuracy_rows(report),
            windows_listed=WINDOWS_LISTED,
            commands=_commands(run, report),
            where=read_json(run.path / "environment.json"),
            config=run.config.read_text(encoding="utf-8"),
        )
    )


def _commands(run: RunFolder, report: dict[str, Any]) -> list[list[str]]:
    """What to type to get this run again, from its ``config.toml``."""
    name = run.path.resolve().name
    data = report.get("data", {"file": "faces.h5"})
    train = ["spikeface", "train", "config.toml", "--out", name]
    commands = [[*train, "--root", "FOLDER"]]
    if data.get("dataset", "faces") == "faces":
        faces = PurePath(data["file"]).name
        render = ["spikeface", "faces", faces, "--config", "config.toml"]
        commands = [render, [*train, "--data", faces]]
    if report.get("training", {}).get("spiking", True):
        recordings = [recording["file"] for recording in report.get("recordings", [])]
        commands += [["spikeface", "quantise", name], ["spikeface", "run", name]]
        commands += [["spikeface", "run", name, "--input", file] for file in recordings]
    return [*commands, ["spikeface", "report", name]]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file, empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
