"""What the ``data`` commands do with a video: make it events, or make its faces alike.

>>> simulate_camera(Path("frames"), Path("events.h5"), fps=30, overrides={"pos_thres": 0.15})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snn.events.camera import LinearInterpolation, camera_parameters, events_from_video
from snn.events.formats import write_stream
from snn.events.landmarks import detect_landmarks, read_landmarks, smooth_landmarks
from snn.events.standardise import plan_standardise, write_standardised
from snn.events.video import open_video
from spikeface.data.recordings import as_dict
from spikeface.errors import ConfigError
from spikeface.progress import progress_bar

MAX_UPSAMPLE = 1000  # all frames between two of the video are in memory at once


def simulate_camera(
    source: Path,
    out: Path,
    *,
    fps: float | None = None,
    camera: str = "v2e",
    overrides: Mapping[str, float] | None = None,
    size: tuple[int, int] | None = None,
    upsample: int = 1,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Let a simulated event camera watch a video, and write what it sees.

    Parameters
    ----------
    source : Path
        A video file or a folder of images.
    out : Path
        A new recording; ``.h5`` has v2e's layout and the sensor size as attributes.
    fps : float, optional
        Frames per second; a folder needs it, a file may be given another.
    camera : str
        Preset, see ``snn.events.camera.PRESETS``; ``"v2e"`` has the defaults of v2e's command line.
    overrides : mapping of str to float, optional
        Values by v2e's parameter names.
    size : tuple of int, optional
        ``(width, height)`` of the sensor; default that of the frames.
    upsample : int
        Intervals that linear interpolation makes of each one.
    seed : int
        Of mismatch and noise.
    overwrite : bool
        Whether to replace `out`.

    Returns
    -------
    dict
        Summary of the recording and the camera's parameters.

    Raises
    ------
    ConfigError
        For an `upsample` outside 1 to 1000.
    SnnError
        For an unreadable video, an unknown parameter, or a file that cannot be written.
    """
    if not 1 <= upsample <= MAX_UPSAMPLE:
        raise ConfigError(f"upsample must be 1 to {MAX_UPSAMPLE}, got {upsample}")
    stream = events_from_video(
        source,
        fps=fps,
        parameters=camera_parameters(camera, overrides),
        size=size,
        seed=seed,
        upsample=LinearInterpolation(upsample) if upsample > 1 else None,
    )
    with progress_bar(stream.info.frames or 0, "camera", "frame") as advance:
        watched = replace(stream, progress=lambda _: advance(1))
        info = write_stream(out, watched, stream.sensor_size, overwrite=overwrite)
    return {
        **as_dict(info),
        "video": str(source),
        "fps": stream.info.fps,
        "frames": stream.info.frames,
        "camera": camera,
        "parameters": vars(stream.parameters),
        "seed": seed,
    }


def standardise_video(
    source: Path,
    out: Path,
    landmarks: Path | None,
    *,
    crop: str = "spiking-fer",
    align: str | None = None,
    size: tuple[int, int] = (200, 200),
    smooth_frames: float = 0.0,
) -> dict[str, Any]:
    """Hold the head of a video still and cut its face out, into a folder of new frames.

    Parameters
    ----------
    source : Path
        A video file or a folder of images.
    out : Path
        A new folder, for ``00000.png`` and so on.
    landmarks : Path, optional
        68 points for each frame, see ``snn.events.landmarks.read_landmarks``; without it they are
        detected, which needs mediapipe.
    crop : str
        One of ``snn.events.standardise.PRESETS``.
    align : str, optional
        How the head is held still; default what the preset says.
    size : tuple of int
        ``(width, height)`` of the new frames.
    smooth_frames : float
        Width of the Gaussian over time that takes a detector's tremble out, which would become
        events; 0 leaves points as they are.

    Raises
    ------
    SnnError
        For an unreadable video, landmarks that do not fit it, or a folder that exists.
    """
    video = open_video(source, fps=1.0)  # time plays no part here
    if landmarks is None:
        points = detect_landmarks(video)
    else:
        points = read_landmarks(landmarks, image_size=(video.info.width, video.info.height))
    if smooth_frames:
        points = smooth_landmarks(points, sigma_frames=smooth_frames)
    plan = plan_standardise(points, crop=crop, size=size, align=align)
    with progress_bar(len(points), "standardising", "frame") as advance:

        def counted() -> Any:
            for frame in video:
                yield frame
                advance(1)

        count = write_standardised(counted(), plan, out)
    return {
        "folder": str(out),
        "frames": count,
        "size": list(size),
        "crop": crop,
        "box": vars(plan.box),
    }
