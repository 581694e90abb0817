"""Trained network to NIR: the float network that any framework can read.

NIR describes neurons in continuous time and cannot say how they were stepped. That goes into the
metadata of each neuron node: ``dt`` (seconds), ``reset`` and, for weights that are
already on the chip's grid, ``weight_scale``. A layer ``v' = (1 - decay) v + gain * x`` is the
forward Euler step of NIR's LIF with ``tau = dt / decay`` and ``r = gain / decay``.

>>> write_nir(network, "network.nir", dt_us=25_000, metadata={"classes": ["happy", "sad"]})
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snn.files import replacing
from snn.models.layers import INPUT, Accumulator, Add, Layer, MaxPool, Spiking
from snn.models.network import SpikingNetwork, TrainedLayer


def write_nir(
    network: SpikingNetwork,
    path: str | Path,
    *,
    input_shape: tuple[int, ...],
    dt_us: int,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Write the trained network; the file appears whole or not at all.

    Parameters
    ----------
    network : SpikingNetwork
        On any engine; its trained layers are written in evaluation form.
    path : str or Path
    input_shape : tuple of int
        ``(C, H, W)`` of one frame.
    dt_us : int
        Duration of a step in microseconds.
    metadata : dict, optional
        Plain values to travel with the graph, stored as JSON under ``"spikeface"``.
    """
    path = Path(path)
    graph = to_nir(network, input_shape=input_shape, dt_us=dt_us)
    graph.metadata["spikeface"] = json.dumps({"dt_us": dt_us, **(metadata or {})})
    with replacing(path) as temporary:
        nir.write(temporary, graph)


def to_nir(network: SpikingNetwork, *, input_shape: tuple[int, ...], dt_us: int) -> nir.NIRGraph:
    """The trained network as NIR nodes named ``<layer>`` and ``<layer>.synapse``.

    What several edges bring to a node adds up. Max pooling of spikes becomes a sum of each window
    and a threshold below one spike: their OR, exactly.
    """
    trained, dt_s = network.trained_layers(), dt_us * 1e-6
    graph = _Graph(input_shape)
    for layer in network.layers:
        if isinstance(layer, Add):
            graph.sums[layer.name] = layer.sources
        elif isinstance(layer, MaxPool):
            graph.chain(layer, _or_of_windows(layer))
        else:
            graph.chain(layer, _synapse_and_neurons(trained[layer.name], dt_s))
    graph.chain(
        replace(network.layers[-1], name="output", sources=(network.layers[-1].name,)),
        {"output": nir.Output(np.array(network.layers[-1].shape))},
    )
    return nir.NIRGraph(graph.nodes, graph.edges)


class _Graph:
    """Nodes and edges so far; a sum is no node but several edges."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.nodes: dict[str, nir.NIRNode] = {INPUT: nir.Input(np.array(input_shape))}
        self.edges: list[tuple[str, str]] = []
        self.sums: dict[str, tuple[str, ...]] = {}

    def chain(self, layer: Layer, nodes: dict[str, nir.NIRNode]) -> None:
        """Nodes one after the other, the first behind all sources of a layer."""
        names = list(nodes)
        self.nodes |= nodes
        self.edges += [(source, names[0]) for source in self._terms(layer.sources)]
        self.edges += list(pairwise(names))

    def _terms(self, sources: tuple[str, ...]) -> list[str]:
        terms = []
        for source in sources:
            terms += self._terms(self.sums[source]) if source in self.sums else [source]
        return terms


def _or_of_windows(layer: MaxPool) -> dict[str, nir.NIRNode]:
    def pair(n: int) -> np.ndarray:
        return np.array([n, n])

    return {
        f"{layer.name}.sum": nir.SumPool2d(
            pair(layer.kernel), pair(layer.stride), pair(layer.padding)
        ),
        layer.name: nir.Threshold(np.full(layer.shape, 0.5)),
    }


def _synapse_and_neurons(trained: TrainedLayer, dt_s: float) -> dict[str, nir.NIRNode]:
    layer, nodes = trained.layer, {}
    if isinstance(layer, Spiking) and layer.is_conv:
        synapse: nir.NIRNode = _conv(trained, layer)
    else:
        if len(layer.source_shape) > 1:
            nodes[f"{layer.name}.flatten"] = nir.Flatten(
                {"input": np.array(layer.source_shape)}, start_dim=0, end_dim=-1
            )
        synapse = nir.Affine(trained.weight, trained.bias)
    return {**nodes, f"{layer.name}.synapse": synapse, layer.name: _neurons(trained, dt_s)}


def _conv(trained: TrainedLayer, layer: Spiking) -> nir.Conv2d:
    return nir.Conv2d(
        input_shape=layer.source_shape[1:],
        weight=trained.weight,
        stride=(layer.stride,) * 2,
        padding=(layer.padding,) * 2,
        dilation=(1, 1),
        groups=1,
        bias=trained.bias,
    )


def _neurons(trained: TrainedLayer, dt_s: float) -> nir.NIRNode:
    def filled(value: float) -> np.ndarray:
        return np.full(trained.layer.shape, value)

    if isinstance(trained.layer, Accumulator):
        neuron: nir.NIRNode = nir.I(r=filled(trained.gain / dt_s))
    elif trained.decay == 0:
        neuron = nir.IF(
            r=filled(trained.gain / dt_s),
            v_threshold=filled(trained.threshold),
            v_reset=filled(0.0),
        )
    else:
        neuron = nir.LIF(
            tau=filled(dt_s / trained.decay),
            r=filled(trained.gain / trained.decay),
            v_leak=filled(0.0),
            v_threshold=filled(trained.threshold),
            v_reset=filled(0.0),
        )
    neuron.metadata.update(dt=dt_s)
    if not isinstance(trained.layer, Accumulator):
        neuron.metadata["reset"] = trained.reset
    if trained.weight_scale is not None:
        neuron.metadata["weight_scale"] = trained.weight_scale
    return neuron
