"""Normalisation of currents, over batch, time and place together, and what becomes of it.

    batch    y = weight (x - mean) / sqrt(var + eps) + bias        folds into weights and biases
    scale    y = weight x / sqrt(mean(x²) + eps)                   folds into weights alone

Evaluation uses running averages of the statistics, as torch's batch normalisation does.
"""

from __future__ import annotations

import torch
from torch import nn

from snn.models.config import Norm
from snn.models.layers import Spiking

MOMENTUM, EPS = 0.1, 1e-5  # torch's


class _Folding:
    """Batch normalisation that says what it is in evaluation: a factor and a shift."""

    def folded(self: nn.BatchNorm2d | nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[misc]
        assert self.running_var is not None and self.running_mean is not None
        factor = self.weight / torch.sqrt(self.running_var + self.eps)
        return factor, self.bias - self.running_mean * factor


class BatchNormImages(_Folding, nn.BatchNorm2d):
    """Of ``[N, C, H, W]``."""


class BatchNormValues(_Folding, nn.BatchNorm1d):
    """Of ``[N, F]``."""


class ScaleNorm(nn.Module):
    """A scale without a shift: root-mean-square normalisation with running statistics.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.running_var: torch.Tensor
        self.momentum, self.eps = MOMENTUM, EPS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of shape ``(N, C)`` or ``(N, C, H, W)``."""
        factor = self.weight / torch.sqrt(self._power(x) + self.eps)
        return x * factor.view(-1, *[1] * (x.dim() - 2)).to(x.dtype)

    def _power(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.running_var
        power = x.float().square().mean(dim=[d for d in range(x.dim()) if d != 1])
        with torch.no_grad():
            self.running_var.lerp_(power, self.momentum)
        return power

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and shift of evaluation."""
        factor = self.weight / torch.sqrt(self.running_var + self.eps)
        return factor, torch.zeros_like(factor)


def new_norm(kind: Norm, layer: Spiking) -> nn.Module:
    """The normalisation of a layer's currents."""
    if kind == "scale":
        norm: nn.Module = ScaleNorm(layer.outputs)
    else:
        norm = (BatchNormImages if layer.is_conv else BatchNormValues)(layer.outputs)
    if layer.zero_gain:
        nn.init.zeros_(norm.weight)
    return norm
