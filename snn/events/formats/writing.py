"""Writing recordings: from memory, or from another file piece by piece.

>>> convert("long.raw", "long.npz")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.reading import FORMATS, RecordingInfo, describe, read_windows
from snn.events.formats.stream import CHUNK_EVENTS, NamedError, Writer
from snn.events.formats.tables import TableLayout
from snn.events.recording import EVENT_DTYPE, EventInspector, Recording, inspect
from snn.files import replacing

WRITERS: dict[str, Writer] = {
    suffix: entry.write for entry in FORMATS if entry.write for suffix in entry.suffixes
}


def write_recording(path: str | Path, recording: Recording, *, overwrite: bool = False) -> None:
    """Write a recording in the format of the ending; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        With one of the endings in `WRITERS`. ``.raw`` is EVT2; ``.bin`` and ``.npy`` do not keep
        the sensor size.
    recording : Recording
    overwrite : bool
        Whether to replace a file that is there.

    Raises
    ------
    EventFormatError
        For an unknown ending, an existing file, or events that the format cannot hold.
    """
    path, writer = _target(path, overwrite)
    events = recording.events
    parts = (events[i : i + CHUNK_EVENTS] for i in range(0, len(events), CHUNK_EVENTS))
    with _naming_target(path), replacing(path) as temporary:
        writer(temporary, inspect(events, recording.sensor_size), recording.sensor_size, parts)


def convert(
    source: str | Path,
    target: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    on_disorder: str = "error",
    on_outside: str = "error",
    layout: TableLayout | None = None,
    start_at_zero: bool = False,
    overwrite: bool = False,
) -> RecordingInfo:
    """Write a recording file in another format, in pieces, so that it may be of any length.

    Parameters
    ----------
    source, target : str or Path
        `target` has one of the endings in `WRITERS`.
    sensor_size, on_disorder, on_outside, layout
        As for `read_recording`.
    start_at_zero : bool
        Subtract the earliest time from all.
    overwrite : bool
        Whether to replace a file that is there.

    Returns
    -------
    RecordingInfo
        Of `target`, as it was written.

    Raises
    ------
    EventFormatError
        As `read_recording` and `write_recording`; nothing is left behind.
    """
    target, writer = _target(target, overwrite)
    options: dict[str, Any] = {
        "on_disorder": on_disorder,
        "on_outside": on_outside,
        "layout": layout,
    }
    info = describe(source, sensor_size=sensor_size, layout=layout)
    if not info.report.events:
        raise EventFormatError(f"{source}: the recording is empty")
    size = info.sensor_size
    shift = info.report.first_us if start_at_zero else 0

    def pieces() -> Iterator[np.ndarray]:
        for part in read_windows(source, max_events=CHUNK_EVENTS, sensor_size=size, **options):
            part.events["t"] -= shift
            yield part.events

    written = EventInspector(size)  # what is left after the repairs asked for
    for events in pieces():
        written.add(events)
    with _naming_target(target), replacing(target) as temporary:
        writer(temporary, written.report(), size, pieces())
    return describe(target, sensor_size=size)


def write_stream(
    path: str | Path,
    chunks: Iterable[np.ndarray],
    sensor_size: tuple[int, int],
    *,
    overwrite: bool = False,
) -> RecordingInfo:
    """Write events that come one after the other and are too many to hold, such as a camera's.

    What a format must know first (how many there are, whether times fit) is known last, so the
    events wait in a nameless file of 13 bytes each beside `path`.

    Parameters
    ----------
    path : str or Path
        With one of the endings in `WRITERS`.
    chunks : iterable of ndarray of ``EVENT_DTYPE``
        In time order.
    sensor_size : tuple of int
        ``(width, height)``.
    overwrite : bool
        Whether to replace a file that is there.

    Returns
    -------
    RecordingInfo
        Of `path`, as it was written.

    Raises
    ------
    EventFormatError
        As `write_recording`; nothing is left behind.
    """
    path, writer = _target(path, overwrite)
    inspector = EventInspector(sensor_size)
    with _naming_target(path), TemporaryFile(dir=path.parent) as spool:
        for events in chunks:
            inspector.add(events)
            spool.write(events.tobytes())
        report = inspector.report()
        spool.seek(0)
        with replacing(path) as temporary:
            writer(temporary, report, sensor_size, _spooled(spool))
    return describe(path, sensor_size=sensor_size)


def _spooled(spool: IO[bytes]) -> Iterator[np.ndarray]:
    while packed := spool.read(CHUNK_EVENTS * EVENT_DTYPE.itemsize):
        yield np.frombuffer(packed, EVENT_DTYPE)


@contextmanager
def _naming_target(path: Path) -> Iterator[None]:
    try:
        yield
    except NamedError:  # of the file that is read
        raise
    except EventFormatError as error:
        raise EventFormatError(f"{path}: {error}") from None
    except OSError as error:
        raise EventFormatError(f"{path}: cannot be written ({error})") from error


def _target(path: str | Path, overwrite: bool) -> tuple[Path, Writer]:
    path = Path(path)
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise EventFormatError(
            f"{path}: cannot write {path.suffix or 'files without an ending'!r}; "
            f"there are writers for {', '.join(WRITERS)}"
        )
    if path.exists() and not overwrite:
        raise EventFormatError(f"{path}: exists already; choose another name, or overwrite it")
    return path, writer
