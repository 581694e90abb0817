"""Populations: groups of neurons that share a model, each with its parameters and their limits.

A parameter that is an array has one value per channel, shape ``(C,)`` or ``(F,)``, or one per
neuron, the shape of the population; a plain int is spread over the channels. The arithmetic is in
`hardware.chip.neurons`; what is here binds it to parameters.

>>> Cuba(name="conv1", shape=(8, 16, 16), du=4096, dv=410, vth=80)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.neurons import (
    CubaState,
    Faults,
    ResonatorState,
    SigmaDeltaState,
    cuba_step,
    delta_step,
    relay_step,
    resonator_step,
    sigma_delta_step,
    sigma_step,
)

RESETS = ("zero", "subtract")
Parameter = np.ndarray | int
Limits = dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Population:
    """What all models share.

    Parameters
    ----------
    name : str
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    reset_interval, reset_phase : int
        State returns to its initial value before every step ``t`` (from 0 in each sample) with
        ``t % reset_interval == reset_phase``; 0 for no reset but the one at the sample's start.
    """

    name: str
    shape: tuple[int, ...]
    reset_interval: int = 0
    reset_phase: int = 0

    KIND: ClassVar[str]
    ARRAYS: ClassVar[Limits]  # parameters with one value per channel or neuron, and their range
    SCALARS: ClassVar[Limits] = {}
    STATES: ClassVar[tuple[str, ...]] = ()  # what can be probed besides the messages
    PORTS: ClassVar[tuple[str, ...]] = ("input",)
    GRADED: ClassVar[bool] = False  # messages carry values

    def __post_init__(self) -> None:
        for name in self.ARRAYS:
            value = getattr(self, name)
            if isinstance(value, int | np.integer) and self.shape:
                spread = np.full(self.shape[:1], value, np.int32)
                object.__setattr__(self, name, spread)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def per_neuron(self, name: str) -> np.ndarray:
        """A parameter as int64, in a shape that broadcasts to the population's."""
        value = getattr(self, name).astype(np.int64)
        if value.shape == self.shape:
            return value
        return value.reshape(-1, *(1,) * (len(self.shape) - 1))

    def initial_state(self) -> NamedTuple:
        """State before the first step."""
        raise NotImplementedError

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, NamedTuple, Faults]:
        """One step: ``(message, state, faults)``; inputs are int64 sums by port."""
        raise NotImplementedError

    def resets_at(self, step: int) -> bool:
        """Whether the state returns to its initial value before this step of a sample."""
        return bool(self.reset_interval) and step % self.reset_interval == self.reset_phase

    def problems(self) -> list[str]:
        """Everything that no chip would accept, in words."""
        if len(self.shape) not in (1, 3) or min(self.shape, default=0) < 1:
            return [f"{self.name}: shape must be (C, H, W) or (F,), got {self.shape}"]
        if self.n_neurons > reg.NEURONS_MAX:
            return [f"{self.name}: {self.n_neurons} neurons, at most {reg.NEURONS_MAX} are allowed"]
        found = [p for name, limits in self.ARRAYS.items() for p in self._array(name, *limits)]
        for name, (low, high) in self.SCALARS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                found.append(f"{self.name}: {name} must lie in [{low}, {high}], got {value}")
        if not 0 <= self.reset_phase < max(self.reset_interval, 1):
            found.append(
                f"{self.name}: reset_phase must lie in [0, reset_interval), got "
                f"{self.reset_phase} of {self.reset_interval}"
            )
        return found

    def _array(self, name: str, low: int, high: int) -> list[str]:
        values = getattr(self, name)
        if not isinstance(values, np.ndarray) or values.dtype != np.int32:
            found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            return [f"{self.name}: {name} must be int32, got {found}"]
        if values.shape not in (self.shape, self.shape[:1]):
            return [
                f"{self.name}: {name} must have shape {self.shape[:1]} or {self.shape}, "
                f"got {values.shape}"
            ]
        if values.min() < low or values.max() > high:
            return [
                f"{self.name}: {name} must lie in [{low}, {high}], "
                f"got [{values.min()}, {values.max()}]"
            ]
        return []

    def parameters(self) -> dict[str, Any]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _zeros(self) -> np.ndarray:
        return np.zeros(self.shape, np.int64)


@dataclass(frozen=True, kw_only=True)
class Cuba(Population):
    """Current-based leaky integrate-and-fire neurons.

    Parameters
    ----------
    du, dv : ndarray of int32 or int
        Decays of current and voltage per step in units of 1/4096, in [0, 4096].
    vth : ndarray of int32 or int
        Threshold mantissa, in [0, 2**17).
    bias_mant : ndarray of int32 or int
        In (-2**12, 2**12).
    bias_exp : int
        The bias added each step is ``bias_mant << bias_exp``, in units of ``1 / 64`` input.
    reset : {"zero", "subtract"}
    v_init : ndarray of int32 or int
        Voltage before the first step, in units of ``1 / 64`` input.
    refractory : int
        Steps of rest after a spike.

    Notes
    -----
    The port ``"bias"`` takes values that are added to the bias mantissa in their step: an image
    that drives the first layer, as in Intel's PilotNet.
    """

    du: Parameter
    dv: Parameter
    vth: Parameter
    bias_mant: Parameter = 0
    bias_exp: int = 0
    reset: Literal["zero", "subtract"] = "zero"
    v_init: Parameter = 0
    refractory: int = 0

    KIND: ClassVar = "cuba"
    ARRAYS: ClassVar = {
        "du": (0, reg.DECAY_SCALE),
        "dv": (0, reg.DECAY_SCALE),
        "vth": (0, reg.THRESHOLD_MANTISSA_MAX),
        "bias_mant": (-reg.BIAS_MANTISSA_MAX, reg.BIAS_MANTISSA_MAX),
        "v_init": (1 - reg.STATE_LIMIT, reg.STATE_LIMIT - 1),
    }
    SCALARS: ClassVar = {"bias_exp": (0, reg.BIAS_EXPONENT_MAX), "refractory": (0, 1 << 6)}
    STATES: ClassVar[tuple[str, ...]] = ("u", "v")
    PORTS: ClassVar[tuple[str, ...]] = ("input", "bias")

    @cached_property
    def bias(self) -> np.ndarray:
        """The bias that is added each step, int64, shape of ``bias_mant``."""
        return np.asarray(self.bias_mant).astype(np.int64) << self.bias_exp

    def problems(self) -> list[str]:
        """See `Population.problems`."""
        found = super().problems()
        if self.reset not in RESETS:
            found.append(f"{self.name}: reset must be one of {RESETS}, got {self.reset!r}")
        return found

    def initial_state(self) -> CubaState:
        """No current, ``v_init``, awake."""
        v = self._zeros() + self.per_neuron("v_init")
        return CubaState(self._zeros(), v, self._zeros())

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, CubaState, Faults]:
        """See `hardware.chip.neurons.cuba_step`."""
        bias = (self.per_neuron("bias_mant") + inputs.get("bias", 0)) << self.bias_exp
        return cuba_step(
            CubaState(*state),
            inputs.get("input", self._zeros()),
            du=self.per_neuron("du"),
            dv=self.per_neuron("dv"),
            vth=self.per_neuron("vth"),
            bias=bias,
            subtract=self.reset == "subtract",
            refractory=self.refractory,
        )


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
class ResonateAndFire(Population):
    """Neurons that rotate and decay in the complex plane.

    Parameters
    ----------
    sin_decay, cos_decay : ndarray of int32 or int
        See `hardware.chip.neurons.resonator_step`; in [-4096, 4096].
    vth : ndarray of int32 or int
        Threshold, already shifted by ``state_exp``.
    state_exp : int
        Fractional bits of the state.
    izhikevich : bool
        With reset (Lava's ``RF_IZ``) or without (``RF``).

    Notes
    -----
    Synapses into the port ``"imaginary"`` drive the imaginary part.
    """

    sin_decay: Parameter
    cos_decay: Parameter
    vth: Parameter
    state_exp: int = 6
    izhikevich: bool = False

    KIND: ClassVar = "resonate_and_fire"
    ARRAYS: ClassVar = {
        "sin_decay": (-reg.DECAY_SCALE, reg.DECAY_SCALE),
        "cos_decay": (-reg.DECAY_SCALE, reg.DECAY_SCALE),
        "vth": (0, reg.GRADED_MAX),
    }
    SCALARS: ClassVar = {"state_exp": (0, reg.SCALE_EXPONENT_MAX)}
    STATES: ClassVar[tuple[str, ...]] = ("real", "imag")
    PORTS: ClassVar[tuple[str, ...]] = ("input", "imaginary")

    def initial_state(self) -> ResonatorState:
        """Zero."""
        return ResonatorState(self._zeros(), self._zeros())

    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, ResonatorState, Faults]:
        """See `hardware.chip.neurons.resonator_step`."""
        return resonator_step(
            ResonatorState(*state),
            inputs.get("input", self._zeros()),
            inputs.get("imaginary", self._zeros()),
            sin_decay=self.per_neuron("sin_decay"),
            cos_decay=self.per_neuron("cos_decay"),
            vth=self.per_neuron("vth"),
            state_exp=self.state_exp,
            izhikevich=self.izhikevich,
        )


MODELS: dict[str, type[Population]] = {
    model.KIND: model for model in (Cuba, Relay, Sigma, Delta, SigmaDelta, ResonateAndFire)
}
