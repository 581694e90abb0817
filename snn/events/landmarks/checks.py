"""Whether 68 points a frame can be those of a face in this video, and what to do where none were.

A frame is *missing* when any of its points is NaN: nothing was found there. A gap of ``g`` missing
frames between frames ``a`` and ``b = a + g + 1`` is filled on the straight line

    points[a + k] = points[a] + k/(g + 1)·(points[b] - points[a])

>>> landmarks = np.stack([np.zeros((68, 2)), np.full((68, 2), np.nan), np.full((68, 2), 4.0)])
>>> fill_gaps(landmarks, max_gap_frames=1)[1, 0].tolist()
[2.0, 2.0]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snn.errors import EventFormatError
from snn.events.landmarks.points import N_POINTS, eye_distance, mouth_is_below_the_eyes

OUTSIDE_SHARE = 0.25  # how far a point may lie outside the image, as a share of its size
SMALLEST_EYE_DISTANCE_PX = 4.0  # below, a face has no features; normalised coordinates end here


def check_landmarks(
    landmarks: np.ndarray,
    *,
    n_frames: int | None = None,
    image_size: tuple[int, int] | None = None,
    source: str = "landmarks",
    places: Sequence[str] | None = None,
) -> np.ndarray:
    """Refuse points that cannot be those of a face in the video.

    Parameters
    ----------
    landmarks : ndarray of shape (n_frames, 68, 2)
        Pixels, NaN in frames without a face.
    n_frames : int, optional
        Frames of the video.
    image_size : tuple of int, optional
        ``(width, height)`` of the video; points may lie outside by a quarter of it.
    source : str
        What to call the points in messages.
    places : sequence of str, optional
        Where each frame's points come from, for messages; by default their frame number.

    Returns
    -------
    ndarray of shape (n_frames, 68, 2), dtype float64

    Raises
    ------
    EventFormatError
        For another shape or number of frames, infinite coordinates, points outside the image, all
        on one spot, mirrored or in another order.
    """
    landmarks = np.asarray(landmarks)
    if (
        landmarks.ndim != 3
        or landmarks.shape[1:] != (N_POINTS, 2)
        or landmarks.dtype.kind not in ("iuf")
    ):
        raise EventFormatError(
            f"{source}: expected numbers of shape (n_frames, {N_POINTS}, 2), "
            f"got {landmarks.dtype} of shape {landmarks.shape}"
        )
    landmarks = landmarks.astype(np.float64)
    if n_frames is not None and len(landmarks) != n_frames:
        raise EventFormatError(
            f"{source}: landmarks of {len(landmarks)} frames for a video of {n_frames}; "
            "give one set of points per frame, NaN where no face was found"
        )
    missing = is_missing(landmarks)
    if missing.all():
        raise EventFormatError(f"{source}: no frame has landmarks ({len(landmarks)} frames)")
    for problem, bad in _problems(landmarks, image_size):
        bad &= ~missing
        if bad.any():
            first = int(np.argmax(bad))
            place = places[first] if places else f"{source}, frame {first}"
            others = f" ({bad.sum()} frames in all)" if bad.sum() > 1 else ""
            raise EventFormatError(f"{place}: {problem}{others}")
    return landmarks


def is_missing(landmarks: np.ndarray) -> np.ndarray:
    """Frames with a NaN, bool ``[n_frames]``."""
    return np.isnan(landmarks).any(axis=(1, 2))


def _problems(
    landmarks: np.ndarray, image_size: tuple[int, int] | None
) -> list[tuple[str, np.ndarray]]:
    """What may be wrong with a frame, and in which frames it is."""
    problems = [("a coordinate is infinite", np.isinf(landmarks).any(axis=(1, 2)))]
    if image_size is not None:
        size = np.array(image_size, np.float64)
        outside = (landmarks < -OUTSIDE_SHARE * size) | (landmarks > (1 + OUTSIDE_SHARE) * size)
        problems.append(
            (
                f"points lie outside the {image_size[0]}×{image_size[1]} image by more than "
                f"{OUTSIDE_SHARE:.0%} of it; are these the landmarks of this video, in its pixels?",
                outside.any(axis=(1, 2)),
            )
        )
    with np.errstate(invalid="ignore"):
        problems += [
            (
                f"the outer corners of the eyes are less than {SMALLEST_EYE_DISTANCE_PX:g} pixels "
                "apart; coordinates must be in pixels, not normalised",
                eye_distance(landmarks) < SMALLEST_EYE_DISTANCE_PX,
            ),
            (
                "the mouth does not lie below the eyes: the points are mirrored or not in the "
                "order of iBUG's 68",
                ~mouth_is_below_the_eyes(landmarks),
            ),
        ]
    return problems


def fill_gaps(
    landmarks: np.ndarray, *, max_gap_frames: int = 5, source: str = "landmarks"
) -> np.ndarray:
    """Points of missing frames, interpolated linearly in time.

    Parameters
    ----------
    landmarks : ndarray of shape (n_frames, 68, 2)
        Pixels, NaN in frames without a face.
    max_gap_frames : int
        Longest run of missing frames that is filled.
    source : str
        What to call the points in messages.

    Returns
    -------
    ndarray of shape (n_frames, 68, 2), dtype float64

    Raises
    ------
    EventFormatError
        For a longer gap, or a gap at the beginning or end, which has only one side to go by.
    """
    # In C order, so that the columns below are views: an array in Fortran order would be copied.
    landmarks = np.array(landmarks, np.float64, order="C")
    missing = is_missing(landmarks)
    if not missing.any():
        return landmarks
    known = np.flatnonzero(~missing)
    if missing[0] or missing[-1]:
        found = f"only in frames {known[0]} to {known[-1]}" if len(known) else "in none"
        raise EventFormatError(
            f"{source}: landmarks {found} of {len(landmarks)}; the first and the last frame need "
            "them: cut the frames before and after from the video"
        )
    gaps = np.diff(known) - 1
    if gaps.max() > max_gap_frames:
        start = int(known[np.argmax(gaps)]) + 1
        raise EventFormatError(
            f"{source}: no landmarks in {gaps.max()} frames in a row, from frame {start}; at most "
            f"{max_gap_frames} are filled (max_gap_frames)"
        )
    frames = np.arange(len(landmarks))
    columns = landmarks.reshape(len(landmarks), -1)
    for column in columns.T:
        column[missing] = np.interp(frames[missing], known, column[known])
    return landmarks
