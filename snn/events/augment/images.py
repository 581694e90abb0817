"""Augmentation of images in numpy: mirror and rotate, as evTransFER trains its classifier.

    source of pixel (x, y), turned by an angle a around the middle (c, d), anti-clockwise as seen:
    x' = c + cos a (x + 1/2 - c) - sin a (y + 1/2 - d)
    y' = d + sin a (x + 1/2 - c) + cos a (y + 1/2 - d)

Nearest neighbour: the source pixel is ``(floor x', floor y')``, and what lies outside is black.
The published order is mirror, rotate, normalise: black is 0 before the normalisation and -1 after
it. Source: the public code of evTransFER (arXiv 2508.03609), which calls torchvision's
RandomHorizontalFlip and RandomRotation on PIL images; the formula is that of PIL's ``rotate``.

>>> clip = np.ones((3, 3, 64, 64), np.float32)
>>> augment_images(clip, ImageAugmentConfig(), np.random.default_rng(0)).shape
(3, 3, 64, 64)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snn.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class ImageAugmentConfig:
    """How the images of a clip are mirrored and turned.

    Parameters
    ----------
    kind : str
        Tells this section from those of event frames and events.
    flip : float
        Probability of mirroring left to right.
    rotation_degrees : float
        Angles are drawn evenly from minus to plus this, in degrees.
    per_frame : bool
        Draw anew for every image of a clip, as published, where a face then jumps from image to
        image. Otherwise one draw serves a clip.

    Raises
    ------
    TrainingError
        For a probability outside [0, 1] or an angle outside [0, 180].
    """

    kind: Literal["image"] = "image"
    flip: float = 0.5
    rotation_degrees: float = 15.0
    per_frame: bool = False

    def __post_init__(self) -> None:
        for name, highest in (("flip", 1), ("rotation_degrees", 180)):
            if not 0 <= getattr(self, name) <= highest:
                raise TrainingError(
                    f"[training.augment] {name} must lie in [0, {highest}], "
                    f"got {getattr(self, name)}"
                )


def augment_images(
    images: np.ndarray, config: ImageAugmentConfig, rng: np.random.Generator
) -> np.ndarray:
    """Mirror and turn the images of one clip.

    Parameters
    ----------
    images : ndarray, shape (L, C, H, W)
        Black is 0.
    config : ImageAugmentConfig
    rng : numpy.random.Generator
        Two draws for a clip, or for each image.

    Returns
    -------
    ndarray of the same shape and dtype; the input is not written
    """
    if config.per_frame:
        return np.concatenate([_drawn(image[None], config, rng) for image in images])
    return _drawn(images, config, rng)


def _drawn(images: np.ndarray, config: ImageAugmentConfig, rng: np.random.Generator) -> np.ndarray:
    flipped = rng.random() < config.flip
    degrees = rng.uniform(-config.rotation_degrees, config.rotation_degrees)
    return mirrored_and_turned(images, flip=flipped, degrees=degrees)


def mirrored_and_turned(images: np.ndarray, *, flip: bool, degrees: float) -> np.ndarray:
    """Images ``[..., H, W]`` mirrored left to right, then turned anti-clockwise."""
    height, width = images.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    right = np.arange(width) + 0.5 - width / 2
    down = (np.arange(height) + 0.5 - height / 2)[:, None]
    columns = np.floor(cos * right - sin * down + width / 2).astype(np.int64)
    rows = np.floor(sin * right + cos * down + height / 2).astype(np.int64)
    outside = (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
    if flip:
        columns = width - 1 - columns
    sources = np.where(outside, 0, rows * width + columns).reshape(-1)
    turned = images.reshape(-1, height * width).take(sources, axis=1)
    turned[:, outside.reshape(-1)] = 0
    return turned.reshape(images.shape)
