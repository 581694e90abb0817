"""Conversions that are refused, and one that is killed and goes on."""

import csv
import json
import shutil

import pytest
import torch
from conversions import CLASSIFIER, call, graded_config, report_of

from conversion.distil import Distillation
from spikeface.config import load_run_config, to_toml
from spikeface.errors import RunFolderError
from spikeface.outputs import write_json
from spikeface.runs import RunFolder
from spikeface.steps.conversion.running import convert_run


def test_a_killed_distillation_goes_on_bit_by_bit(folder, tmp_path, monkeypatch):
    config = load_run_config(
        graded_config(tmp_path, folder),
        ["distil.epochs=3", "conversion.probe_recordings=0"],
    )
    whole = RunFolder.create(tmp_path / "whole", to_toml(config))
    convert_run(whole, config, backends=())
    killed = RunFolder.create(tmp_path / "killed", to_toml(config))
    epoch = Distillation.epoch

    def dies(self):
        if len(self.losses) == 2:
            raise KeyboardInterrupt
        return epoch(self)

    with monkeypatch.context() as patched:
        patched.setattr(Distillation, "epoch", dies)
        with pytest.raises(KeyboardInterrupt):
            convert_run(killed, config, backends=())
    assert killed.read_status()["convert"]["state"] == "interrupted"
    convert_run(
        RunFolder.create(tmp_path / "killed", to_toml(config), resume=True), config, backends=()
    )
    one, other = (
        torch.load(run.path / "distil.pt", weights_only=True)["state"]["student"]
        for run in (whole, killed)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    with (killed.path / "metrics.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert whole.read_report()["floats"] == killed.read_report()["floats"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("conversion.steps=[8, 4]", "steps must be whole numbers from 1, ascending"),
        ("conversion.activation=signed", "no chip has neurons of code 'rate'"),
        ("conversion.levls=3", "did you mean conversion.levels"),
        ("conversion.input_bits=0", "input_bits must lie in [1, 12]"),
        ("conversion.reset=never", "reset"),
        ("conversion.deltas=[0.1, 0.1]", "deltas must be numbers from 0, ascending"),
        ("conversion.kept=0", "kept must lie in (0, 1]"),
        ("distil.epochs=0", "epochs must be at least 1"),
    ],
)
def test_values_out_of_range_are_refused(folder, tmp_path, capsys, assignment, message):
    code, _, err = call(
        capsys, "convert", folder / "single", "--out", tmp_path / "x", "--code", "rate", "--set",
        assignment,
    )  # fmt: skip
    assert code in (1, 2) and message in err, err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("distil=true", "there is nothing to learn"), ("reset=zero", "reset is for the rate code")],
)
def test_what_a_sigma_delta_network_lacks_is_refused(folder, tmp_path, capsys, assignment, message):
    code, _, err = call(
        capsys, "convert", folder / "single", "--out", tmp_path / "x", "--code", "sigma-delta",
        "--set", f"conversion.{assignment}",
    )  # fmt: skip
    assert code == 2 and message in err


def test_other_runs_are_refused_in_one_sentence(folder, rate, tmp_path, capsys):
    for run, message in (
        (rate, "a conversion takes a classifier on an encoder"),
        (tmp_path, "not a run folder"),
    ):
        code, _, err = call(capsys, "convert", run, "--out", tmp_path / "x")
        assert code in (1, 2) and message in err and len(err.strip().splitlines()) == 1
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.toml").write_text(CLASSIFIER)
    code, _, err = call(capsys, "convert", unfinished, "--out", tmp_path / "x")
    assert code == 1 and "its training has not ended" in err
    code, _, err = call(
        capsys, "convert", folder / "single", folder / "classifier.toml", "--out", tmp_path / "x"
    )
    assert code == 2 and "this needs task = 'conversion'" in err


def test_a_conversion_trains_nothing(rate, tmp_path, capsys):
    for arguments in (
        ("train", rate / "config.toml", "--out", tmp_path / "x"),
        ("faces", tmp_path / "f.h5", "--config", rate / "config.toml"),
    ):
        code, _, err = call(capsys, *arguments)
        assert code == 2 and "use 'spikeface convert" in err
    for command in ("quantise", "run"):
        code, _, err = call(capsys, command, rate)
        assert code == 2 and "needs a spiking network" in err


def test_changed_data_are_refused_before_a_folder_is_made(folder, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "single", copy)
    report = report_of(copy)
    report["data"]["sha256"] = "0" * 64
    (copy / "report.json").write_text(json.dumps(report))
    code, _, err = call(capsys, "convert", copy, "--out", tmp_path / "x")
    assert code == 1 and "is not what" in err and "sha256 differ" in err
    assert not (tmp_path / "x").exists()


def test_changed_weights_are_refused(folder, tmp_path):
    config = load_run_config(graded_config(tmp_path, folder), ["conversion.distil=false"])
    run = RunFolder.create(tmp_path / "run", to_toml(config))
    write_json(run.report, run.read_report() | {"conversion": {"source": {"sha256": "other"}}})
    with pytest.raises(RunFolderError, match="has changed since"):
        convert_run(run, config, backends=())
