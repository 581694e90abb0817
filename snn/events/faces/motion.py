"""How a face moves during one clip: action units, head, sight and light as functions of time.

A clip goes from neutral to an expression's apex and stays there or returns. Everything that
varies from clip to clip is drawn once; the result can then be asked about any instant.

>>> motion = draw_motion(FaceSetParameters(), class_name="happy", rng=np.random.default_rng(0))
>>> motion.units(np.array([0.0, 0.4])).shape
(2, 2, 19)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn.events.faces.model import ACTION_UNITS, EXPRESSIONS, UNIT_INDEX
from snn.events.faces.parameters import FaceSetParameters

HEAD_MIDDLE = 0.47  # height of the head's middle, leaving room for a dropped jaw
HEAD_SHARE = 0.40  # half the head's height as a share of the smaller side of the sensor
RESTING_SHARE = 0.08  # how much the still half of a one-sided expression follows
LAMP_HZ = 100.0  # lamps flicker at twice the mains' frequency
NOD_RAD = 0.10  # full amplitude of a nod or a shake of the head

# Where the head is: centre and half height in pixels, turns in radians (yaw to the right of the
# image, pitch down, roll clockwise).
POSE_DTYPE = np.dtype([(name, "f8") for name in ("x", "y", "scale", "roll", "yaw", "pitch")])
# Direction of sight, in iris radii.
GAZE_DTYPE = np.dtype([("x", "f8"), ("y", "f8")])
# Light: overall gain, direction (slopes to the right and down), and the background's shift in px.
LIGHT_DTYPE = np.dtype([(name, "f8") for name in ("gain", "x", "y", "shift_x", "shift_y")])


def smoothstep(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and ``3t² - 2t³`` between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class Sway:
    """A slow sinusoid that starts at 0: ``amplitude · (sin(2πft + φ) - sin φ)``."""

    amplitude: float
    frequency_hz: float
    phase: float

    def at(self, time_s: np.ndarray) -> np.ndarray:
        """Its value at given times."""
        angle = 2 * np.pi * self.frequency_hz * time_s + self.phase
        return self.amplitude * (np.sin(angle) - np.sin(self.phase))


@dataclass(frozen=True)
class ExpressionCourse:
    """Onset, apex and, for finite ``leave_s``, offset of the units of one expression.

    Parameters
    ----------
    apex : ndarray of shape (2, n_units)
        Amounts at the apex for the left and right half of the image.
    lag_s : ndarray of shape (n_units,)
        Delay of each unit behind the others.
    tremor : float
        Relative amplitude of the slow wavering.
    tremor_hz, tremor_phase : ndarray of shape (n_units,)
    """

    apex: np.ndarray
    lag_s: np.ndarray
    onset_s: float
    rise_s: float
    leave_s: float
    fall_s: float
    tremor: float
    tremor_hz: np.ndarray
    tremor_phase: np.ndarray

    def at(self, time_s: np.ndarray) -> np.ndarray:
        """Amounts, shape (n_times, 2, n_units)."""
        late = time_s[:, None] - self.lag_s
        course = smoothstep((late - self.onset_s) / self.rise_s)
        course = course * (1 - smoothstep((late - self.leave_s) / self.fall_s))
        waver = np.sin(2 * np.pi * self.tremor_hz * time_s[:, None] + self.tremor_phase)
        return (course * (1 + self.tremor * waver))[:, None, :] * self.apex


@dataclass(frozen=True)
class Blink:
    """A lid that closes fast, rests shortly and opens more slowly."""

    start_s: float
    close_s: float
    shut_s: float
    open_s: float

    def at(self, time_s: np.ndarray) -> np.ndarray:
        """Share of closure."""
        since = time_s - self.start_s
        opening = smoothstep((since - self.close_s - self.shut_s) / self.open_s)
        return smoothstep(since / self.close_s) * (1 - opening)


@dataclass(frozen=True)
class Speech:
    """Syllables: bumps of opening, dropping and pursing of the mouth.

    Parameters
    ----------
    starts_s, lengths_s : ndarray of shape (n_syllables,)
    amounts : ndarray of shape (n_syllables, 3)
        Of units 25, 26 and 18.
    """

    starts_s: np.ndarray
    lengths_s: np.ndarray
    amounts: np.ndarray

    def at(self, time_s: np.ndarray) -> np.ndarray:
        """Amounts of units 25, 26 and 18, shape (n_times, 3)."""
        inside = np.clip((time_s[:, None] - self.starts_s) / self.lengths_s, 0, 1)
        return np.sin(np.pi * inside) ** 2 @ self.amounts


@dataclass(frozen=True)
class Motion:
    """The course of one clip; each method takes times in seconds, shape (n_times,)."""

    expression: ExpressionCourse
    blinks: tuple[Blink, ...]
    speech: Speech | None
    rest: dict[str, float]
    sways: dict[str, tuple[Sway, ...]]
    gaze_start_s: float
    gaze_length_s: float
    gaze_from: np.ndarray
    gaze_to: np.ndarray
    flicker: Sway
    drift_px_s: np.ndarray

    def units(self, time_s: np.ndarray) -> np.ndarray:
        """Amounts of ``ACTION_UNITS``, shape (n_times, 2, n_units)."""
        units = self.expression.at(time_s)
        for blink in self.blinks:
            units[:, :, UNIT_INDEX[43]] += blink.at(time_s)[:, None]
        if self.speech is not None:
            spoken = self.speech.at(time_s)
            for column, unit in enumerate((25, 26, 18)):
                units[:, :, UNIT_INDEX[unit]] += spoken[:, column, None]
        return units

    def pose(self, time_s: np.ndarray) -> np.ndarray:
        """Records of ``POSE_DTYPE``."""
        pose = np.zeros(len(time_s), POSE_DTYPE)
        for name in POSE_DTYPE.names or ():
            pose[name] = self._value(name, time_s)
        return pose

    def gaze(self, time_s: np.ndarray) -> np.ndarray:
        """Records of ``GAZE_DTYPE``."""
        share = smoothstep((time_s - self.gaze_start_s) / self.gaze_length_s)
        gaze = np.zeros(len(time_s), GAZE_DTYPE)
        for axis, name in enumerate(("x", "y")):
            first, last = self.gaze_from[axis], self.gaze_to[axis]
            gaze[name] = first + share * (last - first)
        return gaze

    def light(self, time_s: np.ndarray) -> np.ndarray:
        """Records of ``LIGHT_DTYPE``."""
        light = np.zeros(len(time_s), LIGHT_DTYPE)
        lamp = self.flicker.at(time_s)
        light["gain"] = self.rest["gain"] * (1 + lamp + self._value("brightness", time_s))
        light["x"] = self._value("light_x", time_s)
        light["y"] = self._value("light_y", time_s)
        light["shift_x"], light["shift_y"] = self.drift_px_s[:, None] * time_s
        return light

    def _value(self, name: str, time_s: np.ndarray) -> np.ndarray:
        value = np.full(len(time_s), self.rest.get(name, 0.0))
        for sway in self.sways.get(name, ()):
            value += sway.at(time_s)
        return value


def draw_motion(
    parameters: FaceSetParameters, *, class_name: str, rng: np.random.Generator
) -> Motion:
    """Draw the course of one clip of class `class_name`."""
    duration_s = parameters.duration_ms * 1e-3
    expression = _draw_expression(parameters, class_name, rng)
    blinks = _draw_blinks(parameters, duration_s, rng)
    rest, sways = _draw_pose(parameters, rng)
    # Without one, a neutral clip would be told by its number of events.
    always = class_name == "neutral"
    speech = _draw_distractor(parameters, always, duration_s, sways, rng)
    _draw_light(parameters, rest, sways, rng)
    gaze_start_s, gaze_length_s, gaze_from, gaze_to = _draw_gaze(parameters, duration_s, rng)
    angle = rng.uniform(0, 2 * np.pi)
    speed = parameters.clutter_speed_px_s * rng.random()
    return Motion(
        expression=expression,
        blinks=blinks,
        speech=speech,
        rest=rest,
        sways=sways,
        gaze_start_s=gaze_start_s,
        gaze_length_s=gaze_length_s,
        gaze_from=gaze_from,
        gaze_to=gaze_to,
        flicker=Sway(parameters.flicker, LAMP_HZ, rng.uniform(0, 2 * np.pi)),
        drift_px_s=speed * np.array([np.cos(angle), np.sin(angle)]),
    )


def _draw_expression(
    parameters: FaceSetParameters, class_name: str, rng: np.random.Generator
) -> ExpressionCourse:
    n_units = len(ACTION_UNITS)
    apex = _draw_apex(parameters, class_name, rng)
    onset_s = rng.uniform(*parameters.onset_range_ms) * 1e-3
    rise_s = rng.uniform(*parameters.rise_range_ms) * 1e-3
    leaves = rng.random() < parameters.offset_probability
    hold_s = rng.uniform(*parameters.hold_range_ms) * 1e-3
    return ExpressionCourse(
        apex=apex,
        lag_s=rng.uniform(0, parameters.unit_lag_ms, n_units) * 1e-3,
        onset_s=onset_s,
        rise_s=rise_s,
        leave_s=onset_s + rise_s + hold_s if leaves else np.inf,
        fall_s=rng.uniform(*parameters.fall_range_ms) * 1e-3,
        tremor=parameters.tremor,
        tremor_hz=rng.uniform(1.0, 4.0, n_units),
        tremor_phase=rng.uniform(0, 2 * np.pi, n_units),
    )


def _draw_apex(
    parameters: FaceSetParameters, class_name: str, rng: np.random.Generator
) -> np.ndarray:
    """Amounts at the apex, ``[2, n_units]``: the mix of the class with one clip's deviations."""
    expression = EXPRESSIONS[class_name]
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


def _draw_sway(amplitude: float, rng: np.random.Generator) -> Sway:
    return Sway(amplitude, rng.uniform(0.5, 2.0), rng.uniform(0, 2 * np.pi))


def _draw_pose(
    parameters: FaceSetParameters, rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, tuple[Sway, ...]]]:
    width, height = parameters.sensor_size
    place = parameters.position_jitter_px * rng.uniform(-1, 1, 2)
    sway_px = float(np.exp(rng.uniform(*np.log(parameters.head_motion_range_px))))
    size = 1 + parameters.scale_jitter * rng.uniform(-1, 1)
    rest: dict[str, float] = {
        "x": width / 2 + place[0],
        "y": HEAD_MIDDLE * height + place[1],
        "scale": HEAD_SHARE * min(width, height) * size,
        "roll": np.deg2rad(parameters.roll_jitter_deg) * rng.uniform(-1, 1),
        "yaw": np.deg2rad(parameters.yaw_jitter_deg) * rng.uniform(-1, 1),
        "pitch": np.deg2rad(parameters.pitch_jitter_deg) * rng.uniform(-1, 1),
    }
    turn = np.deg2rad(parameters.turn_motion_deg)
    sways: dict[str, tuple[Sway, ...]] = {
        "x": (_draw_sway(sway_px, rng),),
        "y": (_draw_sway(0.6 * sway_px, rng),),
        "roll": (_draw_sway(0.5 * turn * rng.random(), rng),),
        "yaw": (_draw_sway(turn * rng.random(), rng),),
        "pitch": (_draw_sway(turn * rng.random(), rng),),
    }
    return rest, sways


def _draw_blinks(
    parameters: FaceSetParameters, duration_s: float, rng: np.random.Generator
) -> tuple[Blink, ...]:
    """At most one blink; lids close in about 80 ms and open in about twice that."""
    happens, start_s = (
        rng.random() < parameters.blink_probability,
        rng.uniform(-0.1, 1) * duration_s,
    )
    blink = Blink(start_s, rng.uniform(0.06, 0.10), rng.uniform(0.0, 0.04), rng.uniform(0.12, 0.2))
    return (blink,) if happens else ()


def _draw_distractor(
    parameters: FaceSetParameters,
    always: bool,
    duration_s: float,
    sways: dict[str, tuple[Sway, ...]],
    rng: np.random.Generator,
) -> Speech | None:
    """Speech, a nod or a head shake, whichever the class; `always` one for neutral clips."""
    happens = rng.random() < parameters.distractor_probability or always
    kind = rng.integers(3)
    frequency_hz, amount = rng.uniform(1.5, 4.0), rng.uniform(0.4, 1.0)
    speech = _draw_speech(duration_s, amount, rng)
    if not happens:
        return None
    if kind == 0:
        return speech
    name = "pitch" if kind == 1 else "yaw"
    nod = Sway(0.5 * NOD_RAD * amount, frequency_hz, -np.pi / 2)
    sways[name] = (*sways[name], nod)
    return None


def _draw_speech(duration_s: float, amount: float, rng: np.random.Generator) -> Speech:
    n_syllables = int(np.ceil(duration_s / 0.12)) + 1
    lengths_s = rng.uniform(0.12, 0.3, n_syllables)
    starts_s = rng.uniform(-0.15, 0.1) + np.cumsum(0.8 * lengths_s) - 0.8 * lengths_s
    amounts = amount * rng.random((n_syllables, 3)) * np.array([0.7, 0.3, 0.6])
    return Speech(starts_s, lengths_s, amounts)


def _draw_gaze(
    parameters: FaceSetParameters, duration_s: float, rng: np.random.Generator
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Fixed sight, or one saccade: 2.2 ms a degree and 21 ms (A. T. Bahill et al. 1975)."""
    happens, start_s = rng.random() < parameters.gaze_probability, rng.uniform(0, duration_s)
    scale = np.array([1.0, 0.4])
    first = rng.uniform(-0.4, 0.4, 2) * scale
    second = rng.uniform(-0.8, 0.8, 2) * scale if happens else first
    degrees = 30.0 * float(np.hypot(*(second - first)))  # an iris radius is some 30 degrees
    return start_s, 0.021 + 0.0022 * degrees, first, second


def _draw_light(
    parameters: FaceSetParameters,
    rest: dict[str, float],
    sways: dict[str, tuple[Sway, ...]],
    rng: np.random.Generator,
) -> None:
    rest["gain"] = rng.uniform(0.88, 1.12)
    rest["light_x"] = parameters.light_slope * rng.uniform(-1, 1)
    rest["light_y"] = rng.uniform(-0.9, -0.25)
    for name in ("brightness", "light_x", "light_y"):
        sways[name] = (_draw_sway(parameters.light_change, rng),)
