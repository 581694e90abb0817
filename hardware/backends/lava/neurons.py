"""Populations as Lava's neurons: its own process models, started afresh with every sample.

Each model below is one of lava-nc 0.10.0 with `Sampled` in front, which records what the neurons
send and hold and clears their state when a sample begins; no arithmetic is replaced. Only what
Lava has no neuron for is added: to CUBA, the reset by subtraction, an initial voltage, a resting
time, resets within a sample, and a port that writes the bias (`PyCuba`); and an activation of a few
levels sent as one graded spike (`PyLevels`). What that means for a chip, code by code: rate codes
(reset by subtraction, initial voltage) and graded codes need microcode on a Loihi 2, sigma-delta is
``lava.proc.sdn`` as it is.

States that Lava declares in 32 bits are kept in 64 where its arithmetic allows that. A CUBA neuron
does not (``lava/proc/lif/models.py`` casts to int32), so it refuses inputs that would wrap there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.graded.models import PyGradedReluVecModelFixed, PyGradedVecModelFixed
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.lif.models import (
    PyLifModelBitAcc,
    PyLifResetModelBitAcc,
    PyLifResetModelFloat,
)
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.rf.models import PyRFModelFixed
from lava.proc.rf.process import RF
from lava.proc.rf_iz.models import PyRF_IZModelFixed
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.models import PyDeltaModelFixed, PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

from hardware.backends.lava.processes import Recording, RememberingPort
from hardware.backends.lava.timing import Clock
from hardware.chip import populations as chip
from hardware.chip.registers import (
    CURRENT_DECAY_OFFSET,
    DECAY_BITS,
    DECAY_SCALE,
    INPUT_SHIFT,
    STATE_LIMIT,
)

WIDE = LavaPyType(np.ndarray, np.int64, precision=24)
NEVER = 1 << 62  # a reset interval longer than any run
LARGEST_CURRENT = (1 << 31) - 4 * STATE_LIMIT  # what a voltage and a bias may still be added to


class Neurons(NamedTuple):
    """A population in Lava: its process, the model that runs it, and where messages enter."""

    process: AbstractProcess
    model: type
    inlets: dict[str, InPort]

    @property
    def outlet(self) -> OutPort:
        """Where messages leave."""
        return self.process.s_out


class Sampled(PyLoihiProcessModel):
    """Put before a neuron model of Lava: fresh states for each sample, and recordings.

    The process hands over ``clock``, ``population`` and ``recordings`` by its parameters.
    """

    STATES: tuple[str, ...] = ()  # those that Lava does not reset by itself
    population: chip.Population
    s_out: PyOutPort = LavaPyType(RememberingPort, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.clock: Clock = proc_params["clock"]
        self.population = proc_params["population"]
        self.recordings: Mapping[str, Recording] = proc_params["recordings"]

    def run_spk(self) -> None:
        """One step, as Lava does it, between a reset where it is due and the recording."""
        if self.clock.begins(self.time_step) or self.population.resets_at(
            self.clock.step(self.time_step)
        ):
            self.restart()
        super().run_spk()
        for variable, recording in self.recordings.items():
            values = self.s_out.sent if variable == "spikes" else getattr(self, variable)
            recording.keep(values, self.time_step)

    def restart(self) -> None:
        """Return to the state before the first step."""
        for name in self.STATES:
            getattr(self, name)[:] = 0


class Within32Bits(PyLoihiProcessModel):
    """Put before a fixed-point LIF model: an error where its int32 arithmetic would wrap."""

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        largest = np.abs(self.u).max() + (np.abs(activation_in).max() << INPUT_SHIFT)
        if largest >= LARGEST_CURRENT:
            raise OverflowError(
                f"{self.population.name}: a current of up to {largest} may leave the 32 bits in "
                "which Lava computes (a chip has 24); lower weight_exp or the values of messages"
            )
        super().subthr_dynamics(activation_in)


class PyPlainCuba(Sampled, Within32Bits, PyLifResetModelBitAcc):
    """Lava's own neuron with Lava's own reset."""


class PyPlainCubaFloat(Sampled, PyLifResetModelFloat):
    """The same without integers."""


class BiasedLIF(LIF):
    """Lava's LIF with a port for values that are added to the bias mantissa in their step."""

    def __init__(self, *, shape: tuple[int, ...], **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.bias_in = InPort(shape=shape)


class PyCuba(Sampled, Within32Bits, PyLifModelBitAcc):
    """Lava's own current and voltage, with resets, rest and bias input around them."""

    population: chip.Cuba
    bias_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.v_init = neuron_values(self.population, "v_init")
        self.rest = np.zeros(self.v_init.shape, np.int64)

    def restart(self) -> None:
        """No current, ``v_init``, awake."""
        self.u[:], self.v[:], self.rest[:] = 0, self.v_init, 0

    def scale_bias(self) -> None:
        """The bias of this step, with what came from outside."""
        mantissa = self.bias_mant.astype(np.int64) + self.bias_in.recv()
        self.effective_bias = mantissa << self.population.bias_exp

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Lava's, except that the voltage of a resting neuron stands still."""
        before = self.v.copy()
        super().subthr_dynamics(activation_in)
        np.copyto(self.v, before, where=self.rest > 0)

    def spiking_activation(self) -> np.ndarray:
        """Lava's, of those that are awake."""
        return super().spiking_activation() & (self.rest == 0)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """To zero as Lava does, or by the threshold; and to rest."""
        tired = np.maximum(self.rest - 1, 0)
        self.rest = np.where(spike_vector, self.population.refractory, tired)
        if self.population.reset == "subtract":
            self.v -= np.where(spike_vector, self.effective_vth, 0)
        else:
            super().reset_voltage(spike_vector)


class PySigma(Sampled, PySigmaModelFixed):
    """Lava's own neuron, cleared with every sample."""

    STATES = ("sigma",)
    sigma: np.ndarray = WIDE


class PyDelta(Sampled, PyDeltaModelFixed):
    """Lava's own neuron, cleared with every sample."""

    STATES = ("act", "residue")
    vth: np.ndarray = WIDE
    act: np.ndarray = WIDE
    residue: np.ndarray = WIDE


class PySigmaDelta(Sampled, PySigmaDeltaModelFixed):
    """Lava's own neuron, cleared with every sample."""

    STATES = ("sigma", "act", "residue")
    vth: np.ndarray = WIDE
    sigma: np.ndarray = WIDE
    act: np.ndarray = WIDE
    residue: np.ndarray = WIDE
    bias: np.ndarray = WIDE


class PyRelay(Sampled, PyGradedVecModelFixed):
    """Lava's own neuron."""

    v: np.ndarray = WIDE


class PyRectifyingRelay(Sampled, PyGradedReluVecModelFixed):
    """Lava's own neuron."""

    v: np.ndarray = WIDE


class LevelNeurons(AbstractProcess):
    """Activations of a few levels, which Lava has no neuron for; ``shape`` is Lava's."""

    def __init__(self, *, shape: tuple[int, ...], **parameters: Any) -> None:
        super().__init__(shape=shape, **parameters)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.z = Var(shape=shape, init=0)
        for name, values in parameters.items():
            setattr(self, name, Var(shape=np.shape(values) or (1,), init=values))


@implements(proc=LevelNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LevelModel(PyLoihiProcessModel):
    """`hardware.chip.neurons.level_step`, written for Lava's axes and its order of a step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    z: np.ndarray = WIDE
    vth: np.ndarray = WIDE
    vth_negative: np.ndarray = WIDE
    bias: np.ndarray = WIDE
    levels: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=16)

    def run_spk(self) -> None:
        """Receive, add the bias, saturate, round to a level, send."""
        total = self.a_in.recv() * (1 << INPUT_SHIFT) + self.bias * self.levels
        self.z = np.clip(total, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        quantum = np.where(self.z < 0, self.vth_negative, self.vth)
        # Half a level more, then down to a whole one: doubled, so that half is whole as well.
        doubled = 2 * np.abs(self.z) + (quantum << INPUT_SHIFT)
        sent = doubled // np.maximum(quantum << INPUT_SHIFT + 1, 1)
        sent = np.minimum(np.where(quantum > 0, sent, 0), self.levels)
        self.s_out.send(np.sign(self.z) * sent)


class PyLevels(Sampled, LevelModel):
    """This project's own neuron; no state of it outlives a step."""


class PyResonator(Sampled, PyRFModelFixed):
    """Lava's own neuron, cleared with every sample."""

    STATES = ("real", "imag")


class PyIzhikevich(Sampled, PyRF_IZModelFixed):
    """Lava's own neuron, cleared with every sample."""

    STATES = ("real", "imag")


def neuron_values(population: chip.Population, name: str) -> np.ndarray:
    """A parameter as int64 with one value per neuron, in Lava's order of axes."""
    return np.broadcast_to(population.per_neuron(name), population.shape).T.copy()


def neuron_process(
    population: chip.Population,
    *,
    clock: Clock,
    recordings: Mapping[str, Recording],
    plain: bool,
    floating: bool = False,
) -> Neurons:
    """The neurons of a population.

    Parameters
    ----------
    population : Population
    clock : Clock
        Its own: late by its depth.
    recordings : mapping of variable to Recording
    plain : bool
        Whether a CUBA population needs nothing that Lava's `LIFReset` lacks, see
        `hardware.backends.lava.limits.is_plain`.
    floating : bool
        Plain CUBA in floating point, in units of the input instead of ``1 / 64`` of it.
    """
    if isinstance(population, chip.Cuba):
        neurons = _cuba(population, clock, plain, floating)
    else:
        neurons = BUILDERS[type(population)](population)
    for name, value in (("clock", clock), ("population", population), ("recordings", recordings)):
        neurons.process.proc_params[name] = value
    return neurons


def _cuba(population: chip.Cuba, clock: Clock, plain: bool, floating: bool) -> Neurons:
    names = ("du", "dv", "vth", "bias_mant")
    parameters: dict[str, Any] = {name: neuron_values(population, name) for name in names}
    parameters["shape"] = population.shape[::-1]
    if floating:
        bias = neuron_values(population, "bias_mant") * 2.0 ** (population.bias_exp - INPUT_SHIFT)
        parameters |= {"du": parameters["du"] / DECAY_SCALE, "dv": parameters["dv"] / DECAY_SCALE}
        parameters |= {"bias_mant": bias, "bias_exp": 0}
    else:
        parameters["du"] -= CURRENT_DECAY_OFFSET
        parameters["bias_exp"] = population.bias_exp
    if plain:
        # Frame 1 arrives in step late + 1; until then the bias has been integrating, and after
        # it, at every further multiple, the sample before has.
        reset = {"reset_interval": NEVER, "reset_offset": 0}
        if clock.period:
            reset = {"reset_interval": clock.period, "reset_offset": clock.late + 1}
        process = LIFReset(**reset, **parameters)
        model = PyPlainCubaFloat if floating else PyPlainCuba
        return Neurons(process, model, {"input": process.a_in})
    process = BiasedLIF(v=neuron_values(population, "v_init"), **parameters)
    return Neurons(process, PyCuba, {"input": process.a_in, "bias": process.bias_in})


def _relay(population: chip.Relay) -> Neurons:
    process_type, model = (
        (GradedReluVec, PyRectifyingRelay) if population.rectify else (GradedVec, PyRelay)
    )
    process = process_type(shape=population.shape[::-1])
    _set_per_neuron(process.vth, neuron_values(population, "vth"))
    return Neurons(process, model, {"input": process.a_in})


def _sigma(population: chip.Sigma) -> Neurons:
    process = Sigma(shape=population.shape[::-1])
    return Neurons(process, PySigma, {"input": process.a_in})


def _delta(population: chip.Delta) -> Neurons:
    exponents = {"spike_exp": population.spike_exp, "state_exp": population.state_exp}
    process = Delta(shape=population.shape[::-1], vth=0, **exponents)
    _set_per_neuron(process.vth, neuron_values(population, "vth") << population.scale_exp)
    return Neurons(process, PyDelta, {"input": process.a_in})


def _sigma_delta(population: chip.SigmaDelta) -> Neurons:
    process = SigmaDelta(
        shape=population.shape[::-1],
        vth=0,
        bias=neuron_values(population, "bias"),
        act_mode=ActivationMode.RELU if population.rectify else ActivationMode.UNIT,
        spike_exp=population.spike_exp,
        state_exp=population.state_exp,
    )
    _set_per_neuron(process.vth, neuron_values(population, "vth") << population.scale_exp)
    return Neurons(process, PySigmaDelta, {"input": process.a_in})


def _levels(population: chip.Levels) -> Neurons:
    process = LevelNeurons(
        shape=population.shape[::-1],
        vth=neuron_values(population, "vth"),
        vth_negative=neuron_values(population, "vth_negative"),
        bias=neuron_values(population, "bias_mant") << population.bias_exp,
        levels=population.levels,
    )
    return Neurons(process, PyLevels, {"input": process.a_in})


def _resonator(population: chip.ResonateAndFire) -> Neurons:
    process_type, model = (RF_IZ, PyIzhikevich) if population.izhikevich else (RF, PyResonator)
    process = process_type(
        shape=population.shape[::-1],
        period=4,  # period and alpha give decays, which are replaced
        alpha=0,
        state_exp=population.state_exp,
        decay_bits=DECAY_BITS,
        vth=0,
    )
    for name in ("sin_decay", "cos_decay", "vth"):
        _set_per_neuron(getattr(process, name), neuron_values(population, name))
    return Neurons(process, model, {"input": process.a_real_in, "imaginary": process.a_imag_in})


def _set_per_neuron(variable: Var, values: np.ndarray) -> None:
    """Give neurons values of their own where Lava's constructor has one for all."""
    variable.shape, variable.init = values.shape, values


BUILDERS: dict[type[chip.Population], Any] = {
    chip.Relay: _relay,
    chip.Sigma: _sigma,
    chip.Delta: _delta,
    chip.SigmaDelta: _sigma_delta,
    chip.Levels: _levels,
    chip.ResonateAndFire: _resonator,
}
