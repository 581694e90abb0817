"""TIE by hand for every variant, against the published method in torch, and its 8-bit path."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.tie import (
    PUBLISHED_STATISTICS,
    Kernel,
    TIEConfig,
    Variant,
    channel_statistics,
    fold_channels,
    frame_windows,
    kernel_values,
    stretch,
    through_jpeg,
    tie_grid,
    tie_image,
    tie_images,
)
from snn.errors import EventFormatError
from snn.events.datasets import ECKPlus
from snn.events.recording import Recording, make_events

VARIANTS, KERNELS = get_args(Variant), get_args(Kernel)
SENSOR = (4, 2)
# Times 0.5, 0.5375, 0.55 and 0.7 s, a window of 0.2 s: t0 = 0, 3/16, 1/4 and 1.
HAND = make_events(
    np.array([0, 1, 2, 3]),
    np.array([0, 0, 1, 1]),
    np.array([500_000, 537_500, 550_000, 700_000]),
    np.array([1, 0, 1, 0]),
)
K_00375 = 0.984 - (0.984 - 0.13) * 16 * 0.0375  # est, on its first line
K_005 = 0.984 - (0.984 - 0.13) * 16 * 0.05
# (polarity, bin, y, x): value. With B = t: 0.5 is bin 4; 0.5375 lies 0.0375 behind bin 4;
# 0.55 lies 0.05 behind bin 4; 0.7 lies 0.05 before bin 6 (and 0.075 behind bin 5: K = 0).
PLACED_BY_T = {
    (1, 4, 0, 0): 0.984,
    (0, 4, 0, 1): K_00375,
    (1, 4, 1, 2): K_005,
    (0, 6, 1, 3): K_005,
}
# With B = t0: 0 is bin 0; 3/16 lies 1/16 from bins 1 and 2; 1/4 is bin 2; 1 is bin 8.
PLACED_BY_T0 = {
    (1, 0, 0, 0): 0.984,
    (0, 1, 0, 1): 0.13,
    (0, 2, 0, 1): 0.13,
    (1, 2, 1, 2): 0.984,
    (0, 8, 1, 3): 0.984,
}
FACTOR_T = {0: 0.5, 1: 0.5375, 2: 0.55, 3: 0.7}  # by column
FACTOR_T0 = {0: 0.0, 1: 0.1875, 2: 0.25, 3: 1.0}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_by_hand(variant: Variant) -> None:
    factors = FACTOR_T if variant.startswith("t_") else FACTOR_T0
    places = PLACED_BY_T if variant.endswith("_t") else PLACED_BY_T0
    expected = np.zeros((2, 9, 2, 4))
    for place, kernel in places.items():
        expected[place] = factors[place[-1]] * kernel
    grid = tie_grid(HAND, sensor_size=SENSOR, variant=variant, kernel="est")
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, expected, rtol=1e-6, atol=1e-9)


def test_the_trilinear_kernel_by_hand() -> None:
    grid = tie_grid(HAND, sensor_size=SENSOR, variant="t_t", kernel="trilinear")
    np.testing.assert_allclose(grid[0, 4:6, 0, 1], 0.5375 * np.array([0.7, 0.3]), rtol=1e-6)
    np.testing.assert_allclose(grid[0, 5:7, 1, 3], 0.7 * np.array([0.4, 0.6]), rtol=1e-6)
    assert np.count_nonzero(grid) == 1 + 2 + 2 + 2


def test_beyond_a_second_every_bin_gets_its_share_of_the_tail() -> None:
    events = make_events(*np.array([[0], [0], [3_000_000], [1]]))
    grid = tie_grid(events, sensor_size=SENSOR, variant="t_t", kernel="est")
    # z = 3 - i/8 from 3 to 2, on the line from (2, 0.035) to (10, 0.57).
    expected = 3 * (0.035 + (0.57 - 0.035) / 8 * (1 - np.arange(9) / 8))
    np.testing.assert_allclose(grid[1, :, 0, 0], expected, rtol=1e-6)
    assert not grid[0].any()


def test_microseconds_taken_for_seconds_give_all_bins_the_same() -> None:
    events = HAND.copy()
    events["t"] *= 1_000_000
    grid = tie_grid(events, sensor_size=SENSOR, variant="t_t", kernel="est")
    t = 500_000.0
    np.testing.assert_allclose(grid[1, :, 0, 0], 0.0654 * t * t, rtol=1e-3)
    assert np.ptp(grid[1, :, 0, 0]) / grid[1, 0, 0, 0] < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_arrays_in_seconds_milliseconds_and_microseconds_agree(
    variant: Variant, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    t_us = np.sort(rng.integers(0, 300_000, 3_000))
    columns = [rng.integers(0, n, len(t_us)) for n in (346, 260)]
    polarity = 2 * rng.integers(0, 2, len(t_us)) - 1
    images = []
    for unit, factor in (("s", 1e-6), ("ms", 1e-3), ("us", 1)):
        folder = tmp_path / unit / "Train_Set" / "7"
        folder.mkdir(parents=True)
        np.save(folder / "S005_001.npy", np.stack([*columns, t_us * factor, polarity], 1))
        line = "Train_Set/7/S005_001/frame_0001.jpg\n"
        (tmp_path / unit / "common_jpg_files.txt").write_text(line)
        recording = ECKPlus(tmp_path / unit, time_unit=unit).recording(0)
        images.append(tie_images(recording, TIEConfig(variant=variant)))
    assert images[0].any()
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


def published_grid(
    events: np.ndarray, size: tuple[int, int], variant: str, kernel: Kernel, dtype: torch.dtype
) -> torch.Tensor:
    """The method as published: every bin of every event, accumulated by ``put_``."""
    width, height = size
    grid = torch.zeros(2 * 9 * height * width, dtype=dtype)
    x, y, p = (torch.from_numpy(events[name].astype(np.int64)) for name in "xyp")
    t = torch.from_numpy(events["t"] / 1e6).to(dtype)
    t0 = (t - t.min()) / (t.max() - t.min())
    factor, place = ({"t": t, "t0": t0}[name] for name in variant.split("_"))
    for i in range(9):
        values = factor * torch.from_numpy(kernel_values((place - i / 8).numpy(), kernel)).to(dtype)
        grid.put_(x + width * y + width * height * (i + 9 * p), values, accumulate=True)
    return grid.view(2, 9, height, width)


def published_image(grid: torch.Tensor) -> torch.Tensor:
    """Sum by sixes, then the robust stretch with k-th values, to 8 bit."""
    image = grid.view(3, 6, *grid.shape[2:]).sum(1)
    for i in range(3):
        pixels = image[i].reshape(-1)
        low, high = (
            pixels.kthvalue(1 + round(0.01 * q * (pixels.numel() - 1))).values for q in (1.0, 99.0)
        )
        image[i] = (image[i] - low) / (high - low)
    return torch.clamp(255 * image, 0, 255).byte()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("first_us", [0, 400_000, 1_700_000])
def test_the_published_method_gives_the_same_grid(
    variant: Variant, kernel: Kernel, first_us: int
) -> None:
    size = (46, 30)
    events = random_events(6_000, size, first_us, 33_333)
    grid = tie_grid(events, sensor_size=size, variant=variant, kernel=kernel)
    double = published_grid(events, size, variant, kernel, torch.float64).numpy()
    np.testing.assert_allclose(grid, double, rtol=2e-6, atol=2e-6)
    # In single precision, as published, times themselves are rounded to 1e-7 s.
    single = published_grid(events, size, variant, kernel, torch.float32).numpy()
    np.testing.assert_allclose(grid, single, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("variant", ["t_t0", "t0_t0"])
def test_the_published_method_gives_the_same_image(variant: Variant) -> None:
    size = (46, 30)
    events = random_events(6_000, size, 400_000, 33_333)
    image = tie_image(events, sensor_size=size, config=TIEConfig(variant=variant))
    theirs = published_image(published_grid(events, size, variant, "est", torch.float64))
    difference = abs(image * 255 - theirs.numpy().astype(float))
    assert difference.max() < 1 + 1e-3  # theirs are rounded down
    assert np.mean(theirs.numpy() > 0) > 0.3


def test_channels_are_sums_of_six_planes() -> None:
    grid = np.arange(18, dtype=np.float32).reshape(2, 9, 1, 1)
    # OFF 0-5; OFF 6-8 and ON 0-2; ON 3-8.
    assert fold_channels(grid).ravel().tolist() == [15, 6 + 7 + 8 + 9 + 10 + 11, 87]


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_image_is_the_stretched_sum_of_the_grid(variant: Variant) -> None:
    events = random_events(3_000, (40, 30), 1_500_000, 33_333)
    grid = tie_grid(events, sensor_size=(40, 30), variant=variant, kernel="est")
    image = tie_image(events, sensor_size=(40, 30), config=TIEConfig(variant=variant))
    np.testing.assert_allclose(image, stretch(fold_channels(grid)), atol=2e-5)


def test_percentiles_are_ranks_and_nothing_between() -> None:
    values = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    # Ranks 1 + round(0.99) and 1 + round(98.01): the values 1 and 98.
    expected = np.clip((values - 1) / 97, 0, 1)
    np.testing.assert_array_equal(stretch(values), expected)
    assert values[0, 0, 5] == 5  # the caller's array is as it was


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_ranks_agree_with_kthvalue(seed: int, empty: float, negative: float) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(3, 12, 17)).astype(np.float32)
    image = np.where(rng.random(image.shape) < negative, -abs(image), abs(image))
    image[rng.random(image.shape) < empty] = 0
    stretched = stretch(image)
    for ours, plane in zip(stretched, torch.from_numpy(image).view(3, -1), strict=True):
        low = plane.kthvalue(1 + round(0.01 * 203)).values
        high = plane.kthvalue(1 + round(0.99 * 203)).values
        stretched_plane = ((plane - low) / (high - low)).clamp(0, 1)
        theirs = stretched_plane if high > low else (plane > low).float()
        np.testing.assert_array_equal(ours.ravel(), theirs.numpy())


def test_sparse_and_constant_channels_divide_by_nothing() -> None:
    config = TIEConfig(variant="t_t")
    no_events = HAND[:0]
    assert not tie_image(no_events, sensor_size=(30, 30), config=config).any()
    image = tie_image(HAND, sensor_size=(30, 30), config=config)
    assert np.isfinite(image).all()
    # 1 of 900 pixels: both percentiles are 0, and the pixel is 1.
    places = [[0, 0, 1], [1, 1, 3], [2, 0, 0], [2, 1, 2]]
    assert np.argwhere(image == 1).tolist() == places
    assert np.count_nonzero(image) == 4
    assert not stretch(np.full((3, 5, 5), 7.0)).any()


def test_a_window_without_duration_is_black_where_t0_counts() -> None:
    events = HAND.copy()
    events["t"] = 500_000
    grid = tie_grid(events, sensor_size=SENSOR, variant="t0_t0", kernel="est")
    assert not grid.any()
    grid = tie_grid(events, sensor_size=SENSOR, variant="t_t0", kernel="est")
    assert grid[:, 0].sum() == pytest.approx(4 * 0.5 * 0.984)


@pytest.mark.parametrize("path", ["direct", "published"])
def test_all_windows_at_once_are_the_windows_one_by_one(path: str) -> None:
    recording = Recording(random_events(5_000, (40, 30), 90_000, 400_000), (40, 30))
    config = TIEConfig(variant="t_t0", path=path)  # type: ignore[arg-type]
    images = tie_images(recording, config)
    starts, ends = frame_windows(recording.events["t"])
    assert images.shape == (12, 3, 30, 40)
    for image, start, end in zip(images, starts, ends, strict=True):
        alone = tie_image(recording.events[start:end], sensor_size=(40, 30), config=config)
        np.testing.assert_array_equal(image, alone)


def test_the_published_path_is_eight_bits_and_jpeg() -> None:
    events = random_events(5_000, (40, 30), 0, 33_333)
    direct = tie_image(events, sensor_size=(40, 30), config=TIEConfig())
    stored = tie_image(events, sensor_size=(40, 30), config=TIEConfig(path="published"))
    expected = through_jpeg((direct * 255).astype(np.uint8))
    np.testing.assert_array_equal(np.rint(stored * 255), expected)
    assert abs(stored - direct).max() > 1 / 255


@pytest.mark.parametrize("path", ["direct", "published"])
def test_a_recording_upside_down_gives_the_image_of_the_upright_one(path: str) -> None:
    size = (44, 30)  # no multiple of JPEG's blocks: the file must hold the upright face
    upright = random_events(5_000, size, 0, 33_333)
    turned = upright.copy()
    turned["x"], turned["y"] = size[0] - 1 - upright["x"], size[1] - 1 - upright["y"]
    config = {"variant": "t0_t0", "path": path}
    first = tie_image(upright, sensor_size=size, config=TIEConfig(**config))
    second = tie_image(turned, sensor_size=size, config=TIEConfig(**config, upside_down=True))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_jpeg_keeps_red_red_and_grey_grey() -> None:
    image = np.zeros((3, 16, 16), np.uint8)
    image[0] = 200
    assert abs(through_jpeg(image).astype(int) - image).max() <= 3
    grey = np.full((16, 16), 77, np.uint8)
    assert abs(through_jpeg(grey).astype(int) - 77).max() <= 1


def test_events_outside_the_sensor_are_refused() -> None:
    with pytest.raises(EventFormatError, match="outside the 3×2 sensor"):
        tie_image(HAND, sensor_size=(3, 2), config=TIEConfig())
    with pytest.raises(EventFormatError, match="time runs backwards"):
        tie_grid(HAND[::-1], sensor_size=SENSOR, variant="t_t", kernel="est")


def test_too_many_windows_for_memory_are_refused() -> None:
    events = make_events(*np.array([[0, 0], [0, 0], [0, 100_000_000], [0, 0]]))
    with pytest.raises(EventFormatError, match="one by one"):
        tie_images(Recording(events, (1280, 720)), TIEConfig())


@pytest.mark.parametrize(
    ("field", "value"),
    [("variant", "t1_t"), ("kernel", "gauss"), ("path", "png"), ("frame_rate_hz", 0.0)],
)
def test_a_configuration_names_what_is_allowed(field: str, value: object) -> None:
    with pytest.raises(EventFormatError, match=rf"\[images\] {field} must"):
        TIEConfig(**{field: value})  # type: ignore[arg-type]


def test_statistics_are_means_of_each_images_own() -> None:
    images = np.zeros((2, 3, 1, 2))
    images[0, 0] = [0.0, 0.4]  # mean 0.2, sample deviation 0.4/√2
    images[1, 0] = [0.6, 0.6]  # mean 0.6, none
    statistics = channel_statistics(images)
    assert statistics.mean == pytest.approx((0.4, 0, 0))
    assert statistics.std == pytest.approx((0.2 / np.sqrt(2), 0, 0))
    with pytest.raises(EventFormatError, match="no images"):
        channel_statistics([])
    assert PUBLISHED_STATISTICS["t0_t0"].mean[1] == 0.0468


def random_events(n: int, size: tuple[int, int], first_us: int, duration_us: int) -> np.ndarray:
    """Uniform events in order, the first and last at the ends of the window."""
    rng = np.random.default_rng(n)
    t = first_us + np.sort(rng.integers(0, duration_us + 1, n))
    t[0], t[-1] = first_us, first_us + duration_us
    x, y = (rng.integers(0, side, n) for side in size)
    return make_events(x, y, t, rng.integers(0, 2, n))
