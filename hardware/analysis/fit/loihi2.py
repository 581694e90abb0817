"""Cores of a Loihi 2: what Intel's compiler would take, and fewer than which nobody can.

A fit to the core tables that Intel's compiler printed for three networks. An image layer is cut
into slabs of `j` columns, a vector into equal parts; the parts of a layer that does not fit are
doubled until they do, as the compiler said it does:

    image     j = largest power of two with j * H * C <= 3168;    cores = ceil(W / j)
    vector    units(n) = sum over projections of rows * ceil(c n)
              k = ceil(units(N) / 12000);  while units(ceil(N / k)) > 12000: k = 2 k
    kernels   units(C) = C_in / g * taps * ceil(C / 8) for each group;  channels are halved until
              they fit, which no published network needed

``c`` units a synapse: 0.24 behind spikes, 0.26 behind values, 0.315 with delays.

The lower bound packs neurons (8192 a core) and units without any rounding to slabs or doubling.
Source: output of lava-dl's tutorial notebooks (PilotNet SDNN and LIF, Oxford), 2022 to 2023.

>>> layer_fit(Layer(name="fc", model="cuba", shape=(100,), projections=(
...     Projection(kind="dense", sources=("conv5",), source_shape=(2560,)),))).cores
12
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hardware.analysis.fit.shapes import Layer, Projection, state_bytes, weights_into

NEURONS_SEEN = 3168  # a core; the largest slab that the compiler printed, 16x66x3
NEURONS_MAX = 8192  # a core; Intel's Loihi 2 brief
UNITS = 12_000  # of SynMem a core; the limit that the compiler printed
SPIKES_COST, VALUES_COST, DELAYS_COST = 240, 260, 315  # thousandths of a unit a synapse
WEIGHTS_A_UNIT = 8  # of a kernel's row, rounded up; 8 to 12.8 were seen
WEIGHTS_A_UNIT_MAX = 12.8
WORST_FILL = 5400  # units in the emptiest core of a layer that was split: Oxford, 3 cores for 2

ONE_CORE = "one core a layer"
NEURONS = "neurons per core"
SYNAPSES = "synaptic memory per core"
FAN_IN = "synaptic memory of a single neuron"
HOST = "runs on the host"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a core is taken to hold.

    Parameters
    ----------
    neurons, units : float
    dense_cost : int, optional
        Thousandths of a unit a synapse, for all; by default what the projection asks for.
    """

    neurons: float = NEURONS_SEEN
    units: float = UNITS
    dense_cost: int | None = None


SEEN = Limits()
GENEROUS = Limits(neurons=NEURONS_MAX, dense_cost=SPIKES_COST)
ENDLESS = math.inf


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How a layer is cut.

    Parameters
    ----------
    cores : int
    neurons : int
        In the fullest core.
    slab : tuple of int
        ``(columns, rows, channels)`` of the fullest core, or ``(neurons,)``.
    units : int
        Of synaptic memory in the fullest core.
    """

    cores: int
    neurons: int
    slab: tuple[int, ...]
    units: int


@dataclass(frozen=True, kw_only=True)
class LayerFit:
    """One layer on the chip; bytes are what its numbers need, at 8 bits a weight."""

    layer: str
    kind: str
    model: str
    shape: tuple[int, ...]
    neurons: int
    weights: int
    weight_bytes: int
    state_bytes: int
    cores: int
    cores_lower_bound: int
    cores_band: tuple[int, int]
    binding: str
    neurons_per_core: int
    slab: tuple[int, ...]
    synaptic_units: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self) | {
            "shape": list(self.shape),
            "slab": list(self.slab),
            "cores_band": list(self.cores_band),
        }


def layer_fit(layer: Layer) -> LayerFit:
    """Estimate and bounds of one layer; a layer on the host takes no core."""
    parts = split(layer)
    low, high = split(layer, GENEROUS).cores, _worst(layer, parts)
    on_host = layer.on_host
    return LayerFit(
        layer=layer.name,
        kind=layer.what,
        model=layer.model,
        shape=layer.shape,
        neurons=layer.neurons,
        weights=layer.weights,
        weight_bytes=layer.weights,
        state_bytes=layer.neurons * state_bytes(layer),
        cores=0 if on_host else parts.cores,
        cores_lower_bound=0 if on_host else min(_lower_bound(layer), parts.cores),
        cores_band=(0, 0) if on_host else (min(low, parts.cores), high),
        binding=HOST if on_host else _binding(layer, parts),
        neurons_per_core=0 if on_host else parts.neurons,
        slab=() if on_host else parts.slab,
        synaptic_units=0 if on_host else parts.units,
    )


def split(layer: Layer, limits: Limits = SEEN) -> Parts:
    """The cores of a layer, as the compiler would cut it."""
    return (_split_image if len(layer.shape) == 3 else _split_vector)(layer, limits)


def _split_vector(layer: Layer, limits: Limits) -> Parts:
    total = layer.neurons

    def too_big(part: int) -> bool:
        return units(layer, part, limits) > limits.units or part > limits.neurons

    k = max(1, math.ceil(units(layer, total, limits) / limits.units))
    k = min(max(k, math.ceil(total / limits.neurons)), total)
    while too_big(_share(total, k)) and k < total:
        k = min(2 * k, total)
    part = _share(total, k)
    return Parts(cores=k, neurons=part, slab=(part,), units=units(layer, part, limits))


def _split_image(layer: Layer, limits: Limits) -> Parts:
    channels, height, width = layer.shape
    pieces = 1
    while True:
        held = _share(channels, pieces)
        fits = units(layer, held, limits) <= limits.units and held * height <= limits.neurons
        if fits or held == 1:
            break
        pieces *= 2
    rows, strips = height, 1
    while rows * held > limits.neurons and rows > 1:  # a column of one channel is too long
        strips *= 2
        rows = _share(height, strips)
    columns = _power_of_two_below(limits.neurons / (rows * held), width)
    cores = math.ceil(channels / held) * math.ceil(height / rows) * math.ceil(width / columns)
    slab = (min(columns, width), rows, held)
    return Parts(cores=cores, neurons=math.prod(slab), slab=slab, units=units(layer, held, limits))


def units(layer: Layer, n: int, limits: Limits = SEEN) -> int:
    """SynMem of a core that holds `n` neurons of a vector, or `n` channels of an image."""
    return sum(
        _kernel_units(p, layer.shape[0], n) if p.window else _row_units(p, layer, n, limits)
        for p in layer.projections
    )


def _row_units(projection: Projection, layer: Layer, n: int, limits: Limits) -> int:
    """A row of weights for each source neuron."""
    if projection.kind == "direct":
        return 0
    cost = limits.dense_cost or _cost(projection)
    dense = projection.rows * -(-cost * n // 1000)
    if projection.kind == "dense":
        return dense
    # A sparse synapse also stores its target: counted as two, and never above the dense layer.
    a_row = 2 * projection.synapses * n / (layer.neurons * projection.rows)
    return min(dense, projection.rows * math.ceil(cost * a_row / 1000))


def _cost(projection: Projection) -> int:
    if projection.delay:
        return DELAYS_COST
    return VALUES_COST if projection.message_bits else SPIKES_COST


def _kernel_units(projection: Projection, channels: int, n: int) -> int:
    """A row of weights for each input channel and tap; whole groups first."""
    window = projection.window
    assert window is not None
    a_group = channels // window.groups
    rows = projection.source_shape[0] // window.groups * window.taps
    return math.ceil(n / a_group) * rows * math.ceil(min(n, a_group) / WEIGHTS_A_UNIT)


def _binding(layer: Layer, parts: Parts) -> str:
    if parts.units > UNITS:
        return FAN_IN
    if parts.cores == 1:
        return ONE_CORE
    by_neurons = split(layer, Limits(units=ENDLESS)).cores
    by_synapses = split(layer, Limits(neurons=ENDLESS)).cores
    return NEURONS if by_neurons >= by_synapses else SYNAPSES


def _lower_bound(layer: Layer) -> int:
    """Cores of the layer alone, filled to the last neuron or unit."""
    bound = math.ceil(layer.neurons / NEURONS_MAX)
    if len(layer.shape) == 1:
        return max(bound, math.ceil(layer.neurons / _largest_part(layer)))
    return max(bound, math.ceil(least_units(layer) / UNITS))


def _largest_part(layer: Layer) -> int:
    """Most neurons of a vector whose synapses fit a core; at least 1."""
    low, high = 1, layer.neurons
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if units(layer, middle) <= UNITS else (low, middle - 1)
    return low


def least_units(layer: Layer) -> float:
    """SynMem of all weights, each stored once and nothing rounded up."""
    total = 0.0
    for projection in layer.projections:
        weights = weights_into(layer.shape, projection)
        if projection.window:
            total += weights / WEIGHTS_A_UNIT_MAX
        elif projection.kind == "sparse":
            total += min(weights, projection.rows * layer.neurons) * _cost(projection) / 1000
        else:
            total += weights * _cost(projection) / 1000
    return total


def network_lower_bound(layers: Sequence[Layer]) -> int:
    """Cores of all layers together, where a core may hold several."""
    on_chip = [layer for layer in layers if not layer.on_host]
    neurons = sum(layer.neurons for layer in on_chip) / NEURONS_MAX
    memory = sum(least_units(layer) for layer in on_chip) / UNITS
    return max(1, math.ceil(neurons), math.ceil(memory))


def _worst(layer: Layer, parts: Parts) -> int:
    """Cores if a vector that is split fills its cores as badly as the worst that was seen."""
    if len(layer.shape) == 3 or parts.cores == 1:
        return parts.cores
    loose = math.ceil(units(layer, layer.neurons) / WORST_FILL)
    return max(parts.cores, min(loose, layer.neurons))


def _share(total: int, parts: int) -> int:
    return math.ceil(total / parts)


def _power_of_two_below(limit: float, enough: int) -> int:
    """The largest power of two up to `limit`, or the first that is `enough`; at least 1."""
    size = 1
    while 2 * size <= limit and size < enough:
        size *= 2
    return size
