"""Measures of image quality against scikit-image, OpenCV and cases worked by hand."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from conversion.quality import MEASURES, image_quality, ssim_map


def waves():
    """Two images of three channels that a formula says in full, ``[3, 24, 20]``."""
    y, x = np.mgrid[0:24, 0:20].astype(np.float64)
    a = [0.5 + 0.4 * np.sin(0.3 * x + 0.5 * c) * np.cos(0.2 * y) for c in range(3)]
    b = [0.5 + 0.35 * np.sin(0.33 * x + 0.4 * c) * np.cos(0.25 * y + 0.1) for c in range(3)]
    return np.stack(a), np.stack(b)


def batch(image):
    return torch.from_numpy(image)[None]


def test_numbers_of_scikit_image():
    # scikit-image 0.25.2: structural_similarity(a, b, channel_axis=0, gaussian_weights=True,
    # sigma=1.5, use_sample_covariance=False, data_range=1), which leaves out a border of 5;
    # peak_signal_noise_ratio, mean_squared_error; NCC: numpy 1.26.4, corrcoef.
    a, b = map(batch, waves())
    found = image_quality(a, b)
    assert found["mse"].item() == pytest.approx(0.02627477815970699, rel=1e-12)
    assert found["psnr"].item() == pytest.approx(15.80460942071246, rel=1e-12)
    assert found["ncc"].item() == pytest.approx(0.6402749257222554, rel=1e-9)
    inside = ssim_map(a, b)[..., 5:-5, 5:-5]
    assert inside.mean().item() == pytest.approx(0.7150656945182252, rel=1e-9)
    assert ssim_map(a, b)[0, 1, 12, 10].item() == pytest.approx(0.9362806795615684, rel=1e-9)


def test_ssim_of_all_pixels_is_that_of_opencv_windows():
    # OpenCV 4.11.0, GaussianBlur(z, (11, 11), 1.5) as the window, as evTransFER's code has it.
    assert image_quality(*map(batch, waves()))["ssim"].item() == pytest.approx(
        0.6276318873696357, rel=1e-9
    )


def test_scikit_image_itself():
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    rng = np.random.default_rng(0)
    a = rng.random((3, 40, 31))
    b = np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1)
    expected = metrics.structural_similarity(
        a,
        b,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
    )
    found = ssim_map(batch(a), batch(b))[..., 5:-5, 5:-5].mean().item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_flat_images_by_hand():
    # Nothing varies: SSIM is (2·0.2·0.5 + 1e-4) / (0.2² + 0.5² + 1e-4).
    found = image_quality(torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.5))
    expected = {
        "mse": 0.09,
        "rmse": 0.3,
        "mae": 0.3,
        "psnr": -10 * math.log10(0.09),
        "ssim": 0.2001 / 0.2901,
        "ncc": 0.0,
    }
    assert tuple(found) == MEASURES
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-6), name


def test_equal_and_opposite_images():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    same, opposite = image_quality(image, image), image_quality(1 - image, image)
    assert same["mse"] == 0 and same["psnr"] == math.inf
    assert same["ssim"].item() == pytest.approx(1) and same["ncc"].item() == pytest.approx(1)
    assert opposite["ncc"].item() == pytest.approx(-1)
    assert opposite["ssim"] < 0


def test_one_number_an_image_and_values_are_clipped():
    made = torch.zeros(2, 1, 12, 12)
    made[1] = 7.0  # counts as 1
    found = image_quality(made, torch.zeros(2, 1, 12, 12))
    assert found["mse"].tolist() == [0, 1] and found["mae"].tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(1, 3, 10, 20), (2, 3, 16, 16), (3, 16, 16)])
def test_refuses_what_it_cannot_compare(shape):
    with pytest.raises(ValueError, match="one shape"):
        image_quality(torch.zeros(shape), torch.zeros(1, *shape[-3:]))
