"""How the reconstruction network is trained: one frozen dataclass, published values as defaults.

>>> ReconstructionConfig(epochs=25, keep_every=10).kept_epochs
(0, 10, 20, 25)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from snn.errors import TrainingError

LOWEST = {
    "width": 1,
    "l1_weight": 0,
    "epochs": 1,
    "batch_size": 2,
    "keep_every": 1,
    "settling_pairs": 0,
    "threads": 1,
    "seed": 0,
}


@dataclass(frozen=True, kw_only=True)
class ReconstructionConfig:
    """How the reconstruction network is trained. Source: the public code of evTransFER.

    Parameters
    ----------
    width : int
        Channels of the first level of generator and discriminator.
    l1_weight : float
        Of the mean absolute difference of pixels, on the scale [-1, 1], in the generator's loss.
    epochs, batch_size : int
    learning_rate, beta1 : float
        Of Adam, for both networks; its second decay is 0.999.
    dropout : float
        On the innermost levels of the decoder.
    keep_every : int
        The encoder is kept after so many epochs, again and again, and after the last.
    settling_pairs : int
        Training pairs on which the statistics of batch normalisation are measured anew after each
        epoch, before it is evaluated and kept. 0, as published, leaves the running averages, which
        lag behind the weights.
    threads : int
        Of torch.
    device : {"cpu", "cuda"}
    seed : int
    """

    width: int = 64
    l1_weight: float = 100.0
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 2e-4
    beta1: float = 0.5
    dropout: float = 0.5
    keep_every: int = 10
    settling_pairs: int = 512
    threads: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in LOWEST.items()
            if not low <= getattr(self, name) < math.inf
        ]
        problems += [
            f"{name} must lie in [0, 1), got {getattr(self, name)}"
            for name in ("beta1", "dropout")
            if not 0 <= getattr(self, name) < 1
        ]
        if not 0 < self.learning_rate < math.inf:
            problems.append(f"learning_rate must be above 0, got {self.learning_rate}")
        if self.device not in ("cpu", "cuda"):
            problems.append(f"device must be one of cpu, cuda, got {self.device!r}")
        if problems:
            raise TrainingError("[reconstruction] " + "; ".join(problems))

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """After how many epochs the encoder is kept; 0 is the untrained one, for comparison."""
        return tuple(
            e for e in range(self.epochs + 1) if e % self.keep_every == 0 or e == self.epochs
        )
