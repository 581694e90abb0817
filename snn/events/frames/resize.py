"""Resizing: nearest neighbour as in torch and torchvision, and bilinear of a padded square.

Nearest: pixel ``j`` is pixel ``⌊j · in / out⌋`` of the source, with the quotient and the product in
single precision as in ``torch.nn.functional.interpolate(mode="nearest")``. Going from 200 to 128
pixels every third pixel or so is left out, with the events it counted.

>>> nearest_indices(5, 3).tolist()
[0, 1, 3]
"""

from __future__ import annotations

import cv2
import numpy as np


def nearest_indices(n_in: int, n_out: int) -> np.ndarray:
    """Source pixel of each of ``n_out`` pixels, int64."""
    scale = np.float32(n_in) / np.float32(n_out)
    source = np.floor(np.arange(n_out, dtype=np.float32) * scale).astype(np.int64)
    return np.minimum(source, n_in - 1)


def resize_nearest(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize the last two axes to ``(width, height)``.

    Parameters
    ----------
    frames : ndarray of shape (..., H, W)
    size : tuple of int
        ``(width, height)`` of the result.

    Returns
    -------
    ndarray of shape (..., height, width), same dtype
        A new array, also when the size is the same.

    Raises
    ------
    ValueError
        For frames or a size without pixels.
    """
    height, width = frames.shape[-2:]
    if min(height, width, *size) < 1:
        raise ValueError(
            f"cannot resize frames of {width}×{height} pixels to {size[0]}×{size[1]}; "
            "each side must be at least 1"
        )
    rows, columns = nearest_indices(height, size[1]), nearest_indices(width, size[0])
    return frames.take(rows, axis=-2).take(columns, axis=-1)


def resize_square(image: np.ndarray, side: int, *, background: int = 0) -> np.ndarray:
    """Pad an image to a square, then resize it bilinearly.

    The image stays in the middle; of an odd number of missing rows or columns the greater half
    comes after it. ibugueno/event-based_datasets prepares images like this, for `side` 200.

    Parameters
    ----------
    image : ndarray of uint8, uint16 or float32, shape (H, W) or (H, W, channels)
    side : int
        Pixels each way of the result.
    background : int
        Value of the padding.

    Returns
    -------
    ndarray of the same dtype, shape (side, side) or (side, side, channels)

    Raises
    ------
    ValueError
        For a side below 1.
    """
    if side < 1:
        raise ValueError(f"cannot resize an image to {side}×{side} pixels; each side is at least 1")
    height, width = image.shape[:2]
    square = max(height, width)
    before = [(square - n) // 2 for n in (height, width)]
    after = [square - n - b for n, b in zip((height, width), before, strict=True)]
    padded = cv2.copyMakeBorder(
        image,
        before[0],
        after[0],
        before[1],
        after[1],
        cv2.BORDER_CONSTANT,
        value=[background] * 4,
    )
    return cv2.resize(padded, (side, side), interpolation=cv2.INTER_LINEAR)
