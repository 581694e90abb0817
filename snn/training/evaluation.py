"""What a network answers on clips it is not trained on: plain frames, float32, every clip once.

>>> evaluate(network, test).accuracy, evaluate(network, test).confusion
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from snn.models import Network
from snn.training.data import ClipSource, recording_ids
from snn.training.distributed import current_team
from snn.training.votes import Votes, first_argmax, vote


@dataclass(frozen=True)
class Evaluation:
    """Answers of a network.

    Parameters
    ----------
    scores : Tensor, ``[N, classes]``
        Spike counts, membranes or logits.
    labels : Tensor of int64, ``[N]``
    rates : dict of str to float
        Spikes per neuron and step of each spiking layer.
    spikes : dict of str to float
        Spikes per clip of each spiking layer.
    recordings : Tensor of int64, ``[N]``, optional
        Which recording each clip is from.
    """

    scores: torch.Tensor
    labels: torch.Tensor
    rates: dict[str, float]
    spikes: dict[str, float]
    recordings: torch.Tensor | None = None

    @cached_property
    def predictions(self) -> torch.Tensor:
        """Index of the largest score (the first of equals), int64 ``[N]``."""
        return first_argmax(self.scores)

    @property
    def accuracy(self) -> float:
        """Share of right predictions, in [0, 1]."""
        return float((self.predictions == self.labels).double().mean())

    @cached_property
    def votes(self) -> Votes | None:
        """What the clips of each recording say together; None where clips are not parts of one."""
        if self.recordings is None:
            return None
        return vote(self.scores, self.labels, self.recordings)

    @property
    def recording_accuracy(self) -> float | None:
        """Share of recordings whose clips vote for the right class, in [0, 1]."""
        return None if self.votes is None else self.votes.accuracy

    @property
    def confusion(self) -> torch.Tensor:
        """Clips by true class (rows) and predicted class, int64 ``[classes, classes]``."""
        n = self.scores.shape[1]
        return torch.bincount(self.labels * n + self.predictions, minlength=n * n).view(n, n)

    @property
    def per_class_accuracy(self) -> tuple[float | None, ...]:
        """Share of right predictions among the clips of each class; None where there are none."""
        return tuple(
            int(row[k]) / int(row.sum()) if row.sum() else None
            for k, row in enumerate(self.confusion)
        )


@torch.no_grad()
def evaluate(network: Network, source: ClipSource, *, batch_size: int = 64) -> Evaluation:
    """Run all clips of a source in evaluation mode; in a team, each process runs its share."""
    network.eval()
    device = next(network.parameters()).device
    team = current_team()
    scores: list[torch.Tensor] = []
    spikes: dict[str, float] = {}
    neuron_steps: dict[str, int] = {}
    mine = team.share(torch.arange(len(source)))
    for clips in mine.split(batch_size) if len(mine) else ():
        response = network(source.batch(clips.tolist()).to(device).float())
        scores.append(response.scores.cpu())
        for name, train in response.trains.items():
            spikes[name] = spikes.get(name, 0.0) + float(train.sum(dtype=torch.float64))
            neuron_steps[name] = train.numel() // len(clips)
    parts = team.gather((torch.cat(scores) if scores else None, spikes))
    total = {
        name: sum(part.get(name, 0.0) for _, part in parts) / len(source) for name in neuron_steps
    }
    return Evaluation(
        scores=torch.cat([part for part, _ in parts if part is not None]),
        labels=source.labels,
        rates={name: count / neuron_steps[name] for name, count in total.items()},
        spikes=total,
        recordings=recording_ids(source),
    )
