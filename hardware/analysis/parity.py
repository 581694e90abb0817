"""Do two runs of the same network agree, and if not, where do they part first?

Two runs are compared spike by spike, population by population in the order of the network. The
first population that differs is where the cause is: everything behind it only follows.

>>> divergence = first_divergence(network, simulator_run, lava_run)
>>> print(divergence or "equal")
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.backends.backend import ChipRun, every
from hardware.chip.network import ChipNetwork
from hardware.errors import HardwareError


@dataclass(frozen=True)
class Divergence:
    """The first spike in which two runs differ.

    Parameters
    ----------
    population : str
        First population, in the order of the network, that differs anywhere.
    sample, step : int
        First step in which it differs, and the first sample that differs there; from 0.
    neuron : tuple of int
        ``(c, y, x)`` or ``(f,)``.
    expected, found : int
        What the two runs say there.
    differing : dict of str to int
        Number of differing spikes in each population that differs.
    backends : tuple of str
        Names of the two backends.
    """

    population: str
    sample: int
    step: int
    neuron: tuple[int, ...]
    expected: int
    found: int
    differing: dict[str, int]
    backends: tuple[str, str]

    def __str__(self) -> str:
        expected, found = self.backends
        return (
            f"{expected} and {found} part first in layer {self.population!r} at step {self.step} "
            f"(sample {self.sample}, neuron {self.neuron}): {expected} has {self.expected}, "
            f"{found} has {self.found}; differing spikes per layer: {self.differing}"
        )


def first_divergence(network: ChipNetwork, expected: ChipRun, found: ChipRun) -> Divergence | None:
    """Where two runs of one network part first, or None when every spike is equal.

    Parameters
    ----------
    network : ChipNetwork
    expected, found : ChipRun
        Runs of the same samples with ``every(network, "spikes")`` among their probes.

    Raises
    ------
    HardwareError
        When a run lacks spike traces or the runs have different samples.
    """
    differing = {}
    for probe in every(network, "spikes"):
        if probe not in expected.traces or probe not in found.traces:
            raise HardwareError(f"parity needs the spikes of {probe[0]!r} from both runs as probes")
        first, second = expected.traces[probe], found.traces[probe]
        if first.shape != second.shape:
            raise HardwareError(
                f"the runs are of different samples or steps: {first.shape[:2]}, {second.shape[:2]}"
            )
        differing[probe[0]] = int(np.count_nonzero(first != second))
    differing = {name: count for name, count in differing.items() if count}
    if not differing:
        return None
    population = next(iter(differing))
    first, second = (run.traces[population, "spikes"] for run in (expected, found))
    by_step = np.moveaxis(first != second, 1, 0)  # step, sample, neuron
    step, sample, *neuron = (int(i) for i in np.argwhere(by_step)[0])
    where = (sample, step, *neuron)
    return Divergence(
        population=population,
        sample=sample,
        step=step,
        neuron=tuple(neuron),
        expected=int(first[where]),
        found=int(second[where]),
        differing=differing,
        backends=(expected.backend, found.backend),
    )
