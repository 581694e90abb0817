"""Dataclasses from TOML tables, checked key by key and value by value.

>>> build(LavaConfig, {"samples": 2}).samples
2
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from spikeface.errors import ConfigError


def build(cls: Any, table: Mapping[str, Any], *, where: str = "") -> Any:
    """An instance of a dataclass from a TOML table; `where` stands before its keys in errors."""
    hints = typing.get_type_hints(cls)
    arguments = {}
    for key, value in _over_defaults(cls, table).items():
        name = f"{where}{key}"
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            advice = f"did you mean {where}{near[0]}?" if near else f"there are {', '.join(hints)}"
            raise ConfigError(f"unknown key {name}; {advice}")
        arguments[key] = _convert(hints[key], value, name)
    return cls(**arguments)


def _over_defaults(cls: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Sections that a table changes in part, on top of what `cls` has there by default."""
    whole = dict(table)
    for spot in dataclasses.fields(cls):
        changed = table.get(spot.name)
        if isinstance(changed, Mapping) and spot.default_factory is not dataclasses.MISSING:
            whole[spot.name] = _merged(dataclasses.asdict(spot.default_factory()), changed)
    return whole


def _merged(default: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """`changed` on top of `default`, section by section; another ``kind`` begins anew."""
    kind = default.get("kind", "batch")
    if changed.get("kind", kind) != kind:
        return dict(changed)
    whole = {**default, **changed}
    for key, value in changed.items():
        if isinstance(value, Mapping) and isinstance(default.get(key), Mapping):
            whole[key] = _merged(default[key], value)
    return whole


def _of_kind(choices: Sequence[Any], value: Mapping[str, Any], name: str) -> Any:
    """One of several dataclasses by the ``kind`` in its section; the first, "batch", has none."""
    first, *others = choices
    by_kind = {"batch": first}
    by_kind |= {typing.get_args(typing.get_type_hints(c)["kind"])[0]: c for c in others}
    kind = value.get("kind", "batch")
    if kind not in by_kind:
        raise ConfigError(f"{name}.kind must be one of {', '.join(by_kind)}, got {kind!r}")
    own = {key: v for key, v in value.items() if key != "kind"}
    return build(by_kind[kind], own, where=f"{name}.")


def _convert(hint: Any, value: Any, name: str) -> Any:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if all(dataclasses.is_dataclass(choice) for choice in choices):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} is a section, got {value!r}")
        if len(choices) > 1:
            return _of_kind(choices, value, name)
        return build(hint, value, where=f"{name}.")
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        kinds = typing.get_args(hint)
        if kinds[-1] is not Ellipsis and len(kinds) != len(value):
            raise ConfigError(f"{name} needs {len(kinds)} values, got {value!r}")
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        return tuple(_convert(k, v, name) for k, v in zip(kinds, value, strict=True))
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            allowed = ", ".join(map(str, typing.get_args(hint)))
            raise ConfigError(f"{name} must be one of {allowed}, got {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = hint if isinstance(hint, type) else typing.get_origin(hint)
    if not isinstance(expected, type) or isinstance(hint, types.UnionType):
        raise TypeError(f"{name}: the configuration cannot hold a {hint}")
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{name} must be {_in_words(hint)}, got {value!r}")
    return value


def _in_words(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, f"a list such as {typing.get_args(hint)}")
