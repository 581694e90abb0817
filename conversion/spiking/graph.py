"""An artificial network as plain data, between torch and every spiking form of it.

A network is a tuple of nodes in topological order. Every linear node computes what torch does:

    Convolution, Dense      W x + b
    SumPool                 the sum of each window, divided by ``divisor``
    Flatten                 (C, H, W) to (C H W,)
    Sum                     the sum of its sources
    Activation              ReLU, LeakyReLU or QCFS, where neurons will be

>>> convolution = Convolution(name="conv", sources=("input",), shape=(4, 8, 8),
...                           weight=torch.zeros(4, 1, 3, 3), bias=torch.zeros(4), padding=(1, 1))
>>> convolution([torch.ones(1, 1, 8, 8)]).shape
torch.Size([1, 4, 8, 8])
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Container
from dataclasses import dataclass

import torch
from torch.nn import functional as F

INPUT = "input"
Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One node.

    Parameters
    ----------
    name : str
    sources : tuple of str
        ``"input"`` or nodes before it.
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)`` of what it gives.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(Node, ABC):
    """A node that gives the same for the same inputs, whatever came before."""

    @abstractmethod
    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """The outputs ``[N, *shape]`` of a batch; without the bias where `biased` is False."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Operation):
    """A convolution as torch's, a cross-correlation with zeros around the image.

    Parameters
    ----------
    weight : Tensor of shape (C_out, C_in / groups, kh, kw)
    bias : Tensor of shape (C_out,)
    stride, padding, dilation : tuple of int
        ``(rows, columns)``.
    groups : int
    """

    weight: torch.Tensor
    bias: torch.Tensor
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """See ``Operation.__call__``."""
        (x,) = inputs
        bias = self.bias.to(x) if biased else None
        return F.conv2d(
            x,
            self.weight.to(x),
            bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates of one pass, those with the padding included."""
        return math.prod(self.shape) * self.weight[0].numel()


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Operation):
    """A matrix.

    Parameters
    ----------
    weight : Tensor of shape (F_out, F_in)
    bias : Tensor of shape (F_out,)
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """See ``Operation.__call__``."""
        (x,) = inputs
        return F.linear(x, self.weight.to(x), self.bias.to(x) if biased else None)

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates of one pass."""
        return self.weight.numel()


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool(Operation):
    """Sums of windows; with a divisor of the window's size it is average pooling.

    Parameters
    ----------
    kernel, stride, padding : tuple of int
        ``(rows, columns)``.
    divisor : float
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    divisor: float = 1.0

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """See ``Operation.__call__``; there is no bias."""
        (x,) = inputs
        sums = F.avg_pool2d(x, self.kernel, self.stride, self.padding, divisor_override=1)
        return sums / self.divisor


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Operation):
    """Channels, rows and columns in one axis."""

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """See ``Operation.__call__``; there is no bias."""
        return inputs[0].flatten(1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(Operation):
    """What several branches bring together."""

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """See ``Operation.__call__``; there is no bias."""
        return torch.stack(inputs).sum(0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation(Operation):
    """A pointwise activation: ReLU, LeakyReLU, or its QCFS.

    Parameters
    ----------
    found : str
        Type of the module that it was.
    negative_slope : float
        In [0, 1].
    lam : Tensor of shape (1,) or (C,), optional
        Learned clip of a QCFS.
    levels : int, optional
        Of a QCFS.
    """

    found: str
    negative_slope: float = 0.0
    lam: torch.Tensor | None = None
    levels: int | None = None

    def __call__(self, inputs: list[torch.Tensor], *, biased: bool = True) -> torch.Tensor:
        """The activation of ``[N, *shape]``."""
        (z,) = inputs
        if self.lam is None or self.levels is None:
            return F.leaky_relu(z, self.negative_slope)
        clip = along_channels(self.lam, z)
        return clip / self.levels * quantised(z, clip, self.levels, self.negative_slope)


Weighted = Convolution | Dense


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """An artificial network in evaluation mode.

    Parameters
    ----------
    input_shape : tuple of int
        Of one image, ``(C, H, W)`` or ``(F,)``.
    nodes : tuple of Operation
        In topological order.
    output : str
        The node that is the answer.
    """

    input_shape: Shape
    nodes: tuple[Operation, ...]
    output: str

    def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """What every node gives for images ``[N, *input_shape]``, by name."""
        values = {INPUT: images}
        for node in self.nodes:
            values[node.name] = node([values[source] for source in node.sources])
        return values

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The nodes where neurons will be."""
        return tuple(node for node in self.nodes if isinstance(node, Activation))

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(n.multiplications for n in self.nodes if isinstance(n, Weighted))


def quantised(
    z: torch.Tensor, theta: torch.Tensor, levels: int, negative_slope: float = 0.0
) -> torch.Tensor:
    """Whole numbers of QCFS, ``clip(floor(L z / theta + 1/2), 0, L)``, and below 0 likewise
    ``-clip(floor(L a |z| / theta + 1/2), 0, L)`` with the negative slope ``a``.

    Source: QCFS, Bu et al., ICLR 2022; the signed form is this project's for LeakyReLU.
    """
    counts = torch.floor(z * levels / theta + 0.5).clamp(0, levels)
    if negative_slope:
        below = torch.floor(-z * negative_slope * levels / theta + 0.5).clamp(0, levels)
        counts = counts - below
    return counts


def along_channels(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``(C,)`` or ``(1,)`` in a form that multiplies ``[N, C, ...]``."""
    return values.to(like).reshape(-1, *(1,) * (like.dim() - 2))


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, or with the first number behind it that is not taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}.{number}"
    return free
