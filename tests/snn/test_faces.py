"""Rendered faces: reproducible from their numbers, split by subject, inside sensor and time."""

from dataclasses import replace

import numpy as np
import pytest

from snn.errors import DatasetError
from snn.events.faces import (
    CLASS_NAMES,
    SPLITS,
    FaceSetParameters,
    clip_keys,
    render_clip,
    render_clips,
    split_subjects,
)

SMALL = FaceSetParameters(
    sensor_size=(48, 40),
    duration_ms=200.0,
    train_subjects=2,
    validation_subjects=1,
    test_subjects=1,
    clips_per_class=1,
)


def clip_bytes(parameters, **key):
    clip = render_clip(parameters, **{"subject": 0, "label": 4, "take": 0, **key}, keep_frames=True)
    return clip.recording.events.tobytes(), clip.frames.tobytes()


def test_a_clip_is_its_numbers():
    assert clip_bytes(SMALL) == clip_bytes(SMALL)


@pytest.mark.parametrize("change", [{"subject": 1}, {"label": 3}, {"take": 1}])
def test_other_numbers_give_another_clip(change):
    for ours, theirs in zip(clip_bytes(SMALL), clip_bytes(SMALL, **change), strict=True):
        assert ours != theirs


def test_another_seed_gives_another_clip():
    assert clip_bytes(SMALL) != clip_bytes(replace(SMALL, seed=1))


@pytest.mark.parametrize("label", range(len(CLASS_NAMES)))
def test_events_lie_in_the_clip(label):
    clip = render_clip(SMALL, subject=0, label=label, take=0)
    events = clip.recording.events
    assert clip.label == label
    assert clip.frames is None
    assert clip.recording.sensor_size == (48, 40)
    assert len(events) > 100
    assert set(np.unique(events["p"])) == {0, 1}
    assert events["t"].min() >= 0
    assert events["t"].max() < 200_000


def test_expressions_move_the_face():
    still = replace(
        SMALL,
        duration_ms=400.0,
        head_motion_range_px=(1e-6, 1e-6),
        turn_motion=0.0,
        flicker=0.0,
        blink_probability=0.0,
        gaze_probability=0.0,
        distractor_probability=0.0,
    )
    for label in range(len(CLASS_NAMES)):
        frames = render_clip(still, subject=0, label=label, take=0, keep_frames=True).frames
        # At rest until the onset, and moving by less than an edge's full contrast per frame.
        assert np.array_equal(frames[0], frames[1])
        assert np.abs(frames[-1].astype(int) - frames[0]).max() > 40
        assert np.abs(np.diff(frames.astype(int), axis=0)).max() < 80


def test_splits_share_no_subject():
    subjects = [set(split_subjects(SMALL, split)) for split in SPLITS]
    assert [len(group) for group in subjects] == [2, 1, 1]
    assert len(set.union(*subjects)) == 4


def test_a_split_holds_every_class_of_each_of_its_subjects():
    clips = render_clips(SMALL, clip_keys(SMALL, "train"))
    assert [(clip.subject, clip.label) for clip in clips] == [
        (subject, label) for subject in (0, 1) for label in range(len(CLASS_NAMES))
    ]


def test_parallel_rendering_equals_serial():
    keys = clip_keys(SMALL, "validation")
    serial = list(render_clips(SMALL, keys))
    parallel = list(render_clips(SMALL, keys, workers=2))
    assert [clip.recording.events.tobytes() for clip in serial] == [
        clip.recording.events.tobytes() for clip in parallel
    ]


def test_unknown_numbers_are_refused():
    with pytest.raises(DatasetError, match="labels are 0 to 6"):
        render_clip(SMALL, subject=0, label=7, take=0)
    with pytest.raises(DatasetError, match="choose one of train"):
        split_subjects(SMALL, "evaluation")


def test_all_problems_of_the_parameters_are_reported_at_once():
    with pytest.raises(DatasetError) as caught:
        FaceSetParameters(duration_ms=0, blink_probability=2, intensity_range=(1.0, 0.5))
    for name in ("duration_ms", "blink_probability", "intensity_range"):
        assert name in str(caught.value)
