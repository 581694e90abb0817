"""A report of anything: network files, comparisons, runs into another folder."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Dense, Direct
from spikeface.pages.comparison import comparison_page
from spikeface.runs import RunFolder


@pytest.fixture
def chip(tmp_path):
    """Four inputs into two neurons whose weights of 2 reach the threshold of 1 at every spike."""
    dense = Dense(sources=("input",), target="out", weight=np.full((2, 4), 2, np.int32))
    network = ChipNetwork(
        input_shape=(4,),
        populations=(Cuba(name="out", shape=(2,), du=4096, dv=4096, vth=1),),
        synapses=(dense,),
        readout="spike_count",
    )
    save_network(network, tmp_path / "toy.chip")
    np.save(tmp_path / "input.npy", np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]))
    return tmp_path / "toy.chip"


def test_a_network_file_becomes_a_folder_with_everything(call, chip, tmp_path, validate, read_page):
    source, out = tmp_path / "input.npy", tmp_path / "out"
    code, text, _ = call("report", chip, "--input", source, "--out", out, "--json")
    assert code == 0
    report = json.loads(text)
    validate(report)
    # Four input spikes through two nonzero weights each.
    assert report["spikes"]["synaptic_operations"] == 8
    assert report["spikes"]["dense_operations"] == 3 * 8
    assert report["metrics"]["over_time"]["input"] == [1, 0, 3]
    assert report["network"]["answers"] == [0] and not report["network"]["quantised"]
    assert report["fit"]["cores"] == 1 and report["fit"]["chips"] == 1
    assert {path.name for path in out.iterdir()} == {
        "report.json", "report.html", "report.md", "environment.json", "figures",
    }  # fmt: skip
    html = (out / "report.html").read_text(encoding="utf-8")
    page = read_page(html)
    assert "script" not in page.tags and not re.search(r"https?:", html)
    for words in ("1 on 1 chip", "synaptic operations", "Loihi 1", "a step lasts 1000 µs"):
        assert words in page.text


def test_neurons_without_synapses_have_a_page(call, tmp_path, read_page):
    """As the input layers of lava-dl's networks, which spikes are written into."""
    network = ChipNetwork(
        input_shape=(4,),
        populations=(Cuba(name="out", shape=(4,), du=4096, dv=4096, vth=1),),
        synapses=(Direct(sources=("input",), target="out"),),
        readout="spike_count",
    )
    save_network(network, tmp_path / "toy.chip")
    code, _, _ = call("report", tmp_path / "toy.chip", "--out", tmp_path / "out")
    assert code == 0
    assert "on 1 chip" in read_page((tmp_path / "out" / "report.html").read_text("utf-8")).text


def test_every_hop_of_it_is_compared_when_asked(call, chip, tmp_path, validate):
    out = tmp_path / "out"
    arguments = ("--input", tmp_path / "input.npy", "--out", out, "--parity", "simulator")
    assert call("report", chip, *arguments)[0] == 0
    report = RunFolder(out).read_report()
    validate(report)
    assert [hop["equal"] for hop in report["hops"]] == [True]
    assert (out / "parity" / "parity.html").is_file()
    assert "every message of every layer" in (out / "report.md").read_text(encoding="utf-8")


def test_an_existing_folder_is_not_touched(call, chip, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    code, _, error = call("report", chip, "--out", tmp_path / "out")
    assert code == 1 and "exists already" in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_is_no_network_is_refused_and_leaves_nothing(call, tmp_path):
    (tmp_path / "notes.txt").write_text("no network")
    code, _, error = call("report", tmp_path / "notes.txt", "--out", tmp_path / "out")
    assert code == 2 and "notes.txt" in error
    assert not (tmp_path / "out").exists()
    code, _, error = call("report", tmp_path / "nothing")
    assert code == 1 and "not a run folder" in error


def test_a_run_is_written_elsewhere_without_a_change_in_its_folder(
    call, make_run, report, tmp_path
):
    run = make_run(report)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    out = tmp_path / "elsewhere"
    assert call("report", run.path, "--out", out, "--markdown")[0] == 0
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert {"report.json", "report.html", "report.md", "figures"} <= {
        path.name for path in out.iterdir()
    }


def test_options_of_networks_mean_nothing_for_a_folder(call, make_run, report):
    run = make_run(report)
    for option in (("--seed", "3"), ("--reset", "zero"), ("--parity", "both")):
        code, _, error = call("report", run.path, *option)
        assert code == 2 and "network files" in error


def comparison():
    row = {
        "name": "rate <b>", "kind": "spiking", "runs": 1, "accuracy_mean": 0.5,
        "accuracy_std": None, "recordings": 8, "latency_steps": 4, "spikes": 10.0, "acs": 20.0,
        "graded_acs": None, "macs": None, "parameters": 30, "weight_bytes": 30, "state_bytes": 60,
        "cores": None, "needs_microcode": False,
        "energy_nj_low": 1.0, "energy_nj_high": 2.0, "energy_basis": "Loihi 1", "dominated": False,
        "other_test": None, "members": "rate",
    }  # fmt: skip
    test = {
        "recordings": 8, "of": 8, "sha256": None, "dataset": "faces", "protocol": "strict",
        "fold": 0, "classes": ["a", "b"],
    }  # fmt: skip
    return {
        "schema": "spikeface.comparison/1", "tag": "simulated", "created": "2026-01-01",
        "command_line": "spikeface compare a b", "folder": "cmp", "test": test, "rows": [row],
        "reading": ["One network."], "notes": ["A note."],
    }  # fmt: skip


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'


def test_the_page_of_a_comparison_is_written_again(call, tmp_path, read_page):
    folder = tmp_path / "cmp"
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps(comparison()))
    (folder / "pareto.svg").write_text(SVG)
    assert call("report", folder, "--markdown")[0] == 0
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html == comparison_page("cmp", comparison(), SVG)
    assert "One network." in read_page(html).text and "rate <b>" in read_page(html).text
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# Comparison")
    (folder / "comparison.json").write_text("{}")
    code, _, error = call("report", folder)
    assert code == 1 and "spikeface compare" in error
