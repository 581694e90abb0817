"""Statistics of batch normalisation that belong to the weights beside them.

While training, a norm uses the statistics of its batch and keeps a running average of them, of the
last ten batches or so. Weights move within ten batches too, and a deep network evaluated with
averages from before they moved can answer with another image altogether. So after an epoch the
statistics are measured anew, with weights that stand still.

>>> settle_statistics(generator, [training.batch(range(32))[0], training.batch(range(32, 64))[0]])
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


@torch.no_grad()
def settle_statistics(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set running means and variances to the averages over some batches; ends in evaluation mode.

    Nothing else of the network acts as in training: dropout lets everything through.

    Parameters
    ----------
    network : Module
    batches : iterable of Tensor
        Inputs of the network, at least one batch.
    """
    network.eval()
    norms: list[Any] = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for the plain average over all batches
        norm.train()
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    network.eval()
