"""Chains of linear NIR nodes, folded into the weights of one synapse where that is exact.

A signal is a bias plus a sum of terms, and a term is what one population's messages have become on
their way: a *wire* (each element times a factor), a *kernel* (a convolution) or a *matrix*. Scaling
and delaying keep the kind; a dense node makes a matrix of anything; a convolution of a convolution
is one larger convolution as long as no padding stands between them, or the first one sums separate
blocks of pixels, as pooling does. Everything else raises `NotFoldable`.

>>> fold_kernel(wire, conv_kernel)  # a convolution of spikes
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hardware.chip.synaptic_input import conv_output_size
from hardware.errors import UnsupportedNetworkError

MAX_WEIGHTS = 1 << 26  # of one folded synapse
Delay = np.ndarray | int


class NotFoldable(UnsupportedNetworkError):
    """Two linear nodes that are not one synapse; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Wire:
    """Each message times a factor: ``shape`` is the source's, ``scale`` a number or that shape."""

    source: str
    shape: tuple[int, ...]
    scale: np.ndarray | float = 1.0
    delay: Delay = 0

    @property
    def is_plain(self) -> bool:
        """Whether it is the message itself."""
        return bool(np.all(self.scale == 1) and not np.any(self.delay))


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """``weight`` is ``(n_target, n_source)``; delays broadcast to it."""

    source: str
    shape: tuple[int, ...]
    weight: np.ndarray
    delay: Delay = 0


@dataclass(frozen=True, kw_only=True)
class Window:
    """Geometry and weights of a convolution, ``(C_out, C_in / groups, kh, kw)``."""

    weight: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def span(self) -> tuple[int, int]:
        """Pixels from the first to the last tap, by axis."""
        rows, columns = (
            (k - 1) * d + 1 for k, d in zip(self.weight.shape[2:], self.dilation, strict=True)
        )
        return rows, columns

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """``(C_out, H_out, W_out)``; not positive where the kernel does not fit."""
        axes = zip(
            shape[1:],
            self.weight.shape[2:],
            self.stride,
            self.padding,
            self.dilation,
            strict=True,
        )
        return (self.weight.shape[0], *(conv_output_size(*axis) for axis in axes))


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A convolution of the source; ``pool`` names the pooling node that it is, if it is one."""

    source: str
    shape: tuple[int, ...]
    window: Window
    delay: int = 0
    pool: str | None = None


Term = Wire | Matrix | Kernel


def pool_window(channels: int, size: tuple[int, int], **geometry: tuple[int, int]) -> Window:
    """Sum pooling as a depthwise convolution with ones."""
    return Window(weight=np.ones((channels, 1, *size)), groups=channels, **geometry)


def same_padding(window: Window) -> Window:
    """The window with torch's "same" padding, which is one longer at the end for even spans."""
    total = [span - 1 for span in window.span]
    if any(t % 2 for t in total):
        window = _undilated(window)
        extra = [(t % 2, 0) for t in total]
        window = replace(window, weight=np.pad(window.weight, [(0, 0), (0, 0), *extra]))
        total = [t + t % 2 for t in total]
    return replace(window, padding=(total[0] // 2, total[1] // 2))


# -- one node after a term -------------------------------------------------------------------------


def scaled(term: Term, factor: np.ndarray) -> Term:
    """The term times ``factor``, a number or an array of the signal's shape."""
    if isinstance(term, Wire):
        shaped = factor.reshape(term.shape) if factor.ndim else factor
        return replace(term, scale=np.asarray(term.scale * shaped))
    if isinstance(term, Matrix):
        return replace(term, weight=term.weight * factor.reshape(-1, 1))
    window = term.window
    per_channel = by_channel(factor, term.window.output_shape(term.shape)).reshape(-1, 1, 1, 1)
    return replace(term, window=replace(window, weight=window.weight * per_channel), pool=None)


def delayed(term: Term, steps: np.ndarray) -> Term:
    """The term ``steps`` later, a number or an array of the signal's shape."""
    if isinstance(term, Wire):
        shaped = steps.reshape(term.shape) if steps.ndim else steps
        return replace(term, delay=np.asarray(term.delay + shaped))
    if isinstance(term, Matrix):
        return replace(term, delay=np.asarray(term.delay + steps.reshape(-1, 1)))
    return replace(term, delay=term.delay + _one_delay(steps), pool=None)


def fold_matrix(term: Term, weight: np.ndarray) -> Matrix:
    """A dense node after the term."""
    _check_size(weight.shape[0] * math.prod(term.shape))
    if isinstance(term, Wire):
        scale = np.broadcast_to(term.scale, term.shape).reshape(1, -1)
        delay: Delay = term.delay
        if np.ndim(delay):
            delay = np.asarray(delay).reshape(1, -1)
        return Matrix(source=term.source, shape=term.shape, weight=weight * scale, delay=delay)
    if isinstance(term, Kernel):
        unrolled = _transposed(weight, term.window, term.shape)
        return Matrix(source=term.source, shape=term.shape, weight=unrolled, delay=term.delay)
    if np.ndim(term.delay) and np.shape(term.delay)[0] > 1:
        raise NotFoldable("the node before it delays its elements differently")
    return replace(term, weight=weight @ term.weight)


def fold_kernel(term: Term, window: Window, *, pool: str | None = None) -> Kernel:
    """A convolution (or the pooling node ``pool``) after the term."""
    if isinstance(term, Matrix):
        raise NotFoldable("a convolution of what a dense node made; put neurons between them")
    if isinstance(term, Kernel):
        joined = _compose(term.window, window, term.shape)
        _check_size(joined.weight.size)
        return replace(term, window=joined, pool=None)
    per_channel = by_channel(np.asarray(term.scale), term.shape)
    incoming = per_channel.reshape(window.groups, 1, -1, 1, 1)
    weight = window.weight.reshape(window.groups, -1, *window.weight.shape[1:]) * incoming
    return Kernel(
        source=term.source,
        shape=term.shape,
        window=replace(window, weight=weight.reshape(window.weight.shape)),
        delay=_one_delay(term.delay),
        pool=pool,
    )


def as_kernel(wire: Wire) -> Kernel:
    """A wire between images as a depthwise 1x1 convolution."""
    identity = Window(weight=np.ones((wire.shape[0], 1, 1, 1)), groups=wire.shape[0])
    return fold_kernel(wire, identity)


def as_matrix(term: Term) -> Matrix:
    """Any term as a matrix."""
    if isinstance(term, Matrix):
        return term
    n = math.prod(term.shape if isinstance(term, Wire) else term.window.output_shape(term.shape))
    _check_size(n * n)
    return fold_matrix(term, np.eye(n))


def by_channel(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One value per channel of a number or an array that is constant within each."""
    flat = (values if values.ndim else np.broadcast_to(values, shape)).reshape(shape[0], -1)
    if (flat != flat[:, :1]).any():
        raise NotFoldable("factors that differ within a channel cannot go into a convolution")
    return flat[:, 0]


# -- arithmetic of windows -------------------------------------------------------------------------


def _compose(first: Window, second: Window, shape: tuple[int, ...]) -> Window:
    """The one convolution that does what two do, on a source of ``shape``."""
    if any(second.padding) and not _sums_blocks(first, shape):
        raise NotFoldable(
            "a padded convolution of a convolution is not one convolution; put neurons between "
            "them or remove its padding"
        )
    stride, padding, steps = _joined_geometry(first, second)
    inner, outer, groups, join = _channels(_undilated(first), _undilated(second))
    height, width = (
        k1 + (k2 - 1) * step
        for k1, k2, step in zip(inner.shape[2:], outer.shape[2:], steps, strict=True)
    )
    tap_shape = join(inner, outer[:, :, 0, 0]).shape
    _check_size(tap_shape[0] * tap_shape[1] * height * width)
    weight = np.zeros((*tap_shape[:2], height, width))
    for i, j in np.ndindex(*outer.shape[2:]):
        rows = slice(i * steps[0], i * steps[0] + inner.shape[2])
        columns = slice(j * steps[1], j * steps[1] + inner.shape[3])
        weight[:, :, rows, columns] += join(inner, outer[:, :, i, j])
    return Window(weight=weight, stride=stride, padding=padding, groups=groups)


Pair = tuple[int, int]
Join = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _joined_geometry(first: Window, second: Window) -> tuple[Pair, Pair, Pair]:
    """Stride and padding of both together, and by how much a tap of the second moves the first."""
    (s1, t1), (s2, t2) = first.stride, second.stride
    (p1, q1), (p2, q2) = first.padding, second.padding
    return (s1 * s2, t1 * t2), (p1 + p2 * s1, q1 + q2 * t1), (s1, t1)


def _sums_blocks(first: Window, shape: tuple[int, ...]) -> bool:
    """Whether zeros around its output are zeros around its input, as for pooling without rest."""
    return not any(first.padding) and all(
        span <= stride and size <= n_out * stride
        for span, stride, size, n_out in zip(
            first.span, first.stride, shape[1:], first.output_shape(shape)[1:], strict=True
        )
    )


def _channels(first: Window, second: Window) -> tuple[np.ndarray, np.ndarray, int, Join]:
    """Weights whose channels can be joined tap by tap, the groups of the result, and how to join.

    A depthwise window keeps the groups of the other one; two grouped ones are written out.
    """
    if second.weight.shape[1] == 1 and second.groups == second.weight.shape[0]:
        return first.weight, second.weight, first.groups, _times
    if first.weight.shape[1] == 1 and first.groups == first.weight.shape[0]:
        per_group = second.weight.shape[1]
        spread = first.weight.reshape(second.groups, per_group, *first.weight.shape[2:])
        outputs = np.repeat(spread, second.weight.shape[0] // second.groups, axis=0)
        return outputs, second.weight, second.groups, _times
    return _ungrouped(first), _ungrouped(second), 1, _summed


def _times(inner: np.ndarray, tap: np.ndarray) -> np.ndarray:
    return inner * tap[:, :, None, None]


def _summed(inner: np.ndarray, tap: np.ndarray) -> np.ndarray:
    return np.tensordot(tap, inner, axes=1)


def _undilated(window: Window) -> Window:
    """The same window with its gaps written out as zeros."""
    if window.dilation == (1, 1):
        return window
    _check_size(math.prod((*window.weight.shape[:2], *window.span)))
    weight = np.zeros((*window.weight.shape[:2], *window.span))
    weight[:, :, :: window.dilation[0], :: window.dilation[1]] = window.weight
    return replace(window, weight=weight, dilation=(1, 1))


def _ungrouped(window: Window) -> np.ndarray:
    """Weights ``(C_out, C_in, kh, kw)`` with zeros between groups."""
    outputs, per_group = window.weight.shape[:2]
    _check_size(window.weight.size * window.groups)
    weight = np.zeros((outputs, per_group * window.groups, *window.weight.shape[2:]))
    for group in range(window.groups):
        rows = slice(group * outputs // window.groups, (group + 1) * outputs // window.groups)
        columns = slice(group * per_group, (group + 1) * per_group)
        weight[rows, columns] = window.weight[rows]
    return weight


def _transposed(weight: np.ndarray, window: Window, shape: tuple[int, ...]) -> np.ndarray:
    """Dense weights ``(O, outputs of the window)`` as dense weights on its source, ``(O, I)``."""
    channels, height, width = window.output_shape(shape)
    top, left = window.padding
    rows = weight.reshape(len(weight), window.groups, -1, height, width)
    kernels = window.weight.reshape(
        window.groups, channels // window.groups, *window.weight.shape[1:]
    )
    padded = np.zeros(
        (len(weight), window.groups, kernels.shape[2], shape[1] + 2 * top, shape[2] + 2 * left)
    )
    for i, j in np.ndindex(*window.weight.shape[2:]):
        y, x = i * window.dilation[0], j * window.dilation[1]
        padded[
            ...,
            y : y + height * window.stride[0] : window.stride[0],
            x : x + width * window.stride[1] : window.stride[1],
        ] += np.einsum("ogmyx,gmc->ogcyx", rows, kernels[..., i, j])
    inside = padded[..., top : top + shape[1], left : left + shape[2]]
    return inside.reshape(len(weight), -1)


def _one_delay(delay: Delay) -> int:
    values = np.unique(delay)
    if len(values) > 1:
        raise NotFoldable(
            f"a convolution delays all its elements alike, not by {values.min()} to "
            f"{values.max()} steps"
        )
    return int(values[0])


def _check_size(n_weights: int) -> None:
    if n_weights > MAX_WEIGHTS:
        raise NotFoldable(
            f"one synapse would need {n_weights} weights, at most {MAX_WEIGHTS} are allowed"
        )
