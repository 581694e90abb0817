"""Surrogate gradients: what the backward pass takes for the derivative of a spike.

A spike is ``s = 1 where x > 0`` of the distance ``x = v - threshold``; its derivative is zero
everywhere. Training replaces it by a bump around the threshold (E. Neftci et al., IEEE Signal
Processing Magazine 2019, arXiv 1901.09948). The bumps here are those of the common libraries:

    erfc         2/sqrt(pi) exp(-(alpha x)^2)          norse "heavi_erfc": no factor alpha
    tanh         1 - tanh(alpha x)^2                   norse "tanh": no factor alpha
    triangle     alpha max(0, 1 - |x|)                 norse "triangle"
    circ         alpha^3 / (alpha^2 + x^2)^(3/2)       norse "circ"
    superspike   1 / (alpha |x| + 1)^2                 norse "super" with alpha = 1
    atan         alpha/2 / (1 + (pi/2 alpha x)^2)      spikingjelly ATan
    sigmoid      alpha s (1 - s), s = 1/(1 + exp(-alpha x))    spikingjelly Sigmoid
    exponential  alpha/2 exp(-alpha |x|)               SLAYER

>>> Surrogate("triangle", 0.5).derivative(torch.tensor([0.0, 0.5, 2.0]))
tensor([0.5000, 0.2500, 0.0000])
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from snn.errors import ModelError


def _erfc(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return 2 / math.sqrt(math.pi) * torch.exp(-((alpha * x) ** 2))


def _tanh(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return 1 - torch.tanh(alpha * x) ** 2


def _triangle(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return alpha * torch.relu(1 - x.abs())


def _circ(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return alpha**3 / (alpha**2 + x**2) ** 1.5


def _superspike(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return 1 / (alpha * x.abs() + 1) ** 2


def _atan(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return alpha / 2 / (1 + (math.pi / 2 * alpha * x) ** 2)


def _sigmoid(x: torch.Tensor, alpha: float) -> torch.Tensor:
    s = torch.sigmoid(alpha * x)
    return alpha * s * (1 - s)


def _exponential(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return alpha / 2 * torch.exp(-alpha * x.abs())


DERIVATIVES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "erfc": _erfc,
    "tanh": _tanh,
    "triangle": _triangle,
    "circ": _circ,
    "superspike": _superspike,
    "atan": _atan,
    "sigmoid": _sigmoid,
    "exponential": _exponential,
}
SHAPES = tuple(DERIVATIVES)


@dataclass(frozen=True)
class Surrogate:
    """A bump around the threshold.

    Parameters
    ----------
    shape : str
        One of ``SHAPES``.
    alpha : float
        Above 0; the larger, the narrower (``triangle``: the higher; ``circ``: the wider).

    Raises
    ------
    ModelError
    """

    shape: str = "atan"
    alpha: float = 2.0

    def __post_init__(self) -> None:
        problems = []
        if self.shape not in DERIVATIVES:
            problems.append(f"shape must be one of {', '.join(SHAPES)}, got {self.shape!r}")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            problems.append(f"alpha must be finite and above 0, got {self.alpha}")
        if problems:
            raise ModelError("surrogate gradient: " + "; ".join(problems))

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """The bump at distances `x` = v - threshold, in the shape and dtype of `x`."""
        return DERIVATIVES[self.shape](x, self.alpha)

    def spikes(self, x: torch.Tensor) -> torch.Tensor:
        """1 where `x` is above 0, else 0, in the dtype of `x`; differentiable by the bump."""
        return _Spike.apply(x, self)


class _Spike(torch.autograd.Function):
    """The step with the derivative of a ``Surrogate``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, surrogate: Surrogate) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.surrogate.derivative(x), None
