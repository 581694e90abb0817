"""The text header of Prophesee's files: lines ``% keyword value`` before the binary data.

>>> TextHeader({"geometry": "640x480"}).sensor_size()
(640, 480)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import MAX_HEADER_BYTES, checked_size


@dataclass(frozen=True)
class TextHeader:
    """Keywords (lower case) and their values."""

    values: dict[str, str]

    def sensor_size(self) -> tuple[int, int] | None:
        """``(width, height)`` from ``geometry``, ``format`` or ``width`` and ``height``."""
        values = self.values
        if geometry := re.fullmatch(r"(\d{1,9})x(\d{1,9})", values.get("geometry", "")):
            return checked_size(int(geometry[1]), int(geometry[2]))
        fields = dict(re.findall(r"(width|height)=(\d{1,9})", values.get("format", "")))
        fields |= {k: values[k] for k in ("width", "height") if values.get(k, "").isdecimal()}
        if {"width", "height"} <= fields.keys():
            return checked_size(int(fields["width"][:9]), int(fields["height"][:9]))
        return None

    def start_us(self) -> int:
        """Time to add to all others, from ``t0``: faery's addition to Prophesee's headers."""
        text = self.values.get("t0", "0")
        return int(text) if re.fullmatch(r"\d{1,18}", text) else 0


def read_header(file: BinaryIO) -> TextHeader:
    """Read the header and leave the file at the first byte after it.

    The header ends at ``% end`` or before the first line that is not ``%``, a space and text: the
    first data byte of an older file may itself be ``%``.

    Raises
    ------
    EventFormatError
        When the header does not end.
    """
    values: dict[str, str] = {}
    while True:
        start = file.tell()
        line = file.readline(MAX_HEADER_BYTES)
        text = line[2:].decode("utf8", "replace").strip()
        if not line.startswith(b"% ") or not line.endswith(b"\n") or not text.isprintable():
            file.seek(start)
            return TextHeader(values)
        if file.tell() > MAX_HEADER_BYTES:
            raise EventFormatError(f"its header is longer than {MAX_HEADER_BYTES} bytes")
        if text.lower() == "end":
            return TextHeader(values)
        keyword, _, value = text.partition(" ")
        values[keyword.lower()] = value.strip()


def shifted(chunks: Iterator[np.ndarray], start_us: int) -> Iterator[np.ndarray]:
    """The same events, later by `start_us`; in place."""
    for events in chunks:
        events["t"] += start_us
        yield events
