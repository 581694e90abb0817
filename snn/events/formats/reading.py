"""Reading a recording whole, in windows, or only for a summary.

All three go through the same piecewise readers, so that a window is exactly a part of the whole
read, and only the whole read needs memory for all events.

Files are often out of order: a sensor's read-out gives small steps back, an event that was written
late a larger one. The order of events is data, so a step back is an error unless the caller chooses

- ``on_disorder="sort"``: events move to where their time belongs (stable). In windows this reaches
  back `REORDER_US`; what comes later still is an error, and needs a whole read;
- ``on_disorder="clamp"``: events keep their place, a time that steps back becomes that of the event
  before (as faery does for EVT2 and EVT3).

>>> for window in read_windows("long.raw", window_us=40_000): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats import aedat, arrays, dat, es, evt, hdf5, nmnist, text
from snn.events.formats.stream import EventFormat, EventStream, checked_size, naming
from snn.events.formats.tables import TableLayout
from snn.events.recording import (
    EVENT_DTYPE,
    EventInspector,
    EventReport,
    Recording,
    clamp_times,
    drop_outside,
    sort_events,
)

MAX_EVENTS = 200_000_000  # of one array: 2.6 GB
REORDER_US = 100_000
DISORDER = ("error", "sort", "clamp")
OUTSIDE = ("error", "drop")
FORMATS: tuple[EventFormat, ...] = (
    nmnist.FORMAT,
    hdf5.FORMAT,
    evt.FORMAT,
    dat.FORMAT,
    aedat.FORMAT,
    es.FORMAT,
    arrays.NPY,
    arrays.NPZ,
    text.FORMAT,
)
READERS = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}


@dataclass(frozen=True, kw_only=True)
class RecordingInfo:
    """What a file holds, found without holding it.

    Attributes
    ----------
    path : Path
    format : str
        With its version, as ``"EVT3"``.
    sensor_size : tuple of int
        ``(width, height)``; (0, 0) for a file without events that does not store it.
    sensor_size_stored : bool
        False when the file does not say it: it is then the size that the caller gave or, by
        default, the smallest sensor that holds all events.
    report : EventReport
        Counts, times, rate, and what is odd.
    """

    path: Path
    format: str
    sensor_size: tuple[int, int]
    sensor_size_stored: bool
    report: EventReport


def find_format(path: str | Path) -> EventFormat:
    """The format of a file, by the ending of its name and its first bytes.

    Raises
    ------
    EventFormatError
        For an unknown ending, a missing file, or contents of another format.
    """
    path = Path(path)
    if path.is_dir():
        raise EventFormatError(f"{path}: is a folder; give one recording, a file")
    found = READERS.get(path.suffix.lower())
    if found is None:
        raise EventFormatError(
            f"{path}: no reader for {path.suffix or 'files without an ending'}; "
            f"there are readers for {', '.join(READERS)}"
        )
    if not path.is_file():
        raise EventFormatError(f"{path}: there is no such file")
    with naming(path), path.open("rb") as file:
        start = file.read(16)
        for other in FORMATS:
            if len(other.magic) > 2 and start.startswith(other.magic) and other is not found:
                raise EventFormatError(
                    f"is named {path.suffix} but holds {other.name}; "
                    f"give it the ending {other.suffixes[0]}"
                )
    return found


def open_stream(path: str | Path, layout: TableLayout | None = None) -> EventStream:
    """Open a recording without reading its events; they may be in any order.

    Raises
    ------
    EventFormatError
        For a missing, foreign or damaged file; later also from the iterator.
    """
    path = Path(path)
    entry = find_format(path)
    with naming(path):
        stream = entry.open(path, layout or TableLayout())
    return EventStream(stream.format, stream.sensor_size, _named(path, stream.chunks))


def _named(path: Path, chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    with naming(path):
        yield from chunks


def describe(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    layout: TableLayout | None = None,
) -> RecordingInfo:
    """Read a file once, piece by piece, and say what it holds; odd events are counted, not errors.

    Parameters
    ----------
    path : str or Path
    sensor_size : tuple of int, optional
        ``(width, height)``, instead of the stored one.
    layout : TableLayout, optional
        For tables that do not explain themselves.

    Raises
    ------
    EventFormatError
        For a missing, foreign or damaged file.
    """
    given = _checked_given(path, sensor_size)
    with closing(open_stream(path, layout)) as stream:
        size = given or stream.sensor_size
        inspector = EventInspector(size)
        for events in stream.chunks:
            inspector.add(events)
    report = inspector.report()
    return RecordingInfo(
        path=Path(path),
        format=stream.format,
        sensor_size=size or report.extent,
        sensor_size_stored=stream.sensor_size is not None,
        report=report,
    )


def read_recording(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    on_disorder: str = "error",
    on_outside: str = "error",
    layout: TableLayout | None = None,
) -> Recording:
    """Read a whole recording of at most `MAX_EVENTS` events.

    Parameters
    ----------
    path : str or Path
        With one of the endings in `READERS`.
    sensor_size : tuple of int, optional
        ``(width, height)``; by default the stored one or, where none is, the smallest sensor that
        holds all events.
    on_disorder : {"error", "sort", "clamp"}
        What to do about times that step back, see above.
    on_outside : {"error", "drop"}
        What to do about events outside the sensor.
    layout : TableLayout, optional
        For tables that do not explain themselves.

    Raises
    ------
    EventFormatError
        For a missing, foreign, damaged, too large or empty file, or events that `on_disorder` and
        `on_outside` do not allow.
    """
    _check_choices(on_disorder, on_outside)
    path = Path(path)
    given = _checked_given(path, sensor_size)
    chunks, count = [], 0
    with closing(open_stream(path, layout)) as stream:
        for chunk in stream.chunks:
            count += len(chunk)
            if count > MAX_EVENTS:
                raise EventFormatError(
                    f"{path}: holds more than {MAX_EVENTS} events, too many to take at once; "
                    "read it in windows"
                )
            chunks.append(chunk)
    if not count:
        raise EventFormatError(f"{path}: the recording is empty")
    with naming(path):
        events = np.concatenate(chunks)
        del chunks
        size = given or stream.sensor_size
        if size is None:
            size = (int(events["x"].max()) + 1, int(events["y"].max()) + 1)
        if on_outside == "drop":
            events = drop_outside(events, size)
        if on_disorder != "error":
            events = sort_events(events) if on_disorder == "sort" else clamp_times(events)
        return Recording(events, sensor_size=size, source=str(path))


def read_windows(
    path: str | Path,
    *,
    max_events: int | None = None,
    window_us: int | None = None,
    sensor_size: tuple[int, int] | None = None,
    on_disorder: str = "error",
    on_outside: str = "error",
    layout: TableLayout | None = None,
) -> Iterator[Recording]:
    """Read a recording in parts that follow each other; memory is needed for one part at a time.

    Parameters
    ----------
    path : str or Path
    max_events : int, optional
        Events in each part, less in the last; exactly one of this and `window_us` is given.
    window_us : int, optional
        Parts of ``[t_0 + k window_us, t_0 + (k + 1) window_us)``, ``t_0`` the time of the first
        event. Those without events are left out: the times of the events tell where a part lies.
    sensor_size, on_disorder, on_outside, layout
        As for `read_recording`. Without a stored or given size the file is first read once for it.

    Raises
    ------
    EventFormatError
        As `read_recording`, when the part is reached; an empty file has no parts.
    """
    _check_choices(on_disorder, on_outside)
    if (max_events is None) == (window_us is None) or (max_events or window_us or 0) < 1:
        raise EventFormatError(
            "give exactly one of max_events and window_us, at least 1; "
            f"got {max_events} and {window_us}"
        )
    path = Path(path)
    given = _checked_given(path, sensor_size)
    stream = open_stream(path, layout)
    size = given or stream.sensor_size or describe(path, layout=layout).sensor_size
    chunks = stream.chunks
    if on_outside == "drop":
        chunks = (drop_outside(chunk, size) for chunk in chunks)
    chunks = _in_order(chunks, on_disorder)
    cut = _by_count(chunks, max_events) if max_events else _by_time(chunks, window_us or 0)
    return _recordings(path, size, stream, cut)


def _recordings(
    path: Path, size: tuple[int, int], stream: EventStream, parts: Iterator[np.ndarray]
) -> Iterator[Recording]:
    with closing(stream), naming(path):
        for events in parts:
            yield Recording(events, sensor_size=size, source=str(path))


def _check_choices(on_disorder: str, on_outside: str) -> None:
    for name, value, allowed in (
        ("on_disorder", on_disorder, DISORDER),
        ("on_outside", on_outside, OUTSIDE),
    ):
        if value not in allowed:
            raise EventFormatError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _checked_given(path: str | Path, size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The sensor size that the caller gave, if one was."""
    with naming(Path(path)):
        return None if size is None else checked_size(*size)


def _in_order(chunks: Iterator[np.ndarray], how: str) -> Iterator[np.ndarray]:
    """The same events in time order, as a whole read would give them."""
    last: int | None = None
    held = np.zeros(0, EVENT_DTYPE)
    for chunk in chunks:
        if not len(chunk):
            continue
        if how == "clamp":
            chunk = clamp_times(chunk, floor_us=last)
        elif how == "sort":
            held = sort_events(np.concatenate([held, chunk]))
            ready = int(np.searchsorted(held["t"], held["t"][-1] - REORDER_US, side="right"))
            chunk, held = held[:ready], held[ready:]
        if not len(chunk):
            continue
        if last is not None and chunk["t"][0] < last:
            advice = (
                f"more than the {REORDER_US} µs that windows can sort; read the whole recording"
                if how == "sort"
                else "sort the events (on_disorder='sort'), or clamp their times"
            )
            raise EventFormatError(
                f"time runs backwards by {last - int(chunk['t'][0])} µs; {advice}"
            )
        last = int(chunk["t"][-1])
        yield chunk
    if len(held):
        yield held


def _by_count(chunks: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    parts: list[np.ndarray] = []
    held = 0
    for chunk in chunks:
        parts.append(chunk)
        held += len(chunk)
        if held < count:
            continue
        events = np.concatenate(parts)
        whole = held // count * count
        for start in range(0, whole, count):
            yield events[start : start + count].copy()
        parts, held = [events[whole:].copy()], held - whole
    if held:
        yield np.concatenate(parts)


def _by_time(chunks: Iterator[np.ndarray], window_us: int) -> Iterator[np.ndarray]:
    """Windows from the first event on; a window ends with the first event beyond it."""
    parts: list[np.ndarray] = []
    held = 0
    start: int | None = None
    for chunk in chunks:
        start = int(chunk["t"][0]) if start is None else start
        index = (chunk["t"] - start) // window_us
        borders = np.flatnonzero(np.diff(index)) + 1
        for piece in np.split(chunk, borders):
            window = (int(piece["t"][0]) - start) // window_us
            if parts and (int(parts[-1]["t"][-1]) - start) // window_us != window:
                yield np.concatenate(parts)
                parts, held = [], 0
            held += len(piece)
            if held > MAX_EVENTS:
                raise EventFormatError(
                    f"a window of {window_us} µs holds more than {MAX_EVENTS} events; "
                    "take shorter windows"
                )
            parts.append(piece)
    if parts:
        yield np.concatenate(parts)
