"""Figures of one sample on its way through the network: what came in, and who spiked when.

>>> to_svg(spike_raster(input_spikes, layers, classes=names, label=2), salt="raster")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spikeface.figures.style import (
    GREY,
    GRID,
    MUTED,
    ORANGE,
    new_figure,
    styled,
)
from spikeface.text.numbers import compact, short

MANY_LAYERS = 10  # more than so many are drawn flat
RASTER_NEURONS = 32  # rows of a layer; of more that spike a fixed random choice is shown
FRAMES_SHOWN = 12
STRIP_COLUMNS = 3
STEPS_WITH_LINES = 32  # up to so many steps a line separates each from the next
# Images keep their colours when the page is dark, so they have their own.
EMPTY, OFF, ON, BOTH = "#f2f4f6", "#0b62a4", "#e58e00", "#2b3036"
SPIKE = "#2b83c6"


@styled
def input_strip(frames: np.ndarray) -> Figure:
    """The input of one sample, step after step, ON and OFF in two colours.

    Parameters
    ----------
    frames : ndarray of shape (T, 2, H, W)
        Zeros and ones; channel 0 holds the pixels that became darker, 1 brighter. Of more than
        ``FRAMES_SHOWN`` steps evenly spaced ones are shown.
    """
    steps = np.unique(np.linspace(0, len(frames) - 1, FRAMES_SHOWN).round().astype(int))
    columns, rows = STRIP_COLUMNS, -(-len(steps) // STRIP_COLUMNS)
    _, _, height, width = frames.shape
    figure = new_figure(0.5 + rows * (0.25 + 4.5 / columns * height / width))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, step in zip(grid.flat, steps, strict=False):
        axes.imshow(polarity_image(frames[step], full=1), interpolation="none")
        axes.set_title(f"step {step}", fontsize=9, loc="center", pad=3)
    figure.legend(
        handles=[
            Patch(facecolor=ON, edgecolor=MUTED, label="brighter"),
            Patch(facecolor=OFF, edgecolor=MUTED, label="darker"),
            Patch(facecolor=BOTH, edgecolor=MUTED, label="both"),
        ],
        loc="outside upper center",
        ncols=3,
        handlelength=1,
    )
    return figure


@styled
def spike_raster(
    frames: np.ndarray,
    layers: Mapping[str, np.ndarray],
    *,
    classes: Sequence[str],
    label: int,
    membrane: np.ndarray | None = None,
) -> Figure:
    """Input events per step, and below them the spikes of each layer over time.

    Parameters
    ----------
    frames : ndarray of shape (T, ...)
        Input spikes, zeros and ones.
    layers : mapping of str to ndarray of shape (T, ...)
        Spikes of each layer; the last layer is the output, a neuron a class.
    classes : sequence of str
    label : int
        The true class.
    membrane : ndarray of shape (T, classes), optional
        Of an output layer that is read by it; drawn in place of its spikes.
    """
    *hidden, output = layers
    row = 0.18 if membrane is None else 0.26
    figure, last = _raster(frames, {name: layers[name] for name in hidden}, row * len(classes))
    if membrane is None:
        _output_panel(last, layers[output].reshape(len(frames), -1), output, classes, label)
    else:
        _membrane_panel(last, membrane.reshape(len(frames), -1), output, classes, label)
    _time_axis(last, len(frames))
    return figure


@styled
def message_raster(frames: np.ndarray, layers: Mapping[str, np.ndarray]) -> Figure:
    """Input events per step, and below them the messages of each layer over time, of any network.

    Parameters
    ----------
    frames : ndarray of shape (T, ...)
        Input messages, whole numbers.
    layers : mapping of str to ndarray of shape (T, ...)
        Messages of each layer; whatever is not 0 is drawn.
    """
    figure, last = _raster(frames, layers, None)
    _time_axis(last, len(frames))
    return figure


def _raster(
    frames: np.ndarray, layers: Mapping[str, np.ndarray], below: float | None
) -> tuple[Figure, Axes]:
    """Panels of the input and of `layers`, one of height `below` if asked for; and the last."""
    many = len(layers) > MANY_LAYERS
    heights = [0.6, *(0.3 if many else 0.75 for _ in layers)]
    heights += [] if below is None else [below]
    figure = new_figure(0.7 + 1.3 * sum(heights))
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    n_steps = len(frames)
    events = np.count_nonzero(frames.reshape(n_steps, -1), axis=1)
    panels[0].bar(range(n_steps), events, width=0.85, color=GREY)
    panels[0].set_title("input: events per step", fontsize=9)
    panels[0].yaxis.set_major_locator(MaxNLocator(2, integer=True))
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    for axes, (name, spikes) in zip(panels[1:], layers.items(), strict=False):
        _hidden_panel(axes, spikes.reshape(n_steps, -1), name)
    return figure, panels[-1]


def _time_axis(axes: Axes, n_steps: int) -> None:
    axes.set_xlim(-0.5, n_steps - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("time step, counted from 0")


def polarity_image(counts: np.ndarray, *, full: int) -> np.ndarray:
    """Events as colours: ON, OFF, both; the more, up to `full`, the stronger.

    Parameters
    ----------
    counts : ndarray of shape (2, H, W)
        Events per polarity (OFF first) and pixel.
    full : int
        Events of a pixel that give it the full colour.

    Returns
    -------
    image : ndarray of float, shape (H, W, 3)
    """
    off, on = counts
    hue = np.where((on > off)[..., None], to_rgb(ON), to_rgb(OFF))
    hue = np.where(((on == off) & (on > 0))[..., None], to_rgb(BOTH), hue)
    strength = np.clip((on + off) / full, 0, 1)[..., None]
    return strength * hue + (1 - strength) * np.array(to_rgb(EMPTY))


def _hidden_panel(axes: Axes, spikes: np.ndarray, name: str) -> None:
    active = np.flatnonzero(spikes.any(axis=0))
    # Random, because evenly spaced neurons would often share a column of their map.
    chosen = np.random.default_rng(0).permutation(active)[:RASTER_NEURONS]
    shown = f", {len(chosen)} shown" if len(chosen) < len(active) else ""
    title = f"{short(name, 24)}: {len(active):,} of {spikes.shape[1]:,} neurons spike{shown}"
    axes.set_title(title, fontsize=9)
    if len(active):
        _show_spikes(axes, spikes[:, np.sort(chosen)])
    axes.set_yticks([])


def _output_panel(
    axes: Axes, spikes: np.ndarray, name: str, classes: Sequence[str], label: int
) -> None:
    _show_spikes(axes, spikes)
    axes.set_title(f"{short(name)}: spikes of each class (▸ marks the true one)", fontsize=9)
    names = [f"▸ {short(c)}" if i == label else short(c) for i, c in enumerate(classes)]
    axes.set_yticks(range(len(classes)), names)
    axes.get_yticklabels()[label].set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.axhspan(label - 0.5, label + 0.5, color=ORANGE, alpha=0.2, linewidth=0)
    for neuron, count in enumerate(spikes.sum(axis=0)):
        axes.annotate(
            str(int(count)),
            (1, neuron),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=MUTED,
        )


def _membrane_panel(
    axes: Axes, membrane: np.ndarray, name: str, classes: Sequence[str], label: int
) -> None:
    axes.set_title(f"{short(name, 24)}: membrane of each class (▸ marks the true one)", fontsize=9)
    for neuron, values in enumerate(membrane.T):
        is_true = neuron == label
        axes.plot(values, color=ORANGE if is_true else GREY, linewidth=1.6 if is_true else 0.8)
    axes.set_yticks([])
    # Names beside the last values, moved apart to stay legible.
    low, high = axes.get_ylim()
    order = np.argsort(membrane[-1], kind="stable")
    gap = (high - low) / len(classes)
    places = np.linspace(low + gap / 2, high - gap / 2, len(classes))
    for place, neuron in zip(places, order, strict=True):
        axes.annotate(
            f"▸ {short(classes[neuron])}" if neuron == label else short(classes[neuron]),
            (len(membrane) - 1, membrane[-1, neuron]),
            xycoords="data",
            xytext=(1.03, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=MUTED,
            arrowprops={"arrowstyle": "-", "color": GRID, "linewidth": 0.6},
        )


def _show_spikes(axes: Axes, spikes: np.ndarray) -> None:
    """Spikes as an image: transparent where nothing happens, small for any number of them."""
    image = np.zeros((*spikes.T.shape, 4))
    image[spikes.T != 0] = (*to_rgb(SPIKE), 1)
    axes.imshow(image, aspect="auto", interpolation="none", zorder=2)
    if len(spikes) <= STEPS_WITH_LINES:
        for step in range(1, len(spikes)):
            axes.axvline(step - 0.5, color=GRID, linewidth=0.6, zorder=1)
