"""Fine-tuning without labels: a quantised student learns the embedding of the float encoder.

    loss = mean((s - e)^2) / mean((e - mean(e))^2) + cosine (1 - mean cos(s, e))

with student features ``s`` and the teacher's ``e``. Statistics of batch norms stay as they are, so
that a batch of one and a folded network mean the same; weights, biases and learned clips move, a
clip by shares of where it starts: activations have no common scale. The learning rate falls to 0
along half a cosine. Batches are drawn by seed and epoch alone: a run that was stopped and restored
goes on bit by bit. In the first epoch the rate rises evenly: Adam's first steps are of full size
in every weight, whatever the gradient.

A student of a rate code learns with its spikes: see ``conversion.spiking.rehearsal``.

>>> student = with_qcfs(encoder, levels=8, calibration=images)
>>> student, losses = distil(student, encoder, images, DistilConfig(epochs=5))
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from conversion.activations import QCFS
from conversion.spiking.neurons import Reset
from conversion.spiking.rehearsal import rehearsed
from snn.errors import ModelError, TrainingError


@dataclass(frozen=True, kw_only=True)
class DistilConfig:
    """A fine-tuning.

    Parameters
    ----------
    epochs : int
    batch_size : int
    learning_rate : float
        Of Adam, at the end of the first epoch, through which it rises; too high a rate silences
        neurons for good.
    cosine : float
        Weight of the angle beside the distance.
    flip : float
        Share of the images that are mirrored, drawn anew in every epoch.
    seed : int

    Raises
    ------
    ModelError
        Naming every value that is out of range.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-4
    cosine: float = 0.0
    flip: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in {"epochs": 1, "batch_size": 1, "cosine": 0, "seed": 0}.items()
            if not getattr(self, name) >= low
        ]
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            problems.append(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.flip <= 1:
            problems.append(f"flip must lie in [0, 1], got {self.flip}")
        if problems:
            raise ModelError("[distil] " + "; ".join(problems))


class Distillation:
    """A student on its way to a teacher's embedding.

    Parameters
    ----------
    student : Module
        Is trained in place, in evaluation mode.
    teacher : Module
        Is left as it is.
    images : Tensor of shape (N, *input_shape)
    config : DistilConfig, optional
    steps : sequence of int
        Of a rate code: for how many steps its spikes are rehearsed, batch after batch in turn; it
        needs a student of ``conversion.activations.with_qcfs``. Without, activations are QCFS.
    reset : {"subtract", "zero"}
        Of the neurons whose spikes are rehearsed.

    Raises
    ------
    ModelError
        For no images, another student for some steps, or embeddings of different shapes.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        images: torch.Tensor,
        config: DistilConfig | None = None,
        *,
        steps: Sequence[int] = (),
        reset: Reset = "subtract",
    ) -> None:
        self.config, self.steps, self.reset = config or DistilConfig(), tuple(steps), reset
        if not len(images):
            raise ModelError("no images to learn from; give at least one")
        if self.steps and not isinstance(student, fx.GraphModule):
            raise ModelError(
                f"a {type(student).__name__} has no spikes to rehearse; give a student that "
                "conversion.activations.with_qcfs made"
            )
        self.student, self.images = student.eval(), images
        self.targets = _embedded(teacher, images, self.config.batch_size)
        if self.config.flip:
            self.mirrored = _embedded(teacher, images, self.config.batch_size, mirrored=True)
        with torch.no_grad():
            shape = student(images[:1]).flatten(1).shape[1:]
        if shape != self.targets.shape[1:]:
            raise ModelError(
                f"the student gives {shape[0]} features, the teacher {self.targets.shape[1]}; they "
                "must be of one architecture"
            )
        spread = float((self.targets - self.targets.mean(0)).square().mean())
        self.scale = spread if spread > 0 else 1.0
        self.groups = _groups(student)
        self.optimiser = torch.optim.Adam([{"params": group} for group, _ in self.groups])
        self.losses: list[float] = []

    def epoch(self) -> float:
        """Go through all images once; gives the mean loss.

        Raises
        ------
        TrainingError
            When the loss is no number any more.
        """
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + len(self.losses))
        order, total = torch.randperm(len(self.images), generator=generator), 0.0
        batches = order.split(self.config.batch_size)
        for number, batch in enumerate(batches):
            self._set_rate((number + 1) / len(batches))
            images, targets = self._drawn(batch, generator)
            loss = self._loss(self._features(images, len(self.losses) + number), targets)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the distillation's loss became {float(loss)} in epoch {len(self.losses) + 1};"
                    f" lower learning_rate, now {self.config.learning_rate}"
                )
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            total += float(loss) * len(batch)
        self.losses.append(total / len(self.images))
        return self.losses[-1]

    def _drawn(
        self, batch: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The images of a batch, some of them mirrored, and the teacher's features of these."""
        images, targets = self.images[batch], self.targets[batch]
        if self.config.flip:
            flipped = torch.rand(len(batch), generator=generator) < self.config.flip
            images[flipped] = images[flipped].flip(-1)
            targets[flipped] = self.mirrored[batch][flipped]
        return images, targets

    def _features(self, images: torch.Tensor, number: int) -> torch.Tensor:
        """The student's, for the batch of a number."""
        if not (self.steps and isinstance(self.student, fx.GraphModule)):
            return self.student(images).flatten(1)
        steps = self.steps[number % len(self.steps)]
        return rehearsed(self.student, images, steps, self.reset).flatten(1)

    def _set_rate(self, done: float) -> None:
        """The learning rate of a batch, `done` being the share of the epoch behind it."""
        epoch = len(self.losses)
        share = (1 + math.cos(math.pi * epoch / self.config.epochs)) / 2 if epoch else done
        for group, (_, factor) in zip(self.optimiser.param_groups, self.groups, strict=True):
            group["lr"] = self.config.learning_rate * share * factor

    def _loss(self, found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
        loss = (found - expected).square().mean() / self.scale
        if self.config.cosine:
            loss = loss + self.config.cosine * (1 - F.cosine_similarity(found, expected).mean())
        return loss

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from: weights, Adam's moments, the losses so far."""
        return {
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": list(self.losses),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a ``state_dict`` of the same student, teacher, images and configuration."""
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.losses = list(state["losses"])


def distil(
    student: nn.Module,
    teacher: nn.Module,
    images: torch.Tensor,
    config: DistilConfig | None = None,
    *,
    steps: Sequence[int] = (),
    reset: Reset = "subtract",
    on_epoch: Callable[[int, float], None] | None = None,
) -> tuple[nn.Module, tuple[float, ...]]:
    """A fine-tuned copy of a student, and the mean loss of each epoch.

    Parameters
    ----------
    student, teacher, images, config, steps, reset
        See ``Distillation``; neither network is changed.
    on_epoch : callable, optional
        Is told the number of epochs done and the loss of the last.
    """
    run = Distillation(copy.deepcopy(student), teacher, images, config, steps=steps, reset=reset)
    for number in range(1, run.config.epochs + 1):
        loss = run.epoch()
        if on_epoch:
            on_epoch(number, loss)
    return run.student, tuple(run.losses)


def _groups(student: nn.Module) -> list[tuple[list[nn.Parameter], float]]:
    """Parameters that share a learning rate, and what it is multiplied with.

    Adam moves every parameter by about its learning rate, whatever its size.
    """
    clips = [part.lam for part in student.modules() if isinstance(part, QCFS)]
    known = {id(clip) for clip in clips}
    rest = [p for p in student.parameters() if id(p) not in known]
    groups = [([clip], float(clip.detach().mean())) for clip in clips]
    return [(rest, 1.0), *groups] if rest else groups


def _embedded(
    teacher: nn.Module, images: torch.Tensor, batch_size: int, *, mirrored: bool = False
) -> torch.Tensor:
    """The teacher's features ``[N, F]``, in evaluation mode."""
    was_training = [part for part in teacher.modules() if part.training]
    teacher.eval()
    try:
        with torch.no_grad():
            batches = images.split(batch_size)
            return torch.cat([teacher(b.flip(-1) if mirrored else b).flatten(1) for b in batches])
    finally:
        for part in was_training:
            part.training = True
