"""Landmarks found by MediaPipe's face mesh, an optional extra; its models lie in its package.

The mesh has 468 vertices on the surface of a face. Each of iBUG's 68 points is the vertex that
lies nearest to its definition, read off the contours that MediaPipe itself names (face oval,
brows, eyes, lips, nose).

Reference: Y. Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile
GPUs", CVPR Workshop 2019.

>>> landmarks = detect_landmarks(frames, max_gap_frames=3)      # needs spikeface[landmarks]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from snn.errors import DatasetError, EventFormatError
from snn.events.landmarks.checks import check_landmarks, fill_gaps
from snn.events.landmarks.points import N_POINTS

MEDIAPIPE = "mediapipe==0.10.14"  # later packages hold no models and would download them
N_VERTICES = 468
# fmt: off
VERTICES = np.array([
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,  # jaw
    70, 63, 105, 66, 107,                                          # left brow, from outside
    336, 296, 334, 293, 300,                                       # right brow, from inside
    168, 197, 5, 4,                                                # nose, from its root
    98, 97, 2, 326, 327,                                           # nostrils
    33, 160, 158, 133, 153, 144,                                   # left eye
    362, 385, 387, 263, 373, 380,                                  # right eye
    61, 40, 37, 0, 267, 270, 291, 321, 405, 17, 181, 91,           # lips, outside
    78, 81, 13, 311, 308, 402, 14, 178,                            # lips, inside
])
# fmt: on


def ibug_from_mesh(mesh: np.ndarray) -> np.ndarray:
    """The 68 points of a face mesh.

    Parameters
    ----------
    mesh : ndarray of shape (..., n_vertices, 2), n_vertices ≥ 468
        Vertices of MediaPipe's face mesh.

    Returns
    -------
    ndarray of shape (..., 68, 2)
    """
    if mesh.ndim < 2 or mesh.shape[-2] < N_VERTICES:
        raise EventFormatError(f"expected a mesh of shape (..., {N_VERTICES}, 2), got {mesh.shape}")
    return mesh[..., VERTICES, :]


def detect_landmarks(
    frames: Iterable[np.ndarray], *, max_gap_frames: int = 5, min_confidence: float = 0.5
) -> np.ndarray:
    """Find the 68 points of the one face in a video, frame after frame.

    The face is searched in the first frame and followed from there; frames are taken one at a
    time, so that a video need not fit into memory.

    Parameters
    ----------
    frames : iterable of ndarray of shape (height, width) or (height, width, 3), dtype uint8
        Grey or RGB.
    max_gap_frames : int
        Longest run of frames without a face that is filled by interpolation.
    min_confidence : float
        Least confidence in [0, 1] of detection and tracking.

    Returns
    -------
    ndarray of shape (n_frames, 68, 2), dtype float64
        In pixels.

    Raises
    ------
    DatasetError
        When MediaPipe is not installed.
    EventFormatError
        For frames of another shape or dtype, or when the face was not found for too long.
    """
    mesh = _face_mesh(min_confidence)
    with mesh:
        found = [_points(mesh, frame) for frame in frames]
    if not found:
        raise EventFormatError("there are no frames to find landmarks in")
    landmarks = check_landmarks(np.stack(found), source="detected landmarks")
    return fill_gaps(landmarks, max_gap_frames=max_gap_frames, source="detected landmarks")


def _face_mesh(min_confidence: float) -> Any:
    try:
        from mediapipe.python.solutions.face_mesh import FaceMesh
    except ImportError as error:
        raise DatasetError(
            f"finding landmarks needs {MEDIAPIPE} ({error}); install spikeface[landmarks] in an "
            "environment of its own, or give a landmark file"
        ) from error
    return FaceMesh(
        static_image_mode=False,
        max_num_faces=1,
        min_detection_confidence=min_confidence,
        min_tracking_confidence=min_confidence,
    )


def _points(mesh: Any, frame: np.ndarray) -> np.ndarray:
    """Points of one frame, NaN when no face was found."""
    is_image = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
    if frame.dtype != np.uint8 or not is_image:
        raise EventFormatError(
            "expected uint8 frames of shape (height, width) or (height, width, 3), "
            f"got {frame.dtype} of shape {frame.shape}"
        )
    rgb = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if frame.ndim == 2 else frame
    faces = mesh.process(np.ascontiguousarray(rgb)).multi_face_landmarks
    if not faces:
        return np.full((N_POINTS, 2), np.nan)
    vertices = np.array([(vertex.x, vertex.y) for vertex in faces[0].landmark])
    # The mesh measures from the image's edge, in shares of its size; pixel centres are ours.
    height, width = frame.shape[:2]
    return ibug_from_mesh(vertices) * (width, height) - 0.5
