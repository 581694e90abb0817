"""Where the batches come from: frames in memory, or recordings that become frames on the way.

A source gives the frames of any of its clips, plain or augmented. What an augmentation draws
follows from (seed, epoch, clip) alone, so a batch is the same whoever prepares it and whenever:
in another order, in another process, or after a run was resumed.

>>> Split(torch.zeros(4, 6, 2, 8, 8, dtype=torch.uint8), torch.zeros(4).long()).batch([0, 2]).shape
torch.Size([2, 6, 2, 8, 8])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from snn.errors import TrainingError
from snn.events.augment import SpikingFERAugmentation
from snn.events.augment.batch import AugmentConfig, augment
from snn.events.augment.frames import RandomResizedCrop
from snn.events.augment.images import ImageAugmentConfig
from snn.events.datasets import EventDataset, FrameStore
from snn.events.frames import SpikingFERFrames, slice_frames
from snn.events.frames.counts import stretch_tables
from snn.events.frames.kernels import first_at
from snn.events.frames.slices import time_bins
from snn.events.recording import Recording
from snn.training.config import EventAugmentConfig

KEPT_BYTES = 1_000_000_000


@dataclass(frozen=True)
class EpochAugmentation:
    """How clips are changed in one epoch, and what the draws follow from."""

    config: AugmentConfig | EventAugmentConfig | ImageAugmentConfig
    seed: int
    epoch: int

    def numpy_generator(self, clip: int) -> np.random.Generator:
        """The generator of one clip, for augmentations of events and images."""
        return np.random.default_rng([self.seed, self.epoch, clip])

    def torch_generator(self, clip: int) -> torch.Generator:
        """The generator of one clip, for augmentations of frames."""
        sequence = np.random.SeedSequence([self.seed, self.epoch, clip])
        return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


class ClipSource(Protocol):
    """Labelled clips that a network is trained or tested on.

    A source whose clips are parts of recordings also has ``recording_ids``, see `recording_ids`.
    """

    @property
    def labels(self) -> torch.Tensor:
        """Classes, int64 ``[N]``."""
        ...

    def __len__(self) -> int: ...

    def batch(
        self, indices: Sequence[int], augmentation: EpochAugmentation | None = None
    ) -> torch.Tensor:
        """Frames ``[n, T, C, H, W]`` of some clips, uint8 or float32; plain without augmentation.

        Raises
        ------
        TrainingError
            When the source cannot apply the augmentation.
        """
        ...


def recording_ids(source: ClipSource) -> torch.Tensor | None:
    """Which recording each clip is from, int64 ``[N]``, where the source says so."""
    return getattr(source, "recording_ids", None)


@dataclass(frozen=True)
class Split:
    """Clips of one split: binary frames uint8 ``[N, T, C, H, W]`` and labels int64 ``[N]``."""

    frames: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def batch(
        self, indices: Sequence[int], augmentation: EpochAugmentation | None = None
    ) -> torch.Tensor:
        """See ``ClipSource.batch``."""
        frames = self.frames[torch.as_tensor(indices, dtype=torch.long)]
        return frames if augmentation is None else augmented(frames, indices, augmentation)


def augmented(
    frames: torch.Tensor, indices: Sequence[int], augmentation: EpochAugmentation
) -> torch.Tensor:
    """Frames ``[n, T, C, H, W]`` flipped, shifted and thinned out, each clip by its own draws."""
    config = augmentation.config
    if isinstance(config, ImageAugmentConfig):
        raise TrainingError(
            f"training.augment.kind = {config.kind!r} changes images, and these clips are frames "
            "of events; use kind = 'batch' or 'spiking_fer'"
        )
    if not isinstance(config, AugmentConfig):
        raise TrainingError(
            f"training.augment.kind = {config.kind!r} changes events, and these clips are frames; "
            "use kind = 'batch', or train from recordings with --dataset"
        )
    clips = zip(frames.split(1), indices, strict=True)
    return torch.cat([augment(f, config, augmentation.torch_generator(int(i))) for f, i in clips])


@dataclass(frozen=True, kw_only=True)
class TimeBinFrames:
    """All events of a recording in `n_bins` binary frames of equal time.

    Parameters
    ----------
    n_bins : int
    size : tuple of int or None
        ``(width, height)`` of the frames, to which the addresses of events are scaled and rounded
        down, so that none is lost; None leaves the sensor's.
    """

    n_bins: int
    size: tuple[int, int] | None = None

    def __call__(self, recording: Recording) -> np.ndarray:
        """Frames uint8 in {0, 1}, ``[n_bins, 2, height, width]``."""
        slices = time_bins(recording.events, self.n_bins)
        tables = stretch_tables(recording.sensor_size, self.size) if self.size else None
        return slice_frames(recording, slices, binary=True, size=self.size, tables=tables)


class Recordings(Protocol):
    """What clips are cut from: an ``EventDataset``, or one that is kept in memory."""

    @property
    def labels(self) -> np.ndarray:
        """Class of each recording, int64."""
        ...

    def recording(self, index: int) -> Recording:
        """One recording."""
        ...


class KeptRecordings:
    """Recordings of a data set that stay in memory once read, as long as they fit.

    Parameters
    ----------
    dataset : EventDataset
    limit_bytes : int
        Of events; recordings beyond it are read each time.
    """

    def __init__(self, dataset: EventDataset, *, limit_bytes: int = KEPT_BYTES) -> None:
        self.dataset, self.labels = dataset, dataset.labels
        self._room = limit_bytes
        self._kept: dict[int, Recording] = {}

    def recording(self, index: int) -> Recording:
        """One recording, read at most once where there is room."""
        if index in self._kept:
            return self._kept[index]
        recording = self.dataset.recording(index)
        if recording.events.nbytes <= self._room:
            self._room -= recording.events.nbytes
            self._kept[index] = recording
        return recording


@dataclass(frozen=True)
class EventClips:
    """Some recordings of a data set, made into frames when a batch asks for them.

    Parameters
    ----------
    recordings : EventDataset or KeptRecordings
    indices : ndarray of int64
        Which recordings, in the order of the clips.
    frames : SpikingFERFrames or TimeBinFrames
        What a clip is without augmentation.
    store : FrameStore, optional
        Where the plain frames of all recordings of the data set are kept.
    """

    recordings: Recordings
    indices: np.ndarray
    frames: SpikingFERFrames | TimeBinFrames
    store: FrameStore | None = None

    def __post_init__(self) -> None:
        if self.frames.size is None:
            raise TrainingError("clips of one batch need one size: the representation has none")

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> torch.Tensor:
        """Classes, int64 ``[N]``."""
        return torch.from_numpy(self.recordings.labels[self.indices])

    def batch(
        self, indices: Sequence[int], augmentation: EpochAugmentation | None = None
    ) -> torch.Tensor:
        """See ``ClipSource.batch``."""
        chosen = [int(i) for i in indices]
        if augmentation is not None and isinstance(augmentation.config, EventAugmentConfig):
            return torch.from_numpy(np.stack([self._changed(i, augmentation) for i in chosen]))
        frames = torch.from_numpy(np.stack([self._plain(i) for i in chosen]))
        return frames if augmentation is None else augmented(frames, chosen, augmentation)

    def recording(self, clip: int) -> Recording:
        """The recording of one clip, with its name as source."""
        return self.recordings.recording(int(self.indices[clip]))

    def _plain(self, clip: int) -> np.ndarray:
        if self.store is not None:
            return self.store[int(self.indices[clip])][0]
        return self.frames(self.recording(clip))

    def _changed(self, clip: int, augmentation: EpochAugmentation) -> np.ndarray:
        assert isinstance(augmentation.config, EventAugmentConfig)
        recording, rng = self.recording(clip), augmentation.numpy_generator(clip)
        return augmented_frames(recording, self.frames, augmentation.config, rng)


def augmented_frames(
    recording: Recording,
    frames: SpikingFERFrames | TimeBinFrames,
    config: EventAugmentConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """A recording changed as Spiking-FER does, on any representation.

    With ``SpikingFERFrames`` and a whole window this is ``SpikingFERAugmentation``, bit for bit.

    Returns
    -------
    ndarray of uint8, shape (n_frames, 2, height, width)
    """
    steps = SpikingFERAugmentation(
        published=config.published,
        names=config.names,
        representation=SpikingFERFrames(size=frames.size),
    )
    events = recording.events
    if config.window < 1:
        events = random_window(events, config.window, rng)
    for change_events in steps.event_steps():
        events = change_events(events, recording.sensor_size, rng)
    changed = Recording(events, recording.sensor_size, recording.source)
    result = replace(frames, size=None)(changed)
    for change_frames in steps.frame_steps():
        if isinstance(change_frames, RandomResizedCrop):
            change_frames = replace(change_frames, scale=(config.crop_scale, 1.0))
        result = change_frames(result, rng)
    return result


def random_window(events: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Events of a random stretch of time, between `share` and all of a recording's duration."""
    if not len(events):
        return events
    first, duration = int(events["t"][0]), int(events["t"][-1] - events["t"][0])
    length = rng.uniform(share, 1.0) * duration
    begin = first + rng.uniform(0.0, 1.0) * (duration - length)
    low, high = first_at(events, np.array([np.ceil(begin), np.floor(begin + length) + 1]))
    return events[low:high]
