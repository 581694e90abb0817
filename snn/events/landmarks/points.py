"""The 68 points of a face, numbered from 0 in the order of iBUG (300-W, dlib, OpenFace, CK+).

Coordinates are ``(x, y)`` in pixels; whole numbers are pixel centres, ``(0, 0)`` is the centre of
the top left pixel. Left and right are those of the image, not of the person.

    0-16 jaw, left to right      17-21 left brow     22-26 right brow
    27-30 nose, bridge to tip    31-35 nostrils      36-41 left eye, from its outer corner
    42-47 right eye, from its inner corner           48-59 lips, outside    60-67 lips, inside

Reference: C. Sagonas et al., "300 Faces in-the-Wild Challenge", ICCV Workshops 2013.

>>> points = np.arange(136.0).reshape(68, 2)
>>> points[NOSE_TIP].tolist()
[60.0, 61.0]
"""

from __future__ import annotations

import numpy as np

N_POINTS = 68
NOSE_BRIDGE = slice(27, 31)
NOSE_ROOT, NOSE_TIP, NOSE_BASE = 27, 30, 33
LEFT_EYE_OUTER, LEFT_EYE_INNER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER = 36, 39, 42, 45
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH = slice(48, 68)

# No facial expression moves the corners of the eyes or the bridge of the nose by much; the tip
# and the nostrils move with disgust, everything else with most expressions.
RIGID_POINTS = np.array(
    [LEFT_EYE_OUTER, LEFT_EYE_INNER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER, 27, 28, 29]
)


def eye_distance(points: np.ndarray) -> np.ndarray:
    """Distance between the outer corners of the eyes.

    Parameters
    ----------
    points : ndarray of shape (..., 68, 2)
        In pixels.

    Returns
    -------
    ndarray of shape (...)
        In pixels.
    """
    return np.linalg.norm(points[..., RIGHT_EYE_OUTER, :] - points[..., LEFT_EYE_OUTER, :], axis=-1)


def mouth_is_below_the_eyes(points: np.ndarray) -> np.ndarray:
    """Whether the mouth lies on the chin's side of the eyes, for any roll of the head.

    The line from the left to the right eye, turned by a quarter from x to y, points towards the
    mouth. Mirrored faces and points in another order fail.

    Parameters
    ----------
    points : ndarray of shape (..., 68, 2)
        In pixels.

    Returns
    -------
    ndarray of bool, shape (...)
    """
    left = points[..., LEFT_EYE, :].mean(axis=-2)
    right = points[..., RIGHT_EYE, :].mean(axis=-2)
    across, down = right - left, points[..., MOUTH, :].mean(axis=-2) - (left + right) / 2
    return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0] > 0
