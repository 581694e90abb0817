"""N-MNIST and N-Caltech101 binary files: 40 bits an event.

Byte 0 is x, byte 1 is y, then polarity (1 bit) and time in µs (23 bits), big-endian. An address of
(any x, 240) is no event: it marks that the clock overflowed by 2**13 µs. The sensor size is not
stored.

Source: G. Orchard et al., "Converting Static Image Datasets to Spiking Neuromorphic Datasets Using
Saccades", Frontiers in Neuroscience 2015, and its published reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream
from snn.events.formats.tables import TableLayout
from snn.events.recording import EventReport, make_events

EVENT_BYTES = 5
OVERFLOW_ROW = 240
TIME_BITS = 23


def open_nmnist(path: Path, layout: TableLayout) -> EventStream:
    """Open an N-MNIST file; `layout` is not needed."""
    size = path.stat().st_size
    if size % EVENT_BYTES:
        raise EventFormatError(
            f"{size} bytes are not a whole number of {EVENT_BYTES}-byte events; "
            "the file is truncated or not in the N-MNIST format"
        )
    return EventStream("N-MNIST", None, _chunks(path))


def _chunks(path: Path) -> Iterator[np.ndarray]:
    overflows = 0
    with path.open("rb") as file:
        while block := file.read(CHUNK_EVENTS * EVENT_BYTES):
            raw = np.frombuffer(block, np.uint8).reshape(-1, EVENT_BYTES).astype(np.int64)
            overflowed = raw[:, 1] == OVERFLOW_ROW
            t = ((raw[:, 2] & 0x7F) << 16) | (raw[:, 3] << 8) | raw[:, 4]
            t += (overflows + np.cumsum(overflowed)) << 13
            overflows += int(overflowed.sum())
            yield make_events(raw[:, 0], raw[:, 1], t, raw[:, 2] >> 7)[~overflowed]


def write_nmnist(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write an N-MNIST file; the sensor size is lost.

    Raises
    ------
    EventFormatError
        For events at y = 240 or beyond 256×256 pixels, or times outside [0, 2**23) µs.
    """
    if max(report.extent) > 256 or report.first_us < 0 or report.last_us >= 1 << TIME_BITS:
        raise EventFormatError(
            "N-MNIST holds 256×256 pixels and times in [0, 8388608) µs; these events reach "
            f"{report.extent[0]}×{report.extent[1]} pixels and times {report.first_us} to "
            f"{report.last_us} µs; shift the times to start at 0, or write .npz"
        )
    with path.open("wb") as file:
        for events in chunks:
            if (events["y"] == OVERFLOW_ROW).any():
                raise EventFormatError("N-MNIST cannot hold events in row 240; write .npz")
            t = events["t"]
            columns = (events["x"], events["y"], t >> 16 | events["p"].astype(np.int64) << 7)
            raw = np.stack([*columns, t >> 8 & 0xFF, t & 0xFF], axis=1)
            file.write(raw.astype(np.uint8).tobytes())


FORMAT = EventFormat(name="N-MNIST", suffixes=(".bin",), open=open_nmnist, write=write_nmnist)
