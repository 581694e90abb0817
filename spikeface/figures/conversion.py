"""Pictures of a conversion: its forms side by side, and what more steps bring.

>>> to_svg(error_over_steps(report["agreement"]["layers"]), salt="error")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from spikeface.figures.style import BLUE, GREY, INK, MUTED, ORANGE, new_figure, styled
from spikeface.text.accuracy import wilson_interval
from spikeface.text.numbers import compact, short

DASHES = ("solid", (0, (5, 2)), (0, (2, 2)), (0, (5, 2, 1, 2)))


@styled
def form_bars(rows: Sequence[dict[str, Any]], *, chance: float) -> Figure:
    """Accuracy by recording of every form, artificial ones in grey."""
    figure = new_figure(0.9 + 0.36 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        value, n = row["per_recording"]["value"], row["per_recording"]["n"]
        colour = GREY if row["form"].startswith("ann") else BLUE
        axes.barh(place, value, height=0.62, color=colour)
        low, high = wilson_interval(value, n)
        axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
        axes.text(high + 0.015, place, f"{value:.1%}", va="center", fontsize=9)
    axes.axvline(chance, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.6)
    axes.set_title(f"dashed: chance, {chance:.1%}", fontsize=9, color=MUTED)
    axes.set_yticks(range(len(rows)), [short(row["name"], 30) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2)
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("test accuracy by recording")
    return figure


@styled
def embedding_over_steps(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy and similarity of the embedding over the steps, floats and integers."""
    figure = new_figure(4.0)
    above, below = figure.subplots(2, 1, sharex=True)
    forms = (("spiking_float", "floats", ORANGE), ("spiking_integer", "integers", BLUE))
    for form, label, colour in forms:
        chosen = [row for row in rows if row["form"] == form]
        steps = [row["steps"] for row in chosen]
        for axes, key in ((above, "per_recording"), (below, "cosine")):
            values = [row[key]["value"] for row in chosen]
            axes.plot(steps, values, color=colour, marker="o", markersize=3.5, label=label)
    artificial = next(row for row in rows if row["form"] == "ann_float32")
    above.axhline(artificial["per_recording"]["value"], color=GREY, linestyle=(0, (4, 2)))
    above.set_title("dashed: the artificial network", fontsize=9, color=MUTED)
    above.set_ylabel("accuracy by recording")
    above.yaxis.set_major_formatter(PercentFormatter(1))
    above.legend(loc="best")
    below.set(xlabel="steps", ylabel="cosine similarity")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.grid(axis="y")
    return figure


@styled
def error_over_steps(layers: Sequence[dict[str, Any]]) -> Figure:
    """Mean error of every layer, as a share of its mean activation, over the steps.

    A line that leaves the picture at the bottom has no error there, as the first layer's has after
    as many steps as it has levels.
    """
    figure = new_figure(3.4)
    axes = figure.subplots()
    for place, layer in enumerate(layers):
        steps = range(1, len(layer["error"]) + 1)
        last = place == len(layers) - 1
        axes.plot(
            steps,
            layer["error"],
            color=BLUE if last else (INK, ORANGE, GREY, MUTED)[place % 4],
            linestyle=DASHES[place % len(DASHES)],
            linewidth=2.2 if last else 1.3,
            label=short(layer["layer"], 18),
        )
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="mean error of a layer")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.grid(axis="y")
    axes.legend(loc="best", fontsize=8)
    return figure
