"""HDF5 files of events: v2e's table and tables of columns.

Read are

- v2e: a data set ``events`` of integers, shape (n, 4), columns t in µs, x, y, p. v2e does not
  store the sensor size; this package adds it as attributes ``width`` and ``height``;
- a data set ``events`` with fields x, y, t, p;
- a group ``events`` with data sets x, y, t, p, and DSEC's ``t_offset`` beside it;
- Prophesee's ``CD/events``, if it is not compressed with Prophesee's own ECF codec, which no
  maintained library on PyPI provides.

The HDF5 library runs in a child process (`isolated`). A declared size is believed only when as much
is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.isolated import isolated
from snn.events.formats.stream import CHUNK_EVENTS, EventFormat, EventStream, checked_size
from snn.events.formats.tables import Places, TableLayout, named_fields, pick, to_events
from snn.events.recording import EVENT_FIELDS, MAX_TIME_US, EventReport

MAX_CHUNK_BYTES = 1 << 27
MAX_CHUNK_EVENTS = 1 << 23
ECF_FILTER = 0x8ECF
V2E_COLUMNS = ("t", "x", "y", "p")
WRITE_ROWS = 1 << 14
PACKED = {"compression": "gzip", "shuffle": True}


def open_hdf5(path: Path, layout: TableLayout) -> EventStream:
    """Open an HDF5 file of events; of `layout` only the time unit is used.

    Raises
    ------
    EventFormatError
        For a foreign layout, a damaged file, or a codec that is not available.
    """
    return isolated(_open, path, layout)


def _open(path: Path, layout: TableLayout) -> EventStream:
    file = h5py.File(path, "r")
    name, datasets, places, unit = _find(file)
    lengths = {len(dataset) for dataset in datasets.values()}
    if len(lengths) > 1:
        raise EventFormatError(f"its columns have different lengths: {sorted(lengths)}")
    for dataset in datasets.values():
        _check_stored(dataset)
    some = next(iter(datasets.values()))
    attributes = {**file.attrs, **some.parent.attrs, **some.attrs}
    size = None
    if {"width", "height"} <= attributes.keys():
        size = checked_size(int(attributes["width"]), int(attributes["height"]))
    offset = int(_own(file, "t_offset")[()]) if "t_offset" in file else 0
    if abs(offset) > MAX_TIME_US:
        raise EventFormatError(f"t_offset is {offset} µs, more than 2**61")
    return EventStream(name, size, _chunks(datasets, places, layout.time_unit or unit, offset))


def _find(file: h5py.File) -> tuple[str, dict[str, h5py.Dataset], Places, str | None]:
    """The layout of a file: its name, its data sets, where the columns are, the unit of time."""
    name, path = ("Prophesee HDF5", "CD/events") if "CD/events" in file else ("HDF5", "events")
    events = _own(file, path) if path in file else None
    if isinstance(events, h5py.Group):
        fields, unit = named_fields(tuple(events))
        columns = {field: _own(events, fields[field]) for field in fields}
        if len(fields) == 4 and all(getattr(c, "ndim", 0) == 1 for c in columns.values()):
            return name, columns, {field: (field, None) for field in EVENT_FIELDS}, unit
    elif isinstance(events, h5py.Dataset) and events.ndim == 2 and events.shape[1] == 4:
        if not np.issubdtype(events.dtype, np.integer):
            raise EventFormatError(f"events must be integers, found {events.dtype}")
        places: Places = {field: ("events", i) for i, field in enumerate(V2E_COLUMNS)}
        return "v2e HDF5", {"events": events}, places, None
    elif isinstance(events, h5py.Dataset) and events.ndim == 1 and events.dtype.names:
        fields, unit = named_fields(events.dtype.names)
        if len(fields) == 4:
            return name, {"events": events}, {f: ("events", fields[f]) for f in fields}, unit
    raise EventFormatError(
        "expected a data set 'events' of shape (n, 4) as v2e writes it, or one with x, y, t and p; "
        f"found {list(file)[:8]}"
    )


def _own(group: h5py.Group, name: str) -> h5py.HLObject:
    """A member that is in this very file."""
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise EventFormatError(f"{name} is a link, not data")
        group = group[part]
    return group


def _check_stored(dataset: h5py.Dataset) -> None:
    """Refuse what declares more than it stores, or cannot be decoded, before reading any of it."""
    if dataset.external or dataset.is_virtual:
        raise EventFormatError(f"{dataset.name} keeps its data in another file")
    filters = dataset.id.get_create_plist()
    for index in range(filters.get_nfilters()):
        code, _, _, label = filters.get_filter(index)
        if code == ECF_FILTER:
            raise EventFormatError(
                "is compressed with Prophesee's ECF codec, which is not available here; export it "
                "as EVT3 (.raw) or CSV with Prophesee's tools (metavision_file_to_csv)"
            )
        if not h5py.h5z.filter_avail(code):
            raise EventFormatError(
                f"is compressed with the HDF5 filter {code} ({label.decode('utf8', 'replace')}), "
                "which is not available here; repack it with gzip (h5repack -f GZIP=6)"
            )
    if dataset.chunks is None:
        stored = dataset.id.get_storage_size()
        complete = stored >= dataset.nbytes
    else:
        size = np.prod(dataset.chunks, dtype=float) * dataset.dtype.itemsize
        if size > MAX_CHUNK_BYTES or dataset.chunks[0] > MAX_CHUNK_EVENTS:
            raise EventFormatError(
                f"{dataset.name} is stored in chunks of {dataset.chunks}; allowed are "
                f"{MAX_CHUNK_BYTES} bytes and {MAX_CHUNK_EVENTS} events"
            )
        needed = np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)])
        complete = dataset.id.get_num_chunks() >= needed
    if not complete:
        raise EventFormatError(
            f"{dataset.name} declares {len(dataset)} events but does not store as many; "
            "the file is damaged or was not closed"
        )


def _chunks(
    datasets: dict[str, h5py.Dataset], places: Places, unit: str | None, offset_us: int
) -> Iterator[np.ndarray]:
    some = next(iter(datasets.values()))
    step = max(CHUNK_EVENTS, some.chunks[0] if some.chunks else 0)
    for start in range(0, len(some), step):
        blocks = {name: dataset[start : start + step] for name, dataset in datasets.items()}
        events = to_events(pick(blocks, places), unit)
        events["t"] += offset_us
        yield events


def write_hdf5(
    path: Path, report: EventReport, sensor_size: tuple[int, int], chunks: Iterator[np.ndarray]
) -> None:
    """Write v2e's table, with the sensor size as attributes ``width`` and ``height``.

    Times are 32 bits wide, as v2e's are, where they fit and 64 bits where not.
    """
    fits = report.first_us >= 0 and report.last_us <= np.iinfo(np.uint32).max
    with h5py.File(path, "w") as file:
        table = file.create_dataset(
            "events",
            (report.events, 4),
            np.uint32 if fits else np.int64,
            maxshape=(None, 4),
            chunks=(WRITE_ROWS, 4),
            **PACKED,
        )
        table.attrs["width"], table.attrs["height"] = sensor_size
        at = 0
        for events in chunks:
            rows = np.stack([events[field].astype(table.dtype) for field in V2E_COLUMNS], axis=1)
            table[at : at + len(rows)] = rows
            at += len(rows)


FORMAT = EventFormat(
    name="HDF5",
    suffixes=(".h5", ".hdf5"),
    magic=b"\x89HDF\r\n\x1a\n",
    open=open_hdf5,
    write=write_hdf5,
)
