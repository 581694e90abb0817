"""Integers per unit of weight: how fine a population can be on the chip.

All synapses into a population share its scale, since their inputs add up. The scale is the largest
at which everything fits:

    weights      scale max|w| <= 254, or 255 where all have one sign
    threshold    scale theta  <= 2**17 - 1
    bias         64 scale |b| <= 4095 * 2**7
    u, v         64 scale |v| <= 2**23 - 1, on calibration samples with a margin

of levels, which send a message of at most L:

    a level      scale theta / L  and  scale theta / (L slope)  <= 2**17 - 1
    bias         64 scale |b| / L <= 4095 * 2**7
    sum          64 scale theta   <= 2**23 - 1; beyond it saturates, which changes no message.
                 Below zero as far as theta / slope, or as far as calibration samples go

of sigma-delta neurons, whose calibration samples must say how far they go:

    sum          scale |sigma| <= 2**23 - 1, with the margin
    message      scale 2**-state_exp |act| <= 2**19 - 1, with the margin, and state_exp <= 7

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
TINY = 1e-9  # of an activation: a layer that never answers has bits to spare
NUDGE = 1 + 1e-12  # against 253.99999999999997 where 254 is meant

# Of a change that sigma-delta neurons send. A message of 24 bits would leave weights no bits; one
# of 16 drops so many of each change that receivers drift by percents in 200 steps.
MESSAGE_MAX = (1 << 19) - 1

STATE_MAX = (reg.STATE_LIMIT - 1) / (1 << reg.INPUT_SHIFT)
BIAS_MAX = reg.BIAS_MANTISSA_MAX / (1 << reg.INPUT_SHIFT)  # times 2**exponent


def choose_scale(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    seen: Range | None,
    *,
    per_channel: PerChannel = "auto",
    of_values: bool = False,
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
    of_values : bool
        Whether messages with values arrive, so that sums may be shifted, see `weight_shift`.

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
    if population.kind == "sigma_delta":
        widest = _change_limit(population, seen)
        return np.full(population.shape[0], _with_full_weights(widest, float(weights.min())))
    others = np.minimum(_state_limit(population, seen), _threshold_limit(population))
    highest_exponent = 1 << reg.BIAS_EXPONENT_MAX
    limit = np.minimum(others, _bias_limit(population, highest_exponent))
    limit = np.minimum(limit, weights / _finer(weights, limit) if of_values else weights)
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


def _finer(weights: np.ndarray, limit: np.ndarray) -> float:
    """How much finer weights are than scales within ``limit``: one power of 2 for all channels."""
    alive = np.isfinite(weights)
    room = float((weights[alive] / limit[alive]).max(initial=1.0))
    return 2.0 ** min(np.ceil(np.log2(max(room / NUDGE, 1.0))), -reg.WEIGHT_EXPONENT_MIN)


def weight_shift(
    population: FloatPopulation,
    synapses: tuple[FloatSynapse, ...],
    scale: np.ndarray,
    *,
    of_values: bool,
) -> int:
    """Binary digits by which weights can be finer than the scale: ``-weight_exp``.

    Where states and not weights limit the scale of a readout, or of neurons behind messages with
    values (``of_values``), sums are shifted right: they lose less than one unit of the threshold
    mantissa, and weights keep their bits. Those of sigma-delta neurons are shifted either way, so
    that messages of all layers are about equally fine.
    """
    shifts = population.kind in ("readout", "sigma_delta") or of_values
    if population.kind == "relay" or not shifts or population.weight_scale is not None:
        return 0
    room = float((_weight_limit(synapses, len(scale)) / scale).min())
    if not np.isfinite(room):
        return 0
    coarsest = -reg.WEIGHT_EXPONENT_MAX if population.kind == "sigma_delta" else 0
    return int(np.clip(np.floor(np.log2(room * NUDGE)), coarsest, -reg.WEIGHT_EXPONENT_MIN))


def _with_full_weights(scale: float, largest: float) -> float:
    """The scale or up to half of it, at which weights fill 8 bits after a whole shift."""
    shift = np.ceil(np.log2(largest / scale / NUDGE)) if np.isfinite(largest) else np.inf
    if shift > -reg.WEIGHT_EXPONENT_MIN:
        return scale
    return largest / 2.0 ** max(shift, -reg.WEIGHT_EXPONENT_MAX)


def decision_size(population: FloatPopulation) -> np.ndarray:
    """What one threshold register holds, in the parameter's shape: the threshold, or one level."""
    return np.asarray(population.threshold) / _parts(population)


def _parts(population: FloatPopulation) -> int:
    return population.levels if population.kind == "levels" else 1


def _integer_threshold(
    population: FloatPopulation, scale: np.ndarray, synapses: tuple[FloatSynapse, ...]
) -> np.ndarray:
    threshold = _largest(population, "threshold") / _parts(population)
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
    if population.kind == "levels":
        level = _largest(population, "threshold") / population.levels
        below = _ratio(reg.THRESHOLD_MANTISSA_MAX, level) * _smallest_slope(population)
        return np.minimum(reg.THRESHOLD_MANTISSA_MAX / level, below)
    if population.kind != "neuron":
        return np.full(population.shape[0], np.inf)
    return reg.THRESHOLD_MANTISSA_MAX / _largest(population, "threshold")


def _smallest_slope(population: FloatPopulation) -> np.ndarray:
    """Of each channel, infinite where there is none."""
    slope = np.asarray(population.negative_slope).reshape(population.shape[0], -1)
    return np.where(slope > 0, slope, np.inf).min(axis=1)


def _bias_limit(population: FloatPopulation, factor: int) -> np.ndarray:
    return _ratio(BIAS_MAX * factor * _parts(population), _largest(population, "bias"))


def _bias_exponent(population: FloatPopulation, scale: float) -> int:
    """The smallest one with which the biases fit."""
    largest = _largest(population, "bias") / _parts(population)
    needed = float((largest * scale / BIAS_MAX).max())
    return int(np.clip(np.ceil(np.log2(max(needed, 1.0))), 0, reg.BIAS_EXPONENT_MAX))


def _state_limit(population: FloatPopulation, seen: Range | None) -> np.ndarray:
    if population.kind == "levels":
        return _sum_limit(population, seen)
    limit = _ratio(STATE_MAX, _largest(population, "v_init"))
    if seen is None:
        return limit
    furthest = np.maximum(seen.u, seen.v).reshape(population.shape[0], -1).max(axis=1)
    return np.minimum(limit, _ratio(STATE_MAX, CALIBRATION_MARGIN * furthest))


def _sum_limit(population: FloatPopulation, seen: Range | None) -> np.ndarray:
    """Levels: sums up to the highest level, and as far below zero as levels are told apart."""
    theta = _largest(population, "threshold")
    below = np.where(np.isfinite(slope := _smallest_slope(population)), theta / slope, 0.0)
    if seen is not None:
        furthest = seen.v.reshape(population.shape[0], -1).max(axis=1)
        below = np.minimum(below, CALIBRATION_MARGIN * furthest)
    return STATE_MAX / np.maximum(theta, below)


def _change_limit(population: FloatPopulation, seen: Range | None) -> float:
    """Sigma-delta: sums in 24 bits, messages in 16 after the bits that can be dropped."""
    sums = (reg.STATE_LIMIT - 1) / (CALIBRATION_MARGIN * max(_furthest(population, seen), TINY))
    return min(sums, _message_limit(population, seen) * (1 << reg.SCALE_EXPONENT_MAX))


def dropped_bits(population: FloatPopulation, scale: float, seen: Range | None) -> int:
    """How many low bits of a change sigma-delta neurons do not send: their ``state_exp``."""
    needed = np.ceil(np.log2(scale / _message_limit(population, seen) / NUDGE))
    return int(np.clip(needed, 0, reg.SCALE_EXPONENT_MAX))


def _message_limit(population: FloatPopulation, seen: Range | None) -> float:
    """Largest number of integers per unit of a message."""
    changes = MESSAGE_MAX / (CALIBRATION_MARGIN * max(_furthest(population, seen), TINY))
    bias = float(np.abs(population.bias).max())
    return min(changes, reg.SIGMA_BIAS_MAX / bias) if bias else changes


def _furthest(population: FloatPopulation, seen: Range | None) -> float:
    if seen is None:
        raise UnsupportedNetworkError(
            f"{population.name}: how far sigma-delta neurons go decides their bits; give "
            "calibration samples"
        )
    return float(max(seen.u.max(), seen.v.max()))


def _largest(population: FloatPopulation, name: str) -> np.ndarray:
    """Largest size of a parameter in each channel."""
    values = np.abs(getattr(population, name)).reshape(population.shape[0], -1)
    return values.max(axis=1)


def _ratio(room: float, needed: np.ndarray) -> np.ndarray:
    return np.divide(room, needed, out=np.full(needed.shape, np.inf), where=needed > 0)
