"""The commands from end to end on a tiny set, and what they say about bad input."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from hardware.backends.lava.backend import LavaBackend
from spikeface.cli import main

REAL = Path(__file__).parents[3] / "shared" / "data" / "recordings" / "faces_easy_0001.bin"
TINY = [
    "faces.sensor_size=[24, 24]",
    "faces.position_jitter_px=1.0",
    "faces.train_subjects=3",
    "faces.validation_subjects=1",
    "faces.test_subjects=2",
    "faces.clips_per_class=1",
    "frames.n_bins=5",
    "model.channels=[4, 8]",
    "model.kernels=[3, 3]",
    "model.hidden=8",
    "training.epochs=2",
    "training.batch_size=7",
    "lava.samples=2",
]
SET = [word for assignment in TINY for word in ("--set", assignment)]

needs_lava = pytest.mark.skipif(
    not LavaBackend().is_available(), reason=LavaBackend().is_available().reason
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny run: rendered, trained, quantised."""
    folder = tmp_path_factory.mktemp("cli")
    data, run = folder / "faces.h5", folder / "run"
    assert main(["faces", str(data), "--workers", "1", *SET]) == 0
    assert main(["train", "--data", str(data), "--out", str(run), *SET]) == 0
    assert main(["quantise", str(run)]) == 0
    return run


def test_rendering_leaves_a_set_and_a_look_at_it(trained):
    assert {path.name for path in trained.parent.iterdir()} == {"faces.h5", "faces.png", "run"}


def test_training_leaves_a_network_and_its_record(trained):
    report = json.loads((trained / "report.json").read_text())
    assert report["accuracy"]["float"]["tag"] == "simulated"
    assert report["accuracy"]["float"]["n"] == 16
    assert len((trained / "metrics.csv").read_text().splitlines()) == 3
    assert (trained / "network.nir").exists() and (trained / "network.chip").exists()
    assert not [path for path in trained.iterdir() if path.name.startswith(".")]


def test_simulator_and_report(trained, call):
    code, out, _ = call("run", trained, "--on", "simulator", "--json")
    assert code == 0
    report = json.loads(out)
    assert 0 <= report["accuracy"]["integer"]["value"] <= 1
    assert report["spikes"]["tag"] == "simulated"
    assert report["energy"]["tag"] == "estimated"
    assert all(constant["source"] for constant in report["energy"]["constants"])
    code, out, _ = call("report", trained)
    assert code == 0
    assert "synaptic operations" in out
    assert (trained / "report.html").exists()


@needs_lava
def test_lava_agrees_and_leaves_nothing(trained, call):
    code, out, _ = call("run", trained, "--on", "lava", "--json")
    assert code == 0
    parity = json.loads(out)["parity"]
    assert parity["equal"] and parity["samples"] == 2
    code, out, _ = call("doctor", "--json")
    assert json.loads(out)["leftovers"] == []


@needs_lava
@pytest.mark.skipif(not REAL.exists(), reason="the recording is not at hand")
def test_a_real_recording_runs_on_both_backends(trained, call):
    code, out, _ = call("run", trained, "--input", REAL, "--json")
    assert code == 0
    entry = json.loads(out)
    assert entry["events"] == 67_445
    assert entry["parity"]["equal"]
    simulator, lava = entry["backends"]["simulator"], entry["backends"]["lava"]
    assert simulator["layers"] == lava["layers"]
    assert simulator["spikes"] > 0


def test_a_finished_training_resumes_to_the_same_report(trained, call):
    before = (trained / "network.nir").stat().st_size
    data = trained.parent / "faces.h5"
    code, _, err = call("train", "--data", data, "--out", trained, "--resume", *SET)
    assert code == 0, err
    assert (trained / "network.nir").stat().st_size == before


def test_an_existing_folder_is_not_touched(trained, call):
    data = trained.parent / "faces.h5"
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    code, _, err = call("train", "--data", data, "--out", trained, *SET)
    assert code == 1 and "exists already" in err
    code, _, err = call(
        "train", "--data", data, "--out", trained, "--resume", "--set", "training.seed=9"
    )
    assert code == 1 and "another configuration" in err
    code, _, err = call("faces", data, *SET)
    assert code == 1 and "exists already" in err
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


def test_a_changed_set_is_noticed(trained, call):
    data = trained.parent / "faces.h5"
    whole = data.read_bytes()
    try:
        with h5py.File(data, "a") as file:
            file["test/labels"][0] = 6
        code, _, err = call("run", trained, "--on", "simulator")
        assert code == 1 and "is not the set that this run was trained on" in err
        data.write_bytes(whole[: len(whole) // 2])
        code, _, err = call("run", trained, "--on", "simulator")
        assert code == 1 and "it changed or is gone" in err
    finally:
        data.write_bytes(whole)


def bad_recording(folder, kind):
    path = folder / f"{kind}.h5"
    if kind == "foreign":
        path.write_bytes(b"GIF89a")
    elif kind == "empty":
        with h5py.File(path, "w") as file:
            file["events"] = np.zeros((0, 4), np.uint32)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [("missing", "no such file"), ("foreign", "cannot be read"), ("empty", "is empty")],
)
def test_bad_recordings_are_one_clear_error(trained, tmp_path, call, kind, message):
    report = (trained / "report.json").read_bytes()
    path = bad_recording(tmp_path, kind)
    code, out, err = call("run", trained, "--input", path, "--on", "simulator")
    assert code == 1 and out == ""
    assert err.startswith("spikeface: ") and message in err and path.name in err
    assert (trained / "report.json").read_bytes() == report


def test_wrong_sensor_size(trained, tmp_path, call):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["events"] = np.array([[0, 30, 5, 1]], np.uint32)
    arguments = ("run", trained, "--input", path, "--on", "simulator", "--sensor-size")
    code, _, err = call(*arguments, "20x20")
    assert code == 1 and "outside the 20×20 sensor" in err
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in (*arguments, "20")])
    assert stopped.value.code == 2


def test_missing_set_leaves_no_folder(tmp_path, call):
    run = tmp_path / "run"
    code, _, err = call("train", "--data", tmp_path / "no.h5", "--out", run)
    assert code == 1 and "no such file" in err and not run.exists()


def test_unknown_key_leaves_no_folder(tmp_path, call):
    run = tmp_path / "run"
    code, _, err = call("demo", "--out", run, "--set", "training.epoch=1")
    assert code == 2 and "did you mean training.epochs" in err and not run.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path, call):
    tmp_path.chmod(0o500)
    code, _, err = call("demo", "--out", tmp_path / "run")
    assert code == 1 and "cannot be written" in err


def test_folder_below_a_file_cannot_be_written(tmp_path, call):
    (tmp_path / "file").write_text("")
    for command in (["demo", "--out"], ["faces"]):
        code, _, err = call(*command, tmp_path / "file" / "x.h5")
        assert code == 1 and "cannot be written" in err


def test_commands_out_of_order_name_the_one_that_is_missing(tmp_path, call):
    code, _, err = call("run", tmp_path)
    assert code == 1 and "not a run folder" in err
    (tmp_path / "config.toml").write_text("")
    code, _, err = call("run", tmp_path)
    assert code == 1 and "'spikeface quantise' first" in err
    code, _, err = call("quantise", tmp_path)
    assert code == 1 and "'spikeface train' first" in err


def test_doctor_finds_and_removes_what_a_killed_run_left(call):
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir():
        pytest.skip("shared memory is no folder here")
    dead = shared_memory / "spikeface_4194304_test"  # above the largest process id of Linux
    dead.write_bytes(b"x")
    try:
        code, out, _ = call("doctor")
        assert code == 0 and f"left behind: segment {dead}" in out
        code, out, _ = call("doctor", "--clean")
        assert code == 0 and f"removed: segment {dead}" in out
        assert not dead.exists()
    finally:
        dead.unlink(missing_ok=True)


@pytest.mark.slow
@needs_lava
@pytest.mark.parametrize("engine", ["norse", "slayer"])
def test_demo_from_faces_to_report(engine, tmp_path, call):
    run = tmp_path / "run"
    code, out, err = call("demo", "--quick", "--engine", engine, "--out", run, "--json", *SET)
    assert code == 0, err
    report = json.loads(out)
    assert report["training"]["engine"] == engine
    assert report["parity"]["equal"]
    assert {"report.json", "report.html", "network.nir", "network.chip"} <= {
        path.name for path in run.iterdir()
    }
    assert "[6/6]" in err
    if engine == "slayer":  # trained on the chip's grid: nothing may change
        assert report["accuracy"]["same_prediction_as_float"]["value"] == 1
