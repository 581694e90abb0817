"""Who a drawn face is: lengths in half head heights, tones in grey values, hair and age.

>>> draw_identity(np.random.default_rng(0)).head_width > 0.6
True
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Identity:
    """The unchanging face of one subject.

    Shares such as ``masculine``, ``age`` and ``curl`` run from 0 to 1; lengths are in half head
    heights, tones in grey values.
    """

    masculine: float
    age: float
    head_width: float
    jaw_taper: float
    jaw_square: float
    cheekbone: float
    fullness: float
    eye_x: float
    eye_width: float
    eye_opening: float
    eye_slant: float
    lid_fold: float
    iris_radius: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    brow_ridge: float
    nose_length: float
    nose_width: float
    nose_height: float
    nose_bump: float
    mouth_y: float
    mouth_width: float
    lip_thickness: float
    hairline: float
    recession: float
    fringe: float
    hair_volume: float
    hair_length: float
    locks: float
    parting: float
    curl: float
    bald: float
    ears: float
    stubble: float
    beard: float
    freckles: float
    makeup: float
    glasses: float
    collar: float
    skin_tone: float
    hair_tone: float
    iris_tone: float
    lip_tone: float
    shirt_tone: float


IDENTITY_DTYPE = np.dtype([(field.name, "f8") for field in fields(Identity)])


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw the proportions, tones and hair of one subject."""
    masculine = float(np.clip(0.5 + rng.choice([-1, 1]) * rng.uniform(0.15, 0.5), 0, 1))
    age = rng.uniform(0, 1) ** 1.4
    skin = rng.uniform(110, 195)
    hair = rng.uniform(14, 0.62 * skin)
    hair += max(age - 0.55, 0) * rng.uniform(0, 2.0) * (185 - hair)
    man = masculine > 0.5
    long_hair = rng.random() < (0.08 if man else 0.7)
    bald = man and rng.random() < 0.08 + 0.25 * age
    facial_hair = rng.random() if man else 1.0
    return Identity(
        masculine=masculine,
        age=age,
        head_width=rng.uniform(0.67, 0.77),
        jaw_taper=rng.uniform(0.16, 0.36) - 0.08 * masculine,
        jaw_square=2.05 + 0.7 * masculine * rng.uniform(0.4, 1.0),
        cheekbone=rng.uniform(0, 1),
        fullness=rng.uniform(0, 1),
        eye_x=rng.uniform(0.29, 0.34),
        eye_width=rng.uniform(0.135, 0.165),
        eye_opening=rng.uniform(0.85, 1.15) - 0.1 * age,
        eye_slant=rng.uniform(-0.2, 0.12),
        lid_fold=rng.uniform(0.3, 1.0),
        iris_radius=rng.uniform(0.06, 0.072),
        brow_height=rng.uniform(0.19, 0.235) - 0.03 * (masculine - 0.5),
        brow_thickness=rng.uniform(0.02, 0.034) + 0.014 * masculine,
        brow_tilt=rng.uniform(-0.03, 0.04),
        brow_ridge=masculine * rng.uniform(0.4, 1.0),
        nose_length=rng.uniform(0.37, 0.46),
        nose_width=rng.uniform(0.105, 0.15),
        nose_height=rng.uniform(0.15, 0.22) + 0.03 * masculine,
        nose_bump=rng.uniform(0, 1) ** 2,
        mouth_y=rng.uniform(0.54, 0.60),
        mouth_width=rng.uniform(0.22, 0.28),
        lip_thickness=rng.uniform(0.05, 0.085) - 0.014 * masculine,
        hairline=rng.uniform(-0.74, -0.60),
        recession=(masculine * age * rng.uniform(0.2, 1.0)) if man else 0.0,
        fringe=float(rng.random() < (0.15 if man else 0.3)),
        hair_volume=rng.uniform(0.03, 0.12) + 0.05 * float(long_hair),
        hair_length=rng.uniform(0.5, 1.25) if long_hair else rng.uniform(-0.25, 0.05),
        locks=float(long_hair) * rng.uniform(0.3, 1.0),
        parting=rng.uniform(-0.4, 0.4),
        curl=rng.uniform(0, 1) ** 2,
        bald=float(bald),
        ears=float(not long_hair),
        stubble=masculine * rng.uniform(0, 0.7) if facial_hair < 0.75 else 0.0,
        beard=rng.uniform(0.55, 0.95) if facial_hair < 0.25 else 0.0,
        freckles=rng.uniform(0, 1) ** 3,
        makeup=0.0 if man else rng.uniform(0, 1),
        glasses=float(rng.random() < 0.14),
        collar=rng.uniform(0, 1),
        skin_tone=skin,
        hair_tone=min(hair, 185.0),
        iris_tone=rng.uniform(35, 100),
        lip_tone=skin * (rng.uniform(0.58, 0.72) - (0.0 if man else 0.06)),
        shirt_tone=rng.uniform(25, 210),
    )


def identity_record(identity: Identity) -> np.void:
    """The identity as one record of ``IDENTITY_DTYPE``, which compiled code can read."""
    return np.array([astuple(identity)], IDENTITY_DTYPE)[0]
