"""Event-set files of rendered faces: written in shards, resumed, read lazily."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import DatasetError
from snn.events.datasets import (
    RenderedFaces,
    clips,
    face_sets,
    file_digest,
    load_event_set,
    n_clips,
    verify,
    write_face_set,
)
from snn.events.faces import SPLITS, FaceSetParameters, clip_keys, render_clips

SMALL = FaceSetParameters(
    sensor_size=(48, 40),
    duration_ms=200.0,
    train_subjects=2,
    validation_subjects=1,
    test_subjects=1,
    clips_per_class=1,
)
CHILD = """
import sys, time
from snn.events.datasets import face_sets
from snn.events.faces import FaceSetParameters

face_sets.code_digest = lambda renderer: "one version"
face_sets.SHARD_CLIPS = 4
small = FaceSetParameters(sensor_size=(48, 40), duration_ms=200.0, train_subjects=2,
                          validation_subjects=1, test_subjects=1, clips_per_class=1)
face_sets.write_face_set(sys.argv[1], small, progress=lambda n: time.sleep(0.05))
"""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    advanced = []
    write_face_set(path, SMALL, progress=advanced.append)
    assert sum(advanced) == n_clips(SMALL)
    assert [p.name for p in path.parent.iterdir()] == ["faces.h5"]
    return path


def test_a_file_holds_the_clips_that_were_rendered(faces):
    loaded = load_event_set(faces)
    for split in SPLITS:
        table = loaded.splits[split]
        rendered = list(render_clips(SMALL, clip_keys(SMALL, split)))
        assert len(table) == len(rendered)
        for index, clip in enumerate(rendered):
            assert np.array_equal(table.recording(index).events, clip.recording.events)
            assert (table.labels[index], table.subjects[index]) == (clip.label, clip.subject)


def test_a_large_set_stays_in_its_file(faces, monkeypatch):
    loaded = load_event_set(faces)
    monkeypatch.setattr(clips, "LOADED_EVENTS", 0)
    lazy = load_event_set(faces)
    for split in SPLITS:
        assert isinstance(lazy.splits[split].events, clips.StoredEvents)
        sent = pickle.loads(pickle.dumps(lazy.splits[split]))
        assert np.array_equal(sent.binary_frames(4), loaded.splits[split].binary_frames(4))
        assert sent.recording(0).sensor_size == (48, 40)


def one(batch):
    return batch[0][0]


def test_lazy_events_survive_a_fork(faces, monkeypatch):
    torch_data = pytest.importorskip("torch.utils.data")
    monkeypatch.setattr(clips, "LOADED_EVENTS", 0)
    dataset = RenderedFaces(faces)
    expected = [dataset[index][0] for index in range(len(dataset))]  # opens the file before forking
    loader = torch_data.DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=one)
    for events, wanted in zip(loader, expected, strict=True):
        assert np.array_equal(events, wanted)


def test_faces_as_a_data_set(faces):
    dataset = RenderedFaces(faces)
    loaded = load_event_set(faces)
    assert len(dataset) == n_clips(SMALL)
    assert dataset.sensor_size == (48, 40, 2)
    assert dataset.classes == loaded.classes
    as_rendered = dataset.splits(protocol="authors")
    assert [len(as_rendered.train), len(as_rendered.validation), len(as_rendered.test)] == [
        len(loaded.splits[split]) for split in SPLITS
    ]
    assert "None of the 1 test subjects is in the training samples" in as_rendered.text
    assert len(dataset.splits(n_folds=4).test) == len(loaded.splits["test"])
    index = int(as_rendered.test[0])
    assert np.array_equal(dataset[index][0], loaded.splits["test"].recording(0).events)
    assert verify(dataset, full=True).ok


def test_a_killed_rendering_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "faces.h5"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    shards = lambda: sorted(path.parent.glob(".faces.h5.partial/[a-z]*.h5"))  # noqa: E731
    until = time.monotonic() + 25
    while len(shards()) < 3:
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    monkeypatch.setattr(face_sets, "code_digest", lambda renderer: "one version")
    kept = [p.stat().st_mtime_ns for p in shards()]
    assert not path.exists()

    with pytest.raises(DatasetError, match="interrupted rendering with other parameters"):
        write_face_set(path, replace(SMALL, seed=1))
    monkeypatch.setattr(face_sets, "SHARD_CLIPS", 4)
    advanced = []
    write_face_set(path, SMALL, progress=advanced.append)
    assert advanced[0] >= 4 * (len(kept) - 1)
    assert sum(advanced) == n_clips(SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["faces.h5"]
    write_face_set(tmp_path / "whole.h5", SMALL)
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_nothing_is_overwritten_or_left_behind(faces, tmp_path, monkeypatch):
    before = file_digest(faces)
    with pytest.raises(DatasetError, match="exists already"):
        write_face_set(faces, SMALL)
    assert file_digest(faces) == before

    def fail(*arguments, **options):
        raise DatasetError("no light")

    monkeypatch.setattr(face_sets, "render_clips", fail)
    with pytest.raises(DatasetError, match="no light"):
        write_face_set(tmp_path / "set" / "faces.h5", SMALL)
    assert not list((tmp_path / "set").iterdir())


def fractional(group):
    ends = group["ends"][...] + 0.0
    del group["ends"]
    group["ends"] = ends


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file: file.attrs.update(version=9), "expected format .* version 9"),
        (lambda file: file["test/labels"].__setitem__(0, 99), "labels must lie in"),
        (lambda file: file["test/x"].resize(5, axis=0), "not one table"),
        (lambda file: file["train/ends"].__setitem__(-1, 0), "clips end at 0, there are"),
        (lambda file: file.__delitem__("test"), "not a readable set"),
        (lambda file: file["test/subjects"].__setitem__(0, 0), "subject 0 .* both train and test"),
        (lambda file: fractional(file["train"]), "must be whole numbers"),
    ],
)
def test_a_foreign_or_damaged_set_is_refused(faces, tmp_path, damage, problem):
    path = tmp_path / "faces.h5"
    path.write_bytes(faces.read_bytes())
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DatasetError, match=problem):
        load_event_set(path)


def test_a_truncated_set_is_refused(faces, tmp_path):
    path = tmp_path / "faces.h5"
    path.write_bytes(faces.read_bytes()[:-5000])
    with pytest.raises(DatasetError, match=r"faces\.h5: not a readable set of clips"):
        load_event_set(path)
