"""Conversion runs from end to end on a tiny set, in every code, and what is refused."""

import csv
import json
import shutil
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch
from torch import nn

from conversion.activations import with_qcfs
from conversion.clips import WindowClips
from conversion.distil import Distillation
from conversion.spiking import convert
from conversion.spiking.calibrate import covered_share
from hardware.backends.reference import Reference
from hardware.chip.storage import load_network
from snn.training import evaluate
from spikeface.cli import main
from spikeface.comparison import compare
from spikeface.config import CONFIGS, ConversionRunConfig, load_run_config, to_toml
from spikeface.errors import RunFolderError
from spikeface.outputs import write_json
from spikeface.runs import RunFolder
from spikeface.steps.conversion import forms
from spikeface.steps.conversion.forms import (
    batches,
    features_of,
    input_code,
    int8_network,
    largest_delta,
    spiking_features,
)
from spikeface.steps.conversion.running import Work, convert_run
from spikeface.steps.conversion.source import host_multiplications, open_source, stacked

SHARED = """
[faces]
sensor_size = [32, 32]
position_jitter_px = 1.0
train_subjects = 2
validation_subjects = 1
test_subjects = 1
clips_per_class = 1
classes = ["anger", "happy", "surprise"]
[data]
baselines = false
[images]
size = 32
first = 4
stride = 2
[training]
epochs = 2
batch_size = 8
selection = "recording"
"""
CLASSIFIER = f"""task = "transfer"
{SHARED}
[transfer]
mode = "scratch"
width = 2
head_hidden = 8
"""
SMALL = ("conversion.probe_recordings=3", "conversion.calibration_images=12", "distil.epochs=1")


def call(capsys, *arguments):
    """Exit code, stdout and stderr of one command."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def given(*assignments):
    return [word for text in (*SMALL, *assignments) for word in ("--set", text)]


def report_of(run):
    return json.loads((run / "report.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Faces, a classifier on single images and one with an LSTM over two."""
    folder = tmp_path_factory.mktemp("convert")
    toml, data = folder / "classifier.toml", folder / "faces.h5"
    toml.write_text(CLASSIFIER)
    assert main(["faces", str(data), "--config", str(toml), "--workers", "1"]) == 0
    given = ["--data", str(data)]
    lstm = ["transfer.window=2", "transfer.lstm_layers=1", "transfer.lstm_hidden=4"]
    sets = [word for text in lstm for word in ("--set", text)]
    assert main(["train", str(toml), *given, "--out", str(folder / "single")]) == 0
    assert main(["train", str(toml), *given, "--out", str(folder / "lstm"), *sets]) == 0
    return folder


@pytest.fixture(scope="module")
def rate(folder):
    run = folder / "rate"
    arguments = ["convert", str(folder / "single"), "--out", str(run), "--code", "rate"]
    sets = given("conversion.steps=[2, 6]")
    assert main([*arguments, "--on", "simulator", *sets]) == 0
    return run


@pytest.fixture(scope="module")
def graded(folder):
    run = folder / "graded"
    arguments = ["convert", str(folder / "lstm"), "--out", str(run), "--code", "graded"]
    assert main([*arguments, "--on", "simulator", *given("conversion.input_bits=5")]) == 0
    return run


@pytest.fixture(scope="module")
def sigma_delta(folder):
    run = folder / "sigma_delta"
    arguments = ["convert", str(folder / "single"), "--out", str(run), "--code", "sigma-delta"]
    assert main([*arguments, "--on", "simulator", *given("conversion.deltas=[0.05]")]) == 0
    return run


def rows_of(run):
    report = report_of(run)
    rows = report["floats"]["rows"] + report["integers"]["rows"]
    return {(row["form"], row["steps"]): row for row in rows}


def work_of(run):
    config = load_run_config(run / "config.toml")
    source = open_source(config.conversion.run)
    return Work(RunFolder.open(run), config, source)


def test_every_form_is_in_the_report(rate, graded, sigma_delta):
    artificial = {("ann_float32", None), ("ann_int8", None)}
    assert set(rows_of(rate)) == artificial | {
        (form, steps) for form in ("spiking_float", "spiking_integer") for steps in (2, 6)
    }
    assert set(rows_of(graded)) == artificial | {
        ("ann_quantised", None), ("spiking_float", 1), ("spiking_integer", 1),
    }  # fmt: skip
    assert set(rows_of(sigma_delta)) == artificial | {("spiking_float", 1), ("spiking_integer", 1)}
    for run in (rate, graded, sigma_delta):
        assert (run / "network.nir").is_file() and (run / "network.chip").is_file()
        row = rows_of(run)["ann_float32", None]
        assert row["cosine"]["value"] == pytest.approx(1) and row["same_answers"]["value"] == 1


def test_the_float_network_answers_as_in_its_own_run(folder, rate, graded):
    for run, source in ((rate, "single"), (graded, "lstm")):
        row, expected = rows_of(run)["ann_float32", None], report_of(folder / source)["accuracy"]
        for key in ("per_clip", "per_recording"):
            assert row[key] == expected[key]


def test_an_lstm_and_head_see_the_features_in_order(folder):
    source = open_source(folder / "lstm")
    test = source.windows("test")
    answers = source.answers(test, features_of(source.network.encoder, test))
    expected = evaluate(source.network, WindowClips(test, 2))
    assert torch.equal(answers.clips, expected.predictions)
    assert answers.per_recording == expected.votes.accuracy
    assert host_multiplications(source.network) == 2 * 4 * 4 * (16 + 4) + 8 * 4 + 3 * 8


def test_graded_messages_equal_the_quantised_network(graded):
    rows = rows_of(graded)
    found, expected = rows["spiking_float", 1], rows["ann_quantised", None]
    for key in ("per_clip", "per_recording", "cosine", "cka", "probe", "same_answers"):
        assert found[key]["value"] == pytest.approx(expected[key]["value"], abs=1e-12), key


def test_the_report_counts_what_the_specification_counts(rate, sigma_delta):
    for run, steps in ((rate, 6), (sigma_delta, None)):
        work, row = work_of(run), rows_of(run)["spiking_integer", 6 if steps else 1]
        network = load_network(run / "network.chip")
        streams = steps is None
        counted = {"spikes": 0, "synops": 0, "macs": 0}
        features = []
        for images, _ in batches(work.test, streams):
            messages = work.chip.messages(images, steps)
            answer = (network.output.name, "spikes")
            result = Reference().run(network, messages, probes=[answer])
            sent = torch.from_numpy(result.traces[answer].astype(np.int64)).flatten(2).sum(1)
            features.append(sent)
            counted["spikes"] += sum(v.sum() for k, v in result.spikes.items() if k != "input")
            for key in ("synops", "macs"):
                counted[key] += sum(v.sum() for v in getattr(result, key).values())
        images = len(work.test)
        assert row["messages_per_image"] == pytest.approx(counted["spikes"] / images)
        assert row["graded_acs_per_image"] == pytest.approx(counted["macs"] / images)
        added = counted["synops"] - counted["macs"]
        assert row["acs_per_image"] == pytest.approx(added / images)
        assert (row["acs_per_image"] > 0) == (not streams)


def test_a_stream_is_answered_window_by_window(sigma_delta):
    """Without a threshold, changes add up to what the float encoder gives for each window."""
    config = load_run_config(sigma_delta / "config.toml", ["conversion.deltas=[0]"])
    work = work_of(sigma_delta)
    work = Work(work.run, config, work.source)
    (found,) = spiking_features(work.spiking, work.test, "streams")
    images = input_code(8).quantised(stacked(work.test))
    with torch.no_grad():
        expected = work.source.network.encoder(images).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_largest_change_that_validation_allows_is_taken(monkeypatch):
    """Accuracies of 0.6 are enough for 99 % of 0.606; test recordings are never asked for."""
    parts, source = [], SimpleNamespace(network=SimpleNamespace(encoder=None))
    source.windows = parts.append
    source.accuracy = lambda windows, features: features
    monkeypatch.setattr(forms, "features_of", lambda encoder, windows: 0.606)
    monkeypatch.setattr(forms, "spiking_features", lambda found, windows, what: (found,))
    for accuracies, expected in (
        ({0.0: 0.606, 0.1: 0.61, 0.2: 0.6, 0.5: 0.59}, 0.2),
        ({0.0: 0.606, 0.1: 0.2, 0.2: 0.2, 0.5: 0.59}, 0.0),
    ):
        assert largest_delta(source, accuracies.get, tuple(accuracies), 0.99) == expected
    assert parts == ["validation", "validation"]


def test_the_share_below_thresholds_by_hand():
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.LeakyReLU(0.5))
    nn.init.ones_(module[0].weight)
    images = torch.tensor([[-3.0], [-1.9], [0.5], [1.0], [1.1]])  # as sizes 1.5, 0.95, 0.5, 1, 1.1
    for form in ("signed", "pair"):
        spiking = convert(
            with_qcfs(module, 4, calibration=torch.ones(1, 1), signed=True),
            images, code="graded", activation=form, input_bits=8,
        )  # fmt: skip
        populations = spiking.network.neurons
        assert covered_share(spiking.artificial, populations, images.double()) == 3 / 5


def test_eight_bits_are_eight_bits(folder):
    source = open_source(folder / "single")
    calibration = stacked(source.windows("train"), 12)
    network = int8_network(source.network.encoder, calibration)
    for node in network.nodes:
        if hasattr(node, "weight"):
            for channel in node.weight:
                levels = channel / channel.abs().max() * 127
                assert (levels - levels.round()).abs().max() < 1e-9
                assert len(channel.unique()) <= 255
    values = network(calibration.double())
    for node in network.activations:
        assert len(values[node.name].unique()) <= 256
    with torch.no_grad():
        exact = source.network.encoder(calibration).double()
    error = (values[network.output].flatten(1) - exact).abs().mean() / exact.abs().mean()
    assert 0 < error < 0.05


def test_pages_and_tables_show_what_there_is(rate, graded, sigma_delta, capsys):
    for run, words in (
        (rate, ("rate code, 2 steps, integers", "sent by a second neuron")),
        (graded, ("graded code, integers", "sent as negative messages")),
        (sigma_delta, ("sigma-delta, integers", "lava.proc.sdn.SigmaDelta")),
    ):
        page = (run / "report.html").read_text()
        for word in (
            *words,
            "artificial, 8 bits",
            "The faces are drawings",
            "multiply-accumulates",
        ):
            assert word in page, word
        assert "not here yet" not in page and "Does Lava do" not in page
        assert ("over the steps" in page) == (run.name == "rate")
        code, out, err = call(capsys, "report", run)
        assert code == 0 and words[0] in out, err


def test_the_file_says_what_was_converted(rate):
    said = json.loads(nir.read(rate / "network.nir").metadata["spikeface"])
    assert said["code"] == "rate" and said["n_steps"] == 6 and said["source"] == "single"
    assert said["classes"] == ["anger", "happy", "surprise"]


def test_a_killed_distillation_goes_on_bit_by_bit(folder, tmp_path, monkeypatch):
    config = load_run_config(
        _config(tmp_path, folder),
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


def _config(tmp_path, folder):
    path = tmp_path / "graded.toml"
    path.write_text(
        'task = "conversion"\n[conversion]\ncode = "graded"\ndistil = true\n'
        f'run = "{folder / "single"}"\ncalibration_images = 12\n'
    )
    return path


def test_a_subset_is_said(folder, tmp_path, capsys):
    run = tmp_path / "part"
    code, out, err = call(
        capsys, "convert", folder / "single", "--out", run, "--on", "simulator",
        *given("conversion.test_recordings=2", "conversion.distil=false"),
    )  # fmt: skip
    assert code == 0, err
    assert "2 test recordings, of 3" in out
    assert "2 of 3 test recordings" in (run / "report.html").read_text()
    report = report_of(run)
    assert report["integers"]["rows"][0]["per_recording"]["n"] == 2
    assert "majority" not in report["accuracy"]  # of the whole test set, not of these


@pytest.mark.parametrize("code", ["rate", "graded", "sigma-delta"])
def test_lava_says_the_same(folder, tmp_path, capsys, code):
    pytest.importorskip("lava", reason="lava is not installed")
    run = tmp_path / code
    result, _, err = call(
        capsys, "convert", folder / "single", "--out", run, "--code", code, "--on", "lava",
        *given("conversion.steps=[3]", "lava.samples=1", "conversion.probe_recordings=0"),
    )  # fmt: skip
    assert result == 0, err
    parity = report_of(run)["parity"]
    assert parity["equal"] and parity["same_readout"] and parity["values_compared"] > 900
    assert "Does Lava do what the simulator does" in (run / "report.html").read_text()


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
    config = load_run_config(_config(tmp_path, folder), ["conversion.distil=false"])
    run = RunFolder.create(tmp_path / "run", to_toml(config))
    write_json(run.report, run.read_report() | {"conversion": {"source": {"sha256": "other"}}})
    with pytest.raises(RunFolderError, match="has changed since"):
        convert_run(run, config, backends=())


def test_shipped_configurations_read_back_equal(tmp_path):
    for code in ("rate", "graded", "sigma_delta"):
        config = load_run_config(CONFIGS / f"convert_{code}.toml")
        assert isinstance(config, ConversionRunConfig) and config.conversion.code == code
        (tmp_path / "c.toml").write_text(to_toml(config))
        assert load_run_config(tmp_path / "c.toml") == config


def test_a_comparison_of_these_runs_counts_the_same_network_once(
    folder, rate, graded, sigma_delta, tmp_path
):
    paths = [folder / "single", folder / "lstm", rate, graded, sigma_delta]
    rows = {row["name"]: row for row in compare(paths, tmp_path / "out")["rows"]}
    assert len(rows) == 4 + 2 + 1 + 1  # two classifiers in 32 and 8 bits, two rates, two others
    for run, name in ((rate, "evTransFER scratch"), (graded, "evTransFER scratch, LSTM over 2")):
        chosen = report_of(run)["conversion"]
        clips = 4 if run is rate else 3  # of the four images of a recording
        macs = 4 * chosen["encoder_macs_per_image"] + clips * chosen["host_macs_per_clip"]
        assert rows[f"{name}, 32 bits"]["macs"] == macs == rows[f"{name}, 8 bits"]["macs"]
        assert rows[f"{name}, 32 bits"]["runs"] == 1
    assert rows["evTransFER scratch, rate code, 6 steps, integers"]["latency_steps"] == 6 + 5
    assert (tmp_path / "out" / "pareto.png").is_file()
