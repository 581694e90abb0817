"""Draws ``docs/timeline.svg``: when the layers of a network spike, in each way of counting steps.

    .venv/bin/python docs/draw_timeline.py

The spikes are those of a real run: three layers, a path that skips the second, a bias in the third.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Dense
from spikeface.figures.style import BLUE, GREY, GRID, INK, MUTED, ORANGE, PAPER, styled, to_svg

OUT = Path(__file__).with_name("timeline.svg")
STEPS, SAMPLES = 8, 2
NEURONS = 4  # of every row
SAMPLE_COLOURS = (BLUE, ORANGE)
BIAS = np.array([20, 26, 34, 42], np.int32)  # of the third layer, in units of its weights
LAYERS = (INPUT, "layer 1", "layer 2", "layer 3")


def network() -> ChipNetwork:
    """Three layers of four neurons; the third hears the first and the second, and has a bias."""
    rng = np.random.default_rng(5)
    shape = (NEURONS,)
    first, second, third = LAYERS[1:]

    def synapse(source: str, target: str, largest: int = 45) -> Dense:
        weight = 2 * rng.integers(-10, largest, (NEURONS, NEURONS)).astype(np.int32)
        return Dense(sources=(source,), target=target, weight=weight)

    return ChipNetwork(
        input_shape=shape,
        populations=(
            Cuba(name=first, shape=shape, du=4096, dv=1024, vth=50),
            Cuba(name=second, shape=shape, du=4096, dv=1024, vth=60),
            Cuba(name=third, shape=shape, du=4096, dv=1024, vth=90, bias_mant=BIAS, bias_exp=6),
        ),
        synapses=(
            synapse(INPUT, first),
            synapse(first, second),
            synapse(second, third, 16),
            synapse(first, third, 16),
        ),
    )


def samples() -> np.ndarray:
    """Two samples of random spikes, shape (2, steps, neurons)."""
    rng = np.random.default_rng(1)
    return (rng.random((SAMPLES, STEPS, NEURONS)) < 0.4).astype(np.int32)


def layerwise(chip: ChipNetwork, spikes: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes by layer, each in the step in which it was sent: (samples, steps, neurons)."""
    run = Simulator().run(chip, spikes, probes=every(chip, "spikes"))
    return {INPUT: spikes} | {name: run.traces[name, "spikes"] for name in LAYERS[1:]}


def pipelined(chip: ChipNetwork, sample: np.ndarray) -> dict[str, np.ndarray]:
    """The same of one sample in a chip's steps, nothing reset: (steps + depth, neurons)."""
    late = max(chip.depth.values())
    padded = np.concatenate([sample, np.zeros((late, NEURONS), np.int32)])[None]
    run = Simulator(timing="pipelined").run(chip, padded, probes=every(chip, "spikes"))
    return {INPUT: padded[0]} | {name: run.traces[name, "spikes"][0] for name in LAYERS[1:]}


@styled
def timeline() -> Figure:
    """Three panels: what a network means, a bare pipeline, and the pipeline with resets."""
    chip, spikes = network(), samples()
    meant = layerwise(chip, spikes)
    figure = Figure(figsize=(8.2, 7.0), layout="constrained", facecolor=PAPER)
    panels = figure.subplots(3, 1)
    _frame(panels[0], STEPS, "What a network means: every layer sees a spike in its own step")
    _frame(panels[1], STEPS + 3, "A bare pipeline: a step later each layer, and biases do not wait")
    _frame(
        panels[2],
        SAMPLES * STEPS + 3,
        "As Lava is run here: each layer is reset (▸) when its own first step arrives",
    )
    for row, name in enumerate(LAYERS):
        _window(panels[0], row, 0, STEPS, BLUE)
        _spikes(panels[0], row, meant[name][0], 0, BLUE)
    bare = pipelined(chip, spikes[0])
    for row, name in enumerate(LAYERS):
        late = chip.depth[name]
        _window(panels[1], row, late, STEPS, BLUE)
        _spikes(panels[1], row, bare[name][:late], 0, INK)
        own, expected = bare[name][late : late + STEPS], meant[name][0]
        _spikes(panels[1], row, own & expected, late, BLUE)
        _spikes(panels[1], row, own & (1 - expected), late, INK)
        _spikes(panels[1], row, expected & (1 - own), late, BLUE, missing=True)
        _spikes(panels[1], row, bare[name][late + STEPS :], late + STEPS, INK)
    for row, name in enumerate(LAYERS):
        late = chip.depth[name]
        for number, colour in enumerate(SAMPLE_COLOURS):
            start = late + number * STEPS
            _window(panels[2], row, start, STEPS, colour)
            _spikes(panels[2], row, meant[name][number], start, colour)
            if row:
                panels[2].text(start - 0.42, row - 0.33, "▸", color=MUTED, fontsize=9)
    note = "black: spikes that are not meant\nrings: spikes that are missing"
    panels[1].text(11.2, len(LAYERS) - 0.6, note, fontsize=9, color=MUTED)
    panels[2].set_xlabel("time step, counted from 0 (blue: first sample, orange: second)")
    return figure


def _frame(axes: Axes, steps: int, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlim(-0.6, SAMPLES * STEPS + 2.6)
    axes.set_ylim(len(LAYERS) - 0.45, -0.55)
    axes.set_yticks(range(len(LAYERS)), LAYERS)
    axes.set_xticks(range(steps))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(-0.5, steps - 0.5)
    for step in range(steps + 1):
        axes.axvline(step - 0.5, color=GRID, linewidth=0.6, zorder=0)


def _window(axes: Axes, row: int, start: int, steps: int, colour: str) -> None:
    axes.add_patch(
        Rectangle((start - 0.5, row - 0.42), steps, 0.84, facecolor=colour, alpha=0.1, zorder=1)
    )
    axes.plot([start - 0.5] * 2, [row - 0.42, row + 0.42], color=GREY, linewidth=1.2, zorder=2)


def _spikes(
    axes: Axes, row: int, sent: np.ndarray, start: int, colour: str, *, missing: bool = False
) -> None:
    steps, neurons = np.nonzero(sent)
    height = row + 0.7 * ((neurons + 0.5) / NEURONS - 0.5)
    axes.scatter(
        start + steps, height, s=13, linewidths=1.1, zorder=3,
        edgecolors=colour, facecolors="none" if missing else colour,
    )  # fmt: skip


if __name__ == "__main__":
    OUT.write_text(to_svg(timeline(), salt="timeline"), encoding="utf-8")
