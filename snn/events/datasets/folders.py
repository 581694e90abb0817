r"""Any folder of recordings, sorted by class: ``class/recording`` or ``split/class/recording``.

The first layout has no split of its own; in the second, ``train``, ``test`` and, if there,
``validation`` (or ``val``) are the published split. Who was recorded is read from the path with a
pattern, since a split by subject cannot be guessed.

>>> FolderSet("recordings", subject_pattern=r"(S\d+)_", sensor_size=(346, 260, 2))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snn.errors import DatasetError
from snn.events.datasets.base import EventDataset, Sample
from snn.events.formats import READERS, TableLayout
from snn.events.recording import Recording

PART_NAMES = {
    "train": "train",
    "train_set": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
    "test_set": "test",
}
# Of what read_recording takes, without .txt: a text in a folder of recordings is most often a note.
SUFFIXES = tuple(suffix for suffix in READERS if suffix != ".txt")


class FolderSet(EventDataset):
    """Recordings below a folder, in the order of their names.

    Parameters
    ----------
    root : str or Path
    subject_pattern : str, optional
        Regular expression searched in ``class/recording``; its group ``subject``, or else its
        first group, names the subject. Needed for the strict protocol.
    classes : sequence of str, optional
        Folder names in the order of their labels; default sorted.
    sensor_size : tuple of int, optional
        ``(width, height, 2)``; default what each recording says.
    layout : TableLayout, optional
        Order of columns and unit of time of text and numpy files.
    suffixes : sequence of str
        Endings of recordings; other files are left alone.
    representation, transform, target_transform, transforms : callable, optional
        As in ``EventDataset``.

    Raises
    ------
    DatasetError
        When there are no recordings, folders that are no class, or names without a subject.
    """

    published_as = "the folders of the set"

    def __init__(
        self,
        root: str | Path,
        *,
        subject_pattern: str | None = None,
        classes: Sequence[str] | None = None,
        sensor_size: tuple[int, int, int] | None = None,
        layout: TableLayout | None = None,
        suffixes: Sequence[str] = SUFFIXES,
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        base = Path(root)
        if not base.is_dir():
            raise DatasetError(f"{base}: there is no such folder")
        self.sensor_size = sensor_size
        self.layout = layout
        found = [
            (part, folder, path)
            for part, folder in _class_folders(base)
            for path in sorted(folder.iterdir())
            if path.is_file() and path.suffix.lower() in suffixes and path.name[0] != "."
        ]
        names = sorted({folder.name for _, folder, _ in found})
        self.classes = tuple(names if classes is None else classes)
        if not found:
            raise DatasetError(
                f"{base}: no recordings in class/recording or split/class/recording; "
                f"endings looked for: {', '.join(suffixes)}"
            )
        if unknown := sorted(set(names) - set(self.classes)):
            raise DatasetError(f"{base}: folders {unknown} are none of the classes {self.classes}")
        subjects = _subjects([path for *_, path in found], base, subject_pattern)
        super().__init__(
            base,
            [
                Sample(
                    name=path.relative_to(base).as_posix(),
                    path=path,
                    label=self.classes.index(folder.name),
                    subject=subject,
                    part=part,
                )
                for (part, folder, path), subject in zip(found, subjects, strict=True)
            ],
            representation=representation,
            transform=transform,
            target_transform=target_transform,
            transforms=transforms,
        )


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """``(part, folder of a class)``; the part is empty where folders of parts are absent."""
    top = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if top and all(path.name.lower() in PART_NAMES for path in top):
        return [
            (PART_NAMES[part.name.lower()], folder)
            for part in top
            for folder in sorted(part.iterdir())
            if folder.is_dir() and folder.name[0] != "."
        ]
    return [("", folder) for folder in top]


def _subjects(paths: list[Path], root: Path, pattern: str | None) -> list[str]:
    if pattern is None:
        return [""] * len(paths)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DatasetError(f"subject_pattern {pattern!r} is no pattern ({error})") from error
    if not compiled.groups:
        raise DatasetError(f"subject_pattern {pattern!r} needs a group, as in '(S[0-9]+)_'")
    subjects, without = [], []
    for path in paths:
        match = compiled.search("/".join(path.relative_to(root).parts[-2:]))
        named = match and match.group("subject" if "subject" in compiled.groupindex else 1)
        subjects.append(named or "")
        if not named:
            without.append(path.relative_to(root).as_posix())
    if without:
        raise DatasetError(
            f"{root}: {len(without)} of {len(paths)} names hold no subject by {pattern!r}: "
            f"{', '.join(without[:5])}"
        )
    return subjects
