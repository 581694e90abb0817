"""AEDAT 4 files, as written by iniVation's DV.

``#!AER-DAT4.0\\r\\n``, then a size-prefixed flatbuffer ``IOHE`` (field 0 compression, field 1 where
the table of contents begins or -1, field 2 an XML text on the streams), then packets: stream number
and size (32 bits each) and a compressed flatbuffer. One of events is an ``EVTS`` whose field 0 is a
vector of 16-byte structures: t in µs (64 bits), x, y (16 bits each), polarity (8 bits), 3 spare.

Times are as stored, usually since 1970. With several event streams the first one is read. The
flatbuffers are taken apart here, with every offset checked: readers that trust a file's offsets or
sizes can be crashed by one.

Source: gitlab.com/inivation/dv/dv-processing, the flatbuffer schemas of AEDAT 4.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import EventFormat, EventStream, checked_size
from snn.events.formats.tables import TableLayout
from snn.events.recording import MAX_TIME_US, make_events

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_HEADER_BYTES = 1 << 22
MAX_PACKET_BYTES = 1 << 27  # unpacked; 8 million events
STORED_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("spare", "V3")])


def open_aedat(path: Path, layout: TableLayout) -> EventStream:
    """Open an AEDAT 4 file; `layout` is not needed.

    Raises
    ------
    EventFormatError
        For a foreign or damaged header, a file without events, or a missing library.
    """
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            raise EventFormatError(
                f"begins with {magic!r}, not with {MAGIC!r}; AEDAT 2 and 3 are not read: "
                "convert the file to AEDAT 4 with DV"
            )
        (size,) = struct.unpack("<I", file.read(4))
        header = _read(file, size, MAX_HEADER_BYTES)
        start = file.tell()
    root = _root(header, 0, b"IOHE")
    compression = struct.unpack_from("<i", header, at)[0] if (at := _field(header, root, 0)) else 0
    end = struct.unpack_from("<q", header, at)[0] if (at := _field(header, root, 1)) else -1
    stream, sensor_size = _event_stream(_text(header, root, 2))
    chunks = _chunks(path, start, end, stream, _unpacker(compression))
    return EventStream("AEDAT4", sensor_size, chunks)


def _event_stream(text: str) -> tuple[int, tuple[int, int] | None]:
    """Number and sensor size of the first event stream that the XML text names."""
    if "<!" in text:
        raise EventFormatError("its header declares XML entities, which no recorder writes")
    nodes = ElementTree.fromstring(text).iterfind(".//node[@name='outInfo']/node")
    for node in nodes:
        values = {a.get("key"): a.text or "" for a in node.iter("attr")}
        if values.get("typeIdentifier") == "EVTS":
            if "sizeX" not in values or "sizeY" not in values:
                return int(node.get("name", "")), None
            size = checked_size(int(values["sizeX"][:9]), int(values["sizeY"][:9]))
            return int(node.get("name", "")), size
    raise EventFormatError("holds no stream of events")


def _chunks(
    path: Path, start: int, end: int, stream: int, unpack: Callable[[bytes], bytes]
) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        file.seek(start)
        while end < 0 or file.tell() < end:
            prefix = file.read(8)
            if not prefix and end < 0:
                return
            number, size = struct.unpack("<iI", prefix)
            if number == stream:
                yield _events(unpack(_read(file, size, MAX_PACKET_BYTES)))
            else:
                file.seek(size, 1)


def _events(packet: bytes) -> np.ndarray:
    (size,) = struct.unpack_from("<I", packet)
    if size > len(packet) - 4:
        raise EventFormatError(f"a packet of {len(packet)} bytes declares {size}")
    at = _field(packet, _root(packet, 4, b"EVTS"), 0)
    if not at:
        return make_events(*np.zeros((4, 0), np.int64))
    at += struct.unpack_from("<I", packet, at)[0]
    (count,) = struct.unpack_from("<I", packet, at)
    if at + 4 + count * STORED_EVENT.itemsize > len(packet):
        raise EventFormatError(f"a packet of {len(packet)} bytes declares {count} events")
    stored = np.frombuffer(packet, STORED_EVENT, count, at + 4)
    if count and (min(stored["x"].min(), stored["y"].min()) < 0 or stored["p"].max() > 1):
        raise EventFormatError("holds negative pixel addresses or polarities other than 0 and 1")
    if count and not -MAX_TIME_US <= stored["t"].min() <= stored["t"].max() <= MAX_TIME_US:
        raise EventFormatError("holds times beyond ±2**61 µs")
    return make_events(stored["x"], stored["y"], stored["t"], stored["p"])


def _read(file: BinaryIO, size: int, limit: int) -> bytes:
    if size > limit:
        raise EventFormatError(f"declares a block of {size} bytes, more than {limit}")
    block = file.read(size)
    if len(block) < size:
        raise EventFormatError(
            f"ends within a block of {size} bytes; the file is truncated or the recording was "
            "not closed"
        )
    return block


def _root(buffer: bytes, start: int, identifier: bytes) -> int:
    """Where the root table of a flatbuffer is."""
    (offset,) = struct.unpack_from("<I", buffer, start)
    if buffer[start + 4 : start + 8] != identifier:
        raise EventFormatError(
            f"expected a block {identifier!r}, found {buffer[start + 4 : start + 8]!r}"
        )
    return start + offset


def _field(buffer: bytes, table: int, index: int) -> int:
    """Where a field of a flatbuffer table is; 0 when it is left out."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    if not 0 <= vtable <= len(buffer) - 4:
        raise EventFormatError("a flatbuffer points outside itself")
    (size,) = struct.unpack_from("<H", buffer, vtable)
    entry = 4 + 2 * index
    if entry + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, vtable + entry)
    return table + offset if offset else 0


def _text(buffer: bytes, table: int, index: int) -> str:
    at = _field(buffer, table, index)
    if not at:
        raise EventFormatError("its header does not describe the streams")
    at += struct.unpack_from("<I", buffer, at)[0]
    (size,) = struct.unpack_from("<I", buffer, at)
    return buffer[at + 4 : at + 4 + size].decode("utf8")


def _unpacker(compression: int) -> Callable[[bytes], bytes]:
    if compression == 0:
        return bytes
    if compression in (1, 2):
        return _lz4_unpacker(_library("lz4.frame", "lz4"))
    if compression in (3, 4):
        return _zstd_unpacker(_library("zstandard", "zstandard"))
    raise EventFormatError(f"unknown compression {compression}")


def _lz4_unpacker(lz4: ModuleType) -> Callable[[bytes], bytes]:
    def unpack(packed: bytes) -> bytes:
        decompressor = lz4.LZ4FrameDecompressor()
        unpacked = decompressor.decompress(packed, max_length=MAX_PACKET_BYTES)
        if not decompressor.eof:
            raise EventFormatError(
                f"a packet is cut short or unpacks to more than {MAX_PACKET_BYTES} bytes"
            )
        return bytes(unpacked)

    return unpack


def _zstd_unpacker(zstandard: ModuleType) -> Callable[[bytes], bytes]:
    def unpack(packed: bytes) -> bytes:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_PACKET_BYTES)
        with decompressor.stream_reader(packed) as reader:
            unpacked = reader.read(MAX_PACKET_BYTES)
            if reader.read(1):
                raise EventFormatError(f"a packet unpacks to more than {MAX_PACKET_BYTES} bytes")
        return bytes(unpacked)

    return unpack


def _library(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise EventFormatError(
            f"its packets are compressed and the package {package!r} is not installed; "
            f"install it with: pip install {package}"
        ) from None


FORMAT = EventFormat(
    name="AEDAT4", suffixes=(".aedat4", ".aedat"), magic=b"#!AER-DAT", open=open_aedat
)
