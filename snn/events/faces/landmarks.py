"""The 68 landmarks of a drawn face, exact, in the order of iBUG 300-W (and dlib).

Jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67; left and right are the image's.

Reference: C. Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.faces.curves import (
    brow_point,
    depth,
    drop_jaw,
    eye_axis,
    lid_bottom,
    lid_top,
    lip_lines,
    mouth_x,
    outline_x,
    project,
)
from snn.events.faces.model import CHIN_Y, CROWN_Y, EYE_Y, NOSE_TOP_Y

N_LANDMARKS = 68
# Behind the landmarks: pupils, middles of the lids, nose wings, crown and temples.
N_TRACKED = N_LANDMARKS + 11


def landmarks(
    identity: np.void, geometry: np.ndarray, pose: np.ndarray, gaze: np.ndarray
) -> np.ndarray:
    """Landmarks of the frames of a clip, and other points that move.

    Parameters
    ----------
    identity : record of ``IDENTITY_DTYPE``
        The subject.
    geometry, pose, gaze : ndarray of shape (n_frames,)
        Of ``GEOMETRY_DTYPE``, ``POSE_DTYPE`` and ``GAZE_DTYPE``.

    Returns
    -------
    ndarray of shape (n_frames, N_TRACKED, 2), dtype float64
        Columns and rows of pixels, the centre of the first pixel being (0, 0). The first 68 are the
        landmarks, the two after them the pupils.
    """
    points = np.empty((len(geometry), N_TRACKED, 2))
    for k in range(len(geometry)):
        _place(points[k], identity, geometry[k], gaze[k])
        _project_all(points[k], identity, pose[k])
    return points


@njit(cache=True, error_model="numpy")
def _put(points: np.ndarray, i: int, x: float, y: float) -> None:
    # Assigning a pair to a row means the same and takes ten times as long to compile.
    points[i, 0], points[i, 1] = x, y


@njit(cache=True, error_model="numpy")
def _place(points: np.ndarray, identity: np.void, geometry: np.void, gaze: np.void) -> None:
    """Write all points in half head heights."""
    for i in range(17):
        angle = 0.5 * np.pi * (i - 8) / 8.0
        y = CHIN_Y * np.cos(angle)
        x = outline_x(y, identity) * np.sign(angle)
        _put(points, i, x, drop_jaw(y, geometry["jaw_drop"]))
    for k in range(5):
        _put(points, 21 - k, *brow_point(0.25 * k, 0, identity, geometry))
        _put(points, 22 + k, *brow_point(0.25 * k, 1, identity, geometry))
    _place_nose(points, geometry)
    for side in range(2):
        _place_eye(points, side, identity, geometry, gaze)
    _place_mouth(points, geometry)
    _put(points, 76, 0.0, CROWN_Y)
    _put(points, 77, -identity["head_width"], -0.2)
    _put(points, 78, identity["head_width"], -0.2)


@njit(cache=True, error_model="numpy")
def _place_nose(points: np.ndarray, geometry: np.void) -> None:
    left_y, right_y = geometry["nostril_y"][0], geometry["nostril_y"][1]
    left_x, right_x = -geometry["nostril_x"][0], geometry["nostril_x"][1]
    base = 0.5 * (left_y + right_y)
    for k in range(4):
        _put(points, 27 + k, 0.0, NOSE_TOP_Y + (base - 0.06 - NOSE_TOP_Y) * k / 3.0)
    _put(points, 31, 0.8 * left_x, left_y)
    _put(points, 32, 0.45 * left_x, 0.5 * (left_y + base) + 0.03)
    _put(points, 33, 0.0, base + 0.045)
    _put(points, 34, 0.45 * right_x, 0.5 * (right_y + base) + 0.03)
    _put(points, 35, 0.8 * right_x, right_y)
    _put(points, 74, left_x, left_y - 0.04)
    _put(points, 75, right_x, right_y - 0.04)


@njit(cache=True, error_model="numpy")
def _place_eye(
    points: np.ndarray, side: int, identity: np.void, geometry: np.void, gaze: np.void
) -> None:
    sign = 2.0 * side - 1.0
    upper, lower = geometry["lid_upper"][side], geometry["lid_lower"][side]
    centre, wide = sign * identity["eye_x"], identity["eye_width"]
    radius = identity["iris_radius"]
    for k in range(6):
        # Around the eye from the image's left corner: corner, two above, corner, two below.
        u = sign * (-1.0, -0.36, 0.36, 1.0, 0.36, -0.36)[k]
        y = eye_axis(u, identity) + (lid_top(u, upper) if k < 3 else lid_bottom(u, lower))
        _put(points, 36 + 6 * side + k, centre + sign * u * wide, y)
    _put(points, 68 + side, centre + gaze["x"] * radius, EYE_Y + gaze["y"] * radius - 0.006)
    _put(points, 70 + side, centre, eye_axis(0.0, identity) + lid_top(0.0, upper))
    _put(points, 72 + side, centre, eye_axis(0.0, identity) + lid_bottom(0.0, lower))


@njit(cache=True, error_model="numpy")
def _place_mouth(points: np.ndarray, geometry: np.void) -> None:
    for k in range(7):
        u = (-1.0, -0.6, -0.22, 0.0, 0.22, 0.6, 1.0)[k]
        outer_top, _, _, outer_bottom = lip_lines(u, geometry)
        _put(points, 48 + k, mouth_x(u, geometry), outer_top)
        if 0 < k < 6:
            _put(points, 60 - k, mouth_x(u, geometry), outer_bottom)
    for k in range(5):
        u = (-0.92, -0.4, 0.0, 0.4, 0.92)[k]
        _, inner_top, inner_bottom, _ = lip_lines(u, geometry)
        _put(points, 60 + k, mouth_x(u, geometry), inner_top)
        if 0 < k < 4:
            _put(points, 68 - k, mouth_x(u, geometry), max(inner_bottom, inner_top))


@njit(cache=True, error_model="numpy")
def _project_all(points: np.ndarray, identity: np.void, pose: np.void) -> None:
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        _put(points, i, *project(x, y, depth(x, y, identity), pose))
