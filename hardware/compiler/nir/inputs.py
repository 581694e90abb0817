"""Constant inputs and gains of NIR's neurons, as parameters of a population.

>>> biased(population, bias, gain).bias
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hardware.compiler.floats.network import FloatPopulation


def biased(population: FloatPopulation, bias: np.ndarray, gain: np.ndarray) -> FloatPopulation:
    """The population with a constant input.

    Into a current, ``I' = (1 - d) I + b``, it is the same as a constant ``b / d`` on the voltage
    and a current that starts at ``-b / d``.
    """
    if gain.shape != bias.shape:
        gain = gain.reshape(-1, *(1,) * (bias.ndim - 1))
    bias, u_decay = bias * gain, population.per_neuron("u_decay")
    if (u_decay == 1).all():
        return replace(population, bias=_by_channel(bias + population.per_neuron("bias")))
    settled = bias / u_decay
    return replace(
        population,
        bias=_by_channel(settled + population.per_neuron("bias")),
        u_init=_by_channel(-np.where(u_decay < 1, settled, 0.0)),
    )


def started(population: FloatPopulation, bias: np.ndarray, gain: np.ndarray) -> FloatPopulation:
    """The population with a constant input that comes in once."""
    if gain.shape != bias.shape:
        gain = gain.reshape(-1, *(1,) * (bias.ndim - 1))
    return replace(population, v_init=_by_channel(bias * gain + population.per_neuron("v_init")))


def in_units_of_input(population: FloatPopulation, gain: np.ndarray) -> FloatPopulation:
    """The same neurons with voltages counted in units of their gain."""
    units: dict[str, Any] = {
        name: _by_channel(np.broadcast_to(population.per_neuron(name), population.shape) / gain)
        for name in ("threshold", "bias", "u_init", "v_init")
    }
    return replace(population, **units)


def _by_channel(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(len(values), -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else values
