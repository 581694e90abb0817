"""The contracting path of the reconstruction network: what is transferred to the classifier.

Each level halves the image, ``e_i = LeakyReLU_0.2(norm(conv 4×4, stride 2, padding 1))``, the
first without a norm; the bottleneck is ``ReLU(conv)`` and leaves one pixel. At 256 pixels there
are seven levels of width × (1, 2, 4, 8, 8, 8, 8) channels; a smaller image has fewer: the
innermost are left out. Source: the public code of evTransFER (arXiv 2508.03609).

>>> Encoder(size=64, width=16)(torch.zeros(2, 3, 64, 64)).shape
torch.Size([2, 128])
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn.errors import ModelError
from snn.saved import write_saved

SIZES = (32, 64, 128, 256)
MULTIPLES = (1, 2, 4, 8, 8, 8, 8)
FORMAT = "evtransfer-encoder-1"

About = dict[str, str | int | float]


class Encoder(nn.Module):
    """Levels e1, e2, ... and the bottleneck, with torch's initial weights.

    Parameters
    ----------
    size : int
        Height and width of the images in pixels, one of ``SIZES``.
    width : int
        Channels of the first level; published: 64.

    Attributes
    ----------
    n_features : int
        Length of a feature vector, ``8 * width``.
    channels : tuple of int
        Of e1, e2, ..., without the bottleneck.

    Raises
    ------
    ModelError
        For a size or width that there is no network of.
    """

    def __init__(self, *, size: int = 256, width: int = 64) -> None:
        super().__init__()
        if size not in SIZES:
            raise ModelError(f"images of {size} pixels; the encoder has a form for {SIZES}")
        if width < 1:
            raise ModelError(f"an encoder of width {width}; width must be at least 1")
        self.size, self.width, self.n_features = size, width, 8 * width
        n_levels = int(math.log2(size)) - 1
        self.channels = tuple(width * multiple for multiple in MULTIPLES[:n_levels])
        inputs = (3, *self.channels)
        self.blocks = nn.ModuleList(
            _Level(inputs[i], outputs, norm=i > 0) for i, outputs in enumerate(self.channels)
        )
        self.bottleneck = halving(self.channels[-1], self.n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features ``[N, n_features]``, none below 0, of images ``[N, 3, size, size]``."""
        return self.levels(x)[-1].flatten(1)

    def levels(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The activations of e1, e2, ... and the bottleneck.

        Level i has shape ``[N, channels[i], size / 2^(i+1), size / 2^(i+1)]``, the bottleneck
        ``[N, n_features, 1, 1]``.
        """
        if x.shape[1:] != (3, self.size, self.size):
            raise ModelError(
                f"images of shape {tuple(x.shape[1:])}; this encoder takes "
                f"{(3, self.size, self.size)}"
            )
        levels = []
        for block in self.blocks:
            x = block(x)
            levels.append(x)
        return (*levels, torch.relu(self.bottleneck(x)))


class _Level(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = halving(inputs, outputs)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.leaky_relu(self.norm(self.conv(x)), 0.2)


def halving(inputs: int, outputs: int) -> nn.Conv2d:
    """The convolution of every level: 4×4, stride 2, padding 1, with a bias."""
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)


def save_encoder(path: Path, encoder: Encoder, *, about: Mapping[str, str | int | float]) -> None:
    """Write an encoder, whole or not at all.

    Parameters
    ----------
    path : Path
    encoder : Encoder
    about : mapping
        Plain facts that are kept beside the weights: where it comes from, which epoch.
    """
    saved = {
        "format": FORMAT,
        "size": encoder.size,
        "width": encoder.width,
        "about": dict(about),
        "weights": {k: v.detach().cpu().clone() for k, v in encoder.state_dict().items()},
    }
    write_saved(path, saved)


def load_encoder(path: Path) -> tuple[Encoder, About]:
    """Read an encoder as data only; nothing in the file is executed.

    Returns
    -------
    encoder : Encoder
        On the CPU, in evaluation mode.
    about : dict

    Raises
    ------
    ModelError
        For a missing, damaged or foreign file, naming it and what is wrong.
    """
    try:
        _check_packing(path)
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise ModelError(
            f"{path}: not a readable encoder ({error}); give a file that a reconstruction kept"
        ) from error
    size, width, about, weights = _checked_header(path, saved)
    with torch.device("meta"):  # shapes without memory: the file may claim any width
        expected = Encoder(size=size, width=width).state_dict()
    _check_weights(path, weights, expected)
    encoder = Encoder(size=size, width=width)
    encoder.load_state_dict(weights)
    return encoder.eval(), about


def _check_packing(path: Path) -> None:
    """Torch writes zip files without compression; a packed one could grow without limit."""
    with zipfile.ZipFile(path) as file:
        packed = [e.filename for e in file.infolist() if e.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"{packed[0]} in it is compressed")


def _checked_header(path: Path, saved: Any) -> tuple[int, int, About, Mapping[str, Any]]:
    found = saved.get("format") if isinstance(saved, dict) else None
    if found != FORMAT:
        raise ModelError(f"{path}: its format is {found!r}, not {FORMAT!r}; it is no encoder file")
    size, width, about, weights = (saved.get(k) for k in ("size", "width", "about", "weights"))
    if type(size) is not int or size not in SIZES:
        raise ModelError(f"{path}: an encoder for {size!r} pixels; allowed are {SIZES}")
    if type(width) is not int or width < 1:
        raise ModelError(f"{path}: an encoder of width {width!r}; allowed are whole numbers from 1")
    if not isinstance(about, dict) or not all(
        isinstance(k, str) and isinstance(v, str | int | float) for k, v in about.items()
    ):
        raise ModelError(f"{path}: 'about' holds something else than names with plain values")
    if not isinstance(weights, dict):
        raise ModelError(f"{path}: holds no weights")
    return size, width, about, weights


def _check_weights(
    path: Path, weights: Mapping[str, Any], expected: Mapping[str, torch.Tensor]
) -> None:
    differing = sorted(map(str, set(weights) ^ set(expected)))
    if differing:
        raise ModelError(f"{path}: missing or unknown weights {', '.join(differing)}")
    for name, like in expected.items():
        value = weights[name]
        found = (
            f"{value.dtype} {tuple(value.shape)}{'' if value.is_contiguous() else ', strided'}"
            if isinstance(value, torch.Tensor)
            else type(value).__name__
        )
        # A strided tensor may claim more values than the file has.
        allowed = f"{like.dtype} {tuple(like.shape)}"
        if found != allowed:
            raise ModelError(f"{path}: {name} is {found}, not {allowed}")
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"{path}: {name} holds values that are not finite")
