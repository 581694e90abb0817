"""Steps of `hardware.chip.neurons` on torch tensors, int64, ``[N, *shape]``.

Each step maps ``(population, parameters, state, inputs by port)`` to ``(message, state)``, where
parameters are those of `Population.per_neuron` as tensors. Torch is not imported here: everything
is a method of the tensors that come in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hardware.chip.populations import Cuba, Delta, Levels, Population, Relay, Sigma, SigmaDelta
from hardware.chip.registers import DECAY_SCALE, INPUT_SHIFT, STATE_LIMIT

Tensor = Any
Tensors = dict[str, Tensor]
Step = Callable[[Any, Tensors, Tensors, Tensors], tuple[Tensor, Tensors]]


def cuba(
    population: Cuba, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.cuba_step`."""
    a = inputs["input"]
    threshold = parameters["vth"] << INPUT_SHIFT
    bias = (parameters["bias_mant"] + inputs["bias"]) << population.bias_exp
    u = _decay(state["u"], parameters["du"]) + (a << INPUT_SHIFT)
    u = u - 2 * STATE_LIMIT * (u > STATE_LIMIT)
    u = u + 2 * STATE_LIMIT * (u <= -STATE_LIMIT)
    awake = state["rest"] == 0
    v = (_decay(state["v"], parameters["dv"]) + u + bias).where(awake, state["v"])
    v = v.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
    spikes = awake & (v > threshold)
    after = v - threshold if population.reset == "subtract" else v * 0
    rest = (state["rest"] - 1).clamp(min=0)
    rest = rest.masked_fill(spikes, population.refractory)
    return spikes, {"u": u, "v": after.where(spikes, v), "rest": rest}


def relay(
    population: Relay, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.relay_step`."""
    a = inputs["input"]
    size = a if population.rectify else a.abs()
    return a * (size > parameters["vth"]), state


def sigma(
    population: Sigma, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.sigma_step`."""
    total = state["sigma"] + inputs["input"]
    return total, {"sigma": total}


def delta(
    population: Delta, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.delta_step`."""
    return _send_change(population, parameters, state, inputs["input"] << population.scale_exp)


def sigma_delta(
    population: SigmaDelta, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.sigma_delta_step`."""
    total = state["sigma"] + inputs["input"]
    act = total + (parameters["bias"] << population.scale_exp)
    message, after = _send_change(
        population, parameters, state, act.clamp(min=0) if population.rectify else act
    )
    return message, {"sigma": total, **after}


def levels(
    population: Levels, parameters: Tensors, state: Tensors, inputs: Tensors
) -> tuple[Tensor, Tensors]:
    """See `hardware.chip.neurons.level_step`."""
    bias = parameters["bias_mant"] << population.bias_exp
    z = (inputs["input"] << INPUT_SHIFT) + population.levels * bias
    z = z.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
    above = _level(z, parameters["vth"], population.levels)
    below = -_level(-z, parameters["vth_negative"], population.levels)
    return above.where(z >= 0, below), {"z": z}


def _level(z: Tensor, vth: Tensor, levels: int) -> Tensor:
    size = (vth << INPUT_SHIFT).clamp(min=1)
    rounded = (z + (vth << INPUT_SHIFT - 1)).div(size, rounding_mode="floor")
    return rounded.clamp(0, levels) * (vth > 0)


def _send_change(
    population: Delta, parameters: Tensors, state: Tensors, act: Tensor
) -> tuple[Tensor, Tensors]:
    change = act - state["act"] + state["residue"]
    vth = parameters["vth"] << population.scale_exp
    sent = change * (change.abs() >= vth)
    return sent >> population.state_exp, {"act": act, "residue": change - sent}


def _decay(state: Tensor, amount: Tensor) -> Tensor:
    return (state * (DECAY_SCALE - amount)).div(DECAY_SCALE, rounding_mode="trunc")


STEPS: dict[type[Population], Step] = {
    Cuba: cuba,
    Relay: relay,
    Sigma: sigma,
    Delta: delta,
    SigmaDelta: sigma_delta,
    Levels: levels,
}
