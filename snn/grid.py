"""The chip's arithmetic while training: rounded in the forward pass, untouched in the backward.

A spiking network multiplies small differences from layer to layer: one spike in ten thousand
that differs in the first layer becomes one in thirty in the last. So "nearly the chip" is not
enough, and a network that trains on this grid computes what the chip computes:

    weights     even integers up to 254 times one scale, a power of two
    biases      multiples of 1/64 of that, 13 bits and a shared exponent
    thresholds  integers
    voltages    multiples of 1/64 of the scale; the decay rounds them toward zero

Because the scale is a power of two, all of this is exact in float32. Gradients pass each rounding
as if nothing had happened (straight-through; Y. Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

import math

import torch

LARGEST_WEIGHT = 254  # even 8-bit weights with sign
LARGEST_BIAS = 4095  # mantissa of 13 bits with sign
FRACTION = 64  # steps of biases and voltages per step of weights and thresholds
DECAY_STEPS = 4096  # of the leak of a whole step


def decay_on_grid(decay: float) -> float:
    """The nearest decay that the chip has."""
    return round(decay * DECAY_STEPS) / DECAY_STEPS


def grid_scale(weight: torch.Tensor) -> float:
    """Integers per unit of weight: the largest power of two with which all weights fit.

    Parameters
    ----------
    weight : Tensor
        As the neuron sees it, its input gain included.
    """
    largest = float(weight.detach().abs().max())
    return 2.0 ** math.floor(math.log2(LARGEST_WEIGHT / largest))


def round_weight(weight: torch.Tensor, scale: float) -> torch.Tensor:
    """The nearest even multiples of ``1 / scale``."""
    return _straight_through(weight, 2 * torch.round(weight.detach() * scale / 2) / scale)


def round_bias(bias: torch.Tensor, scale: float) -> torch.Tensor:
    """The nearest mantissas times the smallest shared power of two that holds them all."""
    integers = bias.detach() * scale * FRACTION
    largest = float(integers.abs().max())
    step = 1.0
    while round(largest / step) > LARGEST_BIAS:
        step *= 2
    return _straight_through(bias, step * torch.round(integers / step) / (scale * FRACTION))


def round_threshold(threshold: float, scale: float) -> float:
    """The nearest positive multiple of ``1 / scale``."""
    return max(round(threshold * scale), 1) / scale


def truncate_decay(v: torch.Tensor, keep: float, scale: float) -> torch.Tensor:
    """The voltage for which ``keep * v`` is what the chip keeps: rounded toward zero.

    Parameters
    ----------
    v : Tensor
        Voltages, multiples of ``1 / (64 scale)``.
    keep : float
        Share that a step keeps, in (0, 1).
    scale : float
    """
    unit = scale * FRACTION
    return _straight_through(v, torch.trunc(v.detach() * (unit * keep)) / (unit * keep))


def _straight_through(value: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    return value + (rounded - value.detach())
