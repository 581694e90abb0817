"""Batches in a fixed order, prepared ahead by worker processes on request.

The order is drawn from (seed, epoch) and each clip's augmentation from (seed, epoch, clip), so
batches are equal bit for bit with any number of workers. One pool of workers serves all epochs:
nothing waits at the end of one.

>>> for step, frames in prepared(training, plan(len(training), config, range(3)), config): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from snn.training.config import TrainingConfig
from snn.training.data import ClipSource, EpochAugmentation
from snn.training.distributed import Team

AHEAD = 2  # batches that each worker prepares before they are asked for


@dataclass(frozen=True)
class Step:
    """One batch of one epoch.

    Parameters
    ----------
    epoch, number, n_batches : int
        Which epoch, which batch of it, and how many it has.
    clips : tuple of int
        The global batch; a process of a team takes its share.
    mine : tuple of int
        This process's share.
    """

    epoch: int
    number: int
    n_batches: int
    clips: tuple[int, ...]
    mine: tuple[int, ...]

    @property
    def is_last(self) -> bool:
        """Whether the epoch ends with this batch."""
        return self.number == self.n_batches - 1


def epoch_seed(config: TrainingConfig, epoch: int) -> int:
    """The seed of an epoch's order and of what a network draws in it."""
    return config.seed * 1_000_003 + epoch


def plan(
    n_clips: int, config: TrainingConfig, epochs: Iterable[int], team: Team | None = None
) -> Iterator[Step]:
    """All batches of some epochs. Batches too small for statistics, or for a team, are left out."""
    team = team or Team()
    for epoch in epochs:
        rng = torch.Generator().manual_seed(epoch_seed(config, epoch))
        shuffled = torch.randperm(n_clips, generator=rng).split(config.batch_size)
        batches = [batch for batch in shuffled if len(batch) >= max(2, team.size)]
        for number, batch in enumerate(batches):
            mine = tuple(team.share(batch).tolist())
            yield Step(epoch, number, len(batches), tuple(batch.tolist()), mine)


def prepared(
    source: ClipSource, steps: Iterable[Step], config: TrainingConfig
) -> Iterator[tuple[Step, torch.Tensor]]:
    """Each step with the augmented frames of this process's share."""
    clips = _AugmentedClips(source, config)
    if config.workers == 0:
        for step in steps:
            yield clips[step]
        return
    yield from DataLoader(
        clips,
        sampler=steps,
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=AHEAD,
        generator=torch.Generator(),  # its own: workers must not draw from what dropout draws from
    )


class _AugmentedClips(Dataset):
    """The items of torch's loader: batches by step."""

    def __init__(self, source: ClipSource, config: TrainingConfig) -> None:
        self.source, self.config = source, config

    def __getitem__(self, step: Step) -> tuple[Step, torch.Tensor]:
        augmentation = EpochAugmentation(self.config.augment, self.config.seed, step.epoch)
        return step, self.source.batch(step.mine, augmentation)
