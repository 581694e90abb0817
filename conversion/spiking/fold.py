"""From an artificial network to one whose nodes exchange messages: units folded into weights.

A message of 1 stands for ``unit`` of activation: ``theta`` of a spike, ``theta / L`` of a level.
The convolution or matrix that reads it takes the unit into its weights,

    W' = W unit,    so that    z = W' n + b

stays in units of the activation, in every branch: what an addition brings together carries one
quantum. A branch without weights gets a diagonal 1×1 convolution. A pair of neurons for a
LeakyReLU are two channels ``(2c, 2c + 1)`` of one population, fed with ``(z, -a z)`` and read with
``(unit, -unit)``.

>>> folded = fold(network, make_neurons, input_scale=1 / 255, pairs=frozenset({"e1.act"}))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from conversion.spiking.graph import (
    INPUT,
    Activation,
    Convolution,
    Dense,
    Flatten,
    Network,
    Operation,
    Shape,
    Sum,
    SumPool,
    free_name,
)
from conversion.spiking.neurons import Neurons
from snn.errors import ModelError

MakeNeurons = Callable[[Activation, str, Shape, int], Neurons]


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingNetwork:
    """A network of messages.

    Parameters
    ----------
    input_shape : tuple of int
    nodes : tuple of Operation and Neurons
        Linear nodes and neurons in topological order.
    output : str
        The node that is read: neurons by their messages, anything else by its sums.
    output_unit : Tensor of shape (C,)
        What 1 of the output stands for.
    """

    input_shape: Shape
    nodes: tuple[Operation | Neurons, ...]
    output: str
    output_unit: torch.Tensor

    @property
    def neurons(self) -> tuple[Neurons, ...]:
        """All populations."""
        return tuple(node for node in self.nodes if isinstance(node, Neurons))

    @property
    def is_read_by_messages(self) -> bool:
        """Whether the output are neurons."""
        return any(node.name == self.output for node in self.neurons)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Signal:
    """What a node's values stand for.

    Parameters
    ----------
    name : str
        The node of the folded network.
    unit : Tensor of shape (copies * C,) or (copies * F,)
    copies : int
        2 where channels are pairs.
    area : int
        Neighbouring elements of one channel, after flattening.
    """

    name: str
    unit: torch.Tensor
    copies: int = 1
    area: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether values are activations as they are."""
        return self.copies == 1 and bool((self.unit == 1).all())


def fold(
    network: Network,
    neurons: MakeNeurons,
    *,
    input_scale: float,
    pairs: frozenset[str],
) -> SpikingNetwork:
    """The network of messages of an artificial one.

    Parameters
    ----------
    network : Network
    neurons : callable
        Makes the neurons of an activation, of a source's name, a shape, and copies of each channel.
    input_scale : float
        What 1 of an input message stands for.
    pairs : frozenset of str
        Activations that become a pair of neurons.

    Raises
    ------
    ModelError
        For a sum that has one branch twice.
    """
    folding = _Folding(network, input_scale)
    for node in network.nodes:
        if isinstance(node, Activation):
            folding.activation(node, neurons, is_pair=node.name in pairs)
        else:
            folding.linear(node)
    output = _before_flattening(network)
    signal = folding.signals[output]
    if signal.copies > 1:
        signal = folding.plain(output)
    used = _ancestors(folding.nodes, signal.name)
    return SpikingNetwork(
        input_shape=network.input_shape,
        nodes=tuple(node for node in folding.nodes.values() if node.name in used),
        output=signal.name,
        output_unit=signal.unit,
    )


def _before_flattening(network: Network) -> str:
    """The output, or what it flattens: neurons are read as they are."""
    nodes = {node.name: node for node in network.nodes}
    name = network.output
    while isinstance(nodes.get(name), Flatten):
        name = nodes[name].sources[0]
    return name


def _ancestors(nodes: dict[str, Operation | Neurons], name: str) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current != INPUT and current not in found:
            found.add(current)
            waiting += nodes[current].sources
    return found


class _Folding:
    """The folded nodes so far, and what their values stand for, by the name of the original."""

    def __init__(self, network: Network, input_scale: float) -> None:
        self.input_shape = network.input_shape
        self.shapes = {node.name: node.shape for node in network.nodes}  # before any doubling
        self.shapes[INPUT] = network.input_shape
        self.nodes: dict[str, Operation | Neurons] = {}
        unit = torch.full(network.input_shape[:1], input_scale, dtype=torch.float64)
        self.signals = {INPUT: _Signal(name=INPUT, unit=unit)}
        self.made_plain: dict[str, _Signal] = {}

    def linear(self, node: Operation) -> None:
        """A node without neurons."""
        source = self.signals[node.sources[0]]
        if isinstance(node, Sum):
            self._sum(node)
        elif isinstance(node, Convolution):
            weight = _folded_kernel(node.weight, source, node.groups)
            self._put(node.name, replace(node, sources=(source.name,), weight=weight))
        elif isinstance(node, Dense):
            weight = _folded_matrix(node.weight, source)
            self._put(node.name, replace(node, sources=(source.name,), weight=weight))
        elif isinstance(node, SumPool):
            shape = (node.shape[0] * source.copies, *node.shape[1:])
            pool = replace(node, sources=(source.name,), shape=shape, divisor=1.0)
            self._put(node.name, pool, replace(source, unit=source.unit / node.divisor))
        else:
            self._flatten(node, source)

    def _sum(self, node: Sum) -> None:
        sources = tuple(self.plain(name).name for name in node.sources)
        if len(set(sources)) < len(sources):
            raise ModelError(f"{node.name}: adds {sources[0]} to itself; scale its weights instead")
        self._put(node.name, replace(node, sources=sources))

    def _flatten(self, node: Operation, source: _Signal) -> None:
        shape = self._shape(source.name)
        area = math.prod(shape[1:])
        unit = source.unit.repeat_interleave(area)
        flat = replace(node, sources=(source.name,), shape=(math.prod(shape),))
        self._put(node.name, flat, replace(source, unit=unit, area=area))

    def activation(
        self,
        node: Activation,
        neurons: MakeNeurons,
        *,
        is_pair: bool,
    ) -> None:
        """The neurons of an activation, with what they read in plain units."""
        source = self.plain(node.sources[0]).name
        copies = 2 if is_pair else 1
        if is_pair:
            source = self._doubled(source, node.negative_slope)
        shape = (node.shape[0] * copies, *node.shape[1:])
        population = neurons(node, source, shape, copies)
        unit = population.unit.clone()
        if is_pair:
            unit[1::2] *= -1
        self._put(node.name, population, _Signal(name=node.name, unit=unit, copies=copies))

    def plain(self, name: str) -> _Signal:
        """The signal of a node in units of the activation; a diagonal synapse makes it so."""
        signal = self.signals[name]
        if signal.is_plain:
            return signal
        if name in self.made_plain:
            return self.made_plain[name]
        shape = self.shapes[name]
        new = free_name(f"{name}.unit", {*self.shapes, *self.nodes})
        if len(shape) == 3:
            eye = torch.eye(shape[0], dtype=torch.float64)[:, :, None, None]
            kernel = _folded_kernel(eye, signal, 1) if signal.copies > 1 else None
            node: Operation = Convolution(
                name=new,
                sources=(signal.name,),
                shape=shape,
                weight=signal.unit.reshape(-1, 1, 1, 1) if kernel is None else kernel,
                bias=torch.zeros(shape[0], dtype=torch.float64),
                groups=shape[0] if kernel is None else 1,
            )
        else:
            weight = _folded_matrix(torch.eye(shape[0], dtype=torch.float64), signal)
            node = Dense(
                name=new,
                sources=(signal.name,),
                shape=shape,
                weight=weight,
                bias=torch.zeros(shape[0], dtype=torch.float64),
            )
        self._put(new, node)
        self.made_plain[name] = self.signals[new]
        return self.signals[new]

    def _doubled(self, name: str, slope: float) -> str:
        """A node that gives ``(z, -slope z)`` where the named one gives ``z``."""
        node = self.nodes.get(name)
        new = free_name(f"{name}.pair", {*self.shapes, *self.nodes})
        factors = torch.tensor([1.0, -slope], dtype=torch.float64)
        shape = self._shape(name)
        doubled = (2 * shape[0], *shape[1:])
        if isinstance(node, Convolution | Dense):
            weight = _paired(node.weight, factors)
            bias = _paired(node.bias, factors)
            made: Operation = replace(node, name=new, shape=doubled, weight=weight, bias=bias)
        elif isinstance(node, Sum):
            sources = tuple(self._doubled(source, slope) for source in node.sources)
            made = replace(node, name=new, shape=doubled, sources=sources)
        elif len(shape) == 3:
            made = Convolution(
                name=new,
                sources=(name,),
                shape=doubled,
                weight=factors.repeat(shape[0]).reshape(-1, 1, 1, 1),
                bias=torch.zeros(doubled[0], dtype=torch.float64),
                groups=shape[0],
            )
        else:
            weight = _paired(torch.eye(shape[0], dtype=torch.float64), factors)
            bias = torch.zeros(doubled[0], dtype=torch.float64)
            made = Dense(name=new, sources=(name,), shape=doubled, weight=weight, bias=bias)
        self._put(new, made)
        return new

    def _shape(self, name: str) -> Shape:
        """Of a folded node or the input."""
        return self.nodes[name].shape if name in self.nodes else self.input_shape

    def _put(self, name: str, node: Operation | Neurons, signal: _Signal | None = None) -> None:
        self.nodes[name] = node
        plain = _Signal(name=name, unit=torch.ones(node.shape[0], dtype=torch.float64))
        self.signals[name] = replace(signal, name=name) if signal else plain


def _paired(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Rows ``2c`` and ``2c + 1`` of row ``c``, times one factor each."""
    rows = values.repeat_interleave(2, dim=0)
    return rows * factors.repeat(len(values)).reshape(-1, *(1,) * (values.dim() - 1))


def _folded_kernel(weight: torch.Tensor, source: _Signal, groups: int) -> torch.Tensor:
    """Kernels ``[C_out, C_in copies / groups, kh, kw]`` that read messages."""
    weight = weight.repeat_interleave(source.copies, dim=1)
    units = source.unit.reshape(groups, -1).repeat_interleave(len(weight) // groups, dim=0)
    return weight * units[:, :, None, None]


def _folded_matrix(weight: torch.Tensor, source: _Signal) -> torch.Tensor:
    """A matrix ``[F_out, F_in copies]`` that reads messages; copies of a channel lie together."""
    images = weight.reshape(len(weight), -1, 1, source.area)
    columns = images.expand(-1, -1, source.copies, -1).reshape(len(weight), -1)
    return columns * source.unit
