"""Soft-edged shapes mixed into a grey image, compiled.

Every shape is painted only inside its bounding box and mixes its tone into the image by the share
of the pixel that it covers: ``image += coverage · opacity · (tone - image)``, coverage falling
smoothly (smoothstep) over the ``soft`` width around an edge, about one pixel. A tone of 0 with a
small opacity is a shadow, 255 a highlight.

Shapes are given in the coordinates of a ``frame``, five numbers: the pixel position of its origin
(x, y), the pixel vector of its x axis (x, y; the y axis is that turned by a right angle), and the
size of a pixel in its units.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STROKE_PIECES = 8  # straight pieces of a curved stroke


@njit(cache=True, error_model="numpy", inline="always")
def _smoothstep(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, error_model="numpy", inline="always")
def coverage(distance: float, soft: float) -> float:
    """Share of a pixel inside a shape whose signed distance (inside positive) is given."""
    return _smoothstep(0.5 + distance / soft)


@njit(cache=True, error_model="numpy")
def box(
    canvas: np.ndarray, frame: np.ndarray, x0: float, y0: float, x1: float, y1: float
) -> tuple[int, int, int, int]:
    """Pixel rows and columns that a rectangle of face coordinates can touch."""
    low_x, low_y, high_x, high_y = 1e9, 1e9, -1e9, -1e9
    for x in (x0, x1):
        for y in (y0, y1):
            column = frame[0] + frame[2] * x - frame[3] * y
            row = frame[1] + frame[3] * x + frame[2] * y
            low_x, high_x = min(low_x, column), max(high_x, column)
            low_y, high_y = min(low_y, row), max(high_y, row)
    first_row, last_row = max(int(low_y) - 1, 0), min(int(high_y) + 3, canvas.shape[0])
    first_column, last_column = max(int(low_x) - 1, 0), min(int(high_x) + 3, canvas.shape[1])
    return first_row, last_row, first_column, last_column


@njit(cache=True, error_model="numpy", inline="always")
def face_x(frame: np.ndarray, row: float, column: float) -> float:
    inverse = frame[4] * frame[4]
    return ((column - frame[0]) * frame[2] + (row - frame[1]) * frame[3]) * inverse


@njit(cache=True, error_model="numpy", inline="always")
def face_y(frame: np.ndarray, row: float, column: float) -> float:
    inverse = frame[4] * frame[4]
    return ((row - frame[1]) * frame[2] - (column - frame[0]) * frame[3]) * inverse


@njit(cache=True, error_model="numpy")
def blob(
    canvas: np.ndarray,
    frame: np.ndarray,
    x: float,
    y: float,
    radius_x: float,
    radius_y: float,
    tone: float,
    opacity: float,
) -> None:
    """A spot that fades to its rim as (1 - r²)²."""
    rows = box(canvas, frame, x - radius_x, y - radius_y, x + radius_x, y + radius_y)
    for row in range(rows[0], rows[1]):
        for column in range(rows[2], rows[3]):
            u = (face_x(frame, row, column) - x) / radius_x
            v = (face_y(frame, row, column) - y) / radius_y
            fade = max(1.0 - u * u - v * v, 0.0)
            canvas[row, column] += fade * fade * opacity * (tone - canvas[row, column])


@njit(cache=True, error_model="numpy")
def stroke(
    canvas: np.ndarray,
    frame: np.ndarray,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    thick0: float,
    thick1: float,
    thick2: float,
    tone: float,
    opacity: float,
) -> None:
    """A brush stroke through three points (quadratic curve) with a thickness at each of them.

    Strokes thinner than a pixel keep a pixel's width and lose opacity instead.
    """
    soft = 1.3 * frame[4]
    reach = max(thick0, thick1, thick2) + soft
    rows = box(
        canvas,
        frame,
        min(x0, x1, x2) - reach,
        min(y0, y1, y2) - reach,
        max(x0, x1, x2) + reach,
        max(y0, y1, y2) + reach,
    )
    points = np.empty((STROKE_PIECES + 1, 3))
    for k in range(STROKE_PIECES + 1):
        s = 2.0 * k / STROKE_PIECES - 1.0
        w0, w1, w2 = 0.5 * s * (s - 1.0), 1.0 - s * s, 0.5 * s * (s + 1.0)
        points[k, 0] = w0 * x0 + w1 * x1 + w2 * x2
        points[k, 1] = w0 * y0 + w1 * y1 + w2 * y2
        points[k, 2] = w0 * thick0 + w1 * thick1 + w2 * thick2
    for row in range(rows[0], rows[1]):
        for column in range(rows[2], rows[3]):
            x, y = face_x(frame, row, column), face_y(frame, row, column)
            distance, thickness = _distance_to_path(points, x, y)
            half = max(0.5 * thickness, 0.35 * soft)
            share = min(0.5 * thickness / half, 1.0) * opacity
            cover = coverage(half - distance, soft) * share
            canvas[row, column] += cover * (tone - canvas[row, column])


@njit(cache=True, error_model="numpy")
def _distance_to_path(points: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """Distance from (x, y) to a chain of segments, and the chain's thickness there."""
    best, thickness = 1e9, 0.0
    for k in range(len(points) - 1):
        ax, ay = points[k, 0], points[k, 1]
        bx, by = points[k + 1, 0] - ax, points[k + 1, 1] - ay
        s = ((x - ax) * bx + (y - ay) * by) / (bx * bx + by * by + 1e-12)
        s = min(max(s, 0.0), 1.0)
        dx, dy = x - ax - s * bx, y - ay - s * by
        square = dx * dx + dy * dy
        if square < best:
            best = square
            thickness = points[k, 2] + s * (points[k + 1, 2] - points[k, 2])
    return np.sqrt(best), thickness
