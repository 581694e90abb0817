"""The motion of a head in the image plane, from points that expressions do not move.

The map from the points ``x`` of a frame to the points ``y`` of the first frame that leaves the
least squared error is, with points as complex numbers and ``x̄``, ``ȳ`` their means,

    z      = Σ conj(x - x̄)·(y - ȳ)
    scale  = |z| / Σ|x - x̄|²            1 for ``rotation``
    f(x)   = scale·z/|z|·(x - x̄) + ȳ

which is Umeyama's solution in two dimensions, where a rotation is a complex number of length 1.

Reference: S. Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point
Patterns", IEEE TPAMI 13(4), 1991, equations 40 to 42.

>>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
>>> fit_similarity(2 * square + 3, square, with_scale=True).round(9).tolist()
[[0.5, -0.0, -1.5], [0.0, 0.5, -1.5]]
"""

from __future__ import annotations

import numpy as np

from snn.errors import DatasetError
from snn.events.landmarks import RIGID_POINTS

NONE, ROTATION, SIMILARITY = ALIGNMENTS = ("none", "rotation", "similarity")


def fit_similarity(source: np.ndarray, target: np.ndarray, *, with_scale: bool) -> np.ndarray:
    """Rotation, shift and, if asked for, scale that best take points to other points.

    Parameters
    ----------
    source, target : ndarray of shape (..., n_points, 2), n_points ≥ 2
        Corresponding points, not all on one spot.
    with_scale : bool
        Whether the size may change.

    Returns
    -------
    ndarray of shape (..., 2, 3), dtype float64
        ``target ≈ matrix[:, :2] @ source + matrix[:, 2]``.
    """
    x, y = _complex(source), _complex(target)
    x_mean, y_mean = x.mean(axis=-1), y.mean(axis=-1)
    x, y = x - x_mean[..., None], y - y_mean[..., None]
    z = (x.conj() * y).sum(axis=-1)
    factor = z / ((np.abs(x) ** 2).sum(axis=-1) if with_scale else np.abs(z))
    shift = y_mean - factor * x_mean
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _complex(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, np.float64)
    return points[..., 0] + 1j * points[..., 1]


def align_to_first(landmarks: np.ndarray, align: str) -> np.ndarray:
    """Maps that put the head of each frame where it was in the first frame.

    Parameters
    ----------
    landmarks : ndarray of shape (n_frames, 68, 2)
        In pixels.
    align : str
        ``none``: frames stay as they are (evTransFER). ``rotation``: rotation and shift, so that
        "the landmarks match the same position as those of the first frame" (Spiking-FER).
        ``similarity``: size too, which also takes out a head that comes nearer.

    Returns
    -------
    ndarray of shape (n_frames, 2, 3), dtype float64
        From pixels of a frame to pixels of the first frame; the first is the identity.

    Raises
    ------
    DatasetError
        For another mode.
    """
    if align not in ALIGNMENTS:
        raise DatasetError(f"unknown alignment {align!r}; choose one of {', '.join(ALIGNMENTS)}")
    if align == NONE:
        return np.tile(np.eye(2, 3), (len(landmarks), 1, 1))
    rigid = landmarks[:, RIGID_POINTS]
    return fit_similarity(rigid, rigid[:1], with_scale=align == SIMILARITY)


def transform(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Points ``[..., n_points, 2]`` under affine maps ``[..., 2, 3]``."""
    return points @ np.swapaxes(matrices[..., :2], -1, -2) + matrices[..., None, :, 2]


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The affine map ``[..., 2, 3]`` that applies `inner` and then `outer`."""
    linear = outer[..., :2] @ inner[..., :2]
    shift = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return np.concatenate([linear, shift], axis=-1)
