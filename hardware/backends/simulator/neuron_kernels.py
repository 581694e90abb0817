"""The neuron kernel: all steps of CUBA neurons, in floating point that is exact.

`hardware.chip.neurons.cuba_step` multiplies a 24-bit state by a 12-bit decay and rounds toward
zero. In float64 this is ``trunc(u * ((4096 - du) / 4096))``: the factor is exact, the product has
at most 53 significant bits as long as ``|u| < 2**41``, and so is everything that follows. Vectors
of doubles do it in two instructions; 64-bit integer products have none on most processors.

Neurons are taken in blocks that stay in the first-level cache for all their steps.
"""

from __future__ import annotations

import numpy as np

from hardware.backends.simulator.kernels import jit
from hardware.chip import registers as reg
from hardware.chip.populations import Cuba

EXACT_CURRENT = 1 << (53 - reg.DECAY_BITS)
BLOCK = 512  # neurons whose parameters and state, 36 kB, are at hand at the same time
FULL, HALF = float(2 * reg.STATE_LIMIT), float(reg.STATE_LIMIT)
INPUT_SCALE = float(1 << reg.INPUT_SHIFT)
KEEP_U, KEEP_V, THRESHOLD, BIAS, V_INIT = range(5)


def is_exact(largest_input: float, largest_bias: float, steps: int) -> bool:
    """Whether float64 holds every current and voltage.

    The current is wrapped once per step, so that inputs beyond 24 bits pile up.
    """
    piled_up = steps * max(largest_input * INPUT_SCALE - FULL, 0)
    return HALF + piled_up < EXACT_CURRENT and largest_bias < EXACT_CURRENT


def cuba_parameters(population: Cuba) -> np.ndarray:
    """Parameters of consecutive neurons, float64 ``[5, period]``, channels innermost.

    Values per channel repeat, so that one block of them serves all blocks.
    """
    names = ("du", "dv", "vth", "bias_mant", "v_init")
    values = [getattr(population, name) for name in names]
    if all(v.shape == population.shape[:1] for v in values) and len(population.shape) == 3:
        table = np.tile(np.stack(values), -(-BLOCK // population.shape[0]))
    else:
        full = [np.broadcast_to(population.per_neuron(n), population.shape) for n in names]
        table = np.stack([np.moveaxis(v, 0, -1).ravel() for v in full])
    table = table.astype(np.float64)
    table[[KEEP_U, KEEP_V]] = 1 - table[[KEEP_U, KEEP_V]] / reg.DECAY_SCALE
    table[THRESHOLD] *= INPUT_SCALE
    table[BIAS] *= 1 << population.bias_exp
    return table


@jit
def cuba_steps(
    inputs: np.ndarray,
    bias_inputs: np.ndarray,
    bias_scale: float,
    first: int,
    last: int,
    resets: np.ndarray,
    parameters: np.ndarray,
    block: int,
    keep_excess: float,
    refractory: int,
    u: np.ndarray,
    v: np.ndarray,
    rest: np.ndarray,
    spikes: np.ndarray,
    u_trace: np.ndarray,
    v_trace: np.ndarray,
    faults: np.ndarray,
) -> None:
    """Steps ``first`` to ``last`` (excluded) of a population.

    Parameters
    ----------
    inputs : ndarray of int32, shape (N, T, width)
    bias_inputs : ndarray of int32, shape (N, T, width), or (0, 0, 0) for none
    bias_scale : float
        ``2**bias_exp``.
    resets : ndarray of bool, shape (T,)
        Before which steps the state becomes initial; must include the sample's first one.
    parameters : ndarray of float64, shape (5, period)
        See `cuba_parameters`.
    block : int
        Neurons to take at a time; the period, or a divisor of it.
    keep_excess : float
        1 for a reset by subtraction, 0 for a reset to zero.
    refractory : int
    u, v : ndarray of float64, shape (N, neurons)
        State, changed.
    rest : ndarray of int32, shape (N, neurons), or (0, 0) without refractoriness
        State, changed.
    spikes : ndarray of uint8, shape (N, T, width)
        Written.
    u_trace, v_trace : ndarray of int64, shape (N, T, width), or (0, 0, 0) for none
        Written.
    faults : ndarray of bool, shape (N,)
        Set where a current wraps or a voltage saturates.
    """
    samples, neurons = u.shape
    changed = np.empty(block)
    for sample in range(samples):
        for low in range(0, neurons, block):
            size = min(block, neurons - low)
            at, here = low % parameters.shape[1], slice(low, low + size)
            u_now, v_now = u[sample, here], v[sample, here]
            for step in range(first, last):
                if resets[step]:
                    u_now[:] = 0.0
                    v_now[:] = parameters[V_INIT, at : at + size]
                    if refractory:
                        rest[sample, here] = 0
                bias = parameters[BIAS, at : at + size]
                if len(bias_inputs):
                    changed[:size] = bias + bias_inputs[sample, step, here] * bias_scale
                    bias = changed[:size]
                if refractory:
                    fault = _step_with_rest(
                        inputs[sample, step, here],
                        parameters[KEEP_U, at : at + size],
                        parameters[KEEP_V, at : at + size],
                        parameters[THRESHOLD, at : at + size],
                        bias,
                        keep_excess,
                        refractory,
                        u_now,
                        v_now,
                        rest[sample, here],
                        spikes[sample, step, here],
                    )
                else:
                    fault = _step(
                        inputs[sample, step, here],
                        parameters[KEEP_U, at : at + size],
                        parameters[KEEP_V, at : at + size],
                        parameters[THRESHOLD, at : at + size],
                        bias,
                        keep_excess,
                        u_now,
                        v_now,
                        spikes[sample, step, here],
                    )
                if fault:
                    faults[sample] = True
                if len(u_trace):
                    u_trace[sample, step, here] = u_now
                if len(v_trace):
                    v_trace[sample, step, here] = v_now


@jit
def _step(
    a: np.ndarray,
    keep_u: np.ndarray,
    keep_v: np.ndarray,
    threshold: np.ndarray,
    bias: np.ndarray,
    keep_excess: float,
    u: np.ndarray,
    v: np.ndarray,
    spikes: np.ndarray,
) -> int:
    """One step of `hardware.chip.neurons.cuba_step`; how often a register overflowed."""
    faults = 0
    for i in range(len(u)):
        raw_u = np.trunc(u[i] * keep_u[i]) + a[i] * INPUT_SCALE
        new_u = raw_u - FULL if raw_u > HALF else raw_u
        new_u = new_u + FULL if new_u <= -HALF else new_u
        raw_v = np.trunc(v[i] * keep_v[i]) + new_u + bias[i]
        new_v = min(max(raw_v, 1 - HALF), HALF - 1)
        fired = new_v > threshold[i]
        faults += (new_u != raw_u) | (new_v != raw_v)
        u[i] = new_u
        v[i] = (new_v - threshold[i]) * keep_excess if fired else new_v
        spikes[i] = fired
    return faults


@jit
def _step_with_rest(
    a: np.ndarray,
    keep_u: np.ndarray,
    keep_v: np.ndarray,
    threshold: np.ndarray,
    bias: np.ndarray,
    keep_excess: float,
    refractory: int,
    u: np.ndarray,
    v: np.ndarray,
    rest: np.ndarray,
    spikes: np.ndarray,
) -> int:
    """`_step` of neurons that rest after a spike: voltage stands still, current goes on."""
    faults = 0
    for i in range(len(u)):
        before = v[i]
        faults += _step(
            a[i : i + 1],
            keep_u[i : i + 1],
            keep_v[i : i + 1],
            threshold[i : i + 1],
            bias[i : i + 1],
            keep_excess,
            u[i : i + 1],
            v[i : i + 1],
            spikes[i : i + 1],
        )
        if rest[i]:
            v[i] = before
            spikes[i] = 0
            rest[i] -= 1
        elif spikes[i]:
            rest[i] = refractory
    return faults
