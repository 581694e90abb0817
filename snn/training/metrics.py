"""What an epoch was like: one row of ``metrics.csv``.

>>> totals = EpochTotals(); totals.add(...); totals.metrics(0, validation, config, names).row()
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

from snn.training.config import TrainingConfig
from snn.training.evaluation import Evaluation
from snn.training.objective import Activity
from snn.training.preparation import LOWEST_RATE


@dataclass(frozen=True)
class EpochMetrics:
    """One row of ``metrics.csv``; rates are spikes per neuron and step, accuracies in [0, 1].

    Parameters
    ----------
    synops : float
        Synaptic operations per clip, on training clips.
    clips_per_second : float
        While training; the validation is not in it.
    validation_recording_accuracy : float, optional
        By vote of the clips of each recording, where clips are parts of recordings.
    rates : dict of str to float
        Of every spiking layer, on training clips.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    mean_rate: float
    synops: float
    on_grid: bool
    learning_rate: float
    seconds: float
    clips_per_second: float
    rates: dict[str, float]
    validation_recording_accuracy: float | None = None

    def accuracy(self, selection: Literal["clip", "recording"]) -> float:
        """The validation accuracy that epochs are compared by."""
        if selection == "clip":
            return self.validation_accuracy
        assert self.validation_recording_accuracy is not None  # the loop checks its source
        return self.validation_recording_accuracy

    @property
    def dead_layers(self) -> tuple[str, ...]:
        """Layers that fired in fewer than one of a thousand steps."""
        return tuple(name for name, rate in self.rates.items() if rate < LOWEST_RATE)

    def row(self) -> dict[str, Any]:
        """Flat, numbers only: how many layers are dead, and one column for the rate of each.

        Recordings have a column where there are any.
        """
        plain = {name: value for name, value in asdict(self).items() if value is not None}
        rates = plain.pop("rates")
        plain |= {
            "on_grid": int(self.on_grid),
            "lowest_rate": min(rates.values(), default=0.0),
            "highest_rate": max(rates.values(), default=0.0),
            "dead_layers": len(self.dead_layers),
        }
        return plain | {f"rate.{name}": rate for name, rate in rates.items()}


@dataclass
class EpochTotals:
    """Sums over the batches of an epoch, kept on the device until it ends."""

    started: float = field(default_factory=time.perf_counter)
    learning_rate: float = 0.0
    clips: int = 0
    loss: float = 0.0
    correct: torch.Tensor | float = 0.0
    rates: torch.Tensor | float = 0.0
    operations: torch.Tensor | float = 0.0
    training_seconds: float = 0.0

    def add(self, *, clips: int, loss: float, correct: torch.Tensor, activity: Activity) -> None:
        """One global batch."""
        self.clips += clips
        self.loss += loss * clips
        self.correct = self.correct + correct
        self.operations = self.operations + clips * activity.operations.detach().double()
        self.rates = self.rates + clips * activity.rates.detach().double()

    def stop(self) -> None:
        """The last batch is done."""
        self.training_seconds = time.perf_counter() - self.started

    def metrics(
        self, epoch: int, validation: Evaluation, config: TrainingConfig, names: tuple[str, ...]
    ) -> EpochMetrics:
        """The row of this epoch; `names` are the layers in the order of the activity."""
        rates = (torch.as_tensor(self.rates) / self.clips).tolist()
        return EpochMetrics(
            epoch=epoch,
            loss=self.loss / self.clips,
            train_accuracy=float(self.correct) / self.clips,
            validation_accuracy=validation.accuracy,
            mean_rate=sum(rates) / len(rates) if rates else 0.0,
            synops=float(self.operations) / self.clips,
            on_grid=config.is_on_grid(epoch),
            learning_rate=self.learning_rate,
            seconds=time.perf_counter() - self.started,
            clips_per_second=self.clips / self.training_seconds,
            rates=dict(zip(names, rates, strict=True)),
            validation_recording_accuracy=validation.recording_accuracy,
        )
