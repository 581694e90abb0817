"""The report page: every state of a run renders, nothing is loaded, nothing hostile gets in."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Conv, Dense
from snn.events.faces import FaceSetParameters
from spikeface.errors import RunFolderError, SpikefaceError
from spikeface.figures.results import (
    confusion_matrix,
    learning_curve,
    save_faces_preview,
    wilson_interval,
)
from spikeface.figures.spikes import input_strip, spike_raster
from spikeface.figures.style import to_svg
from spikeface.pages.report import write_report
from spikeface.runs import SCHEMA, RunFolder
from spikeface.text.numbers import compact, percent, small, three_figures

HOSTILE = "<script>alert('$x$')</script>"
CLASSES = ["calm", HOSTILE, "R&D"]
VOID = {"meta", "link", "br", "img", "hr", "input"}
FIGURES = {"accuracy", "learning", "confusion", "input", "raster", "layers"}
SPIKE_SECTIONS = ("confusion", "spikes", "energy", "simulator")
LAVA_SECTIONS = ("parity", "lava")
DIVERGENCE = {
    "population": "first",
    "sample": 2,
    "step": 4,
    "neuron": [1, 3, 5],
    "expected": 1,
    "found": 0,
    "differing": {"first": 14, "second": 1220},
    "backends": ["simulator", "lava"],
}


class Page(HTMLParser):
    """Checks nesting while it reads; collects tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.data = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"
        self.text = re.sub(r"\s+", " ", " ".join(self.data))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.data.append(data)


def simulated(value, **context):
    return {"value": value, "tag": "simulated", **context}


def activity(scale=1.0):
    rows = [
        {
            "layer": name,
            "neurons": neurons,
            "synapses": 900,
            "weights": 100,
            "spikes": scale * spikes,
            "synops": 500.0,
            "dense": 9000.0,
            "rate": 0.0412,
            "activation_sparsity": 0.9588,
        }
        for name, neurons, spikes in (("first", 60, 40.5), ("second", 3, 2.0))
    ]
    return {
        "tag": "simulated",
        "per": "sample",
        "input_spikes": 71.25,
        "spikes": scale * 42.5,
        "synaptic_operations": 1000.0,
        "dense_operations": 18000.0,
        "layers": rows,
    }


def parity(divergence=None):
    return {
        "tag": "simulated",
        "samples": 3,
        "equal": divergence is None,
        "compared": "every spike of every layer",
        "statement": "every spike of every layer equal on 3 samples",
        "first_divergence": divergence,
    }


def full_report():
    layer = {
        "scale": 159.0,
        "weight_sqnr_db": 43.99,
        "effective_bits": 7.01,
        "clipped": 0.0,
        "zeroed": 0.0025,
        "threshold_error": 0.0,
        "decay_error": 0.0,
        "bias_error": 4.5e-05,
    }
    exact = layer | {"weight_sqnr_db": None, "effective_bits": None}
    row = {"dynamic_nj": 17954.3, "static_nj": 41_750_000.0, "total_nj": 41_767_954.3}
    split = {"clips": 6, "subjects": 2, "events_per_clip": 70.5}
    return {
        "schema": SCHEMA,
        "name": HOSTILE,
        "data": {
            "file": f"/somewhere/{HOSTILE.replace('/', '')}.h5",
            "sha256": "70" * 32,
            "classes": CLASSES,
            "sensor_size": [6, 5],
            "duration_us": 400_000,
            "splits": {"train": split, "validation": split, "test": split},
            "rendered_with": {"seed": 0},
        },
        "training": {
            "engine": "norse",
            "seed": 0,
            "epochs": 3,
            "best_epoch": 2,
            "best_validation_accuracy": simulated(0.5),
            "parameters": 1234,
            "host_seconds": 29.5,
        },
        "accuracy": {
            "protocol": "strict",
            "chance": 1 / 3,
            "float": simulated(0.9314, n=84),
            "baseline_event_count": simulated(0.19),
            "baseline_ridge": simulated(0.38, bins=4),
            "integer": simulated(0.92, n=84),
            "integer_minus_float_points": simulated(-1.14),
            "same_prediction_as_float": simulated(0.98),
            "lava": simulated(1.0, n=3),
            "integer_on_lava_samples": simulated(1.0, n=3),
        },
        "quantisation": {
            "layers": [{"layer": "first", **layer}, {"layer": "second", **exact}],
            "assumptions": [f"dt = 0.0001 s: {HOSTILE} does not say it"],
        },
        "confusion": {
            "tag": "simulated",
            "rows_are_true_classes": [[5, 1, 0], [0, 0, 0], [0, 0, 7]],
        },
        "spikes": activity(),
        "energy": {
            "tag": "estimated",
            "per": "clip of 0.4 s",
            "rows": [
                {"device": "Loihi 1", **row, "basis": "operations", "provenance": "estimated"},
                {
                    "device": "INT8",
                    "dynamic_nj": 328.0,
                    "static_nj": None,
                    "total_nj": 328.0,
                    "basis": "MACs",
                    "provenance": "estimated",
                },
            ],
            "constants": [
                {"name": "synaptic operation", "value": 23.6, "unit": "pJ", "source": "Davies 2018"}
            ],
            "limits": ["Loihi 2 is not priced."],
        },
        "simulator": {"host_seconds": 0.67, "versions": {}},
        "parity": parity()
        | {"values_compared": 1890, "processes": ["lava.proc.Conv", "lava.proc.Dense"]},
        "lava": {"samples": [0, 2, 5], "host_seconds": 6.3, "versions": {}},
        "recordings": [
            {
                "file": f"{HOSTILE}.bin",
                "events": 67_445,
                "duration_us": 299_358,
                "sensor_size": [151, 173],
                "windows": 30,
                "window_us": 400_000,
                "input_pixels_active": simulated(0.2166),
                "backends": {
                    name: activity(9.0) | {"output_spikes": [[0, 1, 2]] * 30, "host_seconds": 0.1}
                    for name in ("simulator", "lava")
                },
                "parity": parity(),
            }
        ],
    }


def without(report, *sections, accuracies=()):
    report = copy.deepcopy(report)
    for name in sections:
        del report[name]
    for name in accuracies:
        del report["accuracy"][name]
    return report


INTEGER = ("integer", "integer_minus_float_points", "same_prediction_as_float")
LAVA = ("lava", "integer_on_lava_samples")


def states():
    """Name of a state, its report, and whether there are samples and metrics."""
    report = full_report()
    diverging = copy.deepcopy(report)
    diverging["parity"] |= parity(DIVERGENCE)
    diverging["recordings"][0]["parity"] = parity(DIVERGENCE)
    run_sections = (*SPIKE_SECTIONS, *LAVA_SECTIONS, "recordings")
    return {
        "full": (report, True, True),
        "diverging": (diverging, True, True),
        "simulator only": (
            without(report, *LAVA_SECTIONS, "recordings", accuracies=LAVA), True, True
        ),
        "lava only": (without(report, *SPIKE_SECTIONS, accuracies=INTEGER), False, True),
        "quantised": (without(report, *run_sections, accuracies=(*INTEGER, *LAVA)), False, True),
        "trained": (
            without(report, "quantisation", *run_sections, accuracies=(*INTEGER, *LAVA)),
            False,
            True,
        ),
        "new": ({"schema": SCHEMA}, False, False),
    }  # fmt: skip


def population(name, shape):
    fields = {key: np.zeros(shape[0], np.int32) for key in Cuba.ARRAYS}
    return Cuba(name=name, shape=shape, **fields)


@pytest.fixture
def make_run(tmp_path):
    """Factory ``(report, samples=True, metrics=True) -> RunFolder``."""

    def make(report, samples=True, metrics=True, name="a run"):
        run = RunFolder.create(tmp_path / name, f'[faces]\nseed = 0 # "{HOSTILE}"\n')
        run.update_report(**report)
        if metrics:
            keys = ("loss", "train_accuracy", "validation_accuracy")
            run.write_metrics(
                [{"epoch": e, **dict.fromkeys(keys, 0.3 + 0.1 * e)} for e in range(3)]
            )
        if samples:
            write_samples(run)
        return run

    return make


def write_samples(run, readout="spike_count"):
    shapes = {"input": (2, 5, 6), "first": (4, 3, 5), "second": (3,)}
    conv = Conv(sources=("input",), target="first", weight=np.full((4, 2, 3, 2), 2, np.int32))
    dense = Dense(sources=("first",), target="second", weight=np.full((3, 60), 2, np.int32))
    network = ChipNetwork(
        input_shape=shapes["input"],
        populations=tuple(population(name, shapes[name]) for name in ("first", "second")),
        synapses=(conv, dense),
        readout=readout,
    )
    save_network(network, run.chip)
    rng = np.random.default_rng(0)
    spikes = {name: rng.random((2, 7, *shape)) < 0.3 for name, shape in shapes.items()}
    packed = {name: np.packbits(s, axis=-1) for name, s in spikes.items()}
    if readout == "membrane":
        packed["membrane"] = np.arange(2 * 7 * 3, dtype=np.int32).reshape(2, 7, 3)[..., ::-1]
    run.write_samples(labels=np.array([1, 0]), **packed)


def test_a_network_that_is_read_by_its_membrane_answers_with_it(make_run):
    run = make_run(full_report(), samples=False)
    write_samples(run, readout="membrane")
    write_report(run)
    text = Page(run.page.read_text(encoding="utf-8")).text
    assert "silent" not in text
    # The membranes fall from the first class to the last.
    assert f"answers {full_report()['data']['classes'][0]}" in " ".join(text.split())
    assert "the highest membrane" in " ".join(text.split())


@pytest.mark.parametrize("state", states())
def test_every_state_of_a_run_renders_as_a_closed_safe_page(make_run, state):
    report, samples, metrics = states()[state]
    run = make_run(report, samples, metrics)
    write_report(run)
    html = run.page.read_text(encoding="utf-8")
    page = Page(html)
    identifiers = [value for key, value in page.attributes if key == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert "script" not in page.tags
    assert not re.search(r"\b(nan|None|Undefined)\b", page.text)
    assert len(html.encode()) < 1_500_000
    for key, value in page.attributes:
        if key in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert value.startswith(("#", "data:")), (key, value)
    assert all(url.startswith("#") for url in re.findall(r"url\(['\"]?([^)'\"]*)", html))
    assert not re.search(r"https?:|@import", html)


def test_full_report_shows_all_numbers_and_no_missing_section(make_run):
    run = make_run(full_report())
    write_report(run)
    page = Page(run.page.read_text(encoding="utf-8"))
    assert "not here yet" not in page.text
    shown = ["93.1%", "92.0%", "19.0%", "33.3%", "−1.1 points", "1,890 values", "44.0 dB"]
    shown += ["exact", "23.6 pJ", "Davies 2018", "41,750", "Loihi 2 is not priced.", "4.5e-5"]
    shown += ["nothing on this page was measured", "The other 10 windows", HOSTILE]
    assert [text for text in shown if text not in page.text] == []
    classes = [value for key, value in page.attributes if key == "class"]
    assert classes.count("tag simulated") > 10
    assert classes.count("tag estimated") == 4  # legend, heading, two rows


def test_missing_sections_name_the_command_that_adds_them(make_run):
    report, samples, metrics = states()["trained"]
    run = make_run(report, samples, metrics)
    write_report(run)
    text = Page(run.page.read_text(encoding="utf-8")).text
    for command in ("quantise RUN", "run RUN --on simulator", "run RUN --on lava", "--input FILE"):
        assert f"spikeface {command}" in text or command in text
    assert "µJ" not in text


def test_an_artificial_network_has_no_section_of_spikes(make_run):
    report, _, _ = states()["trained"]
    report["training"]["spiking"] = False
    report["confusion_float"] = full_report()["confusion"]
    run = make_run(report, samples=False)
    write_report(run)
    page = Page(run.page.read_text(encoding="utf-8"))
    assert "not here yet" not in page.text and "Quantisation" not in page.text
    assert "quantise" not in page.text
    assert "confusion" in run.read_report()["figures"]


def test_recordings_of_a_set_are_trained_on_again_from_their_folder(make_run):
    report = full_report()
    report["data"] |= {"dataset": "ckplus-dvs", "file": "/somewhere/data"}
    run = make_run(report)
    write_report(run)
    text = Page(run.page.read_text(encoding="utf-8")).text
    assert "--root FOLDER" in text and "spikeface faces" not in text


def test_diverging_parity_says_where_first_and_counts_by_layer(make_run):
    run = make_run(states()["diverging"][0])
    write_report(run)
    page = Page(run.page.read_text(encoding="utf-8"))
    assert [value for key, value in page.attributes if key == "role"].count("alert") == 2
    for text in ("Not equal.", "(1, 3, 5)", "simulator has 1", "lava has 0", "1,220"):
        assert text in page.text


def test_figures_and_folder_are_listed_in_the_report(make_run):
    run = make_run(full_report())
    write_report(run)
    report = run.read_report()
    assert set(report["figures"]) == FIGURES
    assert all((run.path / path).is_file() for path in report["figures"].values())
    assert report["folder"] == str(run.path.resolve())
    assert run.is_done("report")


def test_same_run_gives_the_same_bytes(make_run):
    run = make_run(full_report())
    written = []
    for _ in range(2):
        write_report(run)
        figures = sorted(run.figures.iterdir())
        written.append([path.read_bytes() for path in (run.page, *figures)])
    assert written[0] == written[1]


def test_report_of_another_schema_is_refused(make_run):
    run = make_run({"schema": "spikeface.report/0"}, samples=False, metrics=False)
    with pytest.raises(RunFolderError, match=r"report/1.*report/0"):
        write_report(run)
    assert json.loads(run.status.read_text())["report"]["state"] == "failed"


def test_samples_of_another_network_are_refused(make_run):
    run = make_run(full_report())
    run.write_samples(input=np.zeros((1, 7, 2, 5, 1), np.uint8), labels=np.array([0]))
    with pytest.raises(RunFolderError, match=r"does not fit network\.chip"):
        write_report(run)


def test_figures_survive_extreme_input():
    silent = {"hidden": np.zeros((1, 2), int), "output": np.zeros((1, 2), int)}
    frames = np.zeros((1, 2, 3, 4), int)
    lost = {"epoch": 0.0, "loss": float("nan"), "train_accuracy": 0.0, "validation_accuracy": 0.0}
    figures = [
        spike_raster(frames, silent, classes=["a", "b"], label=1),
        spike_raster(frames, silent, classes=["a", "b"], label=1, membrane=np.zeros((1, 2))),
        input_strip(frames),
        input_strip(np.ones((40, 2, 3, 4), int)),
        learning_curve([lost], best_epoch=None),
        confusion_matrix(np.zeros((2, 2), int), ["a", "x" * 99]),
    ]
    for figure in figures:
        assert "</svg>" in to_svg(figure, salt="a")


def test_faces_preview_is_a_picture_and_is_not_overwritten(tmp_path):
    path = tmp_path / "faces.png"
    small_set = FaceSetParameters(sensor_size=(24, 16), duration_ms=100.0, train_subjects=1)
    save_faces_preview(path, small_set)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(SpikefaceError, match="exists already"):
        save_faces_preview(path, small_set)


def test_wilson_interval_matches_published_values():
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (three_figures(0.0310), "0.0310"),
        (three_figures(72.5), "72.5"),
        (three_figures(41749999.9), "41,750,000"),
        (three_figures(0), "0"),
        (three_figures(float("nan")), "–"),
        (percent(None), "–"),
        (percent(1.0), "100.0%"),
        (small(1.3e-4), "1.3e-4"),
        (compact(999.9), "1k"),
        (compact(412_384), "412k"),
    ],
)
def test_numbers_as_text(text, expected):
    assert text == expected
