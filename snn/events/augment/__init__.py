"""Augmentations, by what they change.

`events` and `frames` work on one recording in numpy, before and after it becomes frames;
`spiking_fer` puts them together as published. `batch` works on whole batches in torch, inside the
training loop; it is imported from its own module, so that the rest needs no torch.
"""

from snn.events.augment.events import (
    BackgroundActivity,
    EventAugmentation,
    EventDrop,
    FlipLeftRight,
    FlipPolarity,
    Reverse,
)
from snn.events.augment.frames import (
    FaceReflection,
    FrameAugmentation,
    RandomResizedCrop,
    ResizeNearest,
)
from snn.events.augment.spiking_fer import SpikingFERAugmentation

__all__ = [
    "BackgroundActivity",
    "EventAugmentation",
    "EventDrop",
    "FaceReflection",
    "FlipLeftRight",
    "FlipPolarity",
    "FrameAugmentation",
    "RandomResizedCrop",
    "ResizeNearest",
    "Reverse",
    "SpikingFERAugmentation",
]
