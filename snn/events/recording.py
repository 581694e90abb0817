"""An event recording: one structured array and the sensor that made it.

An event ``(x, y, t, p)`` says that pixel ``(x, y)`` became brighter (``p = 1``) or darker
(``p = 0``) at time ``t``. Nothing else in the package invents its own event layout.

>>> recording = Recording(np.zeros(0, EVENT_DTYPE), sensor_size=(64, 48))
>>> recording.duration_us
0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn.errors import EventFormatError

EVENT_FIELDS = ("x", "y", "t", "p")
EVENT_DTYPE = np.dtype([("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "u1")])


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
    if not len(events):
        return None
    x_max, y_max = int(events["x"].max()), int(events["y"].max())
    if x_max >= width or y_max >= height:
        return (
            f"events reach pixel ({x_max}, {y_max}), outside the {width}×{height} sensor; "
            f"give a sensor of at least {x_max + 1}×{y_max + 1}"
        )
    if events["p"].max() > 1:
        return f"polarities must be 0 or 1, got {int(events['p'].max())}"
    steps_back = np.flatnonzero(np.diff(events["t"]) < 0)
    if len(steps_back):
        return f"time runs backwards after event {steps_back[0]} ({len(steps_back)} times in all)"
    return None


def make_events(x: np.ndarray, y: np.ndarray, t: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Pack four columns of equal length into one array of ``EVENT_DTYPE``."""
    events = np.empty(len(t), EVENT_DTYPE)
    for name, column in zip("xytp", (x, y, t, p), strict=True):
        events[name] = column
    return events
