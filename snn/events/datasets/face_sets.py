"""Rendering a set of faces into a file, so that a killed run goes on where it was.

Clips are rendered in shards, small files in ``.<name>.partial`` beside the file, each appearing
whole; when all are there, they are streamed into the file and removed. Memory holds one shard.

>>> write_face_set("faces.h5", FaceSetParameters(), progress=lambda n: None)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn.errors import DatasetError
from snn.events.datasets.clips import FORMAT, VERSION
from snn.events.datasets.locking import locked
from snn.events.datasets.provenance import code_digest
from snn.events.faces import SPLITS, Clip, FaceSetParameters, clip_keys, render_clips
from snn.events.recording import EVENT_DTYPE, EVENT_FIELDS
from snn.files import replacing

SHARD_CLIPS = 64
CHUNK_EVENTS = 1 << 16
CLIP_COLUMNS = ("lengths", "labels", "subjects")

Shard = tuple[str, list[tuple[int, int, int]]]  # name of its file, the keys of its clips


def n_clips(parameters: FaceSetParameters) -> int:
    """Number of clips in all splits of a set."""
    return sum(len(clip_keys(parameters, split)) for split in SPLITS)


def write_face_set(
    path: str | Path,
    parameters: FaceSetParameters,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Render a set of faces into one file, which appears whole or not at all.

    A run that was killed is continued by the same call: clips that were rendered are kept in a
    folder ``.<name>.partial`` beside the file until it is complete.

    Parameters
    ----------
    path : str or Path
        A new file.
    parameters : FaceSetParameters
    workers : int
        Processes that render.
    progress : callable, optional
        Called with the number of clips that were added, first with those of an earlier run; there
        are ``n_clips(parameters)``.

    Raises
    ------
    DatasetError
        When the file exists, cannot be written, or was begun with other parameters.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise DatasetError(f"{path}: exists already; choose another name or remove it")
        partial.mkdir(exist_ok=True)
        with locked(partial / "lock"):
            if not path.exists():  # else another process finished it while this one waited
                _write(path, partial, parameters, workers, progress or (lambda n: None))
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be written ({error}); clips rendered so far are kept in "
            f"{partial.name}, the same command goes on with them"
        ) from error


def _write(
    path: Path,
    partial: Path,
    parameters: FaceSetParameters,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    shards = {split: _shards(parameters, split) for split in SPLITS}
    try:
        _claim(partial, parameters)
        _render_missing(partial, shards, parameters, workers, progress)
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs.update(_attributes(parameters))
            for split in SPLITS:
                _join(file.create_group(split), partial, shards[split])
    finally:
        if path.exists() or not any(partial.glob("*.h5")):  # done, or nothing to go on with
            shutil.rmtree(partial, ignore_errors=True)


def _attributes(parameters: FaceSetParameters) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "classes": json.dumps(parameters.classes),
        "sensor_size": parameters.sensor_size,
        "duration_us": round(parameters.duration_ms * 1000),
        "parameters": json.dumps(asdict(parameters)),
    }


def _claim(partial: Path, parameters: FaceSetParameters) -> None:
    """Say whose shards these are, or check that they are ours."""
    wanted = json.dumps({"parameters": asdict(parameters), "code": code_digest(render_clips)})
    note = partial / "made_with.json"
    if not any(partial.glob("*.h5")):
        with replacing(note) as temporary:
            temporary.write_text(wanted, encoding="utf-8")
    elif not note.exists() or note.read_text(encoding="utf-8") != wanted:
        raise DatasetError(
            f"{partial}: an interrupted rendering with other parameters or another version; "
            "finish it with those, or remove the folder to begin anew"
        )


def _shards(parameters: FaceSetParameters, split: str) -> list[Shard]:
    keys = clip_keys(parameters, split)
    return [
        (f"{split}-{start // SHARD_CLIPS:06d}.h5", keys[start : start + SHARD_CLIPS])
        for start in range(0, len(keys), SHARD_CLIPS)
    ]


def _render_missing(
    partial: Path,
    shards: dict[str, list[Shard]],
    parameters: FaceSetParameters,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    every_shard = [shard for split in SPLITS for shard in shards[split]]
    missing = [shard for shard in every_shard if not (partial / shard[0]).exists()]
    if done := sum(len(keys) for _, keys in every_shard) - sum(len(keys) for _, keys in missing):
        progress(done)
    rendered = render_clips(parameters, [k for _, keys in missing for k in keys], workers=workers)
    for name, keys in missing:
        clips = list(_counted(islice(rendered, len(keys)), progress))
        with replacing(partial / name) as temporary, h5py.File(temporary, "w") as file:
            for field in EVENT_FIELDS:
                column = np.concatenate([clip.recording.events[field] for clip in clips])
                file.create_dataset(field, data=column, compression="lzf", shuffle=True)
            file["lengths"] = np.array([len(clip.recording) for clip in clips], np.int64)
            file["labels"] = np.array([clip.label for clip in clips], np.int64)
            file["subjects"] = np.array([clip.subject for clip in clips], np.int64)


def _counted(clips: Iterator[Clip], progress: Callable[[int], None]) -> Iterator[Clip]:
    for clip in clips:
        yield clip
        progress(1)


def _join(group: h5py.Group, partial: Path, shards: list[Shard]) -> None:
    """Append all shards of a split to one table."""
    for column in EVENT_FIELDS:
        group.create_dataset(
            column,
            shape=(0,),
            maxshape=(None,),
            dtype=EVENT_DTYPE[column],
            chunks=(CHUNK_EVENTS,),
            compression="lzf",
            shuffle=True,
        )
    clips: dict[str, list[np.ndarray]] = {column: [] for column in CLIP_COLUMNS}
    for name, _ in shards:
        with h5py.File(partial / name, "r") as shard:
            for column in EVENT_FIELDS:
                table, values = group[column], shard[column][...]
                table.resize(len(table) + len(values), axis=0)
                table[len(table) - len(values) :] = values
            for column in CLIP_COLUMNS:
                clips[column].append(shard[column][...])
    lengths, group["labels"], group["subjects"] = (
        np.concatenate(clips[column]) for column in CLIP_COLUMNS
    )
    group["ends"] = np.cumsum(lengths, dtype=np.int64)
