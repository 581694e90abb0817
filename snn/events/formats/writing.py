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
from snn.events.formats.reading import (
    FORMATS,
    REORDER_US,
    RecordingInfo,
    describe,
    read_recording,
    read_windows,
)
from snn.events.formats.stream import CHUNK_EVENTS, NamedError, Writer
from snn.events.formats.tables import TableLayout
from snn.events.recording import (
    EVENT_DTYPE,
    MAX_TIME_US,
    EventInspector,
    EventReport,
    Recording,
    inspect,
)
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

    Only a recording to be sorted whose times step back by more than `REORDER_US` is read whole.

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
    target, _ = _target(target, overwrite)
    info = describe(source, sensor_size=sensor_size, layout=layout)
    if not info.report.events:
        raise EventFormatError(f"{source}: the recording is empty")
    options: dict[str, Any] = {
        "sensor_size": info.sensor_size,
        "on_disorder": on_disorder,
        "on_outside": on_outside,
        "layout": layout,
    }
    shift = info.report.first_us if start_at_zero else 0

    def pieces() -> Iterator[np.ndarray]:
        # Events too late for a window find their place only among all others.
        if on_disorder == "sort" and info.report.largest_step_back_us > REORDER_US:
            parts: Iterable[Recording] = [read_recording(source, **options)]
        else:
            parts = read_windows(source, max_events=CHUNK_EVENTS, **options)
        for part in parts:
            part.events["t"] -= shift
            yield part.events

    return write_stream(target, pieces(), info.sensor_size, overwrite=overwrite)


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
        As `write_recording`; what `chunks` raises comes through as it is. Nothing is left behind.
    """
    path, writer = _target(path, overwrite)
    inspector = EventInspector(sensor_size)
    with _naming_target(path), TemporaryFile(dir=path.parent) as spool:
        for events in _from_source(chunks):
            inspector.add(events)
            spool.write(events.tobytes())
        report = inspector.report()
        _check_recording(report)
        spool.seek(0)
        with replacing(path) as temporary:
            writer(temporary, report, sensor_size, _spooled(spool))
    return describe(path, sensor_size=sensor_size)


def _from_source(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The chunks; an error of theirs is about what is read, not about the file being written."""
    try:
        yield from chunks
    except EventFormatError as error:
        raise NamedError(str(error)) from error


def _check_recording(report: EventReport) -> None:
    """Refuse to write what no reader would take back."""
    if report.outside or report.bad_polarities or report.steps_back:
        raise EventFormatError(f"the events are no recording: {'; '.join(report.problems())}")
    if not -MAX_TIME_US <= report.first_us <= report.last_us <= MAX_TIME_US:
        raise EventFormatError(
            f"times must lie within ±2**61 µs, got {report.first_us} to {report.last_us}"
        )


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
            f"{path}: cannot write {path.suffix or 'files without an ending'}; "
            f"there are writers for {', '.join(WRITERS)}"
        )
    if not path.parent.is_dir():
        raise EventFormatError(f"{path}: there is no folder {path.parent}; create it first")
    if path.exists() and not overwrite:
        raise EventFormatError(f"{path}: exists already; choose another name, or overwrite it")
    return path, writer
