"""What a set of rendered faces is: its size, how much its clips differ, and the camera.

>>> FaceSetParameters().classes[-1]
'neutral'
"""

from __future__ import annotations

from dataclasses import dataclass, field

from snn.errors import DatasetError
from snn.events.camera import CameraParameters
from snn.events.faces.model import CLASS_NAMES

SMALLEST_SENSOR = 16  # pixels below which no feature is left to see
BACKGROUNDS = ("plain", "gradient", "textured", "clutter")

# Sensors in daylight: without faults; with mismatched thresholds and some background activity; and
# in dim light, where the photoreceptor is slow and pixels fire by themselves.
CAMERAS = {
    "clean": CameraParameters(sigma_thres=0.0),
    "real": CameraParameters(sigma_thres=0.03, shot_noise_rate_hz=0.5, leak_rate_hz=0.1),
    "hard": CameraParameters(
        sigma_thres=0.05,
        cutoff_hz=60.0,
        leak_rate_hz=0.3,
        shot_noise_rate_hz=4.0,
        refractory_period=0.0005,
    ),
}


@dataclass(frozen=True, kw_only=True)
class FaceSetParameters:
    """A set of rendered face clips.

    Difficulty: ``position_jitter_px``, ``scale_jitter``, the three ``_jitter_deg`` and
    ``head_motion_range_px`` decide how far a model without tolerance to shifts gets;
    ``intensity_range``, ``omission_probability`` and the probabilities of distractions decide how
    far any model gets; ``backgrounds`` and ``camera`` add events that mean nothing. Lengths in
    pixels suit the default sensor: scale them along with another sensor size.

    Parameters
    ----------
    sensor_size : tuple of int
        ``(width, height)`` in pixels.
    duration_ms : float
        Length of a clip.
    frame_rate_hz : float
        Lowest rate of rendered frames; fast movements get more.
    max_step_px : float
        Largest movement of any landmark from one frame to the next, in pixels.
    classes : tuple of str
        Of ``CLASS_NAMES``; labels index into this.
    train_subjects, validation_subjects, test_subjects : int
        Number of subjects per split; subjects are numbered through in this order.
    clips_per_class : int
        Clips per subject and class.
    position_jitter_px, scale_jitter : float
        Largest deviation of the head's place (pixels) and size (share) of a clip.
    roll_jitter_deg, yaw_jitter_deg, pitch_jitter_deg : float
        Largest deviation of the head's direction of a clip.
    intensity_range : tuple of float
        Range of the apex intensity.
    unit_jitter : float
        Relative deviation of each unit's amount.
    omission_probability : float
        Chance that a clip leaves out a secondary unit.
    asymmetry : float
        Largest relative difference of a unit between the halves of the face.
    onset_range_ms, rise_range_ms : tuple of float
        Range of the begin and of the length of the movement to the apex.
    unit_lag_ms : float
        Largest delay of a unit behind the onset.
    offset_probability : float
        Share of clips that leave the apex again.
    hold_range_ms, fall_range_ms : tuple of float
        Range of the length of the apex and of the movement back, in clips with an offset.
    tremor : float
        Relative amplitude of the slow wavering of each unit's amount.
    head_motion_range_px : tuple of float
        Range of the amplitude of the head's slow sway, drawn log-uniformly per clip.
    turn_motion_deg : float
        Largest amplitude of turning and nodding.
    blink_probability, gaze_probability, distractor_probability : float
        Share of clips with a blink, a gaze shift, and with speech, a nod or a head shake (neutral
        clips always have one of these three).
    light_slope : float
        Largest sideways slope of the light: 0 from the front, 1 from 45 degrees.
    light_change, flicker : float
        Relative amplitude of slow changes of the light, and of the lamps' 100 Hz flicker.
    backgrounds : tuple of str
        Of ``BACKGROUNDS``; each clip draws one.
    clutter_speed_px_s : float
        Largest speed of the ``clutter`` background in pixels per second.
    camera : CameraParameters
        Pixel model, including the sensor's noise; ``CAMERAS`` has some by name.
    seed : int
        Every clip follows from this, the subject, the label and the take.
    """

    sensor_size: tuple[int, int] = (64, 64)
    duration_ms: float = 400.0
    frame_rate_hz: float = 160.0
    max_step_px: float = 1.0
    classes: tuple[str, ...] = CLASS_NAMES
    train_subjects: int = 100
    validation_subjects: int = 20
    test_subjects: int = 40
    clips_per_class: int = 2
    position_jitter_px: float = 6.0
    scale_jitter: float = 0.10
    roll_jitter_deg: float = 8.0
    yaw_jitter_deg: float = 5.0
    pitch_jitter_deg: float = 3.0
    intensity_range: tuple[float, float] = (0.7, 1.0)
    unit_jitter: float = 0.15
    omission_probability: float = 0.3
    asymmetry: float = 0.15
    onset_range_ms: tuple[float, float] = (20.0, 120.0)
    rise_range_ms: tuple[float, float] = (100.0, 220.0)
    unit_lag_ms: float = 40.0
    offset_probability: float = 0.0
    hold_range_ms: tuple[float, float] = (100.0, 300.0)
    fall_range_ms: tuple[float, float] = (150.0, 400.0)
    tremor: float = 0.03
    head_motion_range_px: tuple[float, float] = (0.05, 0.8)
    turn_motion_deg: float = 1.5
    blink_probability: float = 0.15
    gaze_probability: float = 0.2
    distractor_probability: float = 0.2
    light_slope: float = 0.6
    light_change: float = 0.0
    flicker: float = 0.01
    backgrounds: tuple[str, ...] = ("plain", "gradient")
    clutter_speed_px_s: float = 10.0
    camera: CameraParameters = field(default_factory=lambda: CAMERAS["real"])
    seed: int = 0

    def __post_init__(self) -> None:
        problems = _parameter_problems(self)
        if problems:
            raise DatasetError("unusable face set: " + "; ".join(problems))


def _parameter_problems(parameters: FaceSetParameters) -> list[str]:
    problems = []
    values = vars(parameters)
    subjects = ("train_subjects", "validation_subjects", "test_subjects")
    for name in ("duration_ms", "frame_rate_hz", "clips_per_class", "max_step_px", *subjects):
        if not values[name] > 0:
            problems.append(f"{name} must be above 0, got {values[name]}")
    for name, value in values.items():
        if name.endswith("_probability") and not 0 <= value <= 1:
            problems.append(f"{name} must be in [0, 1], got {value}")
        if "_range" in name and not 0 <= value[0] <= value[1]:
            problems.append(f"{name} must be (low, high) with 0 ≤ low ≤ high, got {value}")
    for name in ("rise_range_ms", "fall_range_ms", "head_motion_range_px"):
        if not values[name][0] > 0:
            problems.append(f"{name} must start above 0, got {values[name]}")
    for name, allowed in (("classes", CLASS_NAMES), ("backgrounds", BACKGROUNDS)):
        chosen = values[name]
        unknown = [value for value in chosen if value not in allowed]
        if unknown or not chosen or len(set(chosen)) != len(chosen):
            problems.append(f"{name} must be different ones of {', '.join(allowed)}, got {chosen}")
    if parameters.seed < 0:
        problems.append(f"seed must be 0 or more, got {parameters.seed}")
    if min(parameters.sensor_size) < SMALLEST_SENSOR:
        problems.append(
            f"a face needs {SMALLEST_SENSOR} pixels each way, got {parameters.sensor_size}"
        )
    return problems
