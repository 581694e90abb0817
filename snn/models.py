"""Architectures: what the layers of a network are, before any engine builds them.

``conv_net`` is the small deployable network: strided convolutions instead of pooling, a dense
read-out whose neurons are the classes, and spikes counted over all steps. Every layer is

    v[t] = (1 - 1/tau) v[t-1] + input[t],   s[t] = v[t] > threshold,   v[t] = 0 where s[t]

up to the scale of the input, which is the engine's choice (see ``snn.engines``).

>>> [layer.name for layer in conv_net(ModelConfig(), input_shape=(2, 64, 64), n_classes=7)]
['conv1', 'conv2', 'conv3', 'conv4', 'dense1', 'readout']
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from snn.errors import ModelError

ENGINES = ("norse", "slayer")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape and neurons of the convolutional network.

    Parameters
    ----------
    engine : {"norse", "slayer"}
        Who computes neurons and gradients.
    channels, kernels : tuple of int
        Output channels and kernel size of each convolution; the stride is 2.
    hidden : int
        Neurons of the dense layer before the read-out; 0 leaves it out.
    tau_steps : float
        Membrane time constant in steps, above 1.
    threshold : float
    surrogate_width : float
        Width of the surrogate gradient around the threshold, in units of the threshold.
    """

    engine: Literal["norse", "slayer"] = "norse"
    channels: tuple[int, ...] = (8, 16, 32, 64)
    kernels: tuple[int, ...] = (5, 3, 3, 3)
    hidden: int = 128
    tau_steps: float = 2.0
    threshold: float = 1.0
    surrogate_width: float = 0.5

    def __post_init__(self) -> None:
        problems = []
        if self.engine not in ENGINES:
            problems.append(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
        if not self.channels or len(self.channels) != len(self.kernels):
            problems.append(
                "channels and kernels need one number per convolution each, "
                f"got {self.channels} and {self.kernels}"
            )
        if min(self.channels, default=1) < 1 or min(self.kernels, default=1) < 1:
            problems.append(
                f"channels and kernels must be at least 1, got {self.channels}, {self.kernels}"
            )
        if self.hidden < 0:
            problems.append(f"hidden must be 0 or more, got {self.hidden}")
        if not (math.isfinite(self.tau_steps) and self.tau_steps > 1):
            problems.append(f"tau_steps must be above 1, got {self.tau_steps}")
        if not (self.threshold > 0 and self.surrogate_width > 0):
            problems.append(
                "threshold and surrogate_width must be above 0, "
                f"got {self.threshold} and {self.surrogate_width}"
            )
        if problems:
            raise ModelError("[model] " + "; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """One layer before training: a convolution ``(kernel > 0)`` or a dense layer."""

    name: str
    inputs: int
    outputs: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0

    @property
    def is_conv(self) -> bool:
        """Whether this is a convolution."""
        return self.kernel > 0


@dataclass(frozen=True, kw_only=True)
class TrainedLayer:
    """One layer after training, in the terms every engine and NIR share.

        v[t] = (1 - decay) v[t-1] + gain (weight * s[t] + bias)

    with a spike and a reset to zero where v[t] > threshold.

    Parameters
    ----------
    weight : ndarray of float32
        ``(C_out, C_in, kh, kw)`` or ``(F_out, F_in)``, batch normalisation folded in.
    bias : ndarray of float32, shape (C_out,) or (F_out,)
    decay, gain, threshold : float
    weight_scale : float, optional
        Set when weight times gain times this is already the chip's even integer.
    """

    shape: LayerShape
    weight: np.ndarray
    bias: np.ndarray
    decay: float
    gain: float
    threshold: float
    weight_scale: float | None = None


class SpikingNetwork(torch.nn.Module):
    """A stack of spiking layers on one engine."""

    layer_shapes: tuple[LayerShape, ...]

    @abstractmethod
    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Spikes of every layer for binary frames ``[N, T, C, H, W]``.

        Returns
        -------
        list of Tensor, each of shape (N, T, C, H, W) or (N, T, F), float32 in {0, 1}
            In the order of ``layer_shapes``; the last one is the output.
        """

    @abstractmethod
    def weight_gains(self) -> list[torch.Tensor]:
        """Per layer, the parameter that scales its input currents."""

    @abstractmethod
    def use_chip_grid(self) -> None:
        """From now on run with folded weights, rounded to what the chip can hold."""

    @abstractmethod
    def trained_layers(self) -> list[TrainedLayer]:
        """The layers in the terms that ``snn.export`` writes."""


def conv_net(
    config: ModelConfig, *, input_shape: tuple[int, ...], n_classes: int
) -> tuple[LayerShape, ...]:
    """Layers of the small deployable network for frames of ``(C, H, W)``."""
    channels, height, width = input_shape
    layers = []
    for number, (outputs, kernel) in enumerate(
        zip(config.channels, config.kernels, strict=True), start=1
    ):
        layers.append(
            LayerShape(
                name=f"conv{number}",
                inputs=channels,
                outputs=outputs,
                kernel=kernel,
                stride=2,
                padding=kernel // 2,
            )
        )
        channels = outputs
        height, width = ((size + 2 * (kernel // 2) - kernel) // 2 + 1 for size in (height, width))
    features = channels * height * width
    for name, outputs in (("dense1", config.hidden), ("readout", n_classes)):
        if outputs:
            layers.append(LayerShape(name=name, inputs=features, outputs=outputs))
            features = outputs
    return tuple(layers)


def build(config: ModelConfig, *, input_shape: tuple[int, ...], n_classes: int) -> SpikingNetwork:
    """The network of `config` on its engine, with fresh weights from torch's generator."""
    layers = conv_net(config, input_shape=input_shape, n_classes=n_classes)
    # Engines take seconds to import and are not all installed everywhere.
    if config.engine == "slayer":
        from snn.engines.slayer import SlayerNetwork

        return SlayerNetwork(config, layers)
    from snn.engines.norse import NorseNetwork

    return NorseNetwork(config, layers)
