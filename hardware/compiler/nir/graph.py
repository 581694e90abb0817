"""NIR graphs as plain tables: nested graphs laid flat, populations put in order, problems gathered.

Some exporters nest graphs, others write dotted names; here a nested node ``b`` of ``a`` is
``a.b``. Loops are allowed: the order of populations is one in which only loops lead backwards.

>>> graph = FlatGraph.of(nir_graph, problems)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import nir

from hardware.chip.network import INPUT
from hardware.compiler.nir.file import UnknownNode
from hardware.errors import NetworkFormatError, UnsupportedNetworkError


@dataclass
class Problems:
    """What is wrong with a network, collected while it is read."""

    malformed: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)

    def raise_if_any(self) -> None:
        """One error with everything in it."""
        lines = list(dict.fromkeys([*self.unsupported, *self.malformed]))
        if lines:
            kind = UnsupportedNetworkError if self.unsupported else NetworkFormatError
            raise kind("cannot map this network:\n  " + "\n  ".join(lines))


# -- the graph -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlatGraph:
    """Nodes by name and what feeds them; inner inputs and outputs pass on what they get."""

    nodes: dict[str, nir.NIRNode]
    feeds: dict[str, tuple[str, ...]]
    source: str
    sink: str

    @staticmethod
    def of(graph: nir.NIRGraph, problems: Problems) -> FlatGraph:
        """Lay a graph flat; refuse one without exactly one input and one output."""
        nodes: dict[str, nir.NIRNode] = {}
        edges: dict[tuple[str, str], None] = {}
        _inline(graph, "", nodes, edges, problems)
        ends = {
            kind: [n for n, node in graph.nodes.items() if isinstance(node, kind)]
            for kind in (nir.Input, nir.Output)
        }
        for kind, names in ends.items():
            if len(names) != 1:
                problems.unsupported.append(
                    f"the graph needs one {kind.__name__} node, it has {names or 'none'}"
                )
        problems.raise_if_any()
        feeds = {name: tuple(a for a, b in edges if b == name) for name in nodes}
        flat = FlatGraph(nodes, feeds, ends[nir.Input][0], ends[nir.Output][0])
        flat._check_connected(problems)
        return flat

    def _check_connected(self, problems: Problems) -> None:
        readers = {name: [n for n, before in self.feeds.items() if name in before] for name in self}
        forward = _reachable(self.source, readers)
        backward = _reachable(self.sink, self.feeds)
        for name in self:
            if name not in backward:
                problems.unsupported.append(f"{name}: leads nowhere, not to the output")
            elif name not in forward:
                problems.unsupported.append(f"{name}: nothing from the input reaches it")

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def readers(self, name: str) -> list[str]:
        """Names of the nodes that a node feeds."""
        return [n for n, before in self.feeds.items() if name in before]


def _inline(
    graph: nir.NIRGraph,
    prefix: str,
    nodes: dict[str, nir.NIRNode],
    edges: dict[tuple[str, str], None],
    problems: Problems,
) -> None:
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner = f"{prefix}{name}."
            _inline(node, inner, nodes, edges, problems)
            entries[name] = [f"{inner}{n}" for n, x in node.nodes.items() if type(x) is nir.Input]
            exits[name] = [f"{inner}{n}" for n, x in node.nodes.items() if type(x) is nir.Output]
        else:
            # Exporters write None for a module that they cannot name.
            known = isinstance(node, nir.NIRNode)
            nodes[f"{prefix}{name}"] = node if known else UnknownNode(kind=type(node).__name__)
            entries[name] = exits[name] = [f"{prefix}{name}"]
    for before, after in graph.edges:
        if before not in exits or after not in entries:
            missing = before if before not in exits else after
            problems.malformed.append(f"{prefix}{missing}: an edge names it, there is no such node")
            continue
        if len(exits[before]) != 1 or len(entries[after]) != 1:
            inner = before if len(exits[before]) != 1 else after
            problems.unsupported.append(
                f"{prefix}{inner}: a nested graph needs one input and one output"
            )
            continue
        edges[exits[before][0], entries[after][0]] = None


def _reachable(start: str, following: Mapping[str, Iterable[str]]) -> set[str]:
    seen, ahead = {start}, [start]
    while ahead:
        for name in following[ahead.pop()]:
            if name not in seen:
                seen.add(name)
                ahead.append(name)
    return seen


# -- order -----------------------------------------------------------------------------------------


def topological(edges: Mapping[tuple[str, str], int], output: str) -> list[str]:
    """Populations in an order in which only loops lead backwards, the output last.

    Parameters
    ----------
    edges : mapping of (source, target) to int
        The shortest delay between them, in steps; those with a delay may lead backwards.
    output : str
        What it feeds lies in a loop and hears of it one step later.
    """
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    direct: dict[str, list[str]] = {name: [] for name in names}
    anyway: dict[str, list[str]] = {name: [] for name in names}
    for (source, target), delay in edges.items():
        anyway[source].append(target)
        if delay == 0 and source != output:
            direct[source].append(target)
    finished: dict[str, None] = {}
    for root in _by_distance(anyway):
        _visit(root, direct, finished)
    order = [name for name in reversed(finished) if name not in (INPUT, output)]
    return [*order, output]


def _by_distance(following: Mapping[str, list[str]]) -> list[str]:
    seen = {INPUT: None}
    for name in (ahead := [INPUT]):
        for after in following.get(name, ()):
            if after not in seen:
                seen[after] = None
                ahead.append(after)
    return list(seen)


def _visit(root: str, following: Mapping[str, list[str]], finished: dict[str, None]) -> None:
    """Depth first; a node is finished after all that it leads to."""
    started: set[str] = set()
    stack = [(root, False)]
    while stack:
        name, done = stack.pop()
        if done:
            finished.setdefault(name)
        elif name not in started and name not in finished:
            started.add(name)
            stack.append((name, True))
            stack += [(after, False) for after in following.get(name, ())]
