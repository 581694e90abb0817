"""A configuration from a file, with assignments of the command line on top."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snn.errors import SnnError
from snn.events.faces import face_set
from spikeface.config.building import build
from spikeface.config.tasks import TASKS, Config, RunConfig
from spikeface.config.toml import assign, read_toml
from spikeface.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def load_config(path: Path | None, assignments: Sequence[str] = ()) -> Config:
    """``load_run_config`` where only a spiking network will do.

    Raises
    ------
    ConfigError
        Also for a file of another task.
    """
    config = load_run_config(path, assignments)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{path}: task = {config.task!r}; this needs a spiking network, task = 'spiking'"
        )
    return config


def load_run_config(path: Path | None, assignments: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file and apply ``section.key=value`` assignments on top.

    Parameters
    ----------
    path : Path, optional
        Default: the defaults of the dataclasses, for a spiking network.
    assignments : sequence of str
        Values are parsed as TOML; what is not TOML counts as a string.

    Raises
    ------
    ConfigError
        For a missing or malformed file, an unknown key (naming the nearest one), a value of the
        wrong type or out of range.
    """
    table = read_toml(path) if path else {}
    for assignment in assignments:
        assign(table, assignment)
    where = str(path) if path else "configuration"
    task = table.get("task", "spiking")
    if task not in TASKS:
        raise ConfigError(f"{where}: task must be one of {', '.join(TASKS)}, got {task!r}")
    try:
        return build(TASKS[task], _with_presets(table))
    except (SnnError, ConfigError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _with_presets(table: dict[str, Any]) -> dict[str, Any]:
    """``preset`` in ``[faces]`` and ``[faces.camera]`` replaced by what it stands for."""
    faces = table.get("faces")
    if not isinstance(faces, dict) or not isinstance(faces.get("camera", {}), dict):
        return table
    camera = dict(faces.get("camera", {}))
    chosen = face_set(faces.get("preset", "demo"), camera=camera.pop("preset", None))
    own = {key: value for key, value in faces.items() if key not in ("preset", "camera")}
    whole = {**dataclasses.asdict(chosen), **own}
    whole["camera"] = {**whole["camera"], **camera}
    return {**table, "faces": whole}
