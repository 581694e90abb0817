"""What is kept of a training, so that it goes on after being killed at any moment.

See ``snn.saved`` for how a checkpoint is written and read.

>>> read_checkpoint(Path("run/checkpoint.pt"))["history"][-1]["validation_accuracy"]
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn.errors import TrainingError
from snn.saved import check_config, read_saved, write_saved
from snn.training.config import TrainingConfig

STATE = ("history", "best", "best_accuracy")


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    state: dict[str, Any],
) -> None:
    """Write a checkpoint."""
    saved = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "config": asdict(config),
        **state,
    }
    write_saved(path, saved)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed run left while it wrote `path`; one run at a time writes there."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            leftover.unlink()


def restore(
    saved: dict[str, Any],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    path: Path,
) -> dict[str, Any]:
    """Put a checkpoint into network and optimiser; returns the state beside them.

    Raises
    ------
    TrainingError
        When it belongs to another configuration or network.
    """
    # An option that came after the checkpoint was written had its default then.
    check_config(path, asdict(TrainingConfig()) | saved["config"], asdict(config))
    try:
        network.load_state_dict(saved["network"])
    except RuntimeError as error:
        raise TrainingError(f"{path}: belongs to another network ({error})") from error
    optimiser.load_state_dict(saved["optimiser"])
    return {key: saved[key] for key in STATE}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file.
    """
    return read_saved(path, {"network", "optimiser", "config", *STATE})
