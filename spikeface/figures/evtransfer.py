"""Pictures of reconstructions: a sheet of examples, and quality by epoch beside the mean face.

>>> save_sheet(Path("sheet.png"), sheet)
>>> to_svg(quality_curve(metrics, mean_face), salt="quality")
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from spikeface.figures.style import BLUE, GREY, INK, MUTED, ORANGE, new_figure, styled
from spikeface.outputs import writing

CELL = 128  # pixels to which small images are enlarged
GAP = 4
MARKED_EPOCHS = 40  # up to so many epochs each gets a dot


def save_sheet(path: Path, sheet: np.ndarray) -> None:
    """Write a sheet of examples as PNG, one column an example.

    Parameters
    ----------
    path : Path
    sheet : ndarray of uint8, shape (n, 3, S, S, 3)
        For each example the image of events, the face made from it, the true one.
    """
    factor = max(1, round(CELL / sheet.shape[2]))
    cells = sheet.repeat(factor, axis=2).repeat(factor, axis=3)
    n, rows, side = cells.shape[:3]
    picture = np.full((rows * (side + GAP) - GAP, n * (side + GAP) - GAP, 3), 255, np.uint8)
    for column in range(n):
        for row in range(rows):
            top, left = row * (side + GAP), column * (side + GAP)
            picture[top : top + side, left : left + side] = cells[column, row]
    with writing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", optimize=True)


def inline_png(path: Path, *, label: str) -> Markup:
    """A PNG file as an element of a page that loads nothing; `label` says what is to be seen."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    style = "display: block; width: 100%; height: auto; image-rendering: pixelated"
    return Markup(
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(label)}" style="{style}">'
    )


@styled
def quality_curve(
    metrics: Sequence[Mapping[str, float]], mean_face: Mapping[str, float] | None
) -> Figure:
    """Quality on held-out faces and the losses, epoch by epoch.

    Parameters
    ----------
    metrics : sequence of dict
        Rows of ``metrics.csv``; ``epoch`` counts from 0 and is shown from 1.
    mean_face : dict, optional
        The same measures of the mean training face as the answer to everything.
    """
    figure = new_figure(5.4)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    epochs = [row["epoch"] + 1 for row in metrics]
    dot = "o" if len(epochs) <= MARKED_EPOCHS else None
    for axes, key, name in ((above, "psnr", "PSNR, dB"), (middle, "ssim", "SSIM")):
        axes.plot(epochs, [row[key] for row in metrics], color=BLUE, marker=dot, markersize=3.5)
        if mean_face:
            axes.axhline(mean_face[key], color=GREY, linewidth=1.6, linestyle=(0, (4, 2)))
        axes.set_ylabel(name)
    above.set_title("held-out faces; dashed: the mean training face", fontsize=9, color=MUTED)
    below.plot(epochs, [row["l1"] for row in metrics], color=INK, label="L1")
    below.plot(
        epochs, [row["discriminator_loss"] for row in metrics], color=ORANGE,
        linestyle=(0, (4, 2)), label="discriminator",
    )  # fmt: skip
    below.set(xlabel="epoch", ylabel="training loss")
    below.legend(loc="best")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, middle, below):
        axes.grid(axis="y")
    return figure
