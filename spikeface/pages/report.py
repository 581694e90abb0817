"""What the page of a spiking network's run shows, whatever is known of it so far.

>>> spiking_content(run, run.read_report()).template
'report.html.j2'
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from hardware.chip.storage import load_network
from spikeface.errors import RunFolderError
from spikeface.figures.results import accuracy_bars, confusion_matrix, learning_curve
from spikeface.figures.spikes import input_strip, spike_raster
from spikeface.figures.style import to_svg
from spikeface.pages.content import Content, Picture, analysis_pictures, read_metrics
from spikeface.runs import MEMBRANE, RunFolder
from spikeface.text.accuracy import accuracy_rows

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


def spiking_content(run: RunFolder, report: dict[str, Any]) -> Content:
    """The page of a spiking network, or of its artificial twin.

    Raises
    ------
    RunFolderError
        When ``samples.npz`` does not fit ``network.chip``.
    """
    sample = _read_sample(run)
    return Content(
        template=TEMPLATE,
        pictures=tuple(_draw(report, read_metrics(run), sample)),
        commands=_commands(run, report),
        values={
            "sample": sample,
            "accuracies": accuracy_rows(report),
            "windows_listed": WINDOWS_LISTED,
        },
    )


def _draw(
    report: dict[str, Any], metrics: list[dict[str, float]], sample: Sample | None
) -> Iterator[Picture]:
    """Each figure that the report has the numbers for."""
    classes = report.get("data", {}).get("classes", [])
    accuracy = report.get("accuracy")
    if accuracy:
        rows = [(row.label, row.value, row.n) for row in accuracy_rows(report)]
        figure = accuracy_bars(rows, chance=accuracy["chance"])
        yield Picture("accuracy", "Test accuracies as bars", to_svg(figure, salt="accuracy"))
    if metrics:
        figure = learning_curve(
            metrics,
            chance=accuracy["chance"] if accuracy else None,
            best_epoch=report.get("training", {}).get("best_epoch"),
        )
        yield Picture("learning", "Accuracy and loss by epoch", to_svg(figure, salt="learning"))
    answers = report.get("confusion", report.get("confusion_float"))
    if answers:
        counts = np.array(answers["rows_are_true_classes"])
        figure = confusion_matrix(counts, classes)
        label = "Confusion matrix of the test clips"
        yield Picture("confusion", label, to_svg(figure, salt="confusion"))
    if sample:
        figure = input_strip(sample.frames)
        yield Picture("input", "Input of one clip, step by step", to_svg(figure, salt="input"))
        figure = spike_raster(
            sample.frames,
            sample.layers,
            classes=classes,
            label=sample.label,
            membrane=sample.membrane,
        )
        yield Picture("raster", "Spikes of one clip, layer by layer", to_svg(figure, salt="raster"))
    yield from analysis_pictures(report)


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
