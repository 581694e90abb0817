"""Draws the frames of one clip: a lit head on shoulders before a background.

A frame's face is modelled in maps over face coordinates (``portrait``, ``features``), lit there by
its slopes,

    tone = albedo · (ambient + (1 - ambient) · max(0, n·l) / l_z) + gloss · max(0, n·h)^16,

and seen through the head's pose: every pixel looks up the point of the face that is projected
onto it. Lengths are in half head heights.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.faces.brush import LEFT, TOP
from snn.events.faces.curves import JAW_HINGE_Y, JAW_REACH, depth_with, smooth
from snn.events.faces.features import (
    paint_brow,
    paint_eye,
    paint_glasses,
    paint_mouth,
    paint_nose,
    raise_relief,
    tint_folds,
    tint_lips,
)
from snn.events.faces.model import NOSE_TOP_Y
from snn.events.faces.portrait import Portrait
from snn.events.faces.scene import MARGIN, Scene

AMBIENT = 0.46
LOOKUPS = 3  # fixed-point steps from a pixel to its point of the face, from its neighbour's
HIGHLIGHT = 200.0  # grey values of a full highlight


def draw_faces(
    size: tuple[int, int],
    identity: np.void,
    portrait: Portrait,
    scene: Scene,
    geometry: np.ndarray,
    pose: np.ndarray,
    gaze: np.ndarray,
    light: np.ndarray,
) -> np.ndarray:
    """Draw the frames of one clip.

    Parameters
    ----------
    size : tuple of int
        ``(width, height)`` in pixels.
    identity : record of ``IDENTITY_DTYPE``
        The subject.
    portrait : Portrait
        Its resting head.
    scene : Scene
        What is behind and under it.
    geometry, pose, gaze, light : ndarray of shape (n_frames,)
        Of ``GEOMETRY_DTYPE``, ``POSE_DTYPE``, ``GAZE_DTYPE`` and ``LIGHT_DTYPE``.

    Returns
    -------
    ndarray of shape (n_frames, height, width), dtype uint8
    """
    width, height = size
    frames = np.empty((len(geometry), height, width), np.uint8)
    resting = np.stack([portrait.height, portrait.tone, portrait.gloss, portrait.cover])
    maps = np.empty_like(resting)
    face = np.empty_like(portrait.tone)
    for k in range(len(geometry)):
        _model_face(face, maps, resting, portrait.hairs, portrait.density, identity, geometry[k],
                    gaze[k], light[k])  # fmt: skip
        _look(frames[k], face, maps[3], scene.torso, scene.torso_cover, scene.backdrop, scene.pad,
              portrait.density, identity, pose[k], pose[0], light[k])  # fmt: skip
    return frames


@njit(cache=True, error_model="numpy")
def _model_face(
    face: np.ndarray,
    maps: np.ndarray,
    resting: np.ndarray,
    hairs: np.ndarray,
    density: float,
    identity: np.void,
    geometry: np.void,
    gaze: np.void,
    light: np.void,
) -> None:
    """Write the lit face of one frame into `face` and its coverage into ``maps[3]``."""
    _drop_jaw(maps, resting, density, geometry["jaw_drop"])
    height, tone, gloss = maps[0], maps[1], maps[2]
    raise_relief(height, density, identity, geometry)
    tint_folds(tone, density, identity, geometry)
    tint_lips(tone, gloss, density, identity, geometry)
    _shade(face, height, tone, gloss, density, light)
    paint_nose(face, density, identity, geometry)
    paint_mouth(face, density, identity, geometry, light["gain"])
    for side in range(2):
        paint_eye(face, density, side, identity, geometry, gaze, light)
    for side in range(2):
        paint_brow(face, density, side, identity, geometry, hairs[side], light["gain"])
    if identity["glasses"] > 0.5:
        paint_glasses(face, density, identity)


@njit(cache=True, error_model="numpy")
def _drop_jaw(maps: np.ndarray, resting: np.ndarray, density: float, jaw_drop: float) -> None:
    """Stretch the resting maps downwards below the jaw's hinge."""
    n_maps, rows, columns = maps.shape
    hinge = int((JAW_HINGE_Y - TOP) * density)
    for m in range(n_maps):
        for row in range(hinge):
            for column in range(columns):
                maps[m, row, column] = resting[m, row, column]
    for row in range(hinge, rows):
        y = TOP + row / density
        source_y = y
        for _ in range(8):
            source_y = y - jaw_drop * smooth((source_y - JAW_HINGE_Y) / JAW_REACH)
        place = min(max((source_y - TOP) * density, 0.0), rows - 1.001)
        first = int(place)
        share = np.float32(place - first)
        for m in range(n_maps):
            for column in range(columns):
                above, below = resting[m, first, column], resting[m, first + 1, column]
                maps[m, row, column] = above + share * (below - above)


@njit(cache=True, error_model="numpy")
def _shade(
    face: np.ndarray,
    height: np.ndarray,
    tone: np.ndarray,
    gloss: np.ndarray,
    density: float,
    light: np.void,
) -> None:
    norm = 1.0 / np.sqrt(light["x"] ** 2 + light["y"] ** 2 + 1.0)
    light_x, light_y = np.float32(light["x"]), np.float32(light["y"])
    half_norm = 1.0 / np.sqrt((light["x"] * norm) ** 2 + (light["y"] * norm) ** 2 + (norm + 1) ** 2)
    half_x, half_y = (
        np.float32(light["x"] * norm * half_norm),
        np.float32(light["y"] * norm * half_norm),
    )
    half_z = np.float32((norm + 1.0) * half_norm)
    scale = np.float32(0.5 * density)
    ambient, gain = np.float32(AMBIENT), np.float32(light["gain"])
    rows, columns = face.shape
    for row in range(rows):
        above, below = max(row - 1, 0), min(row + 1, rows - 1)
        for column in range(columns):
            left, right = max(column - 1, 0), min(column + 1, columns - 1)
            slope_x = (height[row, right] - height[row, left]) * scale
            slope_y = (height[below, column] - height[above, column]) * scale
            normal_z = np.float32(1.0) / np.sqrt(
                np.float32(1.0) + slope_x * slope_x + slope_y * slope_y
            )
            lit = max(
                (np.float32(1.0) - slope_x * light_x - slope_y * light_y) * normal_z,
                np.float32(0.0),
            )
            shine = max((half_z - slope_x * half_x - slope_y * half_y) * normal_z, np.float32(0.0))
            shine = shine * shine
            shine = shine * shine
            shine = shine * shine
            shine = shine * shine
            value = tone[row, column] * (ambient + (np.float32(1.0) - ambient) * lit)
            value += gloss[row, column] * np.float32(HIGHLIGHT) * shine
            face[row, column] = value * gain


@njit(cache=True, error_model="numpy")
def _look(
    frame: np.ndarray,
    face: np.ndarray,
    cover: np.ndarray,
    torso: np.ndarray,
    torso_cover: np.ndarray,
    backdrop: np.ndarray,
    pad: int,
    density: float,
    identity: np.void,
    pose: np.void,
    first_pose: np.void,
    light: np.void,
) -> None:
    """Compose background, torso and face as seen in one pose, and round to 8 bits."""
    inverse = 1.0 / pose["scale"]
    cos_roll, sin_roll = np.cos(pose["roll"]), np.sin(pose["roll"])
    cos_yaw, sin_yaw = np.cos(pose["yaw"]), np.sin(pose["yaw"])
    cos_pitch, sin_pitch = np.cos(pose["pitch"]), np.sin(pose["pitch"])
    # Shoulders follow the head's place but keep upright.
    lean = 0.3 * first_pose["roll"]
    coarse = density / MARGIN
    inverse_width = 1.0 / identity["head_width"]
    tip_y, nose = NOSE_TOP_Y + identity["nose_length"] - 0.06, 0.8 * identity["nose_height"]
    per_cos_yaw, per_cos_pitch = 1.0 / cos_yaw, 1.0 / cos_pitch
    still = light["shift_x"] == 0.0 and light["shift_y"] == 0.0
    for row in range(frame.shape[0]):
        z = 0.0
        for column in range(frame.shape[1]):
            dx, dy = (column - pose["x"]) * inverse, (row - pose["y"]) * inverse
            if still:
                value = backdrop[row + pad, column + pad] * light["gain"]
            else:
                shift_x, shift_y = column + pad - light["shift_x"], row + pad - light["shift_y"]
                value = _sample(backdrop, shift_x, shift_y) * light["gain"]
            body_x, body_y = dx + lean * dy, dy - lean * dx
            place_x, place_y = (body_x - MARGIN * LEFT) * coarse, (body_y - MARGIN * TOP) * coarse
            over = _sample(torso_cover, place_x, place_y)
            if over > 0.0:
                slant = 0.8 + 0.3 * light["x"] * body_x
                lit = _sample(torso, place_x, place_y) * light["gain"] * slant
                value += over * (lit - value)
            x1, y1 = cos_roll * dx + sin_roll * dy, cos_roll * dy - sin_roll * dx
            if abs(x1) < 1.15 and -1.3 < y1 < 1.4:
                x, y = x1, y1
                for _ in range(LOOKUPS):
                    x = (x1 - z * sin_yaw) * per_cos_yaw
                    y = (y1 - (z * cos_yaw - x * sin_yaw) * sin_pitch) * per_cos_pitch
                    z = depth_with(x, y, inverse_width, tip_y, nose)
                place_x, place_y = (x - LEFT) * density, (y - TOP) * density
                over = _sample(cover, place_x, place_y)
                if over > 0.0:
                    value += over * (_sample(face, place_x, place_y) - value)
            frame[row, column] = int(min(max(value, 0.0), 255.0) + 0.5)


@njit(cache=True, error_model="numpy")
def _sample(image: np.ndarray, x: float, y: float) -> float:
    """Bilinear interpolation; the border goes on outside."""
    x = min(max(x, 0.0), image.shape[1] - 1.001)
    y = min(max(y, 0.0), image.shape[0] - 1.001)
    column, row = int(x), int(y)
    u, v = x - column, y - row
    top = image[row, column] * (1.0 - u) + image[row, column + 1] * u
    bottom = image[row + 1, column] * (1.0 - u) + image[row + 1, column + 1] * u
    return top * (1.0 - v) + bottom * v
