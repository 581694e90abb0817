"""Running a float network, in float64: the reference for training frameworks and for rounding.

All samples take a step together, population by population in the order of the network, so that
recurrence and delays need nothing special. A convolution is one matrix product over image patches.
A voltage within 1e-10 of its threshold is on it, so that the order of a sum decides nothing.

>>> run = run_floats(network, spikes, probes=[(network.output.name, "spikes")])
>>> run.output.argmax(axis=1)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hardware.chip.network import INPUT
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse
from hardware.errors import NetworkFormatError

TIE = 1e-10  # of the threshold: sums in another order differ by less, and must not spike by chance

VARIABLES = {
    "neuron": ("spikes", "u", "v", "v_peak"),
    "relay": ("spikes",),
    "readout": ("spikes", "u", "v", "v_peak"),
    "levels": ("spikes", "v_peak"),
    "sigma_delta": ("spikes", "u", "v"),
}


@dataclass(frozen=True, kw_only=True)
class FloatRun:
    """What came out of a float run of N samples.

    Parameters
    ----------
    output : ndarray of float64, shape (N, F)
        The sum of each output neuron's messages, or its voltage after the last step.
    traces : dict of (population, variable) to ndarray, shape (N, T, ...)
        The probes that were asked for. ``"spikes"`` are int8, messages with values float64;
        ``"u"`` and ``"v"`` are those at the end of a step, after resets, of sigma-delta the sum
        and the activation; ``"v_peak"`` is the voltage, or activation, that met the threshold.
    wall_s : float
    """

    output: np.ndarray
    traces: Mapping[tuple[str, str], np.ndarray]
    wall_s: float
    backend: str = "floats"

    @property
    def prediction(self) -> np.ndarray:
        """Index of the largest output (the first of equals), int64, shape (N,)."""
        return self.output.argmax(axis=1)


class Snapshot(NamedTuple):
    """One population in one step, each of shape (N, ...); see `FloatRun`."""

    spikes: np.ndarray
    u: np.ndarray
    v: np.ndarray
    v_peak: np.ndarray


def run_floats(
    network: FloatNetwork, spikes: np.ndarray, *, probes: Iterable[tuple[str, str]] = ()
) -> FloatRun:
    """Run every sample from a fresh state.

    Parameters
    ----------
    network : FloatNetwork
    spikes : ndarray, shape (N, T, C, H, W) or (N, T, F)
        Spikes or values, of any real type.
    probes : iterable of (population, variable)

    Raises
    ------
    NetworkFormatError
        When spikes or probes do not fit the network.
    """
    probes = tuple(probes)
    _check_request(network, spikes, probes)
    started = time.perf_counter()
    traces: dict[tuple[str, str], list[np.ndarray]] = {probe: [] for probe in probes}
    output = np.zeros((len(spikes), *network.output.shape))
    for snapshots in walk(network, spikes):
        for name, variable in probes:
            traces[name, variable].append(getattr(snapshots[name], variable))
        last = snapshots[network.output.name]
        output = last.v if network.readout == "membrane" else output + last.spikes
    return FloatRun(
        output=output.reshape(len(output), -1),
        traces={probe: np.stack(steps, axis=1) for probe, steps in traces.items()},
        wall_s=time.perf_counter() - started,
    )


def walk(network: FloatNetwork, spikes: np.ndarray) -> Iterator[dict[str, Snapshot]]:
    """All populations, step by step; the caller keeps what it wants of them.

    Parameters
    ----------
    network : FloatNetwork
    spikes : ndarray, shape (N, T, ...)
    """
    n_samples, n_steps = spikes.shape[:2]
    transforms = [_transforms(network, synapse) for synapse in network.synapses]
    groups = {p.name: _Group(p, n_samples) for p in network.populations}
    arriving: dict[tuple[str, int], np.ndarray] = {}

    def send(upto: str, messages: Mapping[str, np.ndarray], step: int) -> None:
        """Weigh the messages of every synapse whose last source is ``upto``."""
        for synapse, by_delay in zip(network.synapses, transforms, strict=True):
            if upto != max(synapse.sources, key=network.order.__getitem__):
                continue
            total = np.sum([messages[source] for source in synapse.sources], axis=0)
            for delay, transform in by_delay:
                key = (synapse.target, step + delay)
                arriving[key] = arriving.get(key, 0.0) + transform(total)

    for step in range(n_steps):
        messages = {INPUT: spikes[:, step].astype(np.float64)}
        send(INPUT, messages, step)
        snapshots = {}
        for population in network.populations:
            name = population.name
            a = arriving.pop((name, step), np.zeros((n_samples, *population.shape)))
            snapshots[name] = groups[name].step(a)
            messages[name] = snapshots[name].spikes.astype(np.float64)
            send(name, messages, step)
        yield snapshots


class _Group:
    """The state of one population, of all samples."""

    def __init__(self, population: FloatPopulation, n_samples: int) -> None:
        self.population = population
        self.parameters = {name: population.per_neuron(name) for name in population.ARRAYS}
        zeros = np.zeros((n_samples, *population.shape))
        self.u = zeros + self.parameters["u_init"]
        self.v = zeros + self.parameters["v_init"]
        self.rest = np.zeros(self.u.shape, np.int64)
        self.residue = zeros

    def step(self, a: np.ndarray) -> Snapshot:
        """One step with the summed input ``a``; see `hardware.compiler.floats.network`."""
        if self.population.kind == "relay":
            return Snapshot(a, self.u, self.v, self.v)
        if self.population.kind == "levels":
            z = a + self.parameters["bias"]
            return Snapshot(self._level(z), a, z, z)
        if self.population.kind == "sigma_delta":
            return self._change(a)
        p, threshold = self.parameters, self.parameters["threshold"]
        self.u = (1 - p["u_decay"]) * self.u + a
        awake = self.rest == 0
        peak = np.where(awake, (1 - p["v_decay"]) * self.v + self.u + p["bias"], self.v)
        tie = TIE if self.population.fires == "above" else -TIE
        above = peak > threshold * (1 + tie)
        spikes = awake & above
        after = peak - threshold if self.population.reset == "subtract" else np.zeros_like(peak)
        self.v = np.where(spikes, after, peak)
        self.rest = np.where(spikes, self.population.refractory, np.maximum(self.rest - 1, 0))
        return Snapshot(spikes.astype(np.int8), self.u, self.v, peak)

    def _level(self, z: np.ndarray) -> np.ndarray:
        """Activations as levels, rounded half away from zero."""
        p, levels = self.parameters, self.population.levels
        size = np.where(z < 0, p["negative_slope"], 1.0) * np.abs(z) / p["threshold"]
        number = np.clip(np.floor(levels * (size + TIE) + 0.5), 0, levels)
        return np.where(z < 0, 0.0 - number, number)

    def _change(self, a: np.ndarray) -> Snapshot:
        """The change of the activation, where it is large enough."""
        p, quantum = self.parameters, self.population.quantum
        self.u = self.u + a
        act = self.u + p["bias"]
        act = np.maximum(act, 0) if self.population.rectify else act
        change = act - self.v + self.residue
        sent = np.where(np.abs(change) >= p["delta"] * (1 - TIE), change, 0.0)
        self.residue, self.v = change - sent, act
        message = np.floor(sent / quantum + TIE) * quantum if quantum else sent
        return Snapshot(message, self.u, self.v, self.v)


Transform = Callable[[np.ndarray], np.ndarray]


def _transforms(network: FloatNetwork, synapse: FloatSynapse) -> list[tuple[int, Transform]]:
    source_shape = network.shape_of(synapse.sources[0])
    if synapse.kind == "dense":
        return [(delay, _dense(weight)) for delay, weight in synapse.by_delay()]
    return [(synapse.shortest_delay, _convolution(synapse, source_shape))]


def _dense(weight: np.ndarray) -> Transform:
    transposed = np.ascontiguousarray(weight.T)
    return lambda messages: messages.reshape(len(messages), -1) @ transposed


def _convolution(synapse: FloatSynapse, source_shape: tuple[int, ...]) -> Transform:
    """Cross-correlation of ``(N, C, H, W)``: patches times kernels, group by group."""
    channels, height, width = synapse.target_shape(source_shape) or (0, 0, 0)
    kernel_h, kernel_w = synapse.weight.shape[2:]
    kernels = synapse.weight.reshape(synapse.groups, channels // synapse.groups, -1)
    borders = [(0, 0), (0, 0), *((p, p) for p in synapse.padding)]
    rows, columns = (
        (k - 1) * d + 1 for k, d in zip((kernel_h, kernel_w), synapse.dilation, strict=True)
    )

    def transform(messages: np.ndarray) -> np.ndarray:
        padded = np.pad(messages, borders)
        windows = sliding_window_view(padded, (rows, columns), axis=(2, 3))  # type: ignore[call-overload]
        windows = windows[
            :,
            :,
            :: synapse.stride[0],
            :: synapse.stride[1],
            :: synapse.dilation[0],
            :: synapse.dilation[1],
        ]
        n_samples = len(messages)
        patches = windows.transpose(1, 4, 5, 0, 2, 3).reshape(synapse.groups, kernels.shape[2], -1)
        total = (kernels @ patches).reshape(channels, n_samples, height, width)
        return total.transpose(1, 0, 2, 3)

    return transform


def _check_request(
    network: FloatNetwork, spikes: np.ndarray, probes: Iterable[tuple[str, str]]
) -> None:
    problems = []
    if spikes.ndim < 2 or spikes.shape[2:] != network.input_shape or 0 in spikes.shape:
        problems.append(
            f"spikes must have shape (N, T, {', '.join(map(str, network.input_shape))}), "
            f"got {spikes.shape}"
        )
    known = {p.name: VARIABLES[p.kind] for p in network.populations}
    problems += [
        f"there is no {variable!r} of {name!r} to probe; there are {known}"
        for name, variable in probes
        if variable not in known.get(name, ())
    ]
    if problems:
        raise NetworkFormatError("the run does not fit the network:\n  " + "\n  ".join(problems))
