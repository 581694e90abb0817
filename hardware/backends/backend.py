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
from hardware.chip.synapses import Synapse
from hardware.errors import (
    BackendUnavailableError,
    NetworkFormatError,
    UnsupportedNetworkError,
)

Progress = Callable[[int], None]
Probe = tuple[str, str]  # a population and one of its variables
Timing = Literal["layerwise", "pipelined"]
"""How a backend counts steps.

``layerwise``: a population sees a message in the step in which it was sent; this is what a network
means. ``pipelined``: as on the chip, population p is `ChipNetwork.depth` steps late and starts to
integrate its bias before its first input arrives; traces are in the chip's steps.
"""


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here: ``state`` and, in words, why or why not."""

    state: Literal["available", "not installed", "not reachable"]
    reason: str

    def __bool__(self) -> bool:
        return self.state == "available"

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, kw_only=True)
class ChipRun:
    """What came out of a run of N samples.

    Parameters
    ----------
    output : ndarray of int64, shape (N, F)
        What the network's readout says of each output neuron: the sum of its messages, or its
        voltage after the last step.
    spikes : dict of str to ndarray of int64, shape (N,)
        Messages sent by each population and by the ``"input"``, whatever their value.
    synops : dict of str to ndarray of int64, shape (N,)
        Synaptic operations per *target* population: a message counts once for each nonzero
        synapse it drives.
    macs : dict of str to ndarray of int64, shape (N,)
        Those of the synaptic operations that multiply, see `multiplies`; the others only add.
    traces : dict of (population, variable) to ndarray, shape (N, T, ...)
        The probes that were asked for; ``"spikes"`` are the messages, states are those at the end
        of a step, after resets.
    wall_s : float
        Time the backend took, in seconds.
    backend : str
    versions : dict of str to str
    processes : tuple of str
        What the backend built the network of, where that is a choice.
    """

    output: np.ndarray
    spikes: Mapping[str, np.ndarray]
    synops: Mapping[str, np.ndarray]
    traces: Mapping[tuple[str, str], np.ndarray]
    wall_s: float
    backend: str
    macs: Mapping[str, np.ndarray] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[str, ...] = ()

    @property
    def prediction(self) -> np.ndarray:
        """Index of the largest output (the first of equals), int64, shape (N,)."""
        return self.output.argmax(axis=1)


class Backend(ABC):
    """Something that runs a ChipNetwork."""

    name: str

    @abstractmethod
    def is_available(self) -> Availability:
        """Whether it can run here, and why or why not. Never raises."""

    def run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        *,
        probes: Iterable[Probe] = (),
        progress: Progress | None = None,
    ) -> ChipRun:
        """Run every sample from a fresh state.

        Parameters
        ----------
        network : ChipNetwork
        spikes : ndarray of integers, shape (N, T, C, H, W) or (N, T, F)
            Input spikes, 0 or 1, or values of the network's ``input_bits``.
        probes : iterable of (population, variable)
            Traces to keep; variables are ``"spikes"`` and the states of the population's model.
        progress : callable, optional
            Called with the number of samples finished since the last call.

        Raises
        ------
        NetworkFormatError
            When spikes or probes do not fit the network.
        BackendUnavailableError, BackendRunError, UnsupportedNetworkError
        """
        probes = tuple(probes)
        check_request(network, spikes, probes)
        self.check(network)
        if not (availability := self.is_available()):
            raise BackendUnavailableError(str(availability))
        return self._run(network, spikes, probes, progress)

    @abstractmethod
    def check(self, network: ChipNetwork) -> None:
        """Refuse what this backend cannot run, all of it in one error.

        Raises
        ------
        UnsupportedNetworkError
        """

    @abstractmethod
    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        """Run what has been checked."""


def every(network: ChipNetwork, variable: str) -> tuple[tuple[str, str], ...]:
    """Probes for one variable of every population."""
    return tuple((population.name, variable) for population in network.populations)


def spoken(network: ChipNetwork) -> tuple[tuple[str, str], ...]:
    """Probes for everything a network says: all messages, and a membrane that is its answer."""
    answer = ((network.output.name, "v"),) if network.readout == "membrane" else ()
    return (*every(network, "spikes"), *answer)


def variables_of(network: ChipNetwork) -> dict[str, tuple[str, ...]]:
    """What can be probed of each population."""
    return {p.name: ("spikes", *p.STATES) for p in network.populations}


def lag(network: ChipNetwork, synapse: Synapse, source: str, timing: Timing) -> int:
    """Steps between a source's message and its arrival at the weights, delays not counted.

    In pipelined time populations are late by their depth, so messages of a source that is less
    late wait until its partners have spoken.
    """
    if timing == "layerwise":
        return 0
    return network.depth[synapse.target] - network.depth[source]


def check_timing(network: ChipNetwork, timing: Timing) -> None:
    """Refuse recurrent synapses whose delay is shorter than the way through the chip."""
    problems = []
    for synapse in network.synapses:
        shortest = synapse.delays[0] + min(
            lag(network, synapse, s, timing) for s in synapse.sources
        )
        if network.is_recurrent(synapse) and shortest < 1:
            problems.append(
                f"{synapse.edge}: a delay of {synapse.delays[0]} is too short, the way back takes "
                f"the chip {synapse.delays[0] + 1 - shortest} steps"
            )
    if problems:
        raise UnsupportedNetworkError(
            "no chip can run this in time; use longer delays or layerwise timing:\n  "
            + "\n  ".join(problems)
        )


def read_out(network: ChipNetwork, traces: Mapping[tuple[str, str], np.ndarray]) -> np.ndarray:
    """The output of a run, int64 (N, F), from the traces of its output population."""
    name = network.output.name
    if network.readout == "membrane":
        return traces[name, "v"][:, -1].reshape(len(traces[name, "v"]), -1).astype(np.int64)
    messages = traces[name, "spikes"]
    return messages.sum(axis=1, dtype=np.int64).reshape(len(messages), -1)


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
    elif spikes.size:
        low, high = int(spikes.min()), int(spikes.max())
        limit = 1 << network.input_bits
        if max(-low, high) >= max(limit, 2) or (network.input_bits == 0 and low < 0):
            allowed = f"below {limit} in size" if network.input_bits else "0 or 1"
            problems.append(f"spikes must be {allowed}, got [{low}, {high}]")
    problems += [
        f"there is no {variable!r} of {name!r} to probe; there are {variables_of(network)}"
        for name, variable in probes
        if variable not in variables_of(network).get(name, ())
    ]
    if problems:
        raise NetworkFormatError("the run does not fit the network:\n  " + "\n  ".join(problems))


def multiplies(network: ChipNetwork, synapse: Synapse, source: str) -> bool:
    """Whether a source's messages are multiplied with weights: values other than -1, 0 and 1.

    The rule of NeuroBench 2.3: an operation is an accumulation if all inputs are -1, 0 or 1, else
    a multiply-accumulate. Here it is asked of what a source can send, not of what it happened to.
    """
    if not getattr(synapse, "message_bits", 0):
        return False
    return network.input_bits > 1 if source == INPUT else network[source].sends_values


def count_operations(
    network: ChipNetwork, spikes: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Spikes per population and synaptic operations per target population.

    Parameters
    ----------
    spikes : mapping of population name (and ``"input"``) to ndarray, shape (N, T, ...)

    Returns
    -------
    spike_counts, synops, macs : dict of str to ndarray of int64, shape (N,)
    """
    sent = {
        name: np.count_nonzero(s, axis=1).astype(np.int64).reshape(len(s), -1)
        for name, s in spikes.items()
    }
    synops = {p.name: np.zeros(len(spikes[INPUT]), np.int64) for p in network.populations}
    macs = {name: zeros.copy() for name, zeros in synops.items()}
    for synapse, fan_out in zip(network.synapses, network.fan_out, strict=True):
        for source in synapse.sources:
            operations = sent[source] @ fan_out
            synops[synapse.target] += operations
            if multiplies(network, synapse, source):
                macs[synapse.target] += operations
    return {name: s.sum(axis=1) for name, s in sent.items()}, synops, macs
