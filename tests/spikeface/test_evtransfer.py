"""Reconstruction and transfer runs from end to end on a tiny set, and what is refused."""

import csv
import hashlib
import json

import numpy as np
import pytest
import torch

from conversion.encoder import load_encoder
from spikeface.cli import main
from spikeface.config import TransferRunConfig, load_config, load_run_config, to_toml
from spikeface.errors import ConfigError

SHARED = """
[faces]
sensor_size = [32, 32]
position_jitter_px = 1.0
train_subjects = 3
validation_subjects = 1
test_subjects = 2
clips_per_class = 1
classes = ["anger", "happy", "surprise"]
[images]
size = 32
first = 4
stride = 2
"""
GAN = f'task = "reconstruction"\n{SHARED}[reconstruction]\nwidth = 2\nepochs = 3\nkeep_every = 2\n'
CLASSIFIER = f"""task = "transfer"
{SHARED}
[transfer]
width = 2
head_hidden = 8
[training]
epochs = 2
batch_size = 8
selection = "recording"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny configurations, faces, a reconstruction and a classifier on its encoder."""
    folder = tmp_path_factory.mktemp("evtransfer")
    gan, classifier, data = folder / "gan.toml", folder / "classifier.toml", folder / "faces.h5"
    gan.write_text(GAN)
    classifier.write_text(CLASSIFIER)
    assert main(["faces", str(data), "--config", str(gan), "--workers", "1"]) == 0
    given = ["--data", str(data)]
    assert main(["train", str(gan), *given, "--out", str(folder / "gan")]) == 0
    encoder = ["--set", f"transfer.encoder={folder / 'gan'}"]
    run = ["--out", str(folder / "finetune")]
    assert main(["train", str(classifier), *given, *encoder, *run]) == 0
    return folder


def report_of(run):
    return json.loads((run / "report.json").read_text())


def test_a_reconstruction_keeps_encoders_and_says_what_a_mean_face_scores(folder):
    run = folder / "gan"
    report = report_of(run)
    kept = report["reconstruction"]["encoders"]
    assert [row["epoch"] for row in kept] == [0, 2, 3]
    for row in kept:
        assert hashlib.sha256((run / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    encoder, about = load_encoder(run / kept[-1]["file"])
    assert (encoder.size, encoder.width, about["epoch"]) == (32, 2, 3)
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert float(rows[-1]["mse"]) == pytest.approx(report["reconstruction"]["quality"]["mse"])
    # Windows 4, 6, 8 and 10 of 33 ms fit into 400 ms: three classes of one validation subject.
    assert report["data"]["splits"]["validation"] == {
        "subjects": 1, "recordings": 3, "windows": 12,
    }  # fmt: skip
    assert "test" not in report["data"]["splits"]
    with np.load(run / "samples.npz") as samples:
        assert samples["sheet"].shape == (3, 3, 32, 32, 3)


def test_pages_show_what_there_is_and_nothing_else(folder):
    gan = (folder / "gan" / "report.html").read_text()
    assert "data:image/png;base64," in gan and "always the mean training face" in gan
    classifier = (folder / "finetune" / "report.html").read_text()
    assert "by recording" in classifier and "encoder-epoch003.pt" in classifier
    for page in (gan, classifier):
        assert "not here yet" not in page and "spikeface quantise" not in page
        assert "The faces are drawings" in page
    assert (folder / "gan" / "figures" / "sheet.png").stat().st_size > 0


def test_a_classifier_is_scored_by_clip_and_by_recording(folder):
    report = report_of(folder / "finetune")
    accuracy = report["accuracy"]
    assert accuracy["per_clip"]["n"] == 24 and accuracy["per_recording"]["n"] == 6
    labels, answers = (np.array(report["predictions"][k]) for k in ("labels", "float"))
    assert len(labels) == 6  # epochs are selected by recording: that is the score
    assert accuracy["per_recording"]["value"] == pytest.approx(np.mean(labels == answers))
    assert accuracy["majority"]["value"] == pytest.approx(1 / 3)
    assert {"baseline_event_count", "baseline_ridge"} <= set(accuracy)
    assert np.trace(report["confusion_float"]["rows_are_true_classes"]) == sum(labels == answers)
    kept = report_of(folder / "gan")["reconstruction"]["encoders"][-1]
    encoder = report["transfer"]["encoder"]
    assert (encoder["epoch"], encoder["sha256"]) == (3, kept["sha256"])


def test_a_frozen_encoder_is_the_kept_one_and_labels_can_be_few(folder, tmp_path, call):
    run = tmp_path / "frozen"
    code, _, err = call(
        "train", folder / "classifier.toml", "--data", folder / "faces.h5", "--out", run,
        "--set", f"transfer.encoder={folder / 'gan'}", "--set", "transfer.epoch=2",
        "--set", "transfer.mode=frozen", "--set", "transfer.label_share=0.4",
    )  # fmt: skip
    assert code == 0, err
    report = report_of(run)
    assert report["transfer"]["labelled_recordings"] == 3  # of 9, one a class
    assert report["transfer"]["labelled_clips"] == 12
    kept, _ = load_encoder(folder / "gan" / "encoders" / "encoder-epoch002.pt")
    trained = torch.load(run / "checkpoint.pt", weights_only=True)["network"]
    for name, value in kept.state_dict().items():
        assert torch.equal(trained[f"encoder.{name}"], value), name


def test_a_finished_run_resumes_to_the_same_report(folder, call):
    run = folder / "gan"
    before = report_of(run)["reconstruction"]
    code, _, err = call(
        "train", folder / "gan.toml", "--data", folder / "faces.h5", "--out", run,
        "--resume",
    )  # fmt: skip
    assert code == 0, err
    after = report_of(run)["reconstruction"]
    assert after["quality"] == before["quality"] and after["encoders"] == before["encoders"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("images.variant=t_t", "images.variant = 't0_t0', here 't_t'"),
        ("data.protocol=strict", "data.protocol = '', here 'strict'"),
        ("transfer.epoch=7", "keeps no encoder of epoch 7"),
        ("images.stride=0", "stride at least 1"),
        ("transfer.mod=frozen", "unknown key transfer.mod; did you mean transfer.mode"),
        ("reconstruction.width=3", "unknown key reconstruction"),
        ("training.augment.kind=batch", "set training.augment.kind = 'image'"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, call, assignment, message):
    run = tmp_path / "run"
    code, _, err = call(
        "train", folder / "classifier.toml", "--data", folder / "faces.h5", "--out", run,
        "--set", f"transfer.encoder={folder / 'gan'}", "--set", assignment,
    )  # fmt: skip
    assert code in (1, 2) and message in err, err
    assert not run.exists() or "augment" in assignment


def test_commands_for_spiking_networks_refuse_other_runs(folder, call):
    for command in ("quantise", "run"):
        code, _, err = call(command, folder / "gan")
        assert code == 2 and "task = 'reconstruction'; this needs a spiking network" in err


def test_the_configuration_is_given_once(folder, tmp_path, call):
    toml = folder / "gan.toml"
    code, _, err = call("train", toml, "--config", toml, "--out", tmp_path / "x")
    assert code == 2 and "once" in err


def test_configurations_of_all_tasks_read_back_equal(folder, tmp_path):
    for name in ("gan", "classifier"):
        config = load_run_config(folder / f"{name}.toml")
        (tmp_path / "c.toml").write_text(to_toml(config))
        assert load_run_config(tmp_path / "c.toml") == config
    config = load_run_config(folder / "classifier.toml", ["training.augment.flip=0"])
    assert isinstance(config, TransferRunConfig)
    assert config.training.optimiser == "adam"  # what a section leaves out is as published
    assert (config.training.augment.kind, config.training.augment.flip) == ("image", 0)
    assert config.training.augment.rotation_degrees == 15
    with pytest.raises(ConfigError, match="needs a spiking network"):
        load_config(folder / "gan.toml")
    (tmp_path / "odd.toml").write_text('task = "transfers"\n')
    with pytest.raises(ConfigError, match="task must be one of spiking, reconstruction, transfer"):
        load_run_config(tmp_path / "odd.toml")


def test_a_sweep_of_classifiers_is_a_row_each(folder, tmp_path, call):
    out = tmp_path / "sweep"
    code, _, err = call(
        "sweep", folder / "classifier.toml", "--data", folder / "faces.h5", "--out", out,
        "--until", "train", "--set", f"transfer.encoder={folder / 'gan'}", "--set",
        "training.epochs=1", "--over", "transfer.mode=scratch,frozen", "--over",
        "training.seed=0,1",
    )  # fmt: skip
    assert code == 0, err
    with (out / "runs.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {f"{mode}-seed{s}" for mode in ("scratch", "frozen") for s in (0, 1)}
    for name, row in rows.items():
        accuracy = report_of(out / "runs" / name)["accuracy"]
        assert float(row["clip_accuracy"]) == accuracy["per_clip"]["value"]
        assert float(row["recording_accuracy"]) == accuracy["per_recording"]["value"]
        assert row["transfer.mode"] == name.split("-")[0] and row["task"] == "transfer"


@pytest.mark.slow
def test_the_pipeline_skips_what_is_done(tmp_path, call):
    out = tmp_path / "all"
    small = [
        "faces.train_subjects=2", "faces.validation_subjects=1", "faces.test_subjects=1",
        "faces.classes=['anger', 'happy']", "reconstruction.epochs=1", "training.epochs=1",
        "transfer.lstm_hidden=8",
    ]  # fmt: skip
    given = [word for text in small for word in ("--set", text)]
    code, text, err = call("evtransfer", "--quick", "--out", out, *given)
    assert code == 0, err
    assert "finetune-lstm" in text and "[9/9]" in err
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows][:3] == ["scratch", "frozen", "finetune"]
    assert [int(row["window"]) for row in rows] == [1, 1, 1, 2, 2, 2]
    page = (out / "report.html").read_text()
    assert "data:image/png" in page and 'href="frozen-lstm/report.html"' in page
    code, again, err = call("evtransfer", "--quick", "--out", out, "--resume", *given)
    assert code == 0 and "[1/9]" not in err and again == text
    code, _, err = call("evtransfer", "--out", out, "--resume")
    assert code == 1 and "another configuration" in err
