"""The ``data`` commands, as a user runs them, on files that others wrote."""

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from snn.events.faces import FaceSetParameters, render_clip
from spikeface.cli import main

DATA = Path(__file__).parents[3] / "shared" / "data"


def reference(*parts):
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.name} of the reference data is not at hand")
    return str(path)


def run_json(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_info_says_what_a_recording_holds(capsys):
    found = run_json(capsys, "data", "info", reference("recordings", "faces_easy_0001.bin"))
    assert (found["events"], found["width"], found["height"]) == (67_445, 151, 173)
    assert found["duration_us"] == found["last_us"] - found["first_us"] == 299_358
    assert main(["data", "info", reference("recordings", "faces_easy_0001.bin")]) == 0
    assert "67,445" in capsys.readouterr().out


def test_convert_writes_what_h5py_reads(capsys, tmp_path):
    source, target = reference("recordings", "faces_easy_0001.bin"), tmp_path / "a.h5"
    written = run_json(capsys, "data", "convert", source, str(target), "--sensor-size", "240x180")
    with h5py.File(target) as file:
        table = file["events"][:]
        assert dict(file["events"].attrs) == {"width": 240, "height": 180}
    assert table.shape == (67_445, 4)
    assert written["duration_us"] == int(table[-1, 0]) - int(table[0, 0])
    before = target.read_bytes()
    assert main(["data", "convert", source, str(target)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert target.read_bytes() == before


@pytest.mark.parametrize("out", ["strip.png", "movie.gif"])
def test_view_draws_a_recording(capsys, tmp_path, out):
    source = reference("recordings", "sample.aedat4")
    found = run_json(capsys, "data", "view", source, str(tmp_path / out), "--pictures", "4")
    assert found["picture_ms"] == pytest.approx(169.942 / 4, rel=1e-3)
    assert (tmp_path / out).stat().st_size > 1000


@pytest.mark.parametrize(("name", "cutoff_hz"), [("clean.h5", 0), ("lowpass_30hz.h5", 30)])
def test_events_of_a_folder_of_frames_are_those_of_v2e(capsys, tmp_path, name, cutoff_hz):
    values = {"pos_thres": 0.2, "neg_thres": 0.2, "sigma_thres": 0, "cutoff_hz": cutoff_hz}
    values |= {"leak_rate_hz": 0, "shot_noise_rate_hz": 0}
    settings = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    frames, out = reference("v2e", "frames"), tmp_path / "out.h5"
    found = run_json(capsys, "data", "events", frames, str(out), "--fps", "30", *settings)
    with h5py.File(reference("v2e", name)) as theirs, h5py.File(out) as ours:
        a, b = (file["events"][:].astype(np.int64) for file in (theirs, ours))
    np.testing.assert_array_equal(a[np.lexsort(a.T)], b[np.lexsort(b.T)])
    assert (found["events"], found["width"], found["height"]) == (len(a), 200, 200)


def test_an_unknown_camera_parameter_names_the_nearest(capsys, tmp_path):
    frames = reference("v2e", "frames")
    out = tmp_path / "out.h5"
    assert main(["data", "events", frames, str(out), "--fps", "30", "--set", "pos_thre=0.2"]) == 1
    assert "did you mean 'pos_thres'" in capsys.readouterr().err
    assert main(["data", "events", frames, str(out), "--fps", "30", "--set", "pos_thres=x"]) == 2
    assert main(["data", "events", frames, str(out)]) == 1
    assert "fps" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_standardise_holds_a_rolling_head_still(capsys, tmp_path):
    """A drawn face whose frames are turned by known angles comes out as if nothing had turned."""
    parameters = FaceSetParameters(sensor_size=(120, 120))
    clip = render_clip(parameters, subject=1, label=0, take=0, keep_frames=True)
    frames, marks = tmp_path / "frames", []
    frames.mkdir()
    for k, degrees in enumerate((0, 5, 10)):
        turn = cv2.getRotationMatrix2D((60, 60), degrees, 1)
        marks.append(clip.landmarks[0] @ turn[:, :2].T + turn[:, 2])
        face = cv2.warpAffine(clip.frames[0], turn, (120, 120), borderMode=cv2.BORDER_REPLICATE)
        cv2.imwrite(str(frames / f"{k}.png"), face)
    np.save(tmp_path / "marks.npy", np.stack(marks))
    out = tmp_path / "out"
    found = run_json(
        capsys, "data", "standardise", str(frames), str(out),
        "--landmarks", str(tmp_path / "marks.npy"), "--crop", "whole-face",
    )  # fmt: skip
    assert (found["frames"], found["size"]) == (3, [200, 200])
    images = [cv2.imread(str(out / f"{k:05d}.png"), 0).astype(float) for k in range(3)]
    for image in images[1:]:
        assert np.abs(image - images[0]).mean() < 4  # grey values; interpolated twice


def test_verify_lists_what_is_missing(capsys, tmp_path):
    folds = reference("splits", "CKPlusDVS_folds.csv")
    assert main(["data", "verify", "ckplus-dvs", str(tmp_path), "--folds", folds, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["complete"]
    assert len(found["missing"]) == found["checked"] == 357
    assert main(["data", "verify", "ckplus", str(tmp_path)]) == 1
    assert "ckplus-dvs" in capsys.readouterr().err


def test_a_frame_of_another_size_is_named_and_nothing_is_left(capsys, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for k, height in enumerate((8, 8, 6)):
        cv2.imwrite(str(frames / f"{k}.png"), np.full((height, 8), 40 * k, np.uint8))
    out = tmp_path / "out.h5"
    assert main(["data", "events", str(frames), str(out), "--fps", "30"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"spikeface: {frames / '2.png'} has")
    assert list(tmp_path.iterdir()) == [frames]


def test_times_that_no_reader_takes_back_are_not_written(capsys, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for k in range(3):
        cv2.imwrite(str(frames / f"{k}.png"), np.full((8, 8), 20 + 80 * k, np.uint8))
    out = tmp_path / "out.h5"
    assert main(["data", "events", str(frames), str(out), "--fps", "1e-300"]) == 1
    assert "times must lie within" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [frames]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["view", "events.csv", "out.png"], "the recording is empty"),
        (["info", "."], "is a folder"),
        (["convert", "events.csv", "none/out.h5"], "there is no folder none"),
        (["info", "events.csv", "--sensor-size", "70000x2"], "no sensor of 70000×2"),
        (["events", ".", "out.h5", "--fps", "30", "--upsample", "100000000"], "1 to 1000"),
        (["verify", "ckplus-dvs", "none"], "none: there is no such file or folder"),
        (["verify", "folder", ".", "--folds", "x.csv"], "folder has no option folds; it has"),
    ],
)
def test_wrong_use_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("events.csv").write_text("t,x,y,p\n")
    assert main(["data", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]


def test_a_given_sensor_size_is_not_called_the_smallest(capsys, tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("t,x,y,p\n1,2,3,1\n")
    assert main(["data", "info", str(path)]) == 0
    assert "smallest that holds all events" in capsys.readouterr().out
    assert main(["data", "info", str(path), "--sensor-size", "64x48"]) == 0
    assert "smallest" not in capsys.readouterr().out
