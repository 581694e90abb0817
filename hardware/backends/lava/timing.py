"""When a message is where, on Lava's pipeline: what makes it mean what a ChipNetwork means.

Lava's synapses add one step each, so population ``p`` sees frame ``f`` of the input (from 1) in
Lava's step ``f + depth[p]``. A synapse with delay ``D`` must deliver what its source sent in frame
``f`` in the target's frame ``f + D``; its messages therefore wait, before the weights,

    depth[target] - depth[source] - 1 + offset      steps, offset <= D

and after the weights ``D - offset`` steps in Lava's own delay buffers. The offset is 0 on the way
forward; on the way back it is what the pipeline takes of the delay, and a delay that is shorter
than that cannot be had. Convolutions have no buffers in Lava: they wait whole, ``offset = D``.

This module does not import Lava.

>>> route(network, synapse).waits
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hardware.chip.network import ChipNetwork
from hardware.chip.synapses import Conv, Synapse


@dataclass(frozen=True)
class Clock:
    """The steps of something that is ``late`` steps behind the input.

    Parameters
    ----------
    late : int
    period : int
        Steps of a sample, when samples follow each other without a break; 0 for one sample that
        has no end (pipelined time).
    """

    late: int
    period: int

    def step(self, time_step: int) -> int:
        """Step of the sample, from 0, in Lava's step ``time_step``, from 1."""
        step = time_step - 1 - self.late
        return step % self.period if self.period else step

    def begins(self, time_step: int) -> bool:
        """Whether a sample begins, and the one before is to be forgotten."""
        return bool(self.period) and self.step(time_step) == 0

    def left(self, time_step: int) -> float:
        """Steps that remain in the sample after this one."""
        return self.period - 1 - self.step(time_step) if self.period else math.inf


@dataclass(frozen=True)
class Route:
    """How long the messages of a synapse wait.

    Parameters
    ----------
    waits : tuple of int
        Steps before the weights, for each source; negative where no chip is fast enough.
    offset : int
        How much of the synapse's delays is spent there.
    """

    waits: tuple[int, ...]
    offset: int


def route(network: ChipNetwork, synapse: Synapse) -> Route:
    """The waiting times of a synapse."""
    depth = network.depth
    lags = [depth[synapse.target] - depth[source] - synapse.LATENCY for source in synapse.sources]
    offset = synapse.delays[0] if isinstance(synapse, Conv) else max(0, -min(lags))
    return Route(tuple(lag + offset for lag in lags), offset)


def receiver_clock(network: ChipNetwork, synapse: Synapse, period: int) -> Clock:
    """The clock of the weights: which step's messages they receive."""
    late = network.depth[synapse.target] - synapse.LATENCY + route(network, synapse).offset
    return Clock(late, period)


def timing_problem(network: ChipNetwork, synapse: Synapse) -> str | None:
    """Why a synapse cannot be had in time, or None."""
    path = route(network, synapse)
    missing = max(path.offset - synapse.delays[0], -min(path.waits))
    if missing <= 0:
        return None
    shortest = synapse.delays[0]
    return (
        f"a delay of {shortest} is too short, the way back takes {shortest + missing} steps of "
        "Lava's pipeline; use a longer delay"
    )
