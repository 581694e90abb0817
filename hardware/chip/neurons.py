"""The specification: one time step of a Loihi neuron and its synapses, as pure integer functions.

Nothing here is fast and nothing here is clever; every engine must equal these functions bit for
bit. One step of the current-based leaky integrate-and-fire (CUBA) neuron, all quantities integer:

    u' = tz(u * (4096 - du)) + (a << 6)           wrapped once to signed 24 bits
    v' = tz(v * (4096 - dv)) + u' + bias          saturated at +-(2**23 - 1)
    s  = v' > (vth << 6)
    v  = 0 where s else v'

with ``tz(x) = sign(x) * (|x| >> 12)`` (round toward zero). Here ``du`` is the decay that acts,
Lava's ``du`` register plus one. Source: ``lava/proc/lif/models.py``, class
``AbstractPyLifModelFixed``, and ``lava/proc/conv/utils.py``, ``signed_clamp``, of lava-nc 0.10.0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hardware.chip.registers import (
    CONV_SUM_BITS,
    DECAY_BITS,
    DECAY_SCALE,
    INPUT_SHIFT,
    STATE_LIMIT,
)


class CubaState(NamedTuple):
    """Synaptic current ``u`` and membrane voltage ``v``, int64 arrays of one shape."""

    u: np.ndarray
    v: np.ndarray


def decay(state: np.ndarray, amount: np.ndarray | int) -> np.ndarray:
    """Multiply by ``(4096 - amount) / 4096`` and round toward zero."""
    product = state.astype(np.int64) * (DECAY_SCALE - amount)
    return np.sign(product) * (np.abs(product) >> DECAY_BITS)


def wrap_current(u: np.ndarray) -> np.ndarray:
    """Wrap once into 24 bits as Lava does: +2**23 is legal, -2**23 becomes +2**23."""
    u = np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    return np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u)


def cuba_step(
    state: CubaState,
    a: np.ndarray,
    *,
    du: np.ndarray | int,
    dv: np.ndarray | int,
    vth: np.ndarray | int,
    bias: np.ndarray | int,
) -> tuple[np.ndarray, CubaState]:
    """One step of the CUBA neuron with reset to zero.

    Parameters
    ----------
    state : CubaState
        Integer arrays of any common shape.
    a : ndarray of int
        Summed synaptic input of this step, before the shift by 6.
    du, dv : int or ndarray
        Decays in [0, 4096], in units of 1/4096 per step.
    vth : int or ndarray
        Threshold mantissa; a neuron spikes when its voltage is strictly above ``vth << 6``.
    bias : int or ndarray
        Bias mantissa already shifted by its exponent.

    Returns
    -------
    spikes : ndarray of bool
    state : CubaState
    """
    u = wrap_current(decay(state.u, du) + (a.astype(np.int64) << INPUT_SHIFT))
    v = np.clip(decay(state.v, dv) + u + bias, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    spikes = v > (np.asarray(vth, np.int64) << INPUT_SHIFT)
    return spikes, CubaState(u, np.where(spikes, 0, v))


def dense_input(weight: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Input of a dense synapse: ``weight`` ``[O, I]`` applied to ``spikes`` ``[I]``."""
    return weight.astype(np.int64) @ spikes.astype(np.int64)


def conv_input(
    weight: np.ndarray,
    spikes: np.ndarray,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Input of a convolution: cross-correlation as in torch, wrapped to signed 24 bits.

    Parameters
    ----------
    weight : ndarray of shape (C_out, C_in / groups, kh, kw)
    spikes : ndarray of shape (C_in, H, W)
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.

    Returns
    -------
    ndarray of int64, shape (C_out, H_out, W_out)
    """
    channels_out, channels_in, kernel_h, kernel_w = weight.shape
    padded = np.pad(spikes.astype(np.int64), ((0, 0), *((p, p) for p in padding)))
    height, width = (
        conv_output_size(size, k, s, p, d)
        for size, k, s, p, d in zip(
            spikes.shape[1:], (kernel_h, kernel_w), stride, padding, dilation, strict=True
        )
    )
    out = np.zeros((channels_out, height, width), np.int64)
    per_group = channels_out // groups
    for row in range(kernel_h):
        for column in range(kernel_w):
            top, left = row * dilation[0], column * dilation[1]
            window = padded[
                :,
                top : top + stride[0] * height : stride[0],
                left : left + stride[1] * width : stride[1],
            ]
            for group in range(groups):
                source = window[group * channels_in : (group + 1) * channels_in]
                target = slice(group * per_group, (group + 1) * per_group)
                kernel = weight[target, :, row, column].astype(np.int64)
                out[target] += np.tensordot(kernel, source, axes=1)
    return wrap_sum(out)


def conv_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Number of output pixels along one axis of a convolution."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def wrap_sum(total: np.ndarray) -> np.ndarray:
    """Wrap a convolution's sum to signed 24 bits."""
    half = 1 << (CONV_SUM_BITS - 1)
    return (total + half) % (2 * half) - half
