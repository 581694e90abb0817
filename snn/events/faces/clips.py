"""Clips of rendered faces as event recordings, and the splits of a set.

Frames are as close in time as the fastest landmark demands: an interval in which one moves by more
than ``max_step_px`` is halved until none does.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from snn.errors import DatasetError
from snn.events.camera import events_from_frames
from snn.events.faces.drawing import draw_faces
from snn.events.faces.identity import Identity, draw_identity, identity_record
from snn.events.faces.landmarks import N_LANDMARKS, landmarks
from snn.events.faces.model import CLASS_NAMES, face_geometry
from snn.events.faces.motion import Motion, draw_motion
from snn.events.faces.parameters import FaceSetParameters
from snn.events.faces.portrait import model_portrait
from snn.events.faces.scene import model_scene
from snn.events.recording import Recording

SPLITS = ("train", "validation", "test")
TEXELS_PER_PIXEL = 1.15
# A clip does not depend on which other classes its set has. Numbers count from 1: a seed sequence
# ignores trailing zeros, so that (subject, 0, 0) would repeat what drew the subject.
CLASS_NUMBERS = {name: number for number, name in enumerate(CLASS_NAMES, start=1)}


@dataclass(frozen=True)
class Clip:
    """One rendered clip.

    Parameters
    ----------
    recording : Recording
        Its events, all in ``[0, duration)``.
    label : int
        Index into the set's ``classes``.
    subject : int
        Number of the face.
    take : int
        Number of the clip among those of this subject and class.
    frames : ndarray of shape (n_frames, height, width), dtype uint8, or None
        The video that the camera saw, when asked for.
    frame_times_us : ndarray of shape (n_frames,), dtype int64, or None
        When each frame was seen.
    landmarks : ndarray of shape (n_frames, 68, 2), dtype float32, or None
        Column and row in pixels of each landmark of ``landmarks.landmarks``, the centre of the
        first pixel being (0, 0).
    """

    recording: Recording
    label: int
    subject: int
    take: int
    frames: np.ndarray | None = None
    frame_times_us: np.ndarray | None = None
    landmarks: np.ndarray | None = None


def render_clip(
    parameters: FaceSetParameters,
    *,
    subject: int,
    label: int,
    take: int,
    keep_frames: bool = False,
) -> Clip:
    """Render one clip; the same arguments give the same bytes.

    Parameters
    ----------
    parameters : FaceSetParameters
        The set.
    subject, label, take : int
        Which clip; `label` indexes ``parameters.classes``.
    keep_frames : bool
        Whether the clip carries its video, frame times and landmarks along.

    Raises
    ------
    DatasetError
        For numbers outside of the set's classes, or negative ones.
    """
    identity, motion, subject_rng, rng = _begin(parameters, subject, label, take)
    times_us = _frame_times(parameters, identity, motion)
    frames = _draw(parameters, identity, motion, times_us, times_us, subject_rng, rng)
    recording = events_from_frames(
        frames,
        timestamps_us=times_us,
        parameters=parameters.camera,
        seed=rng,
        source=f"face {subject} {parameters.classes[label]} take {take}",
    )
    if not keep_frames:
        return Clip(recording, label, subject, take)
    points = _points(identity, motion, times_us)[:, :N_LANDMARKS].astype(np.float32)
    return Clip(recording, label, subject, take, frames, times_us, points)


def clip_frames(
    parameters: FaceSetParameters, *, subject: int, label: int, take: int, times_us: np.ndarray
) -> np.ndarray:
    """The video of a clip at times of one's own, equal to what the camera saw at its times.

    Parameters
    ----------
    parameters : FaceSetParameters
        The set.
    subject, label, take : int
        Which clip, as in ``render_clip``.
    times_us : ndarray of int64, shape (n_frames,)
        In microseconds since the begin of the clip, in any order.

    Returns
    -------
    ndarray of shape (n_frames, height, width), dtype uint8

    Raises
    ------
    DatasetError
        For numbers outside of the set's classes, or negative ones.
    """
    identity, motion, subject_rng, rng = _begin(parameters, subject, label, take)
    seen_us = _frame_times(parameters, identity, motion)
    # How finely the face is modelled and where the shoulders lean follow from the first frame.
    wanted_us = np.concatenate([seen_us[:1], np.asarray(times_us, np.int64)])
    return _draw(parameters, identity, motion, wanted_us, seen_us, subject_rng, rng)[1:]


def _begin(
    parameters: FaceSetParameters, subject: int, label: int, take: int
) -> tuple[Identity, Motion, np.random.Generator, np.random.Generator]:
    """Who moves and how, and the generators of subject and clip after drawing that."""
    classes = parameters.classes
    if not 0 <= label < len(classes):
        raise DatasetError(f"labels are 0 to {len(classes) - 1} ({classes}), got {label}")
    if subject < 0 or take < 0:
        raise DatasetError(f"subject and take count from 0, got {subject} and {take}")
    subject_rng = np.random.default_rng([parameters.seed, subject])
    identity = draw_identity(subject_rng)
    number = CLASS_NUMBERS[classes[label]]
    rng = np.random.default_rng([parameters.seed, subject, number, take])
    motion = draw_motion(parameters, class_name=classes[label], rng=rng)
    return identity, motion, subject_rng, rng


def _points(identity: Identity, motion: Motion, times_us: np.ndarray) -> np.ndarray:
    """Landmarks and further moving points at given times, shape (n_times, n_points, 2)."""
    time_s = times_us * 1e-6
    geometry = face_geometry(identity, motion.units(time_s))
    return landmarks(identity_record(identity), geometry, motion.pose(time_s), motion.gaze(time_s))


def _frame_times(parameters: FaceSetParameters, identity: Identity, motion: Motion) -> np.ndarray:
    """Times of the frames in microseconds: regular ones, and more where something moves fast."""
    duration_us = parameters.duration_ms * 1e3
    n_frames = int(np.ceil(duration_us * 1e-6 * parameters.frame_rate_hz - 1e-9))
    times_us = np.floor(np.arange(n_frames) * 1e6 / parameters.frame_rate_hz).astype(np.int64)
    points = _points(identity, motion, times_us)
    while True:
        steps = np.hypot(*np.moveaxis(np.diff(points, axis=0), 2, 0)).max(axis=1, initial=0)
        # The background has no landmarks, but a speed.
        drift = np.hypot(*motion.drift_px_s) * np.diff(times_us) * 1e-6
        fast = np.flatnonzero(
            (np.maximum(steps, drift) >= parameters.max_step_px) & (np.diff(times_us) > 1)
        )
        if not len(fast):
            return times_us
        middles = (times_us[fast] + times_us[fast + 1]) // 2
        points = np.insert(points, fast + 1, _points(identity, motion, middles), axis=0)
        times_us = np.insert(times_us, fast + 1, middles)


def _draw(
    parameters: FaceSetParameters,
    identity: Identity,
    motion: Motion,
    times_us: np.ndarray,
    seen_us: np.ndarray,
    subject_rng: np.random.Generator,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frames at `times_us`; the room for a moving background is that of the camera's times."""
    time_s = times_us * 1e-6
    pose, light = motion.pose(time_s), motion.light(time_s)
    record = identity_record(identity)
    density = TEXELS_PER_PIXEL * float(pose["scale"][0])
    background = str(rng.choice(parameters.backgrounds))
    if background != "clutter":
        light["shift_x"], light["shift_y"] = 0.0, 0.0
        shift = 0.0
    else:
        seen = motion.light(seen_us * 1e-6)
        shift = max(np.abs(seen["shift_x"]).max(), np.abs(seen["shift_y"]).max())
    scene = model_scene(
        parameters.sensor_size,
        identity,
        density=density,
        background=background,
        pad=int(np.ceil(shift)) + 1,
        rng=rng,
    )
    return draw_faces(
        parameters.sensor_size,
        record,
        model_portrait(identity, record, density, subject_rng),
        scene,
        face_geometry(identity, motion.units(time_s)),
        pose,
        motion.gaze(time_s),
        light,
    )


def split_subjects(parameters: FaceSetParameters, split: str) -> range:
    """Numbers of the subjects of one split of ``SPLITS``."""
    if split not in SPLITS:
        raise DatasetError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    sizes = [
        parameters.train_subjects,
        parameters.validation_subjects,
        parameters.test_subjects,
    ]
    position = SPLITS.index(split)
    first = sum(sizes[:position])
    return range(first, first + sizes[position])


def clip_keys(parameters: FaceSetParameters, split: str) -> list[tuple[int, int, int]]:
    """``(subject, label, take)`` of each clip of a split, in rendering order."""
    return [
        (subject, label, take)
        for subject in split_subjects(parameters, split)
        for label in range(len(parameters.classes))
        for take in range(parameters.clips_per_class)
    ]


def render_clips(
    parameters: FaceSetParameters, keys: Sequence[tuple[int, int, int]], *, workers: int = 1
) -> Iterator[Clip]:
    """Render clips, in the order of their keys.

    Parameters
    ----------
    parameters : FaceSetParameters
        The set.
    keys : sequence of (subject, label, take)
        Which clips, see ``clip_keys``.
    workers : int
        Processes that render; the clips do not depend on it.

    Yields
    ------
    Clip
        Without frames.
    """
    render = partial(_render_key, parameters)
    if workers <= 1:
        yield from map(render, keys)
        return
    # A fresh interpreter per worker: forking a process with running threads can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(render, keys, chunksize=8)


def _render_key(parameters: FaceSetParameters, key: tuple[int, int, int]) -> Clip:
    subject, label, take = key
    return render_clip(parameters, subject=subject, label=label, take=take)
