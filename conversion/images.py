"""All windows of a part of a data set as TIE images in memory, with video frames where wanted.

A recording is cut into windows of one video frame's length; window k becomes the TIE image
``[3, S, S]`` in [0, 1]: the events inside a box (the face), padded to a square and scaled. The
video frame of the same k, cut and scaled alike, is what the face looks like when the window ends.

>>> windows = window_images(faces, splits.train, ImagesConfig(size=64))
>>> windows.images.shape, windows.numbers[:3]
((16800, 3, 64, 64), array([0, 1, 2]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conversion.squares import to_square
from conversion.tie import TIEConfig, frame_windows, tie_image
from snn.errors import DatasetError
from snn.events.datasets import EventDataset, RenderedFaces
from snn.events.recording import Recording
from snn.events.standardise.crop import Box

LARGEST_BYTES = 8_000_000_000  # of images in memory
SMALLEST_SIZE, LARGEST_SIZE = 16, 1024

Shares = tuple[float, float, float, float]
"""A box as shares of an image: x, y, width and height of its width and height."""


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(TIEConfig):
    """How windows become images; see ``TIEConfig`` for what a TIE image is.

    Parameters
    ----------
    size : int
        Side of the square images in pixels.
    first : int
        Windows before this one are left out: an expression begins near neutral. A recording that
        ends sooner keeps its last window.
    stride : int
        Every so many windows one is kept.
    box : tuple of float
        Which part of the sensor is seen, as ``(x, y, width, height)`` in shares of its width and
        height; zeros for all of it. A face box that comes with the videos goes before it.
    """

    size: int = 64
    first: int = 0
    stride: int = 1
    box: Shares = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        problems = []
        if not SMALLEST_SIZE <= self.size <= LARGEST_SIZE:
            problems.append(f"size must lie in [{SMALLEST_SIZE}, {LARGEST_SIZE}], got {self.size}")
        if self.first < 0 or self.stride < 1:
            problems.append(
                f"first must be at least 0 and stride at least 1, got {self.first} and "
                f"{self.stride}"
            )
        x, y, width, height = self.box
        inside = min(x, y) >= 0 and min(width, height) > 0 and max(x + width, y + height) <= 1
        if any(self.box) and not inside:
            problems.append(
                "box is x, y, width, height as shares inside [0, 1], or four zeros, "
                f"got {list(self.box)}"
            )
        if problems:
            raise DatasetError("[images] " + "; ".join(problems))
        super().__post_init__()


class Pictures(NamedTuple):
    """Video frames of one recording.

    Parameters
    ----------
    frames : sequence of ndarray of shape (height, width), dtype uint8
        One for each number that was asked for.
    box : tuple of float or None
        Where the face is, in shares of the frame.
    """

    frames: Sequence[np.ndarray]
    box: Shares | None


Videos = Callable[[int, np.ndarray], Pictures]
"""From the index of a recording and the numbers of windows to their video frames."""
Boxes = Callable[[int], Shares]
"""From the index of a recording to where its face is."""


@dataclass(frozen=True)
class WindowImages:
    """The windows of some recordings, one recording after the other, each in the order of time.

    Parameters
    ----------
    images : ndarray of float16, shape (N, 3, S, S)
        In [0, 1].
    recordings : ndarray of int64, shape (N,)
        Ascending; index into `labels`, `names` and `subjects`.
    numbers : ndarray of int64, shape (N,)
        Which window of its recording each one is.
    labels : ndarray of int64, shape (n_recordings,)
    names : tuple of str
    subjects : tuple of str
        Who is seen in each recording; empty where it is not known.
    frames : ndarray of uint8, shape (N, S, S), or None
        The grey video frame of each window.
    """

    images: np.ndarray
    recordings: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    frames: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_recordings(self) -> int:
        """How many recordings the windows are from."""
        return len(self.labels)

    def of_recordings(self, chosen: np.ndarray) -> WindowImages:
        """The windows of some recordings only, which are given in ascending order."""
        kept = np.isin(self.recordings, chosen)
        return WindowImages(
            images=self.images[kept],
            recordings=np.searchsorted(chosen, self.recordings[kept]),
            numbers=self.numbers[kept],
            labels=self.labels[chosen],
            names=tuple(self.names[i] for i in chosen),
            subjects=tuple(self.subjects[i] for i in chosen),
            frames=None if self.frames is None else self.frames[kept],
        )


def window_images(
    dataset: EventDataset,
    indices: Sequence[int] | np.ndarray,
    config: ImagesConfig,
    *,
    frame_numbers: Sequence[Sequence[int]] | None = None,
    videos: Videos | None = None,
    boxes: Boxes | None = None,
    progress: Callable[[int], object] | None = None,
) -> WindowImages:
    """The windows of some recordings of a data set.

    Parameters
    ----------
    dataset : EventDataset
        Of ``RenderedFaces`` window 0 begins at the clip's begin, of others at the first event.
    indices : sequence of int
        Which recordings, in the order of the result.
    config : ImagesConfig
    frame_numbers : sequence of sequences of int, optional
        By index into the data set, the windows that count (``ECKPlus.frame_numbers``).
    videos : callable, optional
        Gives the video frames, and a face box with them.
    boxes : callable, optional
        Gives the face box where the video frames are not wanted.
    progress : callable, optional
        Called with 1 after each recording.

    Raises
    ------
    DatasetError
        When a recording has no such window, or the images would not fit into memory.
    """
    parts = []
    n_windows, bytes_each = 0, 2 * 3 * config.size**2
    start_us = 0 if isinstance(dataset, RenderedFaces) else None
    for index in (int(i) for i in indices):
        recording = dataset.recording(index)
        asked = None if frame_numbers is None else frame_numbers[index]
        name = dataset.samples[index].name
        numbers, windows = _windows(recording, config, start_us, asked, name)
        pictures = videos(index, numbers) if videos else None
        n_windows += len(numbers)
        if n_windows * bytes_each > LARGEST_BYTES:
            raise DatasetError(
                f"{dataset.root}: more than {LARGEST_BYTES / 1e9:g} GB of images of "
                f"{config.size}×{config.size} pixels; raise images.stride or lower images.size"
            )
        own = config.box if any(config.box) else None
        found = pictures.box if pictures else boxes(index) if boxes else None
        squares = _squares(windows, pictures, recording, config, found or own)
        parts.append(_Part(numbers, *squares))
        if progress:
            progress(1)
    chosen = [dataset.samples[int(i)] for i in indices]
    lengths = [len(part.numbers) for part in parts]
    return WindowImages(
        recordings=np.repeat(np.arange(len(parts)), lengths),
        numbers=np.concatenate([part.numbers for part in parts]),
        labels=np.array([sample.label for sample in chosen], np.int64),
        names=tuple(sample.name for sample in chosen),
        subjects=tuple(sample.subject for sample in chosen),
        frames=np.concatenate([part.frames for part in parts]) if videos else None,
        images=_joined([part.images for part in parts], (n_windows, 3, config.size, config.size)),
    )


class _Part(NamedTuple):
    """One recording: numbers ``[n]``, images ``[n, 3, S, S]``, frames ``[n, S, S]``."""

    numbers: np.ndarray
    images: np.ndarray
    frames: np.ndarray


def _windows(
    recording: Recording,
    config: ImagesConfig,
    start_us: int | None,
    asked: Sequence[int] | None,
    name: str,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The numbers of the windows that count, and the events of each."""
    events = recording.events
    starts, ends = frame_windows(events["t"], frame_rate_hz=config.frame_rate_hz, start_us=start_us)
    numbers = np.arange(len(starts)) if asked is None else np.asarray(asked, np.int64)
    if len(numbers) and numbers.max() >= max(len(starts), 1):
        raise DatasetError(
            f"{name}: frame {numbers.max()} is asked for, its {len(events):,} events end in "
            f"frame {len(starts) - 1} at {config.frame_rate_hz:g} Hz; check the unit of time"
        )
    kept = numbers[numbers >= config.first][:: config.stride]
    if not len(kept):  # silent, or it ends before: every recording has an answer
        kept = numbers[-1:] if len(numbers) else np.zeros(1, np.int64)
    if not len(starts):
        return kept, [events[:0]] * len(kept)
    return kept, [events[starts[k] : ends[k]] for k in kept]


def _squares(
    windows: list[np.ndarray],
    pictures: Pictures | None,
    recording: Recording,
    config: ImagesConfig,
    box: Shares | None,
) -> tuple[np.ndarray, np.ndarray]:
    """TIE images float16 and video frames uint8 of the windows of one recording."""
    side, n, files = config.size, len(windows), config.path == "published"
    images = np.empty((n, 3, side, side), np.float16)
    for place, events in enumerate(windows):
        image = tie_image(events, sensor_size=recording.sensor_size, config=config)
        pixels = box_of(box, recording.sensor_size)
        images[place] = to_square(image, size=side, box=pixels, through_files=files)
    frames = np.empty((n if pictures else 0, side, side), np.uint8)
    for place, frame in enumerate(pictures.frames if pictures else ()):
        height, width = frame.shape
        frames[place] = to_square(frame, size=side, box=box_of(box, (width, height)))
    return images, frames


def box_of(shares: Shares | None, size: tuple[int, int]) -> Box | None:
    """A box in pixels of an image of ``(width, height)``, whose edge lies at -0.5."""
    if shares is None:
        return None
    x, y, width, height = shares
    return Box(x * size[0] - 0.5, y * size[1] - 0.5, width * size[0], height * size[1])


def _joined(parts: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """All parts in one array; each is let go once it is copied, so that memory holds them once."""
    joined = np.empty(shape, np.float16)
    place = 0
    for part in parts:
        joined[place : place + len(part)] = part
        place += len(part)
    return joined
