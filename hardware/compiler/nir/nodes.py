"""NIR's neurons, stepped: differential equations and what files leave unsaid.

With forward Euler (``solver="euler"``), ``d = dt / tau``; with ``solver="exact"``, which is exact
for inputs that stand still during a step, ``d = 1 - exp(-dt / tau)``:

    LIF, LI      tau dv/dt = v_leak - v + r i          v' = (1 - d) v + d (v_leak + r i)
    CubaLIF, -LI tau_syn dI/dt = -I + w_in s           I' = (1 - d_syn) I + d_syn w_in s
                 tau_mem dv/dt = v_leak - v + r I      v' = (1 - d) v + d (v_leak + r I')
    IF, I        dv/dt = r i                           v' = v + dt r i
    Threshold    z = x > threshold                     no memory

A voltage meets the current of its own step, ``I'``, as in norse, snnTorch and Lava. A ``v_reset``
other than 0 is taken out by counting voltages from there. Source: NIR 1.0.8, ``nir/ir/neuron.py``.

An IF with a ``code`` in its metadata answers otherwise, see `hardware.compiler.nir.codes`.

Exporters use these nodes differently, and a file does not say how; see `Conventions`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import nir
import numpy as np

from hardware.compiler.floats.network import Fires, FloatPopulation, Kind, Reset
from hardware.compiler.nir.codes import Code, read_code
from hardware.compiler.nir.graph import Problems
from hardware.compiler.nir.shapes import Shape, physical
from hardware.errors import NetworkFormatError

NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
WITHOUT_RESET = ("graded", "sigma_delta")
READOUTS = (nir.I, nir.LI, nir.CubaLI)
ASSUMED_DT_S = 1e-4
ROUNDING = 1e-6  # time constants come as float32

Solver = Literal["euler", "exact"]
Current = Literal["filtered", "jump"]
Integrator = Literal["auto", "per_second", "per_step"]
Pooling = Literal["fold", "relay"]


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """What a NIR file cannot say. None takes it from the metadata of the nodes, or assumes.

    Parameters
    ----------
    dt_s : float, optional
        Duration of a step in seconds; else metadata ``dt``, else 1e-4, as in NIR's paper and in
        the exports of snnTorch and spikingjelly. For sinabs, which counts in steps, 1. For
        ``norse.torch.to_nir``, which multiplies time constants by its ``dt``, the square of that.
    reset : {"zero", "subtract"}, optional
        Else metadata ``reset``, else zero. sinabs and snnTorch subtract unless told otherwise.
    fires : {"above", "at_or_above"}, optional
        Else metadata ``fires``, else above, as NIR says. sinabs and spikingjelly fire at the
        threshold.
    solver : {"euler", "exact"}
        sinabs and NIR's exact solutions want the latter.
    current : {"filtered", "jump"}
        Whether a spike of CubaLIF adds ``d_syn w_in`` to the current, as NIR's equation says, or
        ``w_in``: norse exports a ``w_in`` of 1 and means the latter.
    integrator : {"auto", "per_second", "per_step"}
        What ``r`` of IF and I is. spikingjelly writes ``1 / dt``, sinabs and norse 1 and mean the
        same. ``"auto"`` multiplies by dt where metadata say dt or where ``r dt`` is 1.
    pooling : {"fold", "relay"}
        Pooling becomes part of the weights behind it where that is exact, or relay neurons.
    """

    dt_s: float | None = None
    reset: Reset | None = None
    fires: Fires | None = None
    solver: Solver = "euler"
    current: Current = "filtered"
    integrator: Integrator = "auto"
    pooling: Pooling = "fold"

    def problems(self) -> list[str]:
        """What is not a convention, in words."""
        choices = {
            "reset": (None, *get_args(Reset)),
            "fires": (None, *get_args(Fires)),
            "solver": get_args(Solver),
            "current": get_args(Current),
            "integrator": get_args(Integrator),
            "pooling": get_args(Pooling),
        }
        found = [
            f"{name} must be one of {allowed}, got {getattr(self, name)!r}"
            for name, allowed in choices.items()
            if getattr(self, name) not in allowed
        ]
        if self.dt_s is not None and not (math.isfinite(self.dt_s) and self.dt_s > 0):
            found.append(f"dt_s must be above 0 seconds, got {self.dt_s}")
        return found


WRITTEN_BY = {
    "norse": Conventions(dt_s=1e-6, current="jump", integrator="per_step"),
    "sinabs": Conventions(
        dt_s=1.0, reset="subtract", fires="at_or_above", solver="exact", integrator="per_step"
    ),
    "snntorch": Conventions(reset="subtract"),
    "spikingjelly": Conventions(fires="at_or_above"),
}
"""What the exporters of these frameworks mean where they are left at their defaults."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A population and how it takes its input.

    Parameters
    ----------
    population : FloatPopulation
    gain : ndarray of float64
        What its input is multiplied by: per channel ``(C,)`` or per neuron.
    bias_counts_once : bool
        A constant input is where it starts, instead of coming in every step.
    """

    population: FloatPopulation
    gain: np.ndarray
    bias_counts_once: bool = False


@dataclass
class Stepper:
    """Turns neuron nodes into populations; gathers problems and assumptions on the way.

    Parameters
    ----------
    conventions : Conventions
    dt_s : float
    dt_is_said : bool
        Whether anybody said it, or it is assumed.
    """

    conventions: Conventions
    dt_s: float
    dt_is_said: bool
    problems: Problems
    assumptions: list[str] = field(default_factory=list)

    def step_s(self) -> float:
        """Duration of a step; having asked for it makes it an assumption where nobody said it."""
        if not self.dt_is_said:
            self.assumptions.append(f"dt = {self.dt_s} s: the graph does not say it")
        return self.dt_s

    def population(self, name: str, node: nir.NIRNode, shape: Shape) -> Stepped | None:
        """The population of a neuron node, or None where there are problems."""
        before = len(self.problems.malformed) + len(self.problems.unsupported)
        values = _Values(name, node, shape, self.problems)
        kind: Kind = "readout" if isinstance(node, READOUTS) else "neuron"
        threshold = values.get("threshold" if isinstance(node, nir.Threshold) else "v_threshold")
        v_reset = values.get("v_reset")
        v_decay, u_decay, gain, rest = self._dynamics(values, node)
        reset = self._reset(values, v_reset, kind)
        code = self._code(values, kind)
        if len(self.problems.malformed) + len(self.problems.unsupported) > before:
            return None
        origin = v_reset if reset == "zero" else np.zeros(1)
        v_init = self._initial(values, rest, v_reset, spiking=kind == "neuron") - origin
        if code.forgets:
            v_decay = np.ones(1)
        population = FloatPopulation(
            name=name,
            shape=physical(shape),
            u_decay=values.spread(u_decay),
            v_decay=values.spread(v_decay),
            threshold=values.spread(threshold - origin) if kind == "neuron" else math.inf,
            bias=values.spread(v_decay * (rest - origin)),
            v_init=values.spread(v_init),
            reset=reset,
            fires=self.conventions.fires or values.said("fires", code.fires),
            refractory=int(values.number("refractory", 0) or 0),
            weight_scale=values.number("weight_scale", None),
            levels=code.levels,
            negative_slope=values.spread(values.numbers("negative_slope", code.negative_slope)),
            delta=values.spread(values.numbers("vth", code.delta)),
            rectify=code.rectify,
            kind=code.kind,
        )
        self.problems.malformed += population.problems()
        return Stepped(
            population=population, gain=values.spread(gain), bias_counts_once=code.bias_counts_once
        )

    def _code(self, values: _Values, kind: Kind) -> Code:
        """What the metadata say about how a neuron answers."""
        try:
            code = read_code(values.node, values.all_said())
        except NetworkFormatError as error:
            self.problems.malformed.append(f"{values.name}: {error}")
            return Code(kind=kind)
        if code and code.kind != "neuron" and values.get("v_reset").any():
            self.problems.malformed.append(f"{values.name}: {code.kind} have no v_reset, only 0")
        return code or Code(kind=kind)

    def _dynamics(
        self, values: _Values, node: nir.NIRNode
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decays of voltage and current, gain of the input, and where the voltage leaks to."""
        one, zero = np.ones(1), np.zeros(1)
        if isinstance(node, nir.Threshold):
            return one, one, one, zero
        if isinstance(node, nir.IF | nir.I):
            return zero, one, self._integrator_gain(values), zero
        rest = values.get("v_leak")
        if isinstance(node, nir.LIF | nir.LI):
            decay = self._decay(values, "tau")
            return decay, one, decay * values.get("r"), rest
        decay, u_decay = self._decay(values, "tau_mem"), self._decay(values, "tau_syn")
        w_in = values.get("w_in")
        arriving = w_in if self.conventions.current == "jump" else u_decay * w_in
        if self.conventions.current == "filtered" and (w_in == 1).all():
            self.assumptions.append(
                f"{values.name}: a spike adds dt / tau_syn of its weight to the current, as NIR's "
                "equation says; for exports of norse read it with current 'jump'"
            )
        return decay, u_decay, decay * values.get("r") * arriving, rest

    def _decay(self, values: _Values, name: str) -> np.ndarray:
        tau, dt_s = values.get(name), self.step_s()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = dt_s / tau
        shortest = dt_s if self.conventions.solver == "euler" else 0.0
        if not ((tau > 0) & (tau >= shortest * (1 - ROUNDING))).all():
            self.problems.malformed.append(
                f"{values.name}: {name} must be "
                + (f"at least one step of {dt_s} s" if shortest else "above 0 s")
                + f", got {tau.min()} s"
            )
        if self.conventions.solver == "exact":
            return -np.expm1(-ratio)
        return np.minimum(ratio, 1.0)

    def _integrator_gain(self, values: _Values) -> np.ndarray:
        r, how = values.get("r"), self.conventions.integrator
        if how == "auto":
            is_rate = "dt" in values.metadata or np.allclose(r * self.dt_s, 1, rtol=ROUNDING)
            how = "per_second" if is_rate else "per_step"
            if not is_rate:
                self.assumptions.append(
                    "r of integrators is per step (r dt is not 1); 'per_second' multiplies it by dt"
                )
        return r * self.step_s() if how == "per_second" else r

    def _reset(self, values: _Values, v_reset: np.ndarray, kind: Kind) -> Reset:
        reset = self.conventions.reset or values.said("reset", None)
        never = isinstance(values.node, nir.Threshold) or values.said("code", None) in WITHOUT_RESET
        if reset is None and kind == "neuron" and not never:
            self.assumptions.append("reset to zero: the graph does not say it")
        if reset == "subtract" and v_reset.any():
            self.problems.unsupported.append(
                f"{values.name}: v_reset {v_reset[v_reset != 0][0]} means nothing to a reset by "
                "subtraction; use reset = 'zero', or a v_reset of 0"
            )
        return reset or "zero"

    def _initial(
        self, values: _Values, rest: np.ndarray, v_reset: np.ndarray, *, spiking: bool
    ) -> np.ndarray:
        said = values.metadata.get("v_init")
        if said is not None:
            return values.numbers("v_init", said)
        start = rest if rest.any() or not spiking else v_reset
        if start.any():
            self.assumptions.append(
                f"{values.name}: starts at {start.ravel()[0]:g}, where it rests: the graph does "
                "not say it"
            )
        return start


class _Values:
    """Parameters and metadata of one node, as arrays that broadcast to its population."""

    def __init__(self, name: str, node: nir.NIRNode, shape: Shape, problems: Problems) -> None:
        self.name, self.node, self.problems = name, node, problems
        self.shape = physical(shape)
        self.metadata: dict[str, Any] = node.metadata if isinstance(node.metadata, dict) else {}

    def get(self, name: str) -> np.ndarray:
        """A parameter as float64; zero where the node has none."""
        value = getattr(self.node, name, None)
        return self.numbers(name, 0.0 if value is None else value)

    def numbers(self, name: str, value: Any) -> np.ndarray:
        """One value, one per channel or one per neuron, as float64 of the population's rank."""
        ones = np.ones((1,) * len(self.shape))
        try:
            value = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            self.problems.malformed.append(f"{self.name}: {name} must be numbers, got {value!r}")
            return ones
        if not np.isfinite(value).all():
            self.problems.malformed.append(f"{self.name}: {name} must be finite")
            return ones
        for shape in (ones.shape, self.shape, (self.shape[0], *ones.shape[1:])):
            if value.size == math.prod(shape):
                return value.reshape(shape)
        self.problems.malformed.append(
            f"{self.name}: {name} has shape {value.shape}, its population {self.shape}"
        )
        return ones

    def spread(self, value: np.ndarray) -> np.ndarray:
        """One value per channel where its neurons agree, else one per neuron."""
        flat = np.broadcast_to(value, self.shape).reshape(self.shape[0], -1)
        if (flat == flat[:, :1]).all():
            return flat[:, 0].copy()
        return flat.reshape(self.shape)

    def said(self, name: str, otherwise: Any) -> Any:
        """A value of the node's metadata; from a file, numbers and strings come as numpy's."""
        return plain(self.metadata.get(name, otherwise))

    def all_said(self) -> dict[str, Any]:
        """The node's metadata; arrays stay what they are."""
        return {k: v if np.size(v) > 1 else plain(v) for k, v in self.metadata.items()}

    def number(self, name: str, otherwise: float | None) -> float | None:
        """A number of the node's metadata."""
        value = self.said(name, otherwise)
        return None if value is None else float(self.numbers(name, value).ravel()[0])


def plain(value: Any) -> Any:
    """Metadata as plain Python: HDF5 gives bytes and numpy scalars."""
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    if isinstance(value, np.generic | np.ndarray):
        return value.item() if value.size == 1 else str(value)
    return value
