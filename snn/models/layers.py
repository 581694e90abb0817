"""What a network is made of, before any engine builds it: a graph of layers, as plain data.

A network is a tuple of layers in topological order. Each has a name, the names it reads
(``"input"`` or layers before it) and the shape of what it gives in one step:

    Spiking        weights, normalisation, neurons: spikes
    Add            the sum of several trains of spikes: small whole numbers (SEW's ADD)
    MaxPool        1 where anything in the window is active: the OR of spikes
    Accumulator    the read-out: a membrane that only adds up

>>> layer = Spiking(name="conv1", sources=("input",), shape=(8, 32, 32), source_shape=(2, 64, 64),
...                 kernel=5, stride=2, padding=2)
>>> layer.fan_in
50
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

INPUT = "input"
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One node of the graph.

    Parameters
    ----------
    name : str
    sources : tuple of str
    shape, source_shape : tuple of int
        ``(C, H, W)`` or ``(F,)`` of what it gives and of what each of its sources gives.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    source_shape: Shape


@dataclass(frozen=True, kw_only=True)
class Spiking(Layer):
    """A convolution ``(kernel > 0)`` or a dense layer, and its neurons.

    Parameters
    ----------
    zero_gain : bool
        Whether normalisation starts with a gain of 0: the layer is silent before training.
    """

    kernel: int = 0
    stride: int = 1
    padding: int = 0
    zero_gain: bool = False

    @property
    def is_conv(self) -> bool:
        """Whether this is a convolution."""
        return self.kernel > 0

    @property
    def inputs(self) -> int:
        """Channels of the source, or all its values for a dense layer."""
        return self.source_shape[0] if self.is_conv else math.prod(self.source_shape)

    @property
    def outputs(self) -> int:
        """Channels, or neurons of a dense layer."""
        return self.shape[0]

    @property
    def fan_in(self) -> int:
        """Weights of one neuron."""
        return self.inputs * (self.kernel**2 if self.is_conv else 1)


@dataclass(frozen=True, kw_only=True)
class Add(Layer):
    """The sum of its sources."""


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """The largest value of each window."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True)
class Accumulator(Layer):
    """Spiking-FER's head: pooled spikes through one or two linear maps, added up over all steps.

    Parameters
    ----------
    hidden : int
        Width between the two maps; 0 for a single one.
    dropout : float
        Of the hidden values, in each step.
    """

    hidden: int
    dropout: float


def synaptic_operations_per_spike(layers: tuple[Layer, ...]) -> dict[str, float]:
    """How many synapses one spike drives, on average over the neurons of a layer.

    Taps that fall into the padding are not counted. An ``Add`` costs nothing: its readers see the
    spikes of all that it adds up.

    Returns
    -------
    dict of str to float
        By layer, the input included.
    """
    operations: dict[str, float] = {}
    for layer in reversed(layers):
        own = operations.setdefault(layer.name, 0.0)
        driven = own if isinstance(layer, Add) else _operations(layer)
        for source in layer.sources:
            operations[source] = operations.get(source, 0.0) + driven
    return operations


def _operations(layer: Layer) -> float:
    if not isinstance(layer, Spiking | MaxPool) or not layer.kernel:
        return float(layer.shape[0])
    per_axis = [
        _taps(n_in, n_out, layer.kernel, layer.stride, layer.padding)
        for n_in, n_out in zip(layer.source_shape[1:], layer.shape[1:], strict=True)
    ]
    channels = layer.shape[0] * (1 if isinstance(layer, MaxPool) else layer.source_shape[0])
    return channels * math.prod(per_axis) / math.prod(layer.source_shape)


def _taps(n_in: int, n_out: int, kernel: int, stride: int, padding: int) -> int:
    """Pairs of an output and a tap that lies inside of the input, along one axis."""
    position = np.arange(n_out)[:, None] * stride - padding + np.arange(kernel)
    return int(np.count_nonzero((position >= 0) & (position < n_in)))


def conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Outputs of a window along one axis."""
    return (size + 2 * padding - kernel) // stride + 1
