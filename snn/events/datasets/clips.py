"""Sets of labelled clips in one HDF5 file: rendered once, checked on every load.

Layout: attributes ``format``, ``version``, ``classes``, ``sensor_size``, ``duration_us``,
``parameters`` (JSON, what rendered it); one group a split with the columns ``x, y, t, p`` of all
events one clip after the other, ``ends`` (where each clip ends), ``labels``, ``subjects``.

The events of a small set are loaded; those of a large one stay in the file and are read clip by
clip, so that a set may be larger than memory.

>>> faces = load_event_set("faces.h5"); faces.splits["test"].recording(0)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn.errors import DatasetError
from snn.events.faces import SPLITS
from snn.events.frames import binary_frames, count_frames
from snn.events.recording import EVENT_FIELDS, Recording, make_events

FORMAT = "spikeface.events"
VERSION = 1
LOADED_EVENTS = 30_000_000  # 390 MB: splits of more events stay in the file


class StoredEvents:
    """The events of one split in a file, read slice by slice.

    Opened when first read, once a process: it can be sent to the workers of a data loader.

    Parameters
    ----------
    path : Path
    split : str
        Name of the group.
    length : int
        Number of events.
    """

    def __init__(self, path: Path, split: str, length: int) -> None:
        self.path, self.split, self.length = path, split, length
        self._file: h5py.File | None = None
        self._process = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> np.ndarray:
        """Events of a slice, ``EVENT_DTYPE``."""
        # A handle from before a fork shares its position with the parent: never used.
        if self._file is None or self._process != os.getpid():
            self._file, self._process = h5py.File(self.path, "r"), os.getpid()
        group = self._file[self.split]
        return make_events(*(group[name][part] for name in EVENT_FIELDS))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_process": 0}


@dataclass(frozen=True)
class ClipTable:
    """The clips of one split.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``, or StoredEvents
        All clips one after the other; time starts at 0 in each.
    ends : ndarray of int64, shape (n_clips,)
        Index behind the last event of each clip.
    labels, subjects : ndarray of int64, shape (n_clips,)
    sensor_size : tuple of int
        ``(width, height)``.
    duration_us : int
        Of every clip, in microseconds.
    """

    events: np.ndarray | StoredEvents
    ends: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    sensor_size: tuple[int, int]
    duration_us: int

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def event_counts(self) -> np.ndarray:
        """Events per clip, int64."""
        return np.diff(self.ends, prepend=0)

    def recording(self, index: int) -> Recording:
        """One clip."""
        start = self.ends[index - 1] if index else 0
        return Recording(
            self.events[start : self.ends[index]], self.sensor_size, source=f"clip {index}"
        )

    def binary_frames(self, n_bins: int) -> np.ndarray:
        """Binary frames of all clips, uint8 ``[N, n_bins, 2, H, W]``."""
        return self._frames(binary_frames, n_bins, np.uint8)

    def count_maps(self, n_bins: int) -> np.ndarray:
        """Event counts of all clips, uint16 ``[N, n_bins, 2, H, W]``."""
        return self._frames(count_frames, n_bins, np.uint16)

    def _frames(self, to_frames: Callable[..., np.ndarray], n_bins: int, dtype: type) -> np.ndarray:
        width, height = self.sensor_size
        out: np.ndarray = np.zeros((len(self), n_bins, 2, height, width), dtype)
        for index in np.flatnonzero(self.event_counts):  # a silent clip has empty frames
            out[index] = to_frames(
                self.recording(int(index)), n_bins=n_bins, window_us=self.duration_us, start_us=0
            )
        return out


@dataclass(frozen=True)
class EventSet:
    """Labelled clips in subject-disjoint splits, the file they are in, and what rendered them."""

    source: Path
    classes: tuple[str, ...]
    sensor_size: tuple[int, int]
    duration_us: int
    splits: dict[str, ClipTable]
    parameters: dict[str, Any]


def load_event_set(path: str | Path) -> EventSet:
    """Read a set and check it.

    Raises
    ------
    DatasetError
        For a missing, truncated or foreign file, naming it and what was found.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: there is no such file; render one with 'spikeface faces'")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DatasetError(
            f"{path}: not a readable set of clips, is it truncated? ({error}); "
            "render it again with 'spikeface faces'"
        ) from error


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes: whether a set is still the one it was."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read(file: h5py.File, path: Path) -> EventSet:
    found = (file.attrs.get("format"), file.attrs.get("version"))
    if found != (FORMAT, VERSION):
        raise DatasetError(
            f"expected format {FORMAT!r} version {VERSION}, found {found[0]!r} version {found[1]}"
        )
    width, height = (int(n) for n in file.attrs["sensor_size"])
    duration_us = int(file.attrs["duration_us"])
    classes = tuple(json.loads(file.attrs["classes"]))
    splits = {
        name: _read_split(file[name], path, (width, height), duration_us, len(classes))
        for name in SPLITS
    }
    for one, other in combinations(SPLITS, 2):
        shared = np.intersect1d(splits[one].subjects, splits[other].subjects)
        if len(shared):
            raise DatasetError(
                f"subject {shared[0]} ({len(shared)} in all) is in both {one} and {other}; "
                "splits must not share faces"
            )
    return EventSet(
        source=path,
        classes=classes,
        sensor_size=(width, height),
        duration_us=duration_us,
        splits=splits,
        parameters=json.loads(file.attrs["parameters"]),
    )


def _read_split(
    group: h5py.Group, path: Path, sensor_size: tuple[int, int], duration_us: int, n_classes: int
) -> ClipTable:
    sizes = {group[name].shape for name in EVENT_FIELDS}
    if len(sizes) != 1 or len(shape := sizes.pop()) != 1:
        raise DatasetError(f"{group.name}: columns x, y, t, p are not one table")
    ends, labels, subjects = (group[name][...] for name in ("ends", "labels", "subjects"))
    if any(column.dtype.kind not in "iu" for column in (ends, labels, subjects)):
        raise DatasetError(f"{group.name}: ends, labels and subjects must be whole numbers")
    lengths = np.diff(ends.astype(np.int64), prepend=0)
    if not len(ends) == len(labels) == len(subjects) or len(ends) == 0:
        raise DatasetError(f"{group.name}: holds {len(ends)} clips and {len(labels)} labels")
    if ends[-1] != shape[0] or (lengths < 0).any():
        raise DatasetError(f"{group.name}: clips end at {ends[-1]}, there are {shape[0]} events")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DatasetError(f"{group.name}: labels must lie in [0, {n_classes})")
    events: np.ndarray | StoredEvents = (
        make_events(*(group[name][...] for name in EVENT_FIELDS))
        if shape[0] <= LOADED_EVENTS
        else StoredEvents(path, group.name, shape[0])
    )
    return ClipTable(events, ends, labels, subjects, sensor_size, duration_us)
