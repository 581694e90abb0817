"""What networks in integers and in floats share as graphs of populations and synapses.

Populations stand in topological order; a synapse that leads back to its own or an earlier one is
recurrent.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cached_property
from typing import Generic, Literal, Protocol, TypeVar, get_args

from hardware.chip.registers import NEURONS_MAX

INPUT = "input"
Readout = Literal["spike_count", "membrane"]
READOUTS = get_args(Readout)


class Node(Protocol):
    """A population."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class Edge(Protocol):
    """A synapse."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def target(self) -> str: ...
    @property
    def edge(self) -> str: ...


P = TypeVar("P", bound=Node)
S = TypeVar("S", bound=Edge)


class Graph(Generic[P, S]):
    """Look-ups by name, order and direction; a network adds what its parts mean."""

    input_shape: tuple[int, ...]
    populations: tuple[P, ...]
    synapses: tuple[S, ...]

    def __getitem__(self, name: str) -> P:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, P]:
        return {population.name: population for population in self.populations}

    @cached_property
    def order(self) -> dict[str, int]:
        """Position of each population, the input at -1."""
        return {INPUT: -1} | {p.name: i for i, p in enumerate(self.populations)}

    @property
    def output(self) -> P:
        """The population that is read out."""
        return self.populations[-1]

    def incoming(self, name: str) -> tuple[S, ...]:
        """The synapses that lead into a population."""
        return self._incoming[name]

    @cached_property
    def _incoming(self) -> dict[str, tuple[S, ...]]:
        return {
            p.name: tuple(s for s in self.synapses if s.target == p.name) for p in self.populations
        }

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of a population or of the ``"input"``."""
        return self.input_shape if name == INPUT else self[name].shape

    def is_recurrent(self, synapse: S) -> bool:
        """Whether a synapse leads back to its own or an earlier population."""
        return max(self.order[s] for s in synapse.sources) >= self.order[synapse.target]


def wiring_problems(graph: Graph[P, S]) -> list[str]:
    """What is wrong with the shape of the input, the names and the ends of synapses, in words."""
    found = []
    if len(graph.input_shape) not in (1, 3) or min(graph.input_shape, default=0) < 1:
        found.append(f"input_shape must be (C, H, W) or (F,), got {graph.input_shape}")
    elif math.prod(graph.input_shape) > NEURONS_MAX:
        found.append(f"input_shape {graph.input_shape} has more than {NEURONS_MAX} neurons")
    names = Counter([INPUT, *(p.name for p in graph.populations)])
    found += [f"{name}: the name is taken twice" for name, n in sorted(names.items()) if n > 1]
    for synapse in graph.synapses:
        unknown = [n for n in (*synapse.sources, synapse.target) if n not in names]
        if unknown or not synapse.sources or synapse.target == INPUT:
            found.append(f"synapse {synapse.edge}: known populations are {list(names)}")
    return found


def source_problems(graph: Graph[P, S], synapse: S) -> list[str]:
    """Sources that add up must have one shape."""
    shapes = {graph.shape_of(source) for source in synapse.sources}
    if len(shapes) > 1:
        return [f"sources that add up must have one shape, got {sorted(shapes)}"]
    return []
