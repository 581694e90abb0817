"""Augmentations, by what they change.

`events` and `frames` work on one recording in numpy, before and after it becomes frames;
`spiking_fer` puts them together as published. `batch` works on whole batches in torch, inside the
training loop: `AugmentConfig` and `augment`.
"""

from snn.events.augment.batch import AugmentConfig, augment
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
    "AugmentConfig",
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
    "augment",
]
