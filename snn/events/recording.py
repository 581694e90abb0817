"""An event recording: one structured array and the sensor that made it.

An event ``(x, y, t, p)`` says that pixel ``(x, y)`` became brighter (``p = 1``) or darker
(``p = 0``) at time ``t``. Nothing else in the package invents its own event layout. A `Recording`
is always in order and inside its sensor; `inspect` counts what is odd in events that are not yet
one, and `sort_events`, `clamp_times` and `drop_outside` are the repairs, made only when asked for.

>>> recording = Recording(np.zeros(0, EVENT_DTYPE), sensor_size=(64, 48))
>>> recording.duration_us
0
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from snn.errors import EventFormatError

EVENT_FIELDS = ("x", "y", "t", "p")
EVENT_DTYPE = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "u1")])
MAX_TIME_US = 1 << 61  # in either direction, so that no difference of two times overflows
TABLE_PIXELS = 1 << 22  # 2048×2048, the largest sensor that duplicates are counted for


@dataclass(frozen=True)
class Recording:
    """Events of one recording in time order.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
        ``t`` in microseconds and never decreasing, ``p`` in {0, 1}.
    sensor_size : tuple of int
        ``(width, height)`` in pixels.
    source : str
        Where the events came from, for error messages and reports.

    Raises
    ------
    EventFormatError
        For a foreign dtype, coordinates outside the sensor, other polarities, or time steps back.
    """

    events: np.ndarray
    sensor_size: tuple[int, int]
    source: str = "recording"

    def __post_init__(self) -> None:
        problem = _first_problem(self.events, self.sensor_size)
        if problem:
            raise EventFormatError(f"{self.source}: {problem}")

    def __len__(self) -> int:
        return len(self.events)

    @property
    def duration_us(self) -> int:
        """Time from the first to the last event in microseconds; 0 for an empty recording."""
        return int(self.events["t"][-1] - self.events["t"][0]) if len(self.events) else 0


def _first_problem(events: np.ndarray, sensor_size: tuple[int, int]) -> str | None:
    width, height = sensor_size
    if events.dtype != EVENT_DTYPE or events.ndim != 1:
        return (
            f"expected a 1-d array of {EVENT_DTYPE.names} events, "
            f"got {events.dtype} of shape {events.shape}"
        )
    if width < 1 or height < 1:
        return f"a sensor is at least 1×1 pixels, got {width}×{height}"
    if _well_formed(events, width, height, MAX_TIME_US):
        return None
    x_max, y_max = int(events["x"].max()), int(events["y"].max())
    if x_max >= width or y_max >= height:
        return (
            f"events reach pixel ({x_max}, {y_max}), outside the {width}×{height} sensor; "
            f"give a sensor of at least {x_max + 1}×{y_max + 1}, or drop the events outside"
        )
    if events["p"].max() > 1:
        return f"polarities must be 0 or 1, got {int(events['p'].max())}"
    times = events["t"]
    if times.min() < -MAX_TIME_US or times.max() > MAX_TIME_US:
        return f"times must lie within ±2**61 µs, got {times.min()} to {times.max()}"
    steps = np.diff(times)
    steps_back = np.flatnonzero(steps < 0)
    return (
        f"time runs backwards after event {steps_back[0]} ({len(steps_back)} times in all, "
        f"by up to {-int(steps.min())} µs); sort the events, or clamp their times"
    )


@numba.njit(cache=True, error_model="numpy")
def _well_formed(events, width, height, max_time):  # type: ignore[no-untyped-def]
    """Whether events are on the sensor, of two polarities and in order: one pass, no branches."""
    wrong = False
    previous = -max_time
    for i in range(len(events)):
        t = events["t"][i]
        wrong |= (events["x"][i] >= width) | (events["y"][i] >= height) | (events["p"][i] > 1)
        wrong |= (t < previous) | (t > max_time)
        previous = t
    return not wrong


def make_events(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Pack four columns of equal length into one array of ``EVENT_DTYPE``."""
    events = np.empty(len(t), EVENT_DTYPE)
    for name, column in zip("xytp", (x, y, t, p), strict=True):
        events[name] = column
    return events


def sort_events(events: np.ndarray) -> np.ndarray:
    """A copy in time order; events of the same time keep their order."""
    return events[np.argsort(events["t"], kind="stable")]


def clamp_times(events: np.ndarray, *, floor_us: int | None = None) -> np.ndarray:
    """A copy in which no event is earlier than one before it: ``t_i = max(t_0 .. t_i)``.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    floor_us : int, optional
        The latest time of what came before these events.
    """
    clamped = events.copy()
    np.maximum.accumulate(events["t"], out=clamped["t"])
    if floor_us is not None:
        np.maximum(clamped["t"], floor_us, out=clamped["t"])
    return clamped


def drop_outside(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """The events whose pixel is on a sensor of ``(width, height)``."""
    width, height = sensor_size
    return events[(events["x"] < width) & (events["y"] < height)]


@dataclass(frozen=True, kw_only=True)
class EventReport:
    """What some events hold and what is odd about them.

    Attributes
    ----------
    events, on_events : int
        All events, and those of polarity 1.
    first_us, last_us : int
        Earliest and latest time, in microseconds; 0 without events.
    extent : tuple of int
        ``(width, height)`` of the smallest sensor that holds all events; (0, 0) without events.
    outside : int
        Events that are not on the sensor; 0 when no sensor size was given.
    bad_polarities : int
        Events of a polarity other than 0 and 1.
    steps_back : int
        Events earlier than the one just before them.
    largest_step_back_us : int
    duplicates : int or None
        Events equal in x, y, t and p to the last event of the same pixel and polarity; in a
        recording in order these are all duplicates. None above 2048×2048 pixels: not counted.
    """

    events: int
    on_events: int
    first_us: int
    last_us: int
    extent: tuple[int, int]
    outside: int
    bad_polarities: int
    steps_back: int
    largest_step_back_us: int
    duplicates: int | None

    @property
    def off_events(self) -> int:
        """Events of polarity 0."""
        return self.events - self.on_events - self.bad_polarities

    @property
    def on_share(self) -> float:
        """Share of events that are ON; 0 without events."""
        return self.on_events / self.events if self.events else 0.0

    @property
    def duration_us(self) -> int:
        """From the earliest to the latest event, in microseconds."""
        return self.last_us - self.first_us

    @property
    def rate_hz(self) -> float:
        """Events a second over the duration; 0 when there is none."""
        return 1e6 * self.events / self.duration_us if self.duration_us else 0.0

    def problems(self) -> list[str]:
        """What would keep these events from being a `Recording`, or is odd, one line each."""
        found = (
            (not self.events, "there are no events"),
            (self.outside, f"{self.outside} events lie outside the sensor"),
            (self.bad_polarities, f"{self.bad_polarities} events have a polarity other than 0, 1"),
            (
                self.steps_back,
                f"time runs backwards {self.steps_back} times, "
                f"by up to {self.largest_step_back_us} µs",
            ),
            (self.duplicates, f"{self.duplicates} events are duplicates"),
        )
        return [text for count, text in found if count]


class EventInspector:
    """Counts for an `EventReport`, events added piece by piece.

    Parameters
    ----------
    sensor_size : tuple of int, optional
        ``(width, height)``; without it no event counts as outside.
    """

    def __init__(self, sensor_size: tuple[int, int] | None = None) -> None:
        self._limits = sensor_size or (1 << 16, 1 << 16)
        self._counts = np.zeros(len(_COUNTS), np.int64)
        self._last_times: np.ndarray | None = np.zeros((2, 0, 0), np.int64)

    def add(self, events: np.ndarray) -> None:
        """Count some more events, in the order of the recording."""
        if not len(events):
            return
        self._grow_table(int(events["x"].max()) + 1, int(events["y"].max()) + 1)
        table = self._last_times if self._last_times is not None else _NO_TABLE
        _count(events, self._limits[0], self._limits[1], table, self._counts)

    def report(self) -> EventReport:
        """What was counted so far."""
        counts = dict(zip(_COUNTS, self._counts.tolist(), strict=True))
        counts.pop("previous_us")
        extent = (counts.pop("width"), counts.pop("height"))
        duplicates = counts.pop("duplicates")
        if self._last_times is None:
            duplicates = None
        return EventReport(extent=extent, duplicates=duplicates, **counts)

    def _grow_table(self, width: int, height: int) -> None:
        """Room for the last time of every pixel seen so far, for each polarity."""
        if self._last_times is None:
            return
        _, old_height, old_width = self._last_times.shape
        if width <= old_width and height <= old_height:
            return
        width, height = max(width, old_width), max(height, old_height)
        if width * height > TABLE_PIXELS:
            self._last_times = None
            return
        grown = np.full((2, height, width), _NEVER, np.int64)
        grown[:, :old_height, :old_width] = self._last_times
        self._last_times = grown


def inspect(events: np.ndarray, sensor_size: tuple[int, int] | None = None) -> EventReport:
    """Count what is odd in raw events; nothing is changed and nothing is raised.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    sensor_size : tuple of int, optional
        ``(width, height)``; without it no event counts as outside.
    """
    inspector = EventInspector(sensor_size)
    inspector.add(events)
    return inspector.report()


_NEVER = np.iinfo(np.int64).min
_NO_TABLE = np.zeros((2, 0, 0), np.int64)
_COUNTS = (
    "events",
    "on_events",
    "first_us",
    "last_us",
    "width",
    "height",
    "outside",
    "bad_polarities",
    "steps_back",
    "largest_step_back_us",
    "duplicates",
    "previous_us",
)


@numba.njit(cache=True, error_model="numpy")
def _count(events, width, height, last_times, counts):  # type: ignore[no-untyped-def]
    """One pass over the events; `counts` in the order of ``_COUNTS``."""
    previous = counts[11]
    for i in range(len(events)):
        x, y = np.int64(events["x"][i]), np.int64(events["y"][i])
        t, p = events["t"][i], np.int64(events["p"][i])
        if counts[0] == 0:
            counts[2], counts[3], previous = t, t, t
        counts[0] += 1
        counts[1] += p == 1
        counts[2] = min(counts[2], t)
        counts[3] = max(counts[3], t)
        counts[4] = max(counts[4], x + 1)
        counts[5] = max(counts[5], y + 1)
        counts[6] += (x >= width) | (y >= height)
        counts[7] += p > 1
        if t < previous:
            counts[8] += 1
            counts[9] = max(counts[9], previous - t)
        if p < 2 and x < last_times.shape[2] and y < last_times.shape[1]:
            counts[10] += last_times[p, y, x] == t
            last_times[p, y, x] = t
        previous = t
    counts[11] = previous
