"""Lava itself, timed from inside: the peer of ``benchmarks/simulator.py``, in a process of its own.

Only Lava's own processes, built by hand: ring buffer, Conv or Dense and LIFReset per layer, ring
buffer. Imports and interpreter start are not timed. Reads one JSON request per line from standard
input, ``{"samples": k, "record_all": false}``, and answers one line each.

    fresh_s    build, compile, fork, first sample, read the output, stop
    steady_s   per further sample, the graph kept and reset by LIFReset between samples
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIFReset

from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network
from hardware.chip.synapses import Conv


def build(network: ChipNetwork, frames: np.ndarray, steps: int, record_all: bool) -> list:
    """A chain of Lava processes; images are ``(W, H, C)`` there and kernels flipped.

    Parameters
    ----------
    frames : ndarray of uint8, shape (frames, C, H, W)
        Of all samples back to back.
    steps : int
        Of one sample.

    Returns
    -------
    list of (population name, ring buffer)
    """
    port = Source(data=np.ascontiguousarray(frames.T, dtype=np.int32)).s_out
    sinks = []
    for depth, (population, synapse) in enumerate(
        zip(network.populations, network.synapses, strict=True), start=1
    ):
        shape = population.shape[::-1]
        neurons = LIFReset(
            shape=shape,
            du=int(population.du[0]) - 1,
            dv=int(population.dv[0]),
            vth=int(population.vth[0]),
            bias_mant=0,
            reset_interval=steps,
            reset_offset=depth + 1,
        )
        source_shape = network.source_shape(synapse)
        if isinstance(synapse, Conv):
            weights = LavaConv(
                weight=synapse.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1),
                input_shape=source_shape[::-1],
                stride=synapse.stride[::-1],
                padding=synapse.padding[::-1],
            )
            port.connect(weights.s_in)
        else:
            by_axis = synapse.weight.reshape(-1, *source_shape)
            order = (0, *range(len(source_shape), 0, -1))
            weights = LavaDense(weights=by_axis.transpose(order).reshape(synapse.weight.shape))
            port.flatten().connect(weights.s_in)
        weights.a_out.connect(neurons.a_in)
        port = neurons.s_out
        if record_all or population is network.output:
            sink = Sink(shape=shape, buffer=len(frames))
            port.connect(sink.a_in)
            sinks.append((population.name, sink))
    return sinks


def measure(network: ChipNetwork, spikes: np.ndarray, record_all: bool) -> tuple[dict, dict]:
    """Times in seconds, and what the ring buffers saw: ``(frames, *shape)`` in chip order."""
    samples, steps = spikes.shape[:2]
    latency = len(network.populations)
    padding = np.zeros((latency, *spikes.shape[2:]), np.uint8)
    frames = np.concatenate([spikes.reshape(-1, *spikes.shape[2:]), padding])
    started = time.perf_counter()
    sinks = build(network, frames, steps, record_all)
    last = sinks[-1][1]
    last.run(
        condition=RunSteps(num_steps=steps + latency), run_cfg=Loihi2SimCfg(select_tag="fixed_pt")
    )
    last.data.get()
    first_done = time.perf_counter()
    if samples > 1:
        further = RunSteps(num_steps=(samples - 1) * steps)
        last.run(condition=further, run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    all_done = time.perf_counter()
    seen = {name: np.asarray(sink.data.get()).T for name, sink in sinks}
    stopping = time.perf_counter()
    last.stop()
    times = {"fresh_s": first_done - started + time.perf_counter() - stopping}
    if samples > 1:
        times["steady_s"] = (all_done - first_done) / (samples - 1)
    return times, seen


def serve(folder: str, answers: int) -> None:
    """Answer requests about the network and spikes in a folder until standard input ends."""
    network = load_network(f"{folder}/network.chip")
    spikes = np.load(f"{folder}/spikes.npy")
    for line in sys.stdin:
        request = json.loads(line)
        chosen = spikes[: request["samples"]]
        times, seen = measure(network, chosen, request["record_all"])
        if request["record_all"]:
            np.savez(f"{folder}/lava.npz", **seen)
        os.write(answers, (json.dumps(times) + "\n").encode())


if __name__ == "__main__":
    real_output = os.dup(1)
    os.dup2(2, 1)  # Lava prints; only answers may reach standard output
    serve(sys.argv[1], real_output)
