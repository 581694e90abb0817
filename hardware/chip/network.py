"""ChipNetwork: a spiking network in integers, as a graph of populations and synapses.

What a network means is *layerwise*: a population sees the messages of its source in the step in
which they were sent, plus the delay of the synapse. The chip adds one step per synapse; backends
realise the layerwise meaning by letting every population start when its own first input arrives
(`ChipNetwork.depth` steps late) and by delaying paths that skip populations. Populations stand in
topological order; a synapse that leads back to its own or an earlier population is recurrent and
needs a delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hardware.chip.graph import (
    INPUT,
    READOUTS,
    Graph,
    Readout,
    source_problems,
    wiring_problems,
)
from hardware.chip.populations import Population
from hardware.chip.registers import PAYLOAD_BITS_MAX
from hardware.chip.synapses import Direct, Synapse
from hardware.errors import NetworkFormatError


@dataclass(frozen=True, kw_only=True)
class ChipNetwork(Graph[Population, Synapse]):
    """Integers only: what runs on every backend.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    input_bits : int
        0 for binary spikes, n for signed values below ``2**n`` in size.
    populations : tuple of Population
        In topological order; the last one is the output.
    synapses : tuple of Synapse
    readout : {"spike_count", "membrane"}
        How the output population answers: the sum of its messages over the steps, or its voltage
        after the last step.
    metadata : dict
        Plain values that travel with the network: ``dt_us``, ``classes``, where it came from.

    Raises
    ------
    NetworkFormatError
        With all problems of the network, by population name.
    """

    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]
    input_bits: int = 0
    readout: Readout = "spike_count"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [p for population in self.populations for p in population.problems()]
        problems = problems or _graph_problems(self)
        if problems:
            raise NetworkFormatError("not a valid chip network:\n  " + "\n  ".join(problems))

    def source_shape(self, synapse: Synapse) -> tuple[int, ...]:
        """Shape of what a synapse reads."""
        return self.shape_of(synapse.sources[0])

    @cached_property
    def stages(self) -> tuple[tuple[Population, ...], ...]:
        """Populations that must be stepped together because of recurrent synapses, in order.

        A stage of one population without a recurrent synapse can run all its steps at once.
        """
        back = [
            (self.order[s.target], max(self.order[source] for source in s.sources))
            for s in self.synapses
            if self.is_recurrent(s)
        ]
        stages: list[tuple[Population, ...]] = []
        start = 0
        while start < len(self.populations):
            end = start
            while grown := [last for first, last in back if first <= end < last]:
                end = max(grown)
            stages.append(self.populations[start : end + 1])
            start = end + 1
        return tuple(stages)

    @cached_property
    def depth(self) -> dict[str, int]:
        """Latency in steps that the chip adds between the input and each population.

        One per synapse on the longest path; writing a register directly adds none.
        """
        depth = {INPUT: 0}
        for population in self.populations:
            depth[population.name] = max(
                (
                    s.LATENCY + max(depth[source] for source in s.sources)
                    for s in self.incoming(population.name)
                    if not self.is_recurrent(s)
                ),
                default=0,
            )
        return depth

    @cached_property
    def fan_out(self) -> tuple[np.ndarray, ...]:
        """For each synapse, how many nonzero weights each source neuron drives: int64, flat."""
        return tuple(s.fan_out(self.source_shape(s)).ravel() for s in self.synapses)


def _graph_problems(network: ChipNetwork) -> list[str]:
    found = []
    if not network.populations:
        return ["there is no population"]
    if network.readout not in READOUTS:
        found.append(f"readout must be one of {READOUTS}, got {network.readout!r}")
    if network.readout == "membrane" and "v" not in network.output.STATES:
        found.append(f"{network.output.name}: a {network.output.KIND} has no membrane to read out")
    if not 0 <= network.input_bits <= PAYLOAD_BITS_MAX:
        found.append(f"input_bits must lie in [0, {PAYLOAD_BITS_MAX}], got {network.input_bits}")
    found += wiring_problems(network)
    if found:
        return found
    for population in network.populations:
        incoming = network.incoming(population.name)
        if not incoming:
            found.append(f"{population.name}: no synapse leads into it")
        for synapse in incoming:
            found += [f"{synapse.edge}: {p}" for p in _synapse_problems(network, synapse)]
    return found


def _synapse_problems(network: ChipNetwork, synapse: Synapse) -> list[str]:
    target = network[synapse.target]
    if synapse.port not in target.PORTS:
        return [f"a {target.KIND} has the ports {target.PORTS}, not {synapse.port!r}"]
    if synapse.port == "bias" and not isinstance(synapse, Direct):
        return ["only a direct synapse can write a bias"]
    if found := source_problems(network, synapse) or synapse.problems():
        return found
    shape = network.source_shape(synapse)
    produced = synapse.target_shape(shape)
    if produced != target.shape:
        weight = getattr(synapse, "weight", None)
        what = "a direct synapse" if weight is None else f"weights of shape {weight.shape}"
        return [
            f"{what} on a source of shape {shape} give {produced or 'nothing'}, "
            f"the target has {target.shape}"
        ]
    if network.is_recurrent(synapse) and synapse.delays[0] < 1:
        return ["it leads back to an earlier population and needs a delay of at least 1 step"]
    return []
