"""Trained network to NIR: the float network that any framework can read.

NIR describes neurons in continuous time and cannot say how they were stepped. That goes into the
metadata of each neuron node: ``dt`` (seconds), ``reset`` (``"zero"``) and, for weights that are
already on the chip's grid, ``weight_scale``. A layer ``v' = (1 - decay) v + gain * x`` is the
forward Euler step of NIR's LIF with ``tau = dt / decay`` and ``r = gain / decay``.

>>> write_nir(network, "network.nir", dt_us=25_000, metadata={"classes": ["happy", "sad"]})
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snn.files import replacing
from snn.models import SpikingNetwork, TrainedLayer


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
    """The trained network as a chain of NIR nodes named ``<layer>.synapse`` and ``<layer>``."""
    dt_s = dt_us * 1e-6
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(input_shape))}
    shape = input_shape
    for layer in network.trained_layers():
        name = layer.shape.name
        if layer.shape.is_conv:
            synapse = _conv(layer, shape)
            shape = tuple(int(n) for n in synapse.output_type["output"])
        else:
            if len(shape) > 1:
                nodes[f"{name}.flatten"] = nir.Flatten(
                    {"input": np.array(shape)}, start_dim=0, end_dim=-1
                )
            synapse = nir.Affine(layer.weight, layer.bias)
            shape = (layer.shape.outputs,)
        nodes[f"{name}.synapse"] = synapse
        nodes[name] = _neuron(layer, shape, dt_s)
    nodes["output"] = nir.Output(np.array(shape))
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)))


def _conv(layer: TrainedLayer, input_shape: tuple[int, ...]) -> nir.Conv2d:
    return nir.Conv2d(
        input_shape=input_shape[1:],
        weight=layer.weight,
        stride=(layer.shape.stride,) * 2,
        padding=(layer.shape.padding,) * 2,
        dilation=(1, 1),
        groups=1,
        bias=layer.bias,
    )


def _neuron(layer: TrainedLayer, shape: tuple[int, ...], dt_s: float) -> nir.LIF:
    def filled(value: float) -> np.ndarray:
        return np.full(shape, value)

    neuron = nir.LIF(
        tau=filled(dt_s / layer.decay),
        r=filled(layer.gain / layer.decay),
        v_leak=filled(0.0),
        v_threshold=filled(layer.threshold),
        v_reset=filled(0.0),
    )
    neuron.metadata.update(dt=dt_s, reset="zero")
    if layer.weight_scale is not None:
        neuron.metadata["weight_scale"] = layer.weight_scale
    return neuron
