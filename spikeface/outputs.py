"""What commands write: files that appear whole or not at all, in folders that were free before.

>>> out = new_folder(Path("runs/parity"))
>>> write_json(out / "parity.json", section)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snn.files import replacing
from spikeface.errors import OutputError


def is_free(folder: Path) -> bool:
    """Whether there is nothing of this name, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def refuse_used(folder: Path) -> None:
    """A folder that a command may write to holds nothing.

    Raises
    ------
    OutputError
        When it holds something.
    """
    if not is_free(folder):
        raise OutputError(f"{folder}: exists already; choose another --out")


def new_folder(folder: Path) -> Path:
    """Make a folder, which must not hold anything.

    Raises
    ------
    OutputError
        When it holds something or cannot be written.
    """
    refuse_used(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder


def new_run_path(name: str) -> Path:
    """The first of ``runs/<name>``, ``runs/<name>-2``, ... that does not exist."""
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """``replacing`` with an error of this package."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that appears whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
