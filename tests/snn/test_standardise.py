"""Standardised videos on known truth: exact points, analytic images, rendered faces."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from snn.errors import DatasetError, EventFormatError
from snn.events.camera import CameraParameters, events_from_frames
from snn.events.faces import FaceSetParameters, render_clip
from snn.events.landmarks import RIGID_POINTS, detect_landmarks
from snn.events.standardise import (
    PRESETS,
    Box,
    CropFactors,
    align_to_first,
    find_face_box,
    fit_similarity,
    plan_standardise,
    standardise,
    write_standardised,
)

SIZE = (320, 240)
MIDDLE = np.array([160.0, 120.0])
N_FRAMES = 12


def drawn_points():
    """Points in iBUG's order on a face about 120 pixels wide: jaw, brows, nose, eyes, lips."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = [(160 + 60 * np.cos(a), 105 + 75 * np.sin(a)) for a in turn]
    brows = [(x, 78) for x in (112, 121, 130, 139, 146, 174, 181, 190, 199, 208)]
    nose = [(160, y) for y in (95, 107, 119, 131)]
    nose += [(x, 137) for x in (150, 155, 160, 165, 170)]
    eyes = [(118, 97), (126, 92), (136, 92), (144, 97), (136, 101), (126, 101)]
    eyes += [(176, 97), (184, 92), (194, 92), (202, 97), (194, 101), (184, 101)]
    turn = np.pi * (1 + np.arange(12) / 6)
    lips = [(160 + 23 * np.cos(a), 158 + 8 * np.sin(a)) for a in turn]
    turn = np.pi * (1 + np.arange(8) / 4)
    lips += [(160 + 17 * np.cos(a), 158 + 3 * np.sin(a)) for a in turn]
    return np.array(jaw + brows + nose + eyes + lips, np.float64)


FACE = drawn_points()


def head_motion(*, with_scale):
    """Similarities about the middle of the image, the first not the identity, ``[n, 2, 3]``."""
    k = np.arange(N_FRAMES)
    angle, scale = np.deg2rad(9 * np.sin(k / 2 + 0.3)), 1 + with_scale * 0.1 * np.sin(k / 3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = (scale * turn).transpose(2, 0, 1)
    shift = MIDDLE + np.stack([7.3 * np.sin(k / 2.5), 4.1 * np.cos(k / 1.7)], 1) - linear @ MIDDLE
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def moved(points, matrices):
    return points @ matrices[..., :2].swapaxes(-1, -2) + matrices[..., None, :, 2]


def square(matrix):
    return np.vstack([matrix, [0, 0, 1]])


def pattern(x, y):
    """A smooth image that is known everywhere, 18 to 238 grey."""
    return 128 + 60 * np.sin(x / 5.0) * np.cos(y / 6.0) + 50 * np.sin((x + 2 * y) / 17.0)


def pattern_video(matrices, size=SIZE):
    """The pattern under each map: the pixel at ``p`` shows what was at the map's inverse of it."""
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1).astype(float)
    frames = []
    for matrix in matrices:
        inverse = np.linalg.inv(square(matrix))
        source = grid @ inverse[:2, :2].T + inverse[:2, 2]
        frames.append(pattern(source[..., 0], source[..., 1]))
    return np.rint(frames).astype(np.uint8)


@pytest.mark.parametrize(("align", "with_scale"), [("rotation", 0), ("similarity", 1)])
def test_recovered_maps_are_the_inverse_of_the_motion(align, with_scale):
    motion = head_motion(with_scale=with_scale)
    landmarks = moved(FACE, motion)
    found = align_to_first(landmarks, align)
    for matrix, truth in zip(found, motion, strict=True):
        expected = square(motion[0]) @ np.linalg.inv(square(truth))
        corners = np.array([[0, 0], [319, 0], [0, 239], [319, 239.0]])
        np.testing.assert_allclose(moved(corners, matrix), moved(corners, expected[:2]), atol=1e-9)
    plan = plan_standardise(landmarks, align=align)
    assert np.abs(plan.landmarks - plan.landmarks[0]).max() < 1e-9


def test_rotation_leaves_the_size_of_a_head_that_comes_nearer():
    landmarks = np.stack([FACE, 1.2 * FACE])
    rotation, similarity = (align_to_first(landmarks, a)[1] for a in ("rotation", "similarity"))
    assert np.linalg.det(rotation[:, :2]) == pytest.approx(1)
    assert np.linalg.det(similarity[:, :2]) == pytest.approx(1 / 1.2**2)


def test_fit_is_the_one_of_opencv_for_noisy_points():
    rng = np.random.default_rng(0)
    source = rng.normal(0, 30, (40, 2))
    target = moved(source, head_motion(with_scale=1)[3]) + rng.normal(0, 0.5, (40, 2))
    theirs, _ = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=100.0, refineIters=100
    )
    np.testing.assert_allclose(fit_similarity(source, target, with_scale=True), theirs, atol=1e-4)


def test_mouth_brows_and_blinks_do_not_move_the_frame():
    landmarks = np.stack([FACE, FACE])
    landmarks[1, 48:] += 15.0
    landmarks[1, :27] -= 9.0
    landmarks[1, [37, 38, 43, 44]] += (0, 5.0)
    landmarks[1, 30:36] -= (0, 3.0)
    np.testing.assert_allclose(align_to_first(landmarks, "similarity")[1], np.eye(2, 3), atol=1e-12)


@pytest.mark.parametrize("crop", PRESETS)
@pytest.mark.parametrize("size", [(200, 200), (160, 120), (40, 50)])
def test_the_output_shows_what_lay_there_in_the_first_frame(crop, size):
    motion = head_motion(with_scale=0)
    frames = pattern_video(motion)
    result = standardise(frames, moved(FACE, motion), crop=crop, size=size, align="rotation")
    assert result.frames.shape == (N_FRAMES, size[1], size[0])
    assert result.frames.dtype == np.uint8
    # Where each output pixel lay in the still pattern, by the definition of the box alone.
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    x = result.box.x + u * result.box.width / size[0]
    y = result.box.y + v * result.box.height / size[1]
    inverse = np.linalg.inv(square(motion[0]))
    px = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    py = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    inside = (np.abs(x - 160) < 120) & (np.abs(y - 120) < 80)
    error = (result.frames - pattern(px, py))[:, inside]
    # Linear interpolation and the mean over a pixel flatten the pattern's peaks a little.
    assert np.abs(error).max() < (4 if min(size) > 100 else 12)
    assert np.abs(error).mean() < (1 if min(size) > 100 else 3)


def test_matrices_and_landmarks_are_those_of_the_output():
    motion = head_motion(with_scale=0)
    landmarks = moved(FACE, motion)
    result = standardise(pattern_video(motion), landmarks)
    np.testing.assert_allclose(moved(landmarks, result.matrices), result.landmarks)
    nose = result.landmarks[:, 30]
    np.testing.assert_allclose(nose, np.tile([99.5, 99.5], (N_FRAMES, 1)), atol=1e-9)


def test_a_box_of_the_whole_frame_changes_no_pixel():
    frames = pattern_video(head_motion(with_scale=0))
    whole = Box(x=-0.5, y=-0.5, width=320, height=240)
    landmarks = np.tile(FACE, (N_FRAMES, 1, 1))
    result = standardise(frames, landmarks, crop=whole, size=SIZE, align="none")
    np.testing.assert_array_equal(result.frames, frames)


def test_shrinking_is_area_interpolation():
    noise = np.random.default_rng(1).integers(0, 256, (1, 240, 320), np.uint8)
    whole = Box(x=-0.5, y=-0.5, width=320, height=240)
    result = standardise(noise, FACE[None], crop=whole, size=(80, 120), align="none")
    theirs = cv2.resize(noise[0], (80, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(result.frames[0].astype(int) - theirs).max() <= 1


def test_colour_is_grey_by_bt601():
    colours = np.zeros((1, 240, 320, 3), np.uint8)
    colours[..., 0], colours[..., 1], colours[..., 2] = 200, 100, 50
    grey = standardise(colours, FACE[None]).frames
    assert np.unique(grey).tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


def test_outside_the_frame_is_the_border_value():
    frame = np.full((1, 240, 320), 90, np.uint8)
    landmarks = FACE[None] - (130, 0)
    for crop, value, expected in (
        ("whole-face", None, 90),  # the frame's edge goes on
        ("whole-face", 77, 77),
        ("evtransfer", None, 0),
    ):
        out = standardise(frame, landmarks, crop=crop, border_value=value).frames[0]
        assert set(np.unique(out[:, :10])) == {expected}
        assert set(np.unique(out[:, 150:])) == {90}


def test_evtransfer_follows_no_head():
    landmarks = moved(FACE, head_motion(with_scale=0))
    still, turned = (plan_standardise(landmarks, crop=c) for c in ("evtransfer", "whole-face"))
    assert np.ptp(still.matrices, axis=0).max() == 0
    assert np.ptp(turned.matrices, axis=0).max() > 1


def box_of(crop):
    return plan_standardise(FACE[None], crop=crop).box


def holds(box, points):
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(
        box.x <= low[0]
        and box.y <= low[1]
        and high[0] <= box.x + box.width
        and high[1] <= box.y + box.height
    )


def test_the_published_height_leaves_out_the_brows_and_cuts_the_mouth():
    literal, usable = box_of("spiking-fer-literal"), box_of("spiking-fer")
    # By hand: the nose is 42 long (95 to 137), its tip at (160, 131), the eyes 84 wide.
    assert (literal.width, literal.height) == pytest.approx((112, 56))
    assert (usable.width, usable.height) == pytest.approx((112, 140))
    assert (usable.x, usable.y) == pytest.approx((160 - 56, 131 - 70))
    brows, mouth = FACE[17:27], FACE[48:]
    assert np.all(brows[:, 1] < literal.y)
    assert mouth[:, 1].max() > literal.y + literal.height
    assert holds(usable, brows)
    assert holds(usable, mouth)


def test_whole_face_and_evtransfer_are_squares_with_every_point():
    for name in ("whole-face", "evtransfer"):
        box = box_of(name)
        assert box.width == pytest.approx(box.height)
        assert holds(box, FACE)


def test_the_box_is_that_of_the_first_frame():
    motion = head_motion(with_scale=1)
    landmarks = moved(FACE, motion)
    landmarks[3:, 48:, 1] += 20  # the mouth opens
    for crop in PRESETS:
        plan = plan_standardise(landmarks, crop=crop)
        assert plan.box == plan_standardise(landmarks[:1], crop=crop).box


def test_frames_are_taken_one_by_one():
    motion = head_motion(with_scale=0)
    frames, landmarks = pattern_video(motion), moved(FACE, motion)
    seen = []

    def video():
        for frame in frames:
            seen.append(frame)
            yield frame

    stream = plan_standardise(landmarks).apply(video())
    first = next(stream)
    assert len(seen) == 1
    together = standardise(frames, landmarks).frames
    np.testing.assert_array_equal(np.stack([first, *stream]), together)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((N_FRAMES - 1, 240, 320), np.uint8), "11 frames for the landmarks of 12"),
        (np.zeros((N_FRAMES + 1, 240, 320), np.uint8), "more than 12 frames for the landmarks"),
        (np.zeros((N_FRAMES, 240, 320)), "frame 0: expected uint8"),
        (np.zeros((N_FRAMES, 240, 320, 4), np.uint8), "frame 0: expected uint8"),
        (np.zeros((N_FRAMES, 60, 80), np.uint8), "outside the 80×60 image"),
        ([np.zeros((240, 320 + k), np.uint8) for k in range(12)], "frame 1 is 321×240 pixels"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames, message):
    with pytest.raises(EventFormatError, match=message):
        standardise(frames, moved(FACE, head_motion(with_scale=0)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": "spiking"}, "unknown crop 'spiking'; choose one of spiking-fer"),
        ({"align": "affine"}, "unknown alignment 'affine'; choose one of none, rotation"),
        ({"size": (0, 200)}, "got 0×200"),
        ({"size": (200, 100_000)}, "1 to 4096 pixels"),
        ({"border_value": 256}, "0 to 255, got 256"),
    ],
)
def test_unusable_options_are_refused(arguments, message):
    with pytest.raises(DatasetError, match=message):
        plan_standardise(FACE[None], **arguments)


def test_incomplete_landmarks_and_empty_crops_are_refused():
    landmarks = np.stack([FACE, np.full((68, 2), np.nan)])
    with pytest.raises(EventFormatError, match="fill_gaps"):
        plan_standardise(landmarks)
    with pytest.raises(EventFormatError, match="at least 4×4"):
        plan_standardise(FACE[None], crop=CropFactors(height_factor=0.01, width_factor=1.0))
    with pytest.raises(EventFormatError, match="at least 4×4"):
        Box(0.0, 0.0, np.inf, np.inf)


def test_a_folder_of_images_is_written_whole(tmp_path):
    motion = head_motion(with_scale=0)
    frames, plan = pattern_video(motion), plan_standardise(moved(FACE, motion))
    folder = tmp_path / "new" / "S005_001"
    assert write_standardised(iter(frames), plan, folder) == N_FRAMES
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{k:05d}.png" for k in range(N_FRAMES)]
    images = np.stack([cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files])
    np.testing.assert_array_equal(images, np.stack(list(plan.apply(frames))))
    assert [path.name for path in folder.parent.iterdir()] == ["S005_001"]


def test_nothing_is_left_of_a_failed_folder(tmp_path):
    motion = head_motion(with_scale=0)
    plan = plan_standardise(moved(FACE, motion))
    with pytest.raises(EventFormatError, match="11 frames"):
        write_standardised(pattern_video(motion)[:-1], plan, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_no_folder_is_overwritten(tmp_path):
    motion = head_motion(with_scale=0)
    plan = plan_standardise(moved(FACE, motion))
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="out: exists already"):
        write_standardised(pattern_video(motion), plan, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


NOISELESS = CameraParameters(sigma_thres=0.0)
SWAYING = FaceSetParameters(
    sensor_size=(200, 200),
    duration_ms=600.0,
    frame_rate_hz=120.0,
    max_step_px=50.0,  # regular frame times
    classes=("neutral", "happy", "surprise"),
    position_jitter_px=5.0,
    yaw_jitter_deg=0.0,
    pitch_jitter_deg=0.0,
    head_motion_range_px=(3.0, 3.001),
    turn_motion_deg=0.0,
    blink_probability=0.0,
    gaze_probability=0.0,
    distractor_probability=0.0,
    flicker=0.0,
    backgrounds=("plain",),
    camera=NOISELESS,
)
NEUTRAL, HAPPY, SURPRISE = range(3)


def rolling(clip, degrees):
    """Frames and landmarks of a rendered clip with the camera rolling about its middle."""
    n_frames, height, width = clip.frames.shape
    angle = np.deg2rad(degrees) * np.sin(np.linspace(0, 5, n_frames))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear, middle = turn.transpose(2, 0, 1), np.array([width / 2, height / 2])
    roll = np.concatenate([linear, (middle - linear @ middle)[:, :, None]], axis=2)
    frames = [
        cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for frame, matrix in zip(clip.frames, roll, strict=True)
    ]
    return np.stack(frames), moved(clip.landmarks.astype(float), roll)


def block_counts(frames):
    """Events in 10×10 blocks of a video at 120 frames/s."""
    events = events_from_frames(frames, frame_rate_hz=120.0, parameters=NOISELESS).events
    counts = np.zeros((20, 20))
    np.add.at(counts, (events["y"] // 10, events["x"] // 10), 1)
    return counts


@pytest.mark.parametrize("label", [HAPPY, SURPRISE])  # neutral heads nod now and then
def test_a_rendered_head_that_sways_and_rolls_is_held_still(label):
    clip = render_clip(SWAYING, subject=1, label=label, take=0, keep_frames=True)
    frames, landmarks = rolling(clip, 5.0)
    rigid = landmarks[:, RIGID_POINTS]
    assert np.abs(rigid - rigid[0]).max() > 4
    result = standardise(frames, landmarks, crop="whole-face")
    rigid = result.landmarks[:, RIGID_POINTS]
    assert np.abs(rigid - rigid[0]).max() < 0.3


def test_events_of_head_motion_vanish():
    clip = render_clip(SWAYING, subject=0, label=NEUTRAL, take=0, keep_frames=True)
    frames, landmarks = rolling(clip, 5.0)
    aligned = standardise(frames, landmarks, crop="whole-face")
    as_filmed = standardise(frames, landmarks, crop=aligned.box, align="none")
    assert block_counts(aligned.frames).sum() < 0.35 * block_counts(as_filmed.frames).sum()


def test_events_of_an_expression_stay():
    same = {"subject": 0, "label": SURPRISE, "take": 0, "keep_frames": True}
    clip = render_clip(SWAYING, **same)
    held = render_clip(replace(SWAYING, head_motion_range_px=(1e-6, 1e-6)), **same)
    aligned = standardise(clip.frames, clip.landmarks, crop="whole-face")
    as_filmed = standardise(clip.frames, clip.landmarks, crop=aligned.box, align="none")
    truth = block_counts(standardise(held.frames, held.landmarks, crop="whole-face").frames)
    found, unaligned = block_counts(aligned.frames), block_counts(as_filmed.frames)
    assert 0.9 < found.sum() / truth.sum() < 1.6
    assert unaligned.sum() / truth.sum() > 3
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.8
    assert np.corrcoef(unaligned.ravel(), truth.ravel())[0, 1] < 0.6


@pytest.mark.parametrize("subject", range(4))
def test_presets_on_rendered_faces(subject):
    clip = render_clip(SWAYING, subject=subject, label=SURPRISE, take=0, keep_frames=True)
    first, apex = clip.landmarks[[0, -1]].astype(float)
    box = {name: plan_standardise(first[None], crop=name).box for name in PRESETS}
    literal = box["spiking-fer-literal"]
    assert np.all(first[17:27, 1] < literal.y)
    assert apex[57, 1] > literal.y + literal.height + 5  # the lower lip, by far
    motion = align_to_first(np.stack([first, apex]), "rotation")[1]
    held = moved(apex, motion)
    for name in ("spiking-fer", "whole-face"):
        assert holds(box[name], held[48:])
        assert holds(box[name], first[17:])
    assert box["evtransfer"].y < held[17:27, 1].min()


@pytest.mark.skipif(not hasattr(cv2, "CascadeClassifier"), reason="OpenCV 5 has no Haar cascades")
def test_haar_box_holds_the_inner_face():
    clip = render_clip(SWAYING, subject=0, label=NEUTRAL, take=0, keep_frames=True)
    box = find_face_box(clip.frames[0])
    assert box.width == box.height
    assert holds(box, clip.landmarks[0, 17:])
    with pytest.raises(EventFormatError, match="no face was found"):
        find_face_box(np.zeros((200, 200), np.uint8))


def test_detected_points_on_rendered_faces():
    pytest.importorskip("mediapipe", reason="the optional extra 'landmarks' is not installed")
    clip = render_clip(SWAYING, subject=0, label=HAPPY, take=0, keep_frames=True)
    found = detect_landmarks(clip.frames[::4])
    truth = clip.landmarks[::4].astype(float)
    eyes = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)
    error = np.linalg.norm(found - truth, axis=2) / eyes[:, None]
    assert error[:, 17:].mean() < 0.08
    assert error[:, RIGID_POINTS].mean() < 0.08
    aligned = standardise(clip.frames[::4], found, crop="whole-face")
    held = moved(truth, aligned.matrices)[:, RIGID_POINTS]
    as_filmed = truth[:, RIGID_POINTS] * 200 / aligned.box.width
    assert np.std(held, axis=0).mean() < 0.5 * np.std(as_filmed, axis=0).mean()
