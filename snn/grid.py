"""The chip's weight grid while training: rounded in the forward pass, untouched in the backward.

Weights of a chip layer are even integers up to 254 times one scale, and the scale makes the
threshold an integer too. A network that trains on this grid runs on the chip with the weights it
was trained with; one that is rounded afterwards does not, and spikes multiply the difference from
layer to layer. The straight-through gradient is that of Y. Bengio et al., arXiv 1308.3432.
"""

from __future__ import annotations

import math

import torch

LARGEST_WEIGHT = 254  # even 8-bit weights with sign


def grid_scale(weight: torch.Tensor, threshold: float) -> float:
    """Integers per unit of weight: the largest with which all weights and the threshold fit.

    Parameters
    ----------
    weight : Tensor
        As the neuron sees it, its input gain included.
    threshold : float
    """
    largest = float(weight.detach().abs().max())
    return max(math.floor(LARGEST_WEIGHT * threshold / largest), 1) / threshold


def round_to_grid(weight: torch.Tensor, scale: float) -> torch.Tensor:
    """The nearest even multiples of ``1 / scale``; gradients pass as if nothing had happened."""
    rounded = 2 * torch.round(weight.detach() * scale / 2) / scale
    return weight + (rounded - weight.detach())
