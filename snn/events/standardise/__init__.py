"""Videos of faces made alike before they become events: head held still, face cropped, one size.

>>> standard = standardise(frames, landmarks, crop="spiking-fer", size=(200, 200))
>>> standard.frames.shape
(11, 200, 200)
"""

from snn.events.standardise.alignment import ALIGNMENTS, align_to_first, fit_similarity
from snn.events.standardise.crop import (
    PRESETS,
    Box,
    CropFactors,
    EyeSquare,
    FaceSquare,
    Preset,
    find_face_box,
)
from snn.events.standardise.video import (
    Standardised,
    StandardisePlan,
    plan_standardise,
    standardise,
    write_standardised,
)

__all__ = [
    "ALIGNMENTS",
    "PRESETS",
    "Box",
    "CropFactors",
    "EyeSquare",
    "FaceSquare",
    "Preset",
    "StandardisePlan",
    "Standardised",
    "align_to_first",
    "find_face_box",
    "fit_similarity",
    "plan_standardise",
    "standardise",
    "write_standardised",
]
