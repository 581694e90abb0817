"""What a cached result was made with: the description and the code of a representation.

>>> described(SpikingFERFrames(n_frames=6)), code_digest(SpikingFERFrames(n_frames=6))
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import snn
from snn.errors import DatasetError

ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
EVENTS = Path(snn.__file__).parent / "events"


def described(representation: Callable[..., Any]) -> str:
    """A text that differs when what the representation does differs.

    Functions are described by their name, everything else by its ``repr``.

    Raises
    ------
    DatasetError
        For a lambda, a function inside a function, or a ``repr`` that shows an address.
    """
    if isinstance(representation, types.FunctionType):
        text = f"{representation.__module__}.{representation.__qualname__}"
        if "<" in text:
            raise DatasetError(
                f"{text}: what this function does cannot be told from outside, so its result "
                "cannot be cached; use a function of a module or a frozen dataclass"
            )
        return text
    parts = _partial_parts(representation)
    text = repr(representation) if parts is None else parts
    if ADDRESS.search(text):
        raise DatasetError(
            f"{text[:80]}: says where it is in memory and not what it does, so its result cannot "
            "be cached; use a frozen dataclass, whose repr lists its parameters"
        )
    return f"{type(representation).__module__}.{text}"


def _partial_parts(representation: Any) -> str | None:
    """``functools.partial`` shows the address of its function; named here instead."""
    if not (hasattr(representation, "func") and hasattr(representation, "keywords")):
        return None
    keywords = ", ".join(f"{k}={v!r}" for k, v in sorted(representation.keywords.items()))
    return f"partial({described(representation.func)}, {representation.args!r}, {keywords})"


def code_digest(representation: Callable[..., Any]) -> str:
    """SHA-256 of the source that a representation runs.

    All of ``snn.events``, since frames are made of readers and kernels; for a representation from
    elsewhere, or one that holds such a callable in a field, also the file that defines it and the
    version of its package.
    """
    digest = hashlib.sha256(_events_digest())
    for piece in _pieces(representation):
        kind = piece if isinstance(piece, (types.FunctionType, type)) else type(piece)
        if kind.__module__.startswith("snn.events."):
            continue
        package = sys.modules.get(kind.__module__.partition(".")[0])
        digest.update(str(getattr(package, "__version__", "")).encode())
        with suppress(TypeError, OSError):  # built into the interpreter: its version says it all
            digest.update(Path(inspect.getfile(kind)).read_bytes())
    return digest.hexdigest()


def _pieces(representation: Any) -> Iterator[Any]:
    """A representation and the callables in the fields of a dataclass or bound by a partial."""
    if hasattr(representation, "func") and hasattr(representation, "keywords"):
        held = [representation.func, *representation.args, *representation.keywords.values()]
    else:
        yield representation
        is_object = is_dataclass(representation) and not isinstance(representation, type)
        held = (
            [getattr(representation, f.name) for f in fields(representation)] if is_object else []
        )
    for part in held:
        if callable(part):
            yield from _pieces(part)


@cache
def _events_digest() -> bytes:
    """Of the sources of ``snn.events``, read once: what runs is what was imported."""
    digest = hashlib.sha256()
    for file in sorted(EVENTS.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.digest()
