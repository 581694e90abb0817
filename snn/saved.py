"""Tensors and plain values in files: written whole or not at all, read as data only.

A file reaches the disk before it takes its name, so a run that is killed leaves the one before or
the new one. Nothing in a file that is read is executed.

>>> write_saved(Path("c.pt"), {"weights": torch.zeros(2)}); read_saved(Path("c.pt"), {"weights"})
{'weights': tensor([0., 0.])}
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch

from snn.errors import TrainingError
from snn.files import replacing


def write_saved(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, text, lists and dictionaries of them."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())


def read_saved(path: Path, required: Set[str]) -> dict[str, Any]:
    """Read what ``write_saved`` wrote, onto the CPU.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file, or one that lacks a `required` key.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        missing = required - set(saved)
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise TrainingError(f"{path}: not readable as saved data ({error})") from error
    if missing:
        raise TrainingError(f"{path}: not written by this tool, it lacks {sorted(missing)}")
    return saved


def check_config(path: Path, saved: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that began with another configuration.

    Raises
    ------
    TrainingError
        Naming what differs.
    """
    changed = [key for key, value in config.items() if saved.get(key) != value]
    changed += sorted(set(saved) - set(config))
    if changed:
        raise TrainingError(
            f"{path}: belongs to a run with another configuration ({', '.join(changed)} differ); "
            "use another folder"
        )
