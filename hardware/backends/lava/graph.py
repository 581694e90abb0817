"""A ChipNetwork as a graph of Lava processes: source, neurons, synapses, and what makes them meet.

>>> graph = build(network, frames=path, first=0, n_frames=32, period=32, recordings=recordings)
>>> graph.source.create_runtime(Loihi2SimCfg(exception_proc_model_map=graph.models))
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from hardware.backends.lava.limits import is_plain
from hardware.backends.lava.neurons import Neurons, neuron_process
from hardware.backends.lava.processes import (
    DelayLine,
    FrameSource,
    PyDelayLine,
    PyFrameSource,
    Recording,
)
from hardware.backends.lava.synapses import synapse_process
from hardware.backends.lava.timing import Clock, receiver_clock, route
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.synapses import Conv, Synapse, Weighted

Recordings = dict[tuple[str, str], Recording]


@dataclass
class Graph:
    """Connected processes, each with the model that runs it.

    Named here and handed to Lava: left to itself it would search for models by executing every
    file that lies beside the process, this package's included.
    """

    source: AbstractProcess
    models: dict[AbstractProcess, type] = field(default_factory=dict)


def build(
    network: ChipNetwork,
    *,
    frames: Path,
    first: int,
    n_frames: int,
    period: int,
    recordings: Recordings,
    floating: bool = False,
) -> Graph:
    """Connect the Lava processes of a network.

    Parameters
    ----------
    network : ChipNetwork
        One that `hardware.backends.lava.timing` can have in time.
    frames : Path
        Input of all samples back to back, see `FrameSource`.
    first, n_frames : int
        Which frames to run.
    period : int
        Steps of one sample; 0 for one sample without end.
    recordings : dict of (population, variable) to Recording
    floating : bool
        Lava's floating-point models.
    """
    source = FrameSource(path=frames, first=first, frames=n_frames, shape=network.input_shape)
    graph = Graph(source, {source: PyFrameSource})
    neurons: dict[str, Neurons] = {}
    outlets = {INPUT: source.s_out}
    for population in network.populations:
        name = population.name
        neurons[name] = neuron_process(
            population,
            clock=Clock(network.depth[name], period),
            recordings={variable: r for (p, variable), r in recordings.items() if p == name},
            plain=is_plain(population, {s.port for s in network.incoming(name)}),
            floating=floating,
        )
        graph.models[neurons[name].process] = neurons[name].model
        outlets[name] = neurons[name].outlet
    for synapse in network.synapses:
        inlet = neurons[synapse.target].inlets[synapse.port]
        if isinstance(synapse, Weighted):
            inlet = _weigh(graph, network, synapse, inlet, period, floating)
        _join(graph, network, synapse, outlets, inlet)
    return graph


def _weigh(
    graph: Graph,
    network: ChipNetwork,
    synapse: Weighted,
    inlet: InPort,
    period: int,
    floating: bool,
) -> InPort:
    """Put the weights of a synapse before an inlet; where messages enter them."""
    connection = synapse_process(
        synapse,
        network.source_shape(synapse),
        offset=route(network, synapse).offset,
        clock=receiver_clock(network, synapse, period),
        floating=floating,
    )
    graph.models[connection.process] = connection.model
    connection.process.a_out.connect(inlet)
    return connection.process.s_in


def _join(
    graph: Graph,
    network: ChipNetwork,
    synapse: Synapse,
    outlets: dict[str, OutPort],
    inlet: InPort,
) -> None:
    """Lead the sources of a synapse to where its messages enter, each as late as it must be."""
    for source, steps in zip(synapse.sources, route(network, synapse).waits, strict=True):
        outlet = outlets[source]
        if steps:
            line = DelayLine(shape=outlet.shape, steps=steps)
            graph.models[line] = PyDelayLine
            outlet.connect(line.s_in)
            outlet = line.s_out
        if isinstance(synapse, Weighted) and not isinstance(synapse, Conv):
            outlet = outlet.flatten() if len(outlet.shape) > 1 else outlet
        outlet.connect(inlet)
