"""Landmarks without the tremble of a detector, which would shake a still face into events.

Detected points scatter by a fraction of a pixel from frame to frame, and a frame that is aligned
to them scatters along. A Gaussian over time leaves head motion, which is slower:

    points'[k] = Σ_j w(j - k)·points[j] / Σ_j w(j - k),   w(d) = exp(-d²/(2·sigma²)),  |d| ≤ 3·sigma

Smooth what decides the alignment, not what is measured of an expression.

>>> landmarks = np.zeros((5, 68, 2)); landmarks[2] = 1.0
>>> smooth_landmarks(landmarks, sigma_frames=1.0)[:, 0, 0].round(2).tolist()
[0.08, 0.26, 0.4, 0.26, 0.08]
"""

from __future__ import annotations

import numpy as np

from snn.errors import DatasetError, EventFormatError


def smooth_landmarks(landmarks: np.ndarray, *, sigma_frames: float) -> np.ndarray:
    """A weighted mean over neighbouring frames.

    Parameters
    ----------
    landmarks : ndarray of shape (n_frames, 68, 2)
        Complete (``fill_gaps``).
    sigma_frames : float
        Standard deviation of the weights in frames; 0 changes nothing. For MediaPipe at 120
        frames/s, 2 to 4 frames took out most of the events that its tremble makes.

    Returns
    -------
    ndarray of shape (n_frames, 68, 2), dtype float64

    Raises
    ------
    EventFormatError
        When frames are missing.
    DatasetError
        For a negative `sigma_frames`.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if np.isnan(landmarks).any():
        raise EventFormatError("landmarks of some frames are missing; fill_gaps completes them")
    if not sigma_frames >= 0:
        raise DatasetError(f"sigma_frames must be 0 or more, got {sigma_frames}")
    if sigma_frames == 0:
        return landmarks
    reach = min(int(np.ceil(3 * sigma_frames)), len(landmarks) - 1)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma_frames**2))
    present = np.convolve(np.ones(len(landmarks)), weights)[reach : reach + len(landmarks)]
    columns = landmarks.reshape(len(landmarks), -1).T
    smooth = [np.convolve(column, weights)[reach : reach + len(landmarks)] for column in columns]
    return (np.stack(smooth, axis=1) / present[:, None]).reshape(landmarks.shape)
