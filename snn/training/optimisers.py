"""Optimisers and learning rates by name, and whether bfloat16 is at hand.

>>> learning_rate(TrainingConfig(schedule="cosine_epochs", learning_rate=1.0, epochs=4), 2.5)
0.5
"""

from __future__ import annotations

import math
import platform
from pathlib import Path

import torch

from snn.errors import TrainingError
from snn.models import Network
from snn.training.config import TrainingConfig

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of /proc/cpuinfo, x86 and Arm


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


def training_device(config: TrainingConfig) -> torch.device:
    """The device of a configuration.

    Raises
    ------
    TrainingError
        Where there is no such device, or it cannot multiply in the precision asked for.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "training.device = 'cuda': torch finds no GPU here; set training.device = 'cpu'"
        )
    if config.amp == "bf16" and not has_bf16(config.device):
        raise TrainingError(
            f"training.amp = 'bf16': the {'GPU' if config.device == 'cuda' else 'processor'} here "
            "has no bfloat16 arithmetic and would be slower with it; set training.amp = 'off'"
        )
    if config.device == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def has_bf16(device: str) -> bool:
    """Whether multiplying in bfloat16 is an instruction and not an emulation."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    if platform.system() == "Darwin":
        return False
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(BF16_FLAGS & set(text.split()))
