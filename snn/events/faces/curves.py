"""The lines of a face, shared by what draws it and what measures it, compiled.

Positions are in half head heights. ``u`` runs along a feature: -1 to 1 from the inner to the outer
corner of an eye, and from the left to the right corner of the mouth. A face is a surface
``(x, y, depth(x, y))`` seen from afar, turned by yaw, pitch and roll.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.faces.model import CHIN_Y, CROWN_Y, EYE_Y, NOSE_TOP_Y

HEAD_DEPTH = 0.62  # of the front of the face before the axis it turns around
JAW_HINGE_Y = 0.40  # the skin above does not move with the jaw
JAW_REACH = 0.48  # below this much under the hinge, it follows entirely


@njit(cache=True, error_model="numpy")
def smooth(t: float) -> float:
    """0 below 0, 1 above 1, ``3t² - 2t³`` between."""
    t = min(max(t, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, error_model="numpy")
def lid_top(u: float, upper: float) -> float:
    """Height of the upper lid's edge over the eye's axis (negative is up)."""
    arch = (1.0 - u * u) * (1.0 + 0.2 * u * u)
    return -arch * (upper - 0.15 * max(upper, 0.0) * u)


@njit(cache=True, error_model="numpy")
def lid_bottom(u: float, lower: float) -> float:
    """Height of the lower lid's edge over the eye's axis."""
    return (1.0 - u * u) * (1.0 + 0.2 * u * u) * lower


@njit(cache=True, error_model="numpy")
def eye_axis(u: float, identity: np.void) -> float:
    """Height of the line between the corners of an eye."""
    return EYE_Y + 0.5 * identity["eye_slant"] * u * identity["eye_width"]


@njit(cache=True, error_model="numpy")
def brow_point(s: float, side: int, identity: np.void, geometry: np.void) -> tuple[float, float]:
    """Point of a brow's middle line, from its inner (s = 0) to its outer end (s = 1)."""
    inner_x = geometry["brow_inner_x"][side]
    outer_x = identity["eye_x"] + 1.18 * identity["eye_width"]
    middle_x = 0.4 * inner_x + 0.6 * outer_x
    w0, w1, w2 = (1.0 - s) * (1.0 - 2.0 * s), 4.0 * s * (1.0 - s), s * (2.0 * s - 1.0)
    x = w0 * inner_x + w1 * middle_x + w2 * outer_x
    y = (
        w0 * geometry["brow_inner_y"][side]
        + w1 * geometry["brow_middle_y"][side]
        + w2 * geometry["brow_outer_y"][side]
    )
    return (2.0 * side - 1.0) * x, y


@njit(cache=True, error_model="numpy")
def mouth_x(u: float, geometry: np.void) -> float:
    """Where along x the mouth's coordinate `u` is."""
    left, right = -geometry["corner_x"][0], geometry["corner_x"][1]
    return 0.5 * (left + right) + 0.5 * (right - left) * u


@njit(cache=True, error_model="numpy")
def lip_lines(u: float, geometry: np.void) -> tuple[float, float, float, float]:
    """Heights of the outer and inner edge of the upper lip, and inner and outer of the lower."""
    bulge = max(1.0 - u * u, 0.0)
    left_y, right_y = geometry["corner_y"][0], geometry["corner_y"][1]
    ends = 0.5 * (left_y * u * (u - 1.0) + right_y * u * (u + 1.0))
    inner_top = geometry["lip_upper_y"] * bulge + ends
    inner_bottom = geometry["lip_lower_y"] * bulge + ends
    bow = 1.0 - 0.28 * np.exp(-45.0 * u * u)
    outer_top = inner_top - geometry["lip_upper_thickness"] * bulge * bow
    full = np.sqrt(bulge) * (0.5 + 0.5 * bulge)
    outer_bottom = inner_bottom + geometry["lip_lower_thickness"] * full
    return outer_top, inner_top, inner_bottom, outer_bottom


@njit(cache=True, error_model="numpy")
def half_width(y: float, identity: np.void) -> float:
    """Half the width that the head would have at height `y` without its rounding."""
    lower = max(y - 0.05, 0.0) / (CHIN_Y - 0.05)
    return identity["head_width"] * (1.0 - identity["jaw_taper"] * lower * lower)


@njit(cache=True, error_model="numpy")
def outline_x(y: float, identity: np.void) -> float:
    """Half the width of the head at height `y`, jaw closed."""
    if y > 0.0:
        rest = 1.0 - min(y / CHIN_Y, 1.0) ** identity["jaw_square"]
    else:
        rest = 1.0 - min(y / CROWN_Y, 1.0) ** 2.3
    return half_width(y, identity) * np.sqrt(rest)


@njit(cache=True, error_model="numpy")
def drop_jaw(y: float, jaw_drop: float) -> float:
    """Where the skin at height `y` of the closed face lies when the jaw is dropped."""
    return y + jaw_drop * smooth((y - JAW_HINGE_Y) / JAW_REACH)


@njit(cache=True, error_model="numpy")
def depth(x: float, y: float, identity: np.void) -> float:
    """How far the skin at (x, y) lies before the axis that the head turns around."""
    tip_y = NOSE_TOP_Y + identity["nose_length"] - 0.06
    return depth_with(x, y, 1.0 / identity["head_width"], tip_y, 0.8 * identity["nose_height"])


@njit(cache=True, error_model="numpy")
def depth_with(x: float, y: float, inverse_width: float, tip_y: float, nose: float) -> float:
    """``depth`` with the subject's numbers at hand: a rounded front and a nose on it."""
    across, along = x * inverse_width, y * (1.0 / 1.02)
    front = max(1.0 - across * across - along * along, 0.0)
    a, b = x * 5.0, (y - tip_y) * (1.0 / 0.42 if y < tip_y else 1.0 / 0.16)
    bump = max(1.0 - a * a - b * b, 0.0)
    return HEAD_DEPTH * front + nose * bump * bump


@njit(cache=True, error_model="numpy")
def project(x: float, y: float, z: float, pose: np.void) -> tuple[float, float]:
    """Pixel position of a point of the head."""
    turned_x = x * np.cos(pose["yaw"]) + z * np.sin(pose["yaw"])
    turned_z = z * np.cos(pose["yaw"]) - x * np.sin(pose["yaw"])
    turned_y = y * np.cos(pose["pitch"]) + turned_z * np.sin(pose["pitch"])
    cosine, sine = np.cos(pose["roll"]), np.sin(pose["roll"])
    column = pose["x"] + pose["scale"] * (cosine * turned_x - sine * turned_y)
    row = pose["y"] + pose["scale"] * (sine * turned_x + cosine * turned_y)
    return column, row
