"""Prophesee raw files: EVT 2.0 and EVT 3.0.

EVT2, 32-bit words, type in the top 4 bits::

    0 OFF, 1 ON     time bits 0-5 (6 bits)   x (11)   y (11)
    8 TIME_HIGH     time bits 6-33 (28)

EVT3, 16-bit words, type in the top 4 bits; x, y and time are kept from word to word::

    0 ADDR_Y        system type (1)   y (11)
    2 ADDR_X        polarity (1)      x (11)     one event
    3 VECT_BASE_X   polarity (1)      x (11)     no event
    4 VECT_12       12 pixels from the base, one bit each; the base then moves by 12
    5 VECT_8         8 pixels from the base, one bit each; the base then moves by 8
    6 TIME_LOW      time bits 0-11 (12)
    8 TIME_HIGH     time bits 12-23 (12)

Other types (triggers, vendor words, continuations) hold no events of pixels and are skipped.

The high part of the time wraps around: a fall by more than half its range is a wrap, a smaller one
a step back of the sensor, which is kept as it is (a reader that takes every fall for a wrap adds
time that never passed). A new TIME_HIGH sets the low part to 0 until its TIME_LOW comes. Events
before the first TIME_HIGH, and in EVT3 before the first ADDR_Y, have no known time or place and
are left out. Master and slave cameras share one time and are not told apart.

Sources: docs.prophesee.ai, "EVT 2.0 Format" and "EVT 3.0 Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.prophesee import TextHeader, read_header, shifted
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream, read_words
from snn.events.formats.tables import TableLayout
from snn.events.recording import EVENT_DTYPE, EventReport

PIXEL_BITS = 11
EVT2_TIME_BITS = 34
EVT3_WORDS = 1 << 16  # of at most 12 events each
VERSIONS = {"2.0": "EVT2", "3.0": "EVT3", "EVT2": "EVT2", "EVT3": "EVT3"}


def open_evt(path: Path, layout: TableLayout) -> EventStream:
    """Open an EVT2 or EVT3 file, told apart by its header; `layout` is not needed."""
    with path.open("rb") as file:
        header = read_header(file)
        start = file.tell()
    if header.values.get("endianness", "little") != "little":
        raise EventFormatError("its words are big-endian; export it again as little-endian EVT3")
    version = _version(header)
    decode = _evt2_chunks if version == "EVT2" else _evt3_chunks
    chunks = shifted(decode(path, start), header.start_us())
    return EventStream(version, header.sensor_size(), chunks)


def _version(header: TextHeader) -> str:
    stated = header.values.get("evt") or header.values.get("format", "").partition(";")[0]
    if stated not in VERSIONS:
        raise EventFormatError(
            f"its header says the format {stated!r}; expected a line '% evt 2.0' or '% evt 3.0'. "
            "Export EVT 2.1 and others as EVT 3.0"
        )
    return VERSIONS[stated]


def _evt2_chunks(path: Path, start: int) -> Iterator[np.ndarray]:
    state = np.zeros(2, np.int64)
    with path.open("rb") as file:
        file.seek(start)
        for words in read_words(file, "<u4", CHUNK_EVENTS):
            events = np.empty(len(words), EVENT_DTYPE)
            yield events[: _decode_evt2(words, state, events)]


def _evt3_chunks(path: Path, start: int) -> Iterator[np.ndarray]:
    state = np.zeros(7, np.int64)
    events = np.empty(12 * EVT3_WORDS, EVENT_DTYPE)
    with path.open("rb") as file:
        file.seek(start)
        for words in read_words(file, "<u2", EVT3_WORDS):
            yield events[: _decode_evt3(words, state, events)].copy()


@numba.njit(cache=True, error_model="numpy")
def _decode_evt2(words, state, events):  # type: ignore[no-untyped-def]
    """`state`: time of the last TIME_HIGH with its wraps, whether there was one."""
    high, known = state[0], state[1]
    n = 0
    for word in words:
        kind = word >> 28
        if kind <= 1:
            if known:
                events["x"][n] = word >> 11 & 0x7FF
                events["y"][n] = word & 0x7FF
                events["t"][n] = high + np.int64(word >> 22 & 0x3F)
                events["p"][n] = kind
                n += 1
        elif kind == 8:
            new = np.int64(word & 0xFFFFFFF) << 6
            last = high & ((1 << 34) - 1)
            wraps = high >> 34
            if known and last - new > 1 << 33:
                wraps += 1
            high, known = (wraps << 34) + new, 1
    state[0], state[1] = high, known
    return n


@numba.njit(cache=True, error_model="numpy")
def _decode_evt3(words, state, events):  # type: ignore[no-untyped-def]
    """`state`: wraps, time high, time low, y, base x, polarity, known (1 time, 2 y, 3 both)."""
    wraps, high, low, y, x, polarity, known = state
    t = (wraps << 24) + (high << 12) + low
    n = 0
    for word in words:
        kind = word >> 12
        value = np.int64(word & 0xFFF)
        if kind == 2:
            if known == 3:
                events["x"][n] = value & 0x7FF
                events["y"][n] = y
                events["t"][n] = t
                events["p"][n] = value >> 11
                n += 1
        elif kind == 4 or kind == 5:
            width = 12 if kind == 4 else 8
            if known == 3:
                for bit in range(width):
                    if value >> bit & 1:
                        events["x"][n] = x + bit
                        events["y"][n] = y
                        events["t"][n] = t
                        events["p"][n] = polarity
                        n += 1
            x = min(x + width, 0xFFF0)  # a damaged file must not wrap around to a real pixel
        elif kind == 3:
            x, polarity = value & 0x7FF, value >> 11
        elif kind == 0:
            y, known = value & 0x7FF, known | 2
        elif kind == 6:
            low = value
            t = (wraps << 24) + (high << 12) + low
        elif kind == 8:
            if known & 1 and high - value > 1 << 11:
                wraps += 1
            if value != high or not known & 1:
                low = np.int64(0)
            high, known = value, known | 1
            t = (wraps << 24) + (high << 12) + low
    state[:] = np.array([wraps, high, low, y, x, polarity, known])
    return n


def write_evt2(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write EVT2, with the sensor size in the header.

    Raises
    ------
    EventFormatError
        For a sensor above 2048×2048 pixels or times outside [0, 2**34) µs.
    """
    width, height = sensor_size
    if max(sensor_size) > 1 << PIXEL_BITS or not 0 <= report.first_us <= report.last_us < (
        1 << EVT2_TIME_BITS
    ):
        raise EventFormatError(
            "EVT2 holds sensors of up to 2048×2048 pixels and times in [0, 2**34) µs; this is "
            f"{width}×{height} with times {report.first_us} to {report.last_us} µs; "
            "shift the times to start at 0, or write .npz"
        )
    with path.open("wb") as file:
        file.write(f"% evt 2.0\n% format EVT2;height={height};width={width}\n".encode())
        file.write(f"% geometry {width}x{height}\n% end\n".encode())
        high = np.full(1, -1, np.int64)
        for events in chunks:
            words = np.empty(2 * len(events), "<u4")
            file.write(words[: _encode_evt2(events, high, words)].tobytes())


@numba.njit(cache=True, error_model="numpy")
def _encode_evt2(events, high, words):  # type: ignore[no-untyped-def]
    """A TIME_HIGH before every event whose upper time bits differ from those before."""
    n = 0
    for i in range(len(events)):
        t = events["t"][i]
        if t >> 6 != high[0]:
            high[0] = t >> 6
            words[n] = np.int64(8) << 28 | high[0]
            n += 1
        pixel = np.int64(events["x"][i]) << 11 | np.int64(events["y"][i])
        words[n] = np.int64(events["p"][i]) << 28 | (t & 0x3F) << 22 | pixel
        n += 1
    return n


FORMAT = EventFormat(
    name="EVT2 and EVT3", suffixes=(".raw",), magic=b"% ", open=open_evt, write=write_evt2
)
