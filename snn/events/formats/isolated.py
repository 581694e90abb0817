"""Reading in a child process that may hang or crash.

A damaged HDF5 file can send the HDF5 library into an endless loop or a crash, against which it
offers no defence. So its files are opened and read by a forked child only, which sends the events
through a pipe; a child that dies or stays silent is one clear error. The events are decoded while
the parent works on those before. Systems that cannot fork read in their own process.

Forking a large process takes longer than reading a small file, so a child that read a file to its
end waits a moment for the next one. A child that met anything odd is never used again.

>>> stream = isolated(_open, path, layout)
"""

from __future__ import annotations

import json
import os
import pickle
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

SILENCE_S = 20.0  # for which a child that reads may send nothing
IDLE_S = (
    2.0  # for which a child waits for another file; it holds on to the memory it was forked from
)
READY, HEADER, EVENTS, ERROR, END = range(5)
FRAME = struct.Struct("<BQ")  # kind, size of what follows
MAX_FRAME_BYTES = 1 << 30


def isolated(open_stream: Callable[..., EventStream], *arguments: object) -> EventStream:
    """What ``open_stream(*arguments)`` gives, made in a child process.

    Parameters
    ----------
    open_stream : callable
        A function of a module, so that its name can be sent.
    *arguments
        Anything that can be pickled; only this process ever reads it.

    Raises
    ------
    EventFormatError
        What the child raised, or that it crashed or hung; later also from the iterator.
    """
    if not hasattr(os, "fork"):
        return open_stream(*arguments)
    request = pickle.dumps((open_stream, arguments))
    chunks = _Chunks(_idle_child(request) or _new_child(request))
    header = json.loads(chunks.receive(HEADER))
    size = header["sensor_size"]
    return EventStream(header["format"], tuple(size) if size else None, chunks)


class _Child:
    """The parent's ends of the pipes to a child and back."""

    def __init__(self) -> None:
        childs_start, self._requests = os.pipe()
        self._answers, childs_end = os.pipe()
        self.owner = os.getpid()
        with warnings.catch_warnings():
            # Python warns that other threads' locks stay locked in the child, which uses none.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid == 0:
            os.close(self._requests)
            os.close(self._answers)
            _serve(childs_start, childs_end)
        os.close(childs_start)
        os.close(childs_end)

    def takes(self, request: bytes) -> bool:
        """Hand it a request; False when it has left."""
        try:
            _send(self._requests, READY, request)
            return self.receive()[0] == READY
        except (OSError, EventFormatError):
            return False

    def receive(self) -> tuple[int, bytearray]:
        """The next frame: its kind and what is in it.

        Raises
        ------
        EventFormatError
            When the child is silent for too long, or gone.
        """
        kind, size = FRAME.unpack(self._read(FRAME.size))
        if size > MAX_FRAME_BYTES:
            raise EventFormatError("damaged: reading it corrupts the HDF5 library")
        return kind, self._read(size)

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        filled = 0
        deadline = time.monotonic() + SILENCE_S
        while filled < size:
            wait_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], wait_s)[0]:
                raise EventFormatError("damaged: HDF5 does not come to an end reading it")
            count = os.readv(self._answers, [view[filled:]])
            if not count:
                raise EventFormatError("damaged: HDF5 crashes reading it")
            filled += count
        return buffer

    def close(self) -> None:
        """End the child, whatever it is doing; harmless when it has ended."""
        pid, self._pid = self._pid, 0
        if pid and self.owner == os.getpid():
            os.close(self._requests)
            os.close(self._answers)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def __del__(self) -> None:
        if getattr(self, "_pid", 0):
            self.close()


_idle: list[_Child] = []
"""Children of this process that wait for a file; after a fork also some of the parent's."""


def _idle_child(request: bytes) -> _Child | None:
    """A waiting child of this process that has taken the request."""
    while _idle:
        child = _idle.pop()
        if child.owner == os.getpid() and child.takes(request):
            return child
        child.close()
    return None


def _new_child(request: bytes) -> _Child:
    child = _Child()
    if not child.takes(request):
        child.close()
        raise EventFormatError("the process that reads HDF5 files ended at once; is memory short?")
    return child


class _Chunks(Iterator[np.ndarray]):
    """Events of one file as they arrive; at the end the child is free for another one."""

    def __init__(self, child: _Child) -> None:
        self._child: _Child | None = child

    def __next__(self) -> np.ndarray:
        if self._child is None:
            raise StopIteration
        return np.frombuffer(self.receive(EVENTS), EVENT_DTYPE)

    def receive(self, wanted: int) -> bytearray:
        """What the next frame holds, when it is of the kind that is wanted."""
        child, self._child = self._child, None
        assert child is not None
        try:
            kind, payload = child.receive()
        except EventFormatError:
            child.close()
            raise
        if kind == END:
            _idle.append(child)
            raise StopIteration
        if kind != wanted:
            child.close()
            raise EventFormatError(payload.decode("utf8", "replace"))
        self._child = child
        return payload

    def close(self) -> None:
        """End a reading that nobody wants the rest of."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def __del__(self) -> None:
        self.close()


def _serve(requests: int, answers: int) -> None:
    """The child: read files until one is odd or none is asked for, and leave.

    It leaves without touching what it shares with the parent, also when the parent is gone.
    """
    patience = None  # the first file is on its way
    try:
        while select.select([requests], [], [], patience)[0]:
            with os.fdopen(os.dup(requests), "rb", buffering=0) as file:
                head = file.read(FRAME.size)
                if not head:
                    break
                request = bytearray()
                while len(request) < FRAME.unpack(head)[1]:
                    request += file.read(FRAME.unpack(head)[1] - len(request))
            _send(answers, READY, b"")
            open_stream, arguments = pickle.loads(request)
            if not _answer(answers, open_stream, arguments):
                break
            patience = IDLE_S
    finally:
        os._exit(0)


def _answer(
    pipe: int, open_stream: Callable[..., EventStream], arguments: tuple[object, ...]
) -> bool:
    """Send everything that is in a file; False when that did not go well."""
    try:
        stream = open_stream(*arguments)
        header = {"format": stream.format, "sensor_size": stream.sensor_size}
        _send(pipe, HEADER, json.dumps(header).encode())
        for events in stream.chunks:
            _send(pipe, EVENTS, events.tobytes())
        _send(pipe, END, b"")
    except EventFormatError as error:
        _send(pipe, ERROR, str(error).encode())
        return False
    except BaseException as error:
        text = f"cannot be read, is it truncated or damaged? ({error})"
        _send(pipe, ERROR, text.encode("utf8", "replace"))
        return False
    return True


def _send(pipe: int, kind: int, payload: bytes | memoryview) -> None:
    os.write(pipe, FRAME.pack(kind, len(payload)))
    view = memoryview(payload)
    while len(view):
        view = view[os.write(pipe, view) :]
