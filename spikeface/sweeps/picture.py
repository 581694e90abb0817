"""``summary.png``: the accuracy of each group with every run as a dot.

>>> write_picture(Path("summary.png"), group_results(results))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from spikeface.figures.style import BLUE, GREY, INK, MUTED, ORANGE, new_figure, styled
from spikeface.outputs import writing
from spikeface.sweeps.results import Group
from spikeface.text.numbers import short

MOST_GROUPS = 60  # that one picture can show
DPI = 160


def write_picture(path: Path, groups: Sequence[Group]) -> None:
    """Write the picture once a run has finished."""
    shown = [group for group in groups if group.values(_measure(group))][:MOST_GROUPS]
    if shown:
        with writing(path) as temporary:
            accuracy_dots(shown).savefig(temporary, format="png", dpi=DPI)


@styled
def accuracy_dots(groups: Sequence[Group]) -> Figure:
    """A row a group: a dot a run, a bar at the mean, a line one standard deviation either way.

    Beside them the best trivial classifier of the same runs, and chance.
    """
    figure = new_figure(1.2 + 0.4 * len(groups))
    axes = figure.subplots()
    for place, group in enumerate(groups):
        measure = _measure(group)
        values = group.values(measure)
        mean, std = group.mean(measure) or 0.0, group.std(measure) or 0.0
        # Runs of the same accuracy lie beside each other, in the order of the plan.
        heights = place + 0.24 * ((np.arange(len(values)) + 0.5) / len(values) - 0.5)
        axes.plot([mean - std, mean + std], [place, place], color=INK, linewidth=1.4)
        axes.plot([mean, mean], [place - 0.26, place + 0.26], color=INK, linewidth=2)
        axes.plot(values, heights, "o", color=BLUE, markersize=5, alpha=0.75, markeredgewidth=0)
        references = [v for n in _reference_names(group) if (v := group.reference(n)) is not None]
        if references:
            axes.plot(
                [max(references)] * 2, [place - 0.26, place + 0.26], color=GREY, lw=3, zorder=1
            )
    for chance in sorted({group.chance for group in groups if group.chance is not None}):
        axes.axvline(chance, color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.6)
    axes.set_title(
        "dot: a run; bar: mean ± std; grey: best trivial\nclassifier; dashed: chance",
        fontsize=9,
        color=MUTED,
    )
    kinds = sorted({group.answers for group in groups})
    names = [
        short(group.name, 22) + (f"\n({group.answers})" if len(kinds) > 1 else "")
        for group in groups
    ]
    axes.set_yticks(range(len(groups)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(f"test accuracy, {' or '.join(kinds)} network")
    return figure


def _measure(group: Group) -> str:
    return f"{group.answers}_accuracy"


def _reference_names(group: Group) -> list[str]:
    return list(dict.fromkeys(name for result in group.finished for name in result.references))
