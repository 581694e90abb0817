"""Rendered faces: reproducible from their numbers, split by subject, true to their action units."""

from dataclasses import replace

import numpy as np
import pytest

from snn.errors import DatasetError
from snn.events.faces import (
    BACKGROUNDS,
    CAMERAS,
    CLASS_NAMES,
    PRESETS,
    SPLITS,
    FaceSetParameters,
    clip_keys,
    face_set,
    render_clip,
    render_clips,
    split_subjects,
)
from snn.events.faces.model import ACTION_UNITS, EXPRESSIONS, UNIT_INDEX
from snn.events.faces.motion import Blink, draw_motion

SMALL = FaceSetParameters(
    sensor_size=(48, 40),
    duration_ms=200.0,
    train_subjects=2,
    validation_subjects=1,
    test_subjects=1,
    clips_per_class=1,
)
STILL = {
    "head_motion_range_px": (1e-6, 1e-6),
    "turn_motion_deg": 0.0,
    "flicker": 0.0,
    "blink_probability": 0.0,
    "gaze_probability": 0.0,
    "distractor_probability": 0.0,
}
EXACT = {
    "intensity_range": (1.0, 1.0),
    "unit_jitter": 0.0,
    "omission_probability": 0.0,
    "asymmetry": 0.0,
    "tremor": 0.0,
}


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
    assert clip.frames is None and clip.landmarks is None and clip.frame_times_us is None
    assert clip.recording.sensor_size == (48, 40)
    assert len(events) > 100
    assert set(np.unique(events["p"])) == {0, 1}
    assert events["t"].min() >= 0
    assert events["t"].max() < 200_000


def test_frames_their_times_and_landmarks_come_together():
    clip = render_clip(SMALL, subject=0, label=4, take=0, keep_frames=True)
    n_frames = len(clip.frames)
    assert clip.frames.dtype == np.uint8 and clip.frames.shape[1:] == (40, 48)
    assert clip.landmarks.dtype == np.float32 and clip.landmarks.shape == (n_frames, 68, 2)
    assert clip.frame_times_us.shape == (n_frames,)
    assert clip.frame_times_us[0] == 0 and clip.frame_times_us[-1] < 200_000
    assert np.all(np.diff(clip.frame_times_us) > 0)


def test_expressions_move_the_face():
    still = replace(SMALL, duration_ms=400.0, **STILL)
    for label in range(len(CLASS_NAMES) - 1):
        frames = render_clip(still, subject=0, label=label, take=0, keep_frames=True).frames
        # At rest until the onset, and moving by less than an edge's full contrast per frame.
        assert np.array_equal(frames[0], frames[1])
        assert np.abs(frames[-1].astype(int) - frames[0]).max() > 25
        assert np.abs(np.diff(frames.astype(int), axis=0)).max() < 80


def test_a_neutral_clip_moves_but_has_no_expression():
    neutral = CLASS_NAMES.index("neutral")
    time_s = np.linspace(0, 0.4, 50)
    moved = []
    for take in range(12):
        parameters = FaceSetParameters(seed=take)
        motion = draw_motion(
            parameters, class_name="neutral", rng=np.random.default_rng([take, neutral])
        )
        assert not motion.expression.at(time_s).any()
        spoken = {25, 26, 18, 43}
        units = motion.units(time_s)
        others = [UNIT_INDEX[unit] for unit in ACTION_UNITS if unit not in spoken]
        assert not units[:, :, others].any()
        moved.append(units.any() or np.ptp(motion.pose(time_s)["pitch"]) > 0.01)
    assert sum(moved) >= 6


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_units_at_the_apex_are_the_classes_mix(name):
    parameters = FaceSetParameters(**STILL, **EXACT)
    motion = draw_motion(parameters, class_name=name, rng=np.random.default_rng(3))
    start, apex = motion.expression.at(np.array([0.0, 0.39]))
    expected = np.zeros(len(ACTION_UNITS))
    for unit, amount in {**EXPRESSIONS[name].primary, **EXPRESSIONS[name].secondary}.items():
        expected[UNIT_INDEX[unit]] = amount
    assert not start.any()
    if EXPRESSIONS[name].one_sided:
        still, moving = sorted(apex, key=np.sum)
        np.testing.assert_allclose(moving, expected)
        np.testing.assert_allclose(still, 0.08 * expected)
    else:
        np.testing.assert_allclose(apex, [expected, expected])


def test_an_offset_brings_the_face_back_to_rest():
    parameters = FaceSetParameters(
        **STILL,
        **EXACT,
        offset_probability=1.0,
        onset_range_ms=(0.0, 0.0),
        rise_range_ms=(100.0, 100.0),
        unit_lag_ms=0.0,
        hold_range_ms=(50.0, 50.0),
        fall_range_ms=(200.0, 200.0),
    )
    motion = draw_motion(parameters, class_name="happy", rng=np.random.default_rng(0))
    amount = motion.expression.at(np.array([0.0, 0.05, 0.1, 0.15, 0.25, 0.35]))
    np.testing.assert_allclose(amount[:, 0, UNIT_INDEX[12]], [0, 0.5, 1, 1, 0.5, 0], atol=1e-12)


def test_lids_close_faster_than_they_open():
    blink = Blink(start_s=0.0, close_s=0.08, shut_s=0.02, open_s=0.16)
    np.testing.assert_allclose(blink.at(np.array([0.0, 0.04, 0.08, 0.1, 0.18, 0.26])),
                               [0, 0.5, 1, 1, 0.5, 0], atol=1e-12)  # fmt: skip


FAST = FaceSetParameters(
    sensor_size=(96, 96),
    duration_ms=300.0,
    frame_rate_hz=40.0,
    blink_probability=1.0,
    gaze_probability=1.0,
    distractor_probability=1.0,
    head_motion_range_px=(1.0, 4.0),
    rise_range_ms=(60.0, 80.0),
    onset_range_ms=(20.0, 60.0),
)


@pytest.mark.parametrize("max_step_px", [1.0, 0.5])
def test_no_landmark_moves_further_than_allowed_between_frames(max_step_px):
    parameters = replace(FAST, max_step_px=max_step_px)
    n_frames, largest = [], []
    for label in range(len(CLASS_NAMES)):
        for take in range(2):
            clip = render_clip(parameters, subject=take, label=label, take=take, keep_frames=True)
            steps = np.linalg.norm(np.diff(clip.landmarks, axis=0), axis=2)
            n_frames.append(len(clip.frames))
            largest.append(steps.max())
    assert max(largest) < max_step_px
    # Regular frames alone, 12 of them, would not do: blinks take more.
    assert min(n_frames) > 12 and max(largest) > 0.7 * max_step_px


def test_slow_clips_keep_the_lowest_rate():
    slow = replace(SMALL, **STILL, classes=("neutral",), frame_rate_hz=100.0)
    # A neutral clip has a distraction; this one's is small enough for the sensor.
    clip = render_clip(replace(slow, sensor_size=(16, 16)), subject=0, label=0, take=0,
                       keep_frames=True)  # fmt: skip
    np.testing.assert_array_equal(clip.frame_times_us, np.arange(20) * 10_000)


LARGE = replace(
    FaceSetParameters(**EXACT),
    sensor_size=(160, 160),
    position_jitter_px=0.0,
    scale_jitter=0.0,
    frame_rate_hz=10.0,
    max_step_px=1e9,
    light_slope=0.2,
    backgrounds=("plain",),
    **STILL,
)


def _tone(frame, points):
    """Grey values at points, interpolated."""
    x, y = points[:, 0], points[:, 1]
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - column, y - row
    frame = frame.astype(float)
    above = frame[row, column] * (1 - u) + frame[row, column + 1] * u
    below = frame[row + 1, column] * (1 - u) + frame[row + 1, column + 1] * u
    return above * (1 - v) + below * v


@pytest.mark.parametrize("subject", range(3))
@pytest.mark.parametrize("name", ["surprise", "happy", "neutral"])
def test_lid_and_lip_landmarks_lie_on_dark_lines(subject, name):
    clip = render_clip(
        LARGE, subject=subject, label=CLASS_NAMES.index(name), take=0, keep_frames=True
    )
    frame, points = clip.frames[-1], clip.landmarks[-1]
    step = np.array([0.0, 4.5])
    upper_lids = points[[37, 38, 43, 44]]
    on_the_line = _tone(frame, upper_lids - [0.0, 0.4])
    assert np.all(on_the_line < _tone(frame, upper_lids - 1.6 * step))
    corners_of_the_mouth = points[[60, 64]]
    assert np.mean(_tone(frame, corners_of_the_mouth)) < np.mean(
        _tone(frame, corners_of_the_mouth + 2 * step)
    )


def test_jaw_landmarks_lie_on_the_outline():
    label = CLASS_NAMES.index("surprise")
    misses = []
    for subject in range(6):
        clip = render_clip(LARGE, subject=subject, label=label, take=0, keep_frames=True)
        frame, points = clip.frames[-1], clip.landmarks[-1]
        outward = points[4:13] - points[30]
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        away = np.arange(-5, 6)
        across = np.stack([_tone(frame, points[4:13] + d * outward) for d in away])
        misses.extend(away[1:-1][np.abs(across[2:] - across[:-2]).argmax(axis=0)])
    # The strongest edge across the outline is where the landmark is, beards and collars aside.
    assert np.median(np.abs(misses)) == 0 and np.mean(np.abs(misses) <= 2) > 0.7


def test_landmarks_follow_the_units():
    def points(name):
        label = CLASS_NAMES.index(name)
        clip = render_clip(LARGE, subject=1, label=label, take=0, keep_frames=True)
        return clip.landmarks[0], clip.landmarks[-1]

    def opening(p, upper, lower):
        return np.linalg.norm(p[lower] - p[upper])

    rest, apex = points("surprise")
    assert opening(apex, 62, 66) > opening(rest, 62, 66) + 8  # jaw dropped
    assert apex[8, 1] > rest[8, 1] + 4 and apex[19, 1] < rest[19, 1] - 4  # chin, brows
    rest, apex = points("happy")
    assert opening(apex, 37, 41) < opening(rest, 37, 41)  # narrowed eyes
    assert opening(apex, 48, 54) > opening(rest, 48, 54) + 4  # wider mouth
    rest, apex = points("anger")
    assert opening(apex, 21, 22) < opening(rest, 21, 22) - 3  # knitted brows
    rest, apex = points("contempt")
    left, right = (np.linalg.norm(apex[i] - rest[i]) for i in (48, 54))
    assert min(left, right) < 0.3 * max(left, right)


def test_turning_the_head_shifts_the_nose_against_the_outline():
    def offset(yaw_deg):
        parameters = replace(LARGE, yaw_jitter_deg=yaw_deg)
        clip = render_clip(parameters, subject=0, label=7, take=0, keep_frames=True)
        points = clip.landmarks[0]
        return points[30, 0] - 0.5 * (points[0, 0] + points[16, 0])

    # The same draw scaled: twice the turn moves the nose about twice as far.
    middle, once, twice = offset(0.0), offset(8.0), offset(16.0)
    assert 1.7 < (twice - middle) / (once - middle) < 2.3


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_only_clutter_moves_behind_the_face(background):
    parameters = replace(
        SMALL, **STILL, classes=("anger",), backgrounds=(background,), clutter_speed_px_s=100.0
    )
    frames = render_clip(parameters, subject=0, label=0, take=0, keep_frames=True).frames
    corner = frames[:, :3, :3].astype(int)
    assert background == "clutter" or np.ptp(corner, axis=0).max() == 0
    assert background != "clutter" or np.ptp(frames.astype(int), axis=0).max() > 20
    assert (np.ptp(frames[0, :12, 0]) == 0) == (background == "plain")


def test_classes_can_be_left_out():
    pair = replace(SMALL, classes=("surprise", "happy"))
    assert [label for _, label, _ in clip_keys(pair, "test")] == [0, 1]
    ours = render_clip(pair, subject=0, label=0, take=0)
    theirs = render_clip(SMALL, subject=0, label=CLASS_NAMES.index("surprise"), take=0)
    assert ours.recording.events.tobytes() == theirs.recording.events.tobytes()


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


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_renders(name):
    parameters = face_set(name, camera="hard", seed=5)
    assert parameters.camera == CAMERAS["hard"] and parameters.seed == 5
    clip = render_clip(replace(parameters, duration_ms=150.0), subject=0, label=4, take=0)
    assert clip.recording.sensor_size == parameters.sensor_size
    assert len(clip.recording) > 100


def test_the_demo_is_the_default():
    assert face_set("demo") == FaceSetParameters()


def test_unknown_numbers_and_names_are_refused():
    with pytest.raises(DatasetError, match="labels are 0 to 7"):
        render_clip(SMALL, subject=0, label=8, take=0)
    with pytest.raises(DatasetError, match="choose one of train"):
        split_subjects(SMALL, "evaluation")
    with pytest.raises(DatasetError, match="unknown set 'faces'; choose one of demo"):
        face_set("faces")
    with pytest.raises(DatasetError, match="unknown camera 'dark'; choose one of clean"):
        face_set("demo", camera="dark")


def test_all_problems_of_the_parameters_are_reported_at_once():
    with pytest.raises(DatasetError) as caught:
        FaceSetParameters(
            duration_ms=0,
            blink_probability=2,
            intensity_range=(1.0, 0.5),
            classes=("happy", "joy"),
            backgrounds=(),
            validation_subjects=0,
            seed=-1,
        )
    for name in ("duration_ms", "blink_probability", "intensity_range", "classes", "backgrounds"):
        assert name in str(caught.value)
    assert "validation_subjects must be above 0, got 0" in str(caught.value)
    assert "seed must be 0 or more, got -1" in str(caught.value)
