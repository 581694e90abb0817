"""Videos as streams of events: v2e's own events, memory, progress, frames in between."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.camera import (
    CameraParameters,
    EsimParameters,
    LinearInterpolation,
    camera_parameters,
    events_from_frames,
    events_from_video,
)

V2E_DATA = Path(__file__).parents[3] / "shared" / "data" / "v2e"
QUIET = CameraParameters(sigma_thres=0.0)


@pytest.mark.parametrize(("name", "cutoff_hz"), [("clean.h5", 0.0), ("lowpass_30hz.h5", 30.0)])
def test_a_folder_gives_the_events_of_v2e(name, cutoff_hz, assert_events_of_v2e):
    if not (V2E_DATA / name).exists():
        pytest.skip("the reference frames and events made by v2e are not at hand")
    parameters = camera_parameters("spiking-fer", {"sigma_thres": 0.0, "cutoff_hz": cutoff_hz})
    stream = events_from_video(V2E_DATA / "frames", fps=30.0, parameters=parameters)
    assert stream.sensor_size == (200, 200)
    assert_events_of_v2e(stream.recording().events, name)


def write_frames(folder, frames):
    for k, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{k}.png"), frame)


def random_frames(n, height=40, width=50):
    return np.random.default_rng(0).integers(0, 256, (n, height, width), np.uint8)


@pytest.mark.parametrize("preset", ["noisy", "esim"])
def test_the_stream_equals_the_array(tmp_path, preset):
    frames = random_frames(14)
    write_frames(tmp_path, frames)
    parameters = camera_parameters(preset)
    stream = events_from_video(tmp_path, fps=50.0, parameters=parameters, seed=4)
    whole = events_from_frames(frames, frame_rate_hz=50.0, parameters=parameters, seed=4)
    assert stream.recording().events.tobytes() == whole.events.tobytes()
    assert stream.recording().events.tobytes() == whole.events.tobytes(), "a second pass"


def test_events_come_while_frames_are_read(tmp_path):
    write_frames(tmp_path, random_frames(40))
    done = []
    stream = events_from_video(tmp_path, fps=50.0, parameters=QUIET, progress=done.append)
    chunks = iter(stream)
    next(chunks)
    assert 1 < len(done) < 40
    assert len(list(chunks)) > 2
    assert done == list(range(1, 41))


def test_the_sensor_may_be_smaller_than_the_video(tmp_path):
    write_frames(tmp_path, random_frames(3))
    stream = events_from_video(tmp_path, fps=50.0, size=(25, 20))
    recording = stream.recording()
    assert recording.sensor_size == (25, 20)
    assert (stream.info.width, stream.info.height) == (50, 40)


def test_linear_interpolation_by_hand():
    times, frames = LinearInterpolation(4)(
        np.array([[0, 100]], np.uint8), np.array([[8, 0]], np.uint8)
    )
    assert times.tolist() == [0.25, 0.5, 0.75]
    assert frames[:, 0].tolist() == [[2, 75], [4, 50], [6, 25]]
    assert (
        len(LinearInterpolation(1)(np.zeros((1, 2), np.uint8), np.ones((1, 2), np.uint8))[0]) == 0
    )
    with pytest.raises(ValueError, match="at least 1"):
        LinearInterpolation(0)


@pytest.mark.parametrize("parameters", [QUIET, EsimParameters()])
def test_frames_in_between_are_frames_of_the_video(tmp_path, parameters):
    frames = random_frames(4)
    write_frames(tmp_path, frames)

    def middle(before, after):  # as many frames as the pair needs: none where little changes
        if np.array_equal(before, frames[1]):
            return np.zeros(0), np.zeros((0, *before.shape), np.uint8)
        return np.array([0.3, 0.5]), np.stack([before, after // 2])

    events = events_from_video(tmp_path, fps=50.0, parameters=parameters, upsample=middle)
    by_hand = [frames[0], frames[0], frames[1] // 2, frames[1], frames[2], frames[2]]
    by_hand += [frames[3] // 2, frames[3]]
    expected = events_from_frames(
        np.stack(by_hand),
        timestamps_us=np.array([0, 6, 10, 20, 40, 46, 50, 60]) * 1000,
        parameters=parameters,
    )
    ours = events.recording().events
    assert ours[["x", "y", "p"]].tolist() == expected.events[["x", "y", "p"]].tolist()
    assert np.all(np.abs(ours["t"] - expected.events["t"]) <= 1)


@pytest.mark.parametrize(
    ("times", "made", "message"),
    [
        ([0.5, 0.2], np.zeros((2, 40, 50), np.uint8), "increasing times between 0 and 1"),
        ([1.0], np.zeros((1, 40, 50), np.uint8), "increasing times between 0 and 1"),
        ([0.5], np.zeros((1, 50, 40), np.uint8), "1 frames of 50×40 pixels"),
        ([0.5], np.zeros((1, 40, 50)), "uint8 frames, got float64"),
    ],
)
def test_an_upsampler_that_returns_something_else(tmp_path, times, made, message):
    write_frames(tmp_path, random_frames(3))
    stream = events_from_video(tmp_path, fps=5.0, upsample=lambda a, b: (np.array(times), made))
    with pytest.raises(EventFormatError, match=message):
        stream.recording()
