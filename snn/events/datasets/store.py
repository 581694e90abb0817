"""Frames made once and then mapped into memory: what keeps a training step fed.

A store is a folder ``<folder>/<key>`` with ``frames.npy``, ``labels.npy`` and ``index.json``. The
key is a digest of everything the frames follow from: the files of the set (name, size, time of
change), the representation's description and its code. Another representation, another version
or a changed recording is another store; the old one stays until it is removed.

Writing goes chunk by chunk into ``<key>.partial``: a chunk counts when its mark is written, after
its bytes reached the disk, so a killed run goes on at the first unmarked chunk and never believes
in half of one. The folder gets its final name when all is there. Two processes take turns.

>>> store = FrameStore.build(dataset, "cache", SpikingFERFrames())
>>> loader = DataLoader(Subset(store, dataset.splits().train.tolist()), batch_size=8, num_workers=2)
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn.errors import DatasetError
from snn.events.datasets.base import EventDataset
from snn.events.datasets.locking import locked
from snn.events.datasets.provenance import code_digest, described
from snn.events.recording import Recording
from snn.files import replacing

FORMAT = "spikeface.frames"
VERSION = 1
CHUNK_BYTES = 16 * 2**20
RESERVE_BYTES = 64 * 2**20  # stays free on the disk
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class StorePlan:
    """What a store will hold.

    Parameters
    ----------
    key : str
        Name of its folder.
    representation : str
        Description of what made the frames.
    samples : int
    shape : tuple of int
        Of one sample's frames, such as ``(T, 2, H, W)``.
    dtype : str
        In numpy's notation with byte order.
    """

    key: str
    representation: str
    samples: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @property
    def n_bytes(self) -> int:
        """Bytes of all frames."""
        return self.samples * self.sample_bytes

    @property
    def chunk_samples(self) -> int:
        """Samples that are written between two marks."""
        return max(1, CHUNK_BYTES // max(1, self.sample_bytes))

    def __str__(self) -> str:
        return (
            f"{self.samples} samples of {self.dtype} {list(self.shape)}: "
            f"{self.n_bytes / 1e6:.1f} MB of frames made by {self.representation}"
        )


class FrameStore:
    """Frames and labels of a data set, mapped from a file.

    The file is opened when first read, once a process, so that a store can be sent to the workers
    of a data loader. An item is ``(frames, label)``, frames a fresh array.

    Parameters
    ----------
    folder : str or Path
        Folder of a complete store.

    Raises
    ------
    DatasetError
        When the folder does not hold a complete store.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.plan = _read_index(self.folder)
        self._mapped: tuple[np.ndarray, np.ndarray] | None = None
        self._map()

    @classmethod
    def build(
        cls,
        dataset: EventDataset,
        folder: str | Path,
        representation: Callable[[Recording], np.ndarray],
        *,
        announce: Callable[[StorePlan], None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> FrameStore:
        """Open the store of these frames, after writing what is missing of it.

        Parameters
        ----------
        dataset : EventDataset
            Its recordings and labels; its own representation and transforms are not used.
        folder : str or Path
            Where stores are kept.
        representation : callable
            From a ``Recording`` to an array, of one shape and dtype for all recordings. It must
            not draw random numbers: an augmentation that is stored augments once.
        announce : callable, optional
            Called with what is about to be written, its size included, before anything is.
        progress : callable, optional
            Called with the number of samples that were added, first with those of a killed run.

        Raises
        ------
        DatasetError
            When recordings are missing, the disk is full, or frames differ in shape.
        """
        dataset.require_files()
        plan = plan_store(dataset, representation)
        target = Path(folder) / plan.key
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.with_name(f"{plan.key}.lock")):
                if not _is_complete(target):
                    if announce:
                        announce(plan)
                    LOGGER.info("%s: writing %s", target, plan)
                    _write(dataset, representation, plan, target, progress or (lambda n: None))
        except OSError as error:
            raise DatasetError(
                f"{target}: cannot be written ({error}); the store needs {plan.n_bytes} bytes, "
                "finished chunks are kept and the same call goes on with them"
            ) from error
        return cls(target)

    def __len__(self) -> int:
        return self.plan.samples

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        frames, labels = self._map()
        return np.array(frames[index]), int(labels[index])

    @property
    def labels(self) -> np.ndarray:
        """Class of each sample, int64."""
        return np.array(self._map()[1])

    def arrays(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames and labels of some samples in memory, as the training loop takes them."""
        frames, labels = self._map()
        return np.asarray(frames[np.asarray(indices)]), np.asarray(labels[np.asarray(indices)])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None}

    def _map(self) -> tuple[np.ndarray, np.ndarray]:
        if self._mapped is None:
            self._mapped = _map_arrays(self.folder, self.plan)
        return self._mapped


def plan_store(
    dataset: EventDataset, representation: Callable[[Recording], np.ndarray]
) -> StorePlan:
    """What a store would hold and how large it would be; reads one recording.

    Raises
    ------
    DatasetError
        For an empty set, or a representation that cannot be described or gives no array.
    """
    if not len(dataset):
        raise DatasetError(f"{dataset.root}: the set is empty, there is nothing to store")
    text = described(representation)
    first = _frames(dataset, representation, 0)
    digest = hashlib.sha256()
    made_with = (FORMAT, VERSION, text, code_digest(representation), first.shape, first.dtype.str)
    identities = (f"{dataset.identity(i)} {label}" for i, label in enumerate(dataset.labels))
    for part in (*made_with, type(dataset).__name__, *identities):
        digest.update(f"{part}\0".encode())
    return StorePlan(digest.hexdigest()[:24], text, len(dataset), first.shape, first.dtype.str)


def _write(
    dataset: EventDataset,
    representation: Callable[[Recording], np.ndarray],
    plan: StorePlan,
    target: Path,
    progress: Callable[[int], None],
) -> None:
    """Fill ``<key>.partial`` and give it its name; the lock is held."""
    if target.exists():  # damaged: a complete one is not written again
        shutil.rmtree(target)
    partial = target.with_name(f"{plan.key}.partial")
    partial.mkdir(exist_ok=True)
    n_chunks = -(-plan.samples // plan.chunk_samples)
    frames_path, marks_path = partial / "frames.npy", partial / "chunks_done"
    if not frames_path.exists():  # somebody made room: the marks speak of frames that are gone
        marks_path.unlink(missing_ok=True)
    start = _begin(frames_path, plan)
    marks_path.touch()
    with frames_path.open("r+b") as frames, marks_path.open("r+b") as marks:
        done = marks.read(n_chunks).ljust(n_chunks, b"\0")
        for chunk in range(n_chunks):
            first = chunk * plan.chunk_samples
            indices = range(first, min(first + plan.chunk_samples, plan.samples))
            if done[chunk] == 1:
                progress(len(indices))
                continue
            frames.seek(start + first * plan.sample_bytes)
            for index in indices:
                frames.write(_checked(dataset, representation, index, plan).tobytes())
                progress(1)
            _flush(frames)
            marks.seek(chunk)
            marks.write(b"\1")
            _flush(marks)
    np.save(partial / "labels.npy", dataset.labels)
    with replacing(partial / "index.json") as temporary:
        temporary.write_text(
            json.dumps({"format": FORMAT, "version": VERSION, **asdict(plan)}, indent=1),
            encoding="utf-8",
        )
    marks_path.unlink()
    partial.rename(target)


def _begin(path: Path, plan: StorePlan) -> int:
    """A file of the final size with numpy's header; returns where the frames begin.

    Space is reserved at once where the system can: a full disk is met here, before any work.
    """
    header = {
        "descr": plan.dtype,
        "fortran_order": False,
        "shape": (plan.samples, *plan.shape),
    }
    if not path.exists():
        free = shutil.disk_usage(path.parent).free
        if plan.n_bytes + RESERVE_BYTES > free:
            raise DatasetError(
                f"{path.parent.parent}: the store needs {plan.n_bytes / 1e6:.0f} MB ({plan}), "
                f"{free / 1e6:.0f} MB are free; free some space or choose another folder"
            )
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            begin, total = file.tell(), file.tell() + plan.n_bytes
            file.flush()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, total)
            else:
                file.truncate(total)
            return begin
    return path.stat().st_size - plan.n_bytes


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _frames(
    dataset: EventDataset, representation: Callable[[Recording], np.ndarray], index: int
) -> np.ndarray:
    frames = np.asarray(representation(dataset.recording(index)))
    if frames.dtype.kind not in "biuf":
        raise DatasetError(
            f"{dataset.samples[index].name}: the representation gives {frames.dtype}, "
            "frames are arrays of numbers"
        )
    return frames


def _checked(
    dataset: EventDataset,
    representation: Callable[[Recording], np.ndarray],
    index: int,
    plan: StorePlan,
) -> np.ndarray:
    frames = _frames(dataset, representation, index)
    if frames.shape != plan.shape or frames.dtype.str != plan.dtype:
        raise DatasetError(
            f"{dataset.samples[index].name}: frames of {frames.dtype.str} {frames.shape}, the "
            f"first sample has {plan.dtype} {plan.shape}; a store holds one shape and dtype"
        )
    return frames


def _is_complete(folder: Path) -> bool:
    try:
        _map_arrays(folder, _read_index(folder))
    except DatasetError:
        return False
    return True


def _read_index(folder: Path) -> StorePlan:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        found = (index.pop("format"), index.pop("version"))
        if found != (FORMAT, VERSION):
            raise ValueError(f"format {found[0]!r} version {found[1]!r}")
        return StorePlan(**index | {"shape": tuple(index["shape"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{folder}: not a complete store of frames ({error})") from error


def _map_arrays(folder: Path, plan: StorePlan) -> tuple[np.ndarray, np.ndarray]:
    try:
        frames = np.load(folder / "frames.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{folder}: not a complete store of frames ({error})") from error
    shape = (plan.samples, *plan.shape)
    if frames.shape != shape or frames.dtype.str != plan.dtype or len(labels) != plan.samples:
        raise DatasetError(f"{folder}: frames {frames.shape} where the index says {shape}")
    return frames, labels
