"""What a run did, per layer: spikes, rates, sparsity, synaptic operations.

Names follow NeuroBench (2.3): *activation sparsity* is the share of zero outputs over neurons and
steps, *effective ACs* are accumulations caused by spikes through nonzero weights, *effective MACs*
multiply-accumulates caused by messages with values (see `hardware.backends.backend.multiplies`),
*dense* counts every synapse in every step, zero weights and silent inputs included. All of them are
exact at borders and for strides: a kernel tap counts where it meets an input, never in the padding.
A bias is no synaptic operation.

>>> conv, out = layer_activity(network, run, n_steps)
>>> conv.effective_acs / conv.dense
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hardware.backends.backend import ChipRun, multiplies
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.synapses import Conv, Weighted

MIXED = "dense"  # how a layer that several kinds of synapses lead into is priced: the dearest kind


@dataclass(frozen=True, kw_only=True)
class LayerActivity:
    """Means over the samples of a run, for one population.

    Parameters
    ----------
    neurons, synapses : int
        Neurons, and connections counted one by one (a shared kernel's weight once per use).
    weights : int
        Stored weights.
    spikes, synops, dense : float
        Messages emitted, effective operations received and dense operations, per sample.
    dense_padded : float
        Dense operations of a conventional accelerator, which multiplies with the padding too.
    effective_acs, effective_macs : float
        The operations that add, and those that multiply; together ``synops``.
    payload_bits : int
        The widest payload that the operations multiply with; 0 where there are none.
    rate : float
        Spikes per neuron and step.
    activation_sparsity : float
        Share of zero outputs, in [0, 1].
    synapse_kind : str
        ``"conv"``, ``"dense"`` or ``"sparse"``.
    """

    layer: str
    neurons: int
    synapses: int
    weights: int
    spikes: float
    synops: float
    dense: float
    rate: float
    activation_sparsity: float
    dense_padded: float = 0.0
    effective_acs: float = 0.0
    effective_macs: float = 0.0
    payload_bits: int = 0
    synapse_kind: str = MIXED

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


def layer_activity(network: ChipNetwork, run: ChipRun, n_steps: int) -> tuple[LayerActivity, ...]:
    """Activity of each population, in the order of the network.

    Parameters
    ----------
    network : ChipNetwork
    run : ChipRun
    n_steps : int
        Time steps of each sample.
    """
    synapses = _synapse_counts(network)
    dense, padded = dense_operations(network), padded_operations(network)
    rows = []
    for population in network.populations:
        name, neurons = population.name, population.n_neurons
        spikes = float(np.mean(run.spikes[name]))
        rate = spikes / (neurons * n_steps)
        synops, macs = float(np.mean(run.synops[name])), float(np.mean(run.macs.get(name, 0)))
        rows.append(
            LayerActivity(
                layer=name,
                neurons=neurons,
                synapses=synapses[name],
                weights=sum(s.weight.size for s in _weighted(network, name)),
                spikes=spikes,
                synops=synops,
                effective_acs=synops - macs,
                effective_macs=macs,
                payload_bits=_payload_bits(network, name),
                dense=float(dense[name] * n_steps),
                dense_padded=float(padded[name] * n_steps),
                rate=rate,
                activation_sparsity=1 - rate,
                synapse_kind=_kind(network, name),
            )
        )
    return tuple(rows)


def dense_operations(network: ChipNetwork) -> dict[str, int]:
    """Operations of one dense pass into each population: NeuroBench's ``Dense`` of one step.

    Every weight, zero or not, meets every input that it reaches; padding is no input. Sources that
    add up before the weights count once. Of sparse synapses those that are stored count.
    """
    return {
        p.name: sum(_reached(network, s) for s in _weighted(network, p.name))
        for p in network.populations
    }


def padded_operations(network: ChipNetwork) -> dict[str, int]:
    """Operations of one dense pass with the padding: every weight at every output position.

    This is what a conventional accelerator computes for the same layer, and what most tools call
    the MACs of a network.
    """
    return {
        p.name: sum(
            s.weight.size * (math.prod(p.shape[1:]) if isinstance(s, Conv) else 1)
            for s in _weighted(network, p.name)
        )
        for p in network.populations
    }


def input_spikes(run: ChipRun) -> float:
    """Input spikes per sample."""
    return float(np.mean(run.spikes[INPUT]))


def _reached(network: ChipNetwork, synapse: Weighted) -> int:
    """Pairs of an input and a weight that meet in one step, zero weights included."""
    if not isinstance(synapse, Conv):
        return synapse.weight.size
    whole = replace(synapse, weight=np.ones_like(synapse.weight))
    return int(whole.fan_out(network.source_shape(synapse)).sum())


def _payload_bits(network: ChipNetwork, name: str) -> int:
    """The widest payload that the synapses into a population multiply with."""
    return max(
        (
            synapse.message_bits
            for synapse in _weighted(network, name)
            if any(multiplies(network, synapse, source) for source in synapse.sources)
        ),
        default=0,
    )


def _kind(network: ChipNetwork, name: str) -> str:
    kinds = {s.KIND for s in _weighted(network, name)}
    return kinds.pop() if len(kinds) == 1 else MIXED


def _synapse_counts(network: ChipNetwork) -> dict[str, int]:
    counts = {population.name: 0 for population in network.populations}
    for synapse, fan_out in zip(network.synapses, network.fan_out, strict=True):
        counts[synapse.target] += int(fan_out.sum()) * len(synapse.sources)
    return counts


def _weighted(network: ChipNetwork, name: str) -> list[Weighted]:
    return [s for s in network.incoming(name) if isinstance(s, Weighted)]
