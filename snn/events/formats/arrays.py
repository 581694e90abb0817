"""NumPy files: ``.npy`` tables and structured arrays, ``.npz`` with one of them or four columns.

A structured array says by its field names what is what (tonic's dtypes included). A plain (n, 4)
table does not: e-CK+ is ``TableLayout(columns="xytp", time_unit="s")``. An ``.npz`` file holds
``events`` (a structured array, or a table), or x, y, t and p; and ``width`` and ``height`` or
nothing. Nothing is unpickled, and files are read piece by piece.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream, checked_size
from snn.events.formats.tables import (
    Places,
    TableLayout,
    checked_events,
    named_fields,
    pick,
    to_events,
)
from snn.events.recording import EVENT_DTYPE, EVENT_FIELDS, EventReport

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"
MAX_ITEM_BYTES = 256


class _Array:
    """A stored array, read from its first row to its last."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise EventFormatError(f"{name}: NPY version {version} is not supported")
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        self.shape, by_column, self.dtype = read[version[0]](file)
        if self.dtype.hasobject or not 0 < self.dtype.itemsize <= MAX_ITEM_BYTES:
            raise EventFormatError(f"{name}: expected numbers, found {self.dtype}")
        if by_column and len(self.shape) > 1:
            raise EventFormatError(
                f"{name}: is stored column by column; save it again with "
                "numpy.save(path, numpy.ascontiguousarray(array))"
            )
        if any(n < 0 for n in self.shape):
            raise EventFormatError(f"{name}: has the shape {self.shape}")
        self._file, self._name = file, name

    def rows(self, count: int) -> np.ndarray:
        """The next `count` rows of a one- or two-dimensional array."""
        width = int(np.prod(self.shape[1:]))
        block = self._file.read(count * width * self.dtype.itemsize)
        if len(block) < count * width * self.dtype.itemsize:
            raise EventFormatError(
                f"{self._name}: declares the shape {self.shape} but holds less; "
                "the file is truncated"
            )
        return np.frombuffer(block, self.dtype).reshape(count, *self.shape[1:])


def open_npy(path: Path, layout: TableLayout) -> EventStream:
    """Open a ``.npy`` file: a structured array, or an (n, 4) table that `layout` explains."""
    file = path.open("rb")
    return EventStream("NPY", None, _chunks({"events": _Array(file, "the array")}, layout))


def open_npz(path: Path, layout: TableLayout) -> EventStream:
    """Open an ``.npz`` file with ``events``, or x, y, t and p."""
    archive = zipfile.ZipFile(path)
    members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    size = None
    if {"width", "height"} <= members.keys():
        side = [_number(archive, members[name]) for name in ("width", "height")]
        size = checked_size(*side)
    if "events" in members:
        names = {"events": members["events"]}
    else:
        fields, unit = named_fields(tuple(members))
        if len(fields) < len(EVENT_FIELDS):
            raise EventFormatError(
                f"expected an array 'events', or x, y, t and p; found {list(members)[:8]}"
            )
        layout = TableLayout(columns=layout.columns, time_unit=layout.time_unit or unit)
        names = {field: members[fields[field]] for field in EVENT_FIELDS}
    arrays = {field: _Array(archive.open(name), name) for field, name in names.items()}
    return EventStream("NPZ", size, _chunks(arrays, layout))


def _number(archive: zipfile.ZipFile, name: str) -> int:
    with archive.open(name) as file:
        array = _Array(file, name)
        if array.shape != () or array.dtype.kind not in "iu":
            raise EventFormatError(f"{name}: expected one whole number, found {array.shape}")
        return int(array.rows(1)[0])


def _chunks(arrays: dict[str, _Array], layout: TableLayout) -> Iterator[np.ndarray]:
    """Rows of one table, or of four columns side by side."""
    lengths = {array.shape[0] if array.shape else -1 for array in arrays.values()}
    if len(lengths) > 1 or -1 in lengths:
        raise EventFormatError(
            f"its arrays have the shapes {[array.shape for array in arrays.values()]}; "
            "expected one row an event in each"
        )
    places, unit = _places(arrays, layout)
    length = lengths.pop()
    for start in range(0, length, CHUNK_EVENTS):
        count = min(CHUNK_EVENTS, length - start)
        blocks = {name: array.rows(count) for name, array in arrays.items()}
        events = blocks.get("events")
        if events is not None and events.dtype == EVENT_DTYPE and unit in (None, "us"):
            yield checked_events(events)
        else:
            yield to_events(pick(blocks, places), unit)


def _places(arrays: dict[str, _Array], layout: TableLayout) -> tuple[Places, str | None]:
    """Where x, y, t and p are, and the unit of time."""
    if "events" not in arrays:
        if any(len(array.shape) != 1 for array in arrays.values()):
            raise EventFormatError("x, y, t and p must have one dimension each")
        return {field: (field, None) for field in EVENT_FIELDS}, layout.time_unit
    array = arrays["events"]
    if array.dtype.names and len(array.shape) == 1:
        fields, unit = named_fields(array.dtype.names)
        if len(fields) == len(EVENT_FIELDS):
            return {f: ("events", fields[f]) for f in EVENT_FIELDS}, layout.time_unit or unit
    elif len(array.shape) == 2 and array.shape[1] == 4:
        if layout.columns is None:
            raise EventFormatError(
                "is a plain table of 4 columns; say which they are, as in columns='xytp', and the "
                "unit of time (e-CK+: columns 'xytp', time_unit 's')"
            )
        return {c: ("events", i) for i, c in enumerate(layout.columns)}, layout.time_unit
    raise EventFormatError(
        "expected an array with fields x, y, t, p or a table of shape (n, 4), found "
        f"{array.dtype} of shape {array.shape}"
    )


def write_npy(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write one structured array of ``EVENT_DTYPE``; the sensor size is lost."""
    with path.open("wb") as file:
        _write_array(file, report.events, chunks)


def write_npz(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write ``events`` (a structured array of ``EVENT_DTYPE``), ``width`` and ``height``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, side in zip(("width", "height"), sensor_size, strict=True):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.array(side, np.int64), allow_pickle=False)
        with archive.open("events.npy", "w", force_zip64=True) as file:
            _write_array(file, report.events, chunks)


def _write_array(file: IO[bytes], count: int, chunks: Iterator[np.ndarray]) -> None:
    descr = np.lib.format.dtype_to_descr(EVENT_DTYPE)
    header = {"descr": descr, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
    for events in chunks:
        file.write(events.tobytes())


NPY = EventFormat(name="NPY", suffixes=(".npy",), magic=NPY_MAGIC, open=open_npy, write=write_npy)
NPZ = EventFormat(name="NPZ", suffixes=(".npz",), magic=ZIP_MAGIC, open=open_npz, write=write_npz)
