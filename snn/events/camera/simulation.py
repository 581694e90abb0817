"""From frames to events, with either pixel model: of an array at once, of a video as a stream.

>>> frames = np.stack([np.full((4, 4), 50, np.uint8), np.full((4, 4), 100, np.uint8)])
>>> len(events_from_frames(frames, frame_rate_hz=30.0, parameters=CameraParameters(sigma_thres=0)))
48
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snn.errors import EventFormatError
from snn.events.camera.esim import EsimPixels
from snn.events.camera.parameters import CameraParameters, EsimParameters
from snn.events.camera.upsampling import Upsampling, upsampled
from snn.events.camera.v2e import V2ePixels
from snn.events.recording import EVENT_DTYPE, Recording

if TYPE_CHECKING:
    from snn.events.video import Video, VideoInfo

CHUNK_EVENTS = 1 << 16  # events gathered before a stream hands them on
Progress = Callable[[int], None]


def events_from_frames(
    frames: np.ndarray,
    *,
    timestamps_us: np.ndarray | None = None,
    frame_rate_hz: float | None = None,
    parameters: CameraParameters | EsimParameters | None = None,
    seed: int | np.random.Generator = 0,
    source: str = "camera",
) -> Recording:
    """Simulate an event camera that watches a video.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, height, width), dtype uint8
        Grey values, not gamma corrected. The first frame only sets the pixels' memory.
    timestamps_us : ndarray of shape (n_frames,), optional
        Time of each frame in microseconds, increasing. Exactly one of this and `frame_rate_hz`.
    frame_rate_hz : float, optional
        Constant rate; the first frame is then at time 0.
    parameters : CameraParameters or EsimParameters, optional
        The pixels, and with them the model; default ``CameraParameters()``.
    seed : int or numpy.random.Generator
        Source of threshold mismatch and noise.
    source : str
        Name of the recording in messages.

    Returns
    -------
    Recording
        Events sorted by time and, within one timestamp, in reading order with noise events last.

    Raises
    ------
    EventFormatError
        For frames of another shape or dtype, or times that do not increase.
    """
    times_s = _frame_times(frames, timestamps_us, frame_rate_hz)
    rng = np.random.default_rng(seed)
    chunks = list(_simulate(zip(times_s, frames, strict=True), parameters, rng))
    _, height, width = frames.shape
    return Recording(_joined(chunks), (width, height), source)


def _frame_times(
    frames: np.ndarray, timestamps_us: np.ndarray | None, frame_rate_hz: float | None
) -> np.ndarray:
    if frames.ndim != 3 or frames.dtype != np.uint8 or not frames.size:
        raise EventFormatError(
            f"expected uint8 frames of shape (n_frames, height, width), "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    if (timestamps_us is None) == (frame_rate_hz is None):
        raise EventFormatError("give exactly one of timestamps_us and frame_rate_hz")
    if frame_rate_hz is not None:
        if not frame_rate_hz > 0:
            raise EventFormatError(f"expected a frame rate above 0, got {frame_rate_hz}")
        return np.arange(len(frames)) / frame_rate_hz
    times_s = np.asarray(timestamps_us, np.float64) * 1e-6
    if times_s.shape != (len(frames),) or not np.all(np.diff(times_s) > 0):
        raise EventFormatError(
            f"expected {len(frames)} increasing timestamps, one per frame; "
            f"got shape {times_s.shape}"
        )
    return times_s


def _simulate(
    frames: Iterable[tuple[float, np.ndarray]],
    parameters: CameraParameters | EsimParameters | None,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """The events of each interval between timed frames."""
    pixels: V2ePixels | EsimPixels | None = None
    for time_s, frame in frames:
        if pixels is not None:
            yield pixels.advance(frame, time_s)
        elif isinstance(parameters, EsimParameters):
            pixels = EsimPixels(frame, time_s, parameters, rng)
        else:
            pixels = V2ePixels(frame, time_s, parameters or CameraParameters(), rng)


def _joined(chunks: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(chunks) if chunks else np.zeros(0, EVENT_DTYPE)


@dataclass(frozen=True)
class VideoEvents:
    """Events of a video while it is read; each pass over it simulates anew, with equal results.

    Parameters
    ----------
    video : Video
        The frames and their rate.
    parameters : CameraParameters or EsimParameters
        The pixels.
    seed : int
        Source of threshold mismatch and noise.
    upsample : Upsampling, optional
        Frames in between.
    progress : callable, optional
        Called with the number of source frames done, after each.
    """

    video: Video
    parameters: CameraParameters | EsimParameters
    seed: int = 0
    upsample: Upsampling | None = None
    progress: Progress | None = None

    @property
    def info(self) -> VideoInfo:
        """Frames, rate and size of the source."""
        return self.video.info

    @property
    def sensor_size(self) -> tuple[int, int]:
        """``(width, height)`` of the events."""
        return self.video.size

    def __iter__(self) -> Iterator[np.ndarray]:
        """Chunks of events, an array of ``EVENT_DTYPE`` each, sorted by time throughout."""
        frames = self._timed()
        if self.upsample is not None:
            frames = upsampled(frames, self.upsample)
        waiting: list[np.ndarray] = []
        n_waiting = 0
        for events in _simulate(frames, self.parameters, np.random.default_rng(self.seed)):
            waiting.append(events)
            n_waiting += len(events)
            if n_waiting >= CHUNK_EVENTS:
                yield _joined(waiting)
                waiting, n_waiting = [], 0
        if n_waiting:
            yield _joined(waiting)

    def _timed(self) -> Iterator[tuple[float, np.ndarray]]:
        for k, frame in enumerate(self.video):
            yield k / self.info.fps, frame
            if self.progress is not None:
                self.progress(k + 1)

    def recording(self) -> Recording:
        """All events at once, in memory."""
        return Recording(_joined(list(self)), self.sensor_size, str(self.video.source))


def events_from_video(
    source: Path | str,
    *,
    fps: float | None = None,
    parameters: CameraParameters | EsimParameters | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    upsample: Upsampling | None = None,
    progress: Progress | None = None,
) -> VideoEvents:
    """Simulate an event camera that watches a video file or a folder of images.

    Frames are read while the stream is iterated over, so memory does not grow with the length of
    the video.

    Parameters
    ----------
    source : Path
        A video file or a folder of images.
    fps : float, optional
        Frames per second; default what the file says. A folder needs it.
    parameters : CameraParameters or EsimParameters, optional
        The pixels, and with them the model; default ``CameraParameters()``. See
        ``camera_parameters`` for v2e's command line.
    size : tuple of int, optional
        ``(width, height)`` of the sensor; default the size of the frames.
    seed : int
        Source of threshold mismatch and noise.
    upsample : Upsampling, optional
        Makes frames in between; the frames of the source stay among them.
    progress : callable, optional
        Called with the number of source frames done, after each.

    Returns
    -------
    VideoEvents
        Iterate over it for chunks of events, or call ``recording()``.

    Raises
    ------
    EventFormatError
        When the source cannot be read; see ``snn.events.video.open_video``. A damaged frame in the
        middle is found only when the stream gets there.
    """
    from snn.events.video import open_video  # OpenCV takes long to load, and only videos need it

    video = open_video(Path(source), fps=fps, size=size)
    return VideoEvents(video, parameters or CameraParameters(), seed, upsample, progress)
