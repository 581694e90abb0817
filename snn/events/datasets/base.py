"""A set of labelled recordings, in the manner of tonic: an item is ``(events, target)``.

Without a representation an item's events are the structured array that tonic's transforms take.
A `representation` is called with the ``Recording``, which also knows its sensor; what it returns
is the item. `transform`, `target_transform` and `transforms` then work as in tonic.

>>> set = CKPlusDVS("data", representation=partial(binary_frames, n_bins=6, window_us=400_000))
>>> frames, target = set[0]
>>> CKPlusDVS("data", transform=tonic.transforms.ToFrame(CKPlusDVS.sensor_size, n_event_bins=6))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn.errors import DatasetError, EventFormatError
from snn.events.datasets.protocols import (
    PROTOCOLS,
    Splits,
    published_splits,
    strict_splits,
)
from snn.events.formats import TableLayout, read_recording
from snn.events.formats.reading import open_stream
from snn.events.recording import EVENT_DTYPE, Recording

SHOWN = 5
SHORTEST_US, LONGEST_US = 1_000, 60_000_000  # between these a clip may show an expression


@dataclass(frozen=True)
class Sample:
    """One recording of a set.

    Parameters
    ----------
    name : str
        Unique in the set.
    path : Path
        File that holds it.
    label : int
        Index into the set's classes.
    subject : str
        Who was recorded; empty where it is not known.
    part : str
        Part of the published split; empty where there is none.
    """

    name: str
    path: Path
    label: int
    subject: str
    part: str = ""


class EventDataset:
    """Recordings in files, their classes and subjects; a data set to torch and tonic.

    Files are opened when an item is asked for; ``verify`` says which are missing or damaged.

    Parameters
    ----------
    root : str or Path
        Folder of the set.
    samples : sequence of Sample
    representation : callable, optional
        From a ``Recording`` to what an item holds; default its array of events.
    transform, target_transform : callable, optional
        Applied to what the item holds, and to its label.
    transforms : callable, optional
        Applied to both, ``(data, target) -> (data, target)``.
    """

    sensor_size: tuple[int, int, int] | None = None
    dtype = EVENT_DTYPE
    ordering = EVENT_DTYPE.names
    classes: tuple[str, ...] = ()
    layout: TableLayout | None = None  # of columns in text and numpy files
    published_as = ""  # where the published split comes from

    def __init__(
        self,
        root: str | Path,
        samples: Sequence[Sample],
        *,
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        self.root = Path(root)
        self.samples = tuple(samples)
        self.representation = representation
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = transforms

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.root)!r}): {len(self)} recordings, "
            f"{len(np.unique(self.subjects))} subjects, {len(self.classes)} classes"
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        recording, target = self.recording(index), self.samples[index].label
        data = recording.events if self.representation is None else self.representation(recording)
        if self.transform is not None:
            data = self.transform(data)
        if self.target_transform is not None:
            target = self.target_transform(target)
        if self.transforms is not None:
            data, target = self.transforms(data, target)
        return data, target

    @property
    def labels(self) -> np.ndarray:
        """Class of each sample, int64."""
        return np.array([sample.label for sample in self.samples], np.int64)

    @property
    def subjects(self) -> np.ndarray:
        """Who was recorded in each sample."""
        return np.array([sample.subject for sample in self.samples], np.str_)

    def recording(self, index: int) -> Recording:
        """Read one recording.

        Raises
        ------
        DatasetError
            When its file is missing.
        EventFormatError
            When its file does not hold what it should.
        """
        path = self.samples[index].path
        if not path.is_file():
            raise DatasetError(
                f"{path}: there is no such file; verify the set to see everything that is missing"
            )
        return self._read(path)

    def splits(
        self, *, protocol: str = "strict", fold: int = 0, n_folds: int = 10, seed: int = 0
    ) -> Splits:
        """Indices to train, validate and test on.

        Parameters
        ----------
        protocol : str
            ``strict``: subject-disjoint k-fold. ``authors``: the split that came with the set.
        fold : int
            Which fold; sets with a single published split have fold 0 only.
        n_folds, seed : int
            Of the strict protocol; published folds do not depend on them.

        Raises
        ------
        DatasetError
            For a protocol or fold that the set does not have.
        """
        if protocol not in PROTOCOLS:
            raise DatasetError(
                f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}"
            )
        if protocol == "strict":
            return strict_splits(
                self.labels, self.subjects, self.classes, fold=fold, n_folds=n_folds, seed=seed
            )
        return published_splits(
            self.labels,
            self.subjects,
            self._published_parts(fold),
            source=self.published_as,
        )

    def identity(self, index: int) -> str:
        """What changes with a sample's events: name, size, time of change and way of reading."""
        sample = self.samples[index]
        status = sample.path.stat()
        file = f"{sample.name} {status.st_size} {status.st_mtime_ns}"
        return f"{file} {self.sensor_size} {self.layout}"

    def require_files(self) -> None:
        """Raise one ``DatasetError`` that counts the missing files and names the first."""
        missing = [sample.path for sample in self.samples if not sample.path.is_file()]
        if missing:
            shown = ", ".join(str(path) for path in missing[:SHOWN])
            raise DatasetError(
                f"{self.root}: {len(missing)} of {len(self)} recordings are missing ({shown}"
                + (", ...)" if len(missing) > SHOWN else ")")
            )

    def files(self) -> Iterable[Path]:
        """All files of the user's copy that look like recordings of this set."""
        return [sample.path for sample in self.samples]

    def header_problem(self, index: int) -> str | None:
        """What is wrong with the beginning of a sample's file, without reading its events."""
        path = self.samples[index].path
        try:
            with closing(open_stream(path, self.layout)):
                return None
        except EventFormatError as error:
            return str(error).removeprefix(f"{path}: ")

    def set_problems(self) -> list[tuple[str, str]]:
        """``(file, what)`` of everything odd about the lists that came with the set."""
        return []

    def _read(self, path: Path) -> Recording:
        size = None if self.sensor_size is None else self.sensor_size[:2]
        return read_recording(path, sensor_size=size, layout=self.layout)

    def _published_parts(self, fold: int) -> np.ndarray:
        parts = np.array([sample.part for sample in self.samples], np.str_)
        if not (parts != "").any():
            raise DatasetError(f"{self.root}: no split came with this set; use protocol 'strict'")
        if fold != 0:
            raise DatasetError(f"{self.root}: one published split, fold 0; got fold {fold}")
        return parts
