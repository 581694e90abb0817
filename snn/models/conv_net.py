"""The small deployable network: strided convolutions instead of pooling, then dense layers.

Its last layer's neurons are the classes; their spikes are counted over all steps.

>>> [layer.name for layer in conv_net(ModelConfig(), input_shape=(2, 64, 64), n_classes=7)]
['conv1', 'conv2', 'conv3', 'conv4', 'dense1', 'readout']
"""

from __future__ import annotations

from snn.models.config import ModelConfig
from snn.models.layers import INPUT, Layer, Shape, Spiking, conv_size


def conv_net(config: ModelConfig, *, input_shape: Shape, n_classes: int) -> tuple[Layer, ...]:
    """Layers for frames of ``(C, H, W)``."""
    layers: list[Layer] = []
    source, shape = INPUT, input_shape
    for number, (channels, kernel) in enumerate(
        zip(config.channels, config.kernels, strict=True), start=1
    ):
        padding = kernel // 2
        height, width = (conv_size(size, kernel, 2, padding) for size in shape[1:])
        layer = Spiking(
            name=f"conv{number}",
            sources=(source,),
            source_shape=shape,
            shape=(channels, height, width),
            kernel=kernel,
            stride=2,
            padding=padding,
        )
        layers.append(layer)
        source, shape = layer.name, layer.shape
    for name, neurons in (("dense1", config.hidden), ("readout", n_classes)):
        if neurons:
            layers.append(
                Spiking(name=name, sources=(source,), source_shape=shape, shape=(neurons,))
            )
            source, shape = name, (neurons,)
    return tuple(layers)
