"""Rendered faces as a data set: the clips of an event-set file, one after the other.

>>> RenderedFaces("faces.h5").splits(protocol="strict", n_folds=5).text
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from snn.events.datasets.base import EventDataset, Sample
from snn.events.datasets.clips import load_event_set
from snn.events.recording import Recording


class RenderedFaces(EventDataset):
    """All clips of a set: train, then validation, then test.

    The ``authors`` protocol is the split that the set was rendered with, which is
    subject-disjoint; ``strict`` makes folds of all its subjects.

    Parameters
    ----------
    path : str or Path
        File that ``write_face_set`` wrote.
    representation, transform, target_transform, transforms : callable, optional
        As in ``EventDataset``.

    Raises
    ------
    DatasetError
        When the file is missing or not such a set.
    """

    published_as = "the split that the faces were rendered with"

    def __init__(
        self,
        path: str | Path,
        *,
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        self.events = load_event_set(path)
        self.classes = self.events.classes
        self.sensor_size = (*self.events.sensor_size, 2)
        self._places = [
            (split, index)
            for split, table in self.events.splits.items()
            for index in range(len(table))
        ]
        super().__init__(
            self.events.source,
            [
                Sample(
                    name=f"{split}/{index}",
                    path=self.events.source,
                    label=int(self.events.splits[split].labels[index]),
                    subject=str(self.events.splits[split].subjects[index]),
                    part=split,
                )
                for split, index in self._places
            ],
            representation=representation,
            transform=transform,
            target_transform=target_transform,
            transforms=transforms,
        )

    def recording(self, index: int) -> Recording:
        """One clip."""
        split, clip = self._places[index]
        return self.events.splits[split].recording(clip)

    def header_problem(self, index: int) -> None:
        """Nothing: the file was checked when it was opened."""
