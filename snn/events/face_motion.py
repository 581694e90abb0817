"""How a face moves during one clip: action units, head, sight and light over time.

A clip goes from neutral to an expression's apex and stays there. Everything that varies from
clip to clip is drawn here, and how much it may vary is a field of ``FaceSetParameters``.

>>> motion = draw_motion(FaceSetParameters(), label=4, rng=np.random.default_rng(0))
>>> motion.units.shape
(64, 2, 18)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snn.errors import DatasetError
from snn.events.camera import CameraParameters
from snn.events.face_drawing import GAZE_DTYPE, LIGHT_DTYPE, POSE_DTYPE
from snn.events.face_model import ACTION_UNITS, CLASS_NAMES, EXPRESSIONS, UNIT_INDEX

HEAD_SHARE = 0.40  # half the head's height as a share of the smaller side of the sensor
RESTING_SHARE = 0.08  # how much the still half of a one-sided expression follows
SMALLEST_SENSOR = 16  # pixels below which no feature is left to see
BLINK_HALF_S = 0.075  # time from open to closed


@dataclass(frozen=True)
class FaceSetParameters:
    """A set of rendered face clips: its size, how much clips differ, and the camera.

    ``position_jitter_px``, ``scale_jitter`` and ``roll_jitter_deg`` decide how hard the set is for
    a model without translation tolerance; head motion blurs the number of events. Lengths in
    pixels suit the default sensor: scale them along with another sensor size.

    Parameters
    ----------
    sensor_size : tuple of int
        ``(width, height)`` in pixels.
    duration_ms : float
        Length of a clip.
    frame_rate_hz : float
        Rendered frames per second; fast enough that nothing moves more than a pixel per frame.
    train_subjects, validation_subjects, test_subjects : int
        Number of subjects per split; subjects are numbered through in this order.
    clips_per_class : int
        Clips per subject and class.
    position_jitter_px, scale_jitter, roll_jitter_deg : float
        Largest deviation of the head's place (pixels), size (share) and roll (degrees) of a clip.
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
    head_motion_range_px : tuple of float
        Range of the amplitude of the head's slow sway, drawn log-uniformly per clip.
    turn_motion : float
        Largest amplitude of turning and nodding, in half head heights.
    blink_probability, gaze_probability, distractor_probability : float
        Share of clips with a blink, a gaze shift, and with speech, a nod or a head shake.
    light_slope, flicker : float
        Largest light slope across half a head, and relative amplitude of the lamps' flicker.
    camera : CameraParameters
        Pixel model, including the sensor's noise.
    seed : int
        Every clip follows from this, the subject, the label and the take.
    """

    sensor_size: tuple[int, int] = (64, 64)
    duration_ms: float = 400.0
    frame_rate_hz: float = 160.0
    train_subjects: int = 100
    validation_subjects: int = 20
    test_subjects: int = 40
    clips_per_class: int = 2
    position_jitter_px: float = 6.0
    scale_jitter: float = 0.10
    roll_jitter_deg: float = 8.0
    intensity_range: tuple[float, float] = (0.55, 1.0)
    unit_jitter: float = 0.15
    omission_probability: float = 0.3
    asymmetry: float = 0.15
    onset_range_ms: tuple[float, float] = (20.0, 120.0)
    rise_range_ms: tuple[float, float] = (100.0, 220.0)
    unit_lag_ms: float = 40.0
    head_motion_range_px: tuple[float, float] = (0.05, 0.8)
    turn_motion: float = 0.02
    blink_probability: float = 0.15
    gaze_probability: float = 0.2
    distractor_probability: float = 0.2
    light_slope: float = 0.2
    flicker: float = 0.01
    camera: CameraParameters = field(
        default_factory=lambda: CameraParameters(sigma_thres=0.03, shot_noise_rate_hz=0.5)
    )
    seed: int = 0

    def __post_init__(self) -> None:
        problems = _parameter_problems(self)
        if problems:
            raise DatasetError("unusable face set: " + "; ".join(problems))


def _parameter_problems(parameters: FaceSetParameters) -> list[str]:
    problems = []
    values = vars(parameters)
    for name in ("duration_ms", "frame_rate_hz", "clips_per_class"):
        if values[name] <= 0:
            problems.append(f"{name} must be above 0, got {values[name]}")
    for name, value in values.items():
        if name.endswith("_probability") and not 0 <= value <= 1:
            problems.append(f"{name} must be in [0, 1], got {value}")
        if "_range" in name and not 0 <= value[0] <= value[1]:
            problems.append(f"{name} must be (low, high) with 0 ≤ low ≤ high, got {value}")
    for name in ("rise_range_ms", "head_motion_range_px"):
        if values[name][0] <= 0:
            problems.append(f"{name} must start above 0, got {values[name]}")
    if min(parameters.sensor_size) < SMALLEST_SENSOR:
        problems.append(
            f"a face needs {SMALLEST_SENSOR} pixels each way, got {parameters.sensor_size}"
        )
    return problems


@dataclass(frozen=True)
class Motion:
    """The course of one clip.

    Parameters
    ----------
    units : ndarray of shape (n_frames, 2, n_units)
        Amount of each action unit in the left and right half of the image.
    pose, gaze, light : ndarray of shape (n_frames,)
        Of ``POSE_DTYPE``, ``GAZE_DTYPE`` and ``LIGHT_DTYPE``.
    """

    units: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    light: np.ndarray


def draw_motion(parameters: FaceSetParameters, *, label: int, rng: np.random.Generator) -> Motion:
    """Draw the course of one clip of class `label`.

    The frames lie at ``k / frame_rate_hz`` inside ``[0, duration)``.
    """
    n_frames = int(np.ceil(parameters.duration_ms * 1e-3 * parameters.frame_rate_hz - 1e-9))
    time_s = np.arange(n_frames) / parameters.frame_rate_hz
    units = _expression_units(parameters, label, time_s, rng)
    pose = _head_pose(parameters, time_s, rng)
    _add_blink(parameters, units, time_s, rng)
    _add_distractor(parameters, units, pose, time_s, rng)
    gaze = _gaze(parameters, time_s, rng)
    light = _light(parameters, time_s, rng)
    return Motion(units, pose, gaze, light)


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and ``3t² - 2t³`` between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _expression_units(
    parameters: FaceSetParameters, label: int, time_s: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Amounts over time of the units of one expression."""
    apex = _apex_units(parameters, label, rng)
    onset_s = rng.uniform(*parameters.onset_range_ms) * 1e-3
    rise_s = rng.uniform(*parameters.rise_range_ms) * 1e-3
    lag_s = rng.uniform(0, parameters.unit_lag_ms, len(ACTION_UNITS)) * 1e-3
    course = smoothstep((time_s[:, None] - onset_s - lag_s) / rise_s)
    return course[:, None, :] * apex


def _apex_units(parameters: FaceSetParameters, label: int, rng: np.random.Generator) -> np.ndarray:
    """Amounts at the apex, ``[2, n_units]``: the mix of the class with one clip's deviations."""
    expression = EXPRESSIONS[CLASS_NAMES[label]]
    apex = np.zeros((2, len(ACTION_UNITS)))
    for unit, amount in expression.primary.items():
        apex[:, UNIT_INDEX[unit]] = amount
    kept = rng.random(len(ACTION_UNITS)) >= parameters.omission_probability
    for unit, amount in expression.secondary.items():
        apex[:, UNIT_INDEX[unit]] = amount * kept[UNIT_INDEX[unit]]
    apex *= rng.uniform(*parameters.intensity_range)
    apex *= 1 + parameters.unit_jitter * rng.uniform(-1, 1, len(ACTION_UNITS))
    lean = 0.5 * parameters.asymmetry * rng.uniform(-1, 1, len(ACTION_UNITS))
    apex *= 1 + np.stack([lean, -lean])
    still_side = rng.integers(2)
    if expression.one_sided:
        apex[still_side] *= RESTING_SHARE
    return apex


def _sway(time_s: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """A slow sinusoid that starts at 0."""
    frequency_hz, phase = rng.uniform(0.5, 2.0), rng.uniform(0, 2 * np.pi)
    return amplitude * (np.sin(2 * np.pi * frequency_hz * time_s + phase) - np.sin(phase))


def _head_pose(
    parameters: FaceSetParameters, time_s: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    width, height = parameters.sensor_size
    pose = np.zeros(len(time_s), POSE_DTYPE)
    place = parameters.position_jitter_px * rng.uniform(-1, 1, 2)
    sway_px = np.exp(rng.uniform(*np.log(parameters.head_motion_range_px)))
    pose["x"] = width / 2 + place[0] + _sway(time_s, sway_px, rng)
    pose["y"] = height / 2 + place[1] + _sway(time_s, 0.6 * sway_px, rng)
    size = 1 + parameters.scale_jitter * rng.uniform(-1, 1)
    pose["scale"] = HEAD_SHARE * min(width, height) * size
    roll = np.deg2rad(parameters.roll_jitter_deg) * rng.uniform(-1, 1)
    pose["roll"] = roll + _sway(time_s, 0.5 * parameters.turn_motion * rng.random(), rng)
    pose["turn"] = _sway(time_s, parameters.turn_motion * rng.random(), rng)
    pose["nod"] = _sway(time_s, parameters.turn_motion * rng.random(), rng)
    return pose


def _add_blink(
    parameters: FaceSetParameters, units: np.ndarray, time_s: np.ndarray, rng: np.random.Generator
) -> None:
    happens, centre_s = rng.random() < parameters.blink_probability, rng.uniform(0, time_s[-1])
    if happens:
        closing = smoothstep(1 - np.abs(time_s - centre_s) / BLINK_HALF_S)
        units[:, :, UNIT_INDEX[43]] += closing[:, None]


def _add_distractor(
    parameters: FaceSetParameters,
    units: np.ndarray,
    pose: np.ndarray,
    time_s: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Speech, a nod or a head shake, none of which says anything about the class."""
    happens, kind = rng.random() < parameters.distractor_probability, rng.integers(3)
    frequency_hz, amount = rng.uniform(2.0, 5.0), rng.uniform(0.5, 1.0)
    if not happens:
        return
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * frequency_hz * time_s)
    if kind == 0:
        units[:, :, UNIT_INDEX[25]] += 0.5 * amount * wave[:, None]
        units[:, :, UNIT_INDEX[26]] += 0.2 * amount * wave[:, None]
    else:
        pose["nod" if kind == 1 else "turn"] += 0.08 * amount * wave


def _gaze(
    parameters: FaceSetParameters, time_s: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Direction of sight: fixed, or one jump (saccades take some 30 ms)."""
    happens, start_s = rng.random() < parameters.gaze_probability, rng.uniform(0, time_s[-1])
    first = rng.uniform(-0.4, 0.4, 2)
    second = rng.uniform(-0.8, 0.8, 2) if happens else first
    share = smoothstep((time_s - start_s) / 0.03)
    gaze = np.zeros(len(time_s), GAZE_DTYPE)
    gaze["x"] = first[0] + share * (second[0] - first[0])
    gaze["y"] = 0.4 * (first[1] + share * (second[1] - first[1]))
    return gaze


def _light(
    parameters: FaceSetParameters, time_s: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    light = np.zeros(len(time_s), LIGHT_DTYPE)
    phase = rng.uniform(0, 2 * np.pi)
    flicker = parameters.flicker * np.sin(2 * np.pi * 100.0 * time_s + phase)
    light["gain"] = rng.uniform(0.8, 1.15) * (1 + flicker)
    light["slope_x"] = parameters.light_slope * rng.uniform(-1, 1)
    light["slope_y"] = parameters.light_slope * rng.uniform(-1, 0.3)
    light["background"] = rng.uniform(50, 200)
    light["background_slope"] = rng.uniform(-40, 40)
    return light
