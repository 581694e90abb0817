"""Optimisers and learning rates by name.

>>> learning_rate(TrainingConfig(schedule="cosine_epochs", learning_rate=1.0, epochs=4), 2.5)
0.5
"""

from __future__ import annotations

import math

import torch

from snn.models import Network
from snn.training.config import TrainingConfig


def make_optimiser(network: Network, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimiser of a configuration over the parameter groups of a network."""
    groups = [{"params": parameters} for parameters, _ in network.parameter_groups()]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, weight_decay=decay)
    if config.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)


def set_learning_rate(optimiser: torch.optim.Optimizer, network: Network, rate: float) -> None:
    """Give each parameter group of a network its factor times `rate`."""
    factors = [factor for _, factor in network.parameter_groups()]
    for group, factor in zip(optimiser.param_groups, factors, strict=True):
        group["lr"] = factor * rate


def learning_rate(config: TrainingConfig, epochs_done: float) -> float:
    """The learning rate after a number of epochs, fractions of one included."""
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "cosine_epochs":
        return config.learning_rate * _cosine(math.floor(epochs_done) / config.epochs)
    progress, warm_up = epochs_done / config.epochs, config.warm_up
    if progress < warm_up:
        return config.learning_rate * max(progress / warm_up, 0.05)
    return config.learning_rate * _cosine((progress - warm_up) / (1 - warm_up))


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))
