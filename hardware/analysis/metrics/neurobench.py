"""NeuroBench's metrics of a network on the chip, as one record.

Names and definitions are those of NeuroBench 2.3, read from its source. Where a chip counts
otherwise, both counts stand under names of their own:

=====================  ==================================================================
``effective_macs``     by what a source can send: values other than -1, 0 and 1
``graded_acs``         those of the MACs that multiply a weight with the few bits of a
                       message, which on a chip are all of them; not counted twice
``dense``              every synapse that meets an input, as NeuroBench; without padding
``dense_padded``       what a conventional accelerator computes, padding included
``neurobench``         the operations call by call and after sources are added up: see
                       `hardware.analysis.metrics.observing`. Equal to the above for
                       binary networks whose layers have one source
=====================  ==================================================================

NeuroBench sums in 32-bit floats, exact up to 2**24 operations a call; these are whole numbers.
*Neuron operations* are membrane updates times NeuroBench's table: 4 for a leaky neuron, 6 or 8
(reset by subtraction or to zero) for one with a current of its own; relays have no membrane. Both
are None for a network with other neurons, for which NeuroBench defines none. What the chip needs as
neurons counts as such in every row, relays of a pooling too, which NeuroBench would not see.

>>> metrics_of(network, observe(network, spikes)).as_dict()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.analysis.metrics.activity import LayerActivity, layer_activity
from hardware.analysis.metrics.observing import Observed
from hardware.analysis.metrics.static import (
    connection_sparsity,
    footprint_bytes,
    parameter_count,
)
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba, Population
from hardware.chip.registers import DECAY_SCALE

LEAKY_OPERATIONS = {"subtract": 4, "zero": 4}
SYNAPTIC_OPERATIONS = {"subtract": 6, "zero": 8}


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Everything per sample that depends on input.

    Parameters
    ----------
    footprint_bytes, parameter_count : int
    connection_sparsity : float or None
        None for a network without weights.
    activation_sparsity : float
        Over all layers, steps and samples.
    effective_acs, effective_macs, graded_acs, dense, dense_padded : float
    payload_bits : int
        The widest message that graded ACs multiply with; 0 where there are none.
    acs_by_call, macs_by_call : float
    membrane_updates : float or None
    neuron_operations, dense_neuron_operations : float or None
    activity : tuple of LayerActivity
    layers : tuple of dict
        The same by layer.
    over_time : dict of str to list of float
        Messages in each step.
    """

    samples: int
    n_steps: int
    footprint_bytes: int
    parameter_count: int
    connection_sparsity: float | None
    activation_sparsity: float
    effective_acs: float
    effective_macs: float
    graded_acs: float
    payload_bits: int
    dense: float
    dense_padded: float
    acs_by_call: float
    macs_by_call: float
    membrane_updates: float | None
    neuron_operations: float | None
    dense_neuron_operations: float | None
    activity: tuple[LayerActivity, ...]
    layers: tuple[dict[str, Any], ...]
    over_time: dict[str, list[float]]

    def as_dict(self) -> dict[str, Any]:
        """The section ``metrics`` of a report."""
        neurons = None
        if self.neuron_operations is not None:
            neurons = {"effective": self.neuron_operations, "dense": self.dense_neuron_operations}
        return {
            "tag": "simulated",
            "per": "sample",
            "names": "NeuroBench 2.3",
            "samples": self.samples,
            "n_steps": self.n_steps,
            "footprint_bytes": self.footprint_bytes,
            "parameter_count": self.parameter_count,
            "connection_sparsity": self.connection_sparsity,
            "activation_sparsity": self.activation_sparsity,
            "synaptic_operations": {
                "effective_macs": self.effective_macs,
                "effective_acs": self.effective_acs,
                "graded_acs": self.graded_acs,
                "payload_bits": self.payload_bits,
                "dense": self.dense,
                "dense_padded": self.dense_padded,
                "neurobench": {
                    "effective_macs": self.macs_by_call,
                    "effective_acs": self.acs_by_call,
                    "dense": self.dense,
                },
            },
            "membrane_updates": self.membrane_updates,
            "neuron_operations": neurons,
            "layers": list(self.layers),
            "over_time": self.over_time,
        }


def metrics_of(network: ChipNetwork, seen: Observed) -> Metrics:
    """All metrics of a network that was watched.

    Parameters
    ----------
    network : ChipNetwork
    seen : Observed
        See `hardware.analysis.metrics.observing.observe`.
    """
    rows = layer_activity(network, seen.run, seen.n_steps)
    outputs = seen.n_steps * sum(row.neurons for row in rows)
    layers = tuple(_layer(network, row, seen) for row in rows)
    macs = sum(row.effective_macs for row in rows)
    return Metrics(
        samples=len(seen.run.output),
        n_steps=seen.n_steps,
        footprint_bytes=footprint_bytes(network),
        parameter_count=parameter_count(network),
        connection_sparsity=connection_sparsity(network),
        activation_sparsity=(outputs - sum(row.spikes for row in rows)) / outputs,
        effective_acs=sum(row.effective_acs for row in rows),
        effective_macs=macs,
        graded_acs=macs,
        payload_bits=max(row.payload_bits for row in rows),
        dense=sum(row.dense for row in rows),
        dense_padded=sum(row.dense_padded for row in rows),
        acs_by_call=sum(seen.acs_by_call.values()),
        macs_by_call=sum(seen.macs_by_call.values()),
        membrane_updates=_total(layers, "membrane_updates"),
        neuron_operations=_total(layers, "neuron_operations"),
        dense_neuron_operations=_total(layers, "dense_neuron_operations"),
        activity=rows,
        layers=layers,
        over_time={name: values.tolist() for name, values in seen.over_time.items()},
    )


def _layer(network: ChipNetwork, row: LayerActivity, seen: Observed) -> dict[str, Any]:
    name, population = row.layer, network[row.layer]
    updates = seen.membrane_updates.get(name) if population.STATES else 0.0
    per_update = _operations_per_update(population)
    effective = dense = None
    if per_update is not None:
        dense = float(row.neurons * seen.n_steps * per_update)
        effective = None if updates is None else updates * per_update
    return row.as_dict() | {
        "footprint_bytes": footprint_bytes(network, name),
        "parameter_count": parameter_count(network, name),
        "connection_sparsity": connection_sparsity(network, name),
        "membrane_updates": updates,
        "neuron_operations": effective,
        "dense_neuron_operations": dense,
    }


def _operations_per_update(population: Population) -> int | None:
    """NeuroBench's ``neuron_ops_reset_operations`` for the snnTorch neuron that does the same."""
    if not population.STATES:
        return 0
    if not isinstance(population, Cuba):
        return None
    has_current = bool(np.any(population.per_neuron("du") != DECAY_SCALE))
    return (SYNAPTIC_OPERATIONS if has_current else LEAKY_OPERATIONS)[population.reset]


def _total(layers: tuple[dict[str, Any], ...], key: str) -> float | None:
    """Sum over the layers, None where one of them has no such number."""
    values = [layer[key] for layer in layers]
    return None if any(value is None for value in values) else float(sum(values))
