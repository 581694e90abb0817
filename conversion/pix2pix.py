"""The face-reconstruction network: a U-Net that draws the grey face, and a critic of patches.

Generator, with e_i the levels of its encoder and b the bottleneck:

    d_1 = ReLU([dropout(norm(deconv(b))), e_n]),  d_i = ReLU([norm(deconv(d_(i-1))), e_(n+1-i)])
    image = tanh(deconv(d_n))

``deconv`` is a transposed convolution 4×4, stride 2, padding 1; ``[ , ]`` concatenates channels,
and ReLU comes after it. The critic sees the two images of a pair on top of each other and answers
with a 14×14 map of logits. Source: the public code of evTransFER (arXiv 2508.03609), a variant of
pix2pix (P. Isola et al., CVPR 2017).

At 256 pixels this is the published network. A smaller image has fewer levels:

=====  ==================  ==============  ==================  ====================
size   levels, bottleneck  dropout on      critic, stride 2    critic sees, pixels
=====  ==================  ==============  ==================  ====================
256    7 + 1               d1, d2, d3      4 convolutions      142
128    6 + 1               d1, d2          3                   70
64     5 + 1               d1              2                   34
32     4 + 1               none            1                   16
=====  ==================  ==============  ==================  ====================

The innermost levels are left out, with the dropout that they had: it stays where an output is at
most size / 32 wide. The critic loses a stride for each halving, so its map stays 14×14 and each of
its answers sees the same share of the image.

>>> Generator(size=64, width=16)(torch.zeros(2, 3, 64, 64)).shape
torch.Size([2, 3, 64, 64])
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from conversion.encoder import Encoder, halving
from snn.errors import ModelError

INITIAL_SPREAD = 0.02
LEVELS_WITHOUT_DROPOUT = 4


class Generator(nn.Module):
    """Draws a face from a TIE image.

    Parameters
    ----------
    size : int
        Of the images in pixels: 32, 64, 128 or 256.
    width : int
        Channels of the first level; published: 64.
    dropout : float
        On the innermost levels of the decoder while training.

    Attributes
    ----------
    encoder : Encoder
        The part that is transferred.
    """

    def __init__(self, *, size: int = 256, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = Encoder(size=size, width=width)
        outputs = self.encoder.channels[::-1]
        inputs = (self.encoder.n_features, *(2 * channels for channels in outputs))
        with_dropout = len(outputs) - LEVELS_WITHOUT_DROPOUT
        self.decoder = nn.ModuleList(
            _Expansion(inputs[i], outputs[i], dropout if i < with_dropout else 0.0)
            for i in range(len(outputs))
        )
        self.out = doubling(inputs[-1], 3)
        self.apply(initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Faces ``[N, 3, size, size]`` in (-1, 1) from images in [-1, 1]."""
        return self.decode(self.encoder.levels(x))

    def decode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Faces from what ``Encoder.levels`` gives."""
        *skips, x = levels
        for expansion, skip in zip(self.decoder, reversed(skips), strict=True):
            x = expansion(x, skip)
        return torch.tanh(self.out(x))


class _Expansion(nn.Module):
    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.deconv = doubling(inputs, outputs)
        self.norm = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = self.dropout(self.norm(self.deconv(x)))
        return torch.cat([x, skip], dim=1).relu_()


class Discriminator(nn.Module):
    """Tells patches of true pairs from patches of made ones.

    Parameters
    ----------
    size : int
        Of the images in pixels: 32, 64, 128 or 256.
    width : int
        Channels of the first convolution; published: 64.

    Raises
    ------
    ModelError
        For a size that there is no network of.
    """

    def __init__(self, *, size: int = 256, width: int = 64) -> None:
        super().__init__()
        n_strided = int(math.log2(size)) - 4
        if n_strided not in (1, 2, 3, 4) or size != 16 << n_strided:
            raise ModelError(f"images of {size} pixels; the discriminator takes 32, 64, 128, 256")
        channels = [width * min(1 << i, 8) for i in range(n_strided + 1)]
        layers: list[nn.Module] = [halving(6, channels[0]), nn.LeakyReLU(0.2)]
        for i, outputs in enumerate(channels[1:], start=1):
            strided = i < n_strided
            conv = halving(channels[i - 1], outputs) if strided else _same(channels[i - 1], outputs)
            layers += [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, _same(channels[-1], 1))
        self.apply(initialise)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Logits ``[N, 1, 14, 14]``: above 0 where `b` seems to be the true face of `a`."""
        return self.layers(torch.cat([a, b], dim=1))


def doubling(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """The transposed convolution of every level: 4×4, stride 2, padding 1, with a bias."""
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1)


def _same(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=1, padding=1)


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Draw weights of convolutions from N(0, 0.02) and of norms from N(1, 0.02); biases are 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INITIAL_SPREAD)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, INITIAL_SPREAD)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def discriminator_loss(true: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Half the sum of the cross-entropies of true pairs against 1 and made pairs against 0.

    Cross-entropy on logits is the published sigmoid and cross-entropy in one, without its limits.
    """
    loss = nn.functional.binary_cross_entropy_with_logits
    return 0.5 * (loss(true, torch.ones_like(true)) + loss(made, torch.zeros_like(made)))


def adversarial_loss(made: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of made pairs against 1: what the generator is punished with."""
    return nn.functional.binary_cross_entropy_with_logits(made, torch.ones_like(made))
