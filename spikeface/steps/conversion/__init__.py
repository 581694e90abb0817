"""The steps that turn a trained classifier into its spiking form."""

from spikeface.steps.conversion.running import convert_run

__all__ = ["convert_run"]
