"""Figures of results: one function draws one figure and returns it.

>>> to_svg(accuracy_bars([("network, float", 0.9, 84)], chance=1 / 7), salt="accuracy")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from snn.events.faces import Clip, FaceSetParameters, render_clip
from snn.events.landmarks import RIGID_POINTS
from spikeface.errors import SpikefaceError
from spikeface.figures.spikes import polarity_image
from spikeface.figures.style import (
    BLUE,
    GREY,
    INK,
    MUTED,
    ON_BLUE,
    ORANGE,
    PAPER,
    new_figure,
    styled,
)
from spikeface.outputs import writing
from spikeface.text.accuracy import wilson_interval
from spikeface.text.numbers import compact, short

STRONG = 0.7  # share of a row from which a cell is dark enough for light text
MARKED_EPOCHS = 40  # up to so many epochs each gets a dot
PREVIEW_SUBJECTS = 3
PREVIEW_DPI = 120


@styled
def accuracy_bars(rows: Sequence[tuple[str, float, int | None]], *, chance: float) -> Figure:
    """Accuracies side by side, with 95% intervals and the chance line.

    Parameters
    ----------
    rows : sequence of (label, accuracy, n)
        Without n there is no interval; labels that begin with "network" stand out.
    chance : float
        Accuracy of guessing, in [0, 1].
    """
    figure = new_figure(0.9 + 0.36 * len(rows))
    axes = figure.subplots()
    for place, (label, value, n) in enumerate(rows):
        colour = BLUE if label.startswith("network") else GREY
        axes.barh(place, value, height=0.62, color=colour)
        low, high = wilson_interval(value, n) if n else (value, value)
        if n:
            axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
        axes.text(max(high, value) + 0.015, place, f"{value:.1%}", va="center", fontsize=9)
    axes.axvline(chance, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.6)
    axes.set_title(f"dashed: chance, {chance:.1%}", fontsize=9, color=MUTED)
    axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.16)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("test accuracy")
    return figure


@styled
def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts of each pair of classes, shaded by their share of the row.

    Parameters
    ----------
    counts : ndarray of int, shape (n_classes, n_classes)
        Rows are true classes, columns predicted ones.
    classes : sequence of str
    """
    n = len(classes)
    figure = new_figure(4.4)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for (row, column), share in np.ndenumerate(shares):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=BLUE, alpha=share, edgecolor="none"))
        count = str(counts[row, column])
        colour = ON_BLUE if share >= STRONG else INK if share else MUTED
        weight = "bold" if row == column else "normal"
        size = min(10, 70 / n)
        axes.text(
            column, row, count, ha="center", va="center", color=colour, fontsize=size, weight=weight
        )
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    names = [short(name) for name in classes]
    axes.set_xticks(range(n), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


@styled
def learning_curve(
    metrics: Sequence[dict[str, float]], *, chance: float | None = None, best_epoch: int | None
) -> Figure:
    """Training and validation accuracy above the training loss, epoch by epoch.

    Parameters
    ----------
    metrics : sequence of dict
        Rows of ``metrics.csv``; ``epoch`` counts from 0 and is shown from 1.
    chance : float, optional
    best_epoch : int, optional
        The selected one, from 1.
    """
    figure = new_figure(4.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    epochs = [row["epoch"] + 1 for row in metrics]
    dot = "o" if len(epochs) <= MARKED_EPOCHS else None
    for key, label, colour, dashes in (
        ("train_accuracy", "training", ORANGE, (0, (4, 2))),
        ("validation_accuracy", "validation", BLUE, "solid"),
    ):
        values = [row[key] for row in metrics]
        above.plot(
            epochs, values, color=colour, linestyle=dashes, marker=dot, markersize=3.5, label=label
        )
    if chance is not None:
        above.axhline(chance, color=GREY, linewidth=1.2, linestyle=":", label="chance")
    if best_epoch is not None:
        for axes in (above, below):
            axes.axvline(best_epoch, color=GREY, linewidth=1)
        above.set_title(f"selected: epoch {best_epoch}", fontsize=9, color=MUTED)
    above.set_ylim(0, 1)
    above.yaxis.set_major_formatter(PercentFormatter(1))
    above.set_ylabel("accuracy")
    above.legend(loc="best")
    below.plot(epochs, [row["loss"] for row in metrics], color=INK, marker=dot, markersize=3.5)
    below.set(xlabel="epoch", ylabel="training loss")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, below):
        axes.grid(axis="y")
    return figure


@styled
def layer_bars(layers: Sequence[dict[str, Any]], *, input_spikes: float) -> Figure:
    """Spikes and synaptic operations per sample of every layer.

    Parameters
    ----------
    layers : sequence of dict
        With ``layer``, ``spikes`` and ``synops``, as in ``report.json``.
    input_spikes : float
        Per sample.
    """
    names = ["input", *(short(row["layer"]) for row in layers)]
    figure = new_figure(0.9 + 0.32 * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    _count_bars(left, [input_spikes, *(row["spikes"] for row in layers)], BLUE)
    _count_bars(right, [None, *(row["synops"] for row in layers)], ORANGE)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_title("spikes sent", fontsize=10)
    right.set_title("synaptic operations", fontsize=10)
    return figure


def _count_bars(axes: Axes, values: Sequence[float | None], colour: str) -> None:
    largest = max((v for v in values if v is not None), default=0) or 1
    for place, value in enumerate(values):
        if value is not None:
            axes.barh(place, value, height=0.62, color=colour)
        text = "–" if value is None else compact(value)
        axes.text((value or 0) + 0.03 * largest, place, text, va="center", fontsize=9)
    axes.set_xlim(0, 1.32 * largest)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.tick_params(axis="y", length=0)


def save_faces_preview(path: Path, parameters: FaceSetParameters) -> None:
    """Save a contact sheet of rendered faces at their apex and of their events, as PNG.

    Parameters
    ----------
    path : Path
        A new file.
    parameters : FaceSetParameters
        The set; its first training subjects are shown.

    Raises
    ------
    SpikefaceError
        When the file exists or cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise SpikefaceError(f"{path}: exists already; choose another name or remove it")
    figure = faces_sheet(parameters)
    with writing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=PREVIEW_DPI, metadata={"Software": None})


@styled
def faces_sheet(parameters: FaceSetParameters) -> Figure:
    """For each class and a few subjects, a face at its apex above the events of its clip."""
    subjects = range(min(PREVIEW_SUBJECTS, parameters.train_subjects))
    width, height = parameters.sensor_size
    columns, rows = len(parameters.classes), 2 * len(subjects)
    size = (1.25 * columns + 0.4, 1.25 * rows * height / width + 0.4)
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for subject in subjects:
        for label, name in enumerate(parameters.classes):
            clip = render_clip(parameters, subject=subject, label=label, take=0, keep_frames=True)
            face, events = grid[2 * subject : 2 * subject + 2, label]
            face.imshow(_apex(clip), cmap="gray", vmin=0, vmax=255)
            events.imshow(polarity_image(_event_counts(clip), full=3))
            face.set_title(name if subject == 0 else "", loc="center")
        grid[2 * subject, 0].set_ylabel(f"subject {subject}", fontsize=9)
        grid[2 * subject + 1, 0].set_ylabel("its events", fontsize=9)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure


def _apex(clip: Clip) -> np.ndarray:
    """The frame in which the features are farthest from where they began, the head held still."""
    marks = np.asarray(clip.landmarks, np.float64)
    within = marks - marks[:, RIGID_POINTS].mean(axis=1, keepdims=True)
    moved = np.abs(within - within[0]).sum(axis=(1, 2))
    return np.asarray(clip.frames)[int(moved.argmax())]


def _event_counts(clip: Clip) -> np.ndarray:
    """Events per polarity and pixel over the whole clip, shape (2, H, W)."""
    width, height = clip.recording.sensor_size
    counts = np.zeros((2, height, width), int)
    events = clip.recording.events
    np.add.at(counts, (events["p"], events["y"], events["x"]), 1)
    return counts
