"""Populations that send binary spikes: leaky integrate-and-fire, resonate-and-fire.

>>> Cuba(name="conv1", shape=(8, 16, 16), du=4096, dv=410, vth=80)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.neurons import (
    CubaState,
    Faults,
    ResonatorState,
    cuba_step,
    resonator_step,
)
from hardware.chip.populations.base import Parameter, Population

RESETS = ("zero", "subtract")


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
