"""Windows of a recording, one for each video frame.

    window k holds the events with  t_start + k/f <= t < t_start + (k + 1)/f

The last one may be shorter; an event exactly at the end of a whole number of windows is in none.
This is how e-CK+ is cut for evTransFER, with f = 30 Hz, and k is the number in a frame's name.
Its video frames are numbered without the first of a video, so frame k was taken when window k
ends.

Source: uoh-rislab/event-based_facial_expression_recognition, ``2b_from_numpy_to_numpys.py`` and
``1_from_video_to_frames.py``.

>>> frame_windows(np.array([0, 10_000, 40_000, 70_000]))
(array([0, 2, 3]), array([2, 3, 4]))
"""

from __future__ import annotations

import math

import numpy as np

from snn.errors import EventFormatError

MAX_WINDOWS = 1_000_000  # nine hours at 30 Hz; more is a mistake in the times or the rate


def frame_windows(
    times_us: np.ndarray, *, frame_rate_hz: float = 30.0, start_us: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """First event and end of each window.

    Parameters
    ----------
    times_us : ndarray of int64, shape (n_events,)
        In order.
    frame_rate_hz : float
    start_us : int, optional
        Where window 0 begins; default the first event. Earlier events are in no window.

    Returns
    -------
    starts, ends : ndarray of int64, shape (n_windows,)
        Window ``k`` is ``events[starts[k]:ends[k]]`` and may be empty. Events at one single time
        are one window; without events at or after the start there are none.

    Raises
    ------
    EventFormatError
        For a rate that is not in (0, 1e6] Hz, or more than ``MAX_WINDOWS`` windows.
    """
    if not 0 < frame_rate_hz <= 1e6:
        raise EventFormatError(
            f"the rate of frames must lie in (0, 1e6] Hz, got {frame_rate_hz}; e-CK+ has 30"
        )
    start = start_us if start_us is not None else int(times_us[0]) if len(times_us) else 0
    if not len(times_us) or times_us[-1] < start:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    duration_us = int(times_us[-1]) - start
    n_windows = max(math.ceil(duration_us * frame_rate_hz / 1e6), 1)
    if n_windows > MAX_WINDOWS:
        raise EventFormatError(
            f"{duration_us / 1e6:g} s at {frame_rate_hz:g} Hz are {n_windows} windows, more than "
            f"{MAX_WINDOWS}; check the unit of the times and the rate of frames"
        )
    edges = np.ceil(np.arange(n_windows + 1) * 1e6 / frame_rate_hz).astype(np.int64) + start
    found = np.searchsorted(times_us, edges).astype(np.int64)
    return found[:-1], found[1:]
