"""ESIM's pixels against the formula in plain Python, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn.events.camera import EsimParameters, camera_parameters, events_from_frames


def scalar_esim(grey, times_us, parameters):
    """One pixel, straight from the formula: (time in µs as a float, polarity) of each event."""
    levels = [math.log(value / 255 + parameters.log_eps) for value in grey]
    reference, last, events = levels[0], -math.inf, []
    for k in range(1, len(grey)):
        a, b = levels[k - 1], levels[k]
        if a == b:
            continue
        step = parameters.pos_thres if b > a else -parameters.neg_thres
        # The interval is closed at b: a signal that returns to a level reaches it.
        while (b - (reference + step)) * math.copysign(1, step) >= -1e-9:
            reference += step
            t = times_us[k - 1] + (reference - a) / (b - a) * (times_us[k] - times_us[k - 1])
            if t - last >= parameters.refractory_period * 1e6:
                events.append((t, int(b > a)))
                last = t
    return events


GREY = st.lists(st.integers(0, 255), min_size=2, max_size=12)
THRESHOLD = st.sampled_from([0.05, 0.13, 0.2, 0.31, 1.0])


@settings(max_examples=150, deadline=None)
@given(grey=GREY, on=THRESHOLD, off=THRESHOLD, dead=st.sampled_from([0.0, 0.0013, 0.0301]))
def test_one_pixel_follows_the_formula(grey, on, off, dead):
    parameters = EsimParameters(pos_thres=on, neg_thres=off, refractory_period=dead)
    times_us = np.cumsum(np.arange(len(grey)) % 3 * 7000 + 1000)
    expected = scalar_esim(grey, times_us.tolist(), parameters)
    events = events_from_frames(
        np.array(grey, np.uint8).reshape(-1, 1, 1), timestamps_us=times_us, parameters=parameters
    ).events
    assert events["p"].tolist() == [p for _, p in expected]
    assert np.all(np.abs(events["t"] - [math.floor(t) for t, _ in expected]) <= 1)


def test_crossing_times_by_hand():
    # ln(100/50) = 0.693 is crossed by 0.2, 0.4 and 0.6 after 28.9, 57.7 and 86.6 % of 1000 µs.
    parameters = EsimParameters(log_eps=1e-12)
    frames = np.array([50, 100, 100], np.uint8).reshape(-1, 1, 1)
    events = events_from_frames(frames, timestamps_us=[0, 1000, 2000], parameters=parameters).events
    assert events["t"].tolist() == [288, 577, 865]
    assert events["p"].tolist() == [1, 1, 1]


def test_a_suppressed_event_counts_as_crossed():
    # Of 288, 577 and 865 µs the second is too early; it does not come later.
    parameters = EsimParameters(log_eps=1e-12, refractory_period=300e-6)
    frames = np.array([50, 100, 100], np.uint8).reshape(-1, 1, 1)
    events = events_from_frames(frames, timestamps_us=[0, 1000, 2000], parameters=parameters).events
    assert events["t"].tolist() == [288, 865]


def test_many_pixels_are_each_their_own_in_time_order():
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (6, 5, 7), np.uint8)
    times_us = np.array([0, 10, 4000, 7_000_000, 7_000_100, 7_050_000])
    parameters = EsimParameters()
    events = events_from_frames(frames, timestamps_us=times_us, parameters=parameters).events
    assert np.all(np.diff(events["t"]) >= 0)
    same_time = np.diff(events["t"]) == 0
    place = events["y"].astype(int) * 7 + events["x"]
    assert np.all(np.diff(place)[same_time] >= 0), "reading order inside a time stamp"
    for y, x in np.ndindex(5, 7):
        mine = events[(events["x"] == x) & (events["y"] == y)]
        expected = scalar_esim(frames[:, y, x].tolist(), times_us.tolist(), parameters)
        assert mine["p"].tolist() == [p for _, p in expected]
        assert np.all(np.abs(mine["t"] - [t for t, _ in expected]) <= 1.01)


def test_times_do_not_depend_on_the_frame_rate_where_light_changes_slowly():
    # An exponential ramp is a straight line in log intensity, up to the rounding to grey values.
    ramp = np.rint(40 * 2 ** (np.arange(101) / 50)).astype(np.uint8).reshape(-1, 1, 1)
    parameters = EsimParameters(log_eps=1e-9)
    fine = events_from_frames(ramp, frame_rate_hz=1000.0, parameters=parameters).events
    coarse = events_from_frames(ramp[::20], frame_rate_hz=50.0, parameters=parameters).events
    assert len(fine) == len(coarse) == 6
    np.testing.assert_allclose(fine["t"], coarse["t"], atol=1500)


def test_mismatch_spreads_the_thresholds():
    frames = np.stack([np.full((60, 60), grey, np.uint8) for grey in (20, 200)])
    parameters = EsimParameters(sigma_thres=0.03, log_eps=1e-9)
    events = events_from_frames(frames, frame_rate_hz=100.0, parameters=parameters).events
    counts = np.bincount(events["y"].astype(int) * 60 + events["x"], minlength=3600)
    # ln 10 / 0.2 = 11.5, and the first-order spread is that times 0.03 / 0.2.
    assert np.median(counts) == 11
    assert counts.std() == pytest.approx(11.5 * 0.15, rel=0.25)


def test_parameters():
    assert camera_parameters("esim", {"log_eps": 0.01}) == EsimParameters(log_eps=0.01)
    with pytest.raises(ValueError, match="log_eps"):
        EsimParameters(log_eps=0.0)
