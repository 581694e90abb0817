"""Windows are parts of the whole read, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import describe, read_recording, read_windows, write_recording
from snn.events.formats.stream import CHUNK_EVENTS
from snn.events.recording import Recording, make_events

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = ["recordings/faces_easy_0001.bin", "recordings/evt2.raw", "recordings/sample.aedat4",
        "v2e/clean.h5"]  # fmt: skip


def joined(parts):
    return np.concatenate([part.events for part in parts])


@pytest.mark.parametrize("name", REAL)
def test_real_files_in_windows(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand")
    if path.suffix == ".aedat4":
        pytest.importorskip("lz4.frame", reason="its packets are compressed")
    whole = read_recording(path)
    for arguments in ({"max_events": 1000}, {"max_events": 10**9}, {"window_us": 5000}):
        parts = list(read_windows(path, **arguments))
        np.testing.assert_array_equal(joined(parts), whole.events)
        assert {part.sensor_size for part in parts} == {whole.sensor_size}


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".npy", ".csv", ".raw", ".bin"])
def test_written_files_in_windows(tmp_path, suffix, random_recording):
    recording = random_recording(CHUNK_EVENTS + 12_345)  # more than one piece of every reader
    path = tmp_path / f"a{suffix}"
    write_recording(path, recording)
    np.testing.assert_array_equal(read_recording(path).events, recording.events)
    parts = list(read_windows(path, max_events=100_000, sensor_size=(100, 80)))
    assert [len(part) for part in parts[:-1]] == [100_000] * (len(parts) - 1)
    np.testing.assert_array_equal(joined(parts), recording.events)
    parts = list(read_windows(path, window_us=777_777, sensor_size=(100, 80)))
    np.testing.assert_array_equal(joined(parts), recording.events)
    assert len(parts) == 11


def test_windows_of_time_begin_at_the_first_event_and_are_never_empty(tmp_path):
    path = tmp_path / "a.npy"
    times = np.array([100, 109, 110, 145, 1 << 60])
    np.save(path, make_events(times * 0, times * 0, times, times * 0))
    parts = [part.events["t"].tolist() for part in read_windows(path, window_us=10)]
    assert parts == [[100, 109], [110], [145], [1 << 60]]


@pytest.mark.parametrize("how", ["sort", "clamp"])
def test_disorder_in_windows_is_that_of_the_whole(tmp_path, how, random_recording):
    events = random_recording(600_000, seed=4).events
    jitter = np.random.default_rng(5).integers(-40_000, 40_000, len(events))
    events["t"] += jitter  # steps back over the borders of the readers' pieces
    np.save(tmp_path / "a.npy", events)
    whole = read_recording(tmp_path / "a.npy", on_disorder=how)
    parts = read_windows(tmp_path / "a.npy", max_events=7777, on_disorder=how)
    np.testing.assert_array_equal(joined(parts), whole.events)
    with pytest.raises(EventFormatError, match=r"a\.npy: time runs backwards"):
        list(read_windows(tmp_path / "a.npy", max_events=7777))


def test_disorder_that_windows_cannot_sort(tmp_path, random_recording):
    events = random_recording(CHUNK_EVENTS + 10).events
    events["t"][-1] = 0
    np.save(tmp_path / "a.npy", events)
    with pytest.raises(EventFormatError, match="that windows can sort; read the whole recording"):
        list(read_windows(tmp_path / "a.npy", max_events=1000, on_disorder="sort"))
    assert len(read_recording(tmp_path / "a.npy", on_disorder="sort")) == len(events)


def test_events_outside_are_dropped_in_windows_too(tmp_path, random_recording):
    recording = random_recording(5000)
    write_recording(tmp_path / "a.npz", recording)
    options = {"sensor_size": (50, 50), "on_outside": "drop"}
    whole = read_recording(tmp_path / "a.npz", **options)
    assert 0 < len(whole) < 5000
    parts = list(read_windows(tmp_path / "a.npz", max_events=100, **options))
    np.testing.assert_array_equal(joined(parts), whole.events)
    with pytest.raises(EventFormatError, match="outside the 50×50 sensor"):
        list(read_windows(tmp_path / "a.npz", max_events=100, sensor_size=(50, 50)))


def test_wrong_arguments_are_told_at_once(tmp_path, random_recording):
    write_recording(tmp_path / "a.npz", random_recording(10))
    for arguments in ({}, {"max_events": 5, "window_us": 5}, {"max_events": 0}, {"window_us": -1}):
        with pytest.raises(EventFormatError, match="exactly one of max_events and window_us"):
            read_windows(tmp_path / "a.npz", **arguments)
    with pytest.raises(EventFormatError, match="no such file"):
        read_windows(tmp_path / "none.npz", max_events=5)


def test_empty_files_have_no_windows_and_a_description(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"")
    assert list(read_windows(tmp_path / "a.bin", max_events=5)) == []
    info = describe(tmp_path / "a.bin")
    assert (info.report.events, info.sensor_size) == (0, (0, 0))


GROWTH = """
import resource, sys
from snn.events.formats import describe, read_windows
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
small, large = sys.argv[1:]
for path in (small, large):
    before = peak()
    n = describe(path).report.events
    assert sum(len(w) for w in read_windows(path, max_events=50_000)) == n
print(n, peak() - before)
"""


@pytest.mark.parametrize(("suffix", "n"), [(".raw", 20_000_000), (".npy", 8_000_000)])
def test_memory_does_not_grow_with_the_file(tmp_path, suffix, n, random_recording):
    pytest.importorskip("resource", reason="peak memory is asked from POSIX")
    write_recording(tmp_path / f"small{suffix}", random_recording(1_000_000))
    block = np.tile(random_recording(1_000_000).events, n // 1_000_000)
    block["t"] = np.arange(n)
    write_recording(tmp_path / f"large{suffix}", Recording(block, (100, 80)))
    del block
    paths = [str(tmp_path / f"{size}{suffix}") for size in ("small", "large")]
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, *paths], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    count, growth_mib = map(int, done.stdout.split())
    assert count == n
    assert growth_mib < 40  # all events are 12.4 MiB a million
