"""Do two runs of the same network agree, and if not, where do they part first?

Two runs are compared message by message. Populations are taken in the order of the network, those
of a recurrent loop together: the first step of the first that differs is where the cause is, and
everything behind it only follows.

>>> divergence = first_divergence(network, simulator_run, lava_run)
>>> print(divergence or "equal")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hardware.backends.backend import every, spoken
from hardware.chip.network import ChipNetwork
from hardware.errors import HardwareError


class Traced(Protocol):
    """What a run must show to be compared: its name and its traces, shape (N, T, ...)."""

    @property
    def backend(self) -> str:
        """Name of what ran."""

    @property
    def traces(self) -> Mapping[tuple[str, str], np.ndarray]:
        """By population and variable."""


@dataclass(frozen=True)
class Divergence:
    """The first message, or state, in which two runs differ.

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
        Number of neurons and steps that differ, of each population that differs.
    backends : tuple of str
        Names of the two backends.
    variable : str
        What differs there, ``"spikes"`` for messages.
    """

    population: str
    sample: int
    step: int
    neuron: tuple[int, ...]
    expected: int
    found: int
    differing: dict[str, int]
    backends: tuple[str, str]
    variable: str = "spikes"

    @property
    def place(self) -> tuple[int, ...]:
        """Index into a trace."""
        return (self.sample, self.step, *self.neuron)

    def __str__(self) -> str:
        expected, found = self.backends
        return (
            f"{expected} and {found} part first in layer {self.population!r} at step {self.step} "
            f"(sample {self.sample}, neuron {self.neuron}): {self.variable} {self.expected} in "
            f"{expected}, {self.found} in {found}; differing per layer: {self.differing}"
        )


def first_divergence(
    network: ChipNetwork,
    expected: Traced,
    found: Traced,
    *,
    probes: Iterable[tuple[str, str]] | None = None,
) -> Divergence | None:
    """Where two runs of one network part first, or None when they are equal.

    Parameters
    ----------
    network : ChipNetwork
    expected, found : ChipRun or FloatRun
        Runs of the same samples.
    probes : iterable of (population, variable), optional
        What to compare; both runs must have been asked for it. Default: ``spoken(network)``, every
        message and a membrane that is the answer.

    Raises
    ------
    HardwareError
        When a run lacks a trace or the runs have different samples.
    """
    variables: dict[str, list[str]] = {}
    for name, variable in spoken(network) if probes is None else probes:
        variables.setdefault(name, []).append(variable)
    differs = {
        name: np.logical_or.reduce([_differs(name, v, expected, found) for v in compared])
        for name, compared in variables.items()
    }
    counts = {name: int(np.count_nonzero(d)) for name, d in differs.items()}
    counts = {name: count for name, count in counts.items() if count}
    for stage in network.stages:
        places = [_first(differs[p.name]) for p in stage if p.name in counts]
        if not places:
            continue
        names = [p.name for p in stage if p.name in counts]
        step, index = min((place[0], i) for i, place in enumerate(places))
        population, (_, sample, *neuron) = names[index], places[index]
        where = (sample, step, *neuron)
        variable = next(
            v
            for v in variables[population]
            if _at(expected, population, v, where) != _at(found, population, v, where)
        )
        return Divergence(
            population=population,
            sample=sample,
            step=step,
            neuron=tuple(neuron),
            expected=_at(expected, population, variable, where),
            found=_at(found, population, variable, where),
            differing=counts,
            backends=(expected.backend, found.backend),
            variable=variable,
        )
    return None


def differing_share(network: ChipNetwork, expected: Traced, found: Traced) -> dict[str, np.ndarray]:
    """Share of neurons whose message differs, per population and step: float64 (T,)."""
    shares = {}
    for name, _ in every(network, "spikes"):
        differs = _differs(name, "spikes", expected, found)
        shares[name] = np.moveaxis(differs, 1, 0).reshape(differs.shape[1], -1).mean(axis=1)
    return shares


def history(
    run: Traced, name: str, variable: str, sample: int, neuron: tuple[int, ...]
) -> np.ndarray:
    """A variable of one neuron in every step, shape (T,)."""
    place: tuple = (sample, slice(None), *neuron)
    return run.traces[name, variable][place]


def _at(run: Traced, name: str, variable: str, where: tuple[int, ...]) -> int:
    return int(run.traces[name, variable][where])


def _differs(name: str, variable: str, expected: Traced, found: Traced) -> np.ndarray:
    probe = (name, variable)
    if probe not in expected.traces or probe not in found.traces:
        raise HardwareError(f"parity needs the {variable} of {name!r} from both runs as probes")
    first, second = expected.traces[probe], found.traces[probe]
    if first.shape != second.shape:
        raise HardwareError(
            f"the runs are of different samples or steps: {first.shape[:2]}, {second.shape[:2]}"
        )
    return first != second


def _first(differs: np.ndarray) -> tuple[int, ...]:
    """``(step, sample, *neuron)`` of the earliest difference."""
    by_step = np.moveaxis(differs, 1, 0)
    step = int(by_step.reshape(len(by_step), -1).any(axis=1).argmax())
    place = np.unravel_index(by_step[step].argmax(), by_step.shape[1:])
    return (step, *(int(i) for i in place))
