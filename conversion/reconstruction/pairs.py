"""Pairs of a TIE image and the face behind it, in memory.

>>> pairs = ImagePairs(np.zeros((4, 3, 64, 64), np.float16), np.zeros((4, 64, 64), np.uint8))
>>> pairs.batch([0, 2])[1].shape
torch.Size([2, 3, 64, 64])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from snn.errors import TrainingError


@dataclass(frozen=True)
class ImagePairs:
    """TIE images and grey faces of the same moments.

    Parameters
    ----------
    images : ndarray of shape (N, 3, S, S), float16 or float32 in [0, 1], or uint8
    frames : ndarray of shape (N, S, S), dtype uint8

    Raises
    ------
    TrainingError
        For other shapes, types or values.
    """

    images: np.ndarray
    frames: np.ndarray

    def __post_init__(self) -> None:
        images, frames = self.images, self.frames
        n, *_, size = images.shape or (0,)
        if images.shape != (n, 3, size, size) or frames.shape != (n, size, size):
            raise TrainingError(
                f"images of shape {images.shape} and frames of shape {frames.shape}; pairs need "
                "(N, 3, S, S) and (N, S, S)"
            )
        if frames.dtype != np.uint8 or images.dtype not in (np.uint8, np.float16, np.float32):
            raise TrainingError(
                f"images of {images.dtype} and frames of {frames.dtype}; pairs need images of "
                "uint8, float16 or float32, and frames of uint8"
            )
        if n and images.dtype != np.uint8 and not (images.min() >= 0 and images.max() <= 1):
            raise TrainingError(
                f"images with values from {images.min()} to {images.max()}; floats must lie in "
                "[0, 1]"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[-1]

    def batch(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images A and faces B of some pairs, both float32 ``[n, 3, S, S]`` in [-1, 1].

        The channels of a face are equal, and one memory.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        images = torch.from_numpy(self.images[chosen])
        scale = 1 / 127.5 if images.dtype == torch.uint8 else 2.0
        faces = torch.from_numpy(self.frames[chosen]).float() / 127.5 - 1
        return images.float() * scale - 1, faces[:, None].expand(-1, 3, -1, -1)
