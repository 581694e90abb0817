"""Representations with a name: small frozen objects that turn a recording into an array.

Calling one does what the function of its docstring does. Two equal ones give equal arrays, and
``repr`` says everything that the array depends on, so it can be the key of a cache.

Sparse recordings are defined: a representation with a fixed number of bins gives that many frames,
empty ones where there are no events; one that cuts windows gives at least one frame, except
`OverWindows`, which gives none where no window fits.

>>> EqualTimeFrames(n_bins=4, binary=True)
EqualTimeFrames(binary=True, n_bins=4, overlap=0.0, drop_tail=False)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snn.events.frames import images
from snn.events.frames.counts import slice_frames
from snn.events.frames.kernels import first_at
from snn.events.frames.resize import resize_nearest
from snn.events.frames.slices import (
    Slices,
    event_bins,
    event_windows,
    time_bins,
    time_windows,
    window_bins,
)
from snn.events.recording import Recording


class Representation(Protocol):
    """Anything that turns a recording into an array."""

    def __call__(self, recording: Recording) -> np.ndarray:
        """The array; the recording is not changed."""
        ...


@dataclass(frozen=True, kw_only=True)
class _SliceFrames(ABC):
    """Frames ``[T, 2, H, W]`` of slices: uint16 counts, or uint8 zeros and ones if `binary`."""

    binary: bool = False

    def __call__(self, recording: Recording) -> np.ndarray:
        return slice_frames(recording, self.slices(recording), binary=self.binary)

    @abstractmethod
    def slices(self, recording: Recording) -> Slices:
        """First event and end of each frame."""


@dataclass(frozen=True, kw_only=True)
class EqualTimeFrames(_SliceFrames):
    """`slices.time_bins`; with ``drop_tail=True`` tonic's ``ToFrame(n_time_bins=...)``."""

    n_bins: int
    overlap: float = 0.0
    drop_tail: bool = False

    def slices(self, recording: Recording) -> Slices:
        return time_bins(
            recording.events, self.n_bins, overlap=self.overlap, drop_tail=self.drop_tail
        )


@dataclass(frozen=True, kw_only=True)
class EqualCountFrames(_SliceFrames):
    """`slices.event_bins`; with ``drop_tail=True`` tonic's ``ToFrame(n_event_bins=...)``."""

    n_bins: int
    overlap: float = 0.0
    drop_tail: bool = False

    def slices(self, recording: Recording) -> Slices:
        return event_bins(
            len(recording), self.n_bins, overlap=self.overlap, drop_tail=self.drop_tail
        )


@dataclass(frozen=True, kw_only=True)
class TimeWindowFrames(_SliceFrames):
    """`slices.time_windows`, which is tonic's ``ToFrame(time_window=...)``."""

    time_window_us: float
    overlap_us: float = 0
    include_incomplete: bool = False
    start_us: float | None = None
    end_us: float | None = None

    def slices(self, recording: Recording) -> Slices:
        return time_windows(
            recording.events,
            self.time_window_us,
            overlap_us=self.overlap_us,
            include_incomplete=self.include_incomplete,
            start_us=self.start_us,
            end_us=self.end_us,
        )


@dataclass(frozen=True, kw_only=True)
class EventCountFrames(_SliceFrames):
    """`slices.event_windows`, which is tonic's ``ToFrame(event_count=...)``."""

    event_count: int
    overlap: int = 0
    include_incomplete: bool = False

    def slices(self, recording: Recording) -> Slices:
        return event_windows(
            len(recording),
            self.event_count,
            overlap=self.overlap,
            include_incomplete=self.include_incomplete,
        )


@dataclass(frozen=True, kw_only=True)
class WindowBinFrames(_SliceFrames):
    """`slices.window_bins`: equal bins of a window that does not depend on the events."""

    n_bins: int
    window_us: int
    start_us: int = 0

    def slices(self, recording: Recording) -> Slices:
        return window_bins(
            recording.events, self.n_bins, start_us=self.start_us, window_us=self.window_us
        )


@dataclass(frozen=True, kw_only=True)
class SpikingFERFrames:
    """The input of Spiking-FER: central slices of a fixed number of events, binarised, resized.

    With at least ``n_frames · events_per_frame`` events these are cut into slices without overlap
    and the central `n_frames` are kept, from slice ``⌊(n_slices - n_frames) / 2⌋`` on; all other
    events are never seen. With fewer events there are `n_frames` bins of ``n_events // n_frames``
    events: below `n_frames` events all frames are empty, as published.

    Parameters
    ----------
    n_frames : int
    events_per_frame : int
    size : tuple of int or None
        ``(width, height)`` after nearest-neighbour resizing; None leaves the sensor's size, for an
        augmentation that crops and resizes itself.

    Returns
    -------
    ndarray of uint8 in {0, 1}, shape (n_frames, 2, height, width)

    Notes
    -----
    S. Barchid et al., "Spiking-Fer: Spiking Neural Network for Facial Expression Recognition With
    Event Cameras", CBMI 2023, and its public code. Binarising before resizing matters: the nearest
    pixel may have no event where its neighbour has.
    """

    n_frames: int = 6
    events_per_frame: int = 2500
    size: tuple[int, int] | None = (128, 128)

    def __post_init__(self) -> None:
        if self.n_frames < 1 or self.events_per_frame < 1:
            raise ValueError(
                f"{self.n_frames} frames of {self.events_per_frame} events; both must be at least 1"
            )

    def __call__(self, recording: Recording) -> np.ndarray:
        frames = slice_frames(recording, self.slices(len(recording)), binary=True)
        return frames if self.size is None else resize_nearest(frames, self.size)

    def slices(self, n_events: int) -> Slices:
        """First event and end of each frame."""
        n_slices = n_events // self.events_per_frame
        if n_slices < self.n_frames:
            return event_bins(n_events, self.n_frames, drop_tail=True)
        first = (n_slices - self.n_frames) // 2
        starts = np.arange(first, first + self.n_frames) * self.events_per_frame
        return starts, starts + self.events_per_frame


@dataclass(frozen=True, kw_only=True)
class ACC:
    """`images.accumulated_polarity`."""

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.accumulated_polarity(recording)


@dataclass(frozen=True, kw_only=True)
class SignedSum:
    """`images.signed_sum`."""

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.signed_sum(recording)


@dataclass(frozen=True, kw_only=True)
class SAE:
    """`images.active_surface`."""

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.active_surface(recording)


@dataclass(frozen=True, kw_only=True)
class TBR:
    """`images.temporal_binary_image`."""

    n_bins: int = images.BITS

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.temporal_binary_image(recording, self.n_bins)


@dataclass(frozen=True, kw_only=True)
class TBRStream:
    """`images.temporal_binary_images`."""

    bin_us: int = 15_000
    n_bins: int = images.BITS

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.temporal_binary_images(recording, bin_us=self.bin_us, n_bins=self.n_bins)


@dataclass(frozen=True, kw_only=True)
class TBRTensor:
    """`images.temporal_binary`."""

    n_bins: int = images.BITS
    size: tuple[int, int] | None = None

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.temporal_binary(recording, self.n_bins, self.size)


@dataclass(frozen=True, kw_only=True)
class TQR:
    """`images.temporal_quaternary`."""

    n_bins: int = images.BITS
    size: tuple[int, int] | None = None

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.temporal_quaternary(recording, self.n_bins, self.size)


@dataclass(frozen=True, kw_only=True)
class Tencode:
    """`images.tencode`."""

    newest_wins: bool = False

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.tencode(recording, newest_wins=self.newest_wins)


@dataclass(frozen=True, kw_only=True)
class BEHI:
    """`images.binary_history`."""

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.binary_history(recording)


@dataclass(frozen=True, kw_only=True)
class VoxelGrid:
    """`images.voxel_grid`."""

    n_bins: int

    def __call__(self, recording: Recording) -> np.ndarray:
        return images.voxel_grid(recording, self.n_bins)


@dataclass(frozen=True, kw_only=True)
class OverWindows:
    """An image of each window of a recording, ``[L, ...]``.

    Windows begin at the first event and move on by `hop_us`; an image knows only the events of its
    own window. The authors of evTransFER take 33,333 µs for ACC and 100 ms every 10 ms, with at
    least 2 events, for the others.

    Parameters
    ----------
    image : Representation
    window_us : int
    hop_us : int, optional
        Default `window_us`: no overlap.
    min_events : int
        Windows with fewer events are left out.
    include_incomplete : bool
        Whether windows that reach beyond the last event count too.
    """

    image: Representation
    window_us: int
    hop_us: int | None = None
    min_events: int = 1
    include_incomplete: bool = False

    def __call__(self, recording: Recording) -> np.ndarray:
        events, size = recording.events, recording.sensor_size
        pieces = [
            events[start:end]
            for start, end in zip(*self.slices(recording), strict=True)
            if end - start >= self.min_events
        ]
        if not pieces:
            return self.image(Recording(events[:0], size, recording.source))[None][:0]
        return np.stack([self.image(Recording(p, size, recording.source)) for p in pieces])

    def slices(self, recording: Recording) -> Slices:
        """First event and end of each window, also of those with too few events."""
        hop = self.window_us if self.hop_us is None else self.hop_us
        if self.window_us < 1 or hop < 1:
            raise ValueError(
                f"a window of {self.window_us} µs every {hop} µs; both must be above 0"
            )
        events, duration = recording.events, recording.duration_us
        if not len(events) or (duration < self.window_us and not self.include_incomplete):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        room = duration if self.include_incomplete else duration - self.window_us
        begin = int(events["t"][0]) + hop * np.arange(room // hop + 1)
        return first_at(events, begin), first_at(events, begin + self.window_us)


@dataclass(frozen=True, kw_only=True)
class Resized:
    """Another representation, then nearest-neighbour resizing to ``(width, height)``."""

    frames: Representation
    size: tuple[int, int]

    def __call__(self, recording: Recording) -> np.ndarray:
        return resize_nearest(self.frames(recording), self.size)
