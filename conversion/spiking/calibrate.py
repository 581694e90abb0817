"""Thresholds without training: the range of every activation on calibration images.

RobustNorm takes the value that 99.9 % of a layer's activations do not exceed, so that a few
outliers do not make all other spikes rare. A threshold of each channel's own is finer, and costs
bits of the weights behind small channels. Source: Rueckauer et al., Frontiers in Neuroscience 2017,
doi:10.3389/fnins.2017.00682. For a few levels that is often too wide: the clip that loses least,

    argmin_c mean((|a| - c / L clip(floor(|a| L / c + 1/2), 0, L))^2)

weighs what is cut off against what is rounded.

>>> network, _ = trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(1, 4))
>>> largest_activations(network, torch.rand(100, 4))["1"].shape
torch.Size([1])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from conversion.spiking.graph import Network, along_channels
from conversion.spiking.neurons import Neurons

COVERED = 0.999


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """The size of activation that a share of all does not exceed, by layer.

    Only the largest values are kept while images go by, so that memory does not grow with their
    number.

    Parameters
    ----------
    n_images : int
        That will go by, all together.
    covered : float
        In (0, 1]; 1 takes the largest.
    per_channel : bool
    """

    n_images: int
    covered: float = COVERED
    per_channel: bool = False
    largest: dict[str, torch.Tensor] = field(default_factory=dict)

    BATCH: ClassVar = 16

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """Sizes of activations ``[N, C, ...]``, one row for each range that is looked for."""
        channels = values.detach().abs().transpose(0, 1).flatten(1)
        return channels if self.per_channel else channels.reshape(1, -1)

    def add(self, name: str, values: torch.Tensor) -> None:
        """A layer's activations ``[N, C, ...]`` of some of the images."""
        rows = self.rows(values)
        total = rows.shape[1] // len(values) * self.n_images
        beyond = 1 + int((1 - self.covered) * total)  # of how many the smallest is the answer
        rows = torch.cat([self.largest.get(name, rows[:, :0]), rows], dim=1)
        self.largest[name] = rows.topk(min(beyond, rows.shape[1])).values

    def found(self, name: str) -> torch.Tensor:
        """The range of a layer, shape (1,) or (C,), above 0.

        A silent channel has that of its layer's largest, a silent layer 1.
        """
        return _above_zero(self.largest[name][:, -1].cpu())


@dataclass(frozen=True, kw_only=True)
class Fits(Ranges):
    """The clip of each layer with which a number of levels lose least of the activations.

    Parameters
    ----------
    levels : int
    """

    levels: int

    SAMPLED: ClassVar = 1 << 16  # values of each row that are kept, evenly spread
    TRIED: ClassVar = 2.0 ** -torch.arange(0, 7, 0.125)  # shares of the largest value

    def add(self, name: str, values: torch.Tensor) -> None:
        """See ``Ranges.add``."""
        rows = self.rows(values)
        total = rows.shape[1] // len(values) * self.n_images
        every = total // self.SAMPLED | 1  # odd, so that no column of an image is left out
        kept = [self.largest[name]] if name in self.largest else []
        self.largest[name] = torch.cat([*kept, rows[:, ::every]], dim=1)

    def found(self, name: str) -> torch.Tensor:
        """See ``Ranges.found``."""
        rows = self.largest[name].cpu()
        clips = _above_zero(rows.amax(1))[:, None] * self.TRIED
        errors = torch.stack([self._error(rows, clip[:, None]) for clip in clips.T], dim=1)
        return clips.gather(1, errors.argmin(1, keepdim=True))[:, 0]

    def _error(self, rows: torch.Tensor, clip: torch.Tensor) -> torch.Tensor:
        kept = torch.floor(rows * self.levels / clip + 0.5).clamp(0, self.levels)
        return (rows - kept * clip / self.levels).square().mean(1)


def _above_zero(values: torch.Tensor) -> torch.Tensor:
    most = values.max()
    return torch.where(values > 0, values, most if most > 0 else torch.ones_like(most))


def largest_activations(
    network: Network,
    images: torch.Tensor,
    *,
    covered: float = COVERED,
    per_channel: bool = False,
) -> dict[str, torch.Tensor]:
    """The ranges of all activations of a network, by node; parameters as ``Ranges``.

    Parameters
    ----------
    network : Network
    images : Tensor of shape (N, *input_shape)
    """
    ranges = Ranges(n_images=len(images), covered=covered, per_channel=per_channel)
    for batch in images.split(ranges.BATCH):
        with torch.no_grad():
            values = network(batch)
        for node in network.activations:
            ranges.add(node.name, values[node.name])
    return {node.name: ranges.found(node.name) for node in network.activations}


def covered_share(network: Network, populations: Iterable[Neurons], images: torch.Tensor) -> float:
    """Share of all activations that are not above the thresholds of their neurons.

    Parameters
    ----------
    network : Network
        The artificial one.
    populations : iterable of Neurons
        What its activations became, with their names.
    images : Tensor of shape (N, *input_shape)
    """
    thresholds = {neurons.name: neurons.theta for neurons in populations}
    below = total = 0
    for batch in images.split(Ranges.BATCH):
        with torch.no_grad():
            values = network(batch)
        for node in network.activations:
            theta = thresholds[node.name]
            theta = theta[:: len(theta) // node.shape[0]]  # of a pair both have the same
            z = values[node.sources[0]]
            size = torch.where(z < 0, -node.negative_slope * z, z)
            below += int((size <= along_channels(theta, z)).sum())
            total += size.numel()
    return below / total
