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
from spikeface.figures.style import BLUE, GRID, INK, MUTED, ORANGE, new_figure, styled
from spikeface.text.numbers import short

LAYERS_NAMED = 24  # more layers than this are not named one by one
TRACKS = (1.13, 1.05)  # of spikes, expected and found: above the plot, which is 1 high
COLOURS, WIDTHS = (BLUE, INK), (3.2, 1.1)  # of the expected and of the found run


@styled
def hop_figure(hop: Hop) -> Figure:
    """Voltage of one neuron, below the share of differing neurons per layer and step, if any."""
    shares = np.stack(list(hop.differing.values()))
    if shares.any():
        height = 0.9 + 0.2 * min(max(len(shares), 3), LAYERS_NAMED)
        figure = new_figure(height + 2.9)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(height, 2.4))
        _differing(upper, shares, list(hop.differing))
        _marker(upper, hop.picture)
    else:
        figure = new_figure(3.3)
        lower = figure.subplots()
    if hop.picture.voltages:
        _voltages(lower, hop, hop.picture.voltages)
    else:
        _messages(lower, hop)
    _marker(lower, hop.picture)
    _neuron(lower, hop.picture)
    lower.set_xlim(-0.5, shares.shape[1] - 0.5)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def _differing(axes: Axes, shares: np.ndarray, layers: list[str]) -> None:
    # Only the opacity changes, so that the page shows through in its own colour.
    colours = LinearSegmentedColormap.from_list("share", [f"{BLUE}00", BLUE])
    largest = shares.max()
    image = axes.imshow(
        shares, cmap=colours, vmin=0, vmax=largest, aspect="auto", interpolation="none"
    )
    if len(layers) <= LAYERS_NAMED:
        axes.set_yticks(range(len(layers)), [short(name) for name in layers])
    else:
        axes.set_ylabel("layer")
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(True)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, ticks=[0, largest])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
    axes.set_title("share of neurons that differ", fontsize=9, color=MUTED)


def _marker(axes: Axes, picture: Picture) -> None:
    """The step in which the runs part."""
    if picture.step is not None:
        axes.axvline(picture.step, color=ORANGE, linewidth=1.4, zorder=1.5)


def _voltages(axes: Axes, hop: Hop, voltages: tuple[np.ndarray, np.ndarray]) -> None:
    axes.axhline(1, color=MUTED, linestyle=(0, (4, 2)), linewidth=1)
    for run, colour, width, label in zip(
        voltages, COLOURS, WIDTHS, (hop.expected, hop.found), strict=True
    ):
        axes.plot(run, color=colour, linewidth=width, label=label)
    axes.set_ylabel("voltage / threshold", fontsize=9)
    for run, colour, track in zip(hop.picture.spikes, COLOURS, TRACKS, strict=True):
        axes.plot([0, 1], [track, track], color=GRID, transform=axes.transAxes, clip_on=False)
        fired = np.flatnonzero(run)
        axes.plot(
            fired,
            np.full(len(fired), track),
            "|",
            color=colour,
            markersize=6,
            markeredgewidth=1.4,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            in_layout=False,  # a line without points would count as one at the origin
            zorder=3,
        )
    axes.text(
        -0.02,
        sum(TRACKS) / 2,
        "spikes",
        ha="right",
        va="center",
        fontsize=9,
        transform=axes.transAxes,
    )


def _messages(axes: Axes, hop: Hop) -> None:
    for run, colour, width, label in zip(
        hop.picture.spikes, COLOURS, WIDTHS, (hop.expected, hop.found), strict=True
    ):
        axes.step(np.arange(len(run)), run, where="mid", color=colour, linewidth=width, label=label)
    axes.set_ylabel("message")


def _neuron(axes: Axes, picture: Picture) -> None:
    """Say which neuron it is, in two short lines: long names must not reach the edge."""
    neuron = ", ".join(map(str, picture.neuron))
    why = (
        "the busiest of the output" if picture.step is None else f"they part at step {picture.step}"
    )
    title = f"{short(picture.population)}, neuron ({neuron})\nsample {picture.sample}; {why}"
    pad = 27 if picture.voltages else 6
    axes.set_title(title, fontsize=9, color=MUTED, pad=pad)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=GRID)
