"""What is kept of a reconstruction's training, so that it goes on after being killed.

>>> read_checkpoint(Path("run/checkpoint.pt"))["history"][-1]["ssim"]
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conversion.reconstruction.config import ReconstructionConfig
from conversion.reconstruction.metrics import ReconstructionMetrics
from snn.errors import TrainingError
from snn.saved import check_config, read_saved, write_saved

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
    write_saved(path, saved)


def restore(path: Path, parts: Parts, config: ReconstructionConfig) -> list[ReconstructionMetrics]:
    """Put a checkpoint into networks and optimisers; returns its history.

    Raises
    ------
    TrainingError
        When it is not readable, or belongs to another configuration or network.
    """
    saved = read_checkpoint(path)
    check_config(path, saved["config"], asdict(config))
    try:
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        return [ReconstructionMetrics(**row) for row in saved["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{path}: belongs to networks of another form ({error}); use another folder"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file.
    """
    return read_saved(path, {"parts", "config", "history"})
