"""One interface to everything that can run a ChipNetwork, and the record of a run.

Callers never ask which backend they hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hardware.chip.network import INPUT, ChipNetwork
from hardware.errors import NetworkFormatError

Progress = Callable[[int], None]
VARIABLES = ("spikes", "u", "v")


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here: ``state`` and, in words, why or why not."""

    state: Literal["available", "not installed", "not reachable"]
    reason: str

    def __bool__(self) -> bool:
        return self.state == "available"


@dataclass(frozen=True, kw_only=True)
class ChipRun:
    """What came out of a run of N samples.

    Parameters
    ----------
    output : ndarray of int64, shape (N, F)
        Spike count of each output neuron.
    spikes : dict of str to ndarray of int64, shape (N,)
        Spikes emitted by each population and by the ``"input"``.
    synops : dict of str to ndarray of int64, shape (N,)
        Synaptic operations per *target* population: a spike counts once for each nonzero
        synapse it drives.
    traces : dict of (population, variable) to ndarray, shape (N, T, ...)
        The probes that were asked for.
    wall_s : float
        Time the backend took, in seconds.
    backend : str
    versions : dict of str to str
    """

    output: np.ndarray
    spikes: Mapping[str, np.ndarray]
    synops: Mapping[str, np.ndarray]
    traces: Mapping[tuple[str, str], np.ndarray]
    wall_s: float
    backend: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def prediction(self) -> np.ndarray:
        """Index of the output neuron with most spikes (the first of equals), int64, shape (N,)."""
        return self.output.argmax(axis=1)


class Backend(ABC):
    """Something that runs a ChipNetwork."""

    name: str

    @abstractmethod
    def is_available(self) -> Availability:
        """Whether it can run here, and why or why not. Never raises."""

    @abstractmethod
    def run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        *,
        probes: Iterable[tuple[str, str]] = (),
        progress: Progress | None = None,
    ) -> ChipRun:
        """Run every sample from a fresh state.

        Parameters
        ----------
        network : ChipNetwork
        spikes : ndarray of integers, shape (N, T, C, H, W) or (N, T, F)
            Input spikes, 0 or 1.
        probes : iterable of (population, variable)
            Traces to keep; variables are ``"spikes"``, ``"u"`` and ``"v"``.
        progress : callable, optional
            Called with the number of samples finished since the last call.

        Raises
        ------
        NetworkFormatError
            When spikes or probes do not fit the network.
        BackendUnavailableError, BackendRunError, UnsupportedNetworkError
        """


def every(network: ChipNetwork, variable: str) -> tuple[tuple[str, str], ...]:
    """Probes for one variable of every population."""
    return tuple((population.name, variable) for population in network.populations)


def check_request(
    network: ChipNetwork, spikes: np.ndarray, probes: Iterable[tuple[str, str]]
) -> None:
    """Refuse spikes and probes that do not fit the network, all problems in one error."""
    problems = []
    if spikes.ndim < 2 or spikes.shape[2:] != network.input_shape:
        problems.append(
            f"spikes must have shape (N, T, {', '.join(map(str, network.input_shape))}), "
            f"got {spikes.shape}"
        )
    elif 0 in spikes.shape:
        problems.append(f"there is nothing to run: spikes have shape {spikes.shape}")
    if not (np.issubdtype(spikes.dtype, np.integer) or spikes.dtype == bool):
        problems.append(f"spikes must be integers or bool, got {spikes.dtype}")
    elif spikes.size and (spikes.min() < 0 or spikes.max() > 1):
        problems.append(f"spikes must be 0 or 1, got [{spikes.min()}, {spikes.max()}]")
    names = [p.name for p in network.populations]
    problems += [
        f"there is no {variable!r} of {name!r} to probe; populations are {names}, "
        f"variables {list(VARIABLES)}"
        for name, variable in probes
        if name not in names or variable not in VARIABLES
    ]
    if problems:
        raise NetworkFormatError("the run does not fit the network:\n  " + "\n  ".join(problems))


def count_operations(
    network: ChipNetwork, spikes: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Spikes per population and synaptic operations per target population.

    Parameters
    ----------
    spikes : mapping of population name (and ``"input"``) to ndarray, shape (N, T, ...)

    Returns
    -------
    spike_counts, synops : dict of str to ndarray of int64, shape (N,)
    """
    per_neuron = {
        name: s.sum(axis=1, dtype=np.int64).reshape(len(s), -1) for name, s in spikes.items()
    }
    synops = {p.name: np.zeros(len(spikes[INPUT]), np.int64) for p in network.populations}
    for synapse, fan_out in zip(network.synapses, network.fan_out, strict=True):
        synops[synapse.target] += per_neuron[synapse.source] @ fan_out
    return {name: s.sum(axis=1) for name, s in per_neuron.items()}, synops
