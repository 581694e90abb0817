"""TIE images, the colour images of events that evTransFER sees: one for each video frame.

>>> tie_images(recording, TIEConfig(variant="t0_t0")).shape
(14, 3, 260, 346)
"""

from conversion.tie.images import (
    TIEConfig,
    Variant,
    fold_channels,
    stretch,
    tie_grid,
    tie_image,
    tie_images,
)
from conversion.tie.jpeg import through_jpeg
from conversion.tie.kernel import Kernel, kernel_values
from conversion.tie.statistics import PUBLISHED_STATISTICS, ChannelStatistics, channel_statistics
from conversion.tie.windows import frame_windows

__all__ = [
    "PUBLISHED_STATISTICS",
    "ChannelStatistics",
    "Kernel",
    "TIEConfig",
    "Variant",
    "channel_statistics",
    "fold_channels",
    "frame_windows",
    "kernel_values",
    "stretch",
    "through_jpeg",
    "tie_grid",
    "tie_image",
    "tie_images",
]
