"""What outlives its run is found and removed; what belongs to a living run is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hardware.backends.lava import leftovers
from hardware.backends.lava.leftovers import WORKER_MODULE, clean, find_leftovers

SLEEP = "import os; os.fork(); import time; time.sleep(60)"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Empty stand-ins for the folders of shared memory and temporary files."""
    memory, temporary = tmp_path / "shm", tmp_path / "tmp"
    memory.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(leftovers, "SHARED_MEMORY", memory)
    monkeypatch.setattr(leftovers.tempfile, "tempdir", str(temporary))
    return memory, temporary


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def start_worker():
    """Start a process, and a fork of it, that look like a worker of the given owner."""
    started = []

    def start(owner):
        command = [sys.executable, "-c", SLEEP, WORKER_MODULE, "--owner", str(owner)]
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        return process.pid

    yield start
    for process in started:
        leftovers.end_session(process.pid)
        process.wait()


def files_of(worker, owner, places):
    """What a worker keeps while it runs."""
    memory, temporary = places
    paths = [
        memory / f"{leftovers.segment_prefix(worker)}12ab",
        memory / f"sem.{leftovers.segment_prefix(worker)}-cd34",
    ]
    for path in paths:
        path.write_bytes(b"\0")
    folder = temporary / f"{leftovers.folder_prefix(owner)}ef56"
    folder.mkdir()
    (folder / "input.npy").write_bytes(b"\0")
    return [*paths, folder]


def within(identities):
    return {found.identity for found in find_leftovers()} & {str(i) for i in identities}


def test_files_of_a_dead_worker_are_removed_and_nothing_else(places, gone):
    remains = files_of(gone, gone, places)
    other = places[0] / "psm_12345678"
    other.write_bytes(b"\0")
    found = find_leftovers()
    assert {str(path) for path in remains} == within(remains)
    assert str(other) not in {leftover.identity for leftover in found}
    clean([leftover for leftover in found if leftover.kind != "process"])
    assert other.exists() and not any(path.exists() for path in remains)
    assert not within(remains)


def test_a_living_run_is_left_alone(places, start_worker):
    worker = start_worker(os.getpid())
    assert not within([worker, *files_of(worker, os.getpid(), places)])


def test_a_worker_whose_owner_id_means_another_process_is_an_orphan(places, start_worker):
    worker = start_worker(os.getppid())  # alive, and not the one that started it
    remains = files_of(worker, os.getppid(), places)[:2]
    members = [process.pid for process in leftovers._session_members(worker)]
    assert within([*members, *remains]) == {str(i) for i in (*members, *remains)}
    mine = [f for f in find_leftovers() if f.identity in {str(i) for i in (*members, *remains)}]
    clean(mine)
    clean(mine)
    leftovers.end_session(worker)  # returns when all are gone
    assert not any(leftovers._session_members(worker))
    assert not within([*members, *remains])
