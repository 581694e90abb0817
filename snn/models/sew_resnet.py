"""SEW-ResNet with ADD, the network of Spiking-FER.

    stem     7×7 convolution of stride 2, neurons, max pooling       (or 3×3 of stride 2, neurons)
    block    out = shortcut + neurons(conv3×3(neurons(conv3×3(in))))
             shortcut: in, or neurons(conv1×1 of stride 2) where the size changes
    head     an accumulator: one linear map of pooled spikes, added up   (or classes that spike)

With ADD a block's output are whole numbers: how many of its branches spiked. The second
normalisation of a block starts at gain 0 unless told otherwise: blocks start as the identity.

Sources: S. Barchid et al., "Spiking-Fer", CBMI 2023 and its public code; W. Fang et al., "Deep
Residual Learning in Spiking Neural Networks", NeurIPS 2021.

>>> layers = sew_resnet(ModelConfig(family="sew_resnet"), input_shape=(2, 128, 128), n_classes=6)
>>> sum(isinstance(layer, Spiking) for layer in layers)
20
"""

from __future__ import annotations

from snn.models.config import BLOCKS, ModelConfig
from snn.models.layers import (
    INPUT,
    Accumulator,
    Add,
    Layer,
    MaxPool,
    Shape,
    Spiking,
    conv_size,
)


def sew_resnet(config: ModelConfig, *, input_shape: Shape, n_classes: int) -> tuple[Layer, ...]:
    """Layers for frames of ``(C, H, W)``."""
    graph = _Graph(input_shape)
    stream = _stem(graph, config)
    for stage, n_blocks in enumerate(BLOCKS[config.depth], start=1):
        channels = config.width * 2 ** (stage - 1)
        for block in range(1, n_blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}.block{block}"
            stream = _block(graph, name, stream, channels, stride, config.zero_init_residual)
    if config.head == "accumulator":
        graph.add(
            Accumulator(
                name="readout",
                sources=(stream,),
                source_shape=graph.shape[stream],
                shape=(n_classes,),
                hidden=config.head_hidden,
                dropout=config.dropout,
            )
        )
    else:
        graph.add(
            Spiking(
                name="readout",
                sources=(stream,),
                source_shape=graph.shape[stream],
                shape=(n_classes,),
            )
        )
    return tuple(graph.layers)


class _Graph:
    """Layers so far, and the shape of what each gives."""

    def __init__(self, input_shape: Shape) -> None:
        self.layers: list[Layer] = []
        self.shape = {INPUT: input_shape}

    def add(self, layer: Layer) -> str:
        self.layers.append(layer)
        self.shape[layer.name] = layer.shape
        return layer.name

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        kernel: int,
        stride: int,
        *,
        zero_gain: bool = False,
    ) -> str:
        """A convolution with neurons that keeps the size, but for the stride."""
        padding = kernel // 2
        height, width = (conv_size(n, kernel, stride, padding) for n in self.shape[source][1:])
        return self.add(
            Spiking(
                name=name,
                sources=(source,),
                source_shape=self.shape[source],
                shape=(channels, height, width),
                kernel=kernel,
                stride=stride,
                padding=padding,
                zero_gain=zero_gain,
            )
        )


def _stem(graph: _Graph, config: ModelConfig) -> str:
    if config.stem == "strided":
        return graph.conv("stem", INPUT, config.width, 3, 2)
    stem = graph.conv("stem", INPUT, config.width, 7, 2)
    window = {"kernel": 3, "stride": 2, "padding": 1}
    height, width = (conv_size(size, **window) for size in graph.shape[stem][1:])
    return graph.add(
        MaxPool(
            name="pool",
            sources=(stem,),
            source_shape=graph.shape[stem],
            shape=(config.width, height, width),
            **window,
        )
    )


def _block(
    graph: _Graph, name: str, stream: str, channels: int, stride: int, starts_silent: bool
) -> str:
    first = graph.conv(f"{name}.conv1", stream, channels, 3, stride)
    branch = graph.conv(f"{name}.conv2", first, channels, 3, 1, zero_gain=starts_silent)
    shortcut = stream
    if stride != 1 or graph.shape[stream][0] != channels:
        shortcut = graph.conv(f"{name}.down", stream, channels, 1, stride)
    shape = graph.shape[branch]
    return graph.add(
        Add(name=f"{name}.add", sources=(branch, shortcut), source_shape=shape, shape=shape)
    )
