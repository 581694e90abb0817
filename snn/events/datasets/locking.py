"""One writer at a time: a lock that the system releases when its process dies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: two writers of one store are the user's to avoid
    fcntl = None  # type: ignore[assignment]

LOGGER = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever holds it.

    The file stays: removing it would let a second process lock a name that a third replaces.
    """
    with path.open("ab") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                LOGGER.info("%s: another process (not %d) is writing, waiting", path, os.getpid())
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
