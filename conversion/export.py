"""A converted network as NIR: float weights that act on whole messages.

What NIR cannot say stands in the metadata of each neuron node, an ``IF`` that is read anew by its
``code``:

    rate          reset "subtract", v_init = theta / 2, fires "at_or_above"
    graded        levels = L; no memory: clip(floor(L z / theta + 1/2), 0, L)
    sigma_delta   vth, the smallest change sent, in units of the activation; rectify
    all           negative_slope where a LeakyReLU is sent as negative messages

Units of messages are folded into the weights: input messages are whole numbers of the metadata's
``input_bits``, each standing for ``input_scale``. A bias of a sigma-delta network is part of the
activation, ``f(sigma + b)``, and does not add up. The graph's metadata say how to read the answer:
``readout`` "spike_count" adds up the messages of the last neurons, "membrane" is the accumulator at
the end; times ``output_unit``, and in a rate code divided by the steps, it is the features.

``nir.read`` of NIR 1.0.8 mistakes the shapes of grouped convolutions (skips without weights are
some) and of kernels that are not square: read such networks with ``type_check=False``.

>>> write_encoder(encoder, "encoder.nir")
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

from conversion.spiking.converter import SpikingEncoder
from conversion.spiking.graph import (
    INPUT,
    Convolution,
    Dense,
    Flatten,
    Node,
    Pair,
    Shape,
    Sum,
    SumPool,
)
from conversion.spiking.neurons import Code, Graded, Neurons, Rate, SigmaDelta
from snn.errors import ModelError
from snn.files import replacing


def write_encoder(
    encoder: SpikingEncoder,
    path: str | Path,
    *,
    dt_us: int = 1000,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Write a converted network; the file appears whole or not at all.

    Parameters
    ----------
    encoder : SpikingEncoder
    path : str or Path
    dt_us : int
        Duration of a step in microseconds.
    metadata : dict, optional
        Plain values to travel with the graph.
    """
    graph = to_nir(encoder, dt_us=dt_us)
    said = json.loads(graph.metadata["spikeface"])
    graph.metadata["spikeface"] = json.dumps({**said, **(metadata or {})})
    with replacing(Path(path)) as temporary:
        nir.write(temporary, graph)


def to_nir(encoder: SpikingEncoder, *, dt_us: int = 1000) -> nir.NIRGraph:
    """The converted network as NIR nodes of the names that it has.

    What several edges bring to a node adds up. Weights are float64, as they were folded.

    Raises
    ------
    ModelError
        For a network in which one branch is added twice.
    """
    network, dt_s = encoder.network, dt_us * 1e-6
    shapes = {INPUT: network.input_shape} | {node.name: node.shape for node in network.nodes}
    nodes: dict[str, nir.NIRNode] = {INPUT: nir.Input(np.array(network.input_shape))}
    edges: list[tuple[str, str]] = []
    terms: dict[str, tuple[str, ...]] = {INPUT: (INPUT,)}
    for node in network.nodes:
        sources = tuple(term for source in node.sources for term in terms[source])
        if len(set(sources)) < len(sources):
            raise ModelError(
                f"{node.name}: {' + '.join(sources)} adds one branch twice, which NIR has no edges "
                "for; put the factor into its weights"
            )
        terms[node.name] = sources if isinstance(node, Sum) else (node.name,)
        if isinstance(node, Sum):
            continue
        if isinstance(node, Neurons):
            nodes[node.name] = _neurons(node, dt_s)
        else:
            nodes[node.name] = _linear(node, shapes[node.sources[0]])
        edges += [(source, node.name) for source in sources]
    last = terms[network.output]
    shape = np.array(shapes[network.output])
    ending: dict[str, nir.NIRNode] = {}
    if not network.is_read_by_messages:
        ending["readout"] = _accumulator(shapes[network.output], encoder.code, dt_s)
    ending["output"] = nir.Output(shape)
    edges += [(source, next(iter(ending))) for source in last] + list(pairwise(ending))
    graph = nir.NIRGraph({**nodes, **ending}, edges, type_check=False)
    graph.metadata["spikeface"] = json.dumps(_metadata(encoder, dt_us))
    return graph


def _metadata(encoder: SpikingEncoder, dt_us: int) -> dict[str, Any]:
    """What the graph as a whole has to say."""
    unit = encoder.network.output_unit
    is_even = bool((unit == unit[0]).all())
    changes = encoder.code == "sigma_delta"
    return {
        "dt_us": dt_us,
        "code": encoder.code,
        "n_steps": encoder.steps,
        "readout": "spike_count" if encoder.network.is_read_by_messages else "membrane",
        "output_unit": float(unit[0]) if is_even else unit.tolist(),
        "input": "binary" if encoder.input_code.bits == 1 and not changes else "analogue",
        # A change between two values of n bits may have one more.
        "input_bits": encoder.input_code.bits + changes,
        "input_scale": encoder.input_code.scale,
    }


# -- nodes -----------------------------------------------------------------------------------------


def _linear(node: Node, before: Shape) -> nir.NIRNode:
    made: nir.NIRNode
    if isinstance(node, Convolution):
        made = nir.Conv2d(
            input_shape=before[1:],
            weight=_array(node.weight),
            stride=node.stride,
            padding=node.padding,
            dilation=node.dilation,
            groups=node.groups,
            bias=_array(node.bias),
        )
    elif isinstance(node, Dense):
        made = nir.Affine(_array(node.weight), _array(node.bias))
    elif isinstance(node, SumPool):
        made = nir.SumPool2d(_pair(node.kernel), _pair(node.stride), _pair(node.padding))
    else:
        assert isinstance(node, Flatten)
        made = nir.Flatten({"input": np.array(before)}, start_dim=0, end_dim=-1)
    # NIR infers wrong types of grouped and of rectangular kernels.
    made.input_type = {"input": np.array(before)}
    made.output_type = {"output": np.array(node.shape)}
    return made


def _neurons(node: Neurons, dt_s: float) -> nir.IF:
    theta = node.theta.reshape(-1, *(1,) * (len(node.shape) - 1)).expand(node.shape)
    made = nir.IF(
        r=np.full(node.shape, 1 / dt_s),
        v_threshold=_array(theta),
        v_reset=np.zeros(node.shape),
    )
    made.metadata.update(dt=dt_s, code=node.CODE, **_said(node))
    if node.negative_slope:
        made.metadata["negative_slope"] = node.negative_slope
    return made


def _said(node: Neurons) -> dict[str, Any]:
    """What the neurons of a code need to be told."""
    if isinstance(node, Graded):
        return {"levels": node.levels}
    if isinstance(node, SigmaDelta):
        return {"vth": node.vth, "rectify": not node.negative_slope}
    assert isinstance(node, Rate)
    start = _array(node.theta) / 2
    is_even = bool((start == start[0]).all())
    return {
        "reset": node.reset,
        "fires": "at_or_above",
        "v_init": float(start[0]) if is_even else start,
    }


def _accumulator(shape: Shape, code: Code, dt_s: float) -> nir.I:
    made = nir.I(r=np.full(shape, 1 / dt_s))
    made.metadata.update(dt=dt_s, code=code)
    return made


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().numpy().astype(np.float64)


def _pair(values: Pair) -> np.ndarray:
    return np.array(values)
