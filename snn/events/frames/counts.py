"""Frames that count events per polarity and pixel, or say where there were any.

>>> binary_frames(recording, n_bins=16, window_us=400_000, size=(64, 64)).shape
(16, 2, 64, 64)
"""

from __future__ import annotations

import math

import numpy as np

from snn.errors import EventFormatError
from snn.events.frames.kernels import count_slices
from snn.events.frames.slices import Slices, window_bins
from snn.events.recording import Recording

MAX_FRAME_BYTES = 8 << 30  # of the frames of one recording; more is a mistake in the window


def slice_frames(
    recording: Recording,
    slices: Slices,
    *,
    binary: bool = False,
    size: tuple[int, int] | None = None,
    tables: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Count the events of each slice per polarity and pixel.

    Parameters
    ----------
    recording : Recording
    slices : tuple of ndarray
        Starts and ends from `snn.events.frames.slices`.
    binary : bool
        1 where at least one event fell instead of counts.
    size : tuple of int, optional
        ``(width, height)`` of the frames, default the sensor's; another needs `tables`.
    tables : tuple of ndarray of uint16, optional
        Frame column of each sensor column and frame row of each sensor row: `centre_tables`.

    Returns
    -------
    ndarray of uint16, or uint8 if `binary`, shape (n_slices, 2, height, width)
        Channel 0 holds the OFF events (``p = 0``), channel 1 the ON events; counts stop at 65535.

    Raises
    ------
    EventFormatError
        When the frames would need more than ``MAX_FRAME_BYTES``.
    ValueError
        For slices beyond the events, frames without pixels, or a `size` without its `tables`.
    """
    starts, ends = slices
    width, height = size or recording.sensor_size
    # The kernel looks at no bounds: it would write into foreign memory.
    if min(width, height) < 1 or (
        tables is None and (width, height) != tuple(recording.sensor_size)
    ):
        raise ValueError(
            f"frames of {width}×{height} pixels of a {recording.sensor_size[0]}×"
            f"{recording.sensor_size[1]} sensor; each side must be at least 1, and another size "
            "than the sensor's needs tables"
        )
    if len(starts) and (starts.min() < 0 or ends.max() > len(recording)):
        raise ValueError(
            f"slices of events {starts.min()} to {ends.max()}, there are {len(recording)}; "
            "cut slices from the recording that they are applied to"
        )
    shape = (len(starts), 2, height, width)
    dtype: type = np.uint8 if binary else np.uint16
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if needed > MAX_FRAME_BYTES:
        raise EventFormatError(
            f"{recording.source}: {len(starts)} frames of {width}×{height} pixels need "
            f"{needed / 2**30:.1f} GiB, more than {MAX_FRAME_BYTES >> 30} GiB; "
            "use longer windows or fewer bins"
        )
    frames: np.ndarray = np.zeros(shape, dtype)
    columns, rows = tables or (None, None)
    limit = 1 if binary else np.iinfo(np.uint16).max
    count_slices(recording.events, starts, ends, columns, rows, limit, frames)
    return frames


def count_frames(
    recording: Recording,
    *,
    n_bins: int,
    window_us: int,
    size: tuple[int, int] | None = None,
    start_us: int | None = None,
) -> np.ndarray:
    """Count events per bin of a stated window, so a step always lasts ``window_us / n_bins``.

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
    return _window_frames(recording, n_bins, window_us, size, start_us, binary=False)


def binary_frames(
    recording: Recording,
    *,
    n_bins: int,
    window_us: int,
    size: tuple[int, int] | None = None,
    start_us: int | None = None,
) -> np.ndarray:
    """As ``count_frames``, but 1 where at least one event fell: uint8."""
    return _window_frames(recording, n_bins, window_us, size, start_us, binary=True)


def _window_frames(
    recording: Recording,
    n_bins: int,
    window_us: int,
    size: tuple[int, int] | None,
    start_us: int | None,
    *,
    binary: bool,
) -> np.ndarray:
    if not len(recording):
        raise EventFormatError(f"{recording.source}: there are no events to make frames of")
    start = int(recording.events["t"][0]) if start_us is None else start_us
    slices = window_bins(recording.events, n_bins, start_us=start, window_us=window_us)
    size = size or recording.sensor_size
    tables = None if size == recording.sensor_size else centre_tables(recording.sensor_size, size)
    return slice_frames(recording, slices, binary=binary, size=size, tables=tables)


def centre_tables(
    sensor_size: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Frame column of each sensor column, frame row of each row; one scale, sensor centred.

    Pixel centres are scaled, so each sensor pixel falls into exactly one frame pixel.
    """
    scale = min(frame_size[0] / sensor_size[0], frame_size[1] / sensor_size[1])
    columns, rows = (
        ((np.arange(sensor) + 0.5) * scale + (frame - scale * sensor) / 2).astype(np.uint16)
        for sensor, frame in zip(sensor_size, frame_size, strict=True)
    )
    return columns, rows


def stretch_tables(
    sensor_size: tuple[int, int], frame_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """As `centre_tables`, but each axis with a scale of its own: ``⌊x · frame / sensor⌋``."""
    columns, rows = (
        np.minimum(np.arange(sensor) * (frame / sensor), frame - 1).astype(np.uint16)
        for sensor, frame in zip(sensor_size, frame_size, strict=True)
    )
    return columns, rows
