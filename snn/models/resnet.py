"""The artificial twin of Spiking-FER's network: a ResNet that sees all steps at once.

The frames of a clip are stacked as channels, frames outer and polarity inner; then torchvision's
ResNet with basic blocks: its stem, four stages, average pooling, and a linear read-out without
bias. Randomly initialised. Sources: K. He et al., "Deep Residual Learning for Image Recognition",
CVPR 2016; Spiking-FER's public code.

>>> twin = ResNet(ModelConfig(family="resnet"), input_shape=(2, 128, 128), n_classes=6, n_steps=6)
>>> sum(p.numel() for p in twin.parameters())
11207808
"""

from __future__ import annotations

import torch
from torch import nn

from snn.models.config import BLOCKS, ModelConfig
from snn.models.network import Network, Readout, Response


class ResNet(Network):
    """A ResNet over stacked frames.

    Parameters
    ----------
    config : ModelConfig
        Its ``depth`` and ``width``.
    input_shape : tuple of int
        ``(C, H, W)`` of one frame.
    n_classes, n_steps : int
    """

    def __init__(
        self, config: ModelConfig, *, input_shape: tuple[int, ...], n_classes: int, n_steps: int
    ) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(n_steps * input_shape[0], width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages: list[nn.Module] = []
        channels = width
        for stage, n_blocks in enumerate(BLOCKS[config.depth]):
            for block in range(n_blocks):
                stride = 2 if stage and not block else 1
                stages.append(_BasicBlock(channels, width << stage, stride))
                channels = width << stage
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, n_classes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def readout(self) -> Readout:
        """See ``Network.readout``."""
        return "logits"

    def forward(self, frames: torch.Tensor) -> Response:
        """See ``Network.forward``."""
        stacked = frames.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        features = self.stages(self.stem(stacked)).mean(dim=(2, 3))
        return Response(self.head(features), {})


class _BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, as in torchvision."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        changes = stride != 1 or inputs != outputs
        self.shortcut: nn.Module = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
            if changes
            else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))
