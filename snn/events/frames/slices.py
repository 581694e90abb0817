"""Where a recording is cut: first and last event of every frame, as index arrays.

All four ways of tonic's slicers are here under tonic's names and with its results: by time window,
by event count, by a number of time bins, by a number of event bins. The last two drop a tail in
tonic (``drop_tail=True``): the window is ``duration // n_bins`` with its end excluded, so the last
event never counts and up to ``n_bins`` microseconds go with it; and ``n_events % n_bins`` events
are left over. By default nothing is dropped here.

>>> [array.tolist() for array in event_bins(10, 3)]
[[0, 3, 6], [3, 6, 10]]
>>> [array.tolist() for array in event_bins(10, 3, drop_tail=True)]
[[0, 3, 6], [3, 6, 9]]
"""

from __future__ import annotations

import math

import numpy as np

from snn.errors import EventFormatError
from snn.events.frames.kernels import first_at

Slices = tuple[np.ndarray, np.ndarray]


def time_windows(
    events: np.ndarray,
    time_window_us: float,
    *,
    overlap_us: float = 0,
    include_incomplete: bool = False,
    start_us: float | None = None,
    end_us: float | None = None,
) -> Slices:
    """Windows of fixed duration, as many as fit.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    time_window_us, overlap_us : float
        Length of a window and what it shares with the next, in microseconds.
    include_incomplete : bool
        Whether the shorter window at the end counts too. As in tonic, a recording shorter than one
        window still is one window, and a last event exactly at the end of a whole number of
        windows is in none.
    start_us, end_us : float, optional
        Span of time; default from the first to the last event.

    Returns
    -------
    starts, ends : ndarray of int64, shape (n_windows,)
        At least one window; the only one of an empty recording is empty.

    Raises
    ------
    ValueError
        When windows would not move on.
    """
    stride = time_window_us - overlap_us
    if stride <= 0 or time_window_us <= 0:
        raise ValueError(
            f"windows of {time_window_us} µs that overlap by {overlap_us} µs never move on; "
            "the overlap must be smaller than the window"
        )
    first, last = (events["t"][0], events["t"][-1]) if len(events) else (0, 0)
    first = first if start_us is None else start_us
    last = last if end_us is None else end_us
    whole = (last - first - time_window_us) / stride
    n_windows = max((math.ceil(whole) if include_incomplete else math.floor(whole)) + 1, 1)
    begin = np.arange(n_windows) * stride + first
    return first_at(events, begin), first_at(events, begin + time_window_us)


def event_windows(
    n_events: int, event_count: int, *, overlap: int = 0, include_incomplete: bool = False
) -> Slices:
    """Windows of a fixed number of events, as many as fit.

    Parameters
    ----------
    n_events : int
        Events of the recording.
    event_count, overlap : int
        Events of a window, and those that it shares with the next.
    include_incomplete : bool
        Whether the shorter window at the end counts too. As in tonic, a recording with fewer than
        `event_count` events still is one window.

    Returns
    -------
    starts, ends : ndarray of int64, shape (n_windows,)

    Raises
    ------
    ValueError
        When windows would not move on.
    """
    stride = event_count - overlap
    if stride <= 0 or event_count < 1:
        raise ValueError(
            f"windows of {event_count} events that overlap by {overlap} never move on; "
            "the overlap must be smaller than the window"
        )
    event_count = min(event_count, n_events)
    left = n_events - event_count
    n_windows = (-(-left // stride) if include_incomplete else left // stride) + 1
    starts = np.minimum(np.arange(n_windows) * stride, n_events)
    return starts, np.minimum(starts + event_count, n_events)


def time_bins(
    events: np.ndarray, n_bins: int, *, overlap: float = 0.0, drop_tail: bool = False
) -> Slices:
    """A fixed number of bins of equal duration from the first to the last event.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    n_bins : int
    overlap : float
        Share of a bin by which it is longer, in [0, 1); only with `drop_tail`, as in tonic.
    drop_tail : bool
        Bins of ``duration // n_bins`` microseconds with the last end excluded, as in tonic.

    Returns
    -------
    starts, ends : ndarray of int64, shape (n_bins,)
        Without a duration (one event, or all at one time) all events are in the last bin, or with
        `drop_tail` in none.

    Raises
    ------
    ValueError
        For less than one bin, or an overlap that is not allowed.
    """
    _check_bins(n_bins, overlap, drop_tail)
    if not len(events):
        return np.zeros(n_bins, np.int64), np.zeros(n_bins, np.int64)
    first, last = int(events["t"][0]), int(events["t"][-1])
    if drop_tail:
        length = (last - first) // n_bins * (1 + overlap)
        begin = np.arange(n_bins) * (length * (1 - overlap)) + first
        return first_at(events, begin), first_at(events, begin + length)
    starts = first_at(events, np.linspace(first, last, n_bins + 1)[:-1])
    return starts, np.append(starts[1:], len(events))


def event_bins(
    n_events: int, n_bins: int, *, overlap: float = 0.0, drop_tail: bool = False
) -> Slices:
    """A fixed number of bins that hold equally many events.

    Parameters
    ----------
    n_events, n_bins : int
    overlap : float
        Share of a bin by which it is larger, in [0, 1); only with `drop_tail`, as in tonic.
    drop_tail : bool
        Exactly ``n_events // n_bins`` events in each bin, as in tonic: none at all when there are
        fewer events than bins. Otherwise sizes differ by at most one.

    Returns
    -------
    starts, ends : ndarray of int64, shape (n_bins,)

    Raises
    ------
    ValueError
        For less than one bin, or an overlap that is not allowed.
    """
    _check_bins(n_bins, overlap, drop_tail)
    if drop_tail:
        count = int(n_events // n_bins * (1 + overlap))
        starts = np.arange(n_bins) * int(count * (1 - overlap))
        return starts, np.minimum(starts + count, n_events)
    edges = np.arange(n_bins + 1) * n_events // n_bins
    return edges[:-1], edges[1:]


def window_bins(events: np.ndarray, n_bins: int, *, start_us: int, window_us: int) -> Slices:
    """Bins of equal duration of a stated window: bin ``(t - start)·n_bins // window``.

    Events outside the window are in no bin.

    Raises
    ------
    EventFormatError
        For less than one bin, or a window shorter than one microsecond per bin.
    """
    if n_bins < 1 or window_us < n_bins:
        raise EventFormatError(
            f"a window of {window_us} µs cannot hold {n_bins} bins; "
            "use at least one bin and one microsecond per bin"
        )
    edges = start_us - (-np.arange(n_bins + 1) * window_us // n_bins)
    indices = first_at(events, edges)
    return indices[:-1], indices[1:]


def _check_bins(n_bins: int, overlap: float, drop_tail: bool) -> None:
    if n_bins < 1:
        raise ValueError(f"there must be at least one bin, got {n_bins}")
    if not 0 <= overlap < 1 or (overlap and not drop_tail):
        raise ValueError(
            f"the overlap of bins must lie in [0, 1), and be 0 unless drop_tail is set, "
            f"got {overlap} with drop_tail={drop_tail}"
        )
