"""Reading in a child process that may hang or crash.

A damaged HDF5 file can send the HDF5 library into an endless loop or a crash, against which it
offers no defence. So its files are opened and read by a forked child only, which sends the events
through a pipe; a child that dies or stays silent is one clear error. The events are decoded while
the parent works on those before. Systems that cannot fork read in their own process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from snn.errors import EventFormatError
from snn.events.formats.stream import EventStream
from snn.events.recording import EVENT_DTYPE

SILENCE_S = 20.0  # for which a child may send nothing
HEADER, EVENTS, ERROR, END = range(4)
FRAME = struct.Struct("<BQ")  # kind, size of what follows
MAX_FRAME_BYTES = 1 << 30


def isolated(open_stream: Callable[[], EventStream]) -> EventStream:
    """What `open_stream` gives, made in a child process.

    Raises
    ------
    EventFormatError
        What the child raised, or that it crashed or hung; later also from the iterator.
    """
    if not hasattr(os, "fork"):
        return open_stream()
    child = _Child(open_stream)
    _, payload = child.receive()
    header = json.loads(payload)
    size = header["sensor_size"]
    return EventStream(header["format"], tuple(size) if size else None, child)


class _Child(Iterator[np.ndarray]):
    """The parent's end of the pipe."""

    def __init__(self, open_stream: Callable[[], EventStream]) -> None:
        self._pipe, childs_end = os.pipe()
        with warnings.catch_warnings():
            # Python warns that other threads' locks stay locked in the child, which uses none.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            _serve(open_stream, childs_end)
        os.close(childs_end)

    def __next__(self) -> np.ndarray:
        kind, payload = self.receive()
        if kind == END:
            raise StopIteration
        return np.frombuffer(payload, EVENT_DTYPE)

    def receive(self) -> tuple[int, bytearray]:
        if not self._pid:
            return END, bytearray()
        try:
            kind, size = FRAME.unpack(self._read(FRAME.size))
            if size > MAX_FRAME_BYTES:
                raise EventFormatError("damaged: reading it corrupts the HDF5 library")
            payload = self._read(size)
        except EventFormatError:
            self.close()
            raise
        if kind == ERROR:
            self.close()
            raise EventFormatError(payload.decode("utf8", "replace"))
        if kind == END:
            self.close()
        return kind, payload

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        filled = 0
        deadline = time.monotonic() + SILENCE_S
        while filled < size:
            if not select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise EventFormatError("damaged: HDF5 does not come to an end reading it")
            count = os.readv(self._pipe, [view[filled:]])
            if not count:
                raise EventFormatError("damaged: HDF5 crashes reading it")
            filled += count
        return buffer

    def close(self) -> None:
        """End the child; harmless when it has ended."""
        pid, self._pid = self._pid, 0
        if pid:
            os.close(self._pipe)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def __del__(self) -> None:
        if getattr(self, "_pid", 0):
            self.close()


def _serve(open_stream: Callable[[], EventStream], pipe: int) -> None:
    """The child: send everything and leave without touching what it shares with the parent."""
    try:
        with os.fdopen(pipe, "wb", buffering=0) as file:
            try:
                stream = open_stream()
                header = {"format": stream.format, "sensor_size": stream.sensor_size}
                _send(file.fileno(), HEADER, json.dumps(header).encode())
                for events in stream.chunks:
                    _send(
                        file.fileno(),
                        EVENTS,
                        events.tobytes(),
                    )
                _send(file.fileno(), END, b"")
            except EventFormatError as error:
                _send(file.fileno(), ERROR, str(error).encode())
            except BaseException as error:
                text = f"cannot be read, is it truncated or damaged? ({error})"
                _send(file.fileno(), ERROR, text.encode("utf8", "replace"))
    finally:
        os._exit(0)


def _send(pipe: int, kind: int, payload: bytes | memoryview) -> None:
    os.write(pipe, FRAME.pack(kind, len(payload)))
    view = memoryview(payload)
    while len(view):
        view = view[os.write(pipe, view) :]
