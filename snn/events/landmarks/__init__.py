"""Where a face's 68 points lie in each frame of a video: read, checked, or detected.

>>> landmarks = read_landmarks("S005/001", n_frames=11, image_size=(640, 490))
"""

from snn.events.landmarks.checks import check_landmarks, fill_gaps
from snn.events.landmarks.detector import detect_landmarks, ibug_from_mesh
from snn.events.landmarks.files import read_landmarks
from snn.events.landmarks.points import N_POINTS, RIGID_POINTS
from snn.events.landmarks.smoothing import smooth_landmarks

__all__ = [
    "N_POINTS",
    "RIGID_POINTS",
    "check_landmarks",
    "detect_landmarks",
    "fill_gaps",
    "ibug_from_mesh",
    "read_landmarks",
    "smooth_landmarks",
]
