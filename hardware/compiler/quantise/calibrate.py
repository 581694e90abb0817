"""How large the values of a float network become: on typical input, or at worst.

Registers have 24 bits and wrap or saturate in silence. The quantiser keeps voltages and currents
within them, for which it must know their range: measured on a few samples, or bounded.

>>> ranges = calibrate(network, spikes[:8]); ranges["fc"].v.max()
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hardware.chip.network import INPUT
from hardware.chip.registers import PAYLOAD_BITS_MAX
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse
from hardware.compiler.floats.run import walk
from hardware.errors import NetworkFormatError

CHANGE_MARGIN = 2.0  # other samples may change by this much more, and from top to bottom
WORST_CASE_STEPS = 64  # in which an integrator that never forgets gets all its input at once

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Range:
    """Largest sizes that current and voltage of each neuron reached, in the population's shape."""

    u: np.ndarray
    v: np.ndarray


def calibrate(network: FloatNetwork, spikes: np.ndarray) -> dict[str, Range]:
    """Run typical samples and keep how far states went, before resets.

    Parameters
    ----------
    network : FloatNetwork
    spikes : ndarray of integers, shape (N, T, C, H, W) or (N, T, F)

    Raises
    ------
    NetworkFormatError
        When the samples do not fit the network.
    """
    if spikes.ndim < 2 or spikes.shape[2:] != network.input_shape or 0 in spikes.shape:
        raise NetworkFormatError(
            f"calibration samples must have shape (N, T, "
            f"{', '.join(map(str, network.input_shape))}), got {spikes.shape}"
        )
    if not (np.issubdtype(spikes.dtype, np.integer) or spikes.dtype == bool):
        raise NetworkFormatError(f"calibration samples must be integers, got {spikes.dtype}")
    largest = {
        p.name: (np.zeros(p.shape), np.zeros(p.shape))
        for p in network.populations
        if p.kind != "relay"
    }
    for snapshots in walk(network, spikes):
        for name, (u, v) in largest.items():
            np.maximum(u, np.abs(snapshots[name].u).max(axis=0), out=u)
            np.maximum(v, np.abs(snapshots[name].v_peak).max(axis=0), out=v)
    return {name: Range(u=u, v=v) for name, (u, v) in largest.items()}


def worst_case(
    population: FloatPopulation, incoming: Iterable[FloatSynapse], messages: dict[str, Interval]
) -> Range:
    """A bound for a population that never spikes, when all its input comes at once."""
    per_step = np.zeros(population.shape[0])
    for synapse in incoming:
        low, high = input_interval(synapse, messages)
        per_step += np.maximum(np.abs(low), np.abs(high))
    shape = (-1, *(1,) * (len(population.shape) - 1))
    at_least = 1 / WORST_CASE_STEPS
    u = per_step.reshape(shape) / np.maximum(population.per_neuron("u_decay"), at_least)
    v = (u + np.abs(population.per_neuron("bias"))) / np.maximum(
        population.per_neuron("v_decay"), at_least
    )
    v = v + np.abs(population.per_neuron("v_init"))
    return Range(u=np.broadcast_to(u, population.shape), v=np.broadcast_to(v, population.shape))


def message_intervals(network: FloatNetwork, calibration: np.ndarray | None) -> dict[str, Interval]:
    """Smallest and largest message that the input and each population can send.

    Those of sigma-delta neurons depend on their scale; they, and relays behind them, are not among
    them. The input's come from metadata ``input_bits`` unless ``input`` is "binary", else from the
    calibration samples, else it is binary.
    """
    is_binary = network.metadata.get("input") == "binary"
    bits = None if is_binary else network.metadata.get("input_bits")
    if bits:
        if not isinstance(bits, int) or not 0 <= bits <= PAYLOAD_BITS_MAX:
            raise NetworkFormatError(
                f"input_bits must be an integer in [0, {PAYLOAD_BITS_MAX}], got {bits!r}"
            )
        limit = float((1 << bits) - 1)
        intervals = {INPUT: (-limit, limit)}
    elif calibration is not None and calibration.size and not is_binary:
        low, high = float(calibration.min()), float(calibration.max())
        intervals = {INPUT: (min(low, 0.0), max(high, 1.0))}
    else:
        intervals = {INPUT: (0.0, 1.0)}
    for population in network.populations:
        if population.kind in ("neuron", "readout", "levels"):
            intervals[population.name] = _own_interval(population)
        if population.kind != "relay":
            continue
        known = [s for s in network.incoming(population.name) if {*s.sources} <= intervals.keys()]
        if known:
            intervals[population.name] = relay_interval(known, intervals)
    return intervals


def relay_interval(incoming: Iterable[FloatSynapse], messages: dict[str, Interval]) -> Interval:
    """Of relays, which send what arrives."""
    bounds = [input_interval(synapse, messages) for synapse in incoming]
    low = sum(float(low.min(initial=0)) for low, _ in bounds)
    return low, sum(float(high.max(initial=0)) for _, high in bounds)


def _own_interval(population: FloatPopulation) -> Interval:
    """Of populations whose messages are counts."""
    if population.kind == "levels":
        leaks = bool(np.any(population.negative_slope))
        return (-float(population.levels) if leaks else 0.0, float(population.levels))
    return 0.0, float(population.kind == "neuron")


def change_interval(population: FloatPopulation, seen: Range, unit: float) -> Interval:
    """Of sigma-delta neurons, with ``unit`` integers per unit of their activation."""
    largest = float(np.ceil(2 * CHANGE_MARGIN * seen.v.max() * unit))
    return -max(largest, 1.0), max(largest, 1.0)


def sum_interval(synapse: FloatSynapse, messages: dict[str, Interval]) -> Interval:
    """Smallest and largest sum that a synapse reads of its sources."""
    low = sum(messages[source][0] for source in synapse.sources)
    high = sum(messages[source][1] for source in synapse.sources)
    return low, high


def input_interval(
    synapse: FloatSynapse, messages: dict[str, Interval]
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the weighted input of one step, per target channel."""
    low, high = sum_interval(synapse, messages)
    rows = synapse.weight.reshape(len(synapse.weight), -1)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    return positive * low + negative * high, positive * high + negative * low
