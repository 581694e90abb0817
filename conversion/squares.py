"""A picture cut to the face, padded with zeros to a square and resized: what the networks see.

The box is cut in whole pixels; what lies outside the picture is zero and the face stays in place.
The shorter side is padded in the middle, the odd pixel at the end. LANCZOS (PIL) overshoots, and
values are cut back to the range of the picture.

evTransFER stores a TIE image as a JPEG after the cut and twice more when it is square; video frames
are stored without loss until they are, and once then. `through_files` does the same.

Source: uoh-rislab/event-based_reconstruction_pix2pix, ``pre-process/2`` and ``3``. A box beyond
the picture's edge is cut there, which moves the face to the middle.

>>> to_square(np.zeros((3, 260, 346)), size=256).shape
(3, 256, 256)
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from conversion.tie.jpeg import through_jpeg
from snn.errors import EventFormatError
from snn.events.standardise.crop import Box

LARGEST_SIDE = 8192  # pixels of a cut or of the result; more is a mistake in the box


def to_square(
    image: np.ndarray, *, size: int, box: Box | None = None, through_files: bool = False
) -> np.ndarray:
    """Cut, pad and resize one picture.

    Parameters
    ----------
    image : ndarray of float in [0, 1], shape (C, H, W), or of uint8, shape (H, W)
        A TIE image or a grey video frame.
    size : int
        Side of the result.
    box : Box, optional
        In pixels of this picture; default all of it.
    through_files : bool
        Whether the picture becomes 8 bit and is stored as JPEG on the way, as published; then C
        must be 3.

    Returns
    -------
    ndarray of float32 in [0, 1], shape (C, size, size), or of uint8, shape (size, size)

    Raises
    ------
    EventFormatError
        For a picture of another kind, or a box or size that is too large or has no pixels.
    """
    grey = image.ndim == 2 and image.dtype == np.uint8
    colour = image.ndim == 3 and np.issubdtype(image.dtype, np.floating)
    if not (grey or colour) or (colour and through_files and len(image) != 3):
        raise EventFormatError(
            f"a picture of {image.dtype} and shape {image.shape}; a grey frame is uint8 [H, W], a "
            "TIE image float [C, H, W], with C = 3 where it goes through files"
        )
    _check_side("square", size, size)
    part = image if box is None else _cut(image, box)
    if colour and through_files:
        part = through_jpeg(np.rint(np.clip(part, 0, 1) * 255).astype(np.uint8))
    square = _resized(_padded(part), size)
    if through_files:
        square = through_jpeg(square if grey else through_jpeg(square))
    if grey:
        return square
    return square / np.float32(255) if square.dtype == np.uint8 else square


def _cut(image: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of a box, zeros where it lies outside."""
    # A pixel's centre is a whole number, so its left edge lies half a pixel before it.
    left, top = round(box.x + 0.5), round(box.y + 0.5)
    width, height = round(box.width), round(box.height)
    _check_side("box", width, height)
    rows, columns = image.shape[-2:]
    part = np.zeros((*image.shape[:-2], height, width), image.dtype)
    x0, x1 = max(left, 0), min(left + width, columns)
    y0, y1 = max(top, 0), min(top + height, rows)
    if x0 < x1 and y0 < y1:
        part[..., y0 - top : y1 - top, x0 - left : x1 - left] = image[..., y0:y1, x0:x1]
    return part


def _padded(image: np.ndarray) -> np.ndarray:
    """Zeros on both sides of the shorter axis."""
    height, width = image.shape[-2:]
    side = max(height, width)
    missing = [(0, 0)] * (image.ndim - 2)
    missing += [((side - n) // 2, side - n - (side - n) // 2) for n in (height, width)]
    return np.pad(image, missing)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    """LANCZOS, channel by channel: uint8 stays uint8, float becomes float32 in [0, 1]."""
    if image.ndim == 2:
        if image.dtype != np.uint8:
            image = image.astype(np.float32)
        return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS))
    channels = np.stack([_resized(channel, size) for channel in image])
    return channels if channels.dtype == np.uint8 else np.clip(channels, 0, 1)


def _check_side(what: str, width: int, height: int) -> None:
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise EventFormatError(
            f"a {what} of {width}×{height} pixels; sides from 1 to {LARGEST_SIDE} are allowed"
        )
