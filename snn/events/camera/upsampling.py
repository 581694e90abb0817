"""Frames between the frames of a video: where a motion interpolator of one's own comes in.

The pixel models see only the frames they are given. A video of 30 frames per second moves edges by
many pixels at once; v2e therefore synthesises frames in between with a trained optical flow
network (SuperSloMo). None ships here. Any callable with the signature of ``Upsampling`` can take
its place, and the number of frames may depend on the pair: v2e makes as many as the largest flow
has pixels.

>>> times, frames = LinearInterpolation(2)(np.zeros((1, 1), np.uint8), np.full((1, 1), 9, np.uint8))
>>> times.tolist(), frames.ravel().tolist()
([0.5], [4])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snn.errors import EventFormatError


class Upsampling(Protocol):
    """Makes the frames between two frames."""

    def __call__(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames between a pair.

        Parameters
        ----------
        before, after : ndarray of shape (height, width), dtype uint8
            Two neighbouring frames, at the size of the sensor; not to be written to.

        Returns
        -------
        times : ndarray of shape (n,)
            Increasing, in the open interval (0, 1) from `before` to `after`; n may be 0.
        frames : ndarray of shape (n, height, width), dtype uint8
            The frames at these times.
        """


@dataclass(frozen=True)
class LinearInterpolation:
    """Fade from one frame to the next: no optical flow, nothing moves.

    It gives events finer time stamps and spreads a change over its interval, which is right for
    changing light. A moving edge fades out here and in there instead of passing by.

    Parameters
    ----------
    factor : int
        Intervals made of each one; 1 leaves the video as it is.
    """

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, got {self.factor}")

    def __call__(self, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``factor - 1`` evenly spaced blends, rounded to whole grey values."""
        times = np.arange(1, self.factor) / self.factor
        weights = times[:, None, None]
        blends = np.rint((1 - weights) * before + weights * after).astype(np.uint8)
        return times, blends


def upsampled(
    frames: Iterable[tuple[float, np.ndarray]], upsampling: Upsampling
) -> Iterator[tuple[float, np.ndarray]]:
    """A timed video with the frames of `upsampling` in between.

    Parameters
    ----------
    frames : iterable of (float, ndarray)
        Times in seconds, and frames of shape (height, width), dtype uint8.
    upsampling : Upsampling
        Called once for each pair of neighbours.

    Yields
    ------
    tuple of float and ndarray
        As in `frames`.

    Raises
    ------
    EventFormatError
        When `upsampling` returns something else than it should.
    """
    previous: tuple[float, np.ndarray] | None = None
    for time_s, frame in frames:
        if previous is not None:
            start_s, before = previous
            times, between = upsampling(before, frame)
            _check(np.asarray(times), np.asarray(between), frame.shape)
            for share, made in zip(times, between, strict=True):
                yield start_s + (time_s - start_s) * float(share), made
        yield time_s, frame
        previous = time_s, frame


def _check(times: np.ndarray, frames: np.ndarray, shape: tuple[int, ...]) -> None:
    if times.ndim != 1 or np.any(np.diff(times, prepend=0.0, append=1.0) <= 0):
        raise EventFormatError(
            f"upsampling must return increasing times between 0 and 1, got {times}"
        )
    if frames.shape != (len(times), *shape) and len(times):
        raise EventFormatError(
            f"upsampling must return {len(times)} frames of {shape[1]}×{shape[0]} pixels, "
            f"got an array of shape {frames.shape}"
        )
    if len(times) and frames.dtype != np.uint8:
        raise EventFormatError(f"upsampling must return uint8 frames, got {frames.dtype}")
