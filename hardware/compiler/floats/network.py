"""A spiking network in floats: what comes out of training, before it becomes integers.

It mirrors `hardware.chip.network.ChipNetwork`: populations in topological order and synapses
between them, with the same layerwise time and the same rule for recurrence. One step of a neuron,
with ``a`` the sum of all weighted messages that arrive in it:

    u' = (1 - u_decay) u + a
    v' = (1 - v_decay) v + u' + bias
    s  = v' > threshold        (or >=, where it fires "at_or_above")
    v  = 0 or v' - threshold where s else v'

A *relay* sends ``a`` itself as a graded message and remembers nothing; a *readout* never fires,
its voltage is the answer. *Levels* send their activation in units of ``threshold / levels`` and
remember nothing either, with ``z = a + bias``:

    n =  clip(floor(levels z / threshold + 1/2), 0, levels)
    n = -clip(floor(levels negative_slope |z| / threshold + 1/2), 0, levels)      where z < 0

*Sigma-delta* neurons accumulate the changes that arrive and send the change of their activation
where it reaches ``delta``. Where ``quantum`` is not 0, a change is sent in whole multiples of it,
toward minus infinity, and the rest of it is lost:

    sigma' = sigma + a;   act' = relu(sigma' + bias);   d = act' - act + residue
    message = d where |d| >= delta else 0;              residue' = d - message

The executor is `hardware.compiler.floats.run`.

>>> FloatPopulation(name="fc", shape=(10,), v_decay=0.1, threshold=1.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.graph import READOUTS, Graph, Readout, source_problems, wiring_problems
from hardware.chip.synaptic_input import conv_output_size
from hardware.errors import NetworkFormatError

Reset = Literal["zero", "subtract"]
Fires = Literal["above", "at_or_above"]
Kind = Literal["neuron", "relay", "readout", "levels", "sigma_delta"]
Parameter = np.ndarray | float


@dataclass(frozen=True, kw_only=True)
class FloatPopulation:
    """Neurons that share a model; see the module for the equations.

    Parameters
    ----------
    name : str
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    u_decay, v_decay : float or ndarray of float64
        Share of current and voltage that a step forgets, in [0, 1]; a ``u_decay`` of 1 is a
        neuron without a current. Arrays have one value per channel, shape ``(C,)`` or ``(F,)``,
        or one per neuron; a plain float is spread over the channels.
    threshold : float or ndarray of float64
        Above 0; of levels the activation that reaches the highest one. Not used by other kinds.
    bias : float or ndarray of float64
        Added to the voltage in each step.
    u_init, v_init : float or ndarray of float64
        Current and voltage before the first step.
    reset : {"zero", "subtract"}
    fires : {"above", "at_or_above"}
    refractory : int
        Steps of rest after a spike.
    weight_scale : float, optional
        Weights times this are already the chip's integers: they were trained on its grid.
    levels : int
        The largest message of levels.
    negative_slope : float or ndarray of float64
        Of levels: what an activation below 0 counts, in [0, 1].
    delta : float or ndarray of float64
        Smallest change that sigma-delta neurons send.
    rectify : bool
        Sigma-delta: ReLU, or no activation function.
    quantum : float
        Of sigma-delta messages; 0 sends any value.
    kind : {"neuron", "relay", "readout", "levels", "sigma_delta"}
    """

    name: str
    shape: tuple[int, ...]
    u_decay: Parameter = 1.0
    v_decay: Parameter = 0.0
    threshold: Parameter = math.inf
    bias: Parameter = 0.0
    u_init: Parameter = 0.0
    v_init: Parameter = 0.0
    reset: Reset = "zero"
    fires: Fires = "above"
    refractory: int = 0
    weight_scale: float | None = None
    levels: int = 0
    negative_slope: Parameter = 0.0
    delta: Parameter = 0.0
    rectify: bool = True
    quantum: float = 0.0
    kind: Kind = "neuron"

    ARRAYS: ClassVar = (
        *("u_decay", "v_decay", "threshold", "bias", "u_init", "v_init"),
        *("negative_slope", "delta"),
    )
    CHOICES: ClassVar = {"reset": get_args(Reset), "fires": get_args(Fires), "kind": get_args(Kind)}

    def __post_init__(self) -> None:
        for name in self.ARRAYS:
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(
                self, name, np.full(self.shape[:1], value) if not value.ndim else value
            )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def per_neuron(self, name: str) -> np.ndarray:
        """A parameter in a shape that broadcasts to the population's."""
        value = getattr(self, name)
        if value.shape == self.shape:
            return value
        return value.reshape(-1, *(1,) * (len(self.shape) - 1))

    def problems(self) -> list[str]:
        """Everything that is not a neuron, in words."""
        if not _valid_shape(self.shape):
            return [
                f"{self.name}: shape must be (C, H, W) or (F,) with at most {reg.NEURONS_MAX} "
                f"neurons, got {self.shape}"
            ]
        found = [
            f"{self.name}: {name} must be one of {allowed}, got {getattr(self, name)!r}"
            for name, allowed in self.CHOICES.items()
            if getattr(self, name) not in allowed
        ]
        for name in self.ARRAYS:
            found += self._array_problems(name)
        if not 0 <= self.refractory <= reg.DELAY_MAX:
            found.append(
                f"{self.name}: refractory must lie in [0, {reg.DELAY_MAX}] steps, "
                f"got {self.refractory}"
            )
        if self.kind == "levels" and not 1 <= self.levels <= reg.LEVELS_MAX:
            found.append(
                f"{self.name}: levels must lie in [1, {reg.LEVELS_MAX}], got {self.levels}"
            )
        scale = self.weight_scale
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            found.append(f"{self.name}: weight_scale must be above 0, got {scale}")
        return found

    def _array_problems(self, name: str) -> list[str]:
        value = getattr(self, name)
        if value.shape not in (self.shape, self.shape[:1]):
            return [
                f"{self.name}: {name} must have shape {self.shape[:1]} or {self.shape}, "
                f"got {value.shape}"
            ]
        if name == "threshold":
            if self.kind not in ("neuron", "levels"):
                return []
            fits, allowed = np.isfinite(value) & (value > 0), "finite and above 0"
        elif name == "delta":
            fits, allowed = np.isfinite(value) & (value >= 0), "finite and not negative"
        elif name.endswith(("decay", "slope")):
            fits, allowed = (value >= 0) & (value <= 1), "in [0, 1]"
        else:
            fits, allowed = np.isfinite(value), "finite"
        wrong = value[~fits]
        return [f"{self.name}: {name} must be {allowed}, got {wrong[0]}"] if wrong.size else []


@dataclass(frozen=True, kw_only=True)
class FloatSynapse:
    """Weights between populations.

    Parameters
    ----------
    sources : tuple of str
        Population names or ``"input"``, all of one shape; their messages add up.
    target : str
    weight : ndarray of float64
        ``(C_out, C_in / groups, kh, kw)`` for a convolution (cross-correlation, as in torch),
        ``(n_target, n_source)`` for a dense synapse, which reads ``(C, H, W)`` in C order.
    kind : {"dense", "conv"}
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.
    groups : int
    delay : int or ndarray of int
        Steps. For a dense synapse also an array that broadcasts to the weight's shape.
    """

    sources: tuple[str, ...]
    target: str
    weight: np.ndarray
    kind: Literal["dense", "conv"] = "dense"
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    delay: np.ndarray | int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", np.asarray(self.weight, np.float64))
        object.__setattr__(self, "delay", np.asarray(self.delay, np.int64))

    @property
    def edge(self) -> str:
        """The synapse in words, for messages."""
        return f"{' + '.join(self.sources)} -> {self.target}"

    @property
    def shortest_delay(self) -> int:
        """In steps."""
        return int(np.min(self.delay))

    def target_shape(self, source_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Shape this synapse produces from its source, or None when it does not fit."""
        shape = self.weight.shape
        if self.kind == "dense":
            fits = len(shape) == 2 and shape[1] == math.prod(source_shape)
            return (shape[0],) if fits else None
        if len(shape) != 4 or len(source_shape) != 3 or self.groups < 1:
            return None
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            return None
        if shape[1] * self.groups != source_shape[0] or shape[0] % self.groups:
            return None
        geometry = zip(
            source_shape[1:], shape[2:], self.stride, self.padding, self.dilation, strict=True
        )
        size = tuple(conv_output_size(*axis) for axis in geometry)
        return (shape[0], *size) if min(size) > 0 else None

    def by_delay(self) -> tuple[tuple[int, np.ndarray], ...]:
        """``(delay, weights with that delay, the others zero)``."""
        values = np.unique(self.delay)
        if len(values) == 1:
            return ((int(values[0]), self.weight),)
        delay = np.broadcast_to(self.delay, self.weight.shape)
        return tuple((int(d), np.where(delay == d, self.weight, 0.0)) for d in values)

    def problems(self) -> list[str]:
        """Everything that is wrong whatever the ends are, in words."""
        found = []
        if not np.isfinite(self.weight).all():
            found.append("weights must be finite")
        delay = np.asarray(self.delay)
        if not delay.size or delay.min() < 0 or delay.max() > reg.DELAY_MAX:
            found.append(f"delays must lie in [0, {reg.DELAY_MAX}] steps, got {np.unique(delay)}")
        if delay.ndim:
            try:
                fits = np.broadcast_shapes(delay.shape, self.weight.shape) == self.weight.shape
            except ValueError:
                fits = False
            if self.kind != "dense" or not fits:
                found.append(f"delays of shape {delay.shape} for weights of {self.weight.shape}")
        return found


@dataclass(frozen=True, kw_only=True)
class FloatNetwork(Graph[FloatPopulation, FloatSynapse]):
    """Populations and synapses in floats, and what had to be assumed about them.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    populations : tuple of FloatPopulation
        In topological order; the last one is the output.
    synapses : tuple of FloatSynapse
    readout : {"spike_count", "membrane"}
    metadata : dict
        Plain values that travel with the network; ``input_bits`` says that the input is graded.
    assumptions : tuple of str
        In words, what the file did not say.

    Raises
    ------
    NetworkFormatError
        With all problems of the network, by population name.
    """

    input_shape: tuple[int, ...]
    populations: tuple[FloatPopulation, ...]
    synapses: tuple[FloatSynapse, ...]
    readout: Readout = "spike_count"
    metadata: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [p for population in self.populations for p in population.problems()]
        problems = problems or _graph_problems(self) or self._synapse_problems()
        if problems:
            raise NetworkFormatError("not a valid network:\n  " + "\n  ".join(problems))

    def _synapse_problems(self) -> list[str]:
        found = []
        for synapse in self.synapses:
            found += [f"{synapse.edge}: {p}" for p in synapse.problems() or self._fit(synapse)]
        for population in self.populations:
            if not self.incoming(population.name):
                found.append(f"{population.name}: no synapse leads into it")
        return found

    def _fit(self, synapse: FloatSynapse) -> list[str]:
        if found := source_problems(self, synapse):
            return found
        shape = self.shape_of(synapse.sources[0])
        target = self[synapse.target].shape
        if (produced := synapse.target_shape(shape)) != target:
            return [
                f"weights of shape {synapse.weight.shape} on a source of shape {shape} give "
                f"{produced or 'nothing'}, the target has {target}"
            ]
        if self.is_recurrent(synapse) and synapse.shortest_delay < 1:
            return ["it leads back to an earlier population and needs a delay of at least 1 step"]
        return []


def _graph_problems(network: FloatNetwork) -> list[str]:
    if not network.populations:
        return ["there is no population"]
    found = []
    if network.readout not in READOUTS:
        found.append(f"readout must be one of {READOUTS}, got {network.readout!r}")
    if network.readout == "membrane" and network.output.kind not in ("neuron", "readout"):
        found.append(f"{network.output.name}: {network.output.kind!r} has no membrane to read out")
    for population in network.populations[:-1]:
        if population.kind == "readout":
            found.append(f"{population.name}: only the last population can be a readout")
    return found + wiring_problems(network)


def _valid_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) in (1, 3) and min(shape) >= 1 and math.prod(shape) <= reg.NEURONS_MAX
