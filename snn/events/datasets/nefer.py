"""NEFER: event recordings of people watching videos, with two label sets.

*Expected* labels follow from the video that was shown, *reported* ones are what the people said
they felt, with ``none`` as an eighth class. Users are split by the authors: 20 train, 6 validate.

Documented and relied on: ``annotations/expected_emotions/{train,validation}_event.csv`` and
``annotations/reported_emotions/{train,validation}_event_subjective.csv``, no header, a line a
frame: ``user_01,user01_2022-06-08_12-20-03_cd,<path of a frame>,Happiness`` (51 frames a
recording); a 1280×720 sensor. Source: L. Berlincioni et al., CVPRW 2023, arXiv 2304.06351 and
miccunifi/NEFER.

**Not documented by the authors**: where the raw recordings lie and what their container is. The
scripts of evTransFER read ``event_raw/raw/user_01/user01_2022-06-08_12-20-03.raw`` (EVT3, without
the ``_cd`` of the annotations). Here a recording may lie in ``event_raw/raw/<user>`` or
``event_raw/<user>``, with or without ``_cd``, in any format that ``read_recording`` takes.

>>> NEFER("nefer", labels="reported").splits(protocol="authors").text
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn.errors import DatasetError
from snn.events.datasets.base import EventDataset, Sample
from snn.events.datasets.tables import fields, name, read_rows
from snn.events.recording import Recording

PARTS = ("train", "validation")
ANNOTATIONS = {
    "expected": "annotations/expected_emotions/{part}_event.csv",
    "reported": "annotations/reported_emotions/{part}_event_subjective.csv",
}
FOLDERS = ("event_raw/raw", "event_raw")
# The first that exists is read: the camera's file before what tools made of it.
SUFFIXES = (".raw", ".h5", ".hdf5", ".dat", ".npy", ".npz", ".aedat4")
EMOTIONS = {
    "Disgust": "disgust",
    "Contempt": "contempt",
    "Happiness": "happy",
    "Fear": "fear",
    "Anger": "anger",
    "Surprise": "surprise",
    "Sadness": "sadness",
    "None": "none",
}


@dataclass(frozen=True)
class FrameRow:
    """One line of an annotation file."""

    user: str
    recording: str
    emotion: str


class NEFER(EventDataset):
    """The recordings of the annotation files.

    Parameters
    ----------
    root : str or Path
        Folder that holds ``annotations`` and ``event_raw``.
    labels : str
        ``expected`` (seven classes) or ``reported`` (eight).
    representation, transform, target_transform, transforms : callable, optional
        As in ``EventDataset``.
    """

    sensor_size = (1280, 720, 2)
    published_as = "the authors' split by user"

    def __init__(
        self,
        root: str | Path,
        *,
        labels: str = "expected",
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        if labels not in ANNOTATIONS:
            raise DatasetError(f"labels must be one of {', '.join(ANNOTATIONS)}, got {labels!r}")
        self.label_set = labels
        self.classes = tuple(EMOTIONS.values())[: 8 if labels == "reported" else 7]
        base = Path(root)
        annotated = {
            part: _read_annotations(base / ANNOTATIONS[labels].format(part=part), self.classes)
            for part in PARTS
        }
        if twice := annotated["train"].keys() & annotated["validation"].keys():
            raise DatasetError(f"{base}: in both annotation files: {sorted(twice)[:5]}")
        super().__init__(
            base,
            [
                Sample(
                    name=f"{row.user}/{row.recording}",
                    path=_recording_path(base, row.user, row.recording),
                    label=self.classes.index(row.emotion),
                    subject=row.user,
                    part=part,
                )
                for part, rows in annotated.items()
                for row in rows.values()
            ],
            representation=representation,
            transform=transform,
            target_transform=target_transform,
            transforms=transforms,
        )

    def files(self) -> Iterable[Path]:
        """All recordings below ``event_raw`` in the user's copy."""
        return sorted(
            path for path in self.root.glob("event_raw/**/user_*/*") if path.suffix in SUFFIXES
        )


def _read_annotations(path: Path, classes: tuple[str, ...]) -> dict[tuple[str, str], FrameRow]:
    """One row a recording; its frames must agree."""

    def parse(line: list[str]) -> FrameRow:
        user, recording, _, emotion = fields(line, 4)
        if EMOTIONS.get(emotion) not in classes:
            raise ValueError(f"{emotion[:20]!r} is none of {', '.join(classes)}")
        return FrameRow(name(user), name(recording), EMOTIONS[emotion])

    found: dict[tuple[str, str], FrameRow] = {}
    for row in read_rows(path, parse, separator=","):
        if found.setdefault((row.user, row.recording), row) != row:
            raise DatasetError(
                f"{path}: the frames of {row.recording} are labelled both "
                f"{found[row.user, row.recording].emotion} and {row.emotion}"
            )
    return found


def _recording_path(root: Path, user: str, recording: str) -> Path:
    """The file of a recording, or where the scripts of evTransFER have it."""
    stems = (recording.removesuffix("_cd"), recording)
    for suffix in SUFFIXES:
        for folder in FOLDERS:
            for stem in stems:
                if (path := root / folder / user / f"{stem}{suffix}").is_file():
                    return path
    return root / FOLDERS[0] / user / f"{stems[0]}{SUFFIXES[0]}"
