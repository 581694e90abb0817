"""Events to frames: what a spiking network sees in each time step.

A frame counts the events of a time bin per polarity and pixel; a network on binary spikes sees
where the count is above zero. Bins are of equal time over a stated window, so a step always lasts
``window_us / n_bins``.

>>> binary_frames(recording, n_bins=16, window_us=400_000, size=(64, 64)).shape
(16, 2, 64, 64)
"""

from __future__ import annotations

import numba
import numpy as np

from snn.errors import EventFormatError
from snn.events.recording import Recording


def count_frames(
    recording: Recording,
    *,
    n_bins: int,
    window_us: int,
    size: tuple[int, int] | None = None,
    start_us: int | None = None,
) -> np.ndarray:
    """Count events per time bin, polarity and pixel.

    Parameters
    ----------
    recording : Recording
    n_bins : int
        Number of bins of equal duration ``window_us / n_bins``.
    window_us : int
        Length of the window in microseconds; events outside it are left out.
    size : tuple of int, optional
        ``(width, height)`` of the frames. Another size than the sensor's scales both axes by one
        factor and centres the sensor in the frame, so a face keeps its proportions.
    start_us : int, optional
        Start of the window; default the first event.

    Returns
    -------
    ndarray of uint16, shape (n_bins, 2, height, width)
        Channel 0 holds the OFF events (``p = 0``), channel 1 the ON events; counts stop at 65535.

    Raises
    ------
    EventFormatError
        For an empty recording or a window shorter than one microsecond per bin.
    """
    if not len(recording):
        raise EventFormatError(f"{recording.source}: there are no events to make frames of")
    if n_bins < 1 or window_us < n_bins:
        raise EventFormatError(
            f"a window of {window_us} µs cannot hold {n_bins} bins; "
            "use at least one bin and one microsecond per bin"
        )
    width, height = size or recording.sensor_size
    events = recording.events
    start = int(events["t"][0]) if start_us is None else start_us
    scale, left, top = _fit(recording.sensor_size, (width, height))
    frames = np.zeros((n_bins, 2, height, width), np.uint16)
    x, y, t, p = (np.ascontiguousarray(events[name]) for name in "xytp")
    _count(x, y, t, p, start, window_us, scale, left, top, frames)
    return frames


def binary_frames(
    recording: Recording,
    *,
    n_bins: int,
    window_us: int,
    size: tuple[int, int] | None = None,
    start_us: int | None = None,
) -> np.ndarray:
    """As ``count_frames``, but 1 where at least one event fell: uint8."""
    counts = count_frames(
        recording, n_bins=n_bins, window_us=window_us, size=size, start_us=start_us
    )
    return (counts > 0).view(np.uint8)


def _fit(sensor: tuple[int, int], frame: tuple[int, int]) -> tuple[float, float, float]:
    """Scale and offsets that centre the whole sensor in the frame."""
    scale = min(frame[0] / sensor[0], frame[1] / sensor[1])
    return scale, (frame[0] - scale * sensor[0]) / 2, (frame[1] - scale * sensor[1]) / 2


@numba.njit(cache=True, error_model="numpy")
def _count(
    x: np.ndarray,
    y: np.ndarray,
    t: np.ndarray,
    p: np.ndarray,
    start: int,
    window: int,
    scale: float,
    left: float,
    top: float,
    frames: np.ndarray,
) -> None:
    n_bins = frames.shape[0]
    for i in range(len(t)):
        elapsed = t[i] - start
        if elapsed < 0 or elapsed >= window:
            continue
        # Pixel centres are scaled, so each sensor pixel falls into exactly one frame pixel.
        column = int((x[i] + 0.5) * scale + left)
        row = int((y[i] + 0.5) * scale + top)
        k = elapsed * n_bins // window
        if frames[k, p[i], row, column] < 65535:
            frames[k, p[i], row, column] += 1
