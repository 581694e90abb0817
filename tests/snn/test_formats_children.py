"""Readers in children: what hangs, crashes or is left early harms nobody else."""

import os
import signal
import time

import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import isolated, read_recording, read_windows, write_recording
from snn.events.formats.reading import open_stream


def test_a_child_that_hangs_or_crashes_is_an_error(monkeypatch):
    monkeypatch.setattr(isolated, "SILENCE_S", 0.3)
    with pytest.raises(EventFormatError, match="does not come to an end"):
        isolated.isolated(time.sleep, 60)
    with pytest.raises(EventFormatError, match="crashes"):
        isolated.isolated(signal.raise_signal, signal.SIGKILL)


def test_a_child_reads_one_file_after_the_other_until_one_is_odd(tmp_path, recording, monkeypatch):
    forks, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(1) or fork())
    isolated._idle.clear()
    for name in "abc":
        write_recording(tmp_path / f"{name}.h5", recording)
        assert np.array_equal(read_recording(tmp_path / f"{name}.h5").events, recording.events)
    assert len(forks) == 1
    (tmp_path / "odd.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:900])
    with pytest.raises(EventFormatError, match=r"odd\.h5"):
        read_recording(tmp_path / "odd.h5")
    assert len(read_recording(tmp_path / "b.h5")) == len(recording) and len(forks) == 2
    # One that left because nothing was asked of it for a while is replaced.
    monkeypatch.setattr(isolated, "IDLE_S", 0.0)
    isolated._idle.clear()
    read_recording(tmp_path / "a.h5")
    os.waitid(os.P_PID, isolated._idle[0]._pid, os.WEXITED | os.WNOWAIT)
    assert len(read_recording(tmp_path / "b.h5")) == len(recording) and len(forks) == 4
    # Two at a time have a child each.
    streams = [open_stream(tmp_path / f"{name}.h5") for name in "ab"]
    for pair in zip(*(stream.chunks for stream in streams), strict=True):
        assert np.array_equal(*pair)


def test_streams_left_early_leave_no_child(tmp_path, recording):
    psutil = pytest.importorskip("psutil")
    write_recording(tmp_path / "a.h5", recording)
    others = set(psutil.Process().children())  # such as multiprocessing's, of an earlier test
    stream = open_stream(tmp_path / "a.h5")
    assert len(set(psutil.Process().children()) - others) == 1
    del stream
    windows = read_windows(tmp_path / "a.h5", max_events=10)
    next(windows)
    windows.close()
    del windows
    assert set(psutil.Process().children()) <= others
