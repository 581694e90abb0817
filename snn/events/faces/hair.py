"""Hair, beard and ears of a resting head, laid onto its maps of heights, tones and coverage."""

from __future__ import annotations

import numpy as np

from snn.events.faces.identity import Identity
from snn.events.faces.model import CROWN_Y
from snn.events.faces.texture import Noise, soft_cover


def add_beard(
    x: np.ndarray,
    y: np.ndarray,
    identity: Identity,
    noise: Noise,
    height: np.ndarray,
    tone: np.ndarray,
    gloss: np.ndarray,
) -> None:
    """Stubble or a beard over jaw, chin and upper lip."""
    if max(identity.stubble, identity.beard) < 0.05:
        return
    across = np.abs(x) / identity.head_width
    mouth_y = identity.mouth_y
    fine = noise.at(70 * x, 45 * y + 9)
    strands = noise.at(55 * x + 3, 9 * y) + 0.5 * fine
    ragged = 0.02 * strands
    edge = mouth_y + 0.02 - 0.75 * np.clip(across - 0.42, 0, None) + ragged
    bare = 0.09 - np.hypot(0.45 * x, y - mouth_y - 0.06)  # the mouth and the hollow under it
    jaw = soft_cover(y - edge, 0.16) * soft_cover(-bare, 0.08)
    bow = mouth_y - 0.10 + 1.1 * x**2  # a moustache hangs down beside the mouth
    lip = soft_cover(0.34 - np.abs(x) + ragged, 0.1) * soft_cover(0.05 - np.abs(y - bow), 0.07)
    lip *= 1 - 0.5 * np.exp(-((x / 0.03) ** 2))
    area = np.maximum(jaw, lip) * soft_cover(y - 0.12, 0.2)
    if identity.beard:
        share = np.clip(identity.beard * area * (1 + 0.3 * strands), 0, 0.92)
        hair = identity.hair_tone * (1 + 0.3 * strands)
        height += (0.03 * area + 0.004 * strands * area).astype(np.float32)
    else:
        share = np.clip(0.3 * identity.stubble * area * (1 + 0.5 * fine), 0, 1)
        hair = np.full_like(share, 0.6 * identity.hair_tone)
    tone += (share * (hair - tone)).astype(np.float32)
    gloss *= (1 - 0.8 * share).astype(np.float32)


def add_ears(
    x: np.ndarray,
    y: np.ndarray,
    identity: Identity,
    soft: float,
    height: np.ndarray,
    tone: np.ndarray,
    cover: np.ndarray,
) -> None:
    """Ears beside the head, with a rim and a bowl."""
    if not identity.ears:
        return
    across = np.abs(x) - identity.head_width + 0.01
    lean = across - 0.14 * (0.03 - y)
    ear = np.sqrt((lean / 0.095) ** 2 + ((y - 0.03) / 0.19) ** 2)
    shape = soft_cover(0.1 * (1 - ear), soft) * (1 - cover)
    bowl = np.clip(1 - ((lean - 0.015) / 0.05) ** 2 - ((y - 0.03) / 0.12) ** 2, 0, 1)
    tone += (shape * (identity.skin_tone * (0.88 - 0.45 * bowl) - tone)).astype(np.float32)
    height += (shape * 0.05 * np.sqrt(np.clip(1 - ear**2, 0, 1))).astype(np.float32)
    cover += shape.astype(np.float32)


def add_hair(
    x: np.ndarray,
    y: np.ndarray,
    identity: Identity,
    soft: float,
    radius: np.ndarray,
    noise: Noise,
    height: np.ndarray,
    tone: np.ndarray,
    cover: np.ndarray,
    gloss: np.ndarray,
) -> None:
    """Hair over skull, temples and, when long, beside the face: volume, strands and sheen."""
    if identity.bald:
        share = 0.2 * soft_cover(-0.3 - y, 0.4) * soft_cover(1 - radius, 0.3)
        tone += (share * (identity.hair_tone - tone)).astype(np.float32)
        return
    offset, across = x - identity.parting, np.abs(x)
    # Strands run away from the parting; curls shift them sideways.
    angle = np.arctan2(offset, y - CROWN_Y + 0.35 + 0.15 * np.abs(offset))
    away = np.hypot(offset, y - CROWN_Y + 0.2)
    wave = identity.curl * 0.08 * noise.at(5 * x, 9 * y)
    strands = noise.at(26 * (angle + wave), 2.2 * away)
    strands = strands + 0.7 * noise.at(61 * (angle + wave), 3.1 * away + 11)
    frizz = identity.curl * noise.at(17 * x, 17 * y)
    rough = 0.012 * strands + 0.05 * frizz
    outer = _outside(x, y, identity) + 0.4 * rough
    edge = hair_edge(x, identity) + 0.03 * noise.at(9 * x, 2 * y) + 0.022 * strands
    feather = 2.5 * soft + 0.05
    cap = soft_cover(edge - y, feather) * soft_cover(0.85 * outer, soft)
    tuft = 0.05 * noise.at(20 * x, y) + 0.35 * np.clip(identity.head_width - across, 0, None)
    cap *= soft_cover(0.12 + identity.hair_length - tuft - y, 0.10)
    side = _locks(x, y, identity, noise, rough, feather)
    hair = np.maximum(cap, side)
    if identity.locks:
        strand = 1.4 * noise.at(34 * across + 60 * wave, 1.5 * y)
        strands = np.where(side > cap, strand, strands)
    sheen = np.exp(-(((away - 0.42) / 0.13) ** 2)) + np.exp(-(((y - 0.35) / 0.2) ** 2)) * side
    lift = np.clip(1 + 0.28 * strands + 0.2 * frizz + 0.35 * sheen * (1 + 0.4 * strands), 0.3, 2)
    rim = 0.75 + 0.25 * np.clip(4 * np.maximum(outer, side - 0.5), 0, 1)
    tone += (hair * (identity.hair_tone * lift * rim - tone)).astype(np.float32)
    # A round mass that rises gently from the skin, or its edge would catch the light.
    mass = hair * soft_cover(edge - 0.06 - y, 0.3) + side * (1 - cap)
    dome = 0.72 * np.sqrt(np.clip(2 * outer, 0, 1))
    height += (mass * np.maximum(dome - height, 0) + 0.012 * strands * hair).astype(np.float32)
    np.maximum(cover, hair.astype(np.float32), out=cover)
    gloss *= (1 - hair).astype(np.float32)
    shadow = soft_cover(edge + 0.05 - y, 0.12) * (1 - hair) * (radius < 1)
    tone *= (1 - 0.22 * shadow).astype(np.float32)


def _outside(x: np.ndarray, y: np.ndarray, identity: Identity) -> np.ndarray:
    """About 1 inside, 0 on the outer edge of the hair, which is fuller above than at the sides."""
    sides = 0.45 + 0.55 * (identity.hair_length > 0.2)
    wide = identity.head_width + sides * identity.hair_volume
    tall = 0.84 + 1.1 * identity.hair_volume
    return 1.0 - np.sqrt((x / wide) ** 2 + ((y + 0.14) / tall) ** 2)


def _locks(
    x: np.ndarray,
    y: np.ndarray,
    identity: Identity,
    noise: Noise,
    rough: np.ndarray,
    feather: float,
) -> np.ndarray:
    """Coverage by long hair that hangs down beside the face."""
    if not identity.locks:
        return np.zeros(np.broadcast(x, y).shape)
    across, wide = np.abs(x), identity.head_width
    bend = 0.05 * noise.at(np.zeros_like(x) + 2, 3 * y) + 0.5 * rough
    inner = wide * (0.92 - 0.08 * identity.locks) - 0.12 * np.clip(y - 0.3, 0, None) + bend
    outer = wide + identity.hair_volume + 0.03 + 0.06 * np.clip(y, 0, None) + bend
    outer = np.minimum(outer, 1.18)
    tip = identity.hair_length + 2 * rough - 0.3 * np.abs(across - wide)
    hang = soft_cover(across - inner, feather) * soft_cover(outer - across, 0.03)
    return hang * soft_cover(y + 0.1, 0.2) * soft_cover(tip - y, 0.16)


def hair_edge(x: np.ndarray, identity: Identity) -> np.ndarray:
    """Height of the hairline along x: forehead, receding corners, temples and sideburns."""
    across = np.abs(x) / identity.head_width
    offset = x - identity.parting
    brow = identity.hairline + 0.22 * across**2
    brow = brow - identity.recession * 0.3 * np.exp(-(((across - 0.5) / 0.22) ** 2))
    if identity.fringe:
        brow = -0.37 - 0.05 * np.abs(offset) + 0.03 * np.sin(23 * x + 9 * offset)
    # From the corner of the forehead down to the sideburn before the ear.
    temple = np.clip((across - 0.68) / 0.28, 0, 1) ** 1.6
    return brow + temple * (0.16 - brow)
