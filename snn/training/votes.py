"""What the clips of a recording say together: the class that most of them predict.

Where classes tie, the largest sum of probabilities (softmax of the logits) over all clips of the
recording decides: probabilities and not logits, so that no single clip speaks louder than another.
Where these are equal too, the first class is taken.

>>> vote(torch.tensor([[2.0, 0], [1, 0], [0, 9]]), torch.zeros(3).long(),
...      torch.tensor([4, 4, 4])).predictions
tensor([0])
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from snn.errors import TrainingError


class Votes(NamedTuple):
    """One row for each recording that has a clip, in the order of their numbers.

    Parameters
    ----------
    recordings : Tensor of int64, ``[R]``
        Their numbers, ascending.
    labels, predictions : Tensor of int64, ``[R]``
    """

    recordings: torch.Tensor
    labels: torch.Tensor
    predictions: torch.Tensor

    @property
    def accuracy(self) -> float:
        """Share of right predictions, in [0, 1]."""
        return float((self.predictions == self.labels).double().mean())


def vote(scores: torch.Tensor, labels: torch.Tensor, recordings: torch.Tensor) -> Votes:
    """Let the clips of each recording vote.

    Parameters
    ----------
    scores : Tensor, ``[N, classes]``
        Logits of each clip.
    labels, recordings : Tensor of int64, ``[N]``
        Class of each clip, and the number of the recording it is from.

    Raises
    ------
    TrainingError
        When two clips of one recording have different classes.
    """
    numbers, which = recordings.unique(return_inverse=True)
    n_classes = scores.shape[1]
    true = torch.empty_like(numbers).scatter_(0, which, labels)
    if not torch.equal(true[which], labels):
        wrong = int(numbers[which[(true[which] != labels).nonzero()[0, 0]]])
        raise TrainingError(
            f"recording {wrong} has clips of several classes and cannot have one vote; "
            "number the recordings so that each has one class"
        )
    empty = torch.zeros(len(numbers), n_classes, dtype=torch.float64)
    ballots = torch.nn.functional.one_hot(first_argmax(scores), n_classes).double()
    counts = empty.index_add(0, which, ballots)
    certainty = empty.index_add(0, which, scores.double().softmax(dim=1))
    leads = counts == counts.amax(dim=1, keepdim=True)
    return Votes(numbers, true, first_argmax(torch.where(leads, certainty, -1.0)))


def first_argmax(scores: torch.Tensor) -> torch.Tensor:
    """Index of the first largest value in each row; torch's argmax does not promise which."""
    positions = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    is_largest = scores == scores.amax(dim=1, keepdim=True)
    return torch.where(is_largest, positions, scores.shape[1]).amin(dim=1)
