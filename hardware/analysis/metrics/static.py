"""What a network is before anything runs: bytes, parameters, missing connections.

NeuroBench (2.3) defines *footprint* as the bytes of all parameters and buffers, *parameter count*
as the number of parameters, and *connection sparsity* as the share of zero weights, biases not
counted, rounded to 4 digits. Here a weight has 8 bits; every other array (biases, thresholds,
decays, initial voltages, delays, the indices of sparse synapses) takes the bytes that it is stored
with. A bias is a parameter where a layer has one; thresholds and decays are buffers, as they are in
snnTorch unless they are learned. Neuron states are neither, as in NeuroBench before its first run.

>>> footprint_bytes(network), parameter_count(network), connection_sparsity(network)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Population
from hardware.chip.synapses import Weighted

WEIGHT_BYTES = 1
BIASES = ("bias_mant", "bias")
SPARSITY_DIGITS = 4  # as NeuroBench rounds


def footprint_bytes(network: ChipNetwork, layer: str | None = None) -> int:
    """Bytes of everything stored, of the whole network or of one layer with what leads into it."""
    synapses = sum(WEIGHT_BYTES * s.weight.size + _other_bytes(s) for s in _into(network, layer))
    return synapses + sum(
        getattr(population, name).nbytes
        for population in _populations(network, layer)
        for name in population.ARRAYS
    )


def parameter_count(network: ChipNetwork, layer: str | None = None) -> int:
    """Stored weights, and the biases of layers that have any."""
    weights = sum(s.weight.size for s in _into(network, layer))
    return weights + sum(
        getattr(population, name).size
        for population in _populations(network, layer)
        for name in BIASES
        if name in population.ARRAYS and np.any(getattr(population, name))
    )


def connection_sparsity(network: ChipNetwork, layer: str | None = None) -> float | None:
    """Share of zero weights, rounded to 4 digits; None where there are no weights."""
    weights = [s.weight for s in _into(network, layer)]
    total = sum(w.size for w in weights)
    if not total:
        return None
    return round(1 - sum(int(np.count_nonzero(w)) for w in weights) / total, SPARSITY_DIGITS)


def _into(network: ChipNetwork, layer: str | None) -> Iterator[Weighted]:
    for synapse in network.synapses:
        if isinstance(synapse, Weighted) and layer in (None, synapse.target):
            yield synapse


def _populations(network: ChipNetwork, layer: str | None) -> tuple[Population, ...]:
    return network.populations if layer is None else (network[layer],)


def _other_bytes(synapse: Weighted) -> int:
    """Delays and indices; a delay that all weights share is no array."""
    others = (np.asarray(getattr(synapse, n)) for n in synapse.ARRAYS if n != "weight")
    return sum(array.nbytes for array in others if array.ndim)
