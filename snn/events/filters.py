"""Filters: fewer, moved or mirrored events out of an array of events.

Every function takes events of ``EVENT_DTYPE`` in time order and returns a new array in time order;
the input is never written. Where the sensor's size is needed it is an argument; after `crop` and
`centre_crop` the sensor has the size of the crop.

`denoise` and `refractory_period` equal tonic's functions of these names event for event. Both of
tonic's have a quirk at the start of a recording, which ``as_tonic=False`` leaves out.

>>> kept = denoise(recording.events, filter_time_us=10_000)
>>> Recording(kept, recording.sensor_size)
"""

from __future__ import annotations

import numba
import numpy as np

from snn.events.frames.kernels import first_at
from snn.events.recording import EVENT_DTYPE


def select(events: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The events where a mask is set, as a new array.

    The same as ``events[mask]`` and about ten times as fast: every event is written and the place
    to write moves on by the mask, so there is no branch to mispredict.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    mask : ndarray of bool, shape (n_events,)
    """
    kept = np.empty(len(events) + 1, EVENT_DTYPE)
    n_kept = _compress(events, mask, kept)
    # A view keeps the whole array alive, which is not worth it for few events.
    return kept[:n_kept] if 2 * n_kept > len(events) else kept[:n_kept].copy()


def denoise(
    events: np.ndarray, *, filter_time_us: int = 10_000, as_tonic: bool = True
) -> np.ndarray:
    """Keep events with a recent event on one of the four neighbouring pixels.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    filter_time_us : int
        An event stays if ``t - t_neighbour < filter_time_us`` for one neighbour; events that were
        dropped themselves still support others.
    as_tonic : bool
        As in tonic every pixel starts as if it had an event at time 0, so all events before
        `filter_time_us` stay. Otherwise pixels start without an event.
    """
    mask = np.empty(len(events), np.bool_)
    never = filter_time_us if as_tonic else np.iinfo(np.int64).min
    _mark_supported(events, filter_time_us, np.full(_extent(events), never, np.int64), mask)
    return select(events, mask)


def refractory_period(events: np.ndarray, period_us: int, *, as_tonic: bool = True) -> np.ndarray:
    """Drop events of a pixel that come too soon after its last one.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    period_us : int
        An event stays if it comes more than this after the pixel's last event.
    as_tonic : bool
        As in tonic, events that were dropped count as last events too (a pixel that fires without
        pause stays silent), and a first event at time 0 or before is dropped. Otherwise only kept
        events count, as in a real pixel, and the first event always stays.
    """
    mask = np.empty(len(events), np.bool_)
    never = -period_us if as_tonic else np.iinfo(np.int64).min // 2
    _mark_rested(events, period_us, as_tonic, np.full(_extent(events), never, np.int64), mask)
    return select(events, mask)


def drop_hot_pixels(events: np.ndarray, *, max_rate_hz: float) -> np.ndarray:
    """Drop all events of pixels that fire faster than a rate, averaged over the recording.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    max_rate_hz : float
        A pixel is hot with more than ``max_rate_hz`` times the duration (first to last event)
        events of both polarities; tonic's ``DropPixel(hot_pixel_frequency=...)``.
    """
    if not len(events):
        return events.copy()
    counts = np.zeros(_extent(events), np.int64)
    _count_pixels(events, counts)
    limit = max_rate_hz * float(events["t"][-1] - events["t"][0]) * 1e-6
    return select(events, counts[events["y"], events["x"]] <= limit)


def decimate(events: np.ndarray, n: int) -> np.ndarray:
    """Keep every `n`-th event of each pixel, as tonic's ``Decimation``.

    Raises
    ------
    ValueError
        For `n` below 1.
    """
    if n < 1:
        raise ValueError(f"every n-th event is kept, n must be at least 1, got {n}")
    mask = np.empty(len(events), np.bool_)
    _mark_nth(events, n, np.zeros(_extent(events), np.int64), mask)
    return select(events, mask)


def select_polarity(events: np.ndarray, polarity: int) -> np.ndarray:
    """Keep the events of one polarity, 0 or 1."""
    return select(events, events["p"] == polarity)


def time_window(
    events: np.ndarray, *, start_us: int | None = None, end_us: int | None = None
) -> np.ndarray:
    """Keep the events with ``start_us <= t < end_us``; None is no bound. Times stay as they are."""
    bounds = [np.iinfo(np.int64).min if start_us is None else start_us, end_us or 0]
    low, high = first_at(events, np.array(bounds, np.int64))
    return events[low : None if end_us is None else high].copy()


def crop(events: np.ndarray, *, left: int, top: int, size: tuple[int, int]) -> np.ndarray:
    """Keep the events inside a box, in the box's coordinates.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    left, top : int
        First column and row of the box; negative ones put a margin around the sensor.
    size : tuple of int
        ``(width, height)`` of the box, from now on the sensor size.
    """
    x, y = events["x"].astype(np.int64) - left, events["y"].astype(np.int64) - top
    inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
    kept = select(events, inside)
    kept["x"], kept["y"] = x[inside], y[inside]
    return kept


def centre_crop(
    events: np.ndarray, sensor_size: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """`crop` to ``(width, height)`` around the centre; a larger size centres the sensor in it."""
    left, top = ((a - b) // 2 for a, b in zip(sensor_size, size, strict=True))
    return crop(events, left=left, top=top, size=size)


def flip_left_right(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """Mirror: ``x' = width - 1 - x``."""
    flipped = np.empty(len(events), EVENT_DTYPE)
    _mirror_x(events, sensor_size[0] - 1, flipped)
    return flipped


def flip_up_down(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """Turn upside down: ``y' = height - 1 - y``."""
    flipped = np.empty(len(events), EVENT_DTYPE)
    _mirror_y(events, sensor_size[1] - 1, flipped)
    return flipped


def _extent(events: np.ndarray) -> tuple[int, int]:
    """Rows and columns that the events reach."""
    if not len(events):
        return 1, 1
    return int(events["y"].max()) + 1, int(events["x"].max()) + 1


@numba.njit(cache=True, error_model="numpy")
def _compress(events, mask, kept):  # type: ignore[no-untyped-def]
    n_kept = 0
    for i in range(len(events)):
        kept[n_kept] = events[i]
        n_kept += mask[i]
    return n_kept


@numba.njit(cache=True, error_model="numpy")
def _mirror_x(events, last, flipped):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        flipped[i] = events[i]
        flipped[i].x = last - events[i].x


@numba.njit(cache=True, error_model="numpy")
def _mirror_y(events, last, flipped):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        flipped[i] = events[i]
        flipped[i].y = last - events[i].y


@numba.njit(cache=True, error_model="numpy")
def _mark_supported(events, filter_time, expiry, mask):  # type: ignore[no-untyped-def]
    """``expiry[y, x]`` is the time from which a pixel's last event supports no other."""
    height, width = expiry.shape
    for i in range(len(events)):
        event = events[i]
        x, y, t = np.int64(event.x), np.int64(event.y), event.t
        expiry[y, x] = t + filter_time
        mask[i] = (
            (x > 0 and expiry[y, x - 1] > t)
            or (x < width - 1 and expiry[y, x + 1] > t)
            or (y > 0 and expiry[y - 1, x] > t)
            or (y < height - 1 and expiry[y + 1, x] > t)
        )


@numba.njit(cache=True, error_model="numpy")
def _mark_rested(events, period, dropped_count, last, mask):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        event = events[i]
        rested = event.t - last[event.y, event.x] > period
        mask[i] = rested
        if rested or dropped_count:
            last[event.y, event.x] = event.t


@numba.njit(cache=True, error_model="numpy")
def _count_pixels(events, counts):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        counts[events[i].y, events[i].x] += 1


@numba.njit(cache=True, error_model="numpy")
def _mark_nth(events, n, counts, mask):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        event = events[i]
        count = counts[event.y, event.x] + 1
        mask[i] = count == n
        counts[event.y, event.x] = 0 if count == n else count
