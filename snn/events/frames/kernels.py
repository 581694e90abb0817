"""The loops over events, compiled: everything else in the package is arithmetic around them.

They read the fields of ``EVENT_DTYPE`` where they lie. An event is 13 bytes, so a field of it is
rarely aligned; reading it in place is still faster than first copying the columns, which touches
every byte twice.

The callers pass events of a checked `Recording`: a kernel does not look at bounds.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, error_model="numpy")
def first_at(events, times):  # type: ignore[no-untyped-def]
    """Index of the first event at or after each time; ``len(events)`` where there is none.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    times : ndarray of int64 or float64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    found = np.empty(len(times), np.int64)
    for k in range(len(times)):
        low, high = 0, len(events)
        while low < high:
            middle = (low + high) // 2
            if events[middle].t < times[k]:
                low = middle + 1
            else:
                high = middle
        found[k] = low
    return found


@numba.njit(cache=True, error_model="numpy")
def count_slices(events, starts, ends, columns, rows, limit, frames):  # type: ignore[no-untyped-def]
    """Add every event of slice ``k`` to ``frames[k, p, row, column]``; counts stop at `limit`.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
    starts, ends : ndarray of int64, shape (n_slices,)
        Slice ``k`` is ``events[starts[k]:ends[k]]``; slices may overlap.
    columns, rows : ndarray of uint16, shape (width,) and (height,), or None
        Frame pixel of each sensor pixel; None where they are the same. The compiler drops the
        branch that is not taken.
    limit : int
        At most what the type of `frames` holds. With 1 the frames are binary.
    frames : ndarray of an unsigned type, shape (n_slices, 2, height, width)
        Added to.
    """
    for k in range(len(starts)):
        frame = frames[k]
        for i in range(starts[k], ends[k]):
            event = events[i]
            if columns is None:
                x, y = event.x, event.y
            else:
                x, y = columns[event.x], rows[event.y]
            count = frame[event.p, y, x]
            # Not a branch: for binary frames it would be mispredicted every other time.
            frame[event.p, y, x] = count + (count < limit)


@numba.njit(cache=True, error_model="numpy")
def latest_index(events, latest):  # type: ignore[no-untyped-def]
    """Write the index of the last event of each polarity and pixel into ``latest[p, y, x]``."""
    for i in range(len(events)):
        event = events[i]
        latest[event.p, event.y, event.x] = i


@numba.njit(cache=True, error_model="numpy")
def add_to_voxels(events, duration, voxels):  # type: ignore[no-untyped-def]
    """Share each event's polarity between the two bins around its time, in place.

    ``voxels`` has the shape (n_bins, height, width); the share of a bin behind the last is lost.
    """
    n_bins = voxels.shape[0]
    first = events[0].t
    for i in range(len(events)):
        event = events[i]
        position = n_bins * float(event.t - first) / duration
        k = int(position)
        sign = 1.0 if event.p else -1.0
        if k < n_bins:
            voxels[k, event.y, event.x] += sign * (1.0 - (position - k))
        if k + 1 < n_bins:
            voxels[k + 1, event.y, event.x] += sign * (position - k)
