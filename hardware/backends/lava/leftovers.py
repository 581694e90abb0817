"""What a Lava worker can leave behind, and how to remove it: processes, shared memory, folders.

A worker leads a session of its own, so that everything it forks can be found and ended. Its
shared memory is called ``spikeface_<worker>_...``, its folder ``spikeface-<owner>-...``. Nothing
is left of a run that ends, fails or is interrupted, or whose owner is killed; what this module
finds remains when owner and worker are killed together.

>>> clean(find_leftovers())
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

WORKER_MODULE = "hardware.backends.lava.worker"
BOARD_WORKER_MODULE = "hardware.backends.loihi.worker"
SHARED_MEMORY = Path("/dev/shm")  # where POSIX shared memory is a file; elsewhere nothing is found
SEGMENT_NAME = re.compile(r"(?:sem\.)?spikeface_(\d+)_")
FOLDER_NAME = re.compile(r"spikeface-(\d+)-")
END_LIMIT_S = 5.0  # until a killed process must be gone


@dataclass(frozen=True)
class Leftover:
    """Something that outlived its run.

    Parameters
    ----------
    kind : {"process", "segment", "folder"}
    identity : str
        A process id or a path.
    description : str
    """

    kind: Literal["process", "segment", "folder"]
    identity: str
    description: str


def segment_prefix(worker: int) -> str:
    """What the names of a worker's shared-memory segments begin with."""
    return f"spikeface_{worker}_"


def folder_prefix(owner: int) -> str:
    """What the names of the folders begin with through which an owner talks to its workers."""
    return f"spikeface-{owner}-"


def end_session(worker: int) -> None:
    """Kill all processes of a worker's session and unlink its shared memory.

    Call it before the worker is reaped, as long as its process id cannot mean anything else.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    deadline = time.monotonic() + END_LIMIT_S
    while any(_session_members(worker)) and time.monotonic() < deadline:
        time.sleep(0.005)
    for path, number in _named(SHARED_MEMORY, SEGMENT_NAME):
        if number == worker:
            path.unlink(missing_ok=True)


def find_leftovers() -> list[Leftover]:
    """Processes, shared memory and folders of this user whose run is over, in this order."""
    # Files before processes: a worker that starts in between must not seem to be gone.
    segments = list(_named(SHARED_MEMORY, SEGMENT_NAME))
    folders = list(_named(Path(tempfile.gettempdir()), FOLDER_NAME))
    workers = list(_workers())
    alive = {process.pid for process, owner in workers if _is_owned(process, owner)}
    return [
        *_orphans(workers, alive),
        *(
            Leftover("segment", str(path), f"shared memory of Lava worker {worker}, which is gone")
            for path, worker in segments
            if worker not in alive
        ),
        *(
            Leftover("folder", str(path), f"exchange folder of process {owner}, which is gone")
            for path, owner in folders
            if not psutil.pid_exists(owner)
        ),
    ]


def clean(leftovers: list[Leftover]) -> None:
    """Kill, unlink and remove; what is gone already is no error."""
    chosen = {leftover.identity for leftover in leftovers if leftover.kind == "process"}
    workers = [process for process, _ in _workers() if str(process.pid) in chosen]
    for process in workers:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(workers, timeout=END_LIMIT_S)
    for leftover in leftovers:
        if leftover.kind == "segment":
            Path(leftover.identity).unlink(missing_ok=True)
        elif leftover.kind == "folder":
            shutil.rmtree(leftover.identity, ignore_errors=True)


def _orphans(workers: list[tuple[psutil.Process, int]], alive: set[int]) -> Iterator[Leftover]:
    for process, owner in workers:
        with suppress(OSError):
            if os.getsid(process.pid) not in alive:
                yield Leftover(
                    "process", str(process.pid), f"Lava process of a run of process {owner}"
                )


def _is_owned(process: psutil.Process, owner: int) -> bool:
    """Whether a worker is still the child of its owner.

    An orphan gets another parent at once, so this cannot be fooled by a process id that is used
    again, as a look at whether the owner exists could.
    """
    with suppress(psutil.Error):
        return process.ppid() == owner
    return False


def _workers() -> Iterator[tuple[psutil.Process, int]]:
    """Workers, and what they forked, of this user, each with the owner on its command line."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ValueError, IndexError):
            if process.uids().real != os.getuid():
                continue
            line = process.cmdline()
            if WORKER_MODULE in line or BOARD_WORKER_MODULE in line:
                yield process, int(line[line.index("--owner") + 1])


def _session_members(leader: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _named(folder: Path, name: re.Pattern[str]) -> Iterator[tuple[Path, int]]:
    """Entries of a folder that belong to this user and match, with the number in their name."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        match = name.match(path.name)
        with suppress(FileNotFoundError):
            if match and path.lstat().st_uid == os.getuid():
                yield path, int(match[1])
