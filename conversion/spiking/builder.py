"""What mappers of torch modules build on: the nodes so far, their names, and the report.

>>> builder = Builder({"": module})
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from conversion.spiking.graph import INPUT, Operation, free_name

RESERVED = (INPUT, "readout", "output")  # of the graph it may be written to


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a layer was and what it became."""

    layer: str
    found: str
    became: str


class Refused(Exception):
    """A layer that has no spiking form; the text says why and what to do."""


@dataclass
class Builder:
    """Goes through the calls of a traced module and makes a node of each."""

    modules: dict[str, nn.Module]
    nodes: dict[str, Operation] = field(default_factory=dict)
    names: dict[fx.Node, str] = field(default_factory=dict)  # the node that stands for a call
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    host: list[nn.Module] = field(default_factory=list)  # what follows the read-out, in order

    def add(
        self, kind: type[Operation], node: fx.Node, sources: tuple[str, ...], **fields: Any
    ) -> str:
        """A new node of a call; gives its name."""
        name = str(node.target) if node.op == "call_module" else node.name
        name = free_name(name.replace("/", "_"), {*self.nodes, *RESERVED})
        shape = node.meta["shape"][1:]
        self.nodes[name] = kind(name=name, sources=sources, shape=shape, **fields)
        return name

    def source(self, node: fx.Node) -> str:
        """The one node that a call reads."""
        return self.names[node.args[0]]  # type: ignore[index]

    def changed(self, layer: str, found: str, became: str) -> None:
        """A line of the report."""
        self.changes.append(Change(layer=layer, found=found, became=became))


def function_name(node: fx.Node) -> str:
    """A functional call's name: of the method, or of the function."""
    if node.op == "call_method":
        return str(node.target)
    return getattr(node.target, "__name__", str(node.target))


def place(node: fx.Node) -> str:
    """Where a call is, in the names of the caller's modules."""
    if node.op == "call_module":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    inside = next(reversed(stack), "") if stack else ""
    return f"{function_name(node)}() in {inside or 'forward'}"
