"""Squares by hand, against PIL on whole pictures, and against the authors' chain of files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from conversion.squares import to_square
from snn.errors import EventFormatError
from snn.events.standardise.crop import Box


def numbered(height: int, width: int) -> np.ndarray:
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


def test_a_box_takes_the_pixels_whose_edges_it_names() -> None:
    image = numbered(8, 9)
    # The image begins at -0.5: this box holds columns 2 to 5 and rows 1 to 4.
    box = Box(x=1.5, y=0.5, width=4, height=4)
    np.testing.assert_array_equal(to_square(image, size=4, box=box), image[1:5, 2:6])


def test_what_lies_outside_is_zero_and_the_rest_stays_in_place() -> None:
    image = np.full((6, 6), 9, np.uint8)
    square = to_square(image, size=4, box=Box(x=3.5, y=-2.5, width=4, height=4))
    expected = np.zeros((4, 4), np.uint8)
    expected[2:, :2] = 9
    np.testing.assert_array_equal(square, expected)
    far = to_square(image, size=4, box=Box(x=100, y=0, width=4, height=4))
    assert not far.any()


def test_the_shorter_side_is_padded_the_odd_pixel_at_the_end() -> None:
    wide = np.full((2, 5), 7, np.uint8)
    assert (to_square(wide, size=5) == 7).all(axis=1).tolist() == [False, True, True, False, False]
    tall = np.full((3, 6, 3), 0.5)
    assert (to_square(tall, size=6) == 0.5).all(axis=(0, 1)).tolist() == [
        False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(26, 35), (35, 26), (30, 30)])
@pytest.mark.parametrize("size", [16, 64])
def test_resizing_is_that_of_pil(shape: tuple[int, int], size: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = square_of(Image.fromarray(frame), size)
    np.testing.assert_array_equal(to_square(frame, size=size), expected)
    # Smooth and far from padding's zeros: PIL cuts off 8-bit overshoot after each of two passes.
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    colour = cv2.GaussianBlur(noise, (0, 0), 3)[: min(shape), : min(shape)]
    ours = to_square(colour.transpose(2, 0, 1) / 255, size=size)
    assert ours.dtype == np.float32
    theirs = np.asarray(square_of(Image.fromarray(colour), size)).transpose(2, 0, 1)
    assert abs(ours * 255 - theirs).max() <= 1.5


def test_overshoot_is_cut_off() -> None:
    edge = np.zeros((3, 20, 20))
    edge[:, :, 10:] = 1
    square = to_square(edge, size=60)
    assert square.min() == 0 and square.max() == 1


def square_of(image: Image.Image, size: int) -> Image.Image:
    """Padded as the authors pad."""
    width, height = image.size
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    border = (left, top, side - width - left, side - height - top)
    return ImageOps.expand(image, border=border, fill=0).resize((size, size), Image.LANCZOS)


def authors_pair(image: np.ndarray, box: tuple[int, int, int, int], folder: Path) -> np.ndarray:
    """The published scripts on one TIE image, with a file after every step."""
    path = str(folder / "step.jpg")
    x, y, width, height = box
    cv2.imwrite(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)[y : y + height, x : x + width])
    square = square_of(Image.open(path).convert("RGB"), 64)
    square.save(path, format="JPEG", quality=95, optimize=True, progressive=True)
    cv2.imwrite(path, cv2.imread(path), [int(cv2.IMWRITE_JPEG_QUALITY), 95])
    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB).transpose(2, 0, 1)


def test_through_files_is_the_authors_chain(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sparse = rng.random((60, 80, 3)) * (rng.random((60, 80, 1)) < 0.15)
    image = (cv2.GaussianBlur(sparse, (3, 3), 0) * 255).astype(np.uint8)
    theirs = authors_pair(image, (12, 5, 50, 48), tmp_path)
    box = Box(x=11.5, y=4.5, width=50, height=48)
    ours = to_square(image.transpose(2, 0, 1) / np.float32(255), size=64, box=box,
                     through_files=True)  # fmt: skip
    difference = abs(np.rint(ours * 255) - theirs)
    assert difference.max() <= 1
    without = to_square(image.transpose(2, 0, 1) / np.float32(255), size=64, box=box)
    assert abs(without * 255 - theirs).mean() > 1


def test_a_video_frame_is_stored_once(tmp_path: Path) -> None:
    frame = np.random.default_rng(6).integers(0, 256, (40, 40), dtype=np.uint8)
    ours = to_square(frame, size=32, through_files=True)
    path = str(tmp_path / "frame.jpg")
    rgb = np.asarray(square_of(Image.fromarray(frame).convert("RGB"), 32))
    cv2.imwrite(path, rgb, [int(cv2.IMWRITE_JPEG_QUALITY), 95])
    theirs = cv2.imread(path)
    assert np.ptp(theirs.astype(int), axis=2).max() <= 1
    assert abs(ours.astype(int) - theirs[..., 0]).max() <= 1


@pytest.mark.parametrize(
    "image",
    [np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((1, 3, 4, 4))],
)
def test_pictures_of_another_kind_are_refused(image: np.ndarray) -> None:
    with pytest.raises(EventFormatError, match="a grey frame is uint8"):
        to_square(image, size=4)


def test_two_channels_cannot_go_through_files() -> None:
    with pytest.raises(EventFormatError, match="C = 3"):
        to_square(np.zeros((2, 4, 4)), size=4, through_files=True)


def test_a_box_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(EventFormatError, match="a box of"):
        to_square(np.zeros((4, 4), np.uint8), size=4, box=Box(x=0, y=0, width=1e9, height=1e9))
    with pytest.raises(EventFormatError, match="a square of"):
        to_square(np.zeros((4, 4), np.uint8), size=0)
