"""Spiking-FER's head: a membrane that adds up linear maps of pooled spikes.

    r[t]   = mean over place of the spikes of step t
    score  = W sum over t of dropout(V r[t] + b)

In evaluation this is one linear map ``W V`` and one bias ``W b`` a step, which is how the chip
holds it: a dense layer of integrators that never spike. Source: Spiking-FER's public code.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from snn import grid
from snn.models.layers import Accumulator
from snn.models.network import TrainedLayer

LARGEST_STATE = 2**17  # of a voltage of 24 bits, in units of weights
MARGIN = 2.0  # other clips may drive the membrane this much further


class AccumulatorHead(nn.Module):
    """Pooled spikes, one or two linear maps, and a sum over time.

    Parameters
    ----------
    layer : Accumulator
    """

    def __init__(self, layer: Accumulator) -> None:
        super().__init__()
        self.layer = layer
        channels, (classes,) = layer.source_shape[0], layer.shape
        self.hidden = nn.Linear(channels, layer.hidden) if layer.hidden else None
        self.dropout = nn.Dropout(layer.dropout)
        self.output = nn.Linear(layer.hidden or channels, classes, bias=False)
        self.register_buffer("furthest", torch.zeros(()))
        self.furthest: torch.Tensor
        self.on_grid = False

    @property
    def places(self) -> int:
        """Positions that are pooled."""
        return math.prod(self.layer.source_shape[1:])

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Membranes ``[N, classes]`` after the last of ``[T, N, C, H, W]``."""
        totals = spikes.flatten(3).sum(dim=3) if spikes.dim() > 3 else spikes
        if self.on_grid:
            weight, bias, _ = self._on_grid()
            return nn.functional.linear(totals, weight, bias).sum(dim=0)
        pooled = totals / self.places
        if self.hidden is None:
            return self.output(pooled.sum(dim=0))
        scores = self.output(self.dropout(self.hidden(pooled)).sum(dim=0))
        if self.training:
            self.furthest = torch.maximum(self.furthest, scores.detach().float().abs().max())
        return scores

    def trained(self) -> TrainedLayer:
        """One dense layer of integrators over all places."""
        (weight, bias), scale = self._folded(), None
        if self.on_grid:
            weight, bias, scale = self._on_grid()
        everywhere = weight.repeat_interleave(self.places, dim=1)
        return TrainedLayer(
            layer=self.layer,
            weight=everywhere.float().cpu().contiguous().numpy(),
            bias=bias.float().cpu().numpy(),
            decay=0.0,
            gain=1.0,
            threshold=math.inf,
            weight_scale=scale,
        )

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight of a spike anywhere ``[classes, C]``, and bias of a step."""
        if self.hidden is None:
            return self.output.weight / self.places, self.output.weight.new_zeros(self.layer.shape)
        weight = self.output.weight @ self.hidden.weight / self.places
        return weight, self.output.weight @ self.hidden.bias

    def _on_grid(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        weight, bias = self._folded()
        scale = grid.grid_scale(weight)
        reach = MARGIN * float(self.furthest)
        if reach > 0:  # a membrane that saturates would not be the sum any more
            scale = min(scale, 2.0 ** math.floor(math.log2(LARGEST_STATE / reach)))
        return grid.round_weight(weight, scale), grid.round_bias(bias, scale), scale
