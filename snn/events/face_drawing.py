"""Draws one face into a grey image: layers of soft-edged shapes, compiled.

The shapes are those of ``brush``; lengths and positions are in half head heights throughout.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.brush import blob, box, coverage, face_x, face_y, stroke
from snn.events.face_model import EYE_Y, NOSE_TOP_Y

# Where the head is in the image. ``scale`` is half the head's height in pixels; ``turn`` and
# ``nod`` shift the features against the outline, in half head heights.
POSE_DTYPE = np.dtype([(name, "f8") for name in ("x", "y", "scale", "roll", "turn", "nod")])
# Direction of sight, in iris radii.
GAZE_DTYPE = np.dtype([("x", "f8"), ("y", "f8")])
# Light: overall gain, gain slopes per half head height across the face, background grey values.
LIGHT_DTYPE = np.dtype(
    [(name, "f8") for name in ("gain", "slope_x", "slope_y", "background", "background_slope")]
)


def draw_faces(
    size: tuple[int, int],
    identity: np.void,
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
    geometry, pose, gaze, light : ndarray of shape (n_frames,)
        Of ``GEOMETRY_DTYPE``, ``POSE_DTYPE``, ``GAZE_DTYPE`` and ``LIGHT_DTYPE``.

    Returns
    -------
    ndarray of shape (n_frames, height, width), dtype uint8
    """
    width, height = size
    frames = np.empty((len(geometry), height, width), np.uint8)
    canvas = np.empty((height, width))
    for k in range(len(geometry)):
        _draw_face(canvas, identity, geometry[k], pose[k], gaze[k], light[k])
        _develop(canvas, pose[k], light[k], frames[k])
    return frames


@njit(cache=True, error_model="numpy")
def _draw_face(
    canvas: np.ndarray,
    identity: np.void,
    geometry: np.void,
    pose: np.void,
    gaze: np.void,
    light: np.void,
) -> None:
    """Paint all layers from back to front."""
    scale = pose["scale"]
    cosine, sine = np.cos(pose["roll"]), np.sin(pose["roll"])
    outline = np.array([pose["x"], pose["y"], scale * cosine, scale * sine, 1.0 / scale])
    # The features ride on the head: shifting their frame turns and nods it.
    shift_x, shift_y = pose["turn"] * scale, pose["nod"] * scale
    features = outline.copy()
    features[0] += cosine * shift_x - sine * shift_y
    features[1] += sine * shift_x + cosine * shift_y
    _draw_head(canvas, outline, identity, geometry, light)
    for side in range(2):
        _draw_cheek(canvas, features, side, identity, geometry)
    _draw_nose(canvas, features, identity, geometry)
    _draw_mouth(canvas, features, identity, geometry)
    for side in range(2):
        _draw_eye(canvas, features, side, identity, geometry, gaze)
        _draw_brow(canvas, features, side, identity, geometry)
    _draw_furrows(canvas, features, identity, geometry)
    _draw_fringe(canvas, outline, identity, geometry)


@njit(cache=True, error_model="numpy")
def _develop(canvas: np.ndarray, pose: np.void, light: np.void, frame: np.ndarray) -> None:
    """Light the canvas and round it to 8 bits."""
    inverse = 1.0 / pose["scale"]
    for row in range(canvas.shape[0]):
        gain_y = light["gain"] + light["slope_y"] * (row - pose["y"]) * inverse
        for column in range(canvas.shape[1]):
            gain = gain_y + light["slope_x"] * (column - pose["x"]) * inverse
            value = canvas[row, column] * max(gain, 0.1)
            frame[row, column] = int(min(max(value, 0.0), 255.0) + 0.5)


@njit(cache=True, error_model="numpy")
def _draw_head(
    canvas: np.ndarray, frame: np.ndarray, identity: np.void, geometry: np.void, light: np.void
) -> None:
    """Background, shoulders, neck, hair, ears and the shaded skin of the head."""
    soft = 1.3 * frame[4]
    skin, hair = identity["skin_tone"], identity["hair_tone"]
    wide, volume, length = identity["head_width"], identity["hair_volume"], identity["hair_length"]
    shirt = 0.5 * hair + 40.0
    for row in range(canvas.shape[0]):
        backdrop = light["background"] + light["background_slope"] * row / canvas.shape[0]
        for column in range(canvas.shape[1]):
            x, y = face_x(frame, row, column), face_y(frame, row, column)
            value = backdrop
            across = abs(x)
            if y > 0.6:  # neck and shoulders
                fall = 1.22 + 0.32 * across * across
                value += coverage(y - fall, soft) * (shirt - value)
                neck = min(0.62 * wide - across, 1.32 - 0.2 * across - y)
                value += coverage(neck, soft) * (0.74 * skin - value)
            # Round above the ears, hanging down below them.
            hang = 1.0 if y < -0.12 else 0.35
            hair_x, hair_y = x / (wide + volume), hang * (y + 0.12) / (0.93 + volume)
            around = 0.8 * (1.0 - np.sqrt(hair_x * hair_x + hair_y * hair_y))
            end = length - 0.25 * (across - wide) - y
            value += coverage(min(around, end), soft) * (hair - value)
            if identity["ears"] > 0.5 and abs(y - 0.03) < 0.3:
                ear_x, ear_y = (across - wide + 0.01) / 0.085, (y - 0.03) / 0.17
                ear = 0.085 * (1.0 - np.sqrt(ear_x * ear_x + ear_y * ear_y))
                value += coverage(ear, soft) * (0.85 * skin - value)
            radius = _head_radius(identity, geometry, x, y)
            rim = radius * radius
            tone = skin * (1.03 - 0.22 * rim * rim)
            value += coverage(0.8 * (1.0 - radius), soft) * (tone - value)
            canvas[row, column] = value


@njit(cache=True, error_model="numpy", inline="always")
def _head_radius(identity: np.void, geometry: np.void, x: float, y: float) -> float:
    """0 in the middle of the head, 1 on its outline, which narrows towards the chin."""
    chin = geometry["chin_y"]
    lower = max(y - 0.05, 0.0) / (chin - 0.05)
    half = identity["head_width"] * (1.0 - identity["jaw_taper"] * lower * lower)
    tall = chin if y > 0 else 0.97
    return np.sqrt((x / half) ** 2 + (y / tall) ** 2)


@njit(cache=True, error_model="numpy")
def _draw_fringe(
    canvas: np.ndarray, frame: np.ndarray, identity: np.void, geometry: np.void
) -> None:
    """Hair over the forehead, highest at the parting and reaching down at the temples."""
    soft = 1.3 * frame[4]
    hair, wide = identity["hair_tone"], identity["head_width"]
    rows = box(canvas, frame, -wide, -1.0, wide, 0.1)
    for row in range(rows[0], rows[1]):
        for column in range(rows[2], rows[3]):
            x, y = face_x(frame, row, column), face_y(frame, row, column)
            offset = x - identity["parting"]
            edge = identity["hairline"] + 0.55 * offset * offset
            # A little beyond the outline, or the skin's soft edge would show through the hair.
            inside = 0.8 * (1.0 - _head_radius(identity, geometry, x, y)) + soft
            cover = coverage(min(edge - y, 0.05 - y), 2.0 * soft) * coverage(inside, soft)
            canvas[row, column] += cover * (hair - canvas[row, column])


@njit(cache=True, error_model="numpy", inline="always")
def _sign(side: int) -> float:
    """-1 for the left half of the image, +1 for the right half."""
    return 2.0 * side - 1.0


@njit(cache=True, error_model="numpy")
def _draw_cheek(
    canvas: np.ndarray, frame: np.ndarray, side: int, identity: np.void, geometry: np.void
) -> None:
    """Eye socket, cheek, nasolabial fold, dimple and crow's feet."""
    sign = _sign(side)
    eye_x = identity["eye_x"]
    cheek, fold = geometry["cheek"][side], geometry["fold"][side]
    corner_x, corner_y = geometry["corner_x"][side], geometry["corner_y"][side]
    blob(canvas, frame, sign * eye_x, EYE_Y - 0.03, 0.27, 0.19, 0.0, 0.16)
    blob(canvas, frame, sign * 0.42, 0.24 - 0.07 * cheek, 0.26, 0.2, 255.0, 0.1 + 0.1 * cheek)
    blob(canvas, frame, sign * 0.40, 0.12 - 0.03 * cheek, 0.22, 0.07, 0.0, 0.12 * cheek)
    if fold > 0.02:
        top_x, top_y = identity["nose_width"] + 0.02, geometry["nostril_y"][side] - 0.05
        end_x, end_y = corner_x + 0.09, corner_y - 0.01
        bend_x, bend_y = 0.5 * (top_x + end_x) + 0.05, 0.5 * (top_y + end_y) - 0.02
        stroke(canvas, frame, sign * top_x, top_y, sign * bend_x, bend_y, sign * end_x, end_y,
                0.02, 0.05, 0.015, 0.0, min(0.22 * fold, 0.34))  # fmt: skip
    dimple = geometry["dimple"][side]
    if dimple > 0.02:
        x = corner_x + 0.06
        stroke(canvas, frame, sign * x, corner_y - 0.08, sign * (x + 0.03), corner_y,
                sign * x, corner_y + 0.08, 0.01, 0.045, 0.01, 0.0, 0.4 * dimple)  # fmt: skip
    crow = 0.3 * identity["age_lines"] + geometry["crow_feet"][side]
    if crow > 0.05:
        x = eye_x + identity["eye_width"] + 0.03
        for k in range(-1, 2):
            y = EYE_Y + 0.005 + 0.035 * k
            stroke(canvas, frame, sign * x, y, sign * (x + 0.04), y + 0.012 * k,
                    sign * (x + 0.08), y + 0.03 * k, 0.012, 0.012, 0.006, 0.0,
                    0.22 * crow)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _draw_nose(canvas: np.ndarray, frame: np.ndarray, identity: np.void, geometry: np.void) -> None:
    wide = identity["nose_width"]
    left, right = geometry["nostril_y"][0], geometry["nostril_y"][1]
    tip = 0.5 * (left + right)
    middle = 0.5 * (NOSE_TOP_Y + tip)
    wrinkle = geometry["nose_wrinkle"]
    blob(canvas, frame, 0.0, middle, 0.06, 0.7 * (tip - NOSE_TOP_Y), 255.0, 0.22)
    blob(canvas, frame, 0.0, tip - 0.03, 0.09, 0.08, 255.0, 0.22)
    blob(canvas, frame, 0.0, tip + 0.06, wide + 0.03, 0.05, 0.0, 0.3)
    for side in range(2):
        sign = _sign(side)
        y = geometry["nostril_y"][side]
        stroke(canvas, frame, sign * 0.055, NOSE_TOP_Y, sign * 0.06, middle,
                sign * (wide - 0.02), y - 0.06, 0.03, 0.03, 0.02, 0.0, 0.13)  # fmt: skip
        stroke(canvas, frame, sign * (wide - 0.01), y - 0.06, sign * (wide + 0.015), y - 0.01,
                sign * (wide - 0.015), y + 0.03, 0.012, 0.022, 0.01, 0.0, 0.4)  # fmt: skip
        stroke(canvas, frame, sign * 0.035, y + 0.035, sign * 0.065, y + 0.02,
                sign * 0.095, y + 0.035, 0.015, 0.035, 0.012, 0.0, 0.65)  # fmt: skip
        for k in range(3):  # creases beside the bridge
            if wrinkle > 0.02:
                top = NOSE_TOP_Y + 0.02 + 0.055 * k
                stroke(canvas, frame, sign * 0.02, top - 0.01, sign * 0.06, top,
                        sign * 0.11, top + 0.035, 0.012, 0.022, 0.006, 0.0,
                        0.42 * wrinkle)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _draw_mouth(
    canvas: np.ndarray, frame: np.ndarray, identity: np.void, geometry: np.void
) -> None:
    """Lips between four curves that meet in the corners; dark opening with teeth."""
    soft = 1.3 * frame[4]
    left_x, right_x = -geometry["corner_x"][0], geometry["corner_x"][1]
    left_y, right_y = geometry["corner_y"][0], geometry["corner_y"][1]
    upper, lower = geometry["lip_upper_y"], geometry["lip_lower_y"]
    thick_upper, thick_lower = geometry["lip_upper_thickness"], geometry["lip_lower_thickness"]
    middle, half = 0.5 * (left_x + right_x), 0.5 * (right_x - left_x)
    top = min(upper, left_y, right_y) - thick_upper - 0.05
    bottom = max(lower, left_y, right_y) + thick_lower + 0.05
    lip, opening = identity["lip_tone"], lower - upper
    blob(canvas, frame, 0.0, lower + thick_lower + 0.07, 0.2, 0.06, 0.0, 0.2)
    rows = box(canvas, frame, left_x - 0.05, top, right_x + 0.05, bottom)
    for row in range(rows[0], rows[1]):
        for column in range(rows[2], rows[3]):
            y = face_y(frame, row, column)
            u = (face_x(frame, row, column) - middle) / half
            if abs(u) > 1.15:
                continue
            bulge = max(1.0 - u * u, 0.0)
            ends = 0.5 * (left_y * u * (u - 1.0) + right_y * u * (u + 1.0))
            inner_top, inner_bottom = upper * (1.0 - u * u) + ends, lower * (1.0 - u * u) + ends
            bow = 1.0 - 0.25 * np.exp(-40.0 * u * u)
            outer_top = inner_top - thick_upper * bulge * bow
            outer_bottom = inner_bottom + thick_lower * np.sqrt(bulge) * (0.5 + 0.5 * bulge)
            sides = (1.0 - abs(u)) * half
            value = canvas[row, column]
            shape = coverage(min(y - outer_top, outer_bottom - y, sides), soft)
            shine = 1.08 if y > inner_bottom else 0.88
            value += shape * (min(lip * shine, 255.0) - value)
            gap = coverage(min(y - inner_top, inner_bottom - y, sides), soft)
            cavity = 28.0
            if opening > 0.03:  # upper teeth
                edge = inner_top + min(0.55 * opening, 0.06) * bulge
                cavity += coverage(edge - y, soft) * 165.0
            value += gap * min(1.0, opening / soft + 0.2) * (cavity - value)
            # The line between the lips, drawn out a little beyond the corners.
            line = 0.35 * soft + 0.004 - abs(y - inner_top)
            beyond = coverage(1.06 * half - abs(u) * half, soft)
            value += coverage(line, soft) * beyond * 0.6 * (25.0 - value)
            canvas[row, column] = value


@njit(cache=True, error_model="numpy")
def _draw_eye(
    canvas: np.ndarray,
    frame: np.ndarray,
    side: int,
    identity: np.void,
    geometry: np.void,
    gaze: np.void,
) -> None:
    """Eyeball, iris and pupil seen between the lids, the lids' edges and the crease above."""
    soft = 1.3 * frame[4]
    sign = _sign(side)
    centre_x, wide = sign * identity["eye_x"], identity["eye_width"]
    slant, radius = identity["eye_slant"], identity["iris_radius"]
    upper, lower = geometry["lid_upper"][side], geometry["lid_lower"][side]
    iris_x, iris_y = gaze["x"] * radius, gaze["y"] * radius - 0.006
    rows = box(canvas, frame, centre_x - 1.3 * wide, EYE_Y - upper - 0.12,
                centre_x + 1.3 * wide, EYE_Y + lower + 0.09)  # fmt: skip
    for row in range(rows[0], rows[1]):
        for column in range(rows[2], rows[3]):
            dx = face_x(frame, row, column) - centre_x
            u = dx * sign / wide
            if abs(u) > 1.25:
                continue
            y = face_y(frame, row, column) - EYE_Y - slant * 0.5 * u * wide
            arch = 1.0 - u * u
            top, bottom = -upper * arch, lower * arch
            value = canvas[row, column]
            gap = min(y - top, bottom - y, (1.0 - abs(u)) * wide)
            white = 215.0 - 45.0 * u * u
            from_iris = np.sqrt((dx - iris_x) ** 2 + (y - iris_y) ** 2)
            ball = white + coverage(radius - from_iris, soft) * (identity["iris_tone"] - white)
            ball += coverage(0.45 * radius - from_iris, soft) * (12.0 - ball)
            # The upper lid shades the ball.
            ball *= 1.0 - 0.3 * coverage(0.025 - (y - top), 0.04)
            value += coverage(gap, soft) * (ball - value)
            within = coverage((1.08 - abs(u)) * wide, soft)
            lash = coverage(0.012 + 0.15 * soft - abs(y - top), soft) * within
            value += 0.85 * lash * (22.0 - value)
            rim = coverage(0.005 - abs(y - bottom), soft) * within
            value += 0.45 * rim * (40.0 - value)
            crease = coverage(0.006 - abs(y - top + 0.045 * arch + 0.01), soft) * within
            value += 0.3 * crease * (0.0 - value)
            canvas[row, column] = value


@njit(cache=True, error_model="numpy")
def _draw_brow(
    canvas: np.ndarray, frame: np.ndarray, side: int, identity: np.void, geometry: np.void
) -> None:
    sign = _sign(side)
    thick = identity["brow_thickness"]
    inner_x = geometry["brow_inner_x"][side]
    outer_x = identity["eye_x"] + 1.15 * identity["eye_width"]
    stroke(canvas, frame, sign * inner_x, geometry["brow_inner_y"][side],
            sign * (0.4 * inner_x + 0.6 * outer_x), geometry["brow_middle_y"][side],
            sign * outer_x, geometry["brow_outer_y"][side],
            1.7 * thick, 1.9 * thick, 0.7 * thick,
            0.8 * identity["hair_tone"], 0.9)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _draw_furrows(
    canvas: np.ndarray, frame: np.ndarray, identity: np.void, geometry: np.void
) -> None:
    """Furrows of the forehead, between the brows and on the chin."""
    glabella = geometry["glabella"]
    brow_y = 0.5 * (geometry["brow_inner_y"][0] + geometry["brow_inner_y"][1])
    if glabella > 0.02:
        for side in range(2):
            x = 0.045 * _sign(side)
            stroke(canvas, frame, 0.8 * x, brow_y - 0.1, x, brow_y - 0.02, 1.1 * x,
                    brow_y + 0.07, 0.008, 0.026, 0.012, 0.0, 0.45 * glabella)  # fmt: skip
    forehead = 0.25 * identity["age_lines"] + 0.75 * geometry["forehead"]
    if forehead > 0.03:
        for k in range(3):
            y = brow_y - 0.10 - 0.07 * k
            bend = 0.03 - 0.01 * k
            stroke(canvas, frame, -0.3, y, 0.0, y - bend, 0.3, y, 0.008, 0.022, 0.008, 0.0,
                    0.3 * forehead)  # fmt: skip
    boss = geometry["chin_boss"]
    if boss > 0.02:
        y = geometry["chin_y"] - 0.2
        blob(canvas, frame, 0.0, y + 0.06, 0.14, 0.09, 255.0, 0.2 * boss)
        stroke(canvas, frame, -0.1, y, 0.0, y - 0.03, 0.1, y, 0.01, 0.03, 0.01, 0.0,
                0.4 * boss)  # fmt: skip
