"""Synapses made ready to run: where each message goes, and how large sums can become.

A `Projection` is what a synapse does with one delay. Its `Runs` are those of
`hardware.backends.simulator.kernels`, with neurons of an image in the order ``(H, W, C)``. The
kernel columns that one source pixel meets are contiguous both in the target and in the weights
once they are sorted by the output column they lead to: with stride ``s`` and dilation ``d``,
column ``j`` of the kernel takes pixel ``x`` to ``(x + padding - j d) / s`` where that is whole, so
columns of equal ``j mod s / gcd(s, d)``, in falling order, are neighbours.

Sums are 32 bits wide where ``max sum |w| * largest message`` stays below ``2**31``, else 64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hardware.backends.backend import Timing, lag
from hardware.backends.simulator.kernels import LANES, Runs
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Delta, Levels, Relay, ResonateAndFire, SigmaDelta
from hardware.chip.registers import CONV_SUM_BITS
from hardware.chip.synapses import Conv, Dense, Sparse, Synapse, Weighted

INT32_SUMS = 1 << 31
UNBOUNDED = float(1 << 62)
WRAP_LIMIT = 1 << (CONV_SUM_BITS - 1)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the neurons of a population, or of the input, lie in a row of messages.

    Parameters
    ----------
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    channels_last : bool
        Images as ``(H, W, C)``; the input stays ``(C, H, W)`` where possible, to save a copy.
    """

    shape: tuple[int, ...]
    channels_last: bool = True

    @cached_property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @cached_property
    def width(self) -> int:
        """Length of a row, a multiple of `LANES`."""
        return -(-self.size // LANES) * LANES

    def pack(self, values: np.ndarray) -> np.ndarray:
        """``(..., *shape)`` in the order of a row, ``(..., size)``."""
        if len(self.shape) == 3 and self.channels_last:
            values = np.moveaxis(values, -3, -1)
        return values.reshape(*values.shape[: -len(self.shape)], self.size)

    def unpack(self, rows: np.ndarray) -> np.ndarray:
        """Rows ``(..., width)`` as ``(..., *shape)``, where possible a view."""
        values = rows[..., : self.size]
        if len(self.shape) == 1 or not self.channels_last:
            return values.reshape(*values.shape[:-1], *self.shape)
        channels, height, width = self.shape
        return np.moveaxis(values.reshape(*values.shape[:-1], height, width, channels), -1, -3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """One delay of one synapse.

    Parameters
    ----------
    target, port : str
    sources : tuple of (str, int)
        Names, and by how many steps a source waits for the one that is last to speak.
    shift : int
        Steps from the last source's message to the arrival.
    as_spikes : bool
        Any message, or sum of messages, counts as 1.
    limit : int
        Messages of this size or above do not fit the payload; 0 where none can be so large.
    runs : Runs, optional
        None for a direct synapse.
    exponent : int
        Of a shift that must follow the sum; other exponents are in the weights.
    wraps : bool
        Whether the sum can leave 24 bits and must be wrapped.
    bound : float
        No sum is larger than this.
    """

    target: str
    port: str
    sources: tuple[tuple[str, int], ...]
    shift: int
    as_spikes: bool
    limit: int
    runs: Runs | None
    exponent: int = 0
    wraps: bool = False
    bound: float

    def is_plain_for(self, inputs: np.ndarray) -> bool:
        """Whether weights can be added straight to the inputs of the target."""
        return (
            self.runs is not None
            and self.runs.weight.dtype == inputs.dtype
            and not self.exponent
            and not self.wraps
        )


def project(
    network: ChipNetwork, layouts: Mapping[str, Layout], timing: Timing
) -> tuple[Projection, ...]:
    """All projections of a network, in the order of its synapses."""
    messages = largest_messages(network)
    found = []
    for synapse in network.synapses:
        lags = {name: lag(network, synapse, name, timing) for name in synapse.sources}
        earliest = min(lags.values())
        largest = sum(messages[name] for name in synapse.sources)
        bits = synapse.message_bits if isinstance(synapse, Weighted) else 0
        plain_spikes = largest == 1 and not is_graded(network, synapse.sources[0])
        as_spikes = isinstance(synapse, Weighted) and (not bits or plain_spikes)
        for weights in _weights(synapse, layouts, 1 if as_spikes else largest):
            found.append(
                Projection(
                    target=synapse.target,
                    port=synapse.port,
                    sources=tuple((name, lags[name] - earliest) for name in synapse.sources),
                    shift=earliest + weights.delay,
                    as_spikes=as_spikes,
                    limit=1 << bits if bits and largest >= 1 << bits else 0,
                    runs=weights.runs,
                    exponent=weights.exponent,
                    wraps=weights.wraps,
                    bound=weights.bound,
                )
            )
    return tuple(found)


def is_graded(network: ChipNetwork, name: str) -> bool:
    """Whether messages of a source are more than the fact of a spike."""
    return network.input_bits > 0 if name == INPUT else network[name].GRADED


def largest_messages(network: ChipNetwork) -> dict[str, float]:
    """Bound on the size of the messages of each population, `UNBOUNDED` where there is none."""
    largest: dict[str, float] = {INPUT: max((1 << network.input_bits) - 1, 1)}
    for p in network.populations:
        largest[p.name] = UNBOUNDED
        if isinstance(p, Cuba | ResonateAndFire):
            largest[p.name] = 1
        elif isinstance(p, Levels):
            largest[p.name] = p.levels
        elif isinstance(p, Relay) or (isinstance(p, Delta) and not isinstance(p, SigmaDelta)):
            arriving = sum(
                _largest_sum(s, sum(largest.get(name, UNBOUNDED) for name in s.sources))
                for s in network.incoming(p.name)
            )
            largest[p.name] = arriving if isinstance(p, Relay) else _largest_change(p, arriving)
    return largest


def _largest_change(population: Delta, arriving: float) -> float:
    return (2 * arriving + int(np.max(population.vth))) * 2**population.scale_exp


def _largest_sum(synapse: Synapse, message: float) -> float:
    if not isinstance(synapse, Weighted):
        return message
    message = message if synapse.message_bits else 1
    # Toward minus infinity, a negative exponent leaves at least -1.
    largest = sum(w * message * 2.0**synapse.weight_exp + 1 for w in _absolute_sums(synapse))
    return min(largest, WRAP_LIMIT) if isinstance(synapse, Conv) else largest


def _absolute_sums(synapse: Weighted) -> list[int]:
    """Largest sum of absolute weights of one target neuron, for each delay."""
    if isinstance(synapse, Sparse):
        sums = np.bincount(synapse.targets, np.abs(synapse.weight), minlength=1)
        return [int(sums.max())]
    blocks = [w for _, w in synapse.by_delay] if isinstance(synapse, Dense) else [synapse.weight]
    return [int(np.abs(w).reshape(len(w), -1).sum(axis=1, dtype=np.int64).max()) for w in blocks]


class Weights(NamedTuple):
    """What a synapse computes with one delay, see `Projection`."""

    delay: int
    runs: Runs | None
    exponent: int
    wraps: bool
    bound: float


def _weights(synapse: Synapse, layouts: Mapping[str, Layout], message: float) -> Iterator[Weights]:
    """For each delay of a synapse, given the largest message."""
    if not isinstance(synapse, Weighted):
        yield Weights(0, None, 0, False, message)
        return
    blocks = _runs(synapse, layouts[synapse.sources[0]], layouts[synapse.target])
    for (delay, runs), largest in zip(blocks, _absolute_sums(synapse), strict=True):
        multiply = 1 << max(synapse.weight_exp, 0)
        total = largest * message * multiply
        wide = total >= INT32_SUMS
        weight = (runs.weight.astype(np.int64) * multiply).astype(np.int64 if wide else np.int32)
        shifted = largest * message * 2.0**synapse.weight_exp + 1
        wraps = isinstance(synapse, Conv) and shifted >= WRAP_LIMIT
        yield Weights(
            delay=delay,
            runs=runs._replace(weight=weight),
            exponent=min(synapse.weight_exp, 0),
            wraps=wraps,
            bound=min(shifted, WRAP_LIMIT) if wraps else shifted,
        )


def _runs(synapse: Weighted, source: Layout, target: Layout) -> Iterator[tuple[int, Runs]]:
    """``(delay, Runs)`` for each delay, with weights of 32 bits and without the exponent."""
    if isinstance(synapse, Conv):
        yield synapse.delay, _conv_runs(synapse, source, target)
    elif isinstance(synapse, Sparse):
        yield synapse.delay, _sparse_runs(synapse, source)
    elif isinstance(synapse, Dense):
        for delay, weight in synapse.by_delay:
            yield delay, _dense_runs(weight, source, target)


def _dense_runs(weight: np.ndarray, source: Layout, target: Layout) -> Runs:
    rows = np.zeros((source.size, target.width), np.int32)
    rows[:, : target.size] = source.pack(weight.reshape(-1, *source.shape)).T
    return Runs(
        neurons=_neurons(0, np.arange(source.size) * target.width, 0),
        first=_int32([0, 1]),
        runs=_int32([[0, 0, target.width]]),
        weight=rows.ravel(),
    )


def _sparse_runs(synapse: Sparse, source: Layout) -> Runs:
    counts = np.diff(synapse.offsets)
    order = source.pack(np.arange(source.size).reshape(source.shape))
    starts = synapse.offsets[:-1][order]
    first = np.concatenate(([0], np.cumsum(counts[order])))
    which = np.repeat(starts - first[:-1], counts[order]) + np.arange(first[-1])
    return Runs(
        neurons=_neurons(np.arange(source.size), 0, 0),
        first=_int32(first),
        runs=_int32(np.stack((synapse.targets[which], which, np.ones_like(which)), axis=1)),
        weight=synapse.weight,
    )


def _conv_runs(synapse: Conv, source: Layout, target: Layout) -> Runs:
    out_channels, in_group, kernel_h, kernel_w = synapse.weight.shape
    channels, height, width = source.shape
    _, out_h, out_w = target.shape
    out_group = out_channels // synapse.groups
    (rows_s, columns_s), (rows_p, columns_p) = synapse.stride, synapse.padding
    rows_d, columns_d = synapse.dilation
    order = _sorted_columns(kernel_w, columns_s, columns_d)
    rows = _taps(height, range(kernel_h), rows_s, rows_p, rows_d, out_h)
    columns = _taps(width, order, columns_s, columns_p, columns_d, out_w)
    if synapse.groups == 1:
        columns = _joined(columns)
    y, out_y, i, _ = _int32(rows).reshape(-1, 4).T
    x, out_x, q, n = _int32(columns).reshape(-1, 4).T
    pixel = (y[:, None] * width + x).ravel()
    sort = np.argsort(pixel, kind="stable")
    at = ((out_y[:, None] * out_w + out_x) * out_channels).ravel()
    of = ((i[:, None] * kernel_w + q) * out_group).ravel()
    length = np.broadcast_to(n * out_group, (len(y), len(x))).ravel()
    channel, place = (
        source.pack(v.reshape(source.shape)) for v in np.indices((channels, height * width))
    )
    # [source channel, kernel row, kernel column in order, target channel of the group]
    weight = synapse.weight[..., order].reshape(synapse.groups, out_group, in_group, kernel_h, -1)
    return Runs(
        neurons=_neurons(
            place, channel * (kernel_h * kernel_w * out_group), channel // in_group * out_group
        ),
        first=_int32(np.searchsorted(pixel[sort], np.arange(height * width + 1))),
        runs=_int32(np.stack((at, of, length), axis=1)[sort]),
        weight=np.ascontiguousarray(weight.transpose(0, 2, 3, 4, 1)).ravel(),
    )


def _sorted_columns(kernel: int, stride: int, dilation: int) -> list[int]:
    classes = stride // math.gcd(stride, dilation)
    return sorted(range(kernel), key=lambda j: (j % classes, -j))


def _taps(
    size: int, kernel: Iterable[int], stride: int, padding: int, dilation: int, out: int
) -> list[list[int]]:
    """All ``[source, output, position in kernel, 1]`` along one axis, by source and output."""
    found = []
    for source in range(size):
        for position, j in enumerate(kernel):
            reached, rest = divmod(source + padding - j * dilation, stride)
            if rest == 0 and 0 <= reached < out:
                found.append([source, reached, position, 1])
    return sorted(found)


def _joined(taps: list[list[int]]) -> list[list[int]]:
    """Taps of one source that are neighbours in output and kernel, as runs of some length."""
    joined: list[list[int]] = []
    for source, reached, position, _ in taps:
        if joined:
            last, start, of, length = joined[-1]
            if [source, reached, position] == [last, start + length, of + length]:
                joined[-1][3] += 1
                continue
        joined.append([source, reached, position, 1])
    return joined


def _neurons(*columns: np.ndarray | int) -> np.ndarray:
    return _int32(np.stack(np.broadcast_arrays(*columns), axis=1))


def _int32(values: object) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.int32)
