"""Float network to chip integers, with an account of what it changed, per layer.

One scale per layer turns weights and threshold into mantissas. It is the largest at which the
largest weight still fits, lowered until the threshold itself is an integer, so that the threshold
is exact and all rounding is in the weights:

    V = min(floor(254 theta / max|w|), 2**17 - 1),   scale = V / theta
    W = 2 round(scale w / 2)            even integers in [-256, 254]
    B = round(64 scale b)               mantissa of 13 bits times 2**exponent
    dv = round(4096 decay),  du = 4096  the current has no memory

Weights that come with a ``weight_scale`` (trained on the grid) use that scale and lose nothing.

>>> chip, report = quantise(read_nir("network.nir"))
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense, Synapse
from hardware.compiler.nir import FloatLayer, FloatNetwork
from hardware.errors import UnsupportedNetworkError

FLOAT32_NOISE = 1e-12  # noise to signal of weights on the grid that came as float32


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What quantisation changed in one layer.

    Parameters
    ----------
    scale : float
        Integers per unit of weight.
    weight_sqnr_db : float or None
        Signal to quantisation-noise ratio of the weights, in decibels; None when exact.
    effective_bits : float or None
        ``(sqnr - 1.76) / 6.02``, the bits of an ideal quantiser with this ratio.
    clipped : float
        Share of weights that hit the end of the range.
    zeroed : float
        Share of nonzero weights that became zero.
    threshold_error, decay_error : float
        Largest relative error of a threshold, largest absolute error of a decay.
    bias_error : float
        Largest error of a bias, as a share of the threshold.
    """

    layer: str
    scale: float
    weight_sqnr_db: float | None
    effective_bits: float | None
    clipped: float
    zeroed: float
    threshold_error: float
    decay_error: float
    bias_error: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


def quantise(network: FloatNetwork) -> tuple[ChipNetwork, tuple[LayerLoss, ...]]:
    """Turn a float network into integers.

    Raises
    ------
    UnsupportedNetworkError
        When a layer does not fit the registers, naming it and the limit.
    """
    pieces = [_quantise_layer(layer) for layer in network.layers]
    populations, synapses, losses = zip(*pieces, strict=True)
    chip = ChipNetwork(
        input_shape=network.input_shape,
        populations=populations,
        synapses=synapses,
        metadata=dict(network.metadata),
    )
    return chip, losses


def _quantise_layer(layer: FloatLayer) -> tuple[Cuba, Synapse, LayerLoss]:
    _check(layer)
    scale = layer.weight_scale or _scale(layer)
    weight = _round_even(layer.weight * scale)
    vth = np.rint(layer.threshold * scale)
    mantissa, exponent = _bias(layer, layer.bias * scale * (1 << reg.INPUT_SHIFT))
    population = Cuba(
        name=layer.name,
        shape=layer.shape,
        du=np.full(layer.shape[0], reg.DECAY_SCALE, np.int32),
        dv=np.rint(layer.decay * reg.DECAY_SCALE).astype(np.int32),
        vth=vth.astype(np.int32),
        bias_mant=mantissa,
        bias_exp=exponent,
    )
    return population, _synapse(layer, weight), _loss(layer, scale, weight, population)


def _check(layer: FloatLayer) -> None:
    for name in ("weight", "bias"):
        if not np.isfinite(getattr(layer, name)).all():
            raise UnsupportedNetworkError(f"{layer.name}: {name} holds values that are not finite")


def _scale(layer: FloatLayer) -> float:
    threshold = layer.threshold.max()
    largest = np.abs(layer.weight).max(initial=0.0)
    room = reg.WEIGHT_MAX * threshold / largest if largest > 0 else reg.THRESHOLD_MANTISSA_MAX
    mantissa = min(np.floor(room), reg.THRESHOLD_MANTISSA_MAX)
    if mantissa < 1:
        raise UnsupportedNetworkError(
            f"{layer.name}: weights up to {largest:.3g} dwarf the threshold {threshold:.3g}: "
            f"no threshold mantissa in [1, {reg.THRESHOLD_MANTISSA_MAX}] fits 8-bit weights; "
            "rescale the layer"
        )
    return float(mantissa / threshold)


def _round_even(values: np.ndarray) -> np.ndarray:
    even = reg.WEIGHT_STEP * np.rint(values / reg.WEIGHT_STEP)
    return np.clip(even, reg.WEIGHT_MIN, reg.WEIGHT_MAX).astype(np.int32)


def _bias(layer: FloatLayer, bias: np.ndarray) -> tuple[np.ndarray, int]:
    """Mantissas and the smallest shared exponent that holds them."""
    for exponent in range(reg.BIAS_EXPONENT_MAX + 1):
        mantissa = np.rint(bias / (1 << exponent))
        if np.abs(mantissa).max(initial=0) <= reg.BIAS_MANTISSA_MAX:
            return mantissa.astype(np.int32), exponent
    limit = reg.BIAS_MANTISSA_MAX << reg.BIAS_EXPONENT_MAX
    raise UnsupportedNetworkError(
        f"{layer.name}: a bias of {np.abs(bias).max():.0f} exceeds the chip's {limit}; "
        "its neurons fire in every step whatever they see"
    )


def _synapse(layer: FloatLayer, weight: np.ndarray) -> Synapse:
    ends = {"sources": (layer.source,), "target": layer.name}
    if weight.ndim == 2:
        return Dense(weight=weight, **ends)
    return Conv(
        weight=weight,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        **ends,
    )


def _loss(layer: FloatLayer, scale: float, weight: np.ndarray, population: Cuba) -> LayerLoss:
    exact = layer.weight * scale
    noise = np.square(weight - exact).sum()
    signal = np.square(exact).sum()
    exactly = noise <= FLOAT32_NOISE * signal
    sqnr = None if exactly else float(10 * np.log10(signal / noise))
    bias = population.bias / (scale * (1 << reg.INPUT_SHIFT))
    nonzero = np.count_nonzero(layer.weight)
    return LayerLoss(
        layer=layer.name,
        scale=scale,
        weight_sqnr_db=sqnr,
        effective_bits=None if sqnr is None else (sqnr - 1.76) / 6.02,
        clipped=float(np.mean((exact > reg.WEIGHT_MAX + 1) | (exact < reg.WEIGHT_MIN - 1))),
        zeroed=float(np.count_nonzero((weight == 0) & (layer.weight != 0)) / max(nonzero, 1)),
        threshold_error=float(np.abs(population.vth / scale / layer.threshold - 1).max()),
        decay_error=float(np.abs(population.dv / reg.DECAY_SCALE - layer.decay).max()),
        bias_error=float((np.abs(bias - layer.bias) / layer.threshold).max()),
    )
