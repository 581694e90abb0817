"""Conversions from end to end on a tiny set, in every code."""

import json
from types import SimpleNamespace

import nir
import numpy as np
import pytest
import torch
from conversions import call, given, report_of, rows_of, work_of
from torch import nn

from conversion.activations import with_qcfs
from conversion.clips import WindowClips
from conversion.spiking import convert
from conversion.spiking.calibrate import covered_share
from hardware.backends.reference import Reference
from hardware.chip.storage import load_network
from snn.training import evaluate
from spikeface.comparison import compare
from spikeface.config import CONFIGS, ConversionRunConfig, load_run_config, to_toml
from spikeface.steps.conversion import forms
from spikeface.steps.conversion.forms import (
    batches,
    features_of,
    input_code,
    int8_network,
    largest_delta,
    spiking_features,
)
from spikeface.steps.conversion.running import Work
from spikeface.steps.conversion.source import host_multiplications, open_source, stacked


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
