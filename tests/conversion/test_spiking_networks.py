"""Networks that were not made for this converter, and the one that it is for, in every code."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn
from torch.nn import functional as F

from conversion.activations import QCFS, with_qcfs
from conversion.encoder import Encoder
from conversion.spiking import convert
from conversion.spiking.trace import trace
from snn.errors import ModelError

CODES = ("rate", "graded", "sigma_delta")


@pytest.fixture(scope="module")
def digits():
    """Images in [0, 1] of 8×8, labels; the last 400 are for the test."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images, labels = datasets.load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16, torch.tensor(labels)


@pytest.fixture(scope="module")
def digit_network(digits):
    """An ordinary small CNN, trained for a few epochs."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(256, 10),
    )
    images, labels = digits[0][:-400], digits[1][:-400]
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for epoch in range(6):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(64):
            optimiser.zero_grad()
            F.cross_entropy(module(images[batch]), labels[batch]).backward()
            optimiser.step()
    return module.eval()


def accuracy(logits, labels):
    return float((logits.argmax(-1) == labels).double().mean())


def test_digits_in_every_code(digits, digit_network):
    images, labels = digits[0][-400:], digits[1][-400:]
    calibration = digits[0][:200]
    with torch.no_grad():
        floating = accuracy(digit_network(images), labels)
    assert floating > 0.9
    found = {
        code: convert(
            digit_network,
            images,
            code=code,
            levels=16,
            steps=32,
            calibration=calibration,
            input_bits=5,
            input_scale=1 / 16,
        )
        for code in CODES
    }
    logits = {code: spiking.run(images, batch_size=150) for code, spiking in found.items()}
    assert logits["rate"].shape == (32, 400, 10) and logits["graded"].shape == (1, 400, 10)
    accuracies = {code: accuracy(values[-1], labels) for code, values in logits.items()}
    assert accuracies["graded"] > floating - 0.02
    assert accuracies["rate"] > floating - 0.03
    assert accuracies["sigma_delta"] > floating - 0.02
    assert accuracy(logits["rate"][0], labels) < accuracies["rate"]  # it takes steps
    with torch.no_grad():
        exact = (logits["sigma_delta"][0] - digit_network(images)).abs().max()
    assert exact < 1e-4  # these images are whole sixteenths: nothing is lost


def test_hard_reset_costs(digits, digit_network):
    images = digits[0][-100:]
    errors = {}
    for reset in ("subtract", "zero"):
        spiking = convert(
            digit_network, images, code="rate", steps=64, calibration=images, reset=reset
        )
        with torch.no_grad():
            errors[reset] = float((spiking.run(images)[-1] - digit_network(images)).abs().mean())
    assert errors["subtract"] < errors["zero"] / 4


def exactness(module, spiking, images):
    """Levels in which a QCFS of a module and its neurons differ, and how many there are."""
    expected = {}
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: expected.update({name: out}))
        for name, part in module.named_modules()
        if isinstance(part, QCFS)
    ]
    with torch.no_grad():
        features = module.double()(spiking.input_code.quantised(images.double()))
    for hook in hooks:
        hook.remove()
    found = spiking.record(images)
    torch.testing.assert_close(found.features[0], features.flatten(1))
    assert set(found.activations) == set(expected)
    mismatches = 0
    for name, part in module.named_modules():
        if isinstance(part, QCFS):
            unit = part.clip.detach().reshape(-1, *(1,) * (expected[name].dim() - 2)) / part.levels
            ours, theirs = (
                torch.round(v / unit) for v in (found.activations[name][0], expected[name])
            )
            mismatches += int((ours != theirs).sum())
    return mismatches, sum(v.numel() for v in expected.values())


@pytest.mark.parametrize("levels", [4, 8, 32])
def test_graded_digits_equal_the_quantised_network_in_every_layer(digits, digit_network, levels):
    module = with_qcfs(digit_network, levels, calibration=digits[0][:200], per_channel=True)
    spiking = convert(module, digits[0][:1], code="graded", input_scale=1 / 16, input_bits=5)
    mismatches, values = exactness(module, spiking, digits[0][-100:])
    assert mismatches == 0 and values == 100 * (8 * 64 + 16 * 16)


@pytest.fixture(scope="module")
def resnet():
    """torchvision's definition with random weights, and statistics that it would have."""
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    torch.manual_seed(0)
    module = models.resnet18(weights=None, num_classes=10)
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(8, 3, 32, 32))
    return module.eval()


def test_resnets_max_pooling_is_refused_with_advice(resnet):
    with pytest.raises(ModelError) as error:
        trace(resnet, torch.zeros(1, 3, 32, 32))
    assert str(error.value).splitlines()[1:] == [
        "  maxpool (MaxPool2d): the largest of several activations is no sum of spikes; use "
        "nn.AvgPool2d, or a stride in the convolution before it, and fine-tune"
    ]


@pytest.fixture(scope="module")
def pooled_resnet(resnet):
    resnet.maxpool = nn.AvgPool2d(3, stride=2, padding=1)
    return resnet


@pytest.mark.parametrize("code", CODES)
def test_resnet_in_every_code(pooled_resnet, code):
    torch.manual_seed(1)
    images = torch.randn(2, 3, 32, 32)
    spiking = convert(
        pooled_resnet,
        images,
        code=code,
        levels=255,
        steps=64,
        calibration=images,
        covered=1.0,
        input_bits=10,
    )
    with torch.no_grad():
        expected = pooled_resnet(images).double()
    found = spiking.run(images, precision=torch.float32)[-1].double()
    scale = (expected - expected.mean(0)).abs().mean()
    # 17 layers deep, rates of 64 steps are still uneven.
    tolerance = {"rate": 0.8, "graded": 0.1, "sigma_delta": 0.01}[code]
    assert (found - expected).abs().mean() < tolerance * scale
    assert len(spiking.network.neurons) == 17
    assert sum("same quantum" in c.became for c in spiking.report.changes) == 8
    skips = [n.name for n in spiking.network.nodes if n.name.endswith(".unit")]
    # Five of the eight skips have no weights of their own; changes need some after pooling only.
    assert len(skips) == (1 if code == "sigma_delta" else 5)


def test_graded_resnet_equals_the_quantised_network_in_every_layer(pooled_resnet):
    torch.manual_seed(1)
    images = torch.randn(1, 3, 32, 32)
    module = with_qcfs(pooled_resnet, 8, calibration=images)
    spiking = convert(module, images, code="graded")
    mismatches, values = exactness(module, spiking, images)
    assert mismatches == 0 and values > 30_000


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    module = Encoder(size=64, width=4).train()
    with torch.no_grad():
        for _ in range(20):
            module(torch.rand(8, 3, 64, 64) * 2 - 1)
    return module.eval()


@pytest.mark.parametrize("form", ["qcfs", "signed", "pair"])
@pytest.mark.parametrize("code", CODES)
def test_encoder_in_every_code(encoder, code, form):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (4, 3, 64, 64)) / 127.5 - 1
    spiking = convert(
        encoder,
        images,
        code=code,
        levels=64,
        steps=64,
        calibration=images,
        activation=form,
        input_scale=1 / 255,
    )
    with torch.no_grad():
        expected = encoder(images).double()
    found = spiking.run(images)
    assert found.shape == (64 if code == "rate" else 1, 4, 32)
    error = float((found[-1] - expected).abs().mean() / expected.abs().mean())
    if form == "qcfs":
        assert 0.001 < error < 0.6  # the negative sides are gone: that is for distillation to mend
    else:
        assert error < {"rate": 0.1, "graded": 0.08, "sigma_delta": 1e-5}[code]
    assert spiking.network.is_read_by_messages
    with torch.no_grad():
        for name, level in zip(
            [a.name for a in spiking.artificial.activations], encoder.levels(images), strict=True
        ):
            unquantised = spiking.artificial(images.double())[name].float()
            torch.testing.assert_close(unquantised, level, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("signed", [False, True])
def test_graded_encoder_equals_the_quantised_one_in_every_layer(encoder, signed):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (4, 3, 64, 64)) / 127.5 - 1
    module = with_qcfs(encoder, 8, calibration=images, per_channel=True, signed=signed)
    for form in ("signed", "pair") if signed else ("qcfs",):
        spiking = convert(module, images, code="graded", activation=form, input_scale=1 / 255)
        if form != "pair":
            mismatches, values = exactness(module, spiking, images)
            assert mismatches == 0 and values == 4 * 7840
        else:
            with torch.no_grad():
                expected = module.double()(spiking.input_code.quantised(images.double()))
            torch.testing.assert_close(spiking.run(images)[0], expected)
