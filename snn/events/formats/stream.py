"""What a reader of one format gives: what its header says, and its events piece by piece.

Every reader is a function from a file to an `EventStream`. Pieces are small and come in the order
of the file, so that one reader serves a whole read, a read in windows and a summary alike.
Whatever is wrong is an ``EventFormatError`` without the file's name, which `naming` adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.tables import TableLayout
from snn.events.recording import EventReport

CHUNK_EVENTS = 1 << 18  # about what a reader gives at once
MAX_SIDE = 1 << 16  # pixel addresses are 16 bits wide
MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class EventStream:
    """An opened recording.

    Attributes
    ----------
    format : str
        Name of the format, with its version.
    sensor_size : tuple of int or None
        ``(width, height)`` as stored; None where the format or this file does not store it.
    chunks : iterator of ndarray of shape (n,), dtype ``EVENT_DTYPE``
        In the order of the file; possibly out of time order or outside the sensor.
    """

    format: str
    sensor_size: tuple[int, int] | None
    chunks: Iterator[np.ndarray]

    def close(self) -> None:
        """Let go of the file before all events were taken."""
        close = getattr(self.chunks, "close", None)
        if close:
            close()


Opener = Callable[[Path, TableLayout], EventStream]
# The file to write, all that is known about the events, (width, height), and the events.
Writer = Callable[[Path, EventReport, tuple[int, int], Iterator[np.ndarray]], None]


@dataclass(frozen=True, kw_only=True)
class EventFormat:
    """One format: how to know its files, to read them and, for some, to write them."""

    name: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
    open: Opener
    write: Writer | None = None


class NamedError(EventFormatError):
    """One whose message names the file already."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file causes into one error that names it."""
    try:
        yield
    except NamedError:
        raise
    except EventFormatError as error:
        raise NamedError(f"{path}: {error}".replace(f"{path}: {path}: ", f"{path}: ")) from error
    except MemoryError as error:
        raise NamedError(f"{path}: needs more memory than there is; read it in windows") from error
    # The libraries beneath raise a dozen types of their own, IndexError and RecursionError among
    # them; every one means the same to the user.
    except Exception as error:
        raise NamedError(
            f"{path}: cannot be read, is it truncated or damaged? ({type(error).__name__}: {error})"
        ) from error


def checked_size(width: int, height: int) -> tuple[int, int]:
    """A sensor size that a file or a caller states.

    Raises
    ------
    EventFormatError
        When no sensor can have it.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise EventFormatError(
            f"there is no sensor of {width}×{height} pixels; "
            f"allowed are 1×1 to {MAX_SIDE}×{MAX_SIDE}"
        )
    return width, height


def read_words(file: BinaryIO, dtype: str, count: int) -> Iterator[np.ndarray]:
    """The rest of a file as arrays of at most `count` values of `dtype`.

    Raises
    ------
    EventFormatError
        When the file ends within a value.
    """
    size = np.dtype(dtype).itemsize
    while block := file.read(count * size):
        if len(block) % size:
            raise EventFormatError(
                f"ends in the middle of a {size}-byte word; the file is truncated"
            )
        yield np.frombuffer(block, dtype)
