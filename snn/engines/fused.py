"""The fused engine: all steps of a layer's neurons in one kernel, forward and backward.

See ``snn.fused``. It means exactly what norse's neurons mean, and what ``snn.neurons`` says.
"""

from __future__ import annotations

import torch

from snn.fused import fused_steps
from snn.neurons import NeuronParameters


def fused(
    current: torch.Tensor, parameters: NeuronParameters, *, gain: torch.Tensor | None = None
) -> torch.Tensor:
    """Spikes of currents ``[T, N, ...]``, which are overwritten by the voltages."""
    return fused_steps(current, parameters, gain=gain, in_place=True)[0]
