"""Sets of labelled clips in one HDF5 file: rendered once, checked on every load.

Layout: attributes ``format``, ``version``, ``classes``, ``sensor_size``, ``duration_us``,
``parameters`` (JSON, what rendered it); one group a split with the columns ``x, y, t, p`` of all
events one clip after the other, ``ends`` (where each clip ends), ``labels``, ``subjects``.

>>> write_face_set("faces.h5", FaceSetParameters())
>>> faces = load_event_set("faces.h5"); faces.splits["test"].recording(0)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn.errors import DatasetError
from snn.events.faces import CLASS_NAMES, SPLITS, Clip, FaceSetParameters, clip_keys, render_clips
from snn.events.frames import binary_frames, count_frames
from snn.events.recording import EVENT_FIELDS, Recording, make_events
from snn.files import replacing

FORMAT = "spikeface.events"
VERSION = 1
MAX_EVENTS = 200_000_000  # 2.6 GB of events in one split


@dataclass(frozen=True)
class ClipTable:
    """The clips of one split.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
        All clips one after the other; time starts at 0 in each.
    ends : ndarray of int64, shape (n_clips,)
        Index behind the last event of each clip.
    labels, subjects : ndarray of int64, shape (n_clips,)
    sensor_size : tuple of int
        ``(width, height)``.
    duration_us : int
        Of every clip, in microseconds.
    """

    events: np.ndarray
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


def write_face_set(
    path: str | Path,
    parameters: FaceSetParameters,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Render a set of faces into one file, which appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        A new file.
    parameters : FaceSetParameters
    workers : int
        Processes that render.
    progress : callable, optional
        Called with 1 after each clip; there are ``n_clips(parameters)``.

    Raises
    ------
    DatasetError
        When the file exists or cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise DatasetError(f"{path}: exists already; choose another name or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs.update(
                format=FORMAT,
                version=VERSION,
                classes=json.dumps(CLASS_NAMES),
                sensor_size=parameters.sensor_size,
                duration_us=round(parameters.duration_ms * 1000),
                parameters=json.dumps(asdict(parameters)),
            )
            _render_splits(file, parameters, workers=workers, progress=progress)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written ({error})") from error


def _render_splits(
    file: h5py.File,
    parameters: FaceSetParameters,
    *,
    workers: int,
    progress: Callable[[int], None] | None,
) -> None:
    keys = {split: clip_keys(parameters, split) for split in SPLITS}
    every_key = [key for split in SPLITS for key in keys[split]]
    rendered = render_clips(parameters, every_key, workers=workers)
    for split in SPLITS:
        clips = []
        for clip in islice(rendered, len(keys[split])):
            clips.append(clip)
            if progress:
                progress(1)
        _write_split(file.create_group(split), clips)


def n_clips(parameters: FaceSetParameters) -> int:
    """Number of clips in all splits of a set."""
    return sum(len(clip_keys(parameters, split)) for split in SPLITS)


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
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _write_split(group: h5py.Group, clips: list[Clip]) -> None:
    events = np.concatenate([clip.recording.events for clip in clips])
    for name in EVENT_FIELDS:
        group.create_dataset(name, data=events[name], compression="lzf", shuffle=True)
    group["ends"] = np.cumsum([len(clip.recording) for clip in clips], dtype=np.int64)
    group["labels"] = np.array([clip.label for clip in clips], np.int64)
    group["subjects"] = np.array([clip.subject for clip in clips], np.int64)


def _read(file: h5py.File, path: Path) -> EventSet:
    found = (file.attrs.get("format"), file.attrs.get("version"))
    if found != (FORMAT, VERSION):
        raise DatasetError(
            f"expected format {FORMAT!r} version {VERSION}, found {found[0]!r} version {found[1]!r}"
        )
    width, height = (int(n) for n in file.attrs["sensor_size"])
    duration_us = int(file.attrs["duration_us"])
    classes = tuple(json.loads(file.attrs["classes"]))
    return EventSet(
        source=path,
        classes=classes,
        sensor_size=(width, height),
        duration_us=duration_us,
        splits={
            name: _read_split(file[name], (width, height), duration_us, len(classes))
            for name in SPLITS
        },
        parameters=json.loads(file.attrs["parameters"]),
    )


def _read_split(
    group: h5py.Group, sensor_size: tuple[int, int], duration_us: int, n_classes: int
) -> ClipTable:
    sizes = {group[name].shape for name in EVENT_FIELDS}
    if len(sizes) != 1 or max(group["x"].shape, default=0) > MAX_EVENTS:
        raise DatasetError(f"{group.name}: columns of sizes {sorted(sizes)} are not one table")
    events = make_events(*(group[name][...] for name in EVENT_FIELDS))
    ends, labels, subjects = (group[name][...] for name in ("ends", "labels", "subjects"))
    lengths = np.diff(ends, prepend=0)
    if not len(ends) == len(labels) == len(subjects) or len(ends) == 0:
        raise DatasetError(f"{group.name}: holds {len(ends)} clips and {len(labels)} labels")
    if ends[-1] != len(events) or (lengths < 0).any():
        raise DatasetError(f"{group.name}: clips end at {ends[-1]}, there are {len(events)} events")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DatasetError(f"{group.name}: labels must lie in [0, {n_classes})")
    return ClipTable(events, ends, labels, subjects, sensor_size, duration_us)
