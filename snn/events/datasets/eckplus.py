"""e-CK+: CK+ through v2e at 346×260, with the published list of frames as its split.

Layout: ``<root>/{Train_Set,Test_Set}/<class 1 to 7>/Sxxx_yyy*.npy``, each ``(n, 4)`` numbers with
columns x, y, t, p, p in {-1, +1}. The list has a line a frame of 1/30 s,
``Train_Set/7/S115_001/frame_0005.jpg``, and decides what belongs to the set.

The unit of t is not published. The authors' scripts multiply t by 10⁶ to get microseconds, which
says seconds; it is an explicit argument here and checked for plausibility. Their images are
turned by 180° after this step, because the arrays are upside down; nothing is turned here.

Source: R. Verschae, I. Bugueno-Cordova, IEEE Access 2023, doi 10.1109/ACCESS.2023.3328220; list:
uoh-rislab/event-based_reconstruction_pix2pix, ``pre-process/common_jpg_files.txt``.

>>> ECKPlus("e-ck+", time_unit="s").splits(protocol="authors").text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn.errors import DatasetError, EventFormatError
from snn.events.datasets.base import LONGEST_US, SHORTEST_US, EventDataset, Sample
from snn.events.datasets.tables import fields, integer, read_rows
from snn.events.formats import TableLayout
from snn.events.recording import Recording

PARTS = {"Train_Set": "train", "Test_Set": "test"}
TIME_UNITS = ("s", "ms", "us")
SEQUENCE = re.compile(r"(S[0-9]{3})_[0-9]{3}")
FRAME = re.compile(r"frame_([0-9]{1,6})\.(?:jpg|png)")


@dataclass(frozen=True)
class FrameRow:
    """One line of the list: a frame of a sequence; `label` counts from 0."""

    part: str
    label: int
    sequence: str
    frame: int


def read_frame_list(path: str | Path) -> list[FrameRow]:
    """Read the published list of frames.

    Raises
    ------
    DatasetError
        For all unusable lines at once, or a sequence in two parts or two classes.
    """
    rows = read_rows(path, _frame_row, separator="/", key=lambda row: (row.sequence, row.frame))
    places: dict[str, set[tuple[str, int]]] = {}
    for row in rows:
        places.setdefault(row.sequence, set()).add((row.part, row.label + 1))
    if torn := {sequence: sorted(found) for sequence, found in places.items() if len(found) > 1}:
        raise DatasetError(f"{path}: sequences in more than one part or class: {torn}")
    return rows


def _frame_row(line: list[str]) -> FrameRow:
    part, label, sequence, frame = fields(line, 4)
    if part not in PARTS:
        raise ValueError(f"the part must be one of {', '.join(PARTS)}, found {part[:20]!r}")
    if not SEQUENCE.fullmatch(sequence):
        raise ValueError(f"the sequence must look like S005_001, found {sequence[:20]!r}")
    if not (numbered := FRAME.fullmatch(frame)):
        raise ValueError(f"the frame must look like frame_0005.jpg, found {frame[:24]!r}")
    return FrameRow(PARTS[part], integer(label, 1, 7, "the class") - 1, sequence, int(numbered[1]))


class ECKPlus(EventDataset):
    """The 319 sequences that the list names.

    Parameters
    ----------
    root : str or Path
        Folder that holds ``Train_Set`` and ``Test_Set``.
    time_unit : str
        Unit of t in the arrays: ``s``, ``ms`` or ``us``; see above.
    frame_list : str or Path, optional
        Default ``<root>/common_jpg_files.txt``.
    representation, transform, target_transform, transforms : callable, optional
        As in ``EventDataset``.

    Attributes
    ----------
    frame_numbers : list of tuple of int
        For each sample the frames of 1/30 s that the authors use, counted from its first event.
    """

    sensor_size = (346, 260, 2)
    classes = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    published_as = "the one fixed split of the frame list, here by sequence and not by frame"

    def __init__(
        self,
        root: str | Path,
        *,
        time_unit: str,
        frame_list: str | Path | None = None,
        representation: Callable[[Recording], Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
    ) -> None:
        if time_unit not in TIME_UNITS:
            raise DatasetError(
                f"time_unit must be one of {', '.join(TIME_UNITS)}, got {time_unit!r}"
            )
        self.time_unit = time_unit
        self.layout = TableLayout(columns="xytp", time_unit=time_unit)
        base = Path(root)
        listed = Path(frame_list) if frame_list is not None else base / "common_jpg_files.txt"
        frames: dict[tuple[str, int, str], list[int]] = {}
        for row in read_frame_list(listed):
            frames.setdefault((row.part, row.label, row.sequence), []).append(row.frame)
        self.frame_numbers = [tuple(sorted(numbers)) for numbers in frames.values()]
        folders = {part: base / folder for folder, part in PARTS.items()}
        super().__init__(
            base,
            [
                Sample(
                    name=sequence,
                    path=_array_path(folders[part] / str(label + 1), sequence),
                    label=label,
                    subject=sequence[:4],
                    part=part,
                )
                for part, label, sequence in frames
            ],
            representation=representation,
            transform=transform,
            target_transform=target_transform,
            transforms=transforms,
        )

    def files(self) -> Iterable[Path]:
        """All arrays of both parts in the user's copy."""
        return sorted(path for part in PARTS for path in self.root.glob(f"{part}/*/*.npy"))

    def _read(self, path: Path) -> Recording:
        recording = super()._read(path)
        if not SHORTEST_US <= recording.duration_us <= LONGEST_US:
            raise EventFormatError(
                f"{path}: with times in {self.time_unit!r} the clip would last "
                f"{recording.duration_us / 1e6:g} s, which is no expression; choose another "
                f"time_unit ({', '.join(TIME_UNITS)})"
            )
        return recording


def _array_path(folder: Path, sequence: str) -> Path:
    """``Sxxx_yyy.npy``, or the one file whose name begins so (crops carry their size there)."""
    plain = folder / f"{sequence}.npy"
    if plain.is_file():
        return plain
    found = sorted(folder.glob(f"{sequence}_*.npy"))
    if len(found) > 1:
        raise DatasetError(f"{folder}: more than one array of {sequence}: {found[0]}, {found[1]}")
    return found[0] if found else plain
