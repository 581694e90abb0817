"""Why two runs part: the evidence at the neuron that differs first, put into words.

Between integers the states tell: when the current differs first, the synapses computed something
else; when the voltage differs under equal currents, it is bias, decay or reset; when both are
equal, it is the threshold. A whole population that is equal after a shift in time is late.

Between floats and their rounded copy the parameters are swapped one kind at a time: the kind that
alone makes the neuron answer otherwise is the cause. Between rounded floats and integers the
strict specification says whether a register overflowed; what is left is the rounding of states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hardware.analysis.parity import Divergence, Traced, history
from hardware.backends.backend import every
from hardware.backends.reference import Reference
from hardware.chip.network import ChipNetwork
from hardware.chip.neurons import decay
from hardware.chip.populations import Cuba, Levels
from hardware.chip.registers import INPUT_SHIFT, WEIGHT_STEP
from hardware.chip.synapses import Weighted
from hardware.compiler.floats.network import FloatNetwork, FloatSynapse
from hardware.compiler.floats.run import run_floats
from hardware.compiler.quantise.losses import LayerLoss
from hardware.errors import ArithmeticFaultError

SHIFTS = (1, -1, 2, -2, 3, -3)  # steps by which a population is looked for in another time
CLIPPED, STRICT = "clipped weights", "strict threshold"
EXACT = 1e-9  # thresholds; closer is a tie in float64


@dataclass(frozen=True)
class Cause:
    """A probable cause.

    Parameters
    ----------
    kind : str
        ``"rounding"``, ``"clip"``, ``"wrap"``, ``"threshold"``, ``"reset"``, ``"timing"``,
        ``"synapses"``, ``"bias or decay"`` or ``"unknown"``.
    evidence : str
        What was looked at and what it showed.
    """

    kind: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}"


# -- floats and their rounded copy -----------------------------------------------------------------


def cause_of_rounding(
    floats: FloatNetwork,
    rounded: FloatNetwork,
    loss: LayerLoss,
    spikes: np.ndarray,
    divergence: Divergence,
) -> Cause:
    """Which rounded parameter alone makes the neuron answer otherwise.

    Parameters
    ----------
    floats, rounded : FloatNetwork
        The same network before and after quantisation.
    loss : LayerLoss
        Of the population that differs first.
    spikes : ndarray of shape (N, T, ...)
        The input of both runs.
    divergence : Divergence
        Between the runs of both.
    """
    name, step = divergence.population, divergence.step
    if rounded[name].kind == "sigma_delta":
        return Cause("rounding", "changes are sent in whole units of a message, of rounded weights")
    sample = spikes[divergence.sample : divergence.sample + 1, : step + 1]
    alone = []
    for kind, network in _swaps(floats, rounded, loss):
        run = run_floats(network, sample, probes=[(name, "spikes")])
        if history(run, name, "spikes", 0, divergence.neuron)[step] == divergence.found:
            alone.append(kind)
    if CLIPPED in alone:
        return Cause("clip", "weights that hit the end of the 8-bit range do it alone")
    if STRICT in alone:
        return Cause("threshold", "the voltage meets the threshold exactly; the chip asks for more")
    if alone:
        return Cause("rounding", f"the rounded {' or '.join(alone)} of {name!r} alone do it")
    return Cause("rounding", f"no rounded parameter of {name!r} does it alone, together they do")


def _swaps(
    floats: FloatNetwork, rounded: FloatNetwork, loss: LayerLoss
) -> Iterator[tuple[str, FloatNetwork]]:
    """Copies of a network with one kind of parameter of one population rounded."""
    name = loss.layer
    before, after = floats[name], rounded[name]
    for kind, fields in (
        ("thresholds", ("threshold", "negative_slope", "delta")),
        ("biases", ("bias",)),
        ("decays", ("u_decay", "v_decay")),
        ("initial states", ("v_init", "u_init")),
        (STRICT, ("fires",)),
    ):
        changed = replace(before, **{field: getattr(after, field) for field in fields})
        populations = tuple(changed if p is before else p for p in floats.populations)
        yield kind, replace(floats, populations=populations)
    into = [
        (old, new.weight)
        for old, new in zip(floats.synapses, rounded.synapses, strict=True)
        if old.target == name
    ]
    yield "weights", _with_weights(floats, into)
    if loss.clipped:
        yield CLIPPED, _with_weights(floats, [(s, _cut(s.weight, w, loss)) for s, w in into])


def _with_weights(
    floats: FloatNetwork, weights: list[tuple[FloatSynapse, np.ndarray]]
) -> FloatNetwork:
    changed = {id(synapse): replace(synapse, weight=weight) for synapse, weight in weights}
    return replace(floats, synapses=tuple(changed.get(id(s), s) for s in floats.synapses))


def _cut(weight: np.ndarray, rounded: np.ndarray, loss: LayerLoss) -> np.ndarray:
    """Weights of which only those are replaced that are off by more than half a step."""
    step = WEIGHT_STEP / np.asarray(loss.scales).reshape(-1, *(1,) * (weight.ndim - 1))
    return np.where(np.abs(weight - rounded) > step / 2 * (1 + EXACT), rounded, weight)


# -- rounded floats and integers -------------------------------------------------------------------


def cause_of_integers(
    network: ChipNetwork, spikes: np.ndarray, divergence: Divergence, margin: float | None
) -> Cause:
    """Whether a register overflowed, the threshold was met exactly, or states were rounded.

    Parameters
    ----------
    network : ChipNetwork
    spikes : ndarray of shape (N, T, ...)
    divergence : Divergence
    margin : float or None
        How far the float voltage was above the threshold, in thresholds.
    """
    sample = spikes[divergence.sample : divergence.sample + 1, : divergence.step + 1]
    try:
        Reference(strict=True).run(network, sample)
    except ArithmeticFaultError as fault:
        place = f"in {fault.layer} at neuron {fault.neuron}, step {fault.step}"
        kind = "clip" if "saturated" in fault.fault else "wrap"
        return Cause(kind, f"{fault.fault} {place}")
    if margin is not None and abs(margin) < EXACT:
        return Cause("threshold", "the voltage meets the threshold exactly; the chip asks for more")
    shift = -min(
        (s.weight_exp for s in network.incoming(divergence.population) if isinstance(s, Weighted)),
        default=0,
    )
    what = (
        f"its sums lose the {shift} bits that they are shifted by"
        if shift > 0
        else ("the states are rounded in every step")
    )
    return Cause("rounding", f"no register overflowed; {what}")


# -- integers and integers -------------------------------------------------------------------------


def cause_between_engines(
    network: ChipNetwork, expected: Traced, found: Traced, divergence: Divergence
) -> Cause:
    """What the states of two integer runs say.

    Parameters
    ----------
    network : ChipNetwork
    expected, found : ChipRun
        With the states of the population among their probes.
    divergence : Divergence
    """
    name = divergence.population
    shift = _shift(expected.traces[name, "spikes"], found.traces[name, "spikes"])
    if shift:
        late = "late" if shift > 0 else "early"
        return Cause("timing", f"all of {name!r} is equal when taken {abs(shift)} step(s) {late}")
    variable, step = _first_state(network, expected, found, divergence)
    sample, neuron = divergence.sample, divergence.neuron
    if _first_sample_is_equal(expected, found, divergence) and step == 0:
        return Cause(
            "reset", f"the first sample is equal, sample {sample} starts from another state"
        )
    if variable is None:
        return Cause("threshold", "every state is equal up to this step; the decision differs")
    before, after = (
        int(history(run, name, variable, sample, neuron)[step]) for run in (expected, found)
    )
    values = f"{variable} is {before} and {after} at step {step}, equal before"
    if variable in ("u", "sigma", "real", "act", "z"):
        return Cause("synapses", f"{values}: the input of the neuron differs")
    if history(expected, name, "spikes", sample, neuron)[step]:
        return Cause("reset", f"{values}, in a step with a spike")
    return Cause("bias or decay", f"{values}, under equal currents")


def _shift(expected: np.ndarray, found: np.ndarray) -> int:
    steps = expected.shape[1]
    for shift in (s for s in SHIFTS if abs(s) < steps and expected.any()):
        early, late = (expected, found) if shift > 0 else (found, expected)
        n = abs(shift)
        if np.array_equal(early[:, :-n], late[:, n:]) and early[:, :-n].any():
            return shift
    return 0


def _first_sample_is_equal(expected: Traced, found: Traced, divergence: Divergence) -> bool:
    probe = (divergence.population, divergence.variable)
    return np.array_equal(expected.traces[probe][0], found.traces[probe][0])


def _first_state(
    network: ChipNetwork, expected: Traced, found: Traced, divergence: Divergence
) -> tuple[str | None, int]:
    """First state of the neuron that differs, in the model's order of evaluation, and when."""
    name = divergence.population
    earliest: tuple[int, str] | None = None
    for variable in network[name].STATES:
        first, second = (
            history(run, name, variable, divergence.sample, divergence.neuron)
            for run in (expected, found)
        )
        differs = (first != second)[: divergence.step + 1]
        # The voltage after a step in which one of them spiked differs because of the spike.
        if variable == "v" and divergence.variable == "spikes":
            differs = differs[:-1]
        if differs.any() and (earliest is None or differs.argmax() < earliest[0]):
            earliest = (int(differs.argmax()), variable)
    if earliest:
        return earliest[1], earliest[0]
    return None, divergence.step


# -- how far apart ---------------------------------------------------------------------------------


def peak_voltages(
    network: ChipNetwork, run: Traced, name: str, sample: int, neuron: tuple[int, ...]
) -> np.ndarray | None:
    """Voltage of a CUBA neuron just before each decision, in thresholds, from an integer run.

    Of levels, the activation in units of the highest one. None for other models, for a threshold
    of 0, and where the bias comes from outside, the neuron rests after spikes, or is reset within
    the sample.

    Returns
    -------
    ndarray of float64, shape (T,), or None
    """
    population = network[name]
    fed = any(s.port == "bias" for s in network.incoming(name))
    if isinstance(population, Levels):
        top = own_value(population, "vth", neuron) * population.levels * (1 << INPUT_SHIFT)
        return history(run, name, "z", sample, neuron) / top
    if not isinstance(population, Cuba) or fed:
        return None
    if population.refractory or population.reset_interval:
        return None
    own = {key: own_value(population, key, neuron) for key in ("dv", "vth", "v_init", "bias_mant")}
    if not own["vth"]:
        return None
    u, v = (history(run, name, x, sample, neuron).astype(np.int64) for x in "uv")
    before = np.concatenate(([int(own["v_init"])], v[:-1]))
    peaks = decay(before, int(own["dv"])) + u + (int(own["bias_mant"]) << population.bias_exp)
    return peaks / (own["vth"] * (1 << INPUT_SHIFT))


def own_value(population: object, name: str, neuron: tuple[int, ...]) -> float:
    """A parameter of one neuron, stored per channel or per neuron."""
    values = np.asarray(getattr(population, name), np.float64)
    return float(values[neuron] if values.ndim == len(neuron) else values[neuron[0]])


def states_and_spikes(network: ChipNetwork) -> tuple[tuple[str, str], ...]:
    """Probes that a full comparison of integer runs needs."""
    states = tuple((p.name, state) for p in network.populations for state in p.STATES)
    return (*every(network, "spikes"), *states)
