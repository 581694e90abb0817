"""What is behind a face and under it: a background in pixels, and shoulders as maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn.events.faces.brush import map_grid
from snn.events.faces.identity import Identity
from snn.events.faces.texture import soft_cover

MARGIN = 1.35  # the torso is modelled this much wider than the head's map


@dataclass(frozen=True)
class Scene:
    """The still parts of a picture.

    Parameters
    ----------
    backdrop : ndarray of shape (height + 2 · pad, width + 2 · pad), dtype float32
        Grey values; `pad` pixels lie outside of the picture on each side.
    pad : int
        So far the background may move.
    torso, torso_cover : ndarray of shape (rows, columns), dtype float32
        Grey values and coverage of back hair, neck and shoulders, over face coordinates like the
        head's maps, but ``MARGIN`` times as coarse and wide.
    """

    backdrop: np.ndarray
    pad: int
    torso: np.ndarray
    torso_cover: np.ndarray


def model_scene(
    size: tuple[int, int],
    identity: Identity,
    *,
    density: float,
    background: str,
    pad: int,
    rng: np.random.Generator,
) -> Scene:
    """Model what does not move with the face.

    Parameters
    ----------
    size : tuple of int
        ``(width, height)`` of the picture in pixels.
    identity : Identity
        Neck, back hair and clothes.
    density : float
        Texels per half head height of the head's maps.
    background : str
        Of ``BACKGROUNDS``.
    pad : int
        So many pixels the background may move.
    rng : numpy.random.Generator
        Of the clip: its background follows from it.
    """
    torso, cover = _torso(identity, density)
    backdrop = _backdrop((size[1] + 2 * pad, size[0] + 2 * pad), background, rng)
    return Scene(backdrop.astype(np.float32), pad, torso, cover)


def _torso(identity: Identity, density: float) -> tuple[np.ndarray, np.ndarray]:
    x, y = (MARGIN * grid for grid in map_grid(density))
    soft = 1.5 * MARGIN / density
    across, wide = np.abs(x), identity.head_width
    skin, shirt = identity.skin_tone, identity.shirt_tone
    tone = np.zeros(np.broadcast(x, y).shape)
    cover = np.zeros_like(tone)

    def lay(shape: np.ndarray, value: np.ndarray) -> None:
        tone[...] += shape * (value - tone)
        cover[...] = np.maximum(cover, shape)

    if not identity.bald:
        long_ = identity.hair_length > 0.2
        reach = wide + (identity.hair_volume if long_ else -0.03)
        crown = 0.8 * (1 - np.hypot(x / reach, (y + 0.12) / (0.84 + identity.hair_volume)))
        fall = np.minimum(reach + 0.06 * y - across, identity.hair_length - 0.1 * across - y)
        back = np.where(y < -0.1, crown, np.minimum(fall, y + 0.4))
        streak = 1 + 0.15 * np.sin(55 * x + 3 * np.sin(4 * y)) * long_
        lay(soft_cover(back, soft), 0.6 * identity.hair_tone * streak)
    neck_half = (0.45 + 0.13 * identity.masculine) * wide + 0.25 * np.clip(y - 1.05, 0, None) ** 2
    round_ = np.sqrt(np.clip(1 - (across / (neck_half + 0.02)) ** 2, 0.05, 1))
    under_chin = 1 - 0.45 * np.exp(-(((y - 0.95) / 0.22) ** 2))
    tendons = 1 - 0.05 * np.exp(-(((across - 0.16 - 0.12 * (1.3 - y)) / 0.05) ** 2))
    neck = skin * (0.5 + 0.42 * round_) * under_chin * tendons
    lay(soft_cover(np.minimum(neck_half - across, y - 0.3), soft), neck)
    shoulder = 1.17 - 0.05 * identity.masculine + 0.26 * np.clip(across - 0.3, 0, None) ** 1.4
    neckline = _neckline(across, identity)
    body = soft_cover(np.minimum(y - shoulder, 2.2 - across), soft)
    folds = 1 + 0.06 * np.sin(9 * x + 4 * np.sin(3 * y)) - 0.25 * np.clip(across - 0.7, 0, 1)
    lay(body, np.broadcast_to(skin * 0.86, tone.shape))
    lay(soft_cover(np.minimum(y - np.maximum(shoulder - 0.02, neckline), 2.2 - across), soft),
        shirt * folds)  # fmt: skip
    hem = np.exp(-(((y - neckline - 0.03) / 0.022) ** 2)) * (y > shoulder - 0.02)
    tone *= 1 - 0.3 * hem * (across < 0.6)
    return np.ascontiguousarray(tone, np.float32), np.ascontiguousarray(cover, np.float32)


def _neckline(across: np.ndarray, identity: Identity) -> np.ndarray:
    """Height of a shirt's upper edge: round, V-shaped or a high collar."""
    if identity.collar < 0.4:
        return 1.34 - 0.5 * across**2
    if identity.collar < 0.7:
        return 1.52 - 0.9 * across
    return 1.08 + 0.1 * across


def _backdrop(shape: tuple[int, int], background: str, rng: np.random.Generator) -> np.ndarray:
    rows, columns = shape
    level, slope = rng.uniform(50, 200), rng.uniform(-40, 40)
    y, x = np.mgrid[0 : 1 : 1j * rows, 0 : 1 : 1j * columns]
    if background == "plain":
        return np.full(shape, level)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = slope * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) * 2
    if background == "gradient":
        return level + ramp
    texture = _texture(x, y, rng)
    if background == "textured":
        return np.clip(level + ramp + 22 * texture, 8, 250)
    picture = level + ramp + 8 * texture
    for _ in range(7):  # furniture, frames and people far away
        left, top = rng.uniform(-0.1, 0.9, 2)
        right, bottom = left + rng.uniform(0.06, 0.4), top + rng.uniform(0.06, 0.5)
        if rng.random() < 0.6:
            inside = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
        else:
            inside = 0.5 * (right - left) - np.hypot(x - left, y - top)
        picture += soft_cover(inside, 2.0 / columns) * (rng.uniform(25, 225) - picture)
    return picture


def _texture(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sum of plane waves of random direction, of unit spread."""
    texture = np.zeros_like(x)
    for _ in range(10):
        angle, cycles, phase = rng.uniform(0, 2 * np.pi), rng.uniform(2, 14), rng.uniform(0, 7)
        along = np.cos(angle) * x + np.sin(angle) * y
        texture += np.sin(2 * np.pi * cycles * along + phase)
    return texture / np.sqrt(5.0)
