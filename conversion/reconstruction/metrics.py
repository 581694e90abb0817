"""What an epoch of the reconstruction was like, and what a face that is always the same scores.

>>> evaluate_reconstruction(generator, validation)["ssim"], mean_face_quality(training, validation)
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from conversion.pix2pix import Generator
from conversion.quality import MEASURES, image_quality
from conversion.reconstruction.pairs import ImagePairs

EVALUATED_AT_ONCE = 64


@dataclass(frozen=True)
class ReconstructionMetrics:
    """One row of ``metrics.csv``; losses are means over the pairs of an epoch.

    Parameters
    ----------
    epoch : int
        Counted from 0.
    discriminator_loss, adversarial_loss : float
    l1 : float
        Mean absolute difference of pixels on the scale [-1, 1], before its weight.
    mse, rmse, mae, psnr, ssim, ncc : float
        Of validation pairs, means over images; see ``conversion.quality``.
    seconds, pairs_per_second : float
        The speed is that of the training alone, without what follows an epoch.
    """

    epoch: int
    discriminator_loss: float
    adversarial_loss: float
    l1: float
    mse: float
    rmse: float
    mae: float
    psnr: float
    ssim: float
    ncc: float
    seconds: float
    pairs_per_second: float

    def row(self) -> dict[str, Any]:
        """Flat, numbers only."""
        return asdict(self)


@dataclass
class EpochTotals:
    """Sums over the batches of an epoch."""

    started: float = field(default_factory=time.perf_counter)
    n_pairs: int = 0
    losses: torch.Tensor | float = 0.0
    training_seconds: float = 0.0

    def add(self, losses: torch.Tensor, n_pairs: int) -> None:
        """One batch: losses of the discriminator, of the generator before it, and the L1."""
        self.losses = self.losses + n_pairs * losses.double()
        self.n_pairs += n_pairs

    def stop(self) -> None:
        """The last batch is done."""
        self.training_seconds = time.perf_counter() - self.started

    def metrics(
        self, epoch: int, generator: Generator, validation: ImagePairs
    ) -> ReconstructionMetrics:
        """The row of this epoch."""
        discriminator, adversarial, l1 = (torch.as_tensor(self.losses) / self.n_pairs).tolist()
        quality = evaluate_reconstruction(generator, validation)
        return ReconstructionMetrics(
            epoch=epoch,
            discriminator_loss=discriminator,
            adversarial_loss=adversarial,
            l1=l1,
            **quality,
            seconds=time.perf_counter() - self.started,
            pairs_per_second=self.n_pairs / self.training_seconds,
        )


@torch.no_grad()
def evaluate_reconstruction(generator: Generator, pairs: ImagePairs) -> dict[str, float]:
    """Means over pairs of all measures of ``conversion.quality``, in evaluation mode."""
    generator.eval()
    device = next(generator.parameters()).device
    totals = dict.fromkeys(MEASURES, 0.0)
    for chosen in torch.arange(len(pairs)).split(EVALUATED_AT_ONCE):
        a, b = pairs.batch(chosen.tolist())
        made = generator(a.to(device)).cpu()
        for name, values in image_quality((made + 1) / 2, (b + 1) / 2).items():
            totals[name] += float(values.sum())
    return {name: total / len(pairs) for name, total in totals.items()}


def mean_face_quality(training: ImagePairs, pairs: ImagePairs) -> dict[str, float]:
    """The same measures for the mean training face as the answer to everything: a baseline."""
    mean = np.zeros((training.size, training.size))
    for frame in training.frames:  # one at a time: all of them in floats are eight times as much
        mean += frame
    face = torch.from_numpy(mean / (255 * len(training)))
    totals = dict.fromkeys(MEASURES, 0.0)
    for chosen in torch.arange(len(pairs)).split(EVALUATED_AT_ONCE):
        true = torch.from_numpy(pairs.frames[chosen.numpy()])[:, None].double() / 255
        for name, values in image_quality(face.expand_as(true), true).items():
            totals[name] += float(values.sum())
    return {name: total / len(pairs) for name, total in totals.items()}
