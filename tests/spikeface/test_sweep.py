"""Sweeps from end to end on a tiny set: what is run, kept, gone on with, and said of failures."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snn.events.datasets import load_event_set
from spikeface import steps
from spikeface.cli import main
from spikeface.sweeps import SweepFolder, launchers, plan

ROOT = Path(__file__).parents[2]
TINY = """
[faces]
sensor_size = [24, 24]
position_jitter_px = 1.0
train_subjects = 3
validation_subjects = 1
test_subjects = 2
clips_per_class = 1
[frames]
n_bins = 5
[model]
channels = [4, 8]
kernels = [3, 3]
hidden = 8
[training]
epochs = 2
batch_size = 7
"""
DEAD = "model.threshold=1.0,1e6"  # the second one cannot learn when nothing scales the input
NO_SCALING = "training.init_rate=0"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Arguments that name a tiny configuration and its rendered set."""
    folder = tmp_path_factory.mktemp("sweep")
    config, data = folder / "tiny.toml", folder / "faces.h5"
    config.write_text(TINY)
    assert main(["faces", str(data), "--config", str(config), "--workers", "1"]) == 0
    return [str(config), "--data", str(data)]


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A sweep of two seeds, one after the other."""
    out = tmp_path_factory.mktemp("finished") / "s"
    assert main(["sweep", *tiny, "--out", str(out), "--over", "training.seed=0,1"]) == 0
    return out


def rows_of(out):
    with (out / "runs.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_every_run_is_a_whole_run_folder(finished, tiny):
    assert {path.name for path in finished.iterdir()} == {
        *("sweep.json", "runs", "logs", ".locks", "runs.csv", "confusion.csv"),
        *("summary.csv", "summary.md", "summary.png"),
    }
    for name, row in rows_of(finished).items():
        report = json.loads((finished / "runs" / name / "report.json").read_text())
        assert float(row["float_accuracy"]) == report["accuracy"]["float"]["value"]
        assert float(row["integer_accuracy"]) == report["accuracy"]["integer"]["value"]
        assert float(row["spikes_per_clip"]) == report["spikes"]["spikes"]
        assert report["data"]["file"] == str(load_event_set(Path(tiny[2])).source.resolve())
        assert (finished / "runs" / name / "network.chip").is_file()
    assert rows_of(finished)["seed1"]["training.seed"] == "1"


def test_a_finished_run_is_not_repeated_and_a_plan_may_grow(finished, tiny, call):
    before = (finished / "runs" / "seed0" / "network.nir").stat().st_mtime_ns
    code, out, err = call(
        *("sweep", *tiny, "--out", finished, "--over", "training.seed=0:3"),
        *("--resume", "--json"),
    )
    assert code == 0
    assert "[1/1] seed2" in err
    result = json.loads(out)
    assert result["counts"] == {"done": 3}
    assert [row["name"] for row in result["runs"]] == ["seed0", "seed1", "seed2"]
    assert result["groups"][0]["finished"] == 3
    assert (finished / "runs" / "seed0" / "network.nir").stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_whatever_launched_it(finished, tiny, tmp_path):
    out = tmp_path / "s"
    arguments = ["--over", "training.seed=0,1", "--launcher", "processes", "--workers", "2"]
    assert main(["sweep", *tiny, "--out", str(out), *arguments]) == 0
    for name, row in rows_of(out).items():
        other = rows_of(finished)[name]
        assert {k: v for k, v in row.items() if k != "training_minutes"} == {
            k: v for k, v in other.items() if k != "training_minutes"
        }
        assert (out / "logs" / f"{name}.log").is_file()


def test_a_failed_run_is_recorded_and_does_not_stop_the_others(tiny, tmp_path, call):
    out = tmp_path / "s"
    code, text, err = call(
        *("sweep", *tiny, "--out", out, "--set", NO_SCALING, "--over", DEAD),
        *("--over", "training.seed=0,1"),
    )
    assert code == 1 and "2 done, 2 failed" in text
    rows = rows_of(out)
    assert [row["state"] for row in rows.values()] == ["done", "done", "failed", "failed"]
    assert "the network cannot learn" in rows["threshold1e+06-seed0"]["error"]
    assert "failed: the network cannot learn" in err
    status = json.loads((out / "runs" / "threshold1e+06-seed1" / "status.json").read_text())
    assert status["sweep"]["state"] == "failed" and status["train"]["state"] == "failed"
    code, _, err = call("sweep", "--out", out, "--resume")
    assert code == 1 and "[1/2] threshold1e+06-seed0" in err and "[3/" not in err


def test_an_interrupted_run_goes_on_at_its_step(tiny, tmp_path, call, monkeypatch):
    out = tmp_path / "s"

    def interrupt(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(steps, "quantise", interrupt)
        code, _, err = call("sweep", *tiny, "--out", out, "--over", "training.seed=0,1")
    assert code == 130 and "go on with --resume" in err
    assert [row["state"] for row in rows_of(out).values()] == ["interrupted", "waiting"]
    trained = (out / "runs" / "seed0" / "network.nir").stat().st_mtime_ns
    code, _, err = call("sweep", "--out", out, "--resume")
    assert code == 0 and "[1/2] seed0" in err
    assert (out / "runs" / "seed0" / "network.nir").stat().st_mtime_ns == trained


def test_runs_may_end_before_the_integers_and_go_on_to_them(tiny, tmp_path, call):
    out = tmp_path / "s"
    code, text, _ = call("sweep", *tiny, "--out", out, "--until", "train", "--json")
    (row,) = json.loads(text)["runs"]
    assert code == 0 and row["name"] == "run" and row["integer_accuracy"] is None
    assert not (out / "runs" / "run" / "network.chip").exists()
    code, _, err = call("sweep", "--out", out, "--resume")
    assert code == 0 and "[1/1]" not in err  # no more was asked for
    code, text, _ = call("sweep", "--out", out, "--resume", "--until", "simulator", "--json")
    assert json.loads(text)["runs"][0]["integer_accuracy"] is not None


def test_folds_test_the_integers_on_their_own_subjects(tiny, tmp_path, call):
    out = tmp_path / "s"
    folds = ["--over", "data.fold=0,1", "--set", "data.n_folds=3", "--set", "training.epochs=1"]
    code, _, err = call("sweep", *tiny, "--out", out, *folds, "--set", "data.protocol='strict'")
    assert code == 0, err
    tested = []
    for name, row in rows_of(out).items():
        report = json.loads((out / "runs" / name / "report.json").read_text())
        assert report["accuracy"]["protocol"].startswith("strict")
        labels = report["predictions"]["labels"]
        right = sum(a == b for a, b in zip(report["predictions"]["integer"], labels, strict=True))
        assert float(row["integer_accuracy"]) == right / len(labels)
        tested.append(report["data"]["splits"]["test"]["subjects"])
        assert main(["report", str(out / "runs" / name)]) == 0
    assert tested == [2, 2]  # six subjects in three folds


def test_what_cannot_be_leaves_no_folder(finished, tiny, tmp_path, call, monkeypatch):
    out = tmp_path / "s"
    config, *data = tiny
    wrong = [
        ([config, *data, "--over", "training.sed=1,2"], 2, "did you mean training.seed"),
        ([config, "--data", tmp_path / "none.h5"], 2, "there are no such data"),
        ([config], 2, "say what to train on"),
        ([], 2, "without runs"),
        (["--resume"], 2, "without runs"),
        (["--show"], 1, "not a sweep"),
        ([config, *data, "--workers", "2"], 2, "needs --launcher processes"),
        ([config, *data, "--slurm", "a=1"], 2, "needs --launcher slurm"),
    ]
    for arguments, expected, message in wrong:
        code, _, err = call("sweep", *arguments, "--out", out)
        assert code == expected and message in err, (arguments, err)
    monkeypatch.setitem(sys.modules, "submitit", None)  # as if it were not installed
    code, _, err = call("sweep", *tiny, "--out", out, "--launcher", "slurm")
    assert code == 3 and "pip install submitit" in err
    assert not out.exists()
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    code, _, err = call("sweep", *tiny, "--out", finished)
    assert code == 1 and "exists already" in err
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


@pytest.mark.parametrize(
    ("body", "expected"),
    [("os.kill(os.getpid(), 9)", "was killed by signal 9"), ("1 / 0", "ended with code 1")],
)
def test_a_worker_that_dies_is_a_failed_run(tmp_path, monkeypatch, body, expected):
    (tmp_path / "dying_worker.py").write_text(f"import os\n{body}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launchers, "WORKER", "dying_worker")
    sweep = SweepFolder.create(tmp_path / "s", plan(None, over=["training.seed=0:3"]))
    ended = []
    launchers.in_processes(sweep, sweep.unfinished(), workers=2, on_end=ended.append)
    assert sorted(ended) == ["seed0", "seed1", "seed2"]
    assert set(sweep.states().values()) == {"failed"}
    assert expected in sweep.entry("seed2")["error"]


def test_workers_share_the_gpus_they_may_see(tmp_path, monkeypatch):
    (tmp_path / "looking_worker.py").write_text(
        "import os, pathlib, sys, time\n"
        "time.sleep(0.5)\n"
        "seen = os.environ['CUDA_VISIBLE_DEVICES'] + os.environ['OMP_NUM_THREADS']\n"
        "pathlib.Path(sys.argv[1], 'logs', sys.argv[2]).write_text(seen)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(launchers, "WORKER", "looking_worker")
    sweep = SweepFolder.create(tmp_path / "s", plan(None, over=["training.seed=0:3"]))
    launchers.in_processes(sweep, sweep.unfinished(), workers=3, on_end=str)
    seen = [(tmp_path / "s" / "logs" / f"seed{seed}").read_text() for seed in range(3)]
    assert seen == ["41", "71", "41"]


def processes_of(out):
    """Identifiers of the workers of a sweep."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:  # it ended meanwhile
            continue
        if launchers.WORKER in words and str(out) in words:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc of Linux")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_stopped_leaves_no_worker_and_resumes(
    finished, tiny, tmp_path, capsys, number
):
    out = tmp_path / "s"
    arguments = [*tiny, "--over", "training.seed=0,1", "--set", "training.epochs=30"]
    launcher = ["--launcher", "processes", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "spikeface", "sweep", *arguments, "--out", str(out), *launcher],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    checkpoints = [out / "runs" / f"seed{seed}" / "checkpoint.pt" for seed in (0, 1)]
    wait_for(lambda: all(path.exists() for path in checkpoints) or process.poll() is not None)
    process.send_signal(number)
    assert process.wait(60) == (-9 if number == signal.SIGKILL else 130)
    process.stderr.close()
    wait_for(lambda: not processes_of(out))
    assert set(SweepFolder.open(out).states().values()) == {"interrupted"}
    if number == signal.SIGTERM:
        return  # it resumes from the same states
    assert main(["sweep", "--out", str(out), "--resume"]) == 0
    whole = tmp_path / "whole"
    assert main(["sweep", *arguments, "--out", str(whole)]) == 0
    for name, row in rows_of(out).items():
        expected = rows_of(whole)[name]
        assert row["float_accuracy"] == expected["float_accuracy"]
        assert row["spikes_per_clip"] == expected["spikes_per_clip"]
        assert row["epochs_trained"] == "30"


def wait_for(condition, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def submitit():
    return pytest.importorskip("submitit", reason="the optional package submitit")


def test_jobs_inside_this_process(submitit, tiny, tmp_path, call):
    out = tmp_path / "s"
    arguments = ["--over", "training.seed=0,1", "--launcher", "slurm", "--slurm", "cluster=debug"]
    code, text, _ = call("sweep", *tiny, "--out", out, *arguments, "--json")
    result = json.loads(text)
    assert code == 0 and result["counts"] == {"done": 2} and len(result["jobs"]) == 2
    code, text, _ = call("sweep", "--out", out, "--resume", *arguments[2:], "--json")
    assert code == 0 and json.loads(text)["jobs"] == []


def test_jobs_as_processes_here(submitit, tiny, tmp_path, call):
    out = tmp_path / "s"
    code, _, _ = call(
        *("sweep", *tiny, "--out", out, "--launcher", "slurm"),
        *("--slurm", "cluster=local,timeout_min=5"),
    )
    assert code == 0
    wait_for(lambda: rows_of(out)["run"]["state"] == "done")


def test_one_job_array_with_the_options_asked_for(submitit, tiny, tmp_path, call, monkeypatch):
    (tmp_path / "bin").mkdir()
    for command in ("sbatch", "srun"):  # what submitit calls, and what tells it of a cluster
        script = tmp_path / "bin" / command
        script.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/job.sh\necho Submitted batch job 12\n')
        script.chmod(0o755)
    out = tmp_path / "s"
    arguments = ["sweep", *tiny, "--out", out, "--over", "training.seed=0:3", "--launcher", "slurm"]
    code, _, err = call(*arguments)
    assert code == 3 and "no Slurm on this machine" in err and not out.exists()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    code, _, err = call(*arguments, "--slurm", "partitoin=gpu")
    assert code == 2 and "partitoin" in err and not out.exists()
    code, text, _ = call(
        *arguments,
        "--json",
        *("--slurm", "partition=gpu,gpus_per_node=1,timeout_min=30,array_parallelism=2"),
    )
    assert code == 0
    result = json.loads(text)
    assert result["jobs"] == ["12_0", "12_1", "12_2"] and result["counts"] == {"waiting": 3}
    script = (tmp_path / "job.sh").read_text()
    for line in ("--array=0-2%2", "--partition=gpu", "--gpus-per-node=1", "--time=30"):
        assert f"#SBATCH {line}\n" in script
