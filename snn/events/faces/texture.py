"""Smooth noise and soft edges for what is modelled once a clip."""

from __future__ import annotations

import numpy as np


class Noise:
    """Smooth random functions of the plane, in about [-1, 1]."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.table = rng.uniform(-1, 1, (64, 64))

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Interpolated table, one cell a unit; repeats after 64 units."""
        x, y = np.broadcast_arrays(x, y)
        column, row = np.floor(x).astype(int), np.floor(y).astype(int)
        u, v = x - column, y - row
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        table, left, right = self.table, column % 64, (column + 1) % 64
        above, below = row % 64, (row + 1) % 64
        top = table[above, left] * (1 - u) + table[above, right] * u
        bottom = table[below, left] * (1 - u) + table[below, right] * u
        return top * (1 - v) + bottom * v


def soft_cover(distance: np.ndarray, soft: float) -> np.ndarray:
    """Coverage by a shape whose signed distance (inside positive) is given: ``brush.coverage``."""
    t = np.clip(0.5 + distance / soft, 0, 1)
    return t * t * (3 - 2 * t)
