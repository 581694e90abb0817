"""Video to events: the pixel models of v2e and ESIM."""

from snn.events.camera.parameters import (
    PRESETS,
    CameraParameters,
    EsimParameters,
    camera_parameters,
)
from snn.events.camera.simulation import VideoEvents, events_from_frames, events_from_video
from snn.events.camera.upsampling import LinearInterpolation, Upsampling
from snn.events.camera.v2e import lin_log_table

__all__ = [
    "PRESETS",
    "CameraParameters",
    "EsimParameters",
    "LinearInterpolation",
    "Upsampling",
    "VideoEvents",
    "camera_parameters",
    "events_from_frames",
    "events_from_video",
    "lin_log_table",
]
