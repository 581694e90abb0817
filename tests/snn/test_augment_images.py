"""Images that are mirrored and turned: by hand, and as PIL and torchvision do it."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from snn.errors import TrainingError
from snn.events.augment.images import ImageAugmentConfig, augment_images, mirrored_and_turned


def test_a_quarter_turn_by_hand():
    image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    turned = mirrored_and_turned(image, flip=False, degrees=90)
    assert turned.tolist() == [[3, 6, 9], [2, 5, 8], [1, 4, 7]]
    assert mirrored_and_turned(image, flip=True, degrees=0).tolist() == image[:, ::-1].tolist()
    both = mirrored_and_turned(image, flip=True, degrees=90)
    assert both.tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]


@pytest.mark.parametrize("degrees", [-15, -7.3, 0.01, 3.1, 14.99])
@pytest.mark.parametrize("shape", [(64, 64), (31, 45)])
def test_as_pil_turns(degrees, shape):
    """PIL keeps positions in units of 2^-16 pixel: few pixels are on the other side of a line."""
    image = np.random.default_rng(1).integers(1, 256, shape).astype(np.uint8)
    for flip in (False, True):
        picture = Image.fromarray(image)
        expected = np.asarray((ImageOps.mirror(picture) if flip else picture).rotate(degrees))
        found = mirrored_and_turned(image, flip=flip, degrees=degrees)
        assert (found != expected).mean() < 0.003
        assert (found == 0).any() == (abs(degrees) > 1)  # corners are black


def test_as_torchvision_turns():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional = pytest.importorskip(
        "torchvision.transforms.functional", reason="torchvision is not installed"
    )
    images = np.random.default_rng(1).random((3, 64, 64)).astype(np.float32)
    expected = functional.rotate(functional.hflip(torch.from_numpy(images)), 11.0).numpy()
    found = mirrored_and_turned(images, flip=True, degrees=11.0)
    assert (found != expected).mean() < 0.003


def test_draws_have_their_shares_and_range():
    """A bright column right of the middle: where it is says the mirror, its slope the angle."""
    image = np.zeros((1, 1, 101, 101), np.float16)
    image[..., 70] = 1
    config = ImageAugmentConfig(flip=0.25, rotation_degrees=10)
    rng = np.random.default_rng(0)
    flips, angles = [], []
    for _ in range(400):
        turned = augment_images(image, config, rng)[0, 0]
        rows, columns = np.nonzero(turned)
        middle = columns[np.abs(rows - 50) < 3].mean()
        flips.append(middle < 50)
        angles.append(np.degrees(np.arctan(np.polyfit(rows, columns, 1)[0])))
    assert np.mean(flips) == pytest.approx(0.25, abs=0.08)
    assert -10.6 < min(angles) < -9 and 9 < max(angles) < 10.6
    assert np.mean(angles) == pytest.approx(0, abs=1)
    assert np.std(angles) == pytest.approx(20 / np.sqrt(12), abs=0.6)


def test_dtype_shape_and_input_stay():
    images = np.random.default_rng(0).random((3, 3, 20, 24)).astype(np.float16)
    before = images.copy()
    found = augment_images(images, ImageAugmentConfig(), np.random.default_rng(4))
    assert found.dtype == np.float16 and found.shape == images.shape
    assert np.array_equal(images, before)
    still = ImageAugmentConfig(flip=0, rotation_degrees=0)
    assert np.array_equal(augment_images(images, still, np.random.default_rng(4)), images)


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"flip": -0.1}, {"rotation_degrees": 181.0}])
def test_amounts_out_of_range_are_refused(wrong):
    with pytest.raises(TrainingError, match=next(iter(wrong))):
        ImageAugmentConfig(**wrong)
