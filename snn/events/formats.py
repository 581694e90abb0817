"""Readers of event files: N-MNIST binary and v2e HDF5.

Files come from strangers: every size is checked before memory is taken, and whatever is wrong is
said in one ``EventFormatError`` that names the file.

>>> read_recording("faces_easy_0001.bin").sensor_size
(173, 151)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from snn.errors import EventFormatError
from snn.events.recording import Recording, make_events

NMNIST_EVENT_BYTES = 5
MAX_EVENTS = 200_000_000  # 2.6 GB of events


def read_recording(path: str | Path, *, sensor_size: tuple[int, int] | None = None) -> Recording:
    """Read a recording, by the ending of its name.

    Parameters
    ----------
    path : str or Path
        ``.bin`` (N-MNIST and N-Caltech101) or ``.h5``/``.hdf5`` (v2e).
    sensor_size : tuple of int, optional
        ``(width, height)``. Neither format stores it; by default the smallest sensor that holds
        all events is taken.

    Raises
    ------
    EventFormatError
        For a missing, foreign, truncated or empty file, or events outside `sensor_size`.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise EventFormatError(
            f"{path}: no reader for {path.suffix or 'files without an ending'!r}; "
            f"there are readers for {', '.join(READERS)}"
        )
    if not path.is_file():
        raise EventFormatError(f"{path}: there is no such file")
    try:
        events = reader(path)
    except OSError as error:
        raise EventFormatError(f"{path}: cannot be read, is it truncated? ({error})") from error
    if not len(events):
        raise EventFormatError(f"{path}: the recording is empty")
    if sensor_size is None:
        sensor_size = (int(events["x"].max()) + 1, int(events["y"].max()) + 1)
    return Recording(events, sensor_size=sensor_size, source=str(path))


def _read_nmnist(path: Path) -> np.ndarray:
    """40 bits an event: x, y, then polarity (1 bit) and time in µs (23 bits), big-endian.

    Source: G. Orchard et al., "Converting Static Image Datasets to Spiking Neuromorphic Datasets
    Using Saccades", Frontiers in Neuroscience 2015, and its published reader.
    """
    size = path.stat().st_size
    if size % NMNIST_EVENT_BYTES:
        raise EventFormatError(
            f"{path}: {size} bytes are not a whole number of {NMNIST_EVENT_BYTES}-byte events; "
            "the file is truncated or not in the N-MNIST format"
        )
    _check_count(path, size // NMNIST_EVENT_BYTES)
    raw = np.fromfile(path, np.uint8).reshape(-1, NMNIST_EVENT_BYTES).astype(np.int64)
    t = ((raw[:, 2] & 0x7F) << 16) | (raw[:, 3] << 8) | raw[:, 4]
    events = make_events(raw[:, 0], raw[:, 1], t, raw[:, 2] >> 7)
    # An address of (any x, 240) is no event: it marks that the clock overflowed by 2**13 µs.
    overflows = np.cumsum(events["y"] == 240)
    events["t"] += overflows << 13
    return events[events["y"] != 240]


def _read_v2e(path: Path) -> np.ndarray:
    """Data set ``events`` of v2e: unsigned integers ``[n, 4]``, columns t in µs, x, y, p."""
    with h5py.File(path, "r") as file:
        table = file.get("events")
        if not isinstance(table, h5py.Dataset) or table.ndim != 2 or table.shape[1] != 4:
            raise EventFormatError(
                f"{path}: expected a data set 'events' of shape (n, 4) as v2e writes it, "
                f"found {list(file)[:8]}"
            )
        if not np.issubdtype(table.dtype, np.integer):
            raise EventFormatError(f"{path}: events must be integers, found {table.dtype}")
        _check_count(path, table.shape[0])
        t, x, y, p = table[...].T
    if len(x) and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) > np.iinfo(np.uint16).max):
        raise EventFormatError(f"{path}: pixel addresses must lie in [0, 65535]")
    if len(p) and not np.isin(p, (0, 1)).all():
        raise EventFormatError(f"{path}: polarities must be 0 or 1, found {np.unique(p)[:8]}")
    return make_events(x, y, t, p)


def _check_count(path: Path, count: int) -> None:
    if count > MAX_EVENTS:
        raise EventFormatError(
            f"{path}: declares {count} events, more than the {MAX_EVENTS} this reader takes at once"
        )


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".bin": _read_nmnist,
    ".h5": _read_v2e,
    ".hdf5": _read_v2e,
}
