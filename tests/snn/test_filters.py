"""Filters against tonic, event for event, and what they promise."""

import numpy as np
import pytest

from snn.events import filters
from snn.events.recording import EVENT_DTYPE, Recording, make_events

SIZE = (20, 12)
EMPTY = np.zeros(0, EVENT_DTYPE)


def random_events(n, seed=0, start=0, duration=20_000):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(start, start + duration, n))
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    return make_events(x, y, t, rng.integers(0, 2, n))


@pytest.fixture
def tonic():
    pytest.importorskip("tonic", reason="tonic needs Python < 3.12")
    from tonic import functional

    return functional


@pytest.mark.parametrize("start", [0, 5, 10**9])
@pytest.mark.parametrize("time_us", [1, 100, 1500, 50_000])
@pytest.mark.parametrize("n", [1, 40, 1500])
def test_denoise_and_refractory_period_equal_tonic(tonic, n, time_us, start):
    events = random_events(n, seed=n, start=start)
    theirs = tonic.denoise_numpy(events.copy(), time_us)
    np.testing.assert_array_equal(filters.denoise(events, filter_time_us=time_us), theirs)
    theirs = tonic.refractory_period_numpy(events.copy(), time_us)
    np.testing.assert_array_equal(filters.refractory_period(events, time_us), theirs)


def test_hot_pixels_and_decimation_equal_tonic(tonic):
    from tonic.functional.drop_pixel import drop_pixel_numpy, identify_hot_pixel

    events = random_events(1500)
    events["x"][::7], events["y"][::7] = 4, 0
    for rate in (50.0, 320.0, 400.0):
        theirs = drop_pixel_numpy(events, identify_hot_pixel(events, rate))
        ours = filters.drop_hot_pixels(events, max_rate_hz=rate)
        np.testing.assert_array_equal(ours, theirs)
    assert 0 < len(ours) < len(events)
    for n in (1, 2, 5):
        np.testing.assert_array_equal(filters.decimate(events, n), tonic.decimate_numpy(events, n))


@pytest.mark.parametrize("size", [(8, 6), (20, 12), (30, 4)])
def test_centre_crop_equals_tonic(tonic, size):
    from tonic.transforms import CenterCrop

    events = random_events(300)
    signed = events.astype([("x", "i2"), ("y", "i2"), *EVENT_DTYPE.descr[2:]])
    theirs = CenterCrop((*SIZE, 2), list(size))(signed)
    ours = filters.centre_crop(events, SIZE, size)
    for name in "xytp":
        np.testing.assert_array_equal(ours[name], theirs[name])
    Recording(ours, size)


def test_a_clean_start():
    """One pixel at 0, 4, 12 and 30 µs, its neighbour at 5 µs."""
    events = make_events(*np.array([[3, 3, 4, 3, 3], [2] * 5, [0, 4, 5, 12, 30], [1] * 5]))
    kept = filters.denoise(events, filter_time_us=10, as_tonic=False)
    assert kept["t"].tolist() == [5, 12]  # 0, 4: nobody yet; 30: 25 µs later
    assert filters.denoise(events, filter_time_us=10)["t"].tolist() == [0, 4, 5, 12]
    kept = filters.refractory_period(events, 9, as_tonic=False)
    assert kept["t"].tolist() == [0, 5, 12, 30]  # 4 comes too soon, 12 is 12 after 0
    assert filters.refractory_period(events, 9)["t"].tolist() == [5, 30]


def test_crop_moves_and_flips_mirror():
    events = random_events(400)
    inside = filters.crop(events, left=5, top=3, size=(7, 4))
    mask = (events["x"] >= 5) & (events["x"] < 12) & (events["y"] >= 3) & (events["y"] < 7)
    np.testing.assert_array_equal(inside["t"], events["t"][mask])
    np.testing.assert_array_equal(inside["x"] + 5, events["x"][mask])
    mirrored = filters.flip_left_right(events, SIZE)
    np.testing.assert_array_equal(mirrored["x"].astype(int) + events["x"], 19)
    np.testing.assert_array_equal(filters.flip_left_right(mirrored, SIZE), events)
    upside_down = filters.flip_up_down(events, SIZE)
    np.testing.assert_array_equal(upside_down["y"].astype(int) + events["y"], 11)


def test_time_window_and_polarity():
    events = random_events(400, start=-500)
    kept = filters.time_window(events, start_us=-100, end_us=700)
    np.testing.assert_array_equal(kept, events[(events["t"] >= -100) & (events["t"] < 700)])
    np.testing.assert_array_equal(filters.time_window(events), events)
    assert not len(filters.time_window(events, end_us=-501))
    np.testing.assert_array_equal(filters.select_polarity(events, 1), events[events["p"] == 1])


EVERY = {
    "denoise": filters.denoise,
    "refractory_period": lambda e: filters.refractory_period(e, 10),
    "drop_hot_pixels": lambda e: filters.drop_hot_pixels(e, max_rate_hz=100.0),
    "decimate": lambda e: filters.decimate(e, 2),
    "select_polarity": lambda e: filters.select_polarity(e, 0),
    "time_window": filters.time_window,
    "crop": lambda e: filters.crop(e, left=1, top=1, size=(3, 3)),
    "centre_crop": lambda e: filters.centre_crop(e, SIZE, (4, 4)),
    "flip_left_right": lambda e: filters.flip_left_right(e, SIZE),
    "flip_up_down": lambda e: filters.flip_up_down(e, SIZE),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("n", [0, 1, 300])
def test_the_input_stays_and_the_result_is_new(name, n):
    events = random_events(n)
    before = events.copy()
    kept = EVERY[name](events)
    np.testing.assert_array_equal(events, before)
    assert not np.shares_memory(kept, events)
    Recording(kept, SIZE)


def test_mistaken_arguments():
    with pytest.raises(ValueError, match="at least 1"):
        filters.decimate(EMPTY, 0)
