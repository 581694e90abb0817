"""Is the user's copy of a set whole? What is missing, extra, unreadable or odd, file by file.

>>> print(verify(CKPlusDVS("data"), full=True))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from snn.errors import DatasetError, SnnError
from snn.events.datasets.base import LONGEST_US, SHORTEST_US, EventDataset
from snn.events.datasets.eckplus import ECKPlus
from snn.events.datasets.folders import FolderSet
from snn.events.datasets.nefer import NEFER
from snn.events.datasets.rendered import RenderedFaces
from snn.events.datasets.spiking_fer import ADFESDVS, CASIADVS, MMIDVS, CKPlusDVS
from snn.events.recording import Recording

FEWEST_EVENTS = 100
KINDS = ("missing", "extra", "unreadable", "odd")
DATASETS: dict[str, Callable[..., EventDataset]] = {
    "ckplus-dvs": CKPlusDVS,
    "adfes-dvs": ADFESDVS,
    "casia-dvs": CASIADVS,
    "mmi-dvs": MMIDVS,
    "eckplus": ECKPlus,
    "nefer": NEFER,
    "faces": RenderedFaces,
    "folder": FolderSet,
}

Finding = tuple[str, str]  # file, what is the matter


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found; each list holds ``(file, what is the matter)``.

    Parameters
    ----------
    name : str
        The set.
    checked : int
        Recordings that the set should have.
    full : bool
        Whether events were read, or only the beginnings of files.
    missing, extra, unreadable, odd : tuple of (str, str)
        Files that are not there, are there and do not belong, cannot be read, or hold events
        that look wrong.
    """

    name: str
    checked: int
    full: bool
    missing: tuple[Finding, ...] = ()
    extra: tuple[Finding, ...] = ()
    unreadable: tuple[Finding, ...] = ()
    odd: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every recording is there and readable; extra and odd files do no harm."""
        return not self.missing and not self.unreadable

    def lines(self) -> list[str]:
        """The report as text, a line a finding."""
        how = "every file read" if self.full else "existence and headers"
        found = ", ".join(f"{len(getattr(self, kind))} {kind}" for kind in KINDS)
        return [f"{self.name}, {self.checked} recordings ({how}): {found}"] + [
            f"{kind:<10}  {file}: {what}" for kind in KINDS for file, what in getattr(self, kind)
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def open_dataset(name: str, root: str | Path, **options: Any) -> EventDataset:
    """A data set by its name in ``DATASETS``; `options` are those of its class.

    Raises
    ------
    DatasetError
        For an unknown name, a `root` that does not exist, an option that the set does not have or
        needs, or what its class finds wrong.
    """
    if name not in DATASETS:
        raise DatasetError(f"unknown set {name!r}; choose one of {', '.join(DATASETS)}")
    if not Path(root).exists():
        raise DatasetError(f"{root}: there is no such file or folder")
    _, *allowed = signature(DATASETS[name]).parameters.values()  # without the root itself
    known = [option.name for option in allowed]
    needed = {option.name for option in allowed if option.default is option.empty}
    if missing := sorted(needed - set(options)):
        raise DatasetError(f"{name} needs the option {', '.join(missing)}")
    if unknown := sorted(set(options) - set(known)):
        raise DatasetError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    return DATASETS[name](root, **options)


def verify(
    dataset: EventDataset,
    *,
    full: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Compare the user's copy with what the set should hold.

    Parameters
    ----------
    dataset : EventDataset
    full : bool
        Read every recording; otherwise only whether files are there and begin as they should.
    progress : callable, optional
        Called with 1 after each of ``len(dataset)`` recordings.

    Returns
    -------
    Report
    """
    missing: list[Finding] = []
    unreadable: list[Finding] = []
    odd: list[Finding] = [*dataset.set_problems()]
    seen: dict[bytes, str] = {}
    for index, sample in enumerate(dataset.samples):
        file = str(sample.path)
        if not sample.path.is_file():
            missing.append((file, "there is no such file"))
        elif problem := _unreadable(dataset, index):
            unreadable.append((file, problem))
        elif full:
            try:
                recording = dataset.recording(index)
            except SnnError as error:
                unreadable.append((file, str(error).removeprefix(f"{file}: ")))
            else:
                odd += [(file, what) for what in _oddities(recording, sample.name, seen)]
        if progress:
            progress(1)
    expected = {sample.path for sample in dataset.samples}
    extra = [(str(p), "not in the list of the set") for p in dataset.files() if p not in expected]
    return Report(
        name=type(dataset).__name__,
        checked=len(dataset),
        full=full,
        missing=tuple(missing),
        extra=tuple(extra),
        unreadable=tuple(unreadable),
        odd=tuple(odd),
    )


def _unreadable(dataset: EventDataset, index: int) -> str | None:
    try:
        return dataset.header_problem(index)
    except OSError as error:
        return f"cannot be opened ({error})"


def _oddities(recording: Recording, name: str, seen: dict[bytes, str]) -> list[str]:
    """What a recording of a face should not look like."""
    found = []
    if len(recording) < FEWEST_EVENTS:
        found.append(f"only {len(recording)} events")
    if not SHORTEST_US <= recording.duration_us <= LONGEST_US:
        found.append(f"lasts {recording.duration_us / 1e6:g} s")
    if len(recording) and len(np.unique(recording.events["p"])) == 1:
        found.append(f"all polarities are {recording.events['p'][0]}")
    digest = hashlib.blake2b(recording.events.tobytes(), digest_size=16).digest()
    if (twin := seen.setdefault(digest, name)) != name:
        found.append(f"the same events as {twin}")
    return found
