"""The camera next to the real emulator of v2e, where ``SPIKEFACE_V2E`` names a checkout of it."""

import importlib
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from snn.events.camera import CameraParameters, events_from_frames
from snn.events.camera.v2e import photoreceptor_noise_rms

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUIET = {"sigma_thres": 0.0}


@pytest.fixture(scope="module")
def peer():
    """The module ``benchmarks/camera.py`` and v2e's emulator."""
    folder = os.environ.get("SPIKEFACE_V2E")
    if not folder:
        pytest.skip("SPIKEFACE_V2E does not name a checkout of v2e 1.5.1")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        module = importlib.import_module("camera")
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module, module.load_v2e(Path(folder))


def walking_frames():
    steps = np.random.default_rng(0).integers(-12, 13, (60, 48, 64))
    return np.clip(np.cumsum(steps, axis=0) + 100, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("rate_hz", [30.0, 500.0, None])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"refractory_period": 0.0005},
        {"refractory_period": 0.003},
        {"refractory_period": 0.02},
        {"refractory_period": 0.05},
        {"pos_thres": 0.15, "neg_thres": 0.32},
        {"cutoff_hz": 10.0},
        {"cutoff_hz": 100.0, "refractory_period": 0.02, "pos_thres": 0.11},
    ],
    ids=str,
)
def test_events_are_equal_without_noise(peer, values, rate_hz):
    module, emulator = peer
    frames = walking_frames()
    parameters = CameraParameters(**QUIET, **values)
    steps = np.random.default_rng(1).uniform(0.003, 0.05, len(frames) - 1)
    irregular_us = np.rint(np.cumsum(np.append(0, steps)) * 1e6)
    when = {"timestamps_us": irregular_us} if rate_hz is None else {"frame_rate_hz": rate_hz}
    times_s = irregular_us * 1e-6 if rate_hz is None else np.arange(len(frames)) / rate_hz
    ours = events_from_frames(frames, parameters=parameters, **when)
    theirs = module.v2e_events(emulator, frames, times_s, parameters)
    assert len(ours) > 1000
    module.compare(ours, theirs, exact=True)


@pytest.mark.parametrize(
    ("grey", "rate_hz", "values"),
    [
        (128, 200.0, {"leak_rate_hz": 3.0}),
        (128, 200.0, {"leak_rate_hz": 3.0, "sigma_thres": 0.05, "leak_jitter_fraction": 0.5}),
        (128, 200.0, {"leak_rate_hz": 3.0, "noise_rate_cov_decades": 0.3}),
        (0, 200.0, {"shot_noise_rate_hz": 5.0, "sigma_thres": 0.03}),
        (128, 200.0, {"shot_noise_rate_hz": 5.0}),
        (255, 200.0, {"shot_noise_rate_hz": 60.0}),
        (60, 200.0, {"shot_noise_rate_hz": 5.0, "pos_thres": 0.15, "neg_thres": 0.3}),
        (60, 200.0, {"shot_noise_rate_hz": 5.0, "leak_rate_hz": 0.5, "cutoff_hz": 30.0}),
    ],
    ids=str,
)
def test_noise_is_equal_in_distribution(peer, grey, rate_hz, values):
    module, emulator = peer
    import torch

    torch.manual_seed(1)
    frames = np.full((301, 80, 80), grey, np.uint8)
    parameters = CameraParameters(**{**QUIET, **values})
    ours = events_from_frames(frames, frame_rate_hz=rate_hz, parameters=parameters, seed=1).events
    theirs = module.v2e_events(emulator, frames, np.arange(301) / rate_hz, parameters)
    _assert_alike(ours, theirs, 80 * 80)


def test_photoreceptor_noise_is_equal_in_distribution(peer):
    module, emulator = peer
    import torch
    from v2ecore.emulator_utils import compute_photoreceptor_noise_voltage as voltage

    torch.manual_seed(1)
    parameters = CameraParameters(
        sigma_thres=0.02, cutoff_hz=30.0, shot_noise_rate_hz=5.0, photoreceptor_noise=True
    )
    share = 2 * math.pi * 30 / 1000
    ours_rms = photoreceptor_noise_rms(parameters) * math.sqrt((2 - share) / share)
    estimates = []
    for _ in range(20):
        voltage.last_sample_rate = None
        estimates.append(voltage(5.0, 30.0, 1000.0, 0.2, 0.2, 0.02))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert np.mean(estimates) == pytest.approx(ours_rms, abs=5 * error)
    # The rate depends steeply on this estimate, so both get the same one.
    voltage.last_vn = ours_rms
    frames = np.full((1001, 80, 80), 100, np.uint8)
    ours = events_from_frames(frames, frame_rate_hz=1000.0, parameters=parameters, seed=1).events
    theirs = module.v2e_events(emulator, frames, np.arange(1001) / 1000, parameters)
    _assert_alike(ours, theirs, 80 * 80)


def _assert_alike(ours, theirs, n_pixels):
    """Mean, variance and polarity of counts per pixel, within 5 sigma of their own spread."""
    a = np.bincount(ours["y"].astype(int) * 80 + ours["x"], minlength=n_pixels)
    b = np.bincount(theirs[:, 2] * 80 + theirs[:, 1], minlength=n_pixels)
    assert a.mean() == pytest.approx(
        b.mean(), abs=5 * np.sqrt((a.var() + b.var()) / n_pixels) + 1e-9
    )
    fourth = np.mean((a - a.mean()) ** 4) + np.mean((b - b.mean()) ** 4)
    assert a.var() == pytest.approx(b.var(), abs=5 * np.sqrt(fourth / n_pixels) + 1e-9)
    on, their_on = ours["p"].mean(), theirs[:, 3].mean()
    assert on == pytest.approx(their_on, abs=5 * np.sqrt(0.5 / min(len(ours), len(theirs))))
