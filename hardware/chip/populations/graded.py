"""Populations whose messages carry values: relays, sigma, delta, and levels of an activation.

>>> Levels(name="conv1", shape=(8, 16, 16), vth=310, levels=8)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.neurons import (
    Faults,
    LevelState,
    SigmaDeltaState,
    delta_step,
    level_step,
    relay_step,
    sigma_delta_step,
    sigma_step,
)
from hardware.chip.populations.base import Parameter, Population


class NoState(NamedTuple):
    """Of a model that remembers nothing."""


@dataclass(frozen=True, kw_only=True)
class Relay(Population):
    """Neurons without memory that pass on what is above their threshold, value and all.

    Parameters
    ----------
    vth : ndarray of int32 or int
        Inputs of this size or below are dropped; 0 passes everything.
    rectify : bool
        Negative inputs are dropped too.
    """

    vth: Parameter = 0
    rectify: bool = False

    KIND: ClassVar = "relay"
    ARRAYS: ClassVar = {"vth": (0, reg.GRADED_MAX)}
    GRADED: ClassVar = True

    def initial_state(self) -> NoState:
        """Nothing."""
        return NoState()

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, NamedTuple, Faults]:
        """See `hardware.chip.neurons.relay_step`."""
        message, faults = relay_step(
            inputs["input"], vth=self.per_neuron("vth"), rectify=self.rectify
        )
        return message, state, faults


class SigmaState(NamedTuple):
    """Accumulated input; int64."""

    sigma: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Sigma(Population):
    """Neurons that accumulate their input and send the sum in every step."""

    KIND: ClassVar = "sigma"
    ARRAYS: ClassVar = {}
    STATES: ClassVar[tuple[str, ...]] = ("sigma",)
    GRADED: ClassVar = True

    def initial_state(self) -> SigmaState:
        """Zero."""
        return SigmaState(self._zeros())

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, SigmaState, Faults]:
        """See `hardware.chip.neurons.sigma_step`."""
        message, faults = sigma_step(SigmaState(*state).sigma, inputs["input"])
        return message, SigmaState(message), faults


class DeltaState(NamedTuple):
    """Value last seen and what of it was not yet sent; int64."""

    act: np.ndarray
    residue: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Delta(Population):
    """Encoders that send the change of their input where it reaches the threshold.

    Parameters
    ----------
    vth : ndarray of int32 or int
        Threshold in units of the input.
    spike_exp, state_exp : int
        Fractional bits of messages, and further ones of the state.
    """

    vth: Parameter = 0
    spike_exp: int = 0
    state_exp: int = 0

    KIND: ClassVar = "delta"
    ARRAYS: ClassVar = {"vth": (0, reg.GRADED_MAX)}
    SCALARS: ClassVar = {
        "spike_exp": (0, reg.SCALE_EXPONENT_MAX),
        "state_exp": (0, reg.SCALE_EXPONENT_MAX),
    }
    STATES: ClassVar[tuple[str, ...]] = ("act", "residue")
    GRADED: ClassVar = True

    @property
    def scale_exp(self) -> int:
        """Fractional bits of the state."""
        return self.spike_exp + self.state_exp

    def initial_state(self) -> DeltaState:
        """Zero."""
        return DeltaState(self._zeros(), self._zeros())

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, DeltaState, Faults]:
        """See `hardware.chip.neurons.delta_step`."""
        before = DeltaState(*state)
        act = inputs["input"] << self.scale_exp
        vth = self.per_neuron("vth") << self.scale_exp
        message, residue, faults = delta_step(
            act, before.act, before.residue, vth=vth, state_exp=self.state_exp
        )
        return message, DeltaState(act, residue), faults


@dataclass(frozen=True, kw_only=True)
class SigmaDelta(Delta):
    """Neurons that accumulate changes, apply bias and activation, and send changes again.

    Parameters
    ----------
    bias : ndarray of int32 or int
        In units of the input, signed 16 bits.
    rectify : bool
        ReLU, or no activation function.
    """

    bias: Parameter = 0
    rectify: bool = True

    KIND: ClassVar = "sigma_delta"
    ARRAYS: ClassVar = {
        "vth": (0, reg.GRADED_MAX),
        "bias": (-reg.SIGMA_BIAS_MAX, reg.SIGMA_BIAS_MAX),
    }
    STATES: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue")

    def initial_state(self) -> SigmaDeltaState:  # type: ignore[override]
        """Zero."""
        return SigmaDeltaState(self._zeros(), self._zeros(), self._zeros())

    def step(  # type: ignore[override]
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, SigmaDeltaState, Faults]:
        """See `hardware.chip.neurons.sigma_delta_step`."""
        return sigma_delta_step(
            SigmaDeltaState(*state),
            inputs["input"],
            vth=self.per_neuron("vth") << self.scale_exp,
            bias=self.per_neuron("bias") << self.scale_exp,
            state_exp=self.state_exp,
            rectify=self.rectify,
        )


@dataclass(frozen=True, kw_only=True)
class Levels(Population):
    """Neurons without memory that send their activation as one of a few levels: graded spikes.

    Parameters
    ----------
    vth : ndarray of int32 or int
        Size of one level in units of the input, in [1, 2**17).
    levels : int
        The largest message. ``64 * vth * levels`` must fit the 24 bits of the sum.
    vth_negative : ndarray of int32 or int
        Size of a level below zero, ``vth / slope`` of a leaky ReLU; 0 sends nothing there.
    bias_mant : ndarray of int32 or int
    bias_exp : int
        The bias ``bias_mant << bias_exp`` counts in units of ``1 / 64`` input and acts ``levels``
        times: a bias of ``64 * vth`` moves the activation by all levels.

    Notes
    -----
    No model of Lava and no stock neuron of a Loihi 2 does this: it needs microcode.
    """

    vth: Parameter
    levels: int
    vth_negative: Parameter = 0
    bias_mant: Parameter = 0
    bias_exp: int = 0

    KIND: ClassVar = "levels"
    ARRAYS: ClassVar = {
        "vth": (1, reg.THRESHOLD_MANTISSA_MAX),
        "vth_negative": (0, reg.THRESHOLD_MANTISSA_MAX),
        "bias_mant": (-reg.BIAS_MANTISSA_MAX, reg.BIAS_MANTISSA_MAX),
    }
    SCALARS: ClassVar = {"levels": (1, reg.LEVELS_MAX), "bias_exp": (0, reg.BIAS_EXPONENT_MAX)}
    STATES: ClassVar[tuple[str, ...]] = ("z",)
    GRADED: ClassVar = True

    @property
    def sends_values(self) -> bool:
        """One level is a binary spike, or a ternary one."""
        return self.levels > 1

    @cached_property
    def bias(self) -> np.ndarray:
        """The bias before it acts ``levels`` times, int64, shape of ``bias_mant``."""
        return np.asarray(self.bias_mant).astype(np.int64) << self.bias_exp

    def problems(self) -> list[str]:
        """See `Population.problems`."""
        found = super().problems()
        if not found and (top := 64 * int(np.max(self.vth)) * self.levels) >= reg.STATE_LIMIT:
            found.append(
                f"{self.name}: {self.levels} levels of {int(np.max(self.vth))} reach {top}, the "
                f"sum holds values below {reg.STATE_LIMIT}; lower vth or levels"
            )
        return found

    def initial_state(self) -> LevelState:
        """Zero; nothing depends on it."""
        return LevelState(self._zeros())

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, LevelState, Faults]:
        """See `hardware.chip.neurons.level_step`."""
        return level_step(
            inputs["input"],
            vth=self.per_neuron("vth"),
            vth_negative=self.per_neuron("vth_negative"),
            bias=self.per_neuron("bias_mant") << self.bias_exp,
            levels=self.levels,
        )
