"""TOML in and out: files, whole configurations, and single values from the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeface.config.tasks import RunConfig
from spikeface.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from None


def to_toml(config: RunConfig) -> str:
    """The whole configuration, defaults included, as TOML."""
    return "\n".join(_sections(dataclasses.asdict(config), ())).strip() + "\n"


def _sections(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    lines = [f"\n[{'.'.join(path)}]"] if path and plain else []
    lines += [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _sections(value, (*path, key))
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(v) for v in value)}]"
    return json.dumps(value, ensure_ascii=False)  # numbers, booleans and strings read alike


def assign(table: dict[str, Any], assignment: str) -> None:
    """Put a ``section.key=value`` of the command line into a table; what is not TOML is text."""
    key, equals, text = assignment.partition("=")
    *path, name = key.strip().split(".")
    if not equals or not name or not path:
        raise ConfigError(f"--set takes section.key=value, got {assignment!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {assignment}: {part!r} is a value, not a section")
    table[name] = value
