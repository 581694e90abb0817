"""The specification, executed: every population of every sample, one step after the other.

Slow and plain on purpose. It walks the graph with the pure functions of `hardware.chip` and knows
nothing else, so that faster engines have something to be equal to.

>>> run = Reference(strict=True).run(network, spikes, probes=every(network, "spikes"))
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from hardware.backends.backend import (
    Availability,
    Backend,
    ChipRun,
    Probe,
    Progress,
    Timing,
    check_timing,
    count_operations,
    lag,
    read_out,
)
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.neurons import Faults
from hardware.chip.populations import Population
from hardware.chip.synapses import Synapse, Weighted
from hardware.chip.synaptic_input import exceeds_payload
from hardware.errors import ArithmeticFaultError

Traces = dict[tuple[str, str], list[np.ndarray]]


class Reference(Backend):
    """Runs a ChipNetwork with the functions of the specification.

    Parameters
    ----------
    timing : {"layerwise", "pipelined"}
        See `hardware.backends.backend.Timing`.
    strict : bool
        Raise `ArithmeticFaultError` where the chip would wrap, saturate or cut a value.
    """

    name = "reference"

    def __init__(self, *, timing: Timing = "layerwise", strict: bool = False) -> None:
        self.timing: Timing = timing
        self.strict = strict

    def is_available(self) -> Availability:
        """Always: it needs numpy only."""
        return Availability("available", f"numpy {np.__version__}")

    def check(self, network: ChipNetwork) -> None:
        """Refuse loops that are too short for the chip's own time."""
        check_timing(network, self.timing)

    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        started = time.perf_counter()
        wanted = {*probes, *((p.name, "spikes") for p in network.populations)}
        samples = []
        for index, sample in enumerate(spikes):
            walk = Walk(network, self.timing, strict=self.strict, sample=index)
            samples.append(walk.run(sample, wanted))
            if progress:
                progress(1)
        traces = {key: np.stack([np.stack(s[key]) for s in samples]) for key in samples[0]}
        emitted = {
            name: trace for (name, variable), trace in traces.items() if variable == "spikes"
        }
        counts, synops, macs = count_operations(network, {INPUT: spikes, **emitted})
        return ChipRun(
            output=read_out(network, traces),
            spikes=counts,
            synops=synops,
            macs=macs,
            traces={probe: traces[probe] for probe in probes},
            wall_s=time.perf_counter() - started,
            backend=self.name,
            versions={"numpy": np.__version__},
        )


class Walk:
    """One sample on its way through the network."""

    def __init__(self, network: ChipNetwork, timing: Timing, *, strict: bool, sample: int) -> None:
        self.network = network
        self.strict = strict
        self.sample = sample
        self.lags = {
            (s, source): lag(network, synapse, source, timing)
            for s, synapse in enumerate(network.synapses)
            for source in synapse.sources
        }
        self.local_start = {
            p.name: network.depth[p.name] if timing == "pipelined" else 0
            for p in network.populations
        }
        self.readers = defaultdict(list)
        for s, synapse in enumerate(network.synapses):
            for source in synapse.sources:
                self.readers[source].append((s, synapse))
        # Messages on their way into the weights, and inputs on their way into a population, by
        # the step in which they arrive.
        self.values: dict[tuple[int, int], list[np.ndarray]] = defaultdict(list)
        self.inputs: dict[tuple[str, str, int], np.ndarray] = {}

    def run(self, frames: np.ndarray, wanted: set[tuple[str, str]]) -> Traces:
        """Traces of all wanted variables, one array per step."""
        traces: Traces = {key: [] for key in wanted}
        traces[self.network.output.name, "v"] = []
        states = {p.name: p.initial_state() for p in self.network.populations}
        for step, frame in enumerate(frames):
            self._send(INPUT, frame, step)
            for p in self.network.populations:
                if p.resets_at(step - self.local_start[p.name]):
                    states[p.name] = p.initial_state()
                message, states[p.name], faults = p.step(states[p.name], self._collect(p, step))
                self._check(p.name, faults, step)
                self._send(p.name, message, step)
                _record(traces, p.name, message, states[p.name])
        return {key: values for key, values in traces.items() if values}

    def _collect(self, population: Population, step: int) -> dict[str, np.ndarray]:
        zeros = np.zeros(population.shape, np.int64)
        return {
            port: self.inputs.pop((population.name, port, step), zeros) for port in population.PORTS
        }

    def _send(self, source: str, message: np.ndarray, step: int) -> None:
        """Hand a message to its synapses; weigh it once all their sources have spoken."""
        for s, synapse in self.readers[source]:
            at = step + self.lags[s, source]
            self.values[s, at].append(message.astype(np.int64))
            speaking = [x for x in synapse.sources if at - self.lags[s, x] >= 0]
            if len(self.values[s, at]) == len(speaking):
                self._weigh(s, synapse, at)

    def _weigh(self, s: int, synapse: Synapse, at: int) -> None:
        total = np.sum(self.values.pop((s, at)), axis=0)
        if isinstance(synapse, Weighted) and synapse.message_bits:
            over = exceeds_payload(total, synapse.message_bits)
            self._check(synapse.edge, {f"payload over {synapse.message_bits} bits": over}, at)
        for delay, a, wrapped in synapse.arrivals(synapse.read(total)):
            self._check(synapse.edge, {"sum wrapped": wrapped}, at)
            key = (synapse.target, synapse.port, at + delay)
            self.inputs[key] = self.inputs.get(key, 0) + a

    def _check(self, name: str, faults: Faults, step: int) -> None:
        if not self.strict:
            return
        for what, where in faults.items():
            if where.any():
                neuron = tuple(int(i) for i in np.argwhere(where)[0])
                raise ArithmeticFaultError(name, what, neuron, step, self.sample)


def _record(traces: Traces, name: str, message: np.ndarray, state: NamedTuple) -> None:
    for variable, value in (("spikes", message), *state._asdict().items()):
        if (name, variable) in traces:
            traces[name, variable].append(value)
