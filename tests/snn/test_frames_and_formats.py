"""Event frames and readers against tonic, and what readers say about bad files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import read_recording
from snn.events.frames import binary_frames, count_frames
from snn.events.recording import EVENT_DTYPE, Recording, make_events

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = DATA / "recordings" / "faces_easy_0001.bin"
V2E = DATA / "v2e" / "clean.h5"


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not at hand")


@pytest.fixture
def recording():
    rng = np.random.default_rng(0)
    n = 5000
    t = np.sort(rng.integers(0, 90_000, n))
    t[0], t[-1] = 0, 89_999
    events = make_events(rng.integers(0, 24, n), rng.integers(0, 16, n), t, rng.integers(0, 2, n))
    return Recording(events, (24, 16))


def test_counts_equal_tonic(recording):
    transforms = pytest.importorskip("tonic.transforms")
    ours = count_frames(recording, n_bins=9, window_us=90_000)
    events = recording.events.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i2")])
    theirs = transforms.ToFrame(sensor_size=(24, 16, 2), time_window=10_000)(events)
    np.testing.assert_array_equal(ours[: len(theirs)], theirs)
    assert ours.sum() == len(recording)


def test_another_size_keeps_every_event_and_the_proportions(recording):
    frames = count_frames(recording, n_bins=1, window_us=90_000, size=(64, 64))
    assert frames.sum() == len(recording)
    rows = np.flatnonzero(frames.sum(axis=(0, 1, 3)))
    assert rows.min() >= 10 and rows.max() < 54  # 16 of 24 parts of 64, centred


def test_binary_frames_are_where_counts_are(recording):
    arguments = {"n_bins": 3, "window_us": 60_000, "start_us": 15_000}
    binary = binary_frames(recording, **arguments)
    np.testing.assert_array_equal(binary, count_frames(recording, **arguments) > 0)
    assert binary.dtype == np.uint8


def test_empty_recordings_have_no_frames():
    with pytest.raises(EventFormatError, match="no events"):
        count_frames(Recording(np.zeros(0, EVENT_DTYPE), (4, 4)), n_bins=2, window_us=10)


@needs(REAL)
def test_real_recording_equals_tonic():
    tonic_io = pytest.importorskip("tonic.io")
    theirs = tonic_io.read_mnist_file(str(REAL), dtype=EVENT_DTYPE)
    ours = read_recording(REAL)
    assert len(ours) == 67_445
    assert ours.sensor_size == (151, 173)
    for name in "xytp":
        np.testing.assert_array_equal(ours.events[name], theirs[name])


@needs(V2E)
def test_v2e_file():
    recording = read_recording(V2E, sensor_size=(200, 200))
    assert len(recording) == 14_042
    assert recording.sensor_size == (200, 200)


@needs(V2E)
@pytest.mark.parametrize("keep", [0, 500, 20_000])
def test_truncated_hdf5(tmp_path, keep):
    path = tmp_path / "cut.h5"
    path.write_bytes(V2E.read_bytes()[:keep])
    with pytest.raises(EventFormatError, match=r"cut\.h5: cannot be read, is it truncated"):
        read_recording(path)


def test_foreign_and_missing_files(tmp_path):
    with pytest.raises(EventFormatError, match="no such file"):
        read_recording(tmp_path / "none.bin")
    with pytest.raises(EventFormatError, match=r"no reader for '\.mp4'"):
        read_recording(tmp_path / "film.mp4")
    (tmp_path / "odd.bin").write_bytes(b"abc")
    with pytest.raises(EventFormatError, match="not a whole number of 5-byte events"):
        read_recording(tmp_path / "odd.bin")
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(EventFormatError, match="is empty"):
        read_recording(tmp_path / "empty.bin")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((5, 3), np.uint32), r"shape \(n, 4\)"),
        (np.zeros((5, 4), np.float32), "must be integers"),
        (np.array([[0, 0, 0, 7]], np.uint32), "polarities"),
        (np.array([[0, 90_000, 0, 1]], np.uint32), "addresses"),
        (np.array([[9, 0, 0, 1], [3, 0, 0, 1]], np.uint32), "runs backwards"),
    ],
)
def test_foreign_tables(tmp_path, table, message):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["events"] = table
    with pytest.raises(EventFormatError, match=message):
        read_recording(tmp_path / "x.h5")


def test_wrong_sensor_size(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["events"] = np.array([[0, 30, 5, 1]], np.uint32)
    with pytest.raises(EventFormatError, match="outside the 20×20 sensor"):
        read_recording(tmp_path / "x.h5", sensor_size=(20, 20))
