"""Synapses: the weighted edges of a network, each with what it computes and what it reaches.

A synapse reads one or more sources, whose messages add up before they meet the weights (payload
addition, the SEW residual), and leads into one port of its target. A message sent in step ``t``
arrives in step ``t + delay``; an edge back to its own or an earlier population needs a delay of at
least 1. Arithmetic: `hardware.chip.synaptic_input`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.synaptic_input import (
    conv_output_size,
    conv_sum,
    dense_input,
    payload,
    shift,
    wrap_sum,
)
from hardware.chip.weights import weight_problem

Arrival = tuple[int, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Synapse(ABC):
    """What all kinds share.

    Parameters
    ----------
    sources : tuple of str
        Population names or ``"input"``, all of one shape.
    target : str
    port : str
        One of the target's ports.
    """

    sources: tuple[str, ...]
    target: str
    port: str = "input"

    KIND: ClassVar[str]
    ARRAYS: ClassVar[tuple[str, ...]] = ()
    LATENCY: ClassVar[int] = 1  # steps that the chip adds, see ChipNetwork.depth

    @property
    def edge(self) -> str:
        """The synapse in words, for messages."""
        return f"{' + '.join(self.sources)} -> {self.target}"

    @property
    def delays(self) -> tuple[int, int]:
        """Shortest and longest delay in steps."""
        return 0, 0

    @abstractmethod
    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Shape this synapse produces from its source, or None when it does not fit."""

    def read(self, message: np.ndarray) -> np.ndarray:
        """What the weights meet of the summed messages, int64: their value."""
        return message.astype(np.int64)

    @abstractmethod
    def arrivals(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """``(delay, input, wrapped)`` per distinct delay, of one step's values.

        ``input`` is int64 in the target's shape, ``wrapped`` says where it left 24 bits.
        """

    @abstractmethod
    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Synapses with a nonzero weight that each source neuron drives, int64."""

    def problems(self) -> list[str]:
        """Everything that no chip would accept, in words, without the name of the edge."""
        return []

    def parameters(self) -> dict[str, Any]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Direct(Synapse):
    """One-to-one, without weights: the source's values are the target's input of the step.

    It stands for writing a neuron's bias or input register from outside, so it adds no latency.
    """

    KIND: ClassVar = "direct"
    LATENCY: ClassVar = 0

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The source's own."""
        return source_shape

    def arrivals(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The values themselves."""
        yield 0, values, np.zeros(values.shape, bool)

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """There are no synapses to count."""
        return np.zeros(source_shape, np.int64)


@dataclass(frozen=True, kw_only=True)
class Weighted(Synapse):
    """Synapses with weights.

    Parameters
    ----------
    weight : ndarray of int32
        See `hardware.chip.weights` for the values that 8 bits hold.
    weight_exp : int
        The sum is multiplied by ``2**weight_exp``; in [-8, 7].
    message_bits : int
        0 reads any message as one spike (so two sources are a logical or); n reads the value, as
        a payload of n bits.
    """

    weight: np.ndarray
    weight_exp: int = 0
    message_bits: int = 0

    ARRAYS: ClassVar[tuple[str, ...]] = ("weight",)

    def read(self, message: np.ndarray) -> np.ndarray:
        """See `hardware.chip.synaptic_input.payload`."""
        return payload(message, self.message_bits)

    def problems(self) -> list[str]:
        """See `Synapse.problems`."""
        found = [p for p in (weight_problem(self.weight),) if p]
        limits = {
            "weight_exp": (reg.WEIGHT_EXPONENT_MIN, reg.WEIGHT_EXPONENT_MAX),
            "message_bits": (0, reg.PAYLOAD_BITS_MAX),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                found.append(f"{name} must lie in [{low}, {high}], got {getattr(self, name)}")
        if self.delays[0] < 0 or self.delays[1] > reg.DELAY_MAX:
            found.append(f"delays must lie in [0, {reg.DELAY_MAX}], got {list(self.delays)}")
        return found


@dataclass(frozen=True, kw_only=True)
class Dense(Weighted):
    """All-to-all synapses.

    Parameters
    ----------
    weight : ndarray of int32, shape (n_target, n_source)
        A ``(C, H, W)`` source is read in C order.
    delay : int or ndarray of int32
        In a shape that broadcasts to the weight's: ``(n_target, 1)``, ``(1, n_source)`` or whole.
    """

    delay: np.ndarray | int = 0

    KIND: ClassVar = "dense"
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "delay")

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay", np.asarray(self.delay, np.int32))

    @cached_property
    def delays(self) -> tuple[int, int]:  # type: ignore[override]
        """Shortest and longest delay in steps."""
        delay = np.asarray(self.delay)
        return int(delay.min(initial=reg.DELAY_MAX + 1)), int(delay.max(initial=0))

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """One neuron per row."""
        fits = self.weight.ndim == 2 and self.weight.shape[1] == np.prod(source_shape)
        return (self.weight.shape[0],) if fits else None

    @cached_property
    def by_delay(self) -> tuple[Arrival, ...]:
        """``(delay, weights with that delay)``, the others zero."""
        values = np.unique(np.asarray(self.delay))
        if len(values) == 1:
            return ((int(values[0]), self.weight),)
        delay = np.broadcast_to(self.delay, self.weight.shape)
        return tuple((int(d), np.where(delay == d, self.weight, 0)) for d in values)

    def arrivals(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """See `hardware.chip.synaptic_input.dense_input`."""
        for delay, weight in self.by_delay:
            a = dense_input(weight, values.ravel(), exponent=self.weight_exp)
            yield delay, a, np.zeros(a.shape, bool)

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Nonzero weights per column."""
        return np.count_nonzero(self.weight, axis=0).reshape(source_shape)

    def problems(self) -> list[str]:
        """See `Synapse.problems`."""
        try:
            fits = np.broadcast_shapes(np.shape(self.delay), self.weight.shape)
        except ValueError:
            fits = None
        if fits != self.weight.shape:
            return [f"delay of shape {np.shape(self.delay)} for weights of {self.weight.shape}"]
        return super().problems()


@dataclass(frozen=True, kw_only=True)
class Sparse(Weighted):
    """Synapses of which only some exist, stored by source.

    Parameters
    ----------
    weight : ndarray of int32, shape (n_synapses,)
    targets : ndarray of int32, shape (n_synapses,)
        Index of the target neuron; no pair of neurons twice.
    offsets : ndarray of int64, shape (n_source + 1,)
        Source neuron ``i`` owns the synapses ``offsets[i]:offsets[i + 1]``.
    n_targets : int
    delay : int
    """

    targets: np.ndarray
    offsets: np.ndarray
    n_targets: int
    delay: int = 0

    KIND: ClassVar = "sparse"
    ARRAYS: ClassVar[tuple[str, ...]] = ("weight", "targets", "offsets")

    @property
    def delays(self) -> tuple[int, int]:
        """Shortest and longest delay in steps."""
        return self.delay, self.delay

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """One neuron per target index."""
        fits = len(self.offsets) == np.prod(source_shape) + 1
        return (self.n_targets,) if fits else None

    def arrivals(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """As a dense synapse with zeros between."""
        a = np.zeros(self.n_targets, np.int64)
        per_synapse = np.repeat(values.ravel(), np.diff(self.offsets))
        np.add.at(a, self.targets, self.weight * per_synapse)
        yield self.delay, shift(a, self.weight_exp), np.zeros(a.shape, bool)

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Nonzero weights per source."""
        ends = np.concatenate(([0], np.cumsum(self.weight != 0)))
        return np.diff(ends[self.offsets]).reshape(source_shape)

    def problems(self) -> list[str]:
        """See `Synapse.problems`."""
        found = []
        if self.targets.dtype != np.int32 or self.offsets.dtype != np.int64:
            found.append("targets must be int32 and offsets int64")
        elif self.weight.ndim != 1 or self.targets.shape != self.weight.shape:
            found.append(f"weight {self.weight.shape} and targets {self.targets.shape} differ")
        elif (
            self.offsets.ndim != 1
            or len(self.offsets) < 2
            or self.offsets[0] != 0
            or self.offsets[-1] != len(self.weight)
            or (np.diff(self.offsets) < 0).any()
        ):
            found.append("offsets must rise from 0 to the number of synapses")
        elif len(self.targets) and not (
            self.targets.min() >= 0 and self.targets.max() < self.n_targets
        ):
            found.append(f"targets must lie in [0, {self.n_targets})")
        elif self._repeats():
            found.append("a pair of neurons is connected twice")
        return found or super().problems()

    def _repeats(self) -> bool:
        source = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        pairs = source * np.int64(self.n_targets) + self.targets
        return len(np.unique(pairs)) != len(pairs)


@dataclass(frozen=True, kw_only=True)
class Conv(Weighted):
    """Convolutional synapses (cross-correlation, as in torch).

    Parameters
    ----------
    weight : ndarray of int32, shape (C_out, C_in / groups, kh, kw)
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.
    groups : int
    delay : int
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    delay: int = 0

    KIND: ClassVar = "conv"

    @property
    def delays(self) -> tuple[int, int]:
        """Shortest and longest delay in steps."""
        return self.delay, self.delay

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """``(C_out, H_out, W_out)``."""
        if self.weight.ndim != 4 or len(source_shape) != 3 or self.groups < 1:
            return None
        if min(*self.stride, *self.dilation) < 1 or not (
            min(self.padding) >= 0 and max(self.padding) <= reg.PADDING_MAX
        ):
            return None
        if self.weight.shape[1] * self.groups != source_shape[0]:
            return None
        if self.weight.shape[0] % self.groups:
            return None
        size = self._image_size(source_shape)
        return (self.weight.shape[0], *size) if min(size) > 0 else None

    def _image_size(self, source_shape: tuple[int, ...]) -> tuple[int, int]:
        rows, columns = zip(
            source_shape[1:],
            self.weight.shape[2:],
            self.stride,
            self.padding,
            self.dilation,
            strict=True,
        )
        return conv_output_size(*rows), conv_output_size(*columns)

    def arrivals(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """See `hardware.chip.synaptic_input.conv_sum` and ``wrap_sum``."""
        total = conv_sum(
            self.weight.astype(np.int64),
            values,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        total = shift(total, self.weight_exp)
        a = wrap_sum(total)
        yield self.delay, a, a != total

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Nonzero weights per source neuron.

        Exact at borders and for any stride: each kernel tap counts only where it lands on an
        output neuron.
        """
        channels, height, width = source_shape
        out_h, out_w = self._image_size(source_shape)
        per_group = self.weight.shape[0] // self.groups
        taps = np.count_nonzero(
            self.weight.reshape(self.groups, per_group, *self.weight.shape[1:]), axis=1
        ).reshape(channels, *self.weight.shape[2:])
        count = np.zeros(source_shape, np.int64)
        rows, columns = np.arange(out_h), np.arange(out_w)
        for i in range(self.weight.shape[2]):
            y = rows * self.stride[0] + i * self.dilation[0] - self.padding[0]
            y = y[(y >= 0) & (y < height)]
            for j in range(self.weight.shape[3]):
                x = columns * self.stride[1] + j * self.dilation[1] - self.padding[1]
                x = x[(x >= 0) & (x < width)]
                count[:, y[:, None], x] += taps[:, i, j, None, None]
        return count


KINDS: dict[str, type[Synapse]] = {kind.KIND: kind for kind in (Direct, Dense, Sparse, Conv)}
