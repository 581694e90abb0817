"""What a network is and did, in NeuroBench's names: sizes, sparsities, synaptic operations.

`activity` counts per layer from any run, `static` needs no run, `observing` runs a network and
keeps what happened in every step, `neurobench` puts all of it together.
"""

from hardware.analysis.metrics.activity import (
    LayerActivity,
    dense_operations,
    input_spikes,
    layer_activity,
    padded_operations,
)
from hardware.analysis.metrics.neurobench import Metrics, metrics_of
from hardware.analysis.metrics.observing import Observed, joined, observe
from hardware.analysis.metrics.static import connection_sparsity, footprint_bytes, parameter_count

__all__ = [
    "LayerActivity",
    "Metrics",
    "Observed",
    "connection_sparsity",
    "dense_operations",
    "footprint_bytes",
    "input_spikes",
    "joined",
    "layer_activity",
    "metrics_of",
    "observe",
    "padded_operations",
    "parameter_count",
]
