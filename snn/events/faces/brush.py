"""Soft-edged shapes on a map of a face, compiled.

A map is a float32 grid over a rectangle of face coordinates (half head heights): the texel in
``row`` and ``column`` lies at ``x = LEFT + column / density``, ``y = TOP + row / density``. Mounds
and ridges are added to a map (of heights); stains and strokes mix a tone into it:
``map += coverage · opacity · (tone - map)``. Every shape visits its bounding box only. Edges are
about a texel soft; strokes thinner than a texel keep a texel's width and lose opacity instead.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LEFT, TOP, RIGHT, BOTTOM = -1.2, -1.35, 1.2, 1.45  # the rectangle of face coordinates
STROKE_PIECES = 8  # straight pieces of a curved stroke


def map_shape(density: float) -> tuple[int, int]:
    """Rows and columns of a map with `density` texels per half head height."""
    return int(np.ceil((BOTTOM - TOP) * density)), int(np.ceil((RIGHT - LEFT) * density))


def map_grid(density: float) -> tuple[np.ndarray, np.ndarray]:
    """Face coordinates of a map's texels: x of shape (1, columns) and y of shape (rows, 1)."""
    rows, columns = map_shape(density)
    x = LEFT + np.arange(columns) / density
    y = TOP + np.arange(rows) / density
    return x[None, :], y[:, None]


@njit(cache=True, error_model="numpy")
def coverage(distance: float, soft: float) -> float:
    """Share of a texel inside a shape whose signed distance (inside positive) is given."""
    t = min(max(0.5 + distance / soft, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, error_model="numpy")
def box(
    canvas: np.ndarray, density: float, x0: float, y0: float, x1: float, y1: float
) -> tuple[int, int, int, int]:
    """Rows and columns of the texels inside a rectangle: first row, end row, first column, end."""
    first_row = max(int((y0 - TOP) * density), 0)
    end_row = min(int((y1 - TOP) * density) + 2, canvas.shape[0])
    first_column = max(int((x0 - LEFT) * density), 0)
    end_column = min(int((x1 - LEFT) * density) + 2, canvas.shape[1])
    return first_row, end_row, first_column, end_column


@njit(cache=True, error_model="numpy")
def mound(
    canvas: np.ndarray,
    density: float,
    x: float,
    y: float,
    radius_x: float,
    radius_y: float,
    amount: float,
) -> None:
    """Add a hill (a hollow for a negative amount) of profile (1 - r²)²."""
    bounds = box(canvas, density, x - radius_x, y - radius_y, x + radius_x, y + radius_y)
    for row in range(bounds[0], bounds[1]):
        v = (TOP + row / density - y) / radius_y
        rest = 1.0 - v * v
        for column in range(bounds[2], bounds[3]):
            u = (LEFT + column / density - x) / radius_x
            fade = max(rest - u * u, 0.0)
            canvas[row, column] += fade * fade * amount


@njit(cache=True, error_model="numpy")
def stain(
    canvas: np.ndarray,
    density: float,
    x: float,
    y: float,
    radius_x: float,
    radius_y: float,
    tone: float,
    opacity: float,
) -> None:
    """Mix in a spot that fades to its rim as (1 - r²)²; tone 0 is a shadow."""
    bounds = box(canvas, density, x - radius_x, y - radius_y, x + radius_x, y + radius_y)
    for row in range(bounds[0], bounds[1]):
        v = (TOP + row / density - y) / radius_y
        rest = 1.0 - v * v
        for column in range(bounds[2], bounds[3]):
            u = (LEFT + column / density - x) / radius_x
            fade = max(rest - u * u, 0.0)
            canvas[row, column] += fade * fade * opacity * (tone - canvas[row, column])


@njit(cache=True, error_model="numpy")
def curve(
    x0: float, y0: float, x1: float, y1: float, x2: float, y2: float,
    thick0: float, thick1: float, thick2: float,
) -> np.ndarray:  # fmt: skip
    """A path through three points with a thickness at each: rows of x, y, thickness."""
    points = np.empty((STROKE_PIECES + 1, 3))
    for k in range(STROKE_PIECES + 1):
        s = 2.0 * k / STROKE_PIECES - 1.0
        w0, w1, w2 = 0.5 * s * (s - 1.0), 1.0 - s * s, 0.5 * s * (s + 1.0)
        points[k, 0] = w0 * x0 + w1 * x1 + w2 * x2
        points[k, 1] = w0 * y0 + w1 * y1 + w2 * y2
        points[k, 2] = w0 * thick0 + w1 * thick1 + w2 * thick2
    return points


@njit(cache=True, error_model="numpy")
def line(x0: float, y0: float, x1: float, y1: float, thick0: float, thick1: float) -> np.ndarray:
    """A straight path: rows of x, y, thickness."""
    points = np.empty((2, 3))
    points[0] = x0, y0, thick0
    points[1] = x1, y1, thick1
    return points


@njit(cache=True, error_model="numpy")
def stroke(
    canvas: np.ndarray, density: float, points: np.ndarray, tone: float, opacity: float
) -> None:
    """Mix a tone in along a path."""
    soft = 1.3 / density
    bounds = _path_box(canvas, density, points, soft)
    for row in range(bounds[0], bounds[1]):
        y = TOP + row / density
        for column in range(bounds[2], bounds[3]):
            distance, thickness = _distance_to_path(points, LEFT + column / density, y)
            half = max(0.5 * thickness, 0.35 * soft)
            share = min(0.5 * thickness / half, 1.0) * opacity
            cover = coverage(half - distance, soft) * share
            canvas[row, column] += cover * (tone - canvas[row, column])


@njit(cache=True, error_model="numpy")
def ridge(canvas: np.ndarray, density: float, points: np.ndarray, amount: float) -> None:
    """Add a ridge (a groove for a negative amount) of profile (1 - d²)² along a path.

    It is as high as it is thick: where the path thins out, it runs out.
    """
    soft = 1.3 / density
    thickest = 0.0
    for k in range(len(points)):
        thickest = max(thickest, points[k, 2])
    bounds = _path_box(canvas, density, points, soft)
    for row in range(bounds[0], bounds[1]):
        y = TOP + row / density
        for column in range(bounds[2], bounds[3]):
            distance, thickness = _distance_to_path(points, LEFT + column / density, y)
            half = max(0.5 * thickness, soft)
            share = min(0.5 * thickness / half, 1.0) * thickness / thickest
            fade = max(1.0 - (distance / half) ** 2, 0.0)
            canvas[row, column] += fade * fade * amount * share


@njit(cache=True, error_model="numpy")
def _path_box(
    canvas: np.ndarray, density: float, points: np.ndarray, soft: float
) -> tuple[int, int, int, int]:
    low_x, low_y, high_x, high_y, reach = 1e9, 1e9, -1e9, -1e9, 0.0
    for k in range(len(points)):
        low_x, high_x = min(low_x, points[k, 0]), max(high_x, points[k, 0])
        low_y, high_y = min(low_y, points[k, 1]), max(high_y, points[k, 1])
        reach = max(reach, 0.5 * points[k, 2])
    reach += soft
    return box(canvas, density, low_x - reach, low_y - reach, high_x + reach, high_y + reach)


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
