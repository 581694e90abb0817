"""The four sets of Spiking-FER: CK+, ADFES, CASIA and MMI videos converted with v2e.

Layout: ``<root>/<DB>DVS/<subject>/<sequence, 3 digits>.h5`` as v2e writes it, sensor 200×200, and
the published ``<root>/<DB>DVS/folds.csv``: ``;`` between 13 fields and no header: subject,
sequence, label 1 to 6, then 0 or 1 (tested) for each of ten folds.

The published folds are ten independent random hold-outs, not a cross-validation: some rows are
never tested, and most test subjects also train. Source: S. Barchid et al., "Spiking-Fer", CBMI
2023, arXiv 2304.10211, and its repository. The videos come from their owners, on request.

>>> CKPlusDVS("data").splits(protocol="authors", fold=0).text
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn.errors import DatasetError
from snn.events.datasets.base import EventDataset, Sample
from snn.events.datasets.tables import fields, integer, name, read_rows
from snn.events.recording import Recording

N_FOLDS = 10


@dataclass(frozen=True)
class FoldRow:
    """One line of ``folds.csv``; `label` counts from 0, `tested` holds a flag a fold."""

    subject: str
    sequence: int
    label: int
    tested: tuple[bool, ...]


@dataclass(frozen=True)
class Published:
    """What the published list of a set holds, to compare a user's list with."""

    sequences: int
    subjects: int
    class_counts: tuple[int, ...]


def read_folds(path: str | Path) -> list[FoldRow]:
    """Read a fold file.

    Raises
    ------
    DatasetError
        For all unusable lines at once: other fields, labels or flags, repeated sequences.
    """
    return read_rows(path, _fold_row, separator=";", key=lambda row: (row.subject, row.sequence))


def _fold_row(line: list[str]) -> FoldRow:
    subject, sequence, label, *flags = fields(line, 3 + N_FOLDS)
    return FoldRow(
        subject=name(subject),
        sequence=integer(sequence, 0, 999, "the sequence"),
        label=integer(label, 1, 6, "the label") - 1,
        tested=tuple(integer(flag, 0, 1, "a fold") == 1 for flag in flags),
    )


class SpikingFerDataset(EventDataset):
    """What the four sets share; use ``CKPlusDVS``, ``ADFESDVS``, ``CASIADVS`` or ``MMIDVS``.

    Parameters
    ----------
    root : str or Path
        Folder that holds ``<DB>DVS``.
    folds : str or Path, optional
        The fold file; default ``<root>/<DB>DVS/folds.csv``.
    representation, transform, target_transform, transforms : callable, optional
        As in ``EventDataset``.
    """

    sensor_size = (200, 200, 2)
    classes = ("happy", "fear", "surprise", "anger", "disgust", "sadness")
    folder: str
    published: Published

    def __init__(
        self,
        root: str | Path,
        *,
        folds: str | Path | None = None,
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        base = Path(root) / self.folder
        self.fold_file = Path(folds) if folds is not None else base / "folds.csv"
        self.rows = read_folds(self.fold_file)
        super().__init__(
            base,
            [
                Sample(
                    name=f"{row.subject}/{row.sequence:03d}",
                    path=base / row.subject / f"{row.sequence:03d}.h5",
                    label=row.label,
                    subject=row.subject,
                )
                for row in self.rows
            ],
            representation=representation,
            transform=transform,
            target_transform=target_transform,
            transforms=transforms,
        )

    @property
    def published_as(self) -> str:  # type: ignore[override]
        """Where the published split comes from."""
        return f"one of ten random hold-outs of about 20 % in {self.fold_file.name}"

    def files(self) -> Iterable[Path]:
        """All ``<subject>/*.h5`` of the user's copy."""
        return sorted(self.root.glob("*/*.h5"))

    def set_problems(self) -> list[tuple[str, str]]:
        """Differences of the fold file from the published one."""
        found = Published(
            len(self.rows),
            len({row.subject for row in self.rows}),
            tuple(np.bincount(self.labels, minlength=len(self.classes)).tolist()),
        )
        if found == self.published:
            return []
        return [
            (
                str(self.fold_file),
                f"{found.sequences} sequences of {found.subjects} subjects with class counts "
                f"{found.class_counts}; the published list has {self.published.sequences} of "
                f"{self.published.subjects} with {self.published.class_counts}",
            )
        ]

    def _published_parts(self, fold: int) -> np.ndarray:
        if not 0 <= fold < N_FOLDS:
            raise DatasetError(f"{self.fold_file}: folds are 0 to {N_FOLDS - 1}, got {fold}")
        return np.array(["test" if row.tested[fold] else "train" for row in self.rows])


class CKPlusDVS(SpikingFerDataset):
    """CK+ through v2e: 357 sequences of 99 subjects."""

    folder = "CKPlusDVS"
    published = Published(357, 99, (94, 53, 77, 36, 38, 59))


class ADFESDVS(SpikingFerDataset):
    """ADFES through v2e: 131 sequences of 22 subjects."""

    folder = "ADFESDVS"
    published = Published(131, 22, (22, 22, 21, 22, 22, 22))


class CASIADVS(SpikingFerDataset):
    """Oulu-CASIA through v2e: 478 sequences of 80 subjects."""

    folder = "CASIADVS"
    published = Published(478, 80, (80, 80, 80, 80, 79, 79))


class MMIDVS(SpikingFerDataset):
    """MMI through v2e: 207 sequences of 31 subjects."""

    folder = "MMIDVS"
    published = Published(207, 31, (41, 28, 41, 33, 32, 32))
