"""Integers per unit of weight: how fine a population can be on the chip.

All synapses into a population share its scale, since their inputs add up. The scale is the largest
at which everything fits:

    weights      scale max|w| <= 254, or 255 where all have one sign
    threshold    scale theta  <= 2**17 - 1
    bias         64 scale |b| <= 4095 * 2**7
    u, v         64 scale |v| <= 2**23 - 1, on calibration samples with a margin

and then lowered until the threshold itself is an integer, so that the threshold is exact and all
rounding is in the weights. It may differ between target channels, each with its own threshold; a
membrane that is read out needs one for all, since its values are compared.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hardware.chip import registers as reg
from hardware.compiler.floats.network import FloatPopulation, FloatSynapse
from hardware.compiler.quantise.calibrate import Range
from hardware.compiler.quantise.losses import weight_range
from hardware.errors import UnsupportedNetworkError

PerChannel = bool | Literal["auto"]

CALIBRATION_MARGIN = 2.0  # other samples may go this much further
AUTO_SPREAD = 2.0  # channels get their own scale where one allows more than twice another's
NUDGE = 1 + 1e-12  # against 253.99999999999997 where 254 is meant

STATE_MAX = (reg.STATE_LIMIT - 1) / (1 << reg.INPUT_SHIFT)
BIAS_MAX = reg.BIAS_MANTISSA_MAX / (1 << reg.INPUT_SHIFT)  # times 2**exponent


def choose_scale(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    seen: Range | None,
    *,
    per_channel: PerChannel = "auto",
) -> np.ndarray:
    """Scale of each channel, float64 (C,).

    Parameters
    ----------
    population : FloatPopulation
    synapses : tuple of FloatSynapse
        All that lead into it.
    seen : Range, optional
        How far states go; without it they are not looked at.
    per_channel : bool or "auto"
        ``"auto"`` where the channels' weights differ enough to gain a bit.

    Raises
    ------
    UnsupportedNetworkError
        When no threshold fits the weights.
    """
    if population.weight_scale is not None:
        return np.full(population.shape[0], population.weight_scale)
    if population.kind == "relay":
        return np.ones(population.shape[0])
    weights = _weight_limit(synapses, population.shape[0])
    others = np.minimum(_state_limit(population, seen), _threshold_limit(population))
    highest_exponent = 1 << reg.BIAS_EXPONENT_MAX
    limit = np.minimum(np.minimum(weights, others), _bias_limit(population, highest_exponent))
    shared = float(limit.min())
    if not np.isfinite(shared):
        shared = 1.0  # no weight, no bias, nothing to fit
    if population.kind == "readout":
        return np.full(population.shape[0], shared)
    scale = np.full(population.shape[0], shared)
    alive = np.isfinite(weights)
    wide = alive.any() and limit[alive].max() > AUTO_SPREAD * shared
    if per_channel is True or (per_channel == "auto" and wide):
        # A finer channel must not need a larger bias exponent, which would coarsen the others.
        exponent = _bias_exponent(population, shared)
        limit = np.minimum(limit, np.maximum(_bias_limit(population, 1 << exponent), shared))
        scale = np.where(alive, limit, shared)
    return _integer_threshold(population, scale, synapses)


def weight_shift(
    population: FloatPopulation, synapses: tuple[FloatSynapse, ...], scale: np.ndarray
) -> int:
    """Binary digits by which weights can be finer than the scale: ``-weight_exp``.

    Where voltages and not weights limit the scale of a readout, its sums are shifted right.
    """
    if population.kind != "readout" or population.weight_scale is not None:
        return 0
    room = float((_weight_limit(synapses, len(scale)) / scale).min())
    if not np.isfinite(room):
        return 0
    return int(np.clip(np.floor(np.log2(room * NUDGE)), 0, -reg.WEIGHT_EXPONENT_MIN))


def _integer_threshold(
    population: FloatPopulation, scale: np.ndarray, synapses: tuple[FloatSynapse, ...]
) -> np.ndarray:
    threshold = _largest(population, "threshold")
    mantissa = np.floor(scale * threshold * NUDGE)
    if mantissa.min() < 1:
        channel = int(mantissa.argmin())
        largest = max(np.abs(s.weight).max(initial=0.0) for s in synapses)
        raise UnsupportedNetworkError(
            f"{population.name}: weights up to {largest:.3g} dwarf the threshold "
            f"{threshold[channel]:.3g}: no threshold mantissa in "
            f"[1, {reg.THRESHOLD_MANTISSA_MAX}] fits 8-bit weights; rescale the layer"
        )
    return mantissa / threshold


def _weight_limit(synapses: tuple[FloatSynapse, ...], n_channels: int) -> np.ndarray:
    limit = np.full(n_channels, np.inf)
    for synapse in synapses:
        low, high, _ = weight_range(synapse.weight)
        room = high if high > 0 else -low
        largest = np.abs(synapse.weight.reshape(n_channels, -1)).max(axis=1, initial=0.0)
        limit = np.minimum(limit, _ratio(room, largest))
    return limit


def _threshold_limit(population: FloatPopulation) -> np.ndarray:
    if population.kind != "neuron":
        return np.full(population.shape[0], np.inf)
    return reg.THRESHOLD_MANTISSA_MAX / _largest(population, "threshold")


def _bias_limit(population: FloatPopulation, factor: int) -> np.ndarray:
    return _ratio(BIAS_MAX * factor, _largest(population, "bias"))


def _bias_exponent(population: FloatPopulation, scale: float) -> int:
    """The smallest one with which the biases fit."""
    needed = float((_largest(population, "bias") * scale / BIAS_MAX).max())
    return int(np.clip(np.ceil(np.log2(max(needed, 1.0))), 0, reg.BIAS_EXPONENT_MAX))


def _state_limit(population: FloatPopulation, seen: Range | None) -> np.ndarray:
    limit = _ratio(STATE_MAX, _largest(population, "v_init"))
    if seen is None:
        return limit
    furthest = np.maximum(seen.u, seen.v).reshape(population.shape[0], -1).max(axis=1)
    return np.minimum(limit, _ratio(STATE_MAX, CALIBRATION_MARGIN * furthest))


def _largest(population: FloatPopulation, name: str) -> np.ndarray:
    """Largest size of a parameter in each channel."""
    values = np.abs(getattr(population, name)).reshape(population.shape[0], -1)
    return values.max(axis=1)


def _ratio(room: float, needed: np.ndarray) -> np.ndarray:
    return np.divide(room, needed, out=np.full(needed.shape, np.inf), where=needed > 0)
