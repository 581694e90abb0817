"""Figures of what a network costs: neurocores by layer, and energy from the lowest estimate up.

>>> to_svg(cores_by_layer(report["fit"]["layers"]), salt="cores")
>>> to_svg(energy_range(report["energy"]["rows"]), salt="energy")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from spikeface.figures.style import BLUE, GREY, INK, MUTED, ORANGE, PAPER, new_figure, styled
from spikeface.text.numbers import compact, energy_text, short

ROW_IN = 0.32  # height of a bar with its share of the gap
MANY_LAYERS = 40  # from here on bars are drawn closer


@styled
def cores_by_layer(layers: Sequence[dict[str, Any]]) -> Figure:
    """Cores of every layer as bars, with a mark at the lower bound.

    Parameters
    ----------
    layers : sequence of dict
        With ``layer``, ``cores`` and ``cores_lower_bound``, as in the section ``fit``.
    """
    row = ROW_IN if len(layers) <= MANY_LAYERS else 0.22
    figure = new_figure(1.0 + row * len(layers))
    axes = figure.subplots()
    largest = max((layer["cores"] for layer in layers), default=1) or 1
    for place, layer in enumerate(layers):
        axes.barh(place, layer["cores"], height=0.62, color=BLUE)
        low = layer["cores_lower_bound"]
        axes.plot([low, low], [place - 0.4, place + 0.4], color=INK, linewidth=1.6)
        end = max(low, layer["cores"]) + 0.03 * largest
        axes.text(end, place, f"{layer['cores']:,}", va="center", fontsize=9)
    axes.set_yticks(range(len(layers)), [short(layer["layer"], 20) for layer in layers])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * largest)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.set_title("bar: as a compiler packs; mark: the least", fontsize=9, color=MUTED)
    axes.set_xlabel("neurocores")
    return figure


@styled
def energy_range(rows: Sequence[dict[str, Any]]) -> Figure:
    """Dynamic energy and, where static energy is known, the total of every row, on one log axis.

    Parameters
    ----------
    rows : sequence of dict
        With ``device``, ``level``, ``dynamic_nj``, ``static_nj`` and ``total_nj``, as in the
        section ``energy``; rows of level ``"reference"`` are grey.
    """
    rows = [row for row in rows if row["total_nj"] > 0]
    figure = new_figure(1.5 + 0.42 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = GREY if row["level"] == "reference" else BLUE
        ends = {row["dynamic_nj"], row["total_nj"]}
        axes.plot(sorted(ends), [place] * len(ends), color=colour, linewidth=1.4, zorder=1)
        if row["dynamic_nj"] > 0:
            axes.plot(row["dynamic_nj"], place, "o", color=colour, markersize=7)
        if row["static_nj"] is not None:
            axes.plot(
                row["total_nj"], place, "o", markersize=7, markeredgewidth=1.6,
                markeredgecolor=ORANGE, markerfacecolor=PAPER,
            )  # fmt: skip
    names = [_named(row) for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: energy_text(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelrotation=30)
    axes.grid(axis="x")
    keys = [
        Line2D([], [], marker="o", linestyle="", color=BLUE, label="dynamic"),
        Line2D(
            [], [], marker="o", linestyle="", markeredgecolor=ORANGE, markerfacecolor=PAPER,
            label="with static",
        ),
        Line2D([], [], marker="o", linestyle="", color=GREY, label="for comparison"),
    ]  # fmt: skip
    figure.legend(handles=keys, loc="outside upper center", ncols=3, handlelength=1)
    return figure


def _named(row: dict[str, Any]) -> str:
    level = "" if row["level"] == "reference" else f"{row['level']}: "
    words, lines = f"{level}{row['device']}".split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 24 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines[:2]) + ("…" if len(lines) > 2 else "")
