"""A ChipNetwork as processes of Lava for a board: the same weights as on the CPU, stock neurons.

Synapses are built by `hardware.backends.lava.synapses`, as for Lava's CPU simulation; neurons are
Lava's ``LIFReset``; the ends are Lava's ring buffers, behind the adapters of the extension. The run
configuration finds the models for neurocores that the extension brings; only the ring buffers have
theirs named, for Lava would take the floating-point ones.

>>> graph = compile_network(network, spikes, period=16, read=("readout",))
>>> graph.head.run(RunSteps(16), Loihi2HwCfg(exception_proc_model_map=END_MODELS))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.embedded_io.spike import NxToPyAdapter, PyToN3ConvAdapter, PyToNxAdapter
from lava.proc.io.sink import PyReceiveModelFixed
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import PySendModelFixed
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIFReset

from hardware.backends.lava.synapses import lava_order, weights_process
from hardware.backends.lava.timing import route
from hardware.backends.loihi.plan import (
    CONV_ADAPTER,
    adapter_arguments,
    input_adapters,
    reset_offset,
)
from hardware.backends.loihi.stock import is_held_image
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.registers import CURRENT_DECAY_OFFSET
from hardware.chip.synapses import Conv, Weighted

END_MODELS = {Source: PySendModelFixed, Sink: PyReceiveModelFixed}


@dataclass
class BoardGraph:
    """Connected processes.

    Parameters
    ----------
    neurons : dict of str to LIFReset
    sinks : dict of str to Sink
        Of the layers that are read.
    """

    neurons: dict[str, AbstractProcess] = field(default_factory=dict)
    sinks: dict[str, AbstractProcess] = field(default_factory=dict)

    @property
    def head(self) -> AbstractProcess:
        """A process by which all are run."""
        return next(iter(self.neurons.values()))


def compile_network(
    network: ChipNetwork, frames: np.ndarray, *, period: int, read: Sequence[str], n_steps: int
) -> BoardGraph:
    """Build and connect the processes.

    Parameters
    ----------
    network : ChipNetwork
        One without `hardware.backends.loihi.stock.refusals`.
    frames : ndarray of integers, shape (frames, C, H, W) or (frames, F)
        What the input sends, step by step, over and over; an image that is held gives its first.
    period : int
        Steps from reset to reset.
    read : sequence of str
        Layers whose spikes come back.
    n_steps : int
        Of the run: so many steps are kept.
    """
    graph = BoardGraph()
    held = is_held_image(network)
    for population in network.populations:
        assert isinstance(population, Cuba), "others are refused"
        image = frames[0] if held and network.incoming(population.name)[0].port == "bias" else None
        graph.neurons[population.name] = _neurons(network, population, period, image)
    inputs = {} if held else _inputs(network, frames)
    for synapse in network.synapses:
        if isinstance(synapse, Weighted):
            _connect(network, synapse, graph, inputs)
    for name in read:
        graph.sinks[name] = _sink(graph.neurons[name].s_out, n_steps)
    return graph


def _neurons(
    network: ChipNetwork, population: Cuba, period: int, image: np.ndarray | None
) -> LIFReset:
    du, dv, vth = (int(np.asarray(getattr(population, n)).flat[0]) for n in ("du", "dv", "vth"))
    bias = np.broadcast_to(population.per_neuron("bias_mant"), population.shape)
    if image is not None:
        bias = bias + image
    return LIFReset(
        shape=population.shape[::-1],
        du=du - CURRENT_DECAY_OFFSET,
        dv=dv,
        vth=vth,
        bias_mant=bias.T.copy(),
        bias_exp=population.bias_exp,
        reset_interval=period,
        reset_offset=reset_offset(network, population.name),
        name=population.name,
    )


def _inputs(network: ChipNetwork, frames: np.ndarray) -> dict[str, OutPort]:
    """What sends the input, for each adapter that it needs."""
    ports = {}
    for adapter, shape in input_adapters(network).items():
        is_conv = adapter == CONV_ADAPTER
        values = frames.astype(np.int32)
        if not is_conv:
            values = values.reshape(len(frames), -1)[:, lava_order(network.input_shape)]
        source = Source(data=values.T)
        kind = PyToN3ConvAdapter if is_conv else PyToNxAdapter
        process = kind(shape=shape, **adapter_arguments(network))
        source.s_out.connect(process.inp)
        ports[adapter] = process.out
    return ports


def _connect(
    network: ChipNetwork, synapse: Weighted, graph: BoardGraph, inputs: dict[str, OutPort]
) -> None:
    weights = weights_process(
        synapse, network.source_shape(synapse), offset=route(network, synapse).offset
    )
    is_conv = isinstance(synapse, Conv)
    for source in synapse.sources:
        if source == INPUT:
            outlet = next(p for a, p in inputs.items() if (a == CONV_ADAPTER) == is_conv)
        else:
            outlet = graph.neurons[source].s_out
            if not is_conv and len(outlet.shape) > 1:
                outlet = outlet.flatten()
        outlet.connect(weights.s_in)
    inlet: InPort = graph.neurons[synapse.target].a_in
    weights.a_out.connect(inlet)


def _sink(outlet: OutPort, n_steps: int) -> Sink:
    adapter = NxToPyAdapter(shape=outlet.shape)
    sink = Sink(shape=outlet.shape, buffer=n_steps)
    outlet.connect(adapter.inp)
    adapter.out.connect(sink.a_in)
    return sink
