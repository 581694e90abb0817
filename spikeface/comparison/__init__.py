"""Runs of every kind in one table: accuracy, latency, operations, memory, estimated energy."""

from spikeface.comparison.comparing import compare
from spikeface.comparison.tables import comparison_lines

__all__ = ["compare", "comparison_lines"]
