"""What the simulator prepares of a network once: layouts, projections, the order of work."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from hardware.backends.backend import Timing, multiplies
from hardware.backends.simulator.level_kernel import level_parameters
from hardware.backends.simulator.neuron_kernels import cuba_parameters, is_exact
from hardware.backends.simulator.projections import INT32_SUMS, Layout, Projection, project
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels, Population


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Populations that run together.

    Parameters
    ----------
    populations : tuple of Population
    before, between : tuple of Projection
        Those whose sources have finished when the stage starts, and those within it.
    finished : tuple of str
        Populations whose messages nobody needs after this stage.
    """

    populations: tuple[Population, ...]
    before: tuple[Projection, ...]
    between: tuple[Projection, ...]
    finished: tuple[str, ...]


class Plan:
    """A network made ready for the simulator.

    Attributes
    ----------
    layouts : dict of str to Layout
        Of the input and each population.
    stages : tuple of Stage
    fan_out : dict of str to list of (str, ndarray of float64, shape (width,), bool)
        For each source, the populations it drives, the synapses per source neuron, and whether
        they multiply.
    """

    def __init__(self, network: ChipNetwork, timing: Timing) -> None:
        self.input_bits = network.input_bits
        self.readout = network.readout
        self.populations = {p.name: p for p in network.populations}
        self.output = network.output
        self.local_start = {
            name: network.depth[name] if timing == "pipelined" else 0 for name in self.populations
        }
        joins_others = any(INPUT in s.sources and len(s.sources) > 1 for s in network.synapses)
        self.layouts = {INPUT: Layout(shape=network.input_shape, channels_last=joins_others)} | {
            name: Layout(shape=p.shape) for name, p in self.populations.items()
        }
        projections = project(network, self.layouts, timing)
        self.bounds: dict[tuple[str, str], float] = {}
        for p in projections:
            key = p.target, p.port
            self.bounds[key] = self.bounds.get(key, 0) + p.bound
        self.ports = {
            p.name: {
                port: self.input_dtype(p.name, port)
                for port in p.PORTS
                if port == "input" or (p.name, port) in self.bounds
            }
            for p in network.populations
        }
        self.cuba_tables = {
            p.name: cuba_parameters(p) for p in network.populations if isinstance(p, Cuba)
        }
        self.level_tables = {
            p.name: level_parameters(p) for p in network.populations if isinstance(p, Levels)
        }
        self.fan_out = self._fan_out(network)
        self.stages = tuple(self._stages(network, projections))

    def _fan_out(self, network: ChipNetwork) -> dict[str, list[tuple[str, np.ndarray, bool]]]:
        found: dict[str, list[tuple[str, np.ndarray, bool]]] = {name: [] for name in self.layouts}
        for synapse, per_neuron in zip(network.synapses, network.fan_out, strict=True):
            for source in synapse.sources:
                layout = self.layouts[source]
                row = np.zeros(layout.width)
                row[: layout.size] = layout.pack(per_neuron.reshape(layout.shape))
                found[source].append((synapse.target, row, multiplies(network, synapse, source)))
        return found

    def _stages(self, network: ChipNetwork, projections: tuple[Projection, ...]) -> list[Stage]:
        stages: list[Stage] = []
        for populations in network.stages:
            names = {p.name for p in populations}
            incoming = [p for p in projections if p.target in names]
            later = {
                source
                for p in projections
                if network.order[p.target] > network.order[populations[-1].name]
                for source, _ in p.sources
            }
            known = {name for stage in stages for name in stage.finished}
            done = [
                name
                for name, place in network.order.items()
                if place <= network.order[populations[-1].name] and name not in later | known
            ]
            between = [p for p in incoming if any(name in names for name, _ in p.sources)]
            stages.append(
                Stage(
                    populations=populations,
                    before=tuple(p for p in incoming if p not in between),
                    between=tuple(between),
                    finished=tuple(done),
                )
            )
        return stages

    def input_dtype(self, name: str, port: str) -> type:
        """Of the summed input of a port."""
        return np.int32 if self.bounds.get((name, port), 0) < INT32_SUMS else np.int64

    def fits_kernel(self, name: str, steps: int) -> bool:
        """Whether the kernel for CUBA neurons is exact for this population."""
        population = self.populations[name]
        if not isinstance(population, Cuba) or np.int64 in self.ports[name].values():
            return False
        bias = (self.bounds.get((name, "bias"), 0) + 4096) * 2**population.bias_exp
        return is_exact(self.bounds.get((name, "input"), 0), bias, steps)

    def dtype(self, name: str, variable: str) -> type:
        """Of a trace."""
        population = self.populations[name]
        if variable == "spikes":
            return np.int64 if population.GRADED else np.uint8
        return np.int64

    def sample_bytes(self, steps: int) -> int:
        """About the memory that one sample needs, traces not counted."""
        messages = sum(
            self.layouts[name].width * np.dtype(self.dtype(name, "spikes")).itemsize
            for name in self.populations
        )
        inputs = max(
            sum(
                self.layouts[p.name].width * np.dtype(dtype).itemsize
                for p in stage.populations
                for dtype in self.ports[p.name].values()
            )
            for stage in self.stages
        )
        return steps * (self.layouts[INPUT].width + messages + inputs)


class Plans:
    """Plans of networks that are alive; networks hold arrays and have no hash."""

    def __init__(self) -> None:
        self.plans: dict[tuple[int, Timing], Plan] = {}

    def __call__(self, network: ChipNetwork, timing: Timing) -> Plan:
        key = id(network), timing
        if key not in self.plans:
            self.plans[key] = Plan(network, timing)
            weakref.finalize(network, self.plans.pop, key, None)
        return self.plans[key]


plan_for = Plans()
