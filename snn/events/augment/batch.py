"""Augmentations of whole batches of frames in torch, inside the training loop.

They run on batches ``[N, T, C, H, W]`` on the device of the batch, seeded, and never write into
their input. One draw serves a whole clip, so motion stays motion.

>>> augment(torch.zeros(8, 6, 2, 64, 64), AugmentConfig(), torch.Generator()).shape
torch.Size([8, 6, 2, 64, 64])
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Amounts of augmentation; all zero leaves the batch as it is.

    Parameters
    ----------
    flip : float
        Probability of mirroring a clip left to right.
    shift : int
        Largest shift in pixels along each axis; what leaves the frame is lost.
    drop : float
        Largest share of active pixels that a clip loses; each clip draws its own share.
    """

    flip: float = 0.5
    shift: int = 2
    drop: float = 0.0


def augment(frames: torch.Tensor, config: AugmentConfig, rng: torch.Generator) -> torch.Tensor:
    """Flip, shift and thin out each clip of a batch.

    Parameters
    ----------
    frames : Tensor of shape (N, T, C, H, W)
    config : AugmentConfig
    rng : torch.Generator
        On the CPU; the draws do not depend on the device of `frames`.

    Returns
    -------
    Tensor of the same shape and dtype
    """
    batch = len(frames)
    flipped = torch.rand(batch, generator=rng) < config.flip
    flipped = flipped.to(frames.device).view(-1, 1, 1, 1, 1)
    frames = torch.where(flipped, frames.flip(-1), frames)
    shifts = torch.randint(-config.shift, config.shift + 1, (batch, 2), generator=rng)
    frames = torch.stack(
        [_shift(clip, dy, dx) for clip, (dy, dx) in zip(frames, shifts.tolist(), strict=True)]
    )
    if config.drop > 0:
        share = config.drop * torch.rand(batch, 1, 1, 1, 1, generator=rng)
        kept = torch.rand(frames.shape, generator=rng) >= share
        frames = frames * kept.to(frames.device, frames.dtype)
    return frames


def _shift(clip: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    moved = torch.zeros_like(clip)
    height, width = clip.shape[-2:]
    rows, from_rows = _overlap(height, dy)
    columns, from_columns = _overlap(width, dx)
    moved[..., rows, columns] = clip[..., from_rows, from_columns]
    return moved


def _overlap(size: int, offset: int) -> tuple[slice, slice]:
    """Where pixels go and where they come from; both empty beyond `size`."""
    offset = max(-size, min(offset, size))
    return (
        slice(max(offset, 0), size + min(offset, 0)),
        slice(max(-offset, 0), size - max(offset, 0)),
    )
