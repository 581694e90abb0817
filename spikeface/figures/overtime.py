"""Figure of activity over time: which share of a layer's neurons sends in each step.

>>> to_svg(activity_over_time({"conv1": [0, 12.5, 40]}, {"conv1": 800}), salt="time")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikeface.figures.style import BLUE, new_figure, styled
from spikeface.text.numbers import short

LAYERS_NAMED = 32  # more layers than this are not named one by one


@styled
def activity_over_time(
    over_time: Mapping[str, Sequence[float]], neurons: Mapping[str, int]
) -> Figure:
    """A row a layer, a column a step, darker where more of its neurons send.

    Parameters
    ----------
    over_time : mapping of str to sequence of float
        Mean messages of each step, by layer; the layers may see different numbers of steps.
    neurons : mapping of str to int
        Neurons of each of these layers.
    """
    steps = max(len(counts) for counts in over_time.values())
    shares = np.full((len(over_time), max(steps, 1)), np.nan)
    for row, (name, counts) in enumerate(over_time.items()):
        shares[row, : len(counts)] = np.asarray(counts, float) / neurons[name]
    largest = float(np.nanmax(shares, initial=0)) or 1.0
    figure = new_figure(1.2 + 0.26 * min(max(len(over_time), 3), LAYERS_NAMED))
    axes = figure.subplots()
    # Only the opacity changes, so that the page shows through in its own colour.
    colours = LinearSegmentedColormap.from_list("share", [f"{BLUE}00", BLUE])
    image = axes.imshow(
        shares, cmap=colours, vmin=0, vmax=largest, aspect="auto", interpolation="none"
    )
    if len(over_time) <= LAYERS_NAMED:
        axes.set_yticks(range(len(over_time)), [short(name) for name in over_time])
    else:
        axes.set_ylabel("layer")
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(True)
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, ticks=[0, largest])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value else "0")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("time step, counted from 0")
    return figure
