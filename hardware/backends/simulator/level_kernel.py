"""The kernel for levels: activations as graded spikes, in floating point that is exact.

`hardware.chip.neurons.level_step` divides a sum of 24 bits by the size of a level and rounds down.
In float64 the quotient of two integers below ``2**53`` is correctly rounded, and it cannot be
rounded up to a whole number that it does not reach: it would have to be nearer to it than the
reciprocal of the divisor, which has 24 bits. Vectors of doubles divide, 64-bit integers do not.
"""

from __future__ import annotations

import numpy as np

from hardware.backends.simulator.kernels import jit
from hardware.chip import registers as reg
from hardware.chip.populations import Levels

INPUT_SCALE = float(1 << reg.INPUT_SHIFT)
LIMIT = float(reg.STATE_LIMIT - 1)
SILENT = float(1 << 40)  # the size of a level that no sum reaches
ABOVE, BELOW, BIAS = range(3)


def level_parameters(population: Levels) -> np.ndarray:
    """Sizes of a level above and below zero and the bias of each neuron, float64 ``[3, neurons]``.

    Neurons are in the order of a row, channels innermost.
    """
    names = ("vth", "vth_negative", "bias_mant")
    values = [np.broadcast_to(population.per_neuron(name), population.shape) for name in names]
    table = np.stack([np.moveaxis(v, 0, -1).ravel() for v in values]).astype(np.float64)
    table[[ABOVE, BELOW]] *= INPUT_SCALE
    table[BELOW][table[BELOW] == 0] = SILENT
    table[BIAS] *= population.levels * (1 << population.bias_exp)
    return table


@jit
def level_steps(
    inputs: np.ndarray,
    first: int,
    last: int,
    parameters: np.ndarray,
    levels: float,
    messages: np.ndarray,
    z_trace: np.ndarray,
    faults: np.ndarray,
) -> None:
    """Steps ``first`` to ``last`` (excluded) of a population.

    Parameters
    ----------
    inputs : ndarray of int32 or int64, shape (N, T, width)
    parameters : ndarray of float64, shape (3, neurons)
        See `level_parameters`.
    levels : float
    messages : ndarray of int64, shape (N, T, width)
        Written.
    z_trace : ndarray of int64, shape (N, T, width), or (0, 0, 0) for none
        Written.
    faults : ndarray of bool, shape (N,)
        Set where a sum leaves its register and a wider one would give another message.
    """
    above, below, bias = parameters[ABOVE], parameters[BELOW], parameters[BIAS]
    for sample in range(inputs.shape[0]):
        for step in range(first, last):
            wrong = _level_row(
                inputs[sample, step], above, below, bias, levels, messages[sample, step]
            )
            if wrong:
                faults[sample] = True
            if len(z_trace):
                for i in range(len(bias)):
                    raw = inputs[sample, step, i] * INPUT_SCALE + bias[i]
                    z_trace[sample, step, i] = min(max(raw, -LIMIT), LIMIT)


@jit
def _level_row(
    a: np.ndarray,
    above: np.ndarray,
    below: np.ndarray,
    bias: np.ndarray,
    levels: float,
    messages: np.ndarray,
) -> int:
    """One step of `hardware.chip.neurons.level_step`; how many of its faults there are."""
    faults = 0
    for i in range(len(bias)):
        raw = a[i] * INPUT_SCALE + bias[i]
        z = min(max(raw, -LIMIT), LIMIT)
        size = below[i] if z < 0 else above[i]
        number = min(np.floor((abs(z) + 0.5 * size) / size), levels)
        faults += (raw != z) & (number > 0) & (number < levels)
        messages[i] = np.int64(-number if z < 0 else number)
    return faults
