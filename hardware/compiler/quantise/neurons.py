"""Neurons of a float network as populations of the chip, and back.

The registers of CUBA neurons are listed in `hardware.compiler.quantise.quantiser`. Levels, with
``scale`` integers per unit of weight and at most ``L`` levels,

    V = round(scale theta / L),   V_negative = round(V / slope),   B = round(64 scale b / L)

Sigma-delta neurons hold their sum in ``scale`` units and send it without the ``state_exp`` lowest
bits, so that a message of 1 is worth ``1 / message_scale``:

    message_scale = scale / 2**state_exp,   vth = round(message_scale delta),   bias likewise

>>> chip = chip_population(population, scale, notes)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.populations import Cuba, Levels, Population, Relay, SigmaDelta
from hardware.compiler.floats.network import FloatPopulation
from hardware.compiler.quantise.calibrate import Range
from hardware.compiler.quantise.losses import message_scale
from hardware.compiler.quantise.scales import decision_size, dropped_bits
from hardware.errors import UnsupportedNetworkError


def chip_population(
    population: FloatPopulation, scale: np.ndarray, seen: Range | None, notes: list[str]
) -> Population:
    """The integers of a population.

    Parameters
    ----------
    population : FloatPopulation
    scale : ndarray of float64, shape (C,)
        Integers per unit of weight.
    seen : Range, optional
        How far states go; sigma-delta neurons have none without it.
    notes : list of str
        What the integers do differently is added here.

    Raises
    ------
    UnsupportedNetworkError
        Where a value does not fit its register.
    """
    if population.kind == "relay":
        return Relay(name=population.name, shape=population.shape)
    if population.kind == "levels":
        return _levels(population, scale)
    if population.kind == "sigma_delta":
        return _sigma_delta(population, scale, seen, notes)
    return _neurons(population, scale, notes)


def _neurons(population: FloatPopulation, scale: np.ndarray, notes: list[str]) -> Cuba:
    fraction = 1 << reg.INPUT_SHIFT
    v_init = np.rint(_scaled(population, "v_init", scale) * fraction)
    if population.fires == "at_or_above":
        if population.reset == "subtract" and not population.per_neuron("v_decay").any():
            v_init = v_init + 1
        else:
            notes.append("a voltage of exactly the threshold does not spike on the chip")
    if population.per_neuron("u_init").any():
        notes.append("currents start at 0 on the chip: biases act in full from the first step")
    mantissa, exponent = _bias(population, _scaled(population, "bias", scale) * fraction)
    if population.kind == "readout":
        vth = np.full(population.shape[:1], reg.THRESHOLD_MANTISSA_MAX)
    else:
        vth = _thresholds(population, scale)
    return Cuba(
        name=population.name,
        shape=population.shape,
        du=np.maximum(_decay(population, "u_decay", notes), 1),
        dv=_decay(population, "v_decay", notes),
        vth=vth.astype(np.int32),
        bias_mant=mantissa,
        bias_exp=exponent,
        reset=population.reset,
        v_init=v_init.astype(np.int32),
        refractory=population.refractory,
    )


def _levels(population: FloatPopulation, scale: np.ndarray) -> Levels:
    vth = _thresholds(population, scale)
    wide = vth.reshape(-1, *(1,) * (len(population.shape) - vth.ndim), *vth.shape[1:])
    below = _compact(population.shape, _ratio(wide, population.per_neuron("negative_slope")))
    bias = _scaled(population, "bias", scale) * (1 << reg.INPUT_SHIFT) / population.levels
    mantissa, exponent = _bias(population, bias)
    return Levels(
        name=population.name,
        shape=population.shape,
        vth=vth.astype(np.int32),
        levels=population.levels,
        vth_negative=np.rint(below).astype(np.int32),
        bias_mant=mantissa,
        bias_exp=exponent,
    )


def _ratio(values: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Their quotient, 0 where the divisor is."""
    shape = np.broadcast_shapes(values.shape, divisor.shape)
    return np.divide(values, divisor, out=np.zeros(shape), where=divisor > 0)


def _compact(shape: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Values that broadcast to a population's shape, as one per channel or one per neuron."""
    if values.size == shape[0]:
        return values.reshape(shape[:1])
    return np.broadcast_to(values, shape)


def _sigma_delta(
    population: FloatPopulation, scale: np.ndarray, seen: Range | None, notes: list[str]
) -> SigmaDelta:
    dropped = dropped_bits(population, float(scale[0]), seen)
    unit = scale[0] / (1 << dropped)
    if dropped:
        notes.append(f"a message drops the {dropped} lowest bits of the change that it sends")
    return SigmaDelta(
        name=population.name,
        shape=population.shape,
        vth=_register(population, "delta", unit, reg.GRADED_MAX),
        bias=_register(population, "bias", unit, reg.SIGMA_BIAS_MAX),
        rectify=population.rectify,
        state_exp=dropped,
    )


def _register(population: FloatPopulation, name: str, unit: float, limit: int) -> np.ndarray:
    values = np.rint(getattr(population, name) * unit)
    if np.abs(values).max() > limit:
        raise UnsupportedNetworkError(
            f"{population.name}: a {name} of {np.abs(values).max():.0f} exceeds the register's "
            f"{limit}; rescale the layer"
        )
    return values.astype(np.int32)


def _thresholds(population: FloatPopulation, scale: np.ndarray) -> np.ndarray:
    """Mantissas of thresholds, or of one level."""
    size = decision_size(population)
    vth = np.rint(size * scale.reshape(-1, *(1,) * (size.ndim - 1)))
    if vth.max() > reg.THRESHOLD_MANTISSA_MAX or vth.min() < 1:
        raise UnsupportedNetworkError(
            f"{population.name}: threshold mantissas must lie in "
            f"[1, {reg.THRESHOLD_MANTISSA_MAX}], got [{vth.min():.0f}, {vth.max():.0f}]; "
            "use another weight_scale"
        )
    return vth


def _scaled(population: FloatPopulation, name: str, scale: np.ndarray) -> np.ndarray:
    """A parameter times the scale of its channel, in the parameter's shape."""
    values = getattr(population, name)
    return values * scale.reshape(-1, *(1,) * (values.ndim - 1))


def _decay(population: FloatPopulation, name: str, notes: list[str]) -> np.ndarray:
    values = getattr(population, name)
    register = np.rint(values * reg.DECAY_SCALE).astype(np.int32)
    if ((register == 0) & (values > 0)).any():
        smallest = values[(register == 0) & (values > 0)].min()
        notes.append(f"a {name} of {smallest:.2g} is less than half a step of 1/4096")
    return register


def _bias(population: FloatPopulation, bias: np.ndarray) -> tuple[np.ndarray, int]:
    """Mantissas and the smallest shared exponent that holds them."""
    for exponent in range(reg.BIAS_EXPONENT_MAX + 1):
        mantissa = np.rint(bias / (1 << exponent))
        if np.abs(mantissa).max(initial=0) <= reg.BIAS_MANTISSA_MAX:
            return mantissa.astype(np.int32), exponent
    limit = reg.BIAS_MANTISSA_MAX << reg.BIAS_EXPONENT_MAX
    raise UnsupportedNetworkError(
        f"{population.name}: a bias of {np.abs(bias).max():.0f} exceeds the chip's {limit}; "
        "its neurons fire in every step whatever they see"
    )


# -- integers to floats ----------------------------------------------------------------------------


def float_population(
    population: Population, scale: np.ndarray, *, is_readout: bool
) -> FloatPopulation:
    """A population of the chip as floats again, in units of its scale."""
    common: dict[str, Any] = {"name": population.name, "shape": population.shape}

    def unscaled(values: np.ndarray, unit: float) -> np.ndarray:
        return values / (scale.reshape(-1, *(1,) * (values.ndim - 1)) * unit)

    fraction = 1 << reg.INPUT_SHIFT
    if isinstance(population, Levels):
        levels = population.levels
        slope = _ratio(population.per_neuron("vth"), population.per_neuron("vth_negative"))
        return FloatPopulation(
            **common,
            kind="levels",
            levels=levels,
            threshold=unscaled(np.asarray(population.vth), 1 / levels),
            negative_slope=_compact(population.shape, slope),
            bias=unscaled(population.bias, fraction / levels),
        )
    if isinstance(population, SigmaDelta):
        unit = (1 << population.scale_exp) / scale[0]
        return FloatPopulation(
            **common,
            kind="sigma_delta",
            delta=np.asarray(population.vth) * unit,
            bias=np.asarray(population.bias) * unit,
            rectify=population.rectify,
            quantum=1 / message_scale(population, scale),
        )
    if not isinstance(population, Cuba):
        return FloatPopulation(**common, kind="relay")
    return FloatPopulation(
        **common,
        u_decay=np.asarray(population.du) / reg.DECAY_SCALE,
        v_decay=np.asarray(population.dv) / reg.DECAY_SCALE,
        threshold=math.inf if is_readout else unscaled(np.asarray(population.vth), 1),
        bias=unscaled(population.bias, fraction),
        v_init=unscaled(np.asarray(population.v_init), fraction),
        reset=population.reset,
        refractory=population.refractory,
        kind="readout" if is_readout else "neuron",
    )
