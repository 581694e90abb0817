"""The commands of a licensee, on made-up recordings in exactly the layout of CK+ by Spiking-FER."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from spikeface.cli import main
from spikeface.config import CONFIGS

FOLDS = Path(__file__).parents[3] / "shared" / "data" / "splits" / "CKPlusDVS_folds.csv"
pytestmark = pytest.mark.skipif(
    not FOLDS.is_file(), reason="the published split files are not in the reference data"
)
SMALL = (
    "training.epochs=1", "training.batch_size=64", "model.width=4", "model.depth=10",
    "model.head_hidden=8", "frames.size=[32, 32]", "frames.events_per_frame=20",
)  # fmt: skip
SET = [word for assignment in SMALL for word in ("--set", assignment)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """357 sequences as v2e writes them: columns t, x, y, p of uint32."""
    root = tmp_path_factory.mktemp("licensed")
    base, rng = root / "CKPlusDVS", np.random.default_rng(0)
    base.mkdir()
    (base / "folds.csv").write_bytes(FOLDS.read_bytes())
    for line in FOLDS.read_text().split():
        subject, sequence, label, *_ = line.split(";")
        t = np.sort(rng.integers(0, 300_000, 150))
        x = rng.integers(0, 30, 150) + 28 * (int(label) - 1)
        events = np.stack([t, x, rng.integers(0, 200, 150), rng.integers(0, 2, 150)], 1)
        (base / subject).mkdir(exist_ok=True)
        with h5py.File(base / subject / f"{int(sequence):03d}.h5", "w") as file:
            file.create_dataset("events", data=events.astype(np.uint32))
    return root


def train(root, out, config, *words):
    data = ["--dataset", "ckplus-dvs", "--root", str(root)]
    command = ["train", "--config", str(CONFIGS / config), *data, "--out", str(out), *words, *SET]
    assert main(command) == 0
    return json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_the_authors_recipe_trains_an_epoch(root, tmp_path, capsys):
    words = ("--protocol", "authors", "--fold", "0")
    report = train(root, tmp_path / "run", "spiking_fer_ckplus.toml", *words)
    accuracy = report["accuracy"]
    assert accuracy["float"]["n"] == 71
    assert accuracy["majority"]["value"] == pytest.approx(21 / 71)  # "happy", counted by others
    assert accuracy["chance"] == pytest.approx(1 / 6)
    assert accuracy["protocol"].startswith("authors: As published")
    assert "50 of the 52 test subjects are also in the training samples" in accuracy["protocol"]
    assert accuracy["baseline_ridge"]["n"] == 71
    assert accuracy["baseline_ridge"]["value"] > 0.9  # the made-up classes lie beside each other
    assert report["data"]["splits"]["train"]["clips"] == 286
    assert report["data"]["classes"][2] == "surprise"
    confusion = np.array(report["confusion_float"]["rows_are_true_classes"])
    labels = np.array(report["predictions"]["labels"])
    assert np.array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=6))
    right = int(np.trace(confusion))
    assert accuracy["float"]["value"] == pytest.approx(right / 71)
    for k, name in enumerate(report["data"]["classes"]):
        share = confusion[k, k] / confusion[k].sum()
        assert accuracy["float_per_class"][name] == pytest.approx(share)
    assert (tmp_path / "run" / "network.nir").exists()
    header, *rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 and "rate.stage1.block1.conv1" in header


@pytest.mark.slow
def test_the_modern_recipe_keeps_subjects_apart(root, tmp_path, capsys):
    cache = tmp_path / "cache"
    words = (
        "--protocol",
        "strict",
        "--fold",
        "3",
        "--set",
        f"data.cache={cache}",
        "--set",
        "data.baselines=false",
    )
    report = train(root, tmp_path / "run", "spiking_fer_modern.toml", *words)
    accuracy = report["accuracy"]
    assert accuracy["protocol"].startswith("strict: Subject-disjoint fold 3 of 10")
    assert sum(part["clips"] for part in report["data"]["splits"].values()) == 357
    assert sum(part["subjects"] for part in report["data"]["splits"].values()) == 99
    assert len(list(cache.glob("*/frames.npy"))) == 1


def test_data_must_be_named(tmp_path, capsys):
    assert main(["train", "--out", str(tmp_path / "run")]) == 2
    assert "say what to train on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    words = ["--dataset", "ckplus-dvs", "--root", str(tmp_path / "none")]
    assert main(["train", *words, "--out", str(tmp_path / "run")]) == 1
    assert "there is no such file or folder" in capsys.readouterr().err
