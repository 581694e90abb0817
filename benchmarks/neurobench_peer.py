"""NeuroBench's own harness on snnTorch networks: the peer of ``benchmarks/neurobench.py``.

Runs in an environment of its own and imports nothing of ours. ``FOLDER/network.json`` describes a
network, ``FOLDER/arrays.npz`` holds its weights, its input ``[N, T, ...]`` and the arrays that a
chip would store; the answer is one JSON object on standard output and ``FOLDER/spikes.npz``.

    python -I benchmarks/neurobench_peer.py FOLDER

``-I`` keeps this folder, and ``neurobench.py`` in it, off the path.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ActivationSparsityByLayer,
    MembraneUpdates,
    NeuronOperations,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STATIC = [Footprint, ParameterCount, ConnectionSparsity]
# The one by layer does not say that it needs hooks, so it must not come first.
WORKLOAD = [
    SynapticOperations,
    ActivationSparsity,
    ActivationSparsityByLayer,
    MembraneUpdates,
    NeuronOperations,
]


class Network(nn.Module):
    """Connections and leaky neurons, a population after the other."""

    def __init__(self, layers: list[dict], arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.layers = layers
        self.connections, self.neurons = nn.ModuleDict(), nn.ModuleDict()
        for layer in layers:
            name = layer["name"]
            self.connections[f"to_{name}"] = connection(layer, arrays)
            self.neurons[name] = snntorch.Leaky(
                beta=layer["beta"],
                threshold=layer["threshold"],
                reset_mechanism=layer["reset"],
                reset_delay=False,
                init_hidden=True,
            )

    def reset(self) -> None:
        """Forget the sample before."""
        for neurons in self.neurons.values():
            neurons.reset_mem()

    def forward(self, frame: torch.Tensor) -> tuple[torch.Tensor, None]:
        """One step."""
        sent = {"input": frame}
        for layer in self.layers:
            met = sum(sent[source] for source in layer["sources"])
            if layer["kind"] == "dense":
                met = met.flatten(1)
            current = self.connections[f"to_{layer['name']}"](met)
            sent[layer["name"]] = self.neurons[layer["name"]](current)
        return sent[self.layers[-1]["name"]], None


def connection(layer: dict, arrays: dict[str, np.ndarray]) -> nn.Module:
    """A layer of torch with given weights."""
    weight = torch.from_numpy(arrays[f"weight:{layer['name']}"]).float()
    bias = torch.from_numpy(arrays[f"bias:{layer['name']}"]).float()
    has_bias = bool(bias.any())
    if layer["kind"] == "dense":
        made: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias)
    else:
        made = nn.Conv2d(
            weight.shape[1] * layer["groups"],
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=tuple(layer["stride"]),
            padding=tuple(layer["padding"]),
            groups=layer["groups"],
            bias=has_bias,
        )
    made.weight.data = weight
    if has_bias:
        made.bias.data = bias
    return made


class Stored(nn.Module):
    """The arrays of a chip as buffers of their own types."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        stored = [array for name, array in arrays.items() if name.startswith("stored:")]
        for number, array in enumerate(stored):
            self.register_buffer(f"array_{number}", torch.from_numpy(array))


def main(folder: Path) -> None:
    """Everything that NeuroBench says of the network."""
    described = json.loads((folder / "network.json").read_text())
    with np.load(folder / "arrays.npz") as file:
        arrays = dict(file)
    frames = torch.from_numpy(arrays["input"]).float()
    network = Network(described["layers"], arrays)
    data = DataLoader(
        TensorDataset(frames, torch.zeros(len(frames))), batch_size=described["batch"]
    )
    with torch.no_grad():
        benchmark = Benchmark(SNNTorchModel(network), data, [], [], [STATIC, WORKLOAD])
        results = benchmark.run(quiet=True)
        benchmark.workload_metric_manager.cleanup_hooks(benchmark.model)
        np.savez(folder / "spikes.npz", **spike_trains(network, frames))
    results["Footprint of connections"] = Footprint()(SNNTorchModel(network.connections))
    results["Footprint of what a chip stores"] = Footprint()(SNNTorchModel(Stored(arrays)))
    versions = {name: version(name) for name in ("neurobench", "snntorch", "torch")}
    print(json.dumps({"results": results, "versions": versions}, default=float))


def spike_trains(network: Network, frames: torch.Tensor) -> dict[str, np.ndarray]:
    """Spikes of every population, uint8 ``[N, T, ...]``."""
    trains: dict[str, list[np.ndarray]] = {name: [] for name in network.neurons}
    hooks = [
        neurons.register_forward_hook(
            lambda _, __, spikes, train=trains[name]: train.append(spikes.numpy().astype(np.uint8))
        )
        for name, neurons in network.neurons.items()
    ]
    network.reset()
    for step in range(frames.shape[1]):
        network(frames[:, step])
    for hook in hooks:
        hook.remove()
    return {name: np.stack(train, axis=1) for name, train in trains.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
