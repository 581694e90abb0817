"""What an expression moves: relief, lips, eyes and brows of one frame, on the maps of a head."""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.faces.brush import (
    LEFT,
    TOP,
    box,
    coverage,
    curve,
    line,
    mound,
    ridge,
    stain,
    stroke,
)
from snn.events.faces.curves import (
    brow_point,
    eye_axis,
    lid_bottom,
    lid_top,
    lip_lines,
    mouth_x,
    smooth,
)
from snn.events.faces.model import EYE_Y, NOSE_TOP_Y

PALE = 0.45  # darkest tone of lines in skin, as a share of the skin's


@njit(cache=True, error_model="numpy")
def raise_relief(height: np.ndarray, density: float, identity: np.void, geometry: np.void) -> None:
    """Add the bulges and furrows of an expression to the heights of the resting head."""
    for side in range(2):
        _raise_cheek(height, density, side, identity, geometry)
        _raise_brow(height, density, side, identity, geometry)
    _raise_forehead(height, density, identity, geometry)
    boss = geometry["chin_boss"]
    chin_y = 0.83 + geometry["jaw_drop"]
    if boss > 0.02:
        mound(height, density, 0.0, chin_y, 0.2, 0.13, 0.05 * boss)
        ridge(height, density, curve(-0.14, chin_y - 0.09, 0.0, chin_y - 0.13, 0.14, chin_y - 0.09,
              0.03, 0.06, 0.03), -0.04 * boss)  # fmt: skip
        for k in range(6):
            x, y = 0.09 * np.sin(2.4 * k), chin_y + 0.03 * np.cos(2.4 * k)
            mound(height, density, x, y, 0.03, 0.03, -0.012 * boss)
    _raise_mouth(height, density, identity, geometry)


@njit(cache=True, error_model="numpy")
def _raise_cheek(
    height: np.ndarray, density: float, side: int, identity: np.void, geometry: np.void
) -> None:
    d, sign = density, 2.0 * side - 1.0
    cheek, fold = geometry["cheek"][side], geometry["fold"][side]
    squint, dimple = geometry["squint"][side], geometry["dimple"][side]
    corner_x, corner_y = geometry["corner_x"][side], geometry["corner_y"][side]
    wing_x, wing_y = geometry["nostril_x"][side], geometry["nostril_y"][side] - 0.05
    if cheek > 0.02:
        mound(height, d, sign * 0.39, 0.19 - 0.05 * cheek, 0.24, 0.17, 0.075 * cheek)
    if squint > 0.02:  # the cheek pushes a fold up under the eye, wrinkles fan out beside it
        eye_x = sign * identity["eye_x"]
        y = EYE_Y + 0.10
        ridge(height, d, curve(eye_x - sign * 0.15, y - 0.01, eye_x, y + 0.035,
              eye_x + sign * 0.17, y - 0.02, 0.04, 0.05, 0.03), -0.025 * squint)  # fmt: skip
        x = identity["eye_x"] + identity["eye_width"] + 0.03
        for k in range(-1, 3):
            y = EYE_Y + 0.005 + 0.03 * k
            ridge(height, d, curve(sign * x, y, sign * (x + 0.045), y + 0.012 * k,
                  sign * (x + 0.10), y + 0.035 * k, 0.015, 0.02, 0.01),
                  -(0.008 + 0.008 * identity["age"]) * squint)  # fmt: skip
    if fold > 0.02:  # a groove from the wing of the nose around the mouth, the cheek above it
        end_x, end_y = corner_x + 0.085, corner_y + 0.03
        bend_x, bend_y = 0.5 * (wing_x + end_x) + 0.055, 0.5 * (wing_y + end_y) - 0.02
        ridge(height, d, curve(sign * (wing_x + 0.09), wing_y + 0.01, sign * (bend_x + 0.08),
              bend_y - 0.02, sign * (end_x + 0.07), end_y - 0.03, 0.10, 0.26, 0.06),
              0.03 * fold)  # fmt: skip
        ridge(height, d, curve(sign * (wing_x + 0.02), wing_y - 0.02, sign * bend_x, bend_y,
              sign * end_x, end_y, 0.05, 0.10, 0.015), -0.034 * fold)  # fmt: skip
    if dimple > 0.02:
        x = corner_x + 0.05
        ridge(height, d, curve(sign * x, corner_y - 0.07, sign * (x + 0.025), corner_y,
              sign * x, corner_y + 0.07, 0.02, 0.09, 0.02), -0.045 * dimple)  # fmt: skip
        mound(height, d, sign * (x + 0.07), corner_y, 0.09, 0.11, 0.03 * dimple)
    sneer = geometry["sneer"][side]
    if sneer > 0.02:  # the upper lip's flank bunches up beside the nose
        mound(height, d, sign * (wing_x + 0.05), wing_y + 0.08, 0.10, 0.09, 0.035 * sneer)


@njit(cache=True, error_model="numpy")
def _raise_brow(
    height: np.ndarray, density: float, side: int, identity: np.void, geometry: np.void
) -> None:
    """The brow's flesh moves with it and folds over the lid when lowered."""
    rest_y = EYE_Y - identity["brow_height"] - 0.02
    for k in range(3):
        x, y = brow_point(0.15 + 0.35 * k, side, identity, geometry)
        shift = rest_y - y
        mound(height, density, x, y, 0.14, 0.085, 0.028)
        if shift < 0:
            mound(height, density, x, y + 0.05, 0.13, 0.06, min(-0.25 * shift, 0.03))


@njit(cache=True, error_model="numpy")
def _raise_forehead(
    height: np.ndarray, density: float, identity: np.void, geometry: np.void
) -> None:
    d, knit = density, geometry["knit"]
    deep = 0.6 + 0.7 * identity["age"]
    brow_y = 0.5 * (geometry["brow_inner_y"][0] + geometry["brow_inner_y"][1])
    if knit > 0.02:
        mound(height, d, 0.0, brow_y - 0.01, 0.1, 0.12, 0.03 * knit)
        for side in range(2):
            x = 0.048 * (2.0 * side - 1.0)
            ridge(height, d, curve(0.75 * x, brow_y - 0.12, x, brow_y - 0.02, 1.25 * x,
                  brow_y + 0.07, 0.015, 0.06, 0.025), -0.034 * knit * deep)  # fmt: skip
    inner, outer = geometry["forehead_inner"], geometry["forehead_outer"]
    hair_y = 0.13 + (-0.37 if identity["fringe"] > 0.5 else identity["hairline"])
    if inner + outer > 0.03:
        for k in range(4):
            y = brow_y - 0.12 - 0.075 * k
            if y < hair_y:
                break
            # Inner brows alone raise an arch in the middle, both halves lines across.
            sag = 0.05 * inner - 0.045 * outer
            reach = 0.2 + 0.22 * min(outer, 1.0)
            ridge(height, d, curve(-reach, y + sag + 0.02, 0.0, y + 0.01 * np.sin(5.0 * k),
                  reach, y + sag + 0.02, 0.02, 0.05, 0.02),
                  -0.016 * min(inner + outer, 1.2) * deep)  # fmt: skip
    wrinkle = geometry["nose_wrinkle"]
    if wrinkle > 0.02:
        for k in range(4):
            y = NOSE_TOP_Y - 0.05 + 0.05 * k
            reach = 0.06 + 0.012 * k
            ridge(height, d, curve(-reach, y + 0.03, 0.0, y - 0.012, reach, y + 0.03,
                  0.025, 0.04, 0.025), -0.016 * wrinkle)  # fmt: skip
        for side in range(2):
            sign = 2.0 * side - 1.0
            ridge(height, d, curve(sign * 0.09, NOSE_TOP_Y + 0.04, sign * 0.14, NOSE_TOP_Y + 0.1,
                  sign * 0.17, NOSE_TOP_Y + 0.2, 0.04, 0.07, 0.04), -0.02 * wrinkle)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _raise_mouth(height: np.ndarray, density: float, identity: np.void, geometry: np.void) -> None:
    """Swelling of both lips, the seam between them and the pits of the corners."""
    bounds = _mouth_box(height, density, geometry)
    for column in range(bounds[2], bounds[3]):
        x = LEFT + column / density
        u = _mouth_u(x, geometry)
        if abs(u) >= 1.0:
            continue
        outer_top, inner_top, inner_bottom, outer_bottom = lip_lines(u, geometry)
        for row in range(bounds[0], bounds[1]):
            y = TOP + row / density
            above = (y - outer_top) / max(inner_top - outer_top, 0.01)
            below = (outer_bottom - y) / max(outer_bottom - inner_bottom, 0.01)
            if 0.0 < above < 1.0:
                height[row, column] += 0.7 * (inner_top - outer_top) * above * np.sqrt(1.0 - above)
            elif 0.0 < below < 1.0:
                height[row, column] += (outer_bottom - inner_bottom) * below * np.sqrt(1.0 - below)
    for side in range(2):
        sign = 2.0 * side - 1.0
        mound(height, density, sign * (geometry["corner_x"][side] + 0.015),
              geometry["corner_y"][side], 0.07, 0.06, -0.018)  # fmt: skip


@njit(cache=True, error_model="numpy")
def tint_folds(tone: np.ndarray, density: float, identity: np.void, geometry: np.void) -> None:
    """Shadows in the folds beside the mouth and between the brows, which no light reaches."""
    for side in range(2):
        sign, fold = 2.0 * side - 1.0, geometry["fold"][side]
        if fold > 0.02:
            x, y = geometry["nostril_x"][side] + 0.02, geometry["nostril_y"][side] - 0.06
            end_x, end_y = geometry["corner_x"][side] + 0.085, geometry["corner_y"][side] + 0.03
            points = curve(sign * x, y, sign * (0.5 * (x + end_x) + 0.05), 0.5 * (y + end_y) - 0.02,
                           sign * end_x, end_y, 0.02, 0.055, 0.015)  # fmt: skip
            stroke(tone, density, points, 0.0, min(0.22 * fold, 0.3))
        cheek = geometry["cheek"][side]
        if cheek > 0.02:
            stain(tone, density, sign * 0.40, 0.08, 0.22, 0.07, 0.0, 0.14 * cheek)
    knit = geometry["knit"]
    if knit > 0.02:
        y = 0.5 * (geometry["brow_inner_y"][0] + geometry["brow_inner_y"][1])
        stain(tone, density, 0.0, y, 0.07, 0.13, 0.0, 0.3 * knit)


@njit(cache=True, error_model="numpy")
def _mouth_u(x: float, geometry: np.void) -> float:
    left, right = -geometry["corner_x"][0], geometry["corner_x"][1]
    return (2.0 * x - left - right) / (right - left)


@njit(cache=True, error_model="numpy")
def _mouth_box(canvas: np.ndarray, density: float, geometry: np.void) -> tuple[int, int, int, int]:
    corners = geometry["corner_y"]
    top = min(geometry["lip_upper_y"], corners[0], corners[1])
    bottom = max(geometry["lip_lower_y"], corners[0], corners[1])
    return box(canvas, density, mouth_x(-1.0, geometry) - 0.05,
               top - geometry["lip_upper_thickness"] - 0.04, mouth_x(1.0, geometry) + 0.05,
               bottom + geometry["lip_lower_thickness"] + 0.04)  # fmt: skip


@njit(cache=True, error_model="numpy")
def tint_lips(
    tone: np.ndarray, gloss: np.ndarray, density: float, identity: np.void, geometry: np.void
) -> None:
    """Colour the lips, the upper darker, with fine upright lines."""
    soft = 2.0 / density
    lip = identity["lip_tone"] * (1.0 - 0.12 * identity["makeup"])
    stain(tone, density, 0.0, geometry["lip_lower_y"] + geometry["lip_lower_thickness"] + 0.05,
          0.2, 0.06, 0.0, 0.15)  # fmt: skip
    bounds = _mouth_box(tone, density, geometry)
    for column in range(bounds[2], bounds[3]):
        x = LEFT + column / density
        u = _mouth_u(x, geometry)
        if abs(u) > 1.0:
            continue
        outer_top, _, inner_bottom, outer_bottom = lip_lines(u, geometry)
        crack = 1.0 - 0.05 * (0.5 + 0.5 * np.sin(130.0 * x + 2.0 * np.sin(41.0 * x)))
        ends = coverage((1.0 - abs(u)) * 0.25 - 0.01, 2.0 * soft)
        for row in range(bounds[0], bounds[1]):
            y = TOP + row / density
            cover = coverage(min(y - outer_top, outer_bottom - y), soft) * ends
            if cover <= 0.0:
                continue
            shade = lip * crack * (1.05 if y > inner_bottom else 0.88)
            cover *= 0.75 + 0.25 * identity["makeup"]
            tone[row, column] += cover * (shade - tone[row, column])
            gloss[row, column] += cover * (0.22 + 0.2 * identity["makeup"] - gloss[row, column])


@njit(cache=True, error_model="numpy")
def paint_nose(canvas: np.ndarray, density: float, identity: np.void, geometry: np.void) -> None:
    """Nostrils and the edge of the wings."""
    dark = 0.16 * identity["skin_tone"]
    for side in range(2):
        sign = 2.0 * side - 1.0
        x, y = geometry["nostril_x"][side], geometry["nostril_y"][side]
        stroke(canvas, density, curve(sign * 0.035, y + 0.022, sign * 0.5 * x, y + 0.008,
               sign * (0.82 * x), y + 0.022, 0.012, 0.034, 0.014), dark, 0.85)  # fmt: skip
        stroke(canvas, density, curve(sign * (x - 0.005), y - 0.07, sign * (x + 0.014), y - 0.025,
               sign * (x - 0.012), y + 0.012, 0.006, 0.012, 0.01), dark, 0.3)  # fmt: skip


@njit(cache=True, error_model="numpy")
def paint_mouth(
    canvas: np.ndarray, density: float, identity: np.void, geometry: np.void, lit: float
) -> None:
    """Between the lips: a seam, or the mouth's dark with teeth and tongue."""
    soft = 1.3 / density
    opening = geometry["lip_lower_y"] - geometry["lip_upper_y"]
    bounds = _mouth_box(canvas, density, geometry)
    for column in range(bounds[2], bounds[3]):
        x = LEFT + column / density
        u = _mouth_u(x, geometry)
        if abs(u) > 1.12:
            continue
        _, inner_top, inner_bottom, _ = lip_lines(u, geometry)
        sides = (1.0 - abs(u)) * 0.25
        gap_here = max(inner_bottom - inner_top, 0.0)
        seam_end = coverage((1.06 - abs(u)) * 0.25, 2.0 * soft)
        # Six teeth a side: dark gaps between them, narrower outwards.
        tooth = 0.5 - 0.5 * np.cos(2.0 * np.pi * x / (0.075 - 0.06 * x * x))
        for row in range(bounds[0], bounds[1]):
            y = TOP + row / density
            value = canvas[row, column]
            gap = coverage(min(y - inner_top, inner_bottom - y, sides), soft)
            if gap > 0.0:
                inside = 26.0
                tongue = coverage(y - (inner_bottom - 0.35 * gap_here - 0.02), 0.06)
                inside += 0.75 * tongue * smooth((opening - 0.1) / 0.1) * (72.0 - inside)
                edge = inner_top + min(0.75 * gap_here, 0.062 + 0.004 * tooth)
                bite = coverage(edge - y, soft) * smooth((opening - 0.02) / 0.04)
                ivory = (0.55 + 0.45 * (1.0 - u * u)) * (178.0 + 16.0 * tooth)
                inside += bite * (ivory - inside)
                lower = inner_bottom - 0.028 - 0.004 * tooth
                bite = coverage(y - lower, soft) * smooth((opening - 0.16) / 0.05)
                inside += 0.8 * bite * (0.8 * ivory - inside)
                inside *= 1.0 - 0.45 * coverage(inner_top + 0.018 - y, 0.03)
                value += gap * min(1.0, gap_here / soft + 0.1) * (inside * lit - value)
            seam = coverage(0.006 + 0.25 * soft - abs(y - inner_top), soft) * seam_end
            value += seam * 0.85 * (0.2 * identity["skin_tone"] - value)
            canvas[row, column] = value


@njit(cache=True, error_model="numpy")
def paint_eye(
    canvas: np.ndarray,
    density: float,
    side: int,
    identity: np.void,
    geometry: np.void,
    gaze: np.void,
    light: np.void,
) -> None:
    """Ball, iris and pupil between the lids; the lids' edges, lashes and crease."""
    soft = 1.3 / density
    sign = 2.0 * side - 1.0
    centre_x, wide = sign * identity["eye_x"], identity["eye_width"]
    radius = identity["iris_radius"]
    upper, lower = geometry["lid_upper"][side], geometry["lid_lower"][side]
    open_ = max(upper, 0.062 * identity["eye_opening"])
    iris_x, iris_y = centre_x + gaze["x"] * radius, EYE_Y + gaze["y"] * radius - 0.006
    glint_x, glint_y = iris_x + 0.35 * radius * light["x"], iris_y - 0.4 * radius
    makeup, dark = identity["makeup"], 0.15 * identity["skin_tone"]
    bounds = box(canvas, density, centre_x - 1.35 * wide, EYE_Y - open_ - 0.13,
                 centre_x + 1.35 * wide, EYE_Y + lower + 0.09)  # fmt: skip
    for column in range(bounds[2], bounds[3]):
        x = LEFT + column / density
        u = sign * (x - centre_x) / wide
        if abs(u) > 1.3:
            continue
        axis = eye_axis(u, identity)
        v = min(max(u, -1.0), 1.0)
        top, bottom = axis + lid_top(v, upper), axis + lid_bottom(v, lower)
        fold = axis + lid_top(v, open_) - 0.03 - 0.02 * (1.0 - v * v)
        within = coverage((1.06 - abs(u)) * wide, soft)
        wing = coverage((1.16 - abs(u - 0.06)) * wide, 1.5 * soft)
        thick = 0.009 + 0.006 * smooth(u) + 0.008 * makeup
        for row in range(bounds[0], bounds[1]):
            y = TOP + row / density
            value = canvas[row, column]
            gap = coverage(min(y - top, bottom - y, (1.02 - abs(u)) * wide), soft)
            if gap > 0.0:
                from_iris = np.sqrt((x - iris_x) ** 2 + (y - iris_y) ** 2)
                ball = 196.0 - 62.0 * u * u - 25.0 * smooth(-2.0 * u - 1.2)
                share = from_iris / radius
                glow = 0.85 + 0.55 * smooth((y - iris_y) / radius) * smooth(share)
                iris = identity["iris_tone"] * glow * (1.0 - 0.55 * smooth((share - 0.7) / 0.3))
                ball += coverage(radius - from_iris, soft) * (iris - ball)
                ball += coverage(0.42 * radius - from_iris, soft) * (9.0 - ball)
                ball *= 1.0 - 0.5 * coverage(0.02 - (y - top), 0.045)
                glint = np.sqrt((x - glint_x) ** 2 + (y - glint_y) ** 2)
                ball += 0.9 * coverage(0.2 * radius - glint, soft) * (250.0 - ball)
                value += gap * (ball * light["gain"] - value)
            crease = coverage(0.006 - abs(y - fold), 1.5 * soft) * within * identity["lid_fold"]
            value += 0.4 * crease * (dark - value)
            rim = coverage(0.004 - abs(y - bottom), soft) * within
            value += (0.35 + 0.3 * makeup) * rim * (dark - value)
            lash = coverage(thick + 0.1 * soft - abs(y - top + 0.3 * thick), soft) * wing
            value += (0.72 + 0.2 * makeup) * lash * (0.6 * dark - value)
            canvas[row, column] = value


@njit(cache=True, error_model="numpy")
def paint_brow(
    canvas: np.ndarray,
    density: float,
    side: int,
    identity: np.void,
    geometry: np.void,
    hairs: np.ndarray,
    lit: float,
) -> None:
    """A brow of single hairs over a faint ground; far away the ground is all that is seen."""
    fine = smooth((density - 35.0) / 60.0)
    tone = min(0.85 * identity["hair_tone"], 0.5 * identity["skin_tone"]) * lit
    thick = identity["brow_thickness"]
    points = np.empty((9, 3))
    for k in range(9):
        x, y = brow_point(k / 8.0, side, identity, geometry)
        points[k] = x, y, thick * (1.9 - 0.5 * k / 8.0 if k < 6 else 1.1 - 0.35 * (k - 6))
    stroke(canvas, density, points, tone, 0.88 - 0.43 * fine)
    if fine <= 0.0:
        return
    sign = 2.0 * side - 1.0
    for k in range(len(hairs)):
        s = (k + hairs[k, 0]) / len(hairs)
        x, y = brow_point(s, side, identity, geometry)
        ahead_x, ahead_y = brow_point(min(s + 0.05, 1.05), side, identity, geometry)
        slope = (ahead_y - y) / (abs(ahead_x - x) + 1e-6)
        half = thick * (1.0 - 0.55 * s)
        y += 1.5 * (hairs[k, 1] - 0.45) * half
        length = 0.05 + 0.03 * hairs[k, 2]
        # Inner hairs stand up, outer ones lie along the brow.
        rise = 1.3 * (1.0 - s) ** 2 + 0.25 * (hairs[k, 3] - 0.5)
        dx, dy = 1.0, slope - rise
        norm = length / np.sqrt(dx * dx + dy * dy)
        stroke(canvas, density, line(x, y, x + sign * dx * norm, y + dy * norm, 0.011, 0.004),
               0.8 * tone, 0.75 * fine)  # fmt: skip


@njit(cache=True, error_model="numpy")
def paint_glasses(canvas: np.ndarray, density: float, identity: np.void) -> None:
    """Thin dark frames around the eyes."""
    eye_x, reach = identity["eye_x"], 0.215
    for side in range(2):
        sign = 2.0 * side - 1.0
        points = np.empty((25, 3))
        for k in range(25):
            angle = 2.0 * np.pi * k / 24.0
            c, s = np.cos(angle), np.sin(angle)
            points[k] = (sign * (eye_x + reach * c * np.abs(c) ** -0.3 if c != 0.0 else eye_x),
                         EYE_Y + 0.035 + 0.16 * s * (np.abs(s) + 1e-9) ** -0.3, 0.022)  # fmt: skip
        stroke(canvas, density, points, 22.0, 0.9)
        edge = eye_x + reach
        stroke(canvas, density, line(sign * edge, EYE_Y, sign * (identity["head_width"] + 0.02),
               EYE_Y - 0.02, 0.022, 0.022), 22.0, 0.85)  # fmt: skip
    stroke(canvas, density, curve(-(eye_x - reach), EYE_Y, 0.0, EYE_Y - 0.04, eye_x - reach,
           EYE_Y, 0.022, 0.022, 0.022), 22.0, 0.85)  # fmt: skip
