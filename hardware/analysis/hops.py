"""From the trained floats to the chip, hop by hop: where does the network begin to be another?

    float -> quantised float -> integers -> simulator -> Lava -> Loihi

Each hop changes one thing: the parameters are rounded; the states become integers; a faster engine
takes over; someone else's engine takes over. The first two may change answers, and this says by
how much and why; the others must not change a single message.

>>> for hop in compare_hops(network, spikes, floats=floats, losses=losses): print(hop)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hardware.analysis.causes import (
    Cause,
    cause_between_engines,
    cause_of_integers,
    cause_of_rounding,
    own_value,
    peak_voltages,
    states_and_spikes,
)
from hardware.analysis.parity import Divergence, differing_share, first_divergence, history
from hardware.backends.backend import Backend, Progress, every
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import SigmaDelta
from hardware.chip.registers import INPUT_SHIFT
from hardware.compiler.floats.network import FloatNetwork
from hardware.compiler.floats.run import TIE, VARIABLES, run_floats
from hardware.compiler.quantise.losses import LayerLoss
from hardware.compiler.quantise.quantiser import dequantise

FLOAT, ROUNDED, INTEGERS = "float", "quantised float", "integers"


@dataclass(frozen=True)
class Run:
    """What one stage of the way produced; a `hardware.analysis.parity.Traced`.

    ``floats`` is the description that was executed, None where integers were; ``output`` is in
    the units of the float network where there is one.
    """

    backend: str
    traces: dict[tuple[str, str], np.ndarray]
    output: np.ndarray
    floats: FloatNetwork | None = None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One neuron in both runs.

    Parameters
    ----------
    population : str
    sample : int
    neuron : tuple of int
    step : int or None
        Where the runs part.
    voltages : tuple of ndarray, or None
        Voltage just before each decision in thresholds, float64 (T,), of the expected and the
        found run; None where the model has none.
    spikes : tuple of ndarray
        Messages, (T,).
    """

    population: str
    sample: int
    neuron: tuple[int, ...]
    step: int | None
    voltages: tuple[np.ndarray, np.ndarray] | None
    spikes: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A comparison of two neighbouring stages.

    Parameters
    ----------
    expected, found : str
        Names of the stages.
    divergence : Divergence or None
        None when every message of every population is equal.
    cause : Cause or None
    voltages : tuple of float, or None
        Of the neuron that differs first, just before it decides, in thresholds, in both stages.
    differing : dict of str to ndarray
        Share of neurons that differ, per population and step.
    same_answers : float
        Share of samples with the same largest output.
    readout_error : float or None
        Largest difference of a membrane that is read out, as a share of its range.
    messages : dict of str to int
        Messages that the expected stage sent, per population.
    picture : Picture
    """

    expected: str
    found: str
    divergence: Divergence | None
    cause: Cause | None
    voltages: tuple[float, float] | None
    differing: dict[str, np.ndarray]
    same_answers: float
    readout_error: float | None
    messages: dict[str, int]
    picture: Picture

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.divergence is None

    @property
    def silent(self) -> list[str]:
        """Populations that sent nothing, a membrane that is read out left aside."""
        last = list(self.messages)[-1]
        return [
            name
            for name, count in self.messages.items()
            if not count and not (name == last and self.readout_error is not None)
        ]

    @property
    def between_engines(self) -> bool:
        """Whether both stages compute the same integers, so that nothing may differ."""
        return self.expected not in (FLOAT, ROUNDED)

    @property
    def size(self) -> float | None:
        """How far apart the deciding voltages are, in thresholds."""
        return None if self.voltages is None else abs(self.voltages[0] - self.voltages[1])

    def __str__(self) -> str:
        head = f"{self.expected} -> {self.found}: "
        if self.divergence is None:
            return f"{head}every message of every layer equal"
        apart = "" if self.size is None else f", {self.size:.2g} thresholds apart"
        return f"{head}{self.divergence}{apart}; {self.cause}"


def compare_hops(
    network: ChipNetwork,
    spikes: np.ndarray,
    *,
    floats: FloatNetwork | None = None,
    losses: tuple[LayerLoss, ...] = (),
    backends: Sequence[Backend] = (Simulator(),),
    progress: Progress | None = None,
) -> Iterator[Hop]:
    """Run every stage on the same samples and compare each with the one before.

    Parameters
    ----------
    network : ChipNetwork
    spikes : ndarray of integers, shape (N, T, ...)
    floats : FloatNetwork, optional
        The network before quantisation.
    losses : tuple of LayerLoss
        What quantisation said of it.
    backends : sequence of Backend
        Engines after the integers of the specification, each compared with the one before.
    progress : callable, optional
        Called with 1 after each stage.

    Yields
    ------
    Hop
    """
    before: Run | None = None
    for stage in _stages(network, spikes, floats, losses, backends):
        if progress:
            progress(1)
        if before:
            yield _compare(network, spikes, before, stage, losses)
        before = stage


def _stages(
    network: ChipNetwork,
    spikes: np.ndarray,
    floats: FloatNetwork | None,
    losses: tuple[LayerLoss, ...],
    backends: Sequence[Backend],
) -> Iterator[Run]:
    if floats is not None:
        for name, description in ((FLOAT, floats), (ROUNDED, dequantise(network))):
            probes = [(p.name, v) for p in description.populations for v in VARIABLES[p.kind]]
            floating = run_floats(description, spikes, probes=probes)
            unit = _readout_unit(network, losses) if name == ROUNDED else np.ones(1)
            traces = _in_messages(network, description, floating.traces, losses)
            yield Run(name, traces, floating.output / unit, description)
    for backend in (Reference(), *backends):
        run = backend.run(network, spikes, probes=states_and_spikes(network))
        name = INTEGERS if isinstance(backend, Reference) else backend.name
        unit = _readout_unit(network, losses)
        if network.readout == "membrane" and losses:
            unit = unit * (1 << INPUT_SHIFT)
        yield Run(name, dict(run.traces), run.output / unit)


def _in_messages(
    network: ChipNetwork,
    floats: FloatNetwork,
    traces: Mapping[tuple[str, str], np.ndarray],
    losses: tuple[LayerLoss, ...],
) -> dict[tuple[str, str], np.ndarray]:
    """Traces of a float run, changes of activations counted in the units in which they are sent."""
    scales = {loss.layer: loss.message_scale for loss in losses}
    found = dict(traces)
    for population in network.populations:
        name, quantum = population.name, floats[population.name].quantum
        if not isinstance(population, SigmaDelta):
            continue
        if not quantum and name in scales:
            quantum = 1 / scales[name]
        found[name, "spikes"] = np.floor(traces[name, "spikes"] / (quantum or 1.0) + TIE)
    return found


def _readout_unit(network: ChipNetwork, losses: tuple[LayerLoss, ...]) -> np.ndarray:
    """What one unit of the float readout is in the chip's: float64 (F,) or (1,)."""
    if network.readout != "membrane" or not losses:
        return np.ones(1)
    scales = next(loss.scales for loss in losses if loss.layer == network.output.name)
    return np.repeat(scales, network.output.n_neurons // len(scales))


def _compare(
    network: ChipNetwork,
    spikes: np.ndarray,
    expected: Run,
    found: Run,
    losses: tuple[LayerLoss, ...],
) -> Hop:
    integers = expected.floats is None and found.floats is None
    compared = states_and_spikes(network) if integers else every(network, "spikes")
    divergence = first_divergence(network, expected, found, probes=compared)
    picture = _picture(network, expected, found, divergence)
    voltages, cause = None, None
    if divergence:
        if picture.voltages:
            one, other = (float(v[divergence.step]) for v in picture.voltages)
            voltages = (one, other)
        cause = _cause(network, spikes, expected, found, divergence, voltages, losses)
    return Hop(
        expected=expected.backend,
        found=found.backend,
        divergence=divergence,
        cause=cause,
        voltages=voltages,
        differing=differing_share(network, expected, found),
        same_answers=float(np.mean(expected.output.argmax(1) == found.output.argmax(1))),
        readout_error=_readout_error(network, expected, found),
        messages={
            p.name: int(np.count_nonzero(expected.traces[p.name, "spikes"]))
            for p in network.populations
        },
        picture=picture,
    )


def _readout_error(network: ChipNetwork, expected: Run, found: Run) -> float | None:
    if network.readout != "membrane":
        return None
    spread = float(np.ptp(expected.output)) or 1.0
    return float(np.abs(expected.output - found.output).max()) / spread


def _cause(
    network: ChipNetwork,
    spikes: np.ndarray,
    expected: Run,
    found: Run,
    divergence: Divergence,
    voltages: tuple[float, float] | None,
    losses: tuple[LayerLoss, ...],
) -> Cause:
    if expected.floats is None:
        return cause_between_engines(network, expected, found, divergence)
    if found.floats is not None:
        loss = next(loss for loss in losses if loss.layer == divergence.population)
        rounded = dequantise(network, losses)
        return cause_of_rounding(expected.floats, rounded, loss, spikes, divergence)
    margin = None if voltages is None else voltages[0] - 1
    return cause_of_integers(network, spikes, divergence, margin)


def _peaks(
    network: ChipNetwork, run: Run, name: str, sample: int, neuron: tuple[int, ...]
) -> np.ndarray | None:
    """Voltage of a neuron just before each decision, in thresholds, or None where it has none."""
    if run.floats is None:
        return peak_voltages(network, run, name, sample, neuron)
    if (name, "v_peak") not in run.traces:
        return None
    threshold = own_value(run.floats[name], "threshold", neuron)
    peaks = history(run, name, "v_peak", sample, neuron)
    return peaks / threshold if np.isfinite(threshold) else peaks


def _picture(
    network: ChipNetwork, expected: Run, found: Run, divergence: Divergence | None
) -> Picture:
    """The neuron that differs first, or the busiest one of the output when none does."""
    if divergence:
        name, sample, neuron = divergence.population, divergence.sample, divergence.neuron
    else:
        name = network.output.name
        messages = np.abs(expected.traces[name, "spikes"]).sum(axis=1)
        sample, *rest = (int(i) for i in np.unravel_index(messages.argmax(), messages.shape))
        neuron = tuple(rest)
    first, second = (_peaks(network, run, name, sample, neuron) for run in (expected, found))
    return Picture(
        population=name,
        sample=sample,
        neuron=neuron,
        step=divergence.step if divergence else None,
        voltages=None if first is None or second is None else (first, second),
        spikes=(
            history(expected, name, "spikes", sample, neuron),
            history(found, name, "spikes", sample, neuron),
        ),
    )
