"""Rendered faces: clips of eight expressions as event recordings, each reproducible from numbers.

Subject, label and take number decide a clip byte for byte, so a set is its parameters and needs no
files. Splits share no subject: subjects are numbered train first, then validation, then test.

The faces are drawings; a model trained on them knows nothing yet about photographs of people.

>>> clip = render_clip(FaceSetParameters(), subject=0, label=4, take=0)
>>> CLASS_NAMES[clip.label], clip.recording.sensor_size
('happy', (64, 64))
"""

from snn.events.faces.clips import (
    SPLITS,
    Clip,
    clip_frames,
    clip_keys,
    render_clip,
    render_clips,
    split_subjects,
)
from snn.events.faces.model import CLASS_NAMES
from snn.events.faces.parameters import BACKGROUNDS, CAMERAS, FaceSetParameters
from snn.events.faces.presets import PRESETS, face_set

__all__ = [
    "BACKGROUNDS",
    "CAMERAS",
    "CLASS_NAMES",
    "PRESETS",
    "SPLITS",
    "Clip",
    "FaceSetParameters",
    "clip_frames",
    "clip_keys",
    "face_set",
    "render_clip",
    "render_clips",
    "split_subjects",
]
