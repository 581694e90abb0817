"""The specification of synapses: what arrives at a population, as pure integer functions.

    dense, sparse   a = shift(W s)
    convolution     a = wrap24(shift(W * s))        cross-correlation, as in torch

``shift(x) = x << weight_exp`` for a positive exponent and the arithmetic ``x >> -weight_exp``
(toward minus infinity) for a negative one. Source: ``lava/proc/dense/models.py``, class
``AbstractPyDenseModelBitAcc``; ``lava/proc/conv/utils.py``, ``signed_clamp``, of lava-nc 0.10.0.
Lava's convolution ignores its exponent; here it acts, before the wrap.
"""

from __future__ import annotations

import numpy as np

from hardware.chip.registers import CONV_SUM_BITS


def payload(message: np.ndarray, message_bits: int) -> np.ndarray:
    """What a synapse reads of a message: the fact of a spike (0 bits) or its signed value."""
    return message.astype(np.int64) if message_bits else (message != 0).astype(np.int64)


def exceeds_payload(message: np.ndarray, message_bits: int) -> np.ndarray:
    """Where a message does not fit a signed payload of ``message_bits`` bits, bool.

    Two bits hold -2 to 1 on paper; sums of unsigned spikes use them as 0 to 3, so the magnitude
    is compared with ``2**bits``. Lava does not enforce either.
    """
    return np.abs(message.astype(np.int64)) >= (1 << message_bits)


def shift(total: np.ndarray, exponent: int) -> np.ndarray:
    """``total * 2**exponent``, toward minus infinity."""
    return total << exponent if exponent > 0 else total >> -exponent


def dense_input(weight: np.ndarray, spikes: np.ndarray, *, exponent: int = 0) -> np.ndarray:
    """Input of a dense synapse: ``weight`` ``[O, I]`` applied to ``spikes`` ``[I]``, int64."""
    return shift(weight.astype(np.int64) @ spikes.astype(np.int64), exponent)


def conv_sum(
    weight: np.ndarray,
    spikes: np.ndarray,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation as in torch, of integers or floats, before any wrap.

    Parameters
    ----------
    weight : ndarray of shape (C_out, C_in / groups, kh, kw)
    spikes : ndarray of shape (C_in, H, W)
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.

    Returns
    -------
    ndarray of shape (C_out, H_out, W_out), of the common type of both
    """
    channels_out, channels_in, kernel_h, kernel_w = weight.shape
    padded = np.pad(spikes, ((0, 0), *((p, p) for p in padding)))
    height, width = (
        conv_output_size(size, k, s, p, d)
        for size, k, s, p, d in zip(
            spikes.shape[1:], (kernel_h, kernel_w), stride, padding, dilation, strict=True
        )
    )
    out = np.zeros((channels_out, height, width), np.result_type(weight, spikes))
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
                out[target] += np.tensordot(weight[target, :, row, column], source, axes=1)
    return out


def conv_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Number of output pixels along one axis of a convolution."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def wrap_sum(total: np.ndarray) -> np.ndarray:
    """Wrap a convolution's sum to signed 24 bits."""
    half = 1 << (CONV_SUM_BITS - 1)
    return (total + half) % (2 * half) - half
