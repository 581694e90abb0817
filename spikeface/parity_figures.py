"""Figure of one hop: where two runs differ, and the neuron in which they part.

>>> to_svg(hop_figure(hop), salt="float-quantised")
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hardware.analysis.hops import Hop, Picture
from spikeface.figure_style import BLUE, GRID, INK, MUTED, ORANGE, PAPER, new_figure, short, styled

LAYERS_NAMED = 24  # more layers than this are not named one by one


@styled
def hop_figure(hop: Hop) -> Figure:
    """Share of differing neurons per layer and step above the voltage of one neuron."""
    n_layers = len(hop.differing)
    height = 0.9 + 0.2 * min(max(n_layers, 3), LAYERS_NAMED)
    figure = new_figure(height + 2.3)
    upper, lower = figure.subplots(2, 1, height_ratios=(height, 2.0))
    _differing(upper, hop)
    if hop.picture.voltages:
        _voltages(lower, hop, hop.picture.voltages)
    else:
        _messages(lower, hop)
    _neuron(lower, hop.picture)
    return figure


def _differing(axes: Axes, hop: Hop) -> None:
    shares = np.stack(list(hop.differing.values()))
    largest = shares.max()
    colours = LinearSegmentedColormap.from_list("share", [PAPER, ORANGE])
    image = axes.imshow(
        shares, cmap=colours, vmin=0, vmax=largest or 1, aspect="auto", interpolation="none"
    )
    if len(shares) <= LAYERS_NAMED:
        axes.set_yticks(range(len(shares)), [short(name) for name in hop.differing])
    else:
        axes.set_ylabel("layer")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[:].set_visible(True)
    if largest:
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
        axes.set_title(f"share of neurons that differ, up to {largest:.2g}", color=MUTED)
    else:
        axes.set_title("share of neurons that differ: none, in any layer and step", color=MUTED)


def _voltages(axes: Axes, hop: Hop, voltages: tuple[np.ndarray, np.ndarray]) -> None:
    steps = np.arange(len(voltages[0]))
    axes.axhline(1, color=MUTED, linestyle=(0, (4, 2)), linewidth=1)
    axes.plot(steps, voltages[0], color=BLUE, linewidth=3.2, alpha=0.55, label=hop.expected)
    axes.plot(steps, voltages[1], color=INK, linewidth=1.1, label=hop.found)
    for at, (run, colour) in enumerate(zip(hop.picture.spikes, (BLUE, INK), strict=True)):
        fired = np.flatnonzero(run)
        axes.plot(fired, np.full(len(fired), 1.12 + 0.1 * at), "|", color=colour, markersize=7)
    axes.set_ylabel("voltage / threshold")


def _messages(axes: Axes, hop: Hop) -> None:
    for run, colour, width, label in zip(
        hop.picture.spikes, (BLUE, INK), (3.2, 1.1), (hop.expected, hop.found), strict=True
    ):
        axes.step(np.arange(len(run)), run, where="mid", color=colour, linewidth=width, label=label)
    axes.set_ylabel("message")


def _neuron(axes: Axes, picture: Picture) -> None:
    neuron = ", ".join(map(str, picture.neuron))
    title = f"{short(picture.population)}, neuron ({neuron}), sample {picture.sample}"
    if picture.step is None:
        title += ", the busiest of the output"
    else:
        axes.axvline(picture.step, color=ORANGE, linewidth=1.4)
        title += f"; they part at step {picture.step}"
    axes.set_title(title, fontsize=9, color=MUTED)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=GRID)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.28), ncols=2)
