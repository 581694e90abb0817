"""What a training leaves while it runs: each epoch one row, at once, also after an interruption."""

import csv
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from spikeface.cli import main
from spikeface.config import load_config
from spikeface.runs import RunFolder
from spikeface.steps.sources import open_test_clips, open_training_data

TINY = (
    "faces.sensor_size=[24, 24]", "faces.position_jitter_px=1.0", "faces.train_subjects=3",
    "faces.validation_subjects=1", "faces.test_subjects=2", "faces.clips_per_class=1",
    "frames.n_bins=5", "model.channels=[4, 8]", "model.kernels=[3, 3]", "model.hidden=8",
    "training.epochs=3", "training.batch_size=7",
)  # fmt: skip
SET = [word for assignment in TINY for word in ("--set", assignment)]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    assert main(["faces", str(path), "--workers", "1", *SET]) == 0
    return path


def train(faces, run, *words):
    return main(["train", "--data", str(faces), "--out", str(run), *SET, *words])


def epochs(run):
    with (run / "metrics.csv").open() as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def test_rows_are_there_at_once_and_once(faces, tmp_path, monkeypatch):
    write = RunFolder.write_metrics

    def interrupted(self, rows):
        write(self, rows)
        if len(rows) == 2:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "write_metrics", interrupted)
        assert train(faces, run) == 130
    assert epochs(run) == [0, 1]
    assert train(faces, run, "--resume") == 0
    assert epochs(run) == [0, 1, 2]
    whole = tmp_path / "whole"
    assert train(faces, whole) == 0
    timeless = ("seconds", "clips_per_second")
    with (run / "metrics.csv").open() as one, (whole / "metrics.csv").open() as other:
        for row, expected in zip(csv.DictReader(one), csv.DictReader(other), strict=True):
            assert all(row[key] == expected[key] for key in row if key not in timeless)


def test_tensorboard_is_optional(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train(faces, tmp_path / "run", "--set", "training.tensorboard=true") == 1
    assert "needs the package tensorboard" in capsys.readouterr().err


def test_tensorboard_shows_the_metrics(faces, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train(faces, tmp_path / "run", "--set", "training.tensorboard=true") == 0
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    with (tmp_path / "run" / "metrics.csv").open() as file:
        expected = [float(row["loss"]) for row in csv.DictReader(file)]
    assert [event.value for event in board.Scalars("loss")] == pytest.approx(expected)
    assert "rate/conv1" in board.Tags()["scalars"]


@pytest.mark.parametrize("frames", [[], ["frames.kind=spiking_fer", "frames.events_per_frame=9"]])
def test_test_clips_are_opened_alone_as_in_training(faces, frames):
    config = load_config(None, [*TINY, f'data.root="{faces}"', *frames])
    whole, alone = open_training_data(config).clips["test"], open_test_clips(config)
    assert len(alone) == 16
    assert torch.equal(alone.labels, whole.labels)
    assert torch.equal(alone.batch(range(16)), whole.batch(range(16)))


def test_rendered_faces_have_folds_by_subject_too(faces):
    folds = ["data.protocol=strict", "data.fold=1", "data.n_folds=6"]
    data = open_training_data(load_config(None, [*TINY, f'data.root="{faces}"', *folds]))
    assert data.protocol.startswith("strict: Subject-disjoint fold 1 of 6")
    assert [part["subjects"] for part in data.description["splits"].values()] == [4, 1, 1]
