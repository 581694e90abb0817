"""Text files of events: one a line, four numbers, with or without a line that names them.

Separators are commas, semicolons, tabs or spaces. Lines that begin with ``#`` are comments. A
header line names the columns, and may state the unit of time as in ``t_us`` or ``time [s]``;
without one `TableLayout` must say the columns, for tools disagree: v2e writes t x y p, Prophesee
x,y,p,t. A first line of two numbers is the sensor size, as is a comment ``# width=346 height=260``
or names like faery's ``x@346,y@260``.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numba
import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import EventFormat, EventStream, checked_size
from snn.events.formats.tables import TableLayout, named_fields, to_events
from snn.events.recording import EVENT_DTYPE, EVENT_FIELDS, EventReport

BLOCK_BYTES = 1 << 23
MAX_LINE_BYTES = 1 << 12
MAX_COMMENT_LINES = 1000
SIZE_COMMENT = re.compile(r"#\s*width=(\d{1,9})\s+height=(\d{1,9})\s*$")
SEPARATORS = re.compile(r"\s*[,;]\s*|\s+")
DIGITS = 20  # of the longest 64-bit number, with its sign


def open_text(path: Path, layout: TableLayout) -> EventStream:
    """Open a text file of events."""
    with path.open("rb") as file:
        size, names, start = _header(file)
    unit = None
    order = tuple(layout.columns) if layout.columns else None
    if names:
        fields, unit = named_fields(names)
        if len(fields) == len(EVENT_FIELDS) and order is None:
            named = {name: field for field, name in fields.items()}
            order = tuple(named.get(name, "") for name in names)
    if order is None and names:
        raise EventFormatError(
            f"its header names {list(names)}; expected x, y, t and p, "
            "or say which columns they are, as in columns='txyp'"
        )
    if order is None:
        raise EventFormatError(
            "has no line that names its columns; say which they are, as in columns='txyp'"
        )
    return EventStream("text", size, _chunks(path, start, order, layout.time_unit or unit))


def _header(file: BinaryIO) -> tuple[tuple[int, int] | None, tuple[str, ...], int]:
    """Sensor size, column names and where the numbers begin."""
    size: tuple[int, int] | None = None
    names: tuple[str, ...] = ()
    for _ in range(MAX_COMMENT_LINES):
        start = file.tell()
        line = file.readline(MAX_LINE_BYTES)
        text = line.decode("utf8", "replace").strip()
        if len(line) == MAX_LINE_BYTES or "\0" in text:
            raise EventFormatError("is not a text file of one event a line")
        if not line:
            return size, names, start
        words = tuple(w for w in SEPARATORS.split(text.lstrip("\ufeff")) if w)
        if text.startswith("#") or not words:
            if stated := SIZE_COMMENT.match(text):
                size = checked_size(int(stated[1]), int(stated[2]))
            commented = _names(text.lstrip("# "))
            if len(named_fields(commented)[0]) == len(EVENT_FIELDS):
                names = commented
        elif len(words) == 2 and all(w.isdecimal() for w in words) and not names:
            size = checked_size(*(int(w[:9]) for w in words))
        elif any(re.match(r"[a-zA-Z]", word) for word in words) and not names:
            sides = [re.search(rf"\b{axis}@(\d{{1,9}})\b", text) for axis in "xy"]
            if sides[0] and sides[1]:
                size = checked_size(int(sides[0][1]), int(sides[1][1]))
            names = _names(re.sub(r"@\d+", "", text))
        else:
            return size, names, start
    raise EventFormatError(f"begins with more than {MAX_COMMENT_LINES} lines without numbers")


def _names(text: str) -> tuple[str, ...]:
    """The names in a header line; with commas, a name may hold a space as in ``time [s]``."""
    return tuple(re.split(r"[,;\t]", text)) if re.search(r"[,;\t]", text) else tuple(text.split())


def _chunks(
    path: Path, start: int, order: tuple[str, ...], unit: str | None
) -> Iterator[np.ndarray]:
    columns = {field: order.index(field) for field in EVENT_FIELDS}
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while block := file.read(BLOCK_BYTES):
            block = rest + block
            end = block.rfind(b"\n") + 1
            if len(block) - end > MAX_LINE_BYTES:
                raise EventFormatError("is not a text file of one event a line")
            rest = block[end:]
            yield _parse(block[:end], columns, unit)
        yield _parse(rest, columns, unit)


def _parse(block: bytes, columns: dict[str, int], unit: str | None) -> np.ndarray:
    """The events of some whole lines."""
    plain = block.translate(_SPACES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that there is nothing but comments
            table = np.loadtxt(io.BytesIO(plain), ndmin=2, comments="#", encoding="latin1")
    except ValueError as error:
        raise EventFormatError(f"a line does not hold the numbers of an event ({error})") from None
    if not table.size:
        return np.zeros(0, EVENT_DTYPE)
    if table.shape[1] <= max(columns.values()):
        raise EventFormatError(f"expected 4 numbers in a line, found {table.shape[1]}")
    return to_events({field: table[:, column] for field, column in columns.items()}, unit)


_SPACES = bytes.maketrans(b",;\t", b"   ")


def write_text(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write CSV with the sensor size in a comment and the columns t_us, x, y, p."""
    with path.open("wb") as file:
        file.write("# width={} height={}\nt_us,x,y,p\n".format(*sensor_size).encode())
        for events in chunks:
            text = np.empty(len(events) * (DIGITS + 14), np.uint8)
            file.write(text[: _format(events, text)].tobytes())


@numba.njit(cache=True, error_model="numpy")
def _format(events, text):  # type: ignore[no-untyped-def]
    """Decimal digits of each event into `text`; returns the number of bytes."""
    digits = np.empty(DIGITS, np.uint8)
    n = 0
    for i in range(len(events)):
        for column in range(4):
            if column == 0:
                value = events["t"][i]
            elif column == 1:
                value = np.int64(events["x"][i])
            elif column == 2:
                value = np.int64(events["y"][i])
            else:
                value = np.int64(events["p"][i])
            if value < 0:
                text[n] = 45  # minus
                n += 1
                value = -value
            count = 0
            while count == 0 or value:
                digits[count] = 48 + value % 10
                value //= 10
                count += 1
            for place in range(count - 1, -1, -1):
                text[n] = digits[place]
                n += 1
            text[n] = 10 if column == 3 else 44  # line feed, comma
            n += 1
    return n


FORMAT = EventFormat(name="text", suffixes=(".csv", ".txt"), open=open_text, write=write_text)
