"""Event Stream files (``.es``), version 2, of type DVS: 5 bytes an event.

A header of 20 bytes: ``Event Stream``, three version bytes, the type, width and height (16 bits
each, little-endian). Then, an event at a time: time since the event before (7 bits) and polarity
(lowest bit) in one byte, x, y (16 bits each), y counted from the bottom row. The byte 255 adds
127 µs and is no event; 254 is none either. The first time counts from 0: when the recording began
is not stored.

Source: github.com/neuromorphic-paris/event_stream, README.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream, checked_size
from snn.events.formats.tables import TableLayout
from snn.events.recording import EVENT_DTYPE

MAGIC = b"Event Stream"
HEADER_BYTES = 20
DVS = 1
EVENT_BYTES = 5


def open_es(path: Path, layout: TableLayout) -> EventStream:
    """Open an Event Stream file; `layout` is not needed."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        raise EventFormatError("does not begin with 'Event Stream' and a whole header")
    if header[12] != 2 or header[15] != DVS:
        raise EventFormatError(
            f"Event Stream version {header[12]} of type {header[15]}; "
            "only version 2 of type 1 (DVS) can be read"
        )
    size = checked_size(*np.frombuffer(header, "<u2", 2, offset=16).tolist())
    return EventStream("ES", size, _chunks(path, size[1]))


def _chunks(path: Path, height: int) -> Iterator[np.ndarray]:
    rest, time = b"", np.zeros(1, np.int64)
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while block := file.read(CHUNK_EVENTS * EVENT_BYTES):
            block = rest + block
            events = np.empty(len(block) // EVENT_BYTES + 1, EVENT_DTYPE)
            used, n = _decode(np.frombuffer(block, np.uint8), height, time, events)
            rest = block[used:]
            yield events[:n]
    if rest:
        raise EventFormatError("ends in the middle of an event; the file is truncated")


@numba.njit(cache=True, error_model="numpy")
def _decode(data, height, time, events):  # type: ignore[no-untyped-def]
    """Whole events only; returns the bytes used and the events found."""
    t, i, n = time[0], 0, 0
    while i < len(data):
        first = np.int64(data[i])
        if first >= 254:
            t += 127 * (first == 255)
            i += 1
            continue
        if i + 5 > len(data):
            break
        t += first >> 1
        events["x"][n] = np.int64(data[i + 1]) | np.int64(data[i + 2]) << 8
        # A row below the lowest, in a damaged file, wraps around to one above the highest.
        events["y"][n] = height - 1 - (np.int64(data[i + 3]) | np.int64(data[i + 4]) << 8)
        events["t"][n] = t
        events["p"][n] = first & 1
        i += 5
        n += 1
    time[0] = t
    return i, n


FORMAT = EventFormat(name="Event Stream", suffixes=(".es",), magic=MAGIC, open=open_es)
