"""A configuration to a network with fresh weights, on the engine it names."""

from __future__ import annotations

from snn.models.config import ModelConfig
from snn.models.conv_net import conv_net
from snn.models.layers import Layer, Shape
from snn.models.network import Network
from snn.models.resnet import ResNet
from snn.models.sew_resnet import sew_resnet


def architecture(config: ModelConfig, *, input_shape: Shape, n_classes: int) -> tuple[Layer, ...]:
    """The layers of a spiking network for frames of ``(C, H, W)``."""
    family = sew_resnet if config.family == "sew_resnet" else conv_net
    return family(config, input_shape=input_shape, n_classes=n_classes)


def build(config: ModelConfig, *, input_shape: Shape, n_classes: int, n_steps: int) -> Network:
    """A network with fresh weights from torch's generator.

    Parameters
    ----------
    config : ModelConfig
    input_shape : tuple of int
        ``(C, H, W)`` of one frame.
    n_classes : int
    n_steps : int
        Frames of a clip; only an artificial network depends on it.

    Raises
    ------
    ModelError
        For an engine that is not installed, or cannot express what the configuration asks for.
    """
    if config.family == "resnet":
        return ResNet(config, input_shape=input_shape, n_classes=n_classes, n_steps=n_steps)
    layers = architecture(config, input_shape=input_shape, n_classes=n_classes)
    # Engines take seconds to import and are not all installed everywhere.
    if config.engine == "slayer":
        from snn.engines.slayer import SlayerNetwork

        return SlayerNetwork(config, layers)
    from snn.engines.blocks import BlockNetwork

    if config.engine == "norse":
        from snn.engines.norse import check_norse, norse

        check_norse(config.neuron_parameters())
        return BlockNetwork(config, layers, norse)
    from snn.engines.fused import fused

    return BlockNetwork(config, layers, fused)
