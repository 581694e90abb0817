"""What is kept of a training, so that it goes on after being killed at any moment.

A checkpoint appears whole or not at all and reaches the disk before it takes its name. It is read
as data: nothing in it is executed.

>>> read_checkpoint(Path("run/checkpoint.pt"))["history"][-1]["validation_accuracy"]
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn.errors import TrainingError
from snn.files import replacing
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
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(saved, file)
        file.flush()
        os.fsync(file.fileno())


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
    started = asdict(TrainingConfig()) | saved["config"]
    if started != asdict(config):
        changed = [k for k, v in asdict(config).items() if started[k] != v]
        raise TrainingError(
            f"{path}: belongs to a run with another configuration ({', '.join(changed)} differ); "
            "use another folder"
        )
    try:
        network.load_state_dict(saved["network"])
    except RuntimeError as error:
        raise TrainingError(f"{path}: belongs to another network ({error})") from error
    optimiser.load_state_dict(saved["optimiser"])
    return {key: saved[key] for key in STATE}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data only; nothing in it is executed.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        missing = {"network", "optimiser", "config", *STATE} - set(saved)
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise TrainingError(f"{path}: not a readable checkpoint ({error})") from error
    if missing:
        raise TrainingError(f"{path}: not a checkpoint of this tool, it lacks {sorted(missing)}")
    return saved
