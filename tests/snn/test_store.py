"""The frame store: what it holds, when it is another one, and what survives a kill."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import DatasetError
from snn.events.datasets import FolderSet, FrameStore, plan_store, provenance, store
from snn.events.frames import Resized, binary_frames
from snn.events.recording import Recording
from snn.files import replacing

N_FILES = 12
represent = partial(binary_frames, n_bins=4, window_us=300_000, size=(20, 20))
SAMPLE_BYTES = 4 * 2 * 20 * 20

# Both processes of the kill test import this file, so that they mean the same representation.
CHILD = """
import os, time
from dataclasses import dataclass
from pathlib import Path
from snn.events.datasets import FolderSet, FrameStore, provenance, store
from snn.events.frames import binary_frames

provenance._events_digest = lambda: b"one version, even while a developer edits files"
CALLS = []
store.CHUNK_BYTES = 2 * 4 * 2 * 20 * 20

@dataclass(frozen=True)
class Frames:
    n_bins: int = 4

    def __call__(self, recording):
        CALLS.append(recording.source)
        time.sleep(float(os.environ.get("PAUSE_S", "0")))
        return binary_frames(recording, n_bins=self.n_bins, window_us=300_000, size=(20, 20))

if __name__ == "__main__":
    import sys, slow_frames
    faces = FolderSet(sys.argv[1], sensor_size=(40, 40, 2))
    FrameStore.build(faces, sys.argv[2], slow_frames.Frames())
"""


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(N_FILES):
        path = tmp_path / "set" / f"class{number % 3}" / f"{number:02d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        t, p = np.sort(rng.integers(0, 300_000, 500)), rng.integers(0, 2, 500)
        x, y = rng.integers(0, 40, (2, 500))
        x[0] = y[0] = 39
        with h5py.File(path, "w") as file:
            file["events"] = np.stack([t, x, y, p], 1).astype(np.uint32)
    return FolderSet(tmp_path / "set", sensor_size=(40, 40, 2))


def test_a_store_holds_the_frames(dataset, tmp_path):
    announced, advanced = [], []
    built = FrameStore.build(
        dataset, tmp_path / "cache", represent, announce=announced.append, progress=advanced.append
    )
    assert len(built) == N_FILES
    for index in range(N_FILES):
        frames, label = built[index]
        assert frames.dtype == np.uint8
        assert np.array_equal(frames, represent(dataset.recording(index)))
        assert label == dataset.labels[index]
    assert announced[0].n_bytes == N_FILES * SAMPLE_BYTES
    assert str(announced[0]).startswith("12 samples of |u1 [4, 2, 20, 20]: 0.0 MB")
    assert sum(advanced) == N_FILES
    # What numpy itself says is in the file.
    on_disk = np.load(built.folder / "frames.npy", allow_pickle=False)
    assert (on_disk.shape, on_disk.dtype) == ((12, 4, 2, 20, 20), np.uint8)
    frames, labels = built.arrays([3, 1])
    assert np.array_equal(frames, on_disk[[3, 1]])
    assert labels.tolist() == dataset.labels[[3, 1]].tolist()


def test_it_is_written_once(dataset, tmp_path):
    first = FrameStore.build(dataset, tmp_path, represent)
    advanced = []
    again = FrameStore.build(dataset, tmp_path, represent, progress=advanced.append)
    assert again.folder == first.folder
    assert advanced == []


def changed_file(dataset):
    path = dataset.samples[4].path
    os.utime(path, ns=(1, 1))
    return dataset, represent


def other_frames(dataset):
    return dataset, partial(represent, n_bins=5)


def other_sensor(dataset):
    return FolderSet(dataset.root, sensor_size=(41, 40, 2)), represent


@pytest.mark.parametrize("change", [changed_file, other_frames, other_sensor])
def test_what_frames_follow_from_is_the_key(dataset, tmp_path, change):
    before = FrameStore.build(dataset, tmp_path, represent)
    after = FrameStore.build(*change(dataset)[:1], tmp_path, change(dataset)[1])
    assert before.folder != after.folder
    assert len(before) == len(after)


def test_code_is_part_of_the_key(dataset, tmp_path, monkeypatch):
    module = tmp_path / "mine.py"
    module.write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    frames = mine.Frames()
    for representation in (frames, Resized(frames=frames, size=(8, 8)), partial(frames)):
        module.write_text(CHILD)
        before = plan_store(dataset, representation)
        assert plan_store(dataset, representation) == before
        module.write_text(CHILD + "# another version\n")
        assert plan_store(dataset, representation).key != before.key


@dataclass
class Opaque:
    rule: object


def test_what_cannot_be_described_is_not_cached(dataset, tmp_path):
    for representation in (
        lambda recording: np.zeros(3),
        Opaque(rule=object()),
        partial(lambda recording: np.zeros(3)),
    ):
        with pytest.raises(DatasetError, match="cannot be cached"):
            FrameStore.build(dataset, tmp_path / "cache", representation)


def ragged(recording: Recording) -> np.ndarray:
    return np.zeros(1 + int(recording.events["t"][0]) % 7, np.uint8)


def test_frames_of_different_shapes_are_refused_by_name(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"class\d/\d\d\.h5: frames of .* one shape"):
        FrameStore.build(dataset, tmp_path, ragged)
    with pytest.raises(DatasetError, match="frames are arrays of numbers"):
        FrameStore.build(dataset, tmp_path, partial(np.array, dtype=object))


def test_missing_recordings_are_counted_before_anything_is_written(dataset, tmp_path):
    dataset.samples[2].path.unlink()
    with pytest.raises(DatasetError, match="1 of 12 recordings are missing"):
        FrameStore.build(dataset, tmp_path / "cache", represent)
    assert not (tmp_path / "cache").exists()


def test_torch_workers_open_it_themselves(dataset, tmp_path):
    torch_data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    built = FrameStore.build(dataset, tmp_path, represent)
    sent = pickle.dumps(built)
    assert len(sent) < 2000
    assert np.array_equal(pickle.loads(sent)[7][0], built[7][0])
    chosen = [7, 1, 5, 3]
    for workers in (0, 2):
        subset = torch_data.Subset(built, chosen)
        loader = torch_data.DataLoader(subset, batch_size=4, num_workers=workers)
        ((frames, labels),) = list(loader)
        assert np.array_equal(frames.numpy(), built.arrays(chosen)[0])
        assert labels.tolist() == dataset.labels[chosen].tolist()


@pytest.mark.parametrize("damage", ["truncate", "index", "labels"])
def test_a_damaged_store_is_made_again(dataset, tmp_path, damage):
    built = FrameStore.build(dataset, tmp_path, represent)
    whole = (built.folder / "frames.npy").read_bytes()
    if damage == "truncate":
        (built.folder / "frames.npy").write_bytes(whole[:-100])
    elif damage == "index":
        (built.folder / "index.json").write_text("{")
    else:
        np.save(built.folder / "labels.npy", np.array([object()], object), allow_pickle=True)
    with pytest.raises(DatasetError, match="not a complete store"):
        FrameStore(built.folder)
    FrameStore.build(dataset, tmp_path, represent)
    assert (built.folder / "frames.npy").read_bytes() == whole


def test_a_full_disk_is_said_before_work_begins(dataset, tmp_path, monkeypatch):
    usage = store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DatasetError, match=r"needs 0 MB .* are free; free some space"):
        FrameStore.build(dataset, tmp_path / "cache", represent)
    monkeypatch.undo()
    assert len(FrameStore.build(dataset, tmp_path / "cache", represent)) == N_FILES


def test_a_write_that_the_system_refuses_is_a_clear_error(dataset, tmp_path):
    """No file may grow beyond 30 kB here, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(DatasetError, match=r"cannot be written .* needs 38400 bytes"):
            FrameStore.build(dataset, tmp_path / "cache", represent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "cache").glob("*/frames.npy"))
    assert len(FrameStore.build(dataset, tmp_path / "cache", represent)) == N_FILES


@pytest.fixture
def slow_frames(tmp_path, monkeypatch):
    (tmp_path / "slow_frames.py").write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(store, "CHUNK_BYTES", store.CHUNK_BYTES)  # restored after the import
    monkeypatch.setattr(provenance, "_events_digest", provenance._events_digest)
    sys.modules.pop("slow_frames", None)
    import slow_frames

    return slow_frames


def begin(dataset, cache, tmp_path, pause_s):
    environment = os.environ | {
        "PAUSE_S": str(pause_s),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
    }
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "slow_frames.py"), str(dataset.root), str(cache)],
        env=environment,
    )


def wait_for(happened, child):
    until = time.monotonic() + 25
    while not happened():
        assert child.poll() is None, "the child ended early"
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_killed_run_goes_on_at_the_last_whole_chunk(dataset, tmp_path, slow_frames):
    cache = tmp_path / "cache"
    child = begin(dataset, cache, tmp_path, pause_s=0.2)
    marks = lambda: b"".join(p.read_bytes() for p in cache.glob("*.partial/chunks_done"))  # noqa: E731
    wait_for(lambda: len(marks()) >= 2, child)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    kept = len(marks())
    assert 2 <= kept < N_FILES // 2
    assert not list(cache.glob("*/index.json"))

    advanced = []
    resumed = FrameStore.build(dataset, cache, slow_frames.Frames(), progress=advanced.append)
    assert sum(advanced) == N_FILES
    # One call asks for the shape; samples of chunks that were kept are not made again.
    assert len(slow_frames.CALLS) == 1 + N_FILES - 2 * kept
    whole = FrameStore.build(dataset, tmp_path / "other", slow_frames.Frames())
    for name in ("frames.npy", "labels.npy", "index.json"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert sorted(p.name for p in resumed.folder.iterdir()) == [
        "frames.npy",
        "index.json",
        "labels.npy",
    ]


def test_two_processes_take_turns(dataset, tmp_path, slow_frames):
    cache = tmp_path / "cache"
    child = begin(dataset, cache, tmp_path, pause_s=0.05)
    wait_for(lambda: list(cache.glob("*.partial/chunks_done")), child)
    advanced = []
    built = FrameStore.build(dataset, cache, slow_frames.Frames(), progress=advanced.append)
    assert child.wait() == 0
    assert advanced == []  # the child wrote everything while this process waited
    assert len(built) == N_FILES


def test_marks_without_frames_are_not_believed(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHUNK_BYTES", 2 * SAMPLE_BYTES)
    done = []

    def stop(n):
        done.append(n)
        if len(done) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrameStore.build(dataset, tmp_path, represent, progress=stop)
    (partial_folder,) = tmp_path.glob("*.partial")
    (partial_folder / "frames.npy").unlink()
    built = FrameStore.build(dataset, tmp_path, represent)
    for index in range(N_FILES):
        np.testing.assert_array_equal(built[index][0], represent(dataset.recording(index)))


def test_code_of_the_package_outside_of_events_is_part_of_the_key():
    assert provenance.code_digest(replacing) != provenance.code_digest(binary_frames)
