"""How alike two embeddings are, and two networks layer by layer.

    cosine        <a, b> / (|a| |b|), of each sample
    linear CKA    ||B' A||_F^2 / (||A' A||_F ||B' B||_F), columns centred: 1 for equal up to a
                  rotation and one scale
    linear probe  ridge regression to one-hot labels on standardised features, in closed form

Sources: Kornblith et al., "Similarity of neural network representations revisited", ICML 2019, for
CKA. Agreement over steps follows SNN toolbox's correlation plots (Rueckauer et al., 2017).

>>> a = torch.randn(20, 5)
>>> round(linear_cka(a, 3 * a), 6)
1.0
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from conversion.spiking.converter import SpikingEncoder
from snn.errors import ModelError


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of each pair of rows.

    Two rows of zeros are alike, a row of zeros and another are not.

    Parameters
    ----------
    a, b : Tensor of shape (N, F)

    Returns
    -------
    Tensor of float64, shape (N,)
    """
    a, b = _matched(a, b)
    lengths = a.norm(dim=1), b.norm(dim=1)
    product = lengths[0] * lengths[1]
    both_silent = (lengths[0] == 0) & (lengths[1] == 0)
    found = (a * b).sum(1) / torch.where(product > 0, product, 1.0)
    return torch.where(both_silent, 1.0, found)


def linear_cka(a: torch.Tensor, b: torch.Tensor) -> float:
    """Linear centred kernel alignment of two embeddings of the same samples.

    Parameters
    ----------
    a : Tensor of shape (N, F)
    b : Tensor of shape (N, G)

    Returns
    -------
    float
        In [0, 1]; nan where one of them is constant.
    """
    a, b = _matched(a, b, same_length=False)
    a, b = a - a.mean(0), b - b.mean(0)
    if len(a) < max(a.shape[1], b.shape[1]):  # the smaller of two equal forms
        left, right = a @ a.T, b @ b.T
        shared, norms = (left * right).sum(), left.norm() * right.norm()
    else:
        shared, norms = (b.T @ a).square().sum(), (a.T @ a).norm() * (b.T @ b).norm()
    return float(shared / norms) if norms > 0 else math.nan


def linear_probe(
    train: torch.Tensor,
    train_labels: torch.Tensor,
    test: torch.Tensor,
    test_labels: torch.Tensor,
    *,
    ridge: float = 1e-2,
) -> float:
    """Accuracy of the best linear classifier on top of an embedding.

    Parameters
    ----------
    train, test : Tensor of shape (N, F)
    train_labels, test_labels : Tensor of int64, shape (N,)
    ridge : float
        Penalty on the weights per training sample, features having variance 1.

    Returns
    -------
    float
        Share of test samples that are classified rightly, in [0, 1].
    """
    if ridge <= 0:
        raise ModelError(f"a ridge of {ridge}; it must be above 0")
    train, test = train.double(), test.double()
    mean, spread = train.mean(0), train.std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)  # a constant feature says nothing
    x, x_test = (train - mean) / spread, (test - mean) / spread
    classes, rows = train_labels.unique(return_inverse=True)
    y = torch.nn.functional.one_hot(rows, len(classes)).double()
    offset = y.mean(0)
    penalty = ridge * len(x)
    if len(x) < x.shape[1]:  # the smaller of two equal systems
        gram = x @ x.T + penalty * torch.eye(len(x), dtype=torch.float64)
        weights = x.T @ torch.linalg.solve(gram, y - offset)
    else:
        gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(gram, x.T @ (y - offset))
    found = classes[(x_test @ weights + offset).argmax(1)]
    return float((found == test_labels).double().mean())


@dataclass(frozen=True, kw_only=True)
class LayerAgreement:
    """How well the messages of a layer stand for the artificial activations.

    Parameters
    ----------
    name : str
    correlation : tuple of float
        Pearson's, over neurons and samples, after each step; nan where one side is constant.
    error : tuple of float
        Mean absolute difference after each step, as a share of the layer's mean activation.
    """

    name: str
    correlation: tuple[float, ...]
    error: tuple[float, ...]


def layer_agreement(encoder: SpikingEncoder, images: torch.Tensor) -> tuple[LayerAgreement, ...]:
    """Every layer's agreement with the artificial network that it was converted from.

    A layer of pairs is compared by the differences of its pairs.

    Parameters
    ----------
    encoder : SpikingEncoder
    images : Tensor of shape (N, *input_shape)
        Still images.

    Returns
    -------
    tuple of LayerAgreement
        In the order of the layers.
    """
    with torch.no_grad():
        expected = encoder.artificial(encoder.input_code.quantised(images.double()))
    found = encoder.record(images).activations
    return tuple(_agreement(name, found[name], expected[name]) for name in found)


def _agreement(name: str, found: torch.Tensor, expected: torch.Tensor) -> LayerAgreement:
    if found.shape[2] == 2 * expected.shape[1]:
        found = found[:, :, 0::2] - found[:, :, 1::2]
    scale = expected.abs().mean().clamp_min(1e-30)
    errors = [float((step - expected).abs().mean() / scale) for step in found]
    correlations = [_correlation(step.flatten(), expected.flatten()) for step in found]
    return LayerAgreement(name=name, correlation=tuple(correlations), error=tuple(errors))


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    lengths = a.norm() * b.norm()
    return float((a * b).sum() / lengths) if lengths > 0 else math.nan


def _matched(
    a: torch.Tensor, b: torch.Tensor, *, same_length: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    if a.dim() != 2 or b.dim() != 2 or len(a) != len(b) or (same_length and a.shape != b.shape):
        raise ModelError(
            f"embeddings of shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be [N, F] of "
            "the same samples"
        )
    return a.double(), b.double()
