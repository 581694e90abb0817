"""Grey frames from a video file or a folder of images, one at a time.

Frames are prepared as v2e prepares them: 8 bits, resized by averaging areas, then turned grey.
The grey values stay as they are in the file; no gamma is undone.

    for frame in open_video(Path("clip.avi"), size=(346, 260)):
        ...                                              # uint8 of shape (260, 346)

>>> sorted(["f10.png", "f2.png"], key=natural_order)
['f2.png', 'f10.png']
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import cv2
import numpy as np

from snn.errors import EventFormatError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm")
LARGEST_SIDE = 1 << 16  # coordinates of events have 16 bits
DARK_16_BIT = 1 << 12  # a 16-bit image that stays below this has probably 12 bits or fewer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoInfo:
    """What a source says about itself.

    Parameters
    ----------
    frames : int or None
        Number of frames; of a video file what its header claims, None where it claims nothing.
    fps : float
        Frames per second.
    width, height : int
        Size of the source's frames in pixels, before resizing.
    """

    frames: int | None
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class Video:
    """Frames of a source; each pass over it reads from the beginning.

    Parameters
    ----------
    source : Path
        A video file or a folder of images.
    info : VideoInfo
        Its rate and size.
    size : tuple of int
        ``(width, height)`` of the frames that come out.
    """

    source: Path
    info: VideoInfo
    size: tuple[int, int]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames of shape (height, width), dtype uint8.

        Raises
        ------
        EventFormatError
            For a frame that cannot be read or has another size than the first.
        """
        expected = (self.info.width, self.info.height)
        for name, frame in _raw_frames(self.source):
            if frame.shape[1::-1] != expected:
                raise EventFormatError(
                    f"{name} has {frame.shape[1]}×{frame.shape[0]} pixels, the first frame "
                    f"{expected[0]}×{expected[1]}; all frames must be of one size"
                )
            yield _prepared(frame, self.size)


def open_video(
    source: Path, *, fps: float | None = None, size: tuple[int, int] | None = None
) -> Video:
    """Look at a video: its first frame, its rate, its length.

    Parameters
    ----------
    source : Path
        A file that OpenCV can decode, or a folder of png, jpg, bmp, tif or pgm images, which are
        taken in natural order (2 before 10). Of 16-bit images the upper 8 bits are used, as in v2e.
    fps : float, optional
        Frames per second; default what the file says. A folder needs it.
    size : tuple of int, optional
        ``(width, height)`` to resize to; default that of the first frame.

    Returns
    -------
    Video
        Nothing but the first frame has been read.

    Raises
    ------
    EventFormatError
        When there is no such file, no image or no frame in it, no usable frame rate or size, or
        the first frame cannot be decoded.
    """
    source = Path(source)
    name, first = next(_raw_frames(source), ("", None))
    if first is None:
        raise EventFormatError(f"{source}: the video has no frames")
    if first.dtype == np.uint16 and first.max() < DARK_16_BIT:
        logger.warning(
            "%s: a 16-bit image whose largest value is %d; only the upper 8 bits are used, so it "
            "will be almost black. Scale the images to the full range.", name, first.max()
        )  # fmt: skip
    height, width = first.shape[:2]
    frames, file_fps = _header(source)
    info = VideoInfo(frames, _frame_rate(source, fps, file_fps), width, height)
    size = size or (width, height)
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise EventFormatError(f"{source}: a sensor has 1 to {LARGEST_SIDE} pixels a side: {size}")
    return Video(source, info, size)


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order; other files and hidden ones are passed over.

    Raises
    ------
    EventFormatError
        When there is none.
    """
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise EventFormatError(
            f"{folder}: no images in this folder; expected files ending in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    return sorted(files, key=lambda file: natural_order(file.name))


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """A sorting key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", name.lower())
    key = [(int(part), "") if k % 2 else (0, part) for k, part in enumerate(parts)]
    return key, name


def _frame_rate(source: Path, given: float | None, of_file: float | None) -> float:
    fps = of_file if given is None else given
    if fps is None:
        raise EventFormatError(f"{source}: a folder of images has no frame rate; give one (fps)")
    if not (isfinite(fps) and fps > 0):
        whose = "the file's frame rate" if given is None else "the given frame rate"
        raise EventFormatError(f"{source}: {whose} is {fps}; give one above 0 (fps)")
    return float(fps)


def _raw_frames(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name for messages and pixels of each frame: grey or BGR, uint8 or uint16."""
    if source.is_dir():
        for file in image_files(source):
            yield str(file), _read_image(file)
        return
    capture = _capture(source)
    try:
        n = 0
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            yield f"{source}, frame {n}", frame
            n += 1
        claimed = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if 0 < n < claimed:
            logger.warning("%s: only %d of %d frames could be read", source, n, claimed)
    finally:
        capture.release()


def _capture(source: Path) -> cv2.VideoCapture:
    if not source.is_file():
        raise EventFormatError(f"{source}: there is no such video file or folder of images")
    if source.suffix.lower() in IMAGE_SUFFIXES:
        raise EventFormatError(f"{source} is a single image; give the folder of the images")
    capture = cv2.VideoCapture(str(source))
    if not capture.isOpened():
        raise EventFormatError(
            f"{source}: not a video that OpenCV {cv2.__version__} can decode; convert it, or give "
            "a folder of images"
        )
    return capture


def _header(source: Path) -> tuple[int | None, float | None]:
    """Number of frames and rate that a source claims, where it does."""
    if source.is_dir():
        return len(image_files(source)), None
    capture = _capture(source)
    frames, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return (int(frames) if frames > 0 else None), fps


def _read_image(file: Path) -> np.ndarray:
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(data) else None
    except (OSError, cv2.error) as error:
        raise EventFormatError(f"{file}: cannot be read: {error}") from error
    if image is None:
        raise EventFormatError(f"{file}: not an image that can be decoded, or a damaged one")
    if image.dtype not in (np.uint8, np.uint16):
        raise EventFormatError(
            f"{file}: pixels are {image.dtype}; expected 8 or 16 bits, convert the images"
        )
    return image


def _prepared(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """8 bits, then the sensor's size, then grey."""
    if frame.dtype == np.uint16:
        frame = (frame >> 8).astype(np.uint8)
    if frame.shape[1::-1] != size:
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
