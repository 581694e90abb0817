"""Clips of the classifier: L consecutive windows of a recording; which recordings have labels.

Windows follow each other as they do in the list of those that are used: a clip does not leave its
recording, its images are in the order of time, and clips begin at every window (stride 1). Where
windows in between are not used, a clip steps over the gap, as published. A recording of fewer than
L windows repeats its last one and makes one clip, where the published code leaves it out; the
published code also mixes the order within most of its clips, which is not done here.

    x = 2 image - 1,  in [-1, 1]

>>> window_table(np.array([0, 0, 0, 2]), 2)
array([[0, 1],
       [1, 2],
       [3, 3]])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from snn.errors import TrainingError
from snn.events.augment.images import ImageAugmentConfig, augment_images
from snn.training.data import EpochAugmentation

if TYPE_CHECKING:
    from conversion.images import WindowImages


@dataclass(frozen=True)
class WindowClips:
    """Clips over window images in memory, a ``snn.training.ClipSource``.

    Parameters
    ----------
    images : WindowImages
    window : int
        Images in a clip, L.
    chosen : ndarray of int64, optional
        Recordings whose clips are taken, such as those of ``labelled_recordings``; None for all.
    """

    images: WindowImages
    window: int = 1
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def table(self) -> np.ndarray:
        """Which windows each clip is made of, int64 ``[N, L]``."""
        used = np.arange(len(self.images.recordings))
        if self.chosen is not None:
            used = used[np.isin(self.images.recordings, self.chosen)]
        return used[window_table(self.images.recordings[used], self.window)]

    @cached_property
    def recording_ids(self) -> torch.Tensor:
        """The recording of each clip, as ``images.recordings`` counts them, int64 ``[N]``."""
        return torch.from_numpy(self.images.recordings[self.table[:, 0]])

    @cached_property
    def labels(self) -> torch.Tensor:
        """Classes, int64 ``[N]``."""
        return torch.from_numpy(self.images.labels)[self.recording_ids]

    def batch(
        self, indices: Sequence[int], augmentation: EpochAugmentation | None = None
    ) -> torch.Tensor:
        """Clips float32 ``[n, L, 3, S, S]`` in [-1, 1]; see ``snn.training.ClipSource.batch``."""
        chosen = [int(i) for i in indices]
        if augmentation is None:
            clips = self.images.images[self.table[chosen]].astype(np.float32)
        else:
            clips = np.stack([self._augmented(i, augmentation) for i in chosen])
        return torch.from_numpy(clips).mul_(2).sub_(1)

    def _augmented(self, clip: int, augmentation: EpochAugmentation) -> np.ndarray:
        config = augmentation.config
        if not isinstance(config, ImageAugmentConfig):
            raise TrainingError(
                "these clips are images, which the augmentations of event frames would spoil; set "
                "training.augment.kind = 'image'"
            )
        images = self.images.images[self.table[clip]]
        rng = augmentation.numpy_generator(clip)
        return augment_images(images, config, rng).astype(np.float32)


def window_table(recordings: np.ndarray, length: int) -> np.ndarray:
    """Which windows make each clip of `length`.

    Parameters
    ----------
    recordings : ndarray of int64, shape (n_windows,)
        The recording of each window, ascending.
    length : int

    Returns
    -------
    ndarray of int64, shape (n_clips, length)
        Clips in the order of their first window.
    """
    _, begins, counts = np.unique(recordings, return_index=True, return_counts=True)
    clips = np.maximum(counts - length + 1, 1)
    first = np.repeat(begins - (np.cumsum(clips) - clips), clips) + np.arange(clips.sum())
    last = np.repeat(begins + counts - 1, clips)
    return np.minimum(first[:, None] + np.arange(length), last[:, None])


def labelled_recordings(labels: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """A share of the recordings of every class, at least one of each.

    Each class is shuffled once for a seed and its first ``share n``, rounded, are taken: those of
    a smaller share are among those of a larger one.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_recordings,)
    share : float
        In (0, 1].
    seed : int

    Returns
    -------
    ndarray of int64
        Indices of recordings, ascending.

    Raises
    ------
    TrainingError
        For a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise TrainingError(f"a share of labels must lie in (0, 1], got {share}")
    taken = []
    for label in np.unique(labels):
        shuffled = np.random.default_rng([seed, int(label)]).permutation(
            np.flatnonzero(labels == label)
        )
        taken.append(shuffled[: max(1, int(share * len(shuffled) + 0.5))])
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)
