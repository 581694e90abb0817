"""The reconstruction network: published construction, initial weights, losses."""

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn
from torch.nn import functional as F

from conversion.pix2pix import (
    Discriminator,
    Generator,
    adversarial_loss,
    discriminator_loss,
)
from snn.errors import ModelError

SIZES = (32, 64, 128, 256)


def test_published_generator():
    generator = Generator()
    levels = [(d.deconv.in_channels, d.deconv.out_channels) for d in generator.decoder]
    assert levels == [
        (512, 512),
        (1024, 512),
        (1024, 512),
        (1024, 512),
        (1024, 256),
        (512, 128),
        (256, 64),
    ]
    dropouts = [d.dropout.p if isinstance(d.dropout, nn.Dropout) else 0 for d in generator.decoder]
    assert dropouts == [0.5, 0.5, 0.5, 0, 0, 0, 0]
    assert all(isinstance(d.norm, nn.BatchNorm2d) for d in generator.decoder)
    assert (generator.out.in_channels, generator.out.out_channels) == (128, 3)


@pytest.mark.parametrize(("size", "n_dropouts"), [(32, 0), (64, 1), (128, 2), (256, 3)])
def test_levels_that_a_smaller_image_lacks_are_the_innermost(size, n_dropouts):
    generator = Generator(size=size, width=2)
    whole = [(d.deconv.in_channels, d.deconv.out_channels) for d in Generator(width=2).decoder]
    found = [(d.deconv.in_channels, d.deconv.out_channels) for d in generator.decoder]
    n = len(found)
    assert found[1:] == whole[len(whole) - n + 1 :]
    assert found[0] == (16, whole[len(whole) - n][1])  # the bottleneck has no skip beside it
    assert [isinstance(d.dropout, nn.Dropout) for d in generator.decoder] == [
        i < n_dropouts for i in range(n)
    ]


def normed(x, norm):
    """Batch normalisation in evaluation mode."""
    shape = (1, -1, 1, 1)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (x - norm.running_mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)


@pytest.mark.parametrize("size", SIZES)
def test_skips_join_before_the_relu(size):
    torch.manual_seed(size)
    generator = Generator(size=size, width=2)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        for _ in range(3):
            generator.train()(images)
        generator.eval()
        *skips, x = generator.encoder.levels(images)
        for expansion in generator.decoder:
            deconv = expansion.deconv
            made = normed(F.conv_transpose2d(x, deconv.weight, deconv.bias, 2, 1), expansion.norm)
            skip = skips.pop()
            assert skip.min() < 0  # LeakyReLU lets through what this ReLU must take away
            x = torch.cat([made.clamp(min=0), skip.clamp(min=0)], 1)
        expected = F.conv_transpose2d(x, generator.out.weight, generator.out.bias, 2, 1).tanh()
        torch.testing.assert_close(generator(images), expected, atol=1e-6, rtol=1e-4)


def test_dropout_is_drawn_while_training_only():
    generator = Generator(size=64, width=2)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.manual_seed(1)
        first = generator.train()(images)
        torch.manual_seed(1)
        assert torch.equal(generator(images), first)
        assert not torch.equal(generator(images), first)
        assert torch.equal(generator.eval()(images), generator(images))


@pytest.mark.parametrize("size", SIZES)
def test_the_critics_map_is_14_by_14(size):
    a, b = torch.randn(2, 2, 3, size, size)
    assert Discriminator(size=size, width=2)(a, b).shape == (2, 1, 14, 14)


def test_published_discriminator():
    layers = list(Discriminator().layers)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (6, 64, 2),
        (64, 128, 2),
        (128, 256, 2),
        (256, 512, 2),
        (512, 512, 1),
        (512, 1, 1),
    ]
    assert {(c.kernel_size, c.padding) for c in convolutions} == {((4, 4), (1, 1))}
    assert [type(layer).__name__ for layer in layers[:3]] == ["Conv2d", "LeakyReLU", "Conv2d"]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in layers) == 4
    assert {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize(("size", "seen"), [(256, 142), (128, 70), (64, 34), (32, 16)])
def test_each_answer_sees_the_same_share_of_the_image(size, seen):
    torch.manual_seed(0)
    critic = Discriminator(size=size, width=2).eval()
    image = torch.randn(1, 3, size, size, requires_grad=True)
    critic(image, image.detach())[0, 0, 7, 7].backward()
    rows = image.grad.abs().sum((0, 1, 3)) > 0
    assert int(rows.sum()) == seen and seen / size == pytest.approx(0.54, abs=0.05)


def test_refuses_sizes_that_it_has_no_form_for():
    for size in (16, 48, 512):
        with pytest.raises(ModelError, match=str(size)):
            Discriminator(size=size)
        with pytest.raises(ModelError, match=str(size)):
            Generator(size=size)


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_initial_weights(network):
    torch.manual_seed(0)
    modules = list(network(size=64, width=32).modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    weights = torch.cat([m.weight.flatten() for m in convolutions])
    scales = torch.cat([m.weight for m in norms])
    assert weights.mean().item() == pytest.approx(0, abs=2e-4)
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert scales.mean().item() == pytest.approx(1, abs=5e-3)
    assert scales.std().item() == pytest.approx(0.02, rel=0.15)
    assert not any(m.bias.any() for m in convolutions + norms)


def test_losses_by_hand():
    true, made = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[math.log(3), 0.0]])
    # Sigmoids 1/2 and 3/4 for true pairs, 3/4 and 1/2 for made ones.
    of_true = (math.log(2) + math.log(4 / 3)) / 2
    of_made = (math.log(4) + math.log(2)) / 2
    assert discriminator_loss(true, made).item() == pytest.approx((of_true + of_made) / 2)
    assert adversarial_loss(made).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_losses_are_those_of_sigmoid_and_cross_entropy():
    true, made = torch.randn(2, 3, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    bce = nn.BCELoss()
    expected = 0.5 * (
        bce(true.sigmoid(), torch.ones_like(true)) + bce(made.sigmoid(), torch.zeros_like(made))
    )
    torch.testing.assert_close(discriminator_loss(true, made), expected)
    torch.testing.assert_close(adversarial_loss(made), bce(made.sigmoid(), torch.ones_like(made)))
