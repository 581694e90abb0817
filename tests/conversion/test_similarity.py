"""Measures of embeddings: by hand, and against scikit-learn."""

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from conversion.similarity import cosine, layer_agreement, linear_cka, linear_probe
from conversion.spiking import convert
from snn.errors import ModelError


def test_cosine_by_hand():
    a = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    b = torch.tensor([[6.0, 8.0], [0.0, 2.0], [0.0, 0.0], [1.0, 0.0], [-1.0, -1.0]])
    assert cosine(a, b).tolist() == pytest.approx([1, 0, 1, 0, -1])


def test_cka_by_hand():
    # Centred columns (1, -1, 0) and (1, 0, -1): the product is 1, the squared lengths 2 each.
    a, b = torch.tensor([[1.0], [-1.0], [0.0]]), torch.tensor([[5.0], [4.0], [3.0]])
    assert linear_cka(a, b) == pytest.approx((1 / 2) ** 2)
    assert math.isnan(linear_cka(a, torch.ones(3, 2)))


@pytest.mark.parametrize("n_samples", [6, 60])
def test_cka_knows_no_rotation_and_scale(n_samples):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(n_samples, 9, generator=generator)
    rotation = torch.linalg.qr(torch.randn(9, 9, generator=generator)).Q
    assert linear_cka(a, 3 * a @ rotation + 1) == pytest.approx(1)
    stretched = a @ torch.diag(torch.arange(1.0, 10))
    other = torch.randn(n_samples, 9, generator=generator)
    assert linear_cka(a, other) < linear_cka(a, stretched) < 0.99
    # The two forms, by samples and by features, are one: a third by the definition.
    x, y = (v.double() - v.double().mean(0) for v in (a, stretched))
    product = ((x @ x.T) * (y @ y.T)).sum()
    expected = product / ((x @ x.T).norm() * (y @ y.T).norm())
    assert linear_cka(a, stretched) == pytest.approx(float(expected))


@pytest.mark.parametrize("n_train", [20, 200])
def test_probe_is_scikit_learns_ridge(n_train):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="no scikit-learn")
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(4, 30, generator=generator)
    labels = torch.randint(0, 4, (n_train + 300,), generator=generator) + 3
    features = centres[labels - 3] + 2.5 * torch.randn(len(labels), 30, generator=generator)
    train, test = features[:n_train], features[n_train:]
    found = linear_probe(train, labels[:n_train], test, labels[n_train:], ridge=0.1)
    mean, spread = train.mean(0), train.std(0, correction=0)
    theirs = linear_model.RidgeClassifier(alpha=0.1 * n_train)
    theirs.fit(((train - mean) / spread).numpy(), labels[:n_train].numpy())
    expected = theirs.score(((test - mean) / spread).numpy(), labels[n_train:].numpy())
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0.4 < found < 1


def test_probe_of_constant_features_is_the_largest_class():
    labels = torch.tensor([0, 1, 1, 1])
    assert linear_probe(torch.ones(4, 2), labels, torch.ones(4, 2), labels) == 0.75


@pytest.mark.parametrize("form", ["signed", "pair"])
def test_layers_agree_better_with_more_steps(form):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(20, 30), nn.LeakyReLU(0.2), nn.Linear(30, 10), nn.ReLU())
    images = torch.rand(40, 20)
    spiking = convert(
        module, images, code="rate", steps=32, calibration=images, covered=1.0, activation=form
    )
    layers = layer_agreement(spiking, images)
    assert [layer.name for layer in layers] == ["1", "3"]
    for layer in layers:
        assert len(layer.correlation) == len(layer.error) == 32
        assert layer.correlation[-1] > 0.99 and layer.correlation[-1] > layer.correlation[0]
        assert layer.error[-1] < 0.1 < layer.error[0]


def test_refuses_embeddings_of_different_samples():
    with pytest.raises(ModelError, match="same samples"):
        cosine(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(ModelError, match="same samples"):
        linear_cka(torch.zeros(3, 2), torch.zeros(4, 5))
    with pytest.raises(ModelError, match="ridge"):
        linear_probe(
            torch.zeros(3, 2), torch.zeros(3), torch.zeros(3, 2), torch.zeros(3), ridge=0.0
        )
