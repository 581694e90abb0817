"""What is swept: ``KEY=VALUE,VALUE,...`` into values, and values into names.

Values are TOML with commas between them; a bare word is text; ``a:b`` stands for the whole numbers
from a to b - 1. The name of a run is made of its values alone: the same values give the same name
in whatever order and beside whatever other runs they are asked for.

>>> parse_values("training.seed=0:3,7")
('training.seed', (0, 1, 2, 7))
>>> value_name({"model.engine": "norse", "training.seed": 3, "training.augment.crop": False})
'norse-seed3-no_crop'
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from spikeface.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_VALUES = 10_000  # of one key, or runs of one sweep: more is a slip of the finger
LONGEST_NAME = 80
RANGE = re.compile(r"(-?\d+):(-?\d+)")


def parse_values(text: str) -> tuple[str, tuple[Any, ...]]:
    """``KEY=VALUE,VALUE,...`` as a key and its values.

    Raises
    ------
    ConfigError
        For a key outside a section, no value, an empty range, or a value that comes twice.
    """
    key, equals, listed = text.partition("=")
    key = key.strip()
    if not equals or "." not in key:
        raise ConfigError(f"--over takes SECTION.KEY=VALUE,VALUE,..., got {text!r}")
    values: list[Any] = []
    for piece in pieces(listed):
        values += _values(piece, text)
        if len(values) > MOST_VALUES:
            raise ConfigError(f"--over {text}: more than {MOST_VALUES:,} values")
    written = [as_toml(value) for value in values]
    if not values or len(set(written)) < len(written):
        raise ConfigError(f"--over {text}: give each value once, and at least one")
    return key, tuple(values)


def as_toml(value: Any) -> str:
    """A value as ``--set`` reads it back."""
    return json.dumps(value, ensure_ascii=False, default=str)


def value_name(values: Mapping[str, Any]) -> str:
    """A short name that a folder can have: text as it is, numbers and switches with their key."""
    name = "-".join(slug(_value_text(key, value)) for key, value in values.items())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{digest(values)}"


def digest(values: Mapping[str, Any]) -> str:
    """Eight characters that tell values apart whose names are equal."""
    text = json.dumps(dict(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def pieces(text: str) -> Iterator[str]:
    """The parts between commas that lie outside brackets and quotes."""
    depth, quote, start = 0, "", 0
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[]":
            depth += 1 if character == "[" else -1
        elif character == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def toml_or_text(piece: str) -> Any:
    """What `piece` is as TOML; text where it is none, or nothing that JSON could hold."""
    try:
        value = tomllib.loads(f"value = {piece}")["value"]
    except tomllib.TOMLDecodeError:
        return piece
    return value if isinstance(value, bool | int | float | str | list) else piece


def slug(text: str) -> str:
    """`text` with nothing that a folder's name or a shell would stumble over."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).strip("._-") or "value"


def _value_text(key: str, value: Any) -> str:
    last = key.rsplit(".", 1)[-1]
    if isinstance(value, bool):
        return last if value else f"no_{last}"
    return value if isinstance(value, str) else f"{last}{_number_text(value)}"


def _number_text(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(_number_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(piece: str, whole: str) -> list[Any]:
    if not piece:
        raise ConfigError(f"--over {whole}: there is nothing between two commas, or at an end")
    if found := RANGE.fullmatch(piece):
        first, end = (int(number) for number in found.groups())
        if not 0 < end - first <= MOST_VALUES:
            raise ConfigError(
                f"--over {whole}: the range {piece} holds {max(0, end - first):,} numbers; "
                f"a:b goes from a to b - 1, with at most {MOST_VALUES:,}"
            )
        return list(range(first, end))
    return [toml_or_text(piece)]
