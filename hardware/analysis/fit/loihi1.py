"""Cores of a Loihi 1: the packing rule that is published for it, layer by layer.

    a row of n weights: blocks of at most 64;  bits = n (weight + delay + index) + 4 + 6, to 64
    cores = max( neurons / 1024, axons in / 4096, axons out / 4096, bits / (16384 * 64) ), up

Axons are counted as nengo-loihi does: one for each source neuron of a dense layer; of a
convolution one for each input pixel, whose channels share it, and one set of weights for each way
in which the kernel meets the stride and the border. It is the least a layer can take: a layer that
is split needs some rows and axons twice, and nengo-loihi also repeats weights whose first target
is above 256 in its core. Source: Davies et al. 2018; nengo-loihi, ``block.py``.

>>> bits_per_axon(100)
896
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hardware.analysis.fit.boards import chips_for
from hardware.analysis.fit.loihi2 import HOST, ONE_CORE
from hardware.analysis.fit.shapes import Layer, NetworkShape, Projection, Window
from hardware.chip import registers as reg
from hardware.chip.populations import Cuba
from hardware.chip.synaptic_input import conv_output_size

CHIP = "Loihi 1"
WORD = 64  # bits of synaptic memory
LIMITS = {
    "neurons per core": 1024,
    "input axons per core": 4096,
    "output axons per core": 4096,
    "synaptic memory bits per core": 16_384 * WORD,
}
ROW_WEIGHTS = 64  # of a block: n_synapses + 1, which has 6 bits
FORMAT_BITS, COUNT_BITS = 4, 6  # of a block
INDEX_BITS = (6, 7, 8, 9, 10, 11, 12)
SOURCE = "Davies et al. 2018, IEEE Micro 38(1), p. 89; nengo-loihi, block.py (bits_per_axon)"


@dataclass(frozen=True, kw_only=True)
class LayerCores:
    """What a layer needs of each resource, and the cores that follow."""

    layer: str
    neurons: int
    axons_in: int
    axons_out: int
    synaptic_bits: int
    cores: int
    binding: str


@dataclass(frozen=True, kw_only=True)
class Loihi1Fit:
    """A network on Loihi 1.

    Parameters
    ----------
    layers : tuple of LayerCores
    problems : tuple of str
        What this chip cannot do, by layer; cores are counted all the same.
    """

    layers: tuple[LayerCores, ...]
    problems: tuple[str, ...] = ()

    @property
    def cores(self) -> int:
        """Of all layers; none holds two."""
        return sum(layer.cores for layer in self.layers)

    @property
    def chips(self) -> int:
        """That hold them."""
        return chips_for(self.cores, chip=CHIP)

    @property
    def binding(self) -> str:
        """The resource that takes most cores."""
        return most_binding((layer.binding, layer.cores) for layer in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report. The rule is a least number, so both are one."""
        return {
            "tag": "estimated",
            "chip": CHIP,
            "cores": self.cores,
            "cores_lower_bound": self.cores,
            "chips": self.chips,
            "binding": self.binding,
            "layers": [asdict(layer) for layer in self.layers],
            "problems": list(self.problems),
            "sources": [SOURCE],
        }


def most_binding(cores: Any) -> str:
    """The name that stands for most cores among ``(name, cores)``."""
    total: dict[str, int] = {}
    for name, count in cores:
        if name not in (ONE_CORE, HOST):
            total[name] = total.get(name, 0) + count
    return max(total, key=total.__getitem__) if total else ONE_CORE


def loihi1_fit(shape: NetworkShape) -> Loihi1Fit:
    """The cores of all layers, and what this chip cannot do."""
    placed = [layer for layer in shape.layers if not layer.on_host]
    senders = {layer.name for layer in shape.layers if layer.sends_values}
    return Loihi1Fit(
        layers=tuple(_cores(layer, _axons_out(layer, placed)) for layer in placed),
        problems=tuple(p for layer in placed for p in _problems(layer, senders)),
    )


def bits_per_axon(
    n_weights: int, *, weight_bits: int = 8, delay_bits: int = 0, index_bits: int = 0
) -> int:
    """Bits of synaptic memory for the weights of one input axon."""
    each = weight_bits + delay_bits + index_bits
    whole, rest = divmod(n_weights, ROW_WEIGHTS)
    return whole * _block(ROW_WEIGHTS * each) + (_block(rest * each) if rest else 0)


def _block(bits: int) -> int:
    return WORD * math.ceil((bits + FORMAT_BITS + COUNT_BITS) / WORD)


def _cores(layer: Layer, axons_out: int) -> LayerCores:
    needs = (
        layer.neurons,
        sum(_axons_in(p) for p in layer.projections),
        axons_out,
        sum(_bits(layer, p) for p in layer.projections),
    )
    by_limit = {
        name: math.ceil(need / limit)
        for need, (name, limit) in zip(needs, LIMITS.items(), strict=True)
    }
    cores = max(1, *by_limit.values())
    binding = ONE_CORE if cores == 1 else max(by_limit, key=by_limit.__getitem__)
    return LayerCores(
        layer=layer.name,
        neurons=needs[0],
        axons_in=needs[1],
        axons_out=needs[2],
        synaptic_bits=needs[3],
        cores=cores,
        binding=binding,
    )


def _axons_in(projection: Projection) -> int:
    if projection.kind == "direct":
        return 0
    if projection.window is None:
        return projection.rows
    rows, columns = _taps(projection)
    return sum(map(bool, rows)) * sum(map(bool, columns))


def _axons_out(layer: Layer, layers: Sequence[Layer]) -> int:
    return sum(
        _axons_in(projection) * projection.sources.count(layer.name)
        for reader in layers
        for projection in reader.projections
        if layer.name in projection.sources
    )


def _bits(layer: Layer, projection: Projection) -> int:
    if projection.kind == "direct":
        return 0
    delay = projection.delay.bit_length()
    if projection.kind == "dense":
        return projection.rows * bits_per_axon(layer.neurons, delay_bits=delay)
    if projection.window is None:
        index, a_row = _index_bits(layer.neurons), math.ceil(projection.synapses / projection.rows)
        return projection.rows * bits_per_axon(a_row, delay_bits=delay, index_bits=index)
    return _kernel_bits(layer, projection, delay)


def _kernel_bits(layer: Layer, projection: Projection, delay: int) -> int:
    """One set of weights for each way in which taps meet outputs, of all input channels."""
    window = projection.window
    assert window is not None
    pairs = projection.source_shape[0] * (layer.shape[0] // window.groups)
    rows, columns = ({*axis} - {()} for axis in _taps(projection))
    index = _index_bits(1 + _farthest(layer, window, rows, columns))
    return sum(
        bits_per_axon(pairs * len(r) * len(c), delay_bits=delay, index_bits=index)
        for r in rows
        for c in columns
    )


def _farthest(
    layer: Layer, window: Window, rows: set[tuple[int, ...]], columns: set[tuple[int, ...]]
) -> int:
    """Index of the last target of an axon from its first, channels last."""
    channels, _, width = layer.shape
    down, across = (
        max((taps[-1] - taps[0]) * dilation // stride for taps in axis)
        for axis, dilation, stride in zip(
            (rows, columns), window.dilation, window.stride, strict=True
        )
    )
    return (down * width + across) * channels + channels - 1


def _taps(projection: Projection) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """By input row, and by input column, the taps through which it reaches an output."""
    window = projection.window
    assert window is not None
    axes = zip(
        projection.source_shape[1:],
        window.kernel,
        window.stride,
        window.padding,
        window.dilation,
        strict=True,
    )
    rows, columns = (_taps_of_axis(*axis) for axis in axes)
    return rows, columns


def _taps_of_axis(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[tuple[int, ...]]:
    outputs = conv_output_size(size, kernel, stride, padding, dilation)
    found = []
    for place in range(size):
        starts = [(tap, place + padding - tap * dilation) for tap in range(kernel)]
        found.append(
            tuple(tap for tap, at in starts if at % stride == 0 and 0 <= at // stride < outputs)
        )
    return found


def _index_bits(targets: int) -> int:
    """Bits that name one of so many targets; a core has no more than it has neurons."""
    needed = (min(targets, LIMITS["neurons per core"]) - 1).bit_length()
    return next(bits for bits in INDEX_BITS if bits >= needed)


def _problems(layer: Layer, senders: set[str]) -> list[str]:
    """Spikes of several sources that add up are no values: each is delivered on its own."""
    found = []
    if layer.model != Cuba.KIND:
        found.append(f"{layer.name}: {layer.model} neurons, it has CUBA neurons only")
    if any(senders & {*p.sources} for p in layer.projections):
        found.append(f"{layer.name}: reads messages with values, its spikes are binary")
    longest = max((p.delay for p in layer.projections), default=0)
    if longest > reg.DELAY_MAX:
        found.append(f"{layer.name}: delays of {longest} steps, at most {reg.DELAY_MAX}")
    return found
