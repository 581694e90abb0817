"""What a drawn face looks like: a subject's proportions, facial action units, and geometry.

Faces are moved by the action units (AU) of the Facial Action Coding System, each an amount from
0 (rest) to 1 (full), for the left and right half of the image apart. Emotions are mixes of units
after the EMFACS tables. Lengths are in half head heights: the origin lies between the eyes and
the nose, x runs right and y down, so that the crown is near y = -1 and the chin near y = +1.

Reference: P. Ekman, W. V. Friesen, J. C. Hager, "Facial Action Coding System", 2002.

>>> identity = draw_identity(np.random.default_rng(0))
>>> units = np.zeros((1, 2, len(ACTION_UNITS)))
>>> face_geometry(identity, units)["chin_y"].shape
(1,)
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

CLASS_NAMES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")

# 43 closes the eyes and belongs to no emotion; it makes the blinks.
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26, 43)
UNIT_INDEX = {unit: index for index, unit in enumerate(ACTION_UNITS)}


@dataclass(frozen=True)
class Expression:
    """An emotion as a mix of action units.

    Parameters
    ----------
    primary : dict of int to float
        Units that always take part, with their amount at full intensity.
    secondary : dict of int to float
        Units that a clip may leave out.
    one_sided : bool
        Whether only one half of the face moves.
    """

    primary: dict[int, float]
    secondary: dict[int, float]
    one_sided: bool = False


EXPRESSIONS = {
    "anger": Expression({4: 1.0, 7: 0.8, 23: 0.9}, {24: 0.7, 17: 0.5, 5: 0.4}),
    "contempt": Expression({12: 1.0, 14: 1.0}, {10: 0.5, 2: 0.6}, one_sided=True),
    "disgust": Expression({9: 1.0, 10: 1.0}, {4: 0.4, 7: 0.5, 17: 0.5}),
    "fear": Expression({1: 1.0, 4: 0.5, 5: 0.9, 20: 0.9, 25: 0.5}, {2: 0.4, 26: 0.25}),
    "happy": Expression({12: 1.0, 6: 0.9}, {25: 0.6, 26: 0.15}),
    "sadness": Expression({1: 0.9, 4: 0.5, 15: 1.0}, {17: 0.8, 7: 0.5}),
    "surprise": Expression({1: 0.9, 2: 0.9, 26: 0.9, 25: 0.4}, {5: 0.7}),
}


@dataclass(frozen=True)
class Identity:
    """The unchanging face of one subject: lengths in half head heights, tones in grey values."""

    head_width: float
    jaw_taper: float
    eye_x: float
    eye_width: float
    eye_opening: float
    eye_slant: float
    iris_radius: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lip_thickness: float
    hairline: float
    hair_volume: float
    hair_length: float
    parting: float
    ears: float
    age_lines: float
    skin_tone: float
    hair_tone: float
    iris_tone: float
    lip_tone: float


IDENTITY_DTYPE = np.dtype([(field.name, "f8") for field in fields(Identity)])


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw the proportions and tones of one subject."""
    skin = rng.uniform(125, 200)
    return Identity(
        head_width=rng.uniform(0.68, 0.80),
        jaw_taper=rng.uniform(0.12, 0.38),
        eye_x=rng.uniform(0.29, 0.35),
        eye_width=rng.uniform(0.135, 0.17),
        eye_opening=rng.uniform(0.9, 1.2),
        eye_slant=rng.uniform(-0.18, 0.10),
        iris_radius=rng.uniform(0.062, 0.075),
        brow_height=rng.uniform(0.185, 0.235),
        brow_thickness=rng.uniform(0.022, 0.042),
        brow_tilt=rng.uniform(-0.03, 0.04),
        nose_length=rng.uniform(0.36, 0.46),
        nose_width=rng.uniform(0.11, 0.16),
        mouth_y=rng.uniform(0.53, 0.60),
        mouth_width=rng.uniform(0.22, 0.29),
        lip_thickness=rng.uniform(0.035, 0.07),
        hairline=rng.uniform(-0.80, -0.64),
        hair_volume=rng.uniform(0.04, 0.16),
        hair_length=rng.uniform(-0.15, 1.0),
        parting=rng.uniform(-0.45, 0.45),
        ears=float(rng.random() < 0.6),
        age_lines=rng.uniform(0.0, 1.0) ** 2,
        skin_tone=skin,
        hair_tone=rng.uniform(25, 0.6 * skin),
        iris_tone=rng.uniform(35, 90),
        lip_tone=skin * rng.uniform(0.62, 0.8),
    )


def identity_record(identity: Identity) -> np.void:
    """The identity as one record of ``IDENTITY_DTYPE``, which compiled code can read."""
    return np.array([astuple(identity)], IDENTITY_DTYPE)[0]


GEOMETRY_DTYPE = np.dtype(
    [
        *[
            (name, "f8", (2,))
            for name in (
                "brow_inner_x",
                "brow_inner_y",
                "brow_middle_y",
                "brow_outer_y",
                "lid_upper",
                "lid_lower",
                "cheek",
                "fold",
                "dimple",
                "crow_feet",
                "nostril_y",
                "corner_x",
                "corner_y",
            )
        ],
        *[
            (name, "f8")
            for name in (
                "glabella",
                "forehead",
                "nose_wrinkle",
                "lip_upper_y",
                "lip_lower_y",
                "lip_upper_thickness",
                "lip_lower_thickness",
                "chin_y",
                "chin_boss",
            )
        ],
    ]
)

EYE_Y = -0.08  # height of the eyes' centre line
NOSE_TOP_Y = -0.10
CHIN_Y = 0.98


def face_geometry(identity: Identity, units: np.ndarray) -> np.ndarray:
    """Where the features of a face are for given action units.

    Parameters
    ----------
    identity : Identity
        The subject.
    units : ndarray of shape (n_frames, 2, n_units)
        Amount of each of ``ACTION_UNITS`` in the left and right half of the image.

    Returns
    -------
    ndarray of shape (n_frames,), dtype ``GEOMETRY_DTYPE``
        Positions in half head heights; strengths of shadings and furrows in 0..about 1.
    """
    geometry = np.zeros(len(units), GEOMETRY_DTYPE)
    side = {unit: units[:, :, index] for unit, index in UNIT_INDEX.items()}
    both = {unit: amount.mean(axis=1) for unit, amount in side.items()}
    _place_brows(geometry, identity, side, both)
    _place_lids(geometry, identity, side)
    _place_cheeks_and_nose(geometry, identity, side, both)
    _place_mouth(geometry, identity, side, both)
    return geometry


def _place_brows(geometry: np.ndarray, identity: Identity, side: dict, both: dict) -> None:
    rest = EYE_Y - identity.brow_height
    tilt = identity.brow_tilt
    geometry["brow_inner_x"] = 0.15 - 0.05 * side[4]
    geometry["brow_inner_y"] = rest + tilt - 0.15 * side[1] + 0.10 * side[4] + 0.04 * side[9]
    geometry["brow_middle_y"] = rest - 0.05 - 0.06 * side[1] - 0.11 * side[2] + 0.07 * side[4]
    geometry["brow_outer_y"] = rest + 0.03 - tilt - 0.12 * side[2] + 0.02 * side[4]
    geometry["glabella"] = both[4] + 0.4 * both[9]
    geometry["forehead"] = np.clip(both[1] + 0.6 * both[2] - 0.4 * both[4], 0, None)


def _place_lids(geometry: np.ndarray, identity: Identity, side: dict) -> None:
    upper = 0.062 * identity.eye_opening + 0.040 * side[5] - 0.018 * side[7] - 0.012 * side[9]
    lower = 0.048 * identity.eye_opening - 0.030 * side[6] - 0.022 * side[7] - 0.012 * side[9]
    # A closing lid moves down onto the lower one.
    geometry["lid_lower"] = np.maximum(lower, 0.008)
    closed = -geometry["lid_lower"] + 0.006
    geometry["lid_upper"] = upper + np.clip(side[43], 0, 1) * (closed - upper)


def _place_cheeks_and_nose(
    geometry: np.ndarray, identity: Identity, side: dict, both: dict
) -> None:
    geometry["cheek"] = side[6] + 0.5 * side[12]
    geometry["crow_feet"] = side[6]
    geometry["fold"] = 0.25 * identity.age_lines + 0.8 * side[12] + 0.9 * side[10] + 0.5 * side[9]
    geometry["dimple"] = side[14]
    nose_y = NOSE_TOP_Y + identity.nose_length
    geometry["nostril_y"] = nose_y - 0.07 * side[9] - 0.03 * side[10]
    geometry["nose_wrinkle"] = both[9]


def _place_mouth(geometry: np.ndarray, identity: Identity, side: dict, both: dict) -> None:
    pull_in = 0.03 * side[23] + 0.05 * side[26]
    geometry["corner_x"] = (
        identity.mouth_width + 0.09 * side[12] + 0.05 * side[14] + 0.12 * side[20] - pull_in
    )
    geometry["corner_y"] = (
        identity.mouth_y
        - 0.13 * side[12]
        - 0.03 * side[14]
        + 0.12 * side[15]
        + 0.03 * side[20]
        + 0.06 * side[26]
    )
    lift = 0.08 * both[10] + 0.05 * both[9] + 0.02 * both[12] + 0.03 * both[17]
    part = both[25] * (1 - 0.5 * both[24])
    geometry["lip_upper_y"] = identity.mouth_y - lift - 0.02 * part
    geometry["lip_lower_y"] = (
        identity.mouth_y - np.minimum(lift, 0.03 + 0.3 * lift) + 0.07 * part + 0.24 * both[26]
    )
    tight = 1 - 0.55 * both[23] - 0.35 * both[24]
    geometry["lip_upper_thickness"] = 0.8 * identity.lip_thickness * tight
    geometry["lip_lower_thickness"] = identity.lip_thickness * (tight + 0.25 * both[17])
    geometry["chin_y"] = CHIN_Y + 0.13 * both[26] - 0.02 * both[17]
    geometry["chin_boss"] = both[17]
