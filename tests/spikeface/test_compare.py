"""Comparisons of hand-written reports with known numbers, and of runs that this tool made."""

import csv
import json

import numpy as np
import pytest
from markupsafe import escape

from hardware.analysis.energy import FP32_MAC, INT8_MAC
from hardware.analysis.fit import fit_network
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Dense
from spikeface.cli import main
from spikeface.comparison import compare
from spikeface.comparison.groups import dominated_by, grouped, with_one_test
from spikeface.comparison.points import points_of
from spikeface.comparison.tables import HEADERS, cells
from spikeface.errors import ConfigError, RunFolderError

CLASSES = ["anger", "happy"]
DATA = {"dataset": "faces", "sha256": "a" * 64, "classes": CLASSES}


def share(value, n=100):
    return {"value": value, "tag": "simulated", "n": n}


def spiking_report(*, floats, integer, synops=1000.0, seed=0, n=100, data=DATA, **layer):
    rows = [
        {"device": "Loihi 1, Intel's table", "dynamic_nj": 100.0},
        {"device": "Loihi 1, fit to boards", "dynamic_nj": 300.0},
        {"device": "INT8 artificial network, one pass per clip", "dynamic_nj": 1.0},
    ]
    return {
        "schema": "spikeface.report/1",
        "data": data,
        "accuracy": {"protocol": "p", "float": share(floats, n), "integer": share(integer, n)},
        "training": {
            "family": "conv", "engine": "fused", "seed": seed, "parameters": 500,
            "spikes_per_clip": {"value": 40.0},
        },
        "spikes": {
            "spikes": 42.0, "synaptic_operations": synops,
            "layers": [{"layer": "a", "weights": 490, "synops": synops, **layer}],
        },
        "energy": {"rows": rows},
    }  # fmt: skip


def conversion_report(source, *, seed=0, graded=0.8, energy=(5.0, 7.0)):
    """Three images a recording; 1000 MACs an image on the encoder, 10 a clip on the host."""

    def row(form, steps, accuracy, **counts):
        return {"form": form, "steps": steps, "per_recording": share(accuracy), **counts}

    counts = {
        "messages_per_image": 50.0, "acs_per_image": 0.0, "graded_acs_per_image": 400.0,
        "dynamic_nj_per_image_low": energy[0], "dynamic_nj_per_image_high": energy[1],
    }  # fmt: skip
    return {
        "schema": "spikeface.report/1",
        "task": "conversion",
        "data": DATA | {"protocol": "strict", "tested_recordings": {"used": 100, "of": 100}},
        "training": {"seed": seed, "parameters": 220},
        "transfer": {"mode": "finetune", "window": 1, "lstm_layers": 0},
        "conversion": {
            "code": "graded", "levels": 8, "window": 1, "images_per_recording": 3.0,
            "encoder_macs_per_image": 1000, "host_macs_per_clip": 10, "parameters": 210,
            "encoder_parameters": 200, "host_parameters": 20, "source": {"run": str(source)},
        },
        "chip": {"depth": 4, "weight_bytes": 190, "state_bytes": 60},
        "energy": {"rows": [{"device": "Loihi 1, Intel's table", "dynamic_nj": 7.0}]},
        "floats": {
            "rows": [row("ann_float32", None, 0.85), row("ann_int8", None, 0.84),
                     row("ann_quantised", None, graded), row("spiking_float", 1, graded)],
        },
        "integers": {"rows": [row("spiking_integer", 1, graded, **counts)]},
    }  # fmt: skip


def write(folder, name, report, config="task = 'x'\n"):
    run = folder / name
    run.mkdir()
    (run / "report.json").write_text(json.dumps(report))
    (run / "config.toml").write_text(config)
    return run


@pytest.fixture
def runs(tmp_path):
    """Three seeds of one spiking network, another network, and a conversion."""
    found = [
        write(
            tmp_path, f"s{seed}",
            spiking_report(floats=0.9, integer=integer, seed=seed),
            f"[training]\nseed = {seed}\nepochs = 3\n",
        )
        for seed, integer in enumerate((0.70, 0.74, 0.78))
    ]  # fmt: skip
    poor = spiking_report(floats=0.5, integer=0.5, synops=9000.0, effective_macs=4000.0)
    found.append(write(tmp_path, "poor", poor, "[training]\nseed = 0\nepochs = 1\n"))
    found.append(write(tmp_path, "graded", conversion_report(tmp_path / "source")))
    return found


def test_seeds_become_a_mean_and_a_spread(runs, tmp_path):
    rows = {row["name"]: row for row in compare(runs, tmp_path / "out")["rows"]}
    row = rows["Spiking-FER, fused, integers (s0)"]
    assert row["runs"] == 3 and row["members"] == "s0 s1 s2"
    assert row["accuracy_mean"] == pytest.approx(0.74)
    assert row["accuracy_std"] == pytest.approx(0.04)
    assert (row["acs"], row["graded_acs"], row["macs"]) == (1000, 0, 0)
    assert (row["energy_nj_low"], row["energy_nj_high"]) == (100, 300)
    assert row["weight_bytes"] == 490 and row["state_bytes"] is None
    other = rows["Spiking-FER, fused, integers (poor)"]
    assert other["runs"] == 1 and other["accuracy_std"] is None
    assert (other["acs"], other["graded_acs"]) == (5000, 4000)
    floats = rows["Spiking-FER, fused, floats (s0)"]
    assert floats["weight_bytes"] == 2000 and floats["acs"] is None and floats["spikes"] == 40


@pytest.mark.parametrize(("reset", "starred"), [("zero", ""), ("subtract", "*")])
def test_cores_are_those_of_the_integers(runs, tmp_path, reset, starred):
    network = ChipNetwork(
        input_shape=(8,),
        populations=(
            Cuba(name="hidden", shape=(40_000,), du=4096, dv=400, vth=300, reset=reset),
            Cuba(name="out", shape=(2,), du=4096, dv=400, vth=300),
        ),
        synapses=(
            Dense(sources=(INPUT,), target="hidden", weight=np.full((40_000, 8), 2, np.int32)),
            Dense(sources=("hidden",), target="out", weight=np.full((2, 40_000), 2, np.int32)),
        ),
    )
    save_network(network, runs[3] / "network.chip")
    result = compare(runs, tmp_path / "out")
    row = {row["name"]: row for row in result["rows"]}["Spiking-FER, fused, integers (poor)"]
    assert row["cores"] == fit_network(network).cores > 2
    assert cells(row)[HEADERS.index("cores")] == f"{row['cores']:g}{starred}"
    named = [text for text in result["reading"] if "stock neurons" in text]
    assert [row["name"] in text for text in named] == [True] * len(starred)


def test_a_conversion_is_charged_for_all_images_of_a_recording(runs, tmp_path):
    rows = {row["name"]: row for row in compare(runs, tmp_path / "out")["rows"]}
    graded = rows["evTransFER finetune, graded code of 8 levels, integers"]
    assert (graded["acs"], graded["graded_acs"], graded["macs"]) == (0, 1200, 30)
    assert graded["spikes"] == 150 and graded["latency_steps"] == 5
    host_nj = 30 * 4.6e-3
    assert graded["energy_nj_low"] == pytest.approx(15 + host_nj)
    assert graded["energy_nj_high"] == pytest.approx(21 + host_nj)
    assert graded["weight_bytes"] == 190 + 4 * 20 and graded["state_bytes"] == 60
    for bits, picojoules in ((32, FP32_MAC.value), (8, INT8_MAC.value)):
        row = rows[f"evTransFER finetune, {bits} bits"]
        assert row["macs"] == 3030 and row["weight_bytes"] == 220 * bits // 8
        assert row["energy_nj_high"] == pytest.approx(3030 * picojoules * 1e-3)
        assert row["latency_steps"] is None
    assert not any("quantised" in name or "floats" in name for name in rows if "evT" in name)


def test_domination_is_within_a_kind(runs, tmp_path):
    groups = {g.name: g for g in grouped([p for run in runs for p in points_of(run)])}
    everything = list(groups.values())
    poor = groups["Spiking-FER, fused, integers (poor)"]
    seeds = groups["Spiking-FER, fused, integers (s0)"]
    graded = groups["evTransFER finetune, graded code of 8 levels, integers"]
    assert dominated_by(poor, everything, "operations") == [seeds, graded]
    assert dominated_by(seeds, everything, "operations") == []  # fewer operations than graded
    assert dominated_by(graded, everything, "operations") == []  # more accurate
    assert dominated_by(seeds, everything, "energy")  # costs 300 nJ, graded 21
    assert dominated_by(graded, everything, "energy") == []  # 8 bits cost less in another boundary
    floating, eight = (groups[f"evTransFER finetune, {bits} bits"] for bits in (32, 8))
    assert dominated_by(floating, everything, "energy") == []  # more accurate
    assert dominated_by(eight, everything, "energy") == []
    result = compare(runs, tmp_path / "out")
    text = " ".join(result["reading"])
    assert "Most accurate: Spiking-FER, fused, floats (s0) with 90.0% ± 0.0 (n = 3)" in text
    assert "Spiking-FER, fused, integers (poor) is dominated" in text
    assert "within the 95% interval" in text and "different boundaries" in text
    assert "drawings" in text


def test_files_say_the_same(runs, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compare", *map(str, runs), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    result = json.loads((out / "comparison.json").read_text())
    with (out / "comparison.csv").open(newline="") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    assert set(table) == {row["name"] for row in result["rows"]} and len(table) == 7
    page, markdown = ((out / name).read_text() for name in ("report.html", "comparison.md"))
    for row in result["rows"]:
        assert float(table[row["name"]]["accuracy_mean"]) == row["accuracy_mean"]
        assert row["name"] in markdown and row["name"] in page and row["name"] in printed
    assert "74.0 ± 4.0%" in markdown and "74.0 ± 4.0%" in page
    assert "Horowitz" in page and "Loihi 1, Intel&#39;s table" in page
    assert (out / "pareto.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "pareto.svg").read_text().startswith("<?xml")
    assert "<script" not in page and "http-equiv" in page


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": DATA | {"sha256": "b" * 64}}, "other data (sha256 differs)"),
        (
            {"data": DATA | {"classes": ["anger", "fear"]}},
            "classes anger, fear and not anger, happy",
        ),
        ({"data": DATA | {"protocol": "authors"}}, "protocol 'authors' and not 'strict'"),
        ({"n": 30}, "recordings 30 and not 100"),
    ],
)
def test_runs_on_another_test_set_are_refused_or_marked(runs, tmp_path, changed, message):
    other = write(tmp_path, "other", spiking_report(floats=1.0, integer=1.0, **changed))
    with pytest.raises(ConfigError) as error:
        compare([*runs, other], tmp_path / "out")
    assert message in str(error.value) and "other:" in str(error.value)
    assert not (tmp_path / "out").exists()
    result = compare([*runs, other], tmp_path / "out", mark=True)
    marked = [row for row in result["rows"] if row["other_test"]]
    assert {row["members"] for row in marked} == {"other"}
    assert all(message in row["other_test"] for row in marked)
    text = " ".join(result["reading"])
    assert "Most accurate: Spiking-FER, fused, floats (s0)" in text  # not the 100% of the other
    assert (
        "in no comparison above" in text
        and escape(message) in (tmp_path / "out/report.html").read_text()
    )


def test_forms_of_one_source_count_once(tmp_path):
    source = tmp_path / "source"
    runs = [
        write(tmp_path, name, conversion_report(source), f"[conversion]\nlevels = {levels}\n")
        for name, levels in (("a", 4), ("b", 8))
    ]
    groups = grouped([p for run in runs for p in points_of(run)])
    assert [g.name for g in groups] == [
        "evTransFER finetune, 32 bits",
        "evTransFER finetune, 8 bits",
        "evTransFER finetune, graded code of 8 levels, integers (a)",
        "evTransFER finetune, graded code of 8 levels, integers (b)",
    ]


def test_conversions_of_several_seeds_are_one_group(tmp_path):
    runs = []
    for seed, accuracy in enumerate((0.8, 0.9)):
        source = write(tmp_path, f"t{seed}", {}, f"[training]\nseed = {seed}\nepochs = 2\n")
        report = conversion_report(source, seed=seed, graded=accuracy)
        runs.append(write(tmp_path, f"c{seed}", report, f"[conversion]\nrun = '{source}'\n"))
    groups = with_one_test(grouped([p for run in runs for p in points_of(run)]), mark=False)
    assert [(g.name, g.n) for g in groups] == [
        ("evTransFER finetune, 32 bits", 2),
        ("evTransFER finetune, 8 bits", 2),
        ("evTransFER finetune, graded code of 8 levels, integers", 2),
    ]
    assert groups[2].accuracy == pytest.approx(0.85)


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunFolderError, match=r"there is no report\.json"):
        compare([empty], tmp_path / "out")
    gan = write(tmp_path, "gan", {"schema": "spikeface.report/1", "task": "reconstruction"})
    with pytest.raises(RunFolderError, match="has no accuracy to compare"):
        compare([gan], tmp_path / "out")
    begun = write(tmp_path, "begun", {"schema": "spikeface.report/1"})
    with pytest.raises(RunFolderError, match="let its run end first"):
        compare([begun], tmp_path / "out")
    foreign = write(tmp_path, "foreign", {"schema": "other/1"})
    with pytest.raises(RunFolderError, match="is no report of this tool"):
        compare([foreign], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(Exception, match="exists already"):
        compare(runs, tmp_path)
