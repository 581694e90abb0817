"""The training of generator and discriminator in turn, batch by batch.

    discriminator:  ½ (BCE(D(A, B), 1) + BCE(D(A, G(A)), 0))
    generator:      BCE(D(A, G(A)), 1) + l1_weight · mean |G(A) - B|

The discriminator takes its step first. Both losses see one G(A); the published code makes it twice
with the same weights, so that the two differ in what dropout drops. True and made pairs go through
the discriminator one after the other: each batch is normalised by its own statistics.

Order and dropout of an epoch are drawn from (seed, epoch), so a run that was killed and resumed
ends with the same weights as one that was not. There is no selection: the last epoch is the result.
Before an epoch is evaluated and kept, ``statistics`` makes its norms fit its weights.

>>> generator, history = train_reconstruction(
...     training, validation, ReconstructionConfig(epochs=20), size=64,
...     checkpoint=folder / "checkpoint.pt", encoders=folder)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from conversion.encoder import save_encoder
from conversion.pix2pix import Discriminator, Generator, adversarial_loss, discriminator_loss
from conversion.reconstruction.checkpoint import Parts, restore, save_checkpoint
from conversion.reconstruction.config import ReconstructionConfig
from conversion.reconstruction.metrics import EpochTotals, ReconstructionMetrics
from conversion.reconstruction.pairs import ImagePairs
from conversion.reconstruction.statistics import settle_statistics
from snn.errors import TrainingError
from snn.training import TrainingConfig
from snn.training.checkpoint import remove_leftovers
from snn.training.loading import epoch_seed, plan

BETA2 = 0.999


def train_reconstruction(
    training: ImagePairs,
    validation: ImagePairs,
    config: ReconstructionConfig,
    *,
    size: int,
    checkpoint: Path,
    encoders: Path,
    on_epoch: Callable[[ReconstructionMetrics], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> tuple[Generator, list[ReconstructionMetrics]]:
    """Train to the last epoch.

    Parameters
    ----------
    training, validation : ImagePairs
    config : ReconstructionConfig
    size : int
        Of the images in pixels: 32, 64, 128 or 256.
    checkpoint : Path
        Written after each epoch; when it exists, training goes on from it.
    encoders : Path
        Folder that receives the encoder of every kept epoch, see ``encoder_path``; made if missing.
    on_epoch, on_batch : callable, optional
        Called with the metrics of each epoch (also of resumed ones), and the pairs of each batch.

    Returns
    -------
    generator : Generator
        In evaluation mode, on the device it was trained on.
    history : list of ReconstructionMetrics

    Raises
    ------
    TrainingError
        For too few pairs or pairs of another size, a loss that is not finite, a checkpoint of
        another run, or a device that is not there.
    ModelError
        For a size or width that there is no network of.
    """
    _check(training, validation, config, size)
    tell_epoch, tell_batch = on_epoch or _nothing, on_batch or _nothing
    encoders.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    players = _Players(config, size)
    for path in (checkpoint, *(encoder_path(encoders, epoch) for epoch in config.kept_epochs)):
        remove_leftovers(path)
    history = restore(checkpoint, players.parts, config) if checkpoint.exists() else []
    for metrics in history:
        tell_batch(len(training))
        tell_epoch(metrics)
    order = TrainingConfig(batch_size=config.batch_size, seed=config.seed)
    if not history:
        players.settle(training, epoch_seed(order, 0))
        _keep_encoder(players, config, encoders, epoch=0)
    totals = EpochTotals()
    for step in plan(len(training), order, range(len(history), config.epochs)):
        if step.number == 0:
            torch.manual_seed(epoch_seed(order, step.epoch))  # dropout draws from it
            totals = EpochTotals()
        totals.add(players.step(*training.batch(step.clips), epoch=step.epoch), len(step.clips))
        tell_batch(len(step.clips))
        if step.is_last:
            totals.stop()
            players.settle(training, epoch_seed(order, step.epoch))
            history.append(totals.metrics(step.epoch, players.generator, validation))
            if (epoch := len(history)) in config.kept_epochs:
                _keep_encoder(players, config, encoders, epoch=epoch)
            # After the encoder: a kill between them repeats the epoch and does not skip it.
            save_checkpoint(checkpoint, players.parts, config, history)
            tell_epoch(history[-1])
    return players.generator.eval(), history


def encoder_path(folder: Path, epoch: int) -> Path:
    """Where the encoder of an epoch, counted from 1, is kept."""
    return folder / f"encoder-epoch{epoch:03d}.pt"


class _Players:
    """Both networks and their optimisers, with weights that follow from the seed."""

    def __init__(self, config: ReconstructionConfig, size: int) -> None:
        self.config, self.device = config, torch.device(config.device)
        torch.manual_seed(config.seed)
        self.generator = Generator(size=size, width=config.width, dropout=config.dropout)
        self.discriminator = Discriminator(size=size, width=config.width)
        self.optimisers = tuple(
            torch.optim.Adam(
                network.to(self.device).parameters(),
                lr=config.learning_rate,
                betas=(config.beta1, BETA2),
            )
            for network in (self.generator, self.discriminator)
        )

    @property
    def parts(self) -> Parts:
        """What a checkpoint holds."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimiser": self.optimisers[0],
            "discriminator_optimiser": self.optimisers[1],
        }

    def step(self, a: torch.Tensor, b: torch.Tensor, *, epoch: int) -> torch.Tensor:
        """One batch; returns the discriminator's loss, the adversarial loss and the L1, ``[3]``."""
        of_generator, of_discriminator = self.optimisers
        a, b = a.to(self.device), b.to(self.device)
        self.generator.train()
        self.discriminator.train()
        made = self.generator(a)
        self.discriminator.requires_grad_(True)
        critic = discriminator_loss(self.discriminator(a, b), self.discriminator(a, made.detach()))
        of_discriminator.zero_grad(set_to_none=True)
        critic.backward()
        of_discriminator.step()
        self.discriminator.requires_grad_(False)  # only the way through it is needed
        adversarial = adversarial_loss(self.discriminator(a, made))
        l1 = (made - b).abs().mean()
        of_generator.zero_grad(set_to_none=True)
        (adversarial + self.config.l1_weight * l1).backward()
        of_generator.step()
        losses = torch.stack([critic, adversarial, l1]).detach()
        if not bool(torch.isfinite(losses).all()):
            raise TrainingError(
                f"the losses became {losses.tolist()} in epoch {epoch}; lower "
                "reconstruction.learning_rate"
            )
        return losses

    def settle(self, training: ImagePairs, seed: int) -> None:
        """Measure the generator's statistics on pairs drawn by the seed; see ``statistics``."""
        drawn = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed))
        chosen = drawn[: self.config.settling_pairs]
        if len(chosen):
            parts = chosen.split(self.config.batch_size)
            images = (training.batch(part.tolist())[0].to(self.device) for part in parts)
            settle_statistics(self.generator, images)


def _check(
    training: ImagePairs, validation: ImagePairs, config: ReconstructionConfig, size: int
) -> None:
    if len(training) < 2 or not len(validation):
        raise TrainingError(
            f"{len(training)} training and {len(validation)} validation pairs; at least 2 and 1 "
            "are needed"
        )
    if {training.size, validation.size} != {size}:
        raise TrainingError(
            f"pairs of {training.size} and {validation.size} pixels for a network of {size}; "
            "make all of one size"
        )
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "reconstruction.device = 'cuda': torch finds no GPU here; set it to 'cpu'"
        )


def _keep_encoder(
    players: _Players, config: ReconstructionConfig, encoders: Path, *, epoch: int
) -> None:
    about = {
        "epoch": epoch,
        "epochs": config.epochs,
        "seed": config.seed,
        "l1_weight": config.l1_weight,
    }
    save_encoder(encoder_path(encoders, epoch), players.generator.encoder, about=about)


def _nothing(*args: Any) -> None:
    pass
