"""Augmentations of the frames of one recording in numpy: crop and face reflection.

Each is a frozen object called with frames ``[T, P, H, W]`` and a random generator. One draw serves
all frames; the input is never written. The published code calls the face reflection "mirror".

>>> RandomResizedCrop()(np.zeros((6, 2, 200, 200), np.uint8), np.random.default_rng(0)).shape
(6, 2, 128, 128)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snn.events.frames.resize import resize_nearest

ATTEMPTS = 10  # to draw a box that fits, before the whole frame is taken


class FrameAugmentation(Protocol):
    """Anything that changes frames at random."""

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """New frames, same number and dtype."""
        ...


@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop:
    """Cut a random box and resize it, nearest neighbour: torchvision's transform of this name.

    Parameters
    ----------
    size : tuple of int
        ``(width, height)`` of the result.
    scale : tuple of float
        Smallest and largest share of the area that the box covers.
    ratio : tuple of float
        Smallest and largest ratio of its width to its height, drawn on a logarithmic scale.
    """

    size: tuple[int, int] = (128, 128)
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        top, left, height, width = self.box(frames.shape[-2], frames.shape[-1], rng)
        return resize_nearest(frames[..., top : top + height, left : left + width], self.size)

    def box(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Draw a box ``(top, left, height, width)`` of a frame of ``height × width``."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(ATTEMPTS):
            area = height * width * rng.uniform(*self.scale)
            aspect = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
        w, h = width, height
        if width / height < self.ratio[0]:
            h = round(width / self.ratio[0])
        elif width / height > self.ratio[1]:
            w = round(height * self.ratio[1])
        return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True, kw_only=True)
class FaceReflection:
    """Reflect the left half of the frames onto the right, or the right onto the left, 50/50.

    An odd width keeps its middle column; the published code takes even widths only, and writes
    into its input.
    """

    probability: float = 0.5

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.probability:
            return frames
        width = frames.shape[-1]
        half, right = width // 2, width - width // 2
        reflected = frames.copy()
        if rng.random() < 0.5:
            reflected[..., right:] = frames[..., :half][..., ::-1]
        else:
            reflected[..., :half] = frames[..., right:][..., ::-1]
        return reflected


@dataclass(frozen=True, kw_only=True)
class ResizeNearest:
    """Resize without a crop, for runs without that augmentation."""

    size: tuple[int, int] = (128, 128)

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return resize_nearest(frames, self.size)
