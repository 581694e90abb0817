"""Accuracy against what it costs: every group a mark, the undominated ones of a kind joined.

>>> to_svg(pareto(groups), salt="pareto")
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from spikeface.comparison.groups import Group, comparable, cost_of, dominated_by
from spikeface.figures.style import BLUE, GREY, INK, MUTED, ORANGE, new_figure, styled
from spikeface.text.numbers import compact, short

LEAST_SPAN = 0.1
TOUCHING = 1.08, 0.004  # ratio of costs and difference of accuracies of marks that share a label
KINDS = {"spiking": (BLUE, "o"), "artificial": (ORANGE, "s")}


@styled
def pareto(groups: Sequence[Group]) -> Figure:
    """Accuracy against operations and against estimated energy, both on logarithmic axes.

    Numbers name the groups below the picture; pale marks are dominated within their kind.
    """
    shown = [g for g in comparable(groups) if g.operations or g.energy_nj]
    figure = new_figure(6.6 + 0.19 * len(shown))
    above, below = figure.subplots(2, 1)
    for axes, cost, label in (
        (above, "operations", "synaptic operations, or MACs, a recording"),
        (below, "energy", "estimated dynamic energy a recording, µJ"),
    ):
        _panel(axes, shown, cost)
        axes.set(xlabel=label, ylabel="test accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y")
    above.set_title("circles: spiking, squares: artificial; pale: dominated", color=MUTED, size=9)
    lines = [f"{place + 1}  {short(group.name, 60)}" for place, group in enumerate(shown)]
    figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=7.5, color=INK)
    return figure


def _panel(axes: Axes, shown: Sequence[Group], cost: str) -> None:
    marks: list[tuple[float, float, str]] = []
    for kind, (colour, mark) in KINDS.items():
        front = []
        for place, group in enumerate(shown):
            value = cost_of(group, cost)
            if group.kind != kind or not value:
                continue
            scale = 1e-3 if cost == "energy" else 1.0
            pale = bool(dominated_by(group, shown, cost))
            x, y = value * scale, group.accuracy
            if cost == "energy" and group.energy_nj is not None:
                axes.plot([group.energy_nj[0] * scale, x], [y, y], color=colour, linewidth=1)
            if (std := group.std("accuracy")) is not None:
                axes.plot([x, x], [y - std, y + std], color=INK, linewidth=1)
            axes.plot([x], [y], mark, color=colour, alpha=0.35 if pale else 1, markersize=7)
            marks.append((x, y, str(place + 1)))
            if not pale:
                front.append((x, y))
        xs, ys = zip(*sorted(front), strict=True) if front else ((), ())
        axes.plot(xs, ys, color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    _number(axes, marks)
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.15)
    left, right = axes.get_xlim()
    plain = FuncFormatter(lambda value, _: compact(value))
    axes.xaxis.set_major_formatter(plain)
    # Within a decade no power of ten may be in sight.
    axes.xaxis.set_minor_formatter(plain if right < 10 * left else NullFormatter())
    if right < 10 * left:
        axes.xaxis.set_minor_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    low, high = axes.get_ylim()
    wider = max(0.0, LEAST_SPAN - (high - low)) / 2  # so that a point of difference looks small
    axes.set_ylim(low - wider, high + wider)


def _number(axes: Axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """Write the numbers of groups beside their marks, those of marks that touch as one."""
    labels: list[tuple[float, float, str]] = []
    for x, y, number in marks:
        for place, (known_x, known_y, text) in enumerate(labels):
            if max(x / known_x, known_x / x) < TOUCHING[0] and abs(y - known_y) < TOUCHING[1]:
                labels[place] = known_x, known_y, f"{text}, {number}"
                break
        else:
            labels.append((x, y, number))
    for x, y, text in labels:
        axes.annotate(text, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
