"""Populations: groups of neurons that share a model, each with its parameters and their limits.

The arithmetic is in `hardware.chip.neurons`; what is here binds it to parameters.
"""

from hardware.chip.populations.base import Parameter, Population
from hardware.chip.populations.graded import Delta, Levels, Relay, Sigma, SigmaDelta
from hardware.chip.populations.spiking import RESETS, Cuba, ResonateAndFire

MODELS: dict[str, type[Population]] = {
    model.KIND: model for model in (Cuba, Relay, Sigma, Delta, SigmaDelta, Levels, ResonateAndFire)
}

__all__ = [
    "MODELS",
    "RESETS",
    "Cuba",
    "Delta",
    "Levels",
    "Parameter",
    "Population",
    "Relay",
    "ResonateAndFire",
    "Sigma",
    "SigmaDelta",
]
