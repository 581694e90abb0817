"""Surrogate gradients: values worked by hand, and the libraries they are taken from."""

import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import ModelError
from snn.surrogate import SHAPES, Surrogate

X = torch.linspace(-3, 3, 61, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "alpha", "x", "expected"),
    [
        ("erfc", 2.0, 0.0, 2 / math.sqrt(math.pi)),
        ("erfc", 2.0, 0.5, 2 / math.sqrt(math.pi) / math.e),
        ("tanh", 1.0, 0.0, 1.0),
        ("triangle", 0.3, 0.5, 0.15),
        ("triangle", 0.3, -1.5, 0.0),
        ("circ", 2.0, 0.0, 1.0),
        ("circ", 3.0, 4.0, 27 / 125),
        ("superspike", 10.0, -0.1, 0.25),
        ("atan", 2.0, 0.0, 1.0),
        ("atan", 2.0, 1 / math.pi, 0.5),
        ("sigmoid", 4.0, 0.0, 1.0),
        ("exponential", 2.0, math.log(2), 0.25),
    ],
)
def test_by_hand(shape, alpha, x, expected):
    derivative = Surrogate(shape, alpha).derivative(torch.tensor(x, dtype=torch.float64))
    assert float(derivative) == pytest.approx(expected, rel=1e-12)


def gradient(function, x):
    x = x.clone().requires_grad_()
    function(x).sum().backward()
    return x.grad


@pytest.mark.parametrize(
    ("method", "shape", "alpha", "ours"),
    [
        ("heavi_erfc", "erfc", 1.7, 1.7),
        ("tanh", "tanh", 1.7, 1.7),
        ("triangle", "triangle", 0.4, 0.4),
        ("circ", "circ", 0.4, 0.4),
        ("super", "superspike", 100.0, 1.0),
    ],
)
def test_equals_norse(method, shape, alpha, ours):
    threshold = pytest.importorskip(
        "norse.torch.functional.threshold", reason="norse is not installed"
    ).threshold
    expected = gradient(lambda x: threshold(x, method, alpha), X)
    torch.testing.assert_close(Surrogate(shape, ours).derivative(X), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("name", "shape"), [("ATan", "atan"), ("Sigmoid", "sigmoid")])
def test_equals_spikingjelly(name, shape):
    surrogate = pytest.importorskip(
        "spikingjelly.activation_based.surrogate", reason="spikingjelly is not installed"
    )
    x = X.float()
    expected = gradient(getattr(surrogate, name)(alpha=3.0), x)
    torch.testing.assert_close(Surrogate(shape, 3.0).derivative(x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_spike_is_a_step_with_that_derivative(shape):
    surrogate = Surrogate(shape, 1.3)
    assert torch.equal(surrogate.spikes(X), (X > 0).double())
    assert torch.equal(gradient(surrogate.spikes, X), surrogate.derivative(X))


def test_every_problem_is_named():
    with pytest.raises(ModelError, match=r"erfc.*'box'.*alpha.*-1"):
        Surrogate("box", -1)
    with pytest.raises(ModelError, match="alpha"):
        Surrogate("atan", math.nan)
