"""The camera against events that v2e itself made, and against numbers worked out by hand."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn.errors import EventFormatError, SnnError
from snn.events.camera import (
    PRESETS,
    CameraParameters,
    camera_parameters,
    events_from_frames,
    lin_log_table,
)

V2E_DATA = Path(__file__).parents[3] / "shared" / "data" / "v2e"
NOISELESS = CameraParameters(sigma_thres=0.0)


@pytest.fixture(scope="module")
def v2e_frames():
    files = sorted((V2E_DATA / "frames").glob("*.png"))
    if not files:
        pytest.skip("the reference frames and events made by v2e are not at hand")
    return np.stack([(matplotlib.image.imread(file) * 255).round() for file in files]).astype("u1")


@pytest.mark.parametrize(("name", "cutoff_hz"), [("clean.h5", 0.0), ("lowpass_30hz.h5", 30.0)])
def test_events_equal_those_of_v2e(v2e_frames, name, cutoff_hz, assert_events_of_v2e):
    parameters = CameraParameters(sigma_thres=0.0, cutoff_hz=cutoff_hz, refractory_period=0.0005)
    events = events_from_frames(v2e_frames, frame_rate_hz=30.0, parameters=parameters).events
    assert_events_of_v2e(events, name)


def one_pixel(*grey):
    return np.array(grey, np.uint8).reshape(-1, 1, 1)


def test_single_pixel_ramp():
    # 50 to 100: ln 2 = 0.693 is three ON events on three slots, the memory rises by 0.6.
    # 80: ln(80/50) - 0.6 = -0.13 is none. 55: ln(55/50) - 0.6 = -0.505 is two OFF events.
    recording = events_from_frames(
        one_pixel(50, 100, 80, 55), timestamps_us=[0, 300, 600, 900], parameters=NOISELESS
    )
    assert recording.events["t"].tolist() == [100, 200, 300, 750, 900]
    assert recording.events["p"].tolist() == [1, 1, 1, 0, 0]


def test_slots_are_shared_by_all_pixels():
    # The left pixel has three events, the right one (ln(65/50) = 0.26) only the first slot.
    frames = np.array([[[50, 50]], [[100, 65]]], np.uint8)
    events = events_from_frames(frames, timestamps_us=[0, 300], parameters=NOISELESS).events
    assert events[["x", "t"]].tolist() == [(0, 100), (1, 100), (0, 200), (0, 300)]


def test_lin_log_meets_itself_at_its_corner():
    table = lin_log_table()
    assert table[0] == 0
    assert table[10] == pytest.approx(np.log(20) / 2)
    assert table[20] == pytest.approx(np.log(20))
    assert table[255] == pytest.approx(np.log(255))


def test_low_pass_moves_by_its_share():
    # ε = 2π·fc·dt·(255+20)/275 = 0.5, so half of ln(255/50) = 1.629 arrives: four events.
    parameters = CameraParameters(sigma_thres=0.0, cutoff_hz=0.5 / (2 * np.pi * 0.001))
    recording = events_from_frames(
        one_pixel(50, 255), timestamps_us=[0, 1000], parameters=parameters
    )
    assert len(recording) == 4


def test_refractory_period_drops_events_and_keeps_their_signal():
    # Slots every 100 µs and a dead time of 150 µs: the second of three events is dropped, the
    # remainder 0.693 - 0.4 is one event of the next interval.
    parameters = CameraParameters(sigma_thres=0.0, refractory_period=150e-6)
    events = events_from_frames(
        one_pixel(50, 100, 100), timestamps_us=[0, 300, 600], parameters=parameters
    ).events
    assert events["t"].tolist() == [100, 300, 600]


def test_refractory_period_neither_counts_nor_starts_in_an_interval_of_wide_slots():
    # ln(65/50) = 0.26 is one event at 300; its slots are wider than the dead time of 150. Then
    # ln(130/65) + 0.06 is three on slots of 100: the first is not held back by the event before.
    parameters = CameraParameters(sigma_thres=0.0, refractory_period=150e-6)
    events = events_from_frames(
        one_pixel(50, 65, 130), timestamps_us=[0, 300, 600], parameters=parameters
    ).events
    assert events["t"].tolist() == [300, 400, 600]


def scalar_v2e(grey, times_s, parameters):
    """One pixel, straight from the formulas: (time in s, polarity) of each event."""
    single = np.float32 if parameters.cutoff_hz == 0 else np.float64
    table = [
        np.float32(round(g * np.log(20) / 20 if g <= 20 else np.log(g), 8)) for g in range(256)
    ]
    filtered = base = single(table[grey[0]])
    theta = {1: single(parameters.pos_thres), -1: single(parameters.neg_thres)}
    last, events = -np.inf, []
    for k in range(1, len(grey)):
        dt = times_s[k] - times_s[k - 1]
        share = min(1.0, (grey[k] + 20) / 275 * (dt * (np.pi * 2 * parameters.cutoff_hz)))
        if parameters.cutoff_hz == 0:
            share = 1
        filtered = single((1 - share) * filtered + share * table[grey[k]])
        difference = filtered - base
        sign = 1 if difference > 0 else -1
        n = int(abs(difference) // theta[sign])
        emitted = 0
        for i in range(n):
            t = times_s[k - 1] + (i + 1) * dt / n
            if parameters.refractory_period > dt / n:
                if t - last <= parameters.refractory_period:
                    continue
                last = t
            events.append((t, sign))
            emitted += 1
        base = single(base + np.float32(sign * emitted) * np.float32(theta[sign]))
    return events


@settings(max_examples=200, deadline=None)
@given(
    grey=st.lists(st.integers(0, 255), min_size=2, max_size=12),
    on=st.sampled_from([0.05, 0.13, 0.2, 0.31]),
    off=st.sampled_from([0.07, 0.2, 0.5]),
    cutoff=st.sampled_from([0.0, 5.0, 200.0]),
    dead=st.sampled_from([0.0, 0.000777, 0.0301]),
)
def test_one_pixel_follows_the_formulas(grey, on, off, cutoff, dead):
    parameters = CameraParameters(
        pos_thres=on, neg_thres=off, sigma_thres=0.0, cutoff_hz=cutoff, refractory_period=dead
    )
    # Irregular times, so that no two slots are exactly a dead time apart.
    times_us = np.cumsum(np.array([0, 3307, 17011, 9973, 41017])[np.arange(len(grey)) % 4])
    times_us += np.arange(len(grey)) * 13
    events = events_from_frames(
        one_pixel(*grey), timestamps_us=times_us, parameters=parameters
    ).events
    expected = scalar_v2e(grey, (times_us * 1e-6).tolist(), parameters)
    assert events["p"].tolist() == [int(sign > 0) for _, sign in expected]
    assert np.all(np.abs(events["t"] - [t * 1e6 for t, _ in expected]) <= 1)


def test_leak_rate():
    parameters = CameraParameters(sigma_thres=0.0, leak_rate_hz=5.0)
    frames = np.full((201, 20, 20), 128, np.uint8)
    events = events_from_frames(frames, frame_rate_hz=100.0, parameters=parameters).events
    assert set(events["p"]) == {1}
    # The mean of 10^(0.1·randn) is 1.027; rounding down loses half an event per pixel.
    assert len(events) / 400 == pytest.approx(5.0 * 2 * 1.027 - 0.5, rel=0.05)


@pytest.mark.parametrize(("grey", "share"), [(0, 1 - 0.75 * 20 / 275), (255, 0.25)])
def test_shot_noise_rate(grey, share):
    parameters = CameraParameters(sigma_thres=0.0, shot_noise_rate_hz=10.0)
    frames = np.full((101, 40, 40), grey, np.uint8)
    events = events_from_frames(frames, frame_rate_hz=100.0, parameters=parameters).events
    assert len(events) / 1600 == pytest.approx(10.0 * share, rel=0.05)
    assert np.mean(events["p"]) == pytest.approx(0.5, abs=0.03)


def test_threshold_mismatch_spreads_the_counts():
    frames = np.stack([np.full((50, 50), grey, np.uint8) for grey in (20, 200)])
    spread = events_from_frames(
        frames, frame_rate_hz=100.0, parameters=CameraParameters(sigma_thres=0.05)
    )
    counts = np.bincount(spread.events["y"] * 50 + spread.events["x"], minlength=2500)
    assert counts.std() > 1
    assert np.median(counts) == pytest.approx(np.log(10) / 0.2, abs=1)


def test_seed_decides_the_events():
    parameters = CameraParameters(shot_noise_rate_hz=5.0, leak_rate_hz=1.0)
    frames = np.random.default_rng(0).integers(0, 255, (10, 16, 24), np.uint8)

    def events(seed):
        recording = events_from_frames(
            frames, frame_rate_hz=100.0, parameters=parameters, seed=seed
        )
        assert recording.sensor_size == (24, 16)
        return recording.events.tobytes()

    assert events(1) == events(1)
    assert events(1) != events(2)


@pytest.mark.parametrize(
    ("frames", "arguments"),
    [
        (np.zeros((2, 4, 4)), {"frame_rate_hz": 30.0}),
        (np.zeros((4, 4), np.uint8), {"frame_rate_hz": 30.0}),
        (np.zeros((0, 4, 4), np.uint8), {"frame_rate_hz": 30.0}),
        (np.zeros((2, 4, 4), np.uint8), {}),
        (np.zeros((2, 4, 4), np.uint8), {"frame_rate_hz": 30.0, "timestamps_us": [0, 1]}),
        (np.zeros((2, 4, 4), np.uint8), {"timestamps_us": [5, 5]}),
    ],
)
def test_unusable_input_is_refused(frames, arguments):
    with pytest.raises(EventFormatError, match=r"expected|give exactly one"):
        events_from_frames(frames, **arguments)


def test_negative_parameters_are_refused():
    with pytest.raises(ValueError, match="cutoff_hz"):
        CameraParameters(cutoff_hz=-1.0)


def test_presets_are_those_of_v2e():
    defaults = camera_parameters()
    assert defaults == CameraParameters(
        pos_thres=0.2,
        neg_thres=0.2,
        sigma_thres=0.03,
        cutoff_hz=300.0,
        leak_rate_hz=0.01,
        leak_jitter_fraction=0.1,
        noise_rate_cov_decades=0.1,
        shot_noise_rate_hz=0.001,
        photoreceptor_noise=False,
        refractory_period=0.0005,
    )
    noisy = camera_parameters("noisy")
    assert (noisy.sigma_thres, noisy.cutoff_hz) == (0.05, 30.0)
    assert (noisy.leak_rate_hz, noisy.shot_noise_rate_hz) == (0.1, 5.0)
    clean = camera_parameters("clean")
    assert (clean.sigma_thres, clean.cutoff_hz, clean.leak_rate_hz) == (0.02, 0.0, 0.0)
    spiking_fer = camera_parameters("spiking-fer")
    assert (spiking_fer.sigma_thres, spiking_fer.refractory_period) == (0.02, 0.0005)
    assert (spiking_fer.cutoff_hz, spiking_fer.leak_rate_hz) == (0.0, 0.0)
    eck = camera_parameters("eck+")
    assert (eck.pos_thres, eck.neg_thres, eck.sigma_thres) == (0.15, 0.15, 0.03)
    assert (eck.cutoff_hz, eck.leak_rate_hz, eck.shot_noise_rate_hz) == (300.0, 0.01, 0.001)


def test_single_values_change_a_preset():
    changed = camera_parameters("spiking-fer", {"pos_thres": 0.3, "refractory_period": 0.02})
    assert (changed.pos_thres, changed.neg_thres, changed.refractory_period) == (0.3, 0.2, 0.02)
    noise = camera_parameters("noisy", {"photoreceptor_noise": 1.0})
    assert noise.photoreceptor_noise is True
    assert PRESETS["noisy"].photoreceptor_noise is False


@pytest.mark.parametrize(
    ("preset", "values", "message"),
    [
        ("v2e", {"pos_thresh": 0.2}, "no parameter 'pos_thresh' .did you mean 'pos_thres'"),
        ("v2e", {"refractory_period_s": 0.2}, "did you mean 'refractory_period'"),
        ("esim", {"cutoff_hz": 30.0}, "'esim' has no parameter 'cutoff_hz'"),
        ("noise", {}, "'noise' .did you mean 'noisy'"),
        ("v2e", {"pos_thres": 0.0}, "thresholds must be above 0"),
        ("v2e", {"cutoff_hz": float("nan")}, "finite and not negative, got {'cutoff_hz': nan}"),
        ("v2e", {"photoreceptor_noise": 0.5}, "switch, 0 or 1"),
        ("clean", {"photoreceptor_noise": 1}, "needs shot_noise_rate_hz and cutoff_hz"),
    ],
)
def test_unknown_names_and_values_are_refused(preset, values, message):
    with pytest.raises(SnnError, match=message):
        camera_parameters(preset, values)
