"""The resting head of one subject as maps: heights, tones, coverage and gloss.

What does not move with an expression is modelled once a clip: skull, skin, hair and ears. The
subject's random numbers lie in face coordinates, so that a subject has the same freckles and
strands of hair at any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from snn.events.faces.brush import curve, map_grid, mound, ridge, stain, stroke
from snn.events.faces.curves import eye_axis, half_width
from snn.events.faces.hair import add_beard, add_ears, add_hair
from snn.events.faces.identity import Identity
from snn.events.faces.model import CHIN_Y, CROWN_Y, EYE_Y, NOSE_TOP_Y
from snn.events.faces.texture import Noise, soft_cover

SKULL_DEPTH = 0.72
SKIN_GLOSS = 0.08
BROW_HAIRS = 40


@dataclass(frozen=True)
class Portrait:
    """Maps of the resting head, and the hairs of its brows.

    Parameters
    ----------
    height, tone, cover, gloss : ndarray of shape (rows, columns), dtype float32
        Heights in half head heights, grey values under full light, share of each texel that the
        head covers, strength of highlights.
    hairs : ndarray of shape (2, BROW_HAIRS, 4), dtype float64
        Random numbers in [0, 1) of each hair of the two brows.
    density : float
        Texels per half head height.
    """

    height: np.ndarray
    tone: np.ndarray
    cover: np.ndarray
    gloss: np.ndarray
    hairs: np.ndarray
    density: float


def model_portrait(
    identity: Identity, record: np.void, density: float, rng: np.random.Generator
) -> Portrait:
    """Model the resting head of a subject.

    Parameters
    ----------
    identity : Identity
        The subject.
    record : record of ``IDENTITY_DTYPE``
        The same for compiled code.
    density : float
        Texels per half head height.
    rng : numpy.random.Generator
        Of the subject: freckles and strands follow from it.
    """
    x, y = map_grid(density)
    soft = 1.5 / density
    noise = Noise(rng)
    hairs = rng.random((2, BROW_HAIRS, 4))
    spots = rng.random((60, 3))
    radius = _radius(x, y, record)
    inside = 1.0 - radius
    height = SKULL_DEPTH * np.clip(1.0 - radius**2.4, 0, None) ** 0.55
    height = np.ascontiguousarray(height, np.float32)
    _raise_features(height, density, record)
    tone = _skin(x, y, identity, noise)
    _stain_skin(tone, density, record, spots)
    cover = soft_cover(0.75 * inside, soft)
    gloss = np.full_like(tone, SKIN_GLOSS)
    add_beard(x, y, identity, noise, height, tone, gloss)
    add_ears(x, y, identity, soft, height, tone, cover)
    add_hair(x, y, identity, soft, radius, noise, height, tone, cover, gloss)
    return Portrait(
        np.ascontiguousarray(height, np.float32),
        np.ascontiguousarray(tone, np.float32),
        np.ascontiguousarray(cover, np.float32),
        np.ascontiguousarray(gloss, np.float32),
        hairs,
        density,
    )


def _radius(x: np.ndarray, y: np.ndarray, record: np.void) -> np.ndarray:
    """0 in the middle of the head, 1 on its outline (see ``curves.outline_x``)."""
    half = np.array([half_width(float(v), record) for v in y[:, 0]])[:, None]
    along = np.where(y > 0, np.abs(y / CHIN_Y) ** record["jaw_square"], np.abs(y / CROWN_Y) ** 2.3)
    return np.sqrt((x / half) ** 2 + along)


@njit(cache=True, error_model="numpy")
def _raise_features(height: np.ndarray, density: float, identity: np.void) -> None:
    """Relief of the resting face: forehead, sockets, cheekbones, nose, muzzle and chin."""
    d = density
    full, bone, age = identity["fullness"], identity["cheekbone"], identity["age"]
    wide, tip_y = identity["nose_width"], NOSE_TOP_Y + identity["nose_length"] - 0.07
    mouth_y = identity["mouth_y"]
    mound(height, d, 0.0, -0.52, 0.55, 0.4, 0.05)
    for side in range(2):
        sign = 2.0 * side - 1.0
        eye_x = sign * identity["eye_x"]
        brow_y = EYE_Y - identity["brow_height"]
        mound(
            height, d, sign * 0.25, brow_y + 0.03, 0.34, 0.12, 0.03 + 0.05 * identity["brow_ridge"]
        )
        mound(height, d, eye_x, EYE_Y - 0.02, 0.25, 0.20, -0.10)
        mound(height, d, sign * 0.14, EYE_Y, 0.14, 0.18, -0.04)
        mound(height, d, eye_x, EYE_Y + 0.005, 0.19, 0.13, 0.085)
        mound(height, d, sign * 0.44, 0.13, 0.34, 0.27, 0.03 + 0.05 * bone)
        mound(height, d, sign * 0.47, 0.47, 0.24, 0.3, 0.05 * full - 0.05 * bone)
        mound(height, d, sign * 0.26, 0.30, 0.2, 0.2, 0.03 + 0.03 * full)
        # Wing of the nose, the crease around it, and the fold from there to the mouth.
        wing_y = tip_y + 0.03
        mound(height, d, sign * (wide - 0.035), wing_y, 0.08, 0.08, 0.08)
        ridge(height, d, curve(sign * (wide + 0.01), wing_y - 0.07, sign * (wide + 0.035),
              wing_y, sign * (wide + 0.005), wing_y + 0.06, 0.05, 0.06, 0.05), -0.03)  # fmt: skip
        ridge(height, d, curve(sign * (wide + 0.03), wing_y - 0.02, sign * (wide + 0.13),
              wing_y + 0.12, sign * 0.33, mouth_y - 0.02, 0.06, 0.12, 0.03),
              -0.004 - 0.026 * age)  # fmt: skip
        ridge(height, d, curve(eye_x - sign * 0.13, EYE_Y + 0.11, eye_x, EYE_Y + 0.155,
              eye_x + sign * 0.13, EYE_Y + 0.12, 0.03, 0.05, 0.03),
              -0.002 - 0.018 * age)  # fmt: skip
        ridge(height, d, curve(sign * 0.3, mouth_y + 0.06, sign * 0.34, mouth_y + 0.16,
              sign * 0.36, mouth_y + 0.26, 0.06, 0.09, 0.05), -0.02 * age * age)  # fmt: skip
    _raise_nose(height, density, identity)
    mound(height, d, 0.0, mouth_y - 0.01, 0.34, 0.22, 0.06)
    mound(height, d, 0.0, mouth_y - 0.13, 0.035, 0.1, -0.018)
    mound(height, d, 0.0, mouth_y + 0.14, 0.16, 0.06, -0.035)
    mound(height, d, 0.0, mouth_y + 0.27, 0.22, 0.16, 0.05 + 0.03 * identity["masculine"])


@njit(cache=True, error_model="numpy")
def _raise_nose(height: np.ndarray, density: float, identity: np.void) -> None:
    d = density
    wide, high = identity["nose_width"], identity["nose_height"]
    tip_y = NOSE_TOP_Y + identity["nose_length"] - 0.07
    middle_y = 0.5 * (NOSE_TOP_Y + tip_y)
    ridge(height, d, curve(0.0, NOSE_TOP_Y - 0.1, 0.0, middle_y, 0.0, tip_y - 0.02,
          0.24, 0.31, 0.36), 0.6 * high)  # fmt: skip
    mound(height, d, 0.0, middle_y - 0.02, 0.08, 0.12, 0.05 * identity["nose_bump"])
    mound(height, d, 0.0, tip_y, 0.12, 0.10, 0.36 * high)
    mound(height, d, 0.0, tip_y + 0.085, wide, 0.05, -0.03)


def _skin(x: np.ndarray, y: np.ndarray, identity: Identity, noise: Noise) -> np.ndarray:
    """Mottled skin, darker in the sockets and, in men, on jaw and lip."""
    mottle = 0.025 * noise.at(9 * x, 9 * y) + 0.015 * noise.at(31 * x + 7, 31 * y)
    pores = 0.015 * (0.4 + identity.age) * noise.at(83 * x, 83 * y + 5)
    ruddy = -0.05 * np.exp(-(((np.abs(x) - 0.42) / 0.2) ** 2) - ((y - 0.25) / 0.18) ** 2)
    tone = identity.skin_tone * (1 + mottle + pores + ruddy)
    return np.ascontiguousarray(tone, np.float32)


@njit(cache=True, error_model="numpy")
def _stain_skin(tone: np.ndarray, density: float, identity: np.void, spots: np.ndarray) -> None:
    """Shadows that light from any side leaves in hollows, freckles, and lines of age."""
    d, age = density, identity["age"]
    base_y = NOSE_TOP_Y + identity["nose_length"]
    for side in range(2):
        sign = 2.0 * side - 1.0
        eye_x = sign * identity["eye_x"]
        stain(tone, d, eye_x, EYE_Y - 0.03, 0.24, 0.17, 0.0, 0.16 + 0.1 * identity["makeup"])
        stain(tone, d, sign * 0.12, EYE_Y - 0.02, 0.1, 0.15, 0.0, 0.16)
        stain(tone, d, eye_x - sign * 0.02, EYE_Y + 0.13, 0.17, 0.08, 0.0, 0.05 + 0.12 * age)
        stain(tone, d, sign * (identity["nose_width"] + 0.02), base_y - 0.04, 0.06, 0.1, 0.0, 0.12)
        for k in range(-1, 2):
            y = eye_axis(1.0, identity) + 0.01
            x = identity["eye_x"] + identity["eye_width"] + 0.04
            stroke(tone, d, curve(sign * x, y + 0.02 * k, sign * (x + 0.04), y + 0.035 * k,
                   sign * (x + 0.09), y + 0.06 * k, 0.006, 0.008, 0.004), 0.0,
                   0.22 * age)  # fmt: skip
    stain(tone, d, 0.0, base_y + 0.075, identity["nose_width"] + 0.06, 0.07, 0.0, 0.24)
    stain(tone, d, 0.0, identity["mouth_y"] + 0.15, 0.2, 0.07, 0.0, 0.16)
    for k in range(3):
        y = EYE_Y - identity["brow_height"] - 0.14 - 0.09 * k
        stroke(tone, d, curve(-0.32, y + 0.02, 0.0, y, 0.32, y + 0.02, 0.004, 0.012, 0.004),
               0.0, 0.2 * max(age - 0.35, 0.0))  # fmt: skip
    for k in range(len(spots)):
        x, y = 1.2 * (spots[k, 0] - 0.5), 0.55 * spots[k, 1] - 0.1
        size = 0.012 + 0.012 * spots[k, 2]
        stain(tone, d, x, y, size, size, 0.0, 0.5 * max(identity["freckles"] - 0.25, 0.0))
