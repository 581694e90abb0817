"""A network as shapes alone: what a compiler must place, without weights and without expansion.

A layer is a population with the projections that lead into it. Sizes come from shapes in a few
operations a layer, so that a network of a million neurons is described at once, before it is
trained or even built; `changed` gives the same network with another width, stride or resolution.

    conv      H_out = floor((H + 2 p - d (k - 1) - 1) / s) + 1

>>> shape = shapes_of(load_network("network.chip"))
>>> [layer.neurons for layer in shape.layers]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from hardware.chip import registers as reg
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import MODELS, Delta, Population
from hardware.chip.synapses import Conv, Direct, Sparse, Synapse, Weighted
from hardware.chip.synaptic_input import conv_output_size
from hardware.errors import HardwareError

Shape = tuple[int, ...]
Kind = Literal["conv", "dense", "sparse", "direct"]


class ShapeError(HardwareError):
    """A change after which the layers no longer fit each other."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Geometry of a convolution, ``(rows, columns)``."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def taps(self) -> int:
        """Weights of one channel pair."""
        return math.prod(self.kernel)

    def image_size(self, source: Shape) -> tuple[int, int]:
        """Rows and columns of the output."""
        rows, columns = zip(
            source[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True
        )
        return conv_output_size(*rows), conv_output_size(*columns)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A synapse by its shape.

    Parameters
    ----------
    kind : {"conv", "dense", "sparse", "direct"}
    sources : tuple of str
        Layer names or ``"input"``; what they send adds up before it meets the weights.
    source_shape : tuple of int
    window : Window, optional
        Of a convolution.
    synapses : int
        Stored synapses of a sparse projection.
    delay : int
        The longest, in steps.
    message_bits : int
        0 for binary messages, n for values of n bits.
    """

    kind: Kind
    sources: tuple[str, ...]
    source_shape: Shape
    window: Window | None = None
    synapses: int = 0
    delay: int = 0
    message_bits: int = 0

    @property
    def rows(self) -> int:
        """Source neurons: the input axons."""
        return math.prod(self.source_shape)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A population and what leads into it.

    Parameters
    ----------
    name, model : str
        ``model`` is the kind of its neurons.
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    states : int
        Values that a neuron remembers, of 24 bits each.
    on_host : bool
        Computed outside of the chip, as Intel runs the encoder of a sigma-delta network.
    """

    name: str
    model: str
    shape: Shape
    projections: tuple[Projection, ...]
    states: int = 1
    on_host: bool = False

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def weights(self) -> int:
        """Stored weights; a shared kernel counts once."""
        return sum(weights_into(self.shape, p) for p in self.projections)

    @property
    def sends_values(self) -> bool:
        """Whether its messages are more than spikes."""
        return MODELS[self.model].GRADED

    @property
    def is_input(self) -> bool:
        """Whether it is written directly by the input."""
        return any(p.kind == "direct" and INPUT in p.sources for p in self.projections)

    @property
    def is_encoder(self) -> bool:
        """Whether nothing else leads into it: the host could do its work."""
        return all(p.kind == "direct" and set(p.sources) == {INPUT} for p in self.projections)

    @property
    def what(self) -> str:
        """The layer in a few words: ``conv 3×3 /2``, ``dense, recurrent``."""
        weighted = [p for p in self.projections if p.kind != "direct"]
        words = sorted({_words(p) for p in weighted}) or ["input" if self.is_input else "relay"]
        if any(self.name in p.sources for p in self.projections):
            words.append("recurrent")
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """All layers, in the order of the network; the last one is its answer."""

    input_shape: Shape
    layers: tuple[Layer, ...]

    @property
    def neurons(self) -> int:
        """Neurons on the chip."""
        return sum(layer.neurons for layer in self.layers if not layer.on_host)


def shapes_of(network: ChipNetwork) -> NetworkShape:
    """The shapes of a network in integers.

    A delta encoder that is written by the input runs on the host: Intel's compiler never placed
    one (PilotNet SDNN), while it did place an input layer of CUBA neurons (PilotNet LIF).
    """
    return NetworkShape(
        input_shape=network.input_shape,
        layers=tuple(_layer(network, population) for population in network.populations),
    )


def _layer(network: ChipNetwork, population: Population) -> Layer:
    incoming = network.incoming(population.name)
    layer = Layer(
        name=population.name,
        model=population.KIND,
        shape=population.shape,
        states=max(1, len(population.STATES)),
        projections=tuple(_projection(network, synapse) for synapse in incoming),
    )
    return replace(layer, on_host=layer.is_encoder and population.KIND == Delta.KIND)


def _projection(network: ChipNetwork, synapse: Synapse) -> Projection:
    window = None
    if isinstance(synapse, Conv):
        window = Window(
            kernel=(synapse.weight.shape[2], synapse.weight.shape[3]),
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=synapse.groups,
        )
    kinds: dict[type[Synapse], Kind] = {Conv: "conv", Sparse: "sparse", Direct: "direct"}
    return Projection(
        kind=kinds.get(type(synapse), "dense"),
        sources=synapse.sources,
        source_shape=network.source_shape(synapse),
        window=window,
        synapses=synapse.weight.size if isinstance(synapse, Sparse) else 0,
        delay=synapse.delays[1],
        message_bits=synapse.message_bits if isinstance(synapse, Weighted) else 0,
    )


def weights_into(shape: Shape, projection: Projection) -> int:
    """Stored weights of a projection into a layer of `shape`."""
    if projection.kind == "direct":
        return 0
    if projection.kind == "sparse":
        return projection.synapses
    if projection.window is None:
        return projection.rows * math.prod(shape)
    window = projection.window
    return shape[0] * (projection.source_shape[0] // window.groups) * window.taps


def _words(projection: Projection) -> str:
    if projection.window is None:
        return projection.kind
    window = projection.window
    kernel = "×".join(map(str, window.kernel))
    if window.groups == projection.source_shape[0] > 1:
        kind = "depthwise"
    else:
        kind = "conv" if window.groups == 1 else f"conv in {window.groups} groups"
    if max(window.stride) == 1:
        return f"{kind} {kernel}"
    even = window.stride[0] == window.stride[1]
    return f"{kind} {kernel} /{window.stride[0] if even else '×'.join(map(str, window.stride))}"


Change = Callable[[Layer], Layer]


def changed(
    shape: NetworkShape, *, input_shape: Shape | None = None, change: Change | None = None
) -> NetworkShape:
    """The network after a change, with all sizes that follow from it.

    Parameters
    ----------
    shape : NetworkShape
    input_shape : tuple of int, optional
        Another input.
    change : function of Layer to Layer, optional
        Sets channels (``shape[0]``), windows, message bits or the place of a layer; rows and
        columns follow.

    Raises
    ------
    ShapeError
        Where sources that add up would differ in shape, or an image would become empty.
    """
    sizes = {INPUT: input_shape or shape.input_shape}
    layers = []
    for layer in shape.layers:
        wanted = change(layer) if change else layer
        forward = [p for p in wanted.projections if all(s in sizes for s in p.sources)]
        size = _one({_target(wanted, p, _source(p, sizes)) for p in forward}, layer.name)
        if min(size) < 1:
            raise ShapeError(f"{layer.name}: nothing would be left of its image")
        sizes[layer.name] = size
        layers.append(replace(wanted, shape=size))
    placed = [
        replace(
            layer,
            projections=tuple(
                replace(p, source_shape=_source(p, sizes), synapses=_scaled(p, layer, sizes, old))
                for p in layer.projections
            ),
        )
        for layer, old in zip(layers, shape.layers, strict=True)
    ]
    return NetworkShape(input_shape=sizes[INPUT], layers=tuple(placed))


def _source(projection: Projection, sizes: dict[str, Shape]) -> Shape:
    return _one({sizes[source] for source in projection.sources}, " + ".join(projection.sources))


def _one(shapes: set[Shape], what: str) -> Shape:
    if len(shapes) != 1:
        raise ShapeError(f"{what}: sizes that must be equal would be {sorted(shapes)}")
    return next(iter(shapes))


def _target(layer: Layer, projection: Projection, source: Shape) -> Shape:
    if projection.kind == "direct":
        return source
    if projection.window is None:
        return layer.shape[:1]
    window, channels = projection.window, layer.shape[0]
    if source[0] % window.groups or channels % window.groups:
        raise ShapeError(f"{layer.name}: {channels} channels do not divide into its groups")
    return (channels, *window.image_size(source))


def _scaled(p: Projection, layer: Layer, sizes: dict[str, Shape], old: Layer) -> int:
    """Synapses of a sparse projection of the same density."""
    if not p.synapses:
        return 0
    before = math.prod(p.source_shape) * old.neurons
    after = math.prod(_source(p, sizes)) * layer.neurons
    return math.ceil(p.synapses * after / before)


def state_bytes(layer: Layer) -> int:
    """Bytes of state of one neuron."""
    return layer.states * math.ceil(reg.STATE_BITS / 8)
