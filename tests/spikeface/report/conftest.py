"""Reports of made-up runs, checked HTML, and the schema of ``report.json``."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Conv, Dense
from spikeface.outputs import write_json
from spikeface.runs import SCHEMA, RunFolder

HOSTILE = "<script>alert('$x$')</script>"
CLASSES = ["calm", HOSTILE, "R&D"]
VOID = {"meta", "link", "br", "img", "hr", "input"}
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
            "dense_padded": 9500.0,
            "effective_acs": 500.0,
            "effective_macs": 0.0,
            "payload_bits": 0,
            "synapse_kind": "dense",
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
        "scale_max": 159.0,
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
                *(
                    {
                        "device": "Loihi 1",
                        "level": level,
                        **row,
                        "basis": "operations",
                        "provenance": "estimated",
                    }
                    for level in ("low", "nominal", "high")
                ),
                {
                    "device": "INT8",
                    "level": "reference",
                    "dynamic_nj": 328.0,
                    "static_nj": None,
                    "total_nj": 328.0,
                    "basis": "MACs",
                    "provenance": "estimated",
                },
            ],
            "constants": [
                {
                    "name": "synaptic operation",
                    "value": 23.6,
                    "unit": "pJ",
                    "source": "Davies 2018",
                    "evidence": "secondary",
                }
            ],
            "limits": ["Loihi 2 is not priced."],
            "crossover": {"threshold": 0.26, "spikes_per_synapse": 1.5, "statement": "more."},
            "anchors": [
                {
                    "workload": "PilotNet",
                    "figure": "1.661 mJ",
                    "tag": "measured",
                    "source": "a notebook",
                    "evidence": "primary",
                }
            ],
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


@pytest.fixture
def hostile():
    """A name that would be a script."""
    return HOSTILE


@pytest.fixture
def divergence():
    """Where two made-up runs part."""
    return copy.deepcopy(DIVERGENCE)


@pytest.fixture
def parity_of():
    """``(divergence or None) -> section``."""
    return parity


@pytest.fixture
def report():
    """A report with every section of a spiking run; a fresh copy."""
    return full_report()


@pytest.fixture
def read_page():
    """``(text of a page) -> Page``, which checks how its elements nest."""
    return Page


@pytest.fixture
def write_samples():
    """``(run, readout)``: a network and spikes of two clips into a run folder."""
    return _write_samples


def population(name, shape):
    fields = {key: np.zeros(shape[0], np.int32) for key in Cuba.ARRAYS}
    return Cuba(name=name, shape=shape, **fields)


@pytest.fixture
def make_run(tmp_path):
    """Factory ``(report, samples=True, metrics=True) -> RunFolder``."""

    def make(report, samples=True, metrics=True, name="a run"):
        run = RunFolder.create(tmp_path / name, f'[faces]\nseed = 0 # "{HOSTILE}"\n')
        write_json(run.report, run.read_report() | report)  # also what no step would write
        if metrics:
            keys = ("loss", "train_accuracy", "validation_accuracy")
            run.write_metrics(
                [{"epoch": e, **dict.fromkeys(keys, 0.3 + 0.1 * e)} for e in range(3)]
            )
        if samples:
            _write_samples(run)
        return run

    return make


def _write_samples(run, readout="spike_count"):
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
