"""Prophesee DAT files, version 2: 8 bytes an event after a text header.

Little-endian: time in µs (32 bits), then x (14 bits), y (14 bits), polarity (4 bits). Two bytes
between header and events say the type (0 or 12) and the size (8). The time wraps around after
71.6 minutes: a fall by more than half its range is a wrap.

Source: docs.prophesee.ai, "DAT File Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.prophesee import read_header, shifted
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream, read_words
from snn.events.formats.tables import TableLayout
from snn.events.recording import EVENT_DTYPE

EVENT_TYPES = (0, 12)  # Event2d, EventCD
EVENT_BYTES = 8


def open_dat(path: Path, layout: TableLayout) -> EventStream:
    """Open a DAT file; `layout` is not needed."""
    with path.open("rb") as file:
        header = read_header(file)
        kind = file.read(2)
        start = file.tell()
    version = header.values.get("version", "2")
    if version != "2":
        raise EventFormatError(f"DAT version {version}; only version 2 can be read")
    if len(kind) < 2 or kind[0] not in EVENT_TYPES or kind[1] != EVENT_BYTES:
        raise EventFormatError(
            f"expected events of type 0 or 12 and 8 bytes, found {list(kind)}; "
            "this is no DAT file of pixel events"
        )
    chunks = shifted(_chunks(path, start), header.start_us())
    return EventStream("DAT", header.sensor_size(), chunks)


def _chunks(path: Path, start: int) -> Iterator[np.ndarray]:
    state = np.zeros(2, np.int64)
    with path.open("rb") as file:
        file.seek(start)
        for words in read_words(file, "<u8", CHUNK_EVENTS):
            events = np.empty(len(words), EVENT_DTYPE)
            _decode(words, state, events)
            if events["p"].max() > 1:
                raise EventFormatError(f"polarities must be 0 or 1, found {events['p'].max()}")
            yield events


@numba.njit(cache=True, error_model="numpy")
def _decode(words, state, events):  # type: ignore[no-untyped-def]
    """`state`: the time before, and how often the clock has wrapped around."""
    last, wraps = state[0], state[1]
    for i in range(len(words)):
        low, high = np.int64(words[i] & 0xFFFFFFFF), np.int64(words[i] >> 32)
        wraps += last - low > 1 << 31
        last = low
        events["x"][i] = high & 0x3FFF
        events["y"][i] = high >> 14 & 0x3FFF
        events["t"][i] = (wraps << 32) + low
        events["p"][i] = high >> 28
    state[0], state[1] = last, wraps


FORMAT = EventFormat(name="DAT", suffixes=(".dat",), magic=b"% ", open=open_dat)
