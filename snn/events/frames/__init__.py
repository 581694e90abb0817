"""Events to frames: what a network sees of a recording.

`representations` names them as small objects to put into a configuration; under them are pure
functions: `slices` cuts a recording, `counts` counts events, `images` draws them.

>>> EqualTimeFrames(n_bins=16, binary=True)(recording).shape
(16, 2, 200, 200)
"""

from snn.events.frames.counts import binary_frames, count_frames, slice_frames
from snn.events.frames.representations import (
    ACC,
    BEHI,
    SAE,
    TBR,
    TQR,
    EqualCountFrames,
    EqualTimeFrames,
    EventCountFrames,
    OverWindows,
    Representation,
    Resized,
    SignedSum,
    SpikingFERFrames,
    TBRStream,
    TBRTensor,
    Tencode,
    TimeWindowFrames,
    VoxelGrid,
    WindowBinFrames,
)
from snn.events.frames.resize import resize_nearest, resize_square

__all__ = [
    "ACC",
    "BEHI",
    "SAE",
    "TBR",
    "TQR",
    "EqualCountFrames",
    "EqualTimeFrames",
    "EventCountFrames",
    "OverWindows",
    "Representation",
    "Resized",
    "SignedSum",
    "SpikingFERFrames",
    "TBRStream",
    "TBRTensor",
    "Tencode",
    "TimeWindowFrames",
    "VoxelGrid",
    "WindowBinFrames",
    "binary_frames",
    "count_frames",
    "resize_nearest",
    "resize_square",
    "slice_frames",
]
