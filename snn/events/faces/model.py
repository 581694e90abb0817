"""What a drawn face is: a subject's proportions, facial action units, and where features lie.

Faces are moved by the action units (AU) of the Facial Action Coding System, each an amount from
0 (rest) to 1 (full), for the left and right half of the image apart. Emotions are mixes of units
after the EMFACS tables. Lengths are in half head heights: the origin lies between the eyes and
the nose, x runs right, y down and z out of the face, so that the crown is near y = -1 and the
chin near y = +1.

Reference: P. Ekman, W. V. Friesen, J. C. Hager, "Facial Action Coding System", 2002.

>>> from snn.events.faces.identity import draw_identity
>>> identity = draw_identity(np.random.default_rng(0))
>>> units = np.zeros((1, 2, len(ACTION_UNITS)))
>>> face_geometry(identity, units)["jaw_drop"].shape
(1,)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn.events.faces.identity import Identity

CLASS_NAMES = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happy",
    "sadness",
    "surprise",
    "neutral",
)

# 43 closes the eyes and belongs to no emotion: it makes the blinks. 18 purses the lips in speech.
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 23, 24, 25, 26, 43)
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
    "neutral": Expression({}, {}),
}

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
                "squint",
                "fold",
                "dimple",
                "nostril_y",
                "nostril_x",
                "corner_x",
                "corner_y",
                "sneer",
            )
        ],
        *[
            (name, "f8")
            for name in (
                "knit",
                "forehead_inner",
                "forehead_outer",
                "nose_wrinkle",
                "lip_upper_y",
                "lip_lower_y",
                "lip_upper_thickness",
                "lip_lower_thickness",
                "jaw_drop",
                "chin_boss",
                "stretch",
            )
        ],
    ]
)

EYE_Y = -0.08  # height of the eyes' centre line
NOSE_TOP_Y = -0.10
CHIN_Y = 0.98
CROWN_Y = -0.97


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
    geometry["knit"] = both[4] + 0.4 * both[9]
    geometry["forehead_inner"] = np.clip(both[1] - 0.2 * both[4], 0, None)
    geometry["forehead_outer"] = np.clip(both[2] - 0.3 * both[4], 0, None)


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
    geometry["squint"] = side[6] + 0.3 * side[7]
    geometry["fold"] = 0.8 * side[12] + 0.75 * side[10] + 0.5 * side[9]
    geometry["sneer"] = side[10] + 0.7 * side[9]
    geometry["dimple"] = side[14]
    nose_y = NOSE_TOP_Y + identity.nose_length
    geometry["nostril_y"] = nose_y - 0.07 * side[9] - 0.03 * side[10]
    geometry["nostril_x"] = identity.nose_width + 0.015 * side[9] + 0.01 * side[12]
    geometry["nose_wrinkle"] = both[9]


def _place_mouth(geometry: np.ndarray, identity: Identity, side: dict, both: dict) -> None:
    pull_in = 0.03 * side[23] + 0.05 * side[26] + 0.09 * side[18]
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
    tight = 1 - 0.55 * both[23] - 0.35 * both[24] - 0.12 * both[12] + 0.35 * both[18]
    geometry["lip_upper_thickness"] = 0.8 * identity.lip_thickness * tight
    geometry["lip_lower_thickness"] = identity.lip_thickness * (tight + 0.25 * both[17])
    geometry["jaw_drop"] = 0.17 * both[26] - 0.02 * both[17]
    geometry["chin_boss"] = both[17]
    geometry["stretch"] = both[20]
