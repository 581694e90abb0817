"""Rendered faces: clips of seven expressions as event recordings, each reproducible from numbers.

Subject, label and take number decide a clip byte for byte, so a set is its parameters and needs no
files. Splits share no subject: subjects are numbered train first, then validation, then test.

The faces are drawings; a model trained on them knows nothing yet about photographs of people.

>>> clip = render_clip(FaceSetParameters(), subject=0, label=4, take=0)
>>> CLASS_NAMES[clip.label], clip.recording.sensor_size
('happy', (64, 64))
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
from snn.events.face_drawing import draw_faces
from snn.events.face_model import CLASS_NAMES, draw_identity, face_geometry, identity_record
from snn.events.face_motion import FaceSetParameters, draw_motion
from snn.events.recording import Recording

__all__ = [
    "CLASS_NAMES",
    "SPLITS",
    "Clip",
    "FaceSetParameters",
    "clip_keys",
    "render_clip",
    "render_clips",
    "split_subjects",
]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """One rendered clip.

    Parameters
    ----------
    recording : Recording
        Its events, all in ``[0, duration)``.
    label : int
        Index into ``CLASS_NAMES``.
    subject : int
        Number of the face.
    take : int
        Number of the clip among those of this subject and class.
    frames : ndarray of shape (n_frames, height, width), dtype uint8, or None
        The video that the camera saw, when asked for.
    """

    recording: Recording
    label: int
    subject: int
    take: int
    frames: np.ndarray | None = None


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
        Which clip; `label` indexes ``CLASS_NAMES``.
    keep_frames : bool
        Whether the clip carries its video along.
    """
    if not 0 <= label < len(CLASS_NAMES):
        raise DatasetError(f"labels are 0 to {len(CLASS_NAMES) - 1} ({CLASS_NAMES}), got {label}")
    if subject < 0 or take < 0:
        raise DatasetError(f"subject and take count from 0, got {subject} and {take}")
    identity = draw_identity(np.random.default_rng([parameters.seed, subject]))
    # Labels count from 1 here: a seed sequence ignores trailing zeros, so that (subject, 0, 0)
    # would repeat the numbers that drew the subject's identity.
    rng = np.random.default_rng([parameters.seed, subject, label + 1, take])
    motion = draw_motion(parameters, label=label, rng=rng)
    frames = draw_faces(
        parameters.sensor_size,
        identity_record(identity),
        face_geometry(identity, motion.units),
        motion.pose,
        motion.gaze,
        motion.light,
    )
    recording = events_from_frames(
        frames,
        frame_rate_hz=parameters.frame_rate_hz,
        parameters=parameters.camera,
        seed=rng,
        source=f"face {subject} {CLASS_NAMES[label]} take {take}",
    )
    return Clip(recording, label, subject, take, frames if keep_frames else None)


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
        for label in range(len(CLASS_NAMES))
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
