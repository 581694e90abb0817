"""What a network takes on a chip, from its integers alone: neurons, weights, bytes, latency.

Bytes are what the numbers need, not what a compiler allots: 1 for a weight (8 bits; the sign of a
layer with both signs takes the lowest), 3 for every state of a neuron (24 bits).

>>> chip_facts(load_network(Path("runs/a/network.chip")))["latency_steps"]
14
"""

from __future__ import annotations

from typing import Any

from hardware.chip.network import ChipNetwork
from hardware.chip.synapses import Weighted

STATE_BYTES = 3


def chip_facts(network: ChipNetwork, n_steps: int) -> dict[str, Any]:
    """Neurons, stored weights, bytes, and the step in which an answer to `n_steps` is complete."""
    neurons = {p.name: p.n_neurons for p in network.populations}
    weights = sum(s.weight.size for s in network.synapses if isinstance(s, Weighted))
    return {
        "tag": "simulated",
        "neurons": sum(neurons.values()),
        "weights": weights,
        "weight_bytes": weights,
        "state_bytes": sum(
            neurons[p.name] * len(p.STATES) * STATE_BYTES for p in network.populations
        ),
        "depth": network.depth[network.output.name],
        "n_steps": n_steps,
        "latency_steps": n_steps + network.depth[network.output.name],
    }
