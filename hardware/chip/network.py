"""ChipNetwork: a spiking network in integers, as a graph of populations and synapses.

Populations are groups of neurons that share a neuron model; synapses are the weighted edges that
lead into them, from the ``"input"`` or from another population. What a network means is
*layerwise*: a population sees the spikes of its source in the step in which they were emitted.
Backends that add a step of latency per layer realise the same meaning by resetting each layer
when its own first input arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.neurons import conv_output_size
from hardware.errors import NetworkFormatError

INPUT = "input"
READOUTS = ("spike_count",)


@dataclass(frozen=True, kw_only=True)
class Population:
    """A group of CUBA neurons (see ``hardware.chip.neurons``).

    Parameters
    ----------
    name : str
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    du, dv : ndarray of int32, shape (C,) or (F,)
        Decays of current and voltage per step in units of 1/4096, in [0, 4096].
    vth : ndarray of int32, shape (C,) or (F,)
        Threshold mantissa, in [0, 2**17).
    bias_mant : ndarray of int32, shape (C,) or (F,)
        In (-2**12, 2**12).
    bias_exp : int
        The bias added each step is ``bias_mant << bias_exp``, in units of ``1 / 64`` input.
    """

    name: str
    shape: tuple[int, ...]
    du: np.ndarray
    dv: np.ndarray
    vth: np.ndarray
    bias_mant: np.ndarray
    bias_exp: int = 0

    ARRAYS: ClassVar = ("du", "dv", "vth", "bias_mant")

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added each step, int64, shape (C,) or (F,)."""
        return self.bias_mant.astype(np.int64) << self.bias_exp

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def problems(self) -> list[str]:
        """Everything that no chip would accept, in words."""
        limits = {
            "du": (0, reg.DECAY_SCALE),
            "dv": (0, reg.DECAY_SCALE),
            "vth": (0, reg.THRESHOLD_MANTISSA_MAX),
            "bias_mant": (-reg.BIAS_MANTISSA_MAX, reg.BIAS_MANTISSA_MAX),
        }
        found = []
        if len(self.shape) not in (1, 3) or min(self.shape, default=0) < 1:
            return [f"{self.name}: shape must be (C, H, W) or (F,), got {self.shape}"]
        for field_name, (low, high) in limits.items():
            values = getattr(self, field_name)
            if values.shape != self.shape[:1] or values.dtype != np.int32:
                found.append(
                    f"{self.name}: {field_name} must be int32 of shape {self.shape[:1]}, "
                    f"got {values.dtype} of shape {values.shape}"
                )
            elif values.min() < low or values.max() > high:
                found.append(
                    f"{self.name}: {field_name} must lie in [{low}, {high}], "
                    f"got [{values.min()}, {values.max()}]"
                )
        if not 0 <= self.bias_exp <= reg.BIAS_EXPONENT_MAX:
            found.append(
                f"{self.name}: bias_exp must lie in [0, {reg.BIAS_EXPONENT_MAX}], "
                f"got {self.bias_exp}"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Dense:
    """All-to-all synapses.

    Parameters
    ----------
    source, target : str
        Population names; the source may be ``"input"``.
    weight : ndarray of int32, shape (n_target, n_source)
        Even values in [-256, 254]. A ``(C, H, W)`` source is read in C order.
    """

    source: str
    target: str
    weight: np.ndarray

    KIND: ClassVar = "dense"

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Shape this synapse produces from its source, or None when it does not fit."""
        fits = self.weight.ndim == 2 and self.weight.shape[1] == np.prod(source_shape)
        return (self.weight.shape[0],) if fits else None

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Synapses with a nonzero weight that each source neuron drives, int64."""
        return np.count_nonzero(self.weight, axis=0).reshape(source_shape)


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolutional synapses (cross-correlation, as in torch).

    Parameters
    ----------
    source, target : str
        Population names; the source may be ``"input"``.
    weight : ndarray of int32, shape (C_out, C_in / groups, kh, kw)
        Even values in [-256, 254].
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.
    groups : int
    """

    source: str
    target: str
    weight: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    KIND: ClassVar = "conv"

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Shape this synapse produces from its source, or None when it does not fit."""
        if self.weight.ndim != 4 or len(source_shape) != 3 or self.groups < 1:
            return None
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            return None
        if self.weight.shape[1] * self.groups != source_shape[0]:
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

    def fan_out(self, source_shape: tuple[int, ...]) -> np.ndarray:
        """Synapses with a nonzero weight that each source neuron drives, int64.

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


Synapse = Dense | Conv


@dataclass(frozen=True, kw_only=True)
class ChipNetwork:
    """Integers only: what runs on every backend.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    populations : tuple of Population
        In topological order; the last one is the output.
    synapses : tuple of Dense or Conv
    readout : {"spike_count"}
        How the output population answers.
    metadata : dict
        Plain values that travel with the network: ``dt_us``, ``classes``, where it came from.

    Raises
    ------
    NetworkFormatError
        With all problems of the network, by population name.
    """

    input_shape: tuple[int, ...]
    populations: tuple[Population, ...]
    synapses: tuple[Synapse, ...]
    readout: Literal["spike_count"] = "spike_count"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [p for population in self.populations for p in population.problems()]
        problems += self._graph_problems()
        if problems:
            raise NetworkFormatError("not a valid chip network:\n  " + "\n  ".join(problems))

    def _graph_problems(self) -> list[str]:
        found = []
        if not self.populations:
            found.append("there is no population")
        if self.readout not in READOUTS:
            found.append(f"readout must be one of {READOUTS}, got {self.readout!r}")
        shapes = {INPUT: self.input_shape}
        for population in self.populations:
            if population.name in shapes:
                found.append(f"{population.name}: the name is taken twice")
            incoming = self.incoming(population.name)
            if not incoming:
                found.append(f"{population.name}: no synapse leads into it")
            for synapse in incoming:
                found += _synapse_problems(synapse, shapes, population)
            shapes[population.name] = population.shape
        found += [
            f"synapse {s.source} -> {s.target}: there is no population {s.target!r}"
            for s in self.synapses
            if s.target not in shapes
        ]
        return found

    def incoming(self, name: str) -> tuple[Synapse, ...]:
        """The synapses that lead into a population."""
        return tuple(s for s in self.synapses if s.target == name)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of a population or of the ``"input"``."""
        return self.input_shape if name == INPUT else self[name].shape

    def __getitem__(self, name: str) -> Population:
        return next(p for p in self.populations if p.name == name)

    @property
    def output(self) -> Population:
        """The population that is read out."""
        return self.populations[-1]

    @cached_property
    def depth(self) -> dict[str, int]:
        """Synapses on the longest path from the input to each population; the input has 0."""
        depth = {INPUT: 0}
        for population in self.populations:
            depth[population.name] = 1 + max(
                depth[s.source] for s in self.incoming(population.name)
            )
        return depth

    @cached_property
    def fan_out(self) -> tuple[np.ndarray, ...]:
        """For each synapse, how many nonzero weights each source neuron drives: int64, flat."""
        return tuple(s.fan_out(self.shape_of(s.source)).ravel() for s in self.synapses)


def _synapse_problems(
    synapse: Synapse, shapes: dict[str, tuple[int, ...]], target: Population
) -> list[str]:
    edge = f"{synapse.source} -> {synapse.target}"
    if synapse.source not in shapes:
        return [f"{edge}: the source must come before its target, and {synapse.source!r} does not"]
    found = []
    produced = synapse.target_shape(shapes[synapse.source])
    if produced != target.shape:
        found.append(
            f"{edge}: weights of shape {synapse.weight.shape} on a source of shape "
            f"{shapes[synapse.source]} give {produced or 'nothing'}, the target has {target.shape}"
        )
    weight = synapse.weight
    if weight.dtype != np.int32:
        found.append(f"{edge}: weights must be int32, got {weight.dtype}")
    elif weight.size and (
        weight.min() < reg.WEIGHT_MIN or weight.max() > reg.WEIGHT_MAX or (weight & 1).any()
    ):
        found.append(
            f"{edge}: weights must be even and lie in [{reg.WEIGHT_MIN}, {reg.WEIGHT_MAX}], "
            f"got [{weight.min()}, {weight.max()}], {int((weight & 1).sum())} of them odd"
        )
    return found
