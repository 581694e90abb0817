"""Lists that others wrote: split files and annotations, read line by line and never trusted.

Whatever is wrong with a list is one error that names its lines, so that a user repairs it once.

>>> read_rows("folds.csv", parse, separator=";", key=lambda row: row.name)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

from snn.errors import DatasetError

MAX_LIST_BYTES = 64 * 2**20
LINES_SHOWN = 8
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")

Row = TypeVar("Row")


def read_rows(
    path: str | Path,
    parse: Callable[[list[str]], Row],
    *,
    separator: str,
    key: Callable[[Row], Hashable] | None = None,
) -> list[Row]:
    """Read a text file of one row a line; empty lines are skipped.

    Parameters
    ----------
    path : str or Path
    parse : callable
        From the fields of a line to a row; raises ``ValueError`` with what is wrong with them.
    separator : str
        Between the fields of a line.
    key : callable, optional
        What no two rows may share.

    Raises
    ------
    DatasetError
        When the file is missing, too large, not UTF-8 or empty, or for all unusable lines at once.
    """
    path = Path(path)
    rows: list[Row] = []
    first_line: dict[Hashable, int] = {}
    problems = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse([field.strip() for field in line.split(separator)])
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        if key is not None and (first := first_line.setdefault(key(row), number)) != number:
            problems.append(f"line {number}: repeats line {first}")
        rows.append(row)
    if problems:
        shown = "; ".join(problems[:LINES_SHOWN])
        more = len(problems) - LINES_SHOWN
        raise DatasetError(
            f"{path}: {len(problems)} unusable lines: {shown}"
            + (f"; and {more} more" if more > 0 else "")
        )
    if not rows:
        raise DatasetError(f"{path}: holds no rows")
    return rows


def fields(line: list[str], count: int) -> list[str]:
    """The fields of a line, when there are as many as there should be."""
    if len(line) != count:
        raise ValueError(f"expected {count} fields, found {len(line)}")
    return line


def name(text: str) -> str:
    """A name that may become part of a path: letters, digits, ``_ . + -``, no leading dot."""
    if not NAME.fullmatch(text) or ".." in text:
        raise ValueError(f"{text[:40]!r} is not a plain file or folder name")
    return text


def integer(text: str, lowest: int, highest: int, what: str) -> int:
    """A whole number in a range."""
    # Only ASCII digits: int() also takes '1_0', ' 1' and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
        raise ValueError(f"{what} must be a number from {lowest} to {highest}, found {text[:20]!r}")
    return int(text)


def _text(path: Path) -> str:
    if not path.is_file():
        raise DatasetError(f"{path}: there is no such file; give the path of the published list")
    try:
        size = path.stat().st_size
        if size > MAX_LIST_BYTES:
            raise DatasetError(
                f"{path}: {size} bytes are no list of recordings; at most {MAX_LIST_BYTES} are read"
            )
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as text ({error})") from error
