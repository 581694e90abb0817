"""Sets of faces by name: the demo, a small one and a full one, each with any camera.

>>> face_set("demo", camera="hard").camera.cutoff_hz
60.0
"""

from __future__ import annotations

from dataclasses import replace

from snn.errors import DatasetError
from snn.events.faces.parameters import BACKGROUNDS, CAMERAS, FaceSetParameters

PRESETS: dict[str, FaceSetParameters] = {
    "demo": FaceSetParameters(),
    "faces-small": FaceSetParameters(
        sensor_size=(128, 128),
        duration_ms=600.0,
        frame_rate_hz=200.0,
        max_step_px=0.7,
        train_subjects=40,
        validation_subjects=8,
        test_subjects=12,
        position_jitter_px=10.0,
        yaw_jitter_deg=8.0,
        pitch_jitter_deg=5.0,
        intensity_range=(0.55, 1.0),
        rise_range_ms=(120.0, 260.0),
        offset_probability=0.3,
        hold_range_ms=(60.0, 160.0),
        fall_range_ms=(150.0, 250.0),
        head_motion_range_px=(0.1, 1.6),
        backgrounds=("plain", "gradient", "textured"),
    ),
    "faces-full": FaceSetParameters(
        sensor_size=(200, 200),
        duration_ms=1300.0,
        frame_rate_hz=250.0,
        max_step_px=0.7,
        train_subjects=120,
        validation_subjects=20,
        test_subjects=40,
        position_jitter_px=14.0,
        yaw_jitter_deg=12.0,
        pitch_jitter_deg=7.0,
        intensity_range=(0.55, 1.0),
        onset_range_ms=(50.0, 250.0),
        rise_range_ms=(150.0, 400.0),
        offset_probability=0.6,
        hold_range_ms=(150.0, 400.0),
        fall_range_ms=(200.0, 450.0),
        head_motion_range_px=(0.2, 3.0),
        turn_motion_deg=3.0,
        blink_probability=0.35,
        gaze_probability=0.35,
        distractor_probability=0.3,
        light_change=0.03,
        backgrounds=BACKGROUNDS,
    ),
}


def face_set(name: str, *, camera: str | None = None, seed: int | None = None) -> FaceSetParameters:
    """A preset, with another camera or seed when given.

    Parameters
    ----------
    name : str
        Of ``PRESETS``.
    camera : str, optional
        Of ``CAMERAS``.
    seed : int, optional
        Another seed makes other subjects.

    Raises
    ------
    DatasetError
        For an unknown name.
    """
    for kind, chosen, known in (("set", name, PRESETS), ("camera", camera, CAMERAS)):
        if chosen is not None and chosen not in known:
            raise DatasetError(f"unknown {kind} {chosen!r}; choose one of {', '.join(known)}")
    parameters = PRESETS[name]
    if camera is not None:
        parameters = replace(parameters, camera=CAMERAS[camera])
    return parameters if seed is None else replace(parameters, seed=seed)
