"""The integer simulator: fast, and equal to the specification bit for bit.

Feed-forward networks are evaluated layer by layer. A synapse is event-driven: each spike adds its
weights to the neurons it reaches, so time grows with synaptic operations and not with the size of
the network; then the neurons of a layer run through all steps at once. Channels are innermost in
memory (``T, H, W, C``), so both inner loops are contiguous.

>>> run = Simulator().run(network, spikes)
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numba
import numpy as np

from hardware.backends.backend import (
    Availability,
    Backend,
    ChipRun,
    Progress,
    check_request,
    count_operations,
)
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.registers import DECAY_BITS, DECAY_SCALE, INPUT_SHIFT, STATE_LIMIT
from hardware.chip.synapses import Conv, Dense, Synapse
from hardware.chip.synaptic_input import wrap_sum

_jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


class Simulator(Backend):
    """Runs a ChipNetwork exactly, sample by sample, on one thread."""

    name = "simulator"

    def is_available(self) -> Availability:
        """Always: it needs numpy and numba only."""
        return Availability("available", f"numba {numba.__version__}")

    def run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        *,
        probes: Iterable[tuple[str, str]] = (),
        progress: Progress | None = None,
    ) -> ChipRun:
        """See ``Backend.run``."""
        probes = tuple(probes)
        check_request(network, spikes, probes)
        started = time.perf_counter()
        weights = {id(s): _spike_major_weight(s, network) for s in network.synapses}
        samples = []
        for sample in spikes:
            traces = _run_sample(network, weights, sample)
            counts = count_operations(
                network,
                {n: t[None] for (n, variable), t in traces.items() if variable == "spikes"},
            )
            output = traces[network.output.name, "spikes"].sum(axis=0, dtype=np.int64)
            samples.append((output.ravel(), *counts, [traces[probe] for probe in probes]))
            if progress:
                progress(1)
        outputs, spike_counts, synops, kept = zip(*samples, strict=True)
        return ChipRun(
            output=np.stack(outputs),
            spikes=_join(spike_counts),
            synops=_join(synops),
            traces={p: np.stack(t) for p, t in zip(probes, zip(*kept, strict=True), strict=True)},
            wall_s=time.perf_counter() - started,
            backend=self.name,
            versions={"numba": numba.__version__, "numpy": np.__version__},
        )


def _join(per_sample: tuple[dict[str, np.ndarray], ...]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([c[name] for c in per_sample]) for name in per_sample[0]}


def _run_sample(
    network: ChipNetwork, weights: dict[int, np.ndarray], sample: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    """Spikes, currents and voltages of every population, ``[T, C, H, W]`` or ``[T, F]``."""
    channels_last = {INPUT: _channels_last(sample.astype(np.uint8))}
    traces = {(INPUT, "spikes"): sample}
    for population in network.populations:
        currents = [
            _synaptic_current(s, weights[id(s)], channels_last[s.sources[0]], population.shape)
            for s in network.incoming(population.name)
        ]
        current = np.sum(currents, axis=0) if len(currents) > 1 else currents[0]
        spikes, u, v = _run_neurons(population, current)
        channels_last[population.name] = spikes
        for variable, trace in (("spikes", spikes), ("u", u), ("v", v)):
            traces[population.name, variable] = _channels_first(trace, population.shape)
    return traces


def _synaptic_current(
    synapse: Synapse, weight: np.ndarray, spikes: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Summed input of the target in every step, int64 ``[T, H, W, C]`` (``[T, 1, 1, F]``)."""
    out = np.zeros((len(spikes), *_hwc(shape)), np.int64)
    if isinstance(synapse, Dense):
        _scatter_dense(spikes.reshape(len(spikes), -1), weight, out.reshape(len(spikes), -1))
        return out
    _scatter_conv(
        spikes, weight, *synapse.stride, *synapse.padding, *synapse.dilation, synapse.groups, out
    )
    return wrap_sum(out)


def _run_neurons(
    population: Cuba, current: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat = current.reshape(len(current), -1, current.shape[-1])
    spikes = np.empty(flat.shape, np.uint8)
    u, v = np.empty(flat.shape, np.int32), np.empty(flat.shape, np.int32)
    du, dv, vth = (p.astype(np.int64) for p in (population.du, population.dv, population.vth))
    _cuba_steps(flat, du, dv, vth, population.bias, spikes, u, v)
    return spikes.reshape(current.shape), u.reshape(current.shape), v.reshape(current.shape)


def _hwc(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (1, 1, shape[0]) if len(shape) == 1 else (shape[1], shape[2], shape[0])


def _channels_last(trace: np.ndarray) -> np.ndarray:
    if trace.ndim == 2:
        return np.ascontiguousarray(trace[:, None, None, :])
    return np.ascontiguousarray(trace.transpose(0, 2, 3, 1))


def _channels_first(trace: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return trace.reshape(-1, *shape) if len(shape) == 1 else trace.transpose(0, 3, 1, 2)


def _spike_major_weight(synapse: Synapse, network: ChipNetwork) -> np.ndarray:
    """Weights with the source first and the target channels innermost."""
    if isinstance(synapse, Conv):  # [C_in / groups, kh, kw, C_out]
        return np.ascontiguousarray(synapse.weight.transpose(1, 2, 3, 0), np.int64)
    source = network.shape_of(synapse.sources[0])
    weight = synapse.weight.T.reshape(*source, -1)
    if len(source) == 3:  # the source is read channels-last here, in C order there
        weight = weight.transpose(1, 2, 0, 3)
    return np.ascontiguousarray(weight.reshape(-1, synapse.weight.shape[0]), np.int64)


@_jit
def _scatter_dense(spikes: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None:
    for t in range(spikes.shape[0]):
        for source in range(spikes.shape[1]):
            if spikes[t, source]:
                row = weight[source]
                for target in range(row.shape[0]):
                    out[t, target] += row[target]


@_jit
def _scatter_conv(
    spikes: np.ndarray,
    weight: np.ndarray,
    stride_y: int,
    stride_x: int,
    pad_y: int,
    pad_x: int,
    dilation_y: int,
    dilation_x: int,
    groups: int,
    out: np.ndarray,
) -> None:
    steps, height, width, channels = spikes.shape
    _, out_h, out_w, out_channels = out.shape
    in_group, out_group = channels // groups, out_channels // groups
    for t in range(steps):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    if not spikes[t, y, x, c]:
                        continue
                    first = (c // in_group) * out_group
                    for i in range(weight.shape[1]):
                        row = y + pad_y - i * dilation_y
                        if row < 0 or row % stride_y or row // stride_y >= out_h:
                            continue
                        for j in range(weight.shape[2]):
                            column = x + pad_x - j * dilation_x
                            if column < 0 or column % stride_x or column // stride_x >= out_w:
                                continue
                            taps = weight[c % in_group, i, j, first : first + out_group]
                            target = out[
                                t, row // stride_y, column // stride_x, first : first + out_group
                            ]
                            for k in range(out_group):
                                target[k] += taps[k]


@_jit
def _decayed(state: int, keep: int) -> int:
    product = state * keep
    # Adding 4095 to negative products turns the floor of the shift into rounding toward zero.
    return (product + ((product >> 63) & (DECAY_SCALE - 1))) >> DECAY_BITS


@_jit
def _cuba_steps(
    current: np.ndarray,
    du: np.ndarray,
    dv: np.ndarray,
    vth: np.ndarray,
    bias: np.ndarray,
    spikes: np.ndarray,
    u_trace: np.ndarray,
    v_trace: np.ndarray,
) -> None:
    """All steps of ``hardware.chip.neurons.cuba_step`` for ``current`` ``[T, positions, C]``."""
    steps, positions, channels = current.shape
    u, v = np.zeros((positions, channels), np.int64), np.zeros((positions, channels), np.int64)
    for t in range(steps):
        for position in range(positions):
            for c in range(channels):
                new_u = _decayed(u[position, c], DECAY_SCALE - du[c])
                new_u += current[t, position, c] << INPUT_SHIFT
                if new_u > STATE_LIMIT:
                    new_u -= 2 * STATE_LIMIT
                if new_u <= -STATE_LIMIT:
                    new_u += 2 * STATE_LIMIT
                new_v = _decayed(v[position, c], DECAY_SCALE - dv[c]) + new_u + bias[c]
                new_v = min(max(new_v, 1 - STATE_LIMIT), STATE_LIMIT - 1)
                fired = new_v > (vth[c] << INPUT_SHIFT)
                spikes[t, position, c] = fired
                u[position, c] = new_u
                v[position, c] = 0 if fired else new_v
                u_trace[t, position, c] = u[position, c]
                v_trace[t, position, c] = v[position, c]
