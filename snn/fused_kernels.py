"""The recursion of ``snn.neurons`` and its gradient as compiled loops over blocks of neurons.

Arrays are ``[T, M]``: steps times neurons in any order of memory, since neurons do not see each
other. A kernel takes a block of neurons through all steps before it goes on, so that the membrane
lives in the cache and never in memory. The backward pass runs the block forward again
and then, from the last step to the first, with g = gain, h the surrogate and d[t] = dL/dv[t]:

    dL/dr[t] = (1 - g) d[t+1]                                    (IF: d[t+1])
    d[t]     = dL/dr[t] dr/dv + (dL/ds[t] + dL/dr[t] dr/ds) h(v[t] - threshold)
    dL/dx[t] = g d[t],   dL/dg = sum over t of d[t] (x[t] - r[t-1])

where for a reset to zero dr/dv = 1 - s and dr/ds = -v, for a subtraction 1 and -threshold, and
dr/ds = 0 when the reset is detached.

The forward recursion has no fused multiply-add and no other reordering: its spikes are those of
the plain loop, bit by bit. bfloat16 comes as uint16, the upper half of a float32.

>>> x, s, v = np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32), np.zeros(1, np.float32)
>>> run_forward(x, s, v, as_constants(gain=0.5, threshold=0.8), 0, 1)
>>> s[:, 0].tolist(), v.tolist()
([0.0, 0.0, 1.0, 0.0], [0.5])
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from snn.surrogate import SHAPES

ERFC, TANH, TRIANGLE, CIRC, SUPERSPIKE, ATAN, SIGMOID, EXPONENTIAL = map(
    SHAPES.index,
    ("erfc", "tanh", "triangle", "circ", "superspike", "atan", "sigmoid", "exponential"),
)
CACHED_VALUES = 16384  # float32 that a block keeps: 64 kB, well inside of the second-level cache
SHORTEST_BLOCK, LONGEST_BLOCK = 256, 2048


# leaks, gain, threshold, subtracts, detached, decay unit, shape, alpha
Constants = tuple[bool, np.float32, np.float32, bool, bool, np.float32, int, np.float32]


def as_constants(
    *,
    leaks: bool = True,
    gain: float,
    threshold: float,
    subtracts: bool = False,
    detached: bool = True,
    decay_unit: float = 0.0,
    shape: str = "atan",
    alpha: float = 2.0,
) -> Constants:
    """A ``NeuronParameters`` as the kernels take it, numbers in float32.

    ``decay_unit``: voltages are cut to multiples of 1 / this; 0 for no cut.
    """
    f32 = np.float32
    return (
        leaks,
        f32(gain),
        f32(threshold),
        subtracts,
        detached,
        f32(decay_unit),
        SHAPES.index(shape),
        f32(alpha),
    )


def block_length(n_steps: int) -> int:
    """Neurons of a block whose membranes of all steps stay in the cache."""
    length = CACHED_VALUES // n_steps // 64 * 64
    return min(max(length, SHORTEST_BLOCK), LONGEST_BLOCK)


# What the next two do depends on a type, so numba takes it from their overloads: these are names.
def from_bits(value: Any) -> Any:
    """A float32 from a float32 or from the bits of a bfloat16."""
    raise TypeError("compiled code only: see the overload")


def to_bits(value: Any, like: Any) -> Any:
    """A float32 in the form of `like`: itself, or rounded to the nearest bfloat16."""
    raise TypeError("compiled code only: see the overload")


# numba compares the argument lists of these two with those of the lambdas: no annotations.
@overload(from_bits)
def _from_bits(value):  # type: ignore[no-untyped-def]
    if value == types.uint16:
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(to_bits)
def _to_bits(value, like):  # type: ignore[no-untyped-def]
    if like == types.uint16:
        return lambda value, like: _rounded_bits(value)
    return lambda value, like: value


@numba.njit(cache=True, error_model="numpy")
def _rounded_bits(value: Any) -> Any:
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return np.uint16(rounded if value == value else np.uint32(0x7FC0))


@numba.njit(cache=True, error_model="numpy")
def _reset(v: Any, threshold: Any, subtracts: Any, decay_unit: Any) -> Any:
    """The membrane after a step that ended at `v`."""
    kept = v
    if decay_unit > 0:  # the operations of snn.grid.truncate_decay, in their order
        kept = v + (np.trunc(v * decay_unit) / decay_unit - v)
    after_spike = kept - threshold if subtracts else np.float32(0)
    return after_spike if v > threshold else kept


@numba.njit(cache=True, error_model="numpy", nogil=True)
def run_forward(x: Any, s: Any, v_last: Any, c: Any, start: int, stop: int) -> None:
    """Spikes `s` and last membrane `v_last` of the neurons `start` to `stop`.

    Parameters
    ----------
    x : ndarray of shape (T, M), float32 or uint16
    s : ndarray like `x`, written
    v_last : ndarray of shape (M,), float32, written
    c : Constants
    start, stop : int
    """
    one = to_bits(np.float32(1), s[0, 0])
    zero = to_bits(np.float32(0), s[0, 0])
    leaks, gain, threshold, subtracts, _, unit, _, _ = c
    length = min(block_length_compiled(len(x)), stop - start)
    for first in range(start, stop, length):
        last = min(first + length, stop)
        r = v_last[first:last]
        r[:] = np.float32(0)
        for t in range(len(x)):
            x_row, s_row = x[t, first:last], s[t, first:last]
            for i in range(len(r)):
                distance = from_bits(x_row[i]) - (r[i] if leaks else np.float32(0))
                v = r[i] + gain * distance
                s_row[i] = one if v > threshold else zero
                r[i] = _reset(v, threshold, subtracts, unit)


block_length_compiled = numba.njit(cache=True, error_model="numpy")(block_length)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def run_backward(
    x: Any, ds: Any, dv_last: Any, dx: Any, dgain: Any, c: Any, start: int, stop: int
) -> None:
    """Gradient of the current, for the neurons `start` to `stop`.

    Parameters
    ----------
    x : ndarray of shape (T, M), float32 or uint16
    ds : ndarray like `x`
        Gradient of the spikes.
    dv_last : ndarray of shape (M,) or (0,), float32
        Gradient of the last membrane; empty for zero.
    dx : ndarray like `x`, written
        May be `x` itself.
    dgain : ndarray of shape (n_blocks,) or (0,), float64, written
        One block's share of the gain's gradient each; empty when nobody asks.
    c : Constants
    start, stop : int
        `start` is the beginning of a block.
    """
    length = block_length_compiled(len(x))
    v = np.empty((len(x), length), np.float32)
    dr = np.empty(length, np.float32)
    dv = np.empty(length, np.float32)
    h = np.empty(length, np.float32)
    for first in range(start, stop, length):
        last = min(first + length, stop)
        n = last - first
        _rerun(x, v, dr, first, n, c)
        dr[:] = np.float32(0)
        if len(dv_last):
            dr[:n] = dv_last[first:last]
        total = 0.0
        for t in range(len(x) - 1, -1, -1):
            _surrogate(v[t, :n], h, c)
            _back_one_step(v[t, :n], h, ds[t, first:last], dr, dv, c)
            if len(dgain):
                total += _gain_gradient(x[t, first:last], v[max(t - 1, 0), :n], dv, t > 0, c)
            _store(dx[t, first:last], dv, c[1])
        if len(dgain):
            dgain[first // length] = total


@numba.njit(cache=True, error_model="numpy")
def _rerun(x: Any, v: Any, r: Any, first: int, n: int, c: Any) -> None:
    """The forward pass of one block, keeping the membranes before the reset; `r` is scratch."""
    leaks, gain, threshold, subtracts, _, unit, _, _ = c
    r[:n] = np.float32(0)
    for t in range(len(x)):
        x_row, v_row = x[t, first : first + n], v[t, :n]
        for i in range(n):
            distance = from_bits(x_row[i]) - (r[i] if leaks else np.float32(0))
            v_row[i] = r[i] + gain * distance
            r[i] = _reset(v_row[i], threshold, subtracts, unit)


@numba.njit(cache=True, error_model="numpy")
def _back_one_step(v: Any, h: Any, ds: Any, dr: Any, dv: Any, c: Any) -> None:
    """``dv`` of a step from ``dr``, and ``dr`` of the step before."""
    leaks, gain, threshold, subtracts, detached, unit, _, _ = c
    keep = np.float32(1) - gain if leaks else np.float32(1)
    zero = np.float32(0)
    for i in range(len(v)):
        gradient = from_bits(ds[i])
        if not detached:
            drop = threshold if subtracts else _reset(v[i], np.float32(np.inf), False, unit)
            gradient = gradient - drop * dr[i]
        through = dr[i] if subtracts else (zero if v[i] > threshold else dr[i])
        dv[i] = gradient * h[i] + through
        dr[i] = keep * dv[i]


@numba.njit(cache=True, error_model="numpy", fastmath=True)
def _gain_gradient(x: Any, v_before: Any, dv: Any, has_before: bool, c: Any) -> Any:
    """Sum of dv (x - r) over a row, where r is what the reset left of the step before."""
    _, _, threshold, subtracts, _, unit, _, _ = c
    total = np.float32(0)
    for i in range(len(x)):
        r = _reset(v_before[i], threshold, subtracts, unit) if has_before else np.float32(0)
        total += dv[i] * (from_bits(x[i]) - r)
    return total


@numba.njit(cache=True, error_model="numpy")
def _store(dx: Any, dv: Any, gain: Any) -> None:
    for i in range(len(dx)):
        dx[i] = to_bits(gain * dv[i], dx[i])


@numba.njit(cache=True, error_model="numpy")
def _surrogate(v: Any, h: Any, c: Any) -> None:
    """``h = Surrogate.derivative(v - threshold)``, a loop a shape so that each one vectorises."""
    _, _, threshold, _, _, _, shape, a = c
    n, one = len(v), np.float32(1)
    if shape == ATAN:
        slope = np.float32(math.pi / 2) * a
        for i in range(n):
            y = slope * (v[i] - threshold)
            h[i] = np.float32(0.5) * a / (one + y * y)
    elif shape == ERFC:
        for i in range(n):
            y = a * (v[i] - threshold)
            h[i] = np.float32(2 / math.sqrt(math.pi)) * _exp(-y * y)
    elif shape == SUPERSPIKE:
        for i in range(n):
            y = a * abs(v[i] - threshold) + one
            h[i] = one / (y * y)
    elif shape == TRIANGLE:
        for i in range(n):
            h[i] = a * max(np.float32(0), one - abs(v[i] - threshold))
    elif shape == CIRC:
        for i in range(n):
            y = a * a + (v[i] - threshold) * (v[i] - threshold)
            h[i] = a * a * a / (y * math.sqrt(y))
    elif shape == EXPONENTIAL:
        for i in range(n):
            h[i] = np.float32(0.5) * a * _exp(-a * abs(v[i] - threshold))
    else:  # bells e / (1 + e)^2: the derivatives of the sigmoid and of tanh
        width = np.float32(2) * a if shape == TANH else a
        height = np.float32(4) if shape == TANH else a
        for i in range(n):
            e = _exp(-width * abs(v[i] - threshold))
            h[i] = height * e / ((one + e) * (one + e))


@numba.njit(cache=True, error_model="numpy")
def _exp(y: Any) -> Any:
    """exp(y) for y <= 0 within 1e-6 of itself, without a call that would stop vectorisation.

    exp(y) = 2^n exp(r) with n whole and |r| <= ln(2) / 2; exp(r) by its Taylor polynomial.
    """
    y = max(y, np.float32(-87))
    n = np.floor(y * np.float32(1.4426950408889634) + np.float32(0.5))
    r = y - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1)
    p = p * r + np.float32(1)
    return p * np.int32(np.int32(n + np.float32(127)) << np.int32(23)).view(np.float32)
