"""What is kept of a reconstruction's training, so that it goes on after being killed.

>>> read_checkpoint(Path("run/checkpoint.pt"))["history"][-1]["ssim"]
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conversion.reconstruction.config import ReconstructionConfig
from conversion.reconstruction.metrics import ReconstructionMetrics
from snn.errors import TrainingError
from snn.files import replacing

Parts = dict[str, nn.Module | torch.optim.Optimizer]


def save_checkpoint(
    path: Path, parts: Parts, config: ReconstructionConfig, history: list[ReconstructionMetrics]
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
    parts : dict
        Networks and optimisers by name.
    config : ReconstructionConfig
    history : list of ReconstructionMetrics
    """
    saved = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "config": asdict(config),
        "history": [row.row() for row in history],
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(saved, file)
        file.flush()
        os.fsync(file.fileno())


def restore(path: Path, parts: Parts, config: ReconstructionConfig) -> list[ReconstructionMetrics]:
    """Put a checkpoint into networks and optimisers; returns its history.

    Raises
    ------
    TrainingError
        When it is not readable, or belongs to another configuration or network.
    """
    saved = read_checkpoint(path)
    if saved["config"] != asdict(config):
        changed = [k for k, v in asdict(config).items() if saved["config"].get(k) != v]
        raise TrainingError(
            f"{path}: belongs to a run with another configuration ({', '.join(changed)} differ); "
            "use another folder"
        )
    try:
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        return [ReconstructionMetrics(**row) for row in saved["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{path}: belongs to networks of another form ({error}); use another folder"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data only; nothing in it is executed.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        missing = {"parts", "config", "history"} - set(saved)
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise TrainingError(f"{path}: not a readable checkpoint ({error})") from error
    if missing:
        raise TrainingError(f"{path}: not a checkpoint of this tool, it lacks {sorted(missing)}")
    return saved
