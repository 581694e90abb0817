"""NIR to a float description of populations and synapses, the quantiser's input.

A neuron node becomes a population, the synapse node before it an edge. What NIR cannot say is
read from the neuron's metadata, and what is missing there is assumed and said:

    dt       seconds per step     assumed 1e-4 where missing, NIR's own convention in its paper
    reset    "zero"               assumed where missing, as NIR's ``v_reset`` says

A LIF node ``tau dv/dt = v_leak - v + r i`` is stepped by forward Euler:
``v' = (1 - dt/tau) v + (dt/tau) (v_leak + r i)``. Source: NIR 1.0.8, ``nir/ir/neuron.py``.

>>> network = read_nir("network.nir")
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nir
import numpy as np

from hardware.chip.network import INPUT
from hardware.chip.synaptic_input import conv_output_size
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

ASSUMED_DT_S = 1e-4
MAX_FILE_BYTES = 1 << 31


@dataclass(frozen=True, kw_only=True)
class FloatLayer:
    """Synapses and the population they lead into, stepped in floats.

        v' = (1 - decay) v + weight * s + bias,  spike and reset to 0 where v' > threshold

    Parameters
    ----------
    name, source : str
        Population name, and where its input comes from.
    weight : ndarray of float64
        ``(C_out, C_in / groups, kh, kw)`` or ``(F_out, F_in)``, the neuron's input gain included.
    bias : ndarray of float64, shape (C_out,) or (F_out,)
        Added each step.
    decay, threshold : ndarray of float64, shape (C_out,) or (F_out,)
    shape : tuple of int
        Of the population.
    stride, padding, dilation, groups
        Geometry of a convolution.
    weight_scale : float, optional
        Weights times this are already the chip's integers.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    weight: np.ndarray
    bias: np.ndarray
    decay: np.ndarray
    threshold: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    weight_scale: float | None = None


@dataclass(frozen=True, kw_only=True)
class FloatNetwork:
    """A network in floats: layers in topological order, and what had to be assumed."""

    input_shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]
    metadata: dict[str, Any] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()


def read_nir(path: str | Path) -> FloatNetwork:
    """Read a NIR file.

    Raises
    ------
    NetworkFormatError
        For a missing or foreign file.
    UnsupportedNetworkError
        Listing every node that cannot be mapped, by name.
    """
    path = Path(path)
    if not path.is_file():
        raise NetworkFormatError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise NetworkFormatError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        graph = nir.read(path)
    # NIR's reader has no error type of its own: a foreign file fails anywhere inside it.
    except Exception as error:
        raise NetworkFormatError(
            f"{path}: not a readable NIR graph ({type(error).__name__}: {error})"
        ) from error
    try:
        return from_nir(graph)
    except (NetworkFormatError, UnsupportedNetworkError) as error:
        raise type(error)(f"{path}: {error}") from None


def from_nir(graph: nir.NIRGraph) -> FloatNetwork:
    """Float description of a chain ``Input, (Flatten), synapse, neuron, ..., Output``."""
    chain = _chain(graph)
    unsupported = [
        f"{name} ({type(node).__name__})" for name, node in chain if type(node) not in KNOWN
    ]
    if unsupported:
        raise UnsupportedNetworkError(
            f"cannot map these nodes: {', '.join(unsupported)}; "
            f"known are {', '.join(kind.__name__ for kind in KNOWN)}"
        )
    input_shape = tuple(int(n) for n in chain[0][1].input_type["input"])
    layers: list[FloatLayer] = []
    assumptions: list[str] = []
    source, shape, synapse = INPUT, input_shape, None
    for name, node in chain[1:-1]:
        if isinstance(node, nir.Flatten):
            shape = (int(np.prod(shape)),)
        elif isinstance(node, nir.LIF):
            if synapse is None:
                raise UnsupportedNetworkError(f"{name}: a neuron needs a synapse node before it")
            layer = _layer(name, source, shape, synapse, node, assumptions)
            layers.append(layer)
            source, shape, synapse = name, layer.shape, None
        elif synapse is not None:
            raise UnsupportedNetworkError(f"{name}: two synapse nodes without a neuron between")
        else:
            synapse = node
    if synapse is not None or not layers:
        raise UnsupportedNetworkError("the graph must end in a neuron node before its output")
    return FloatNetwork(
        input_shape=input_shape,
        layers=tuple(layers),
        metadata=_metadata(graph),
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def _metadata(graph: nir.NIRGraph) -> dict[str, Any]:
    """What this tool wrote along with the graph; empty for graphs of other tools."""
    try:
        metadata = json.loads(graph.metadata.get("spikeface", "{}"))
    except (TypeError, ValueError) as error:
        raise NetworkFormatError(f"the metadata 'spikeface' is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise NetworkFormatError(f"the metadata 'spikeface' is no table but {metadata!r}")
    return metadata


def _chain(graph: nir.NIRGraph) -> list[tuple[str, nir.NIRNode]]:
    """Nodes from the input to the output, when the graph is one chain."""
    following: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        following[source].append(target)
    branching = [name for name, targets in following.items() if len(targets) > 1]
    starts = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if branching or len(starts) != 1:
        raise UnsupportedNetworkError(
            f"the graph must be one chain from one input; found inputs {starts} "
            f"and branches at {branching}"
        )
    chain, seen = [starts[0]], {starts[0]}
    while following[chain[-1]]:
        target = following[chain[-1]][0]
        if target in seen:
            raise UnsupportedNetworkError(f"the graph loops back to {target!r}")
        chain.append(target)
        seen.add(target)
    loose = [name for name in graph.nodes if name not in seen]
    if loose or not isinstance(graph.nodes[chain[-1]], nir.Output):
        raise UnsupportedNetworkError(
            f"the chain must lead from the input to the output; it ends at {chain[-1]!r} "
            f"and leaves out {loose}"
        )
    return [(name, graph.nodes[name]) for name in chain]


def _layer(
    name: str,
    source: str,
    shape: tuple[int, ...],
    synapse: nir.NIRNode,
    neuron: nir.LIF,
    assumptions: list[str],
) -> FloatLayer:
    geometry: dict[str, Any] = {}
    if isinstance(synapse, nir.Conv2d):
        geometry = _geometry(name, synapse)
        shape = (synapse.weight.shape[0], *_conv_size(name, synapse, shape, geometry))
    else:
        shape = (synapse.weight.shape[0],)
    dt_s, scale = _stepping(name, neuron, assumptions)
    parameters = {
        field_name: _per_channel(name, field_name, getattr(neuron, field_name), shape)
        for field_name in ("tau", "r", "v_leak", "v_threshold", "v_reset")
    }
    _check_neuron(name, parameters, dt_s)
    decay = dt_s / parameters["tau"]
    gain = decay * parameters["r"]
    weight = np.asarray(synapse.weight, np.float64)
    bias = getattr(synapse, "bias", None)
    bias = np.zeros(shape[0]) if bias is None else np.asarray(bias, np.float64)
    return FloatLayer(
        name=name,
        source=source,
        shape=shape,
        weight=weight * gain.reshape(-1, *[1] * (weight.ndim - 1)),
        bias=bias * gain + decay * parameters["v_leak"],
        decay=decay,
        threshold=parameters["v_threshold"],
        weight_scale=scale,
        **geometry,
    )


def _geometry(name: str, conv: nir.Conv2d) -> dict[str, Any]:
    def pair(value: Any) -> tuple[int, int]:
        rows, columns = np.broadcast_to(np.asarray(value, int).ravel(), (2,))
        return int(rows), int(columns)

    if isinstance(conv.padding, str):
        if conv.padding != "valid":
            raise UnsupportedNetworkError(
                f"{name}: padding {conv.padding!r}; write it out in pixels"
            )
        padding = (0, 0)
    else:
        padding = pair(conv.padding)
    return {
        "stride": pair(conv.stride),
        "padding": padding,
        "dilation": pair(conv.dilation),
        "groups": int(conv.groups),
    }


def _conv_size(
    name: str, conv: nir.Conv2d, shape: tuple[int, ...], geometry: dict[str, Any]
) -> tuple[int, ...]:
    if len(shape) != 3:
        raise UnsupportedNetworkError(
            f"{name}: a convolution needs a (C, H, W) input, it gets {shape}"
        )
    return tuple(
        conv_output_size(*axis)
        for axis in zip(
            shape[1:],
            conv.weight.shape[2:],
            geometry["stride"],
            geometry["padding"],
            geometry["dilation"],
            strict=True,
        )
    )


def _stepping(name: str, neuron: nir.LIF, assumptions: list[str]) -> tuple[float, float | None]:
    metadata = neuron.metadata
    if "dt" not in metadata:
        assumptions.append(f"dt = {ASSUMED_DT_S} s: the graph does not say it")
    if "reset" not in metadata:
        assumptions.append("reset to zero: the graph does not say it")
    reset = str(metadata.get("reset", "zero"))
    if reset != "zero":
        raise UnsupportedNetworkError(f"{name}: reset {reset!r}; only 'zero' runs here")
    scale = metadata.get("weight_scale")
    return float(metadata.get("dt", ASSUMED_DT_S)), None if scale is None else float(scale)


def _per_channel(
    name: str, field_name: str, value: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """One value per channel; NIR stores one per neuron."""
    value = np.asarray(value, np.float64)
    if value.ndim == 0 or value.size == 1:
        return np.full(shape[0], value.item())
    if value.shape != shape and value.shape != shape[:1]:
        raise NetworkFormatError(
            f"{name}: {field_name} has shape {value.shape}, its population {shape}"
        )
    per_channel = value.reshape(shape[0], -1)
    if (per_channel != per_channel[:, :1]).any():
        raise UnsupportedNetworkError(
            f"{name}: {field_name} differs between the neurons of a channel; "
            "a chip population shares it"
        )
    return per_channel[:, 0]


def _check_neuron(name: str, parameters: dict[str, np.ndarray], dt_s: float) -> None:
    for field_name, values in parameters.items():
        if not np.isfinite(values).all():
            raise NetworkFormatError(f"{name}: {field_name} must be finite")
    tau, threshold = parameters["tau"], parameters["v_threshold"]
    if not (np.isfinite(dt_s) and dt_s > 0) or (tau < dt_s).any():
        raise NetworkFormatError(
            f"{name}: the time constant must be at least one step of {dt_s} s, got {tau.min()} s"
        )
    if (threshold <= 0).any():
        raise NetworkFormatError(f"{name}: thresholds must be above 0, got {threshold.min()}")
    if parameters["v_reset"].any():
        raise UnsupportedNetworkError(f"{name}: v_reset must be 0 for a reset to zero")


KNOWN = (nir.Input, nir.Conv2d, nir.Flatten, nir.Affine, nir.Linear, nir.LIF, nir.Output)
