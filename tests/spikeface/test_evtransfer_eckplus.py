"""What a licensee of CK+ types, on a generated tree of exactly the published layout."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snn.events.datasets.eckplus import read_frame_list
from snn.events.faces import FaceSetParameters, clip_frames
from spikeface.cli import main

LIST = Path(__file__).parents[3] / "shared" / "data" / "splits" / "eckplus_frames.txt"
ROOT = Path(__file__).parents[2]
WINDOW_S = 1 / 30
SMALL = ["images.size=32", "data.baselines=false"]
SMALL_GAN = ["images.size=32", "reconstruction.width=2", "reconstruction.epochs=1",
             "reconstruction.device=cpu"]  # fmt: skip
SMALL_CLASSIFIER = [*SMALL, "transfer.lstm_hidden=8", "training.epochs=1", "training.device=cpu"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIST.is_file(), reason="the published list of frames is not at hand"),
]


@pytest.fixture(scope="module")
def licensed(tmp_path_factory):
    """e-CK+ and CK+ as folders: a few events a window, and a drawn face for each class."""
    folder = tmp_path_factory.mktemp("eckplus")
    events, images = folder / "e-ck+", folder / "cohn-kanade-images"
    events.mkdir()
    (events / "common_jpg_files.txt").write_bytes(LIST.read_bytes())
    parameters = FaceSetParameters(sensor_size=(160, 160))
    for label in range(7):
        face = clip_frames(parameters, subject=label, label=label, take=0, times_us=np.zeros(1))[0]
        Image.fromarray(face).save(folder / f"{label}.png")
    frames: dict[tuple[str, int, str], list[int]] = {}
    for row in read_frame_list(LIST):
        frames.setdefault((row.part, row.label, row.sequence), []).append(row.frame)
    rng = np.random.default_rng(0)
    for (part, label, sequence), numbers in frames.items():
        array = events / f"{part.title()}_Set" / str(label + 1) / f"{sequence}.npy"
        array.parent.mkdir(parents=True, exist_ok=True)
        n = 8 * (max(numbers) + 1)
        times = np.sort(rng.uniform(0, (max(numbers) + 0.99) * WINDOW_S, n))
        times[0], times[-1] = 0.0, (max(numbers) + 0.995) * WINDOW_S
        x, y = rng.integers(0, 346, n), rng.integers(0, 260, n)
        np.save(array, np.stack([x, y, times, rng.choice([-1, 1], n)], axis=1))
        pictures = images / sequence[:4] / sequence[5:]
        pictures.mkdir(parents=True)
        for number in {2, *(k + 2 for k in numbers)}:
            os.link(folder / f"{label}.png", pictures / f"{sequence}_{number:08d}.png")
    return events, images


def train(config, events, out, settings, *more):
    given = [word for text in settings for word in ("--set", text)]
    path = str(ROOT / "configs" / config)
    return main(["train", path, "--root", str(events), "--out", str(out), *given, *more])


def report_of(run):
    return json.loads((run / "report.json").read_text())


@pytest.fixture(scope="module")
def gan(licensed, tmp_path_factory):
    events, images = licensed
    out = tmp_path_factory.mktemp("gan") / "gan"
    videos = ("--videos", str(images))
    assert train("evtransfer_gan_eckplus.toml", events, out, SMALL_GAN, *videos) == 0
    return out


def test_the_reconstruction_sees_the_published_frames(gan):
    splits = report_of(gan)["data"]["splits"]
    assert splits["train"] == {"subjects": 107, "recordings": 256, "windows": 2168}
    assert splits["validation"] == {"subjects": 30, "recordings": 63, "windows": 558}
    page = (gan / "report.html").read_text()
    assert "Subjects may be in more than one split" in page
    assert "The faces are drawings" not in page


def test_the_authors_protocol_counts_clips_and_says_that_it_flatters(
    gan, licensed, tmp_path, capsys
):
    run = tmp_path / "finetune"
    events, images = licensed
    settings = [*SMALL_CLASSIFIER, f"transfer.encoder={gan}"]
    assert train("evtransfer_eckplus.toml", events, run, settings) == 2  # the encoder saw faces cut
    assert "data.videos = True, here False" in capsys.readouterr().err
    videos = ("--videos", str(images))
    assert train("evtransfer_eckplus.toml", events, run, settings, *videos) == 0
    report = report_of(run)
    assert report["data"]["splits"]["train"]["recordings"] == 256
    assert report["data"]["splits"]["test"]["windows"] == 558
    accuracy = report["accuracy"]
    # Every test sequence has at least three listed frames: F - 2 clips each.
    assert accuracy["per_clip"]["n"] == 558 - 2 * 63 and accuracy["per_recording"]["n"] == 63
    assert "selected on the samples that they are tested on" in accuracy["protocol"]
    assert "19 of the 30 test subjects are also in the training samples" in accuracy["protocol"]
    assert len(report["predictions"]["labels"]) == accuracy["per_clip"]["n"]
    assert "so the score is optimistic" in (run / "report.html").read_text()


def test_the_strict_protocol_counts_recordings_and_wants_its_own_encoder(
    gan, licensed, tmp_path, capsys
):
    strict = ("--protocol", "strict", "--fold", "1")
    settings = [*SMALL_CLASSIFIER, "training.selection=recording"]
    leaky = [*settings, f"transfer.encoder={gan}"]
    run = tmp_path / "strict"
    assert train("evtransfer_eckplus.toml", licensed[0], run, leaky, *strict) == 2
    assert "may hold people who are tested here" in capsys.readouterr().err
    scratch = [*settings, "transfer.mode=scratch", "transfer.width=2"]
    assert train("evtransfer_eckplus.toml", licensed[0], run, scratch, *strict) == 0
    report = report_of(run)
    sizes = report["data"]["splits"]
    assert sum(part["recordings"] for part in sizes.values()) == 319
    assert sum(part["windows"] for part in sizes.values()) == 2726
    assert len(report["predictions"]["labels"]) == sizes["test"]["recordings"]
    assert "Subject-disjoint fold 1 of 10" in report["accuracy"]["protocol"]


def test_a_reconstruction_without_the_images_says_what_is_missing(licensed, tmp_path, capsys):
    run = tmp_path / "gan"
    assert train("evtransfer_gan_eckplus.toml", licensed[0], run, SMALL_GAN) == 2
    assert "data.videos=FOLDER" in capsys.readouterr().err and not run.exists()
