"""Augmentations: what they keep, what they share out, and the published quirks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn.events import augment as a
from snn.events.augment.events import drop_at_random, drop_by_area, drop_by_time
from snn.events.frames import SpikingFERFrames
from snn.events.recording import Recording, make_events

SIZE = (40, 30)
EVENT_STEPS = [
    a.FlipLeftRight(probability=1.0),
    a.BackgroundActivity(probability=1.0),
    a.BackgroundActivity(probability=1.0, published=False),
    a.Reverse(probability=1.0),
    a.FlipPolarity(),
    a.EventDrop(),
    a.EventDrop(published=False),
]


def random_events(n, seed=0, start=0, duration=5000, size=SIZE):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(start, start + duration, n))
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    return make_events(x, y, t, rng.integers(0, 2, n))


@pytest.mark.parametrize("step", EVENT_STEPS, ids=repr)
@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 400),
    start=st.sampled_from([0, 7, 10**12, -4000]),
    duration=st.sampled_from([1, 3, 5000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_recording_stays_a_recording(step, n, start, duration, seed):
    events = random_events(n, 3, start, duration)
    before = events.copy()
    changed = step(events, SIZE, np.random.default_rng(seed))
    Recording(changed, SIZE)  # in order, on the sensor, polarities 0 and 1
    np.testing.assert_array_equal(events, before)
    again = step(events, SIZE, np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, again)


def test_probabilities():
    events, rng = random_events(50), np.random.default_rng(0)
    for step in (a.FlipLeftRight(), a.BackgroundActivity(), a.Reverse()):
        happened = sum(step(events, SIZE, rng) is not events for _ in range(2000))
        assert abs(happened / 2000 - step.probability) < 0.04


@pytest.mark.parametrize(("severity", "share"), enumerate((0.005, 0.01, 0.03, 0.1, 0.2), start=1))
def test_background_activity_adds_its_share(severity, share):
    events = random_events(10_000, start=100)
    step = a.BackgroundActivity(probability=1.0, severity=severity)
    noisy = step(events, SIZE, np.random.default_rng(1))
    assert len(noisy) - len(events) == int(share * 10_000)
    whole = np.concatenate([events, noisy])
    counts = np.unique(whole, return_counts=True)[1]
    assert (counts >= 2).sum() >= len(np.unique(events))  # every event of before is still there


def test_background_activity_is_uniform_and_its_last_time():
    events = random_events(2, start=0, duration=10)
    events["t"], events["x"] = (0, 9), 0
    events = np.concatenate([events[:1].repeat(50_000), events[1:].repeat(50_000)])
    for published, last in ((True, 8), (False, 9)):
        step = a.BackgroundActivity(probability=1.0, published=published)
        merged = step(events, SIZE, np.random.default_rng(2))
        times = np.bincount(merged["t"], minlength=10)
        times[[0, 9]] -= 50_000
        assert len(times) == 10 and (times[9] == 0) == published
        assert abs(times[: last + 1] / 20_000 - 1 / (last + 1)).max() < 0.01
    assert abs(np.bincount(merged["x"], minlength=40)[5:].mean() / 20_000 - 1 / 40) < 0.002
    with pytest.raises(ValueError, match="severity must be 1 to 5"):
        a.BackgroundActivity(severity=6)


def test_reverse_by_hand_and_as_tonic():
    events = make_events(*np.array([[1, 2, 3], [4, 5, 6], [10, 15, 40], [1, 0, 0]]))
    turned = a.Reverse(probability=1.0)(events, SIZE, np.random.default_rng(0))
    assert turned.tolist() == [(3, 6, 0, 1), (2, 5, 25, 1), (1, 4, 30, 0)]
    transforms = pytest.importorskip("tonic.transforms", reason="tonic needs Python < 3.12")
    events = random_events(500, start=60)
    theirs = transforms.RandomTimeReversal(p=1)(events)
    ours = a.Reverse(probability=1.0)(events, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(ours, theirs)


def test_flip_polarity_share():
    events = random_events(20_000)
    flipped = a.FlipPolarity()(events, SIZE, np.random.default_rng(0))
    assert abs((flipped["p"] != events["p"]).mean() - 0.2) < 0.01
    np.testing.assert_array_equal(flipped[["x", "y", "t"]], events[["x", "y", "t"]])


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_random_drop_is_exact_and_fair(ratio):
    events, rng = random_events(1001), np.random.default_rng(0)
    events["t"] = np.arange(1001)
    kept_times = np.zeros(1001)
    for _ in range(300):
        kept = drop_at_random(events, ratio, rng)
        assert len(kept) == 1001 - int(ratio * 1001 + 0.5)
        kept_times[kept["t"]] += 1
    assert abs(kept_times / 300 - (1 - ratio)).max() < 0.15
    assert abs(kept_times[:500].mean() - kept_times[500:].mean()) / 300 < 0.01


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_drop_by_time_takes_its_share_of_the_duration(ratio):
    events = random_events(10_001, start=0, duration=1)
    events["t"] = 70_000 + np.arange(10_001)
    for seed in range(20):
        kept = drop_by_time(events, ratio, np.random.default_rng(seed), first_us=70_000)
        assert abs(len(events) - len(kept) - ratio * 10_000) <= 1
        gaps = np.flatnonzero(np.diff(kept["t"]) > 1)
        assert len(gaps) <= 1  # one stretch


def test_published_drop_by_time_assumes_a_start_at_zero():
    events = random_events(1000, start=10**9, duration=1000)
    rng = np.random.default_rng(0)
    assert all(len(drop_by_time(events, 0.1, rng, first_us=0)) == 1000 for _ in range(50))
    assert len(drop_by_time(events, 0.1, rng, first_us=10**9)) < 1000


def test_drop_by_area_takes_one_box():
    width, height = 40, 30
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    events = make_events(x, y, np.arange(1200), np.ones(1200))
    reached = np.zeros((height, width), bool)
    for seed in range(3000):
        kept = drop_by_area(events, SIZE, 0.25, np.random.default_rng(seed), to_the_edge=False)
        assert len(kept) == 1200 - 10 * 7
        dropped = np.ones((height, width), bool)
        dropped[kept["y"], kept["x"]] = False
        rows, columns = np.flatnonzero(dropped.any(1)), np.flatnonzero(dropped.any(0))
        assert (np.ptp(columns), np.ptp(rows)) == (9, 6)
        reached |= dropped
    assert reached[:-1, :-1].all() and not reached[-1].any() and not reached[:, -1].any()
    kept = [drop_by_area(events, SIZE, 0.9, np.random.default_rng(s), to_the_edge=True)
            for s in range(60)]  # fmt: skip
    assert any((k["x"] == 39).sum() < height for k in kept)
    assert any((k["y"] == 29).sum() < width for k in kept)


def test_event_drop_chooses_among_four():
    events, rng = random_events(1000), np.random.default_rng(0)
    results = [a.EventDrop()(events, SIZE, rng) for _ in range(2000)]
    same = np.mean([r is events for r in results])
    assert abs(same - 0.25) < 0.03
    assert min(map(len, results)) >= 50


@pytest.mark.parametrize("shape", [(200, 200), (60, 90), (10, 400), (400, 10)])
def test_crop_boxes_are_those_of_torchvision(shape):
    """Means and spreads of 4000 boxes each, and the same pixels for the same box."""
    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision not installed")
    torch.manual_seed(0)
    rng, ours = np.random.default_rng(0), a.RandomResizedCrop(size=(32, 16))
    image = torch.zeros(1, *shape)
    theirs = transforms.RandomResizedCrop.get_params
    expected = np.array([theirs(image, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(4000)])
    boxes = np.array([ours.box(*shape, rng) for _ in range(4000)])
    tolerance = 6 * np.hypot(expected.std(0), boxes.std(0)) / 4000**0.5 + 1e-9
    assert (abs(boxes.mean(0) - expected.mean(0)) <= tolerance).all()
    assert (boxes[:, 0] + boxes[:, 2] <= shape[0]).all() and boxes.min() >= 0
    frames = rng.integers(0, 2, (3, 2, *shape)).astype(np.uint8)
    box = ours.box(*shape, np.random.default_rng(9))
    resized = transforms.functional.resized_crop(
        torch.from_numpy(frames), *box, (16, 32), transforms.InterpolationMode.NEAREST
    )
    np.testing.assert_array_equal(ours(frames, np.random.default_rng(9)), resized.numpy())


@pytest.mark.parametrize("width", [8, 9, 128])
def test_face_reflection(width):
    frames = np.random.default_rng(0).integers(0, 2, (6, 2, 5, width)).astype(np.uint8)
    before = frames.copy()
    half, seen = width // 2, set()
    for seed in range(40):
        reflected = a.FaceReflection(probability=1.0)(frames, np.random.default_rng(seed))
        np.testing.assert_array_equal(reflected, reflected[..., ::-1])  # symmetric
        left = np.array_equal(reflected[..., :half], frames[..., :half])
        right = np.array_equal(reflected[..., -half:], frames[..., -half:])
        assert left != right
        seen.add(left)
    np.testing.assert_array_equal(frames, before)
    assert seen == {True, False}


def test_face_reflection_of_one_column_is_that_column():
    frames = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    for seed in range(4):
        reflected = a.FaceReflection(probability=1.0)(frames, np.random.default_rng(seed))
        np.testing.assert_array_equal(reflected, frames)


def test_what_is_shifted_out_of_the_frame_is_lost():
    torch = pytest.importorskip("torch", reason="batches are augmented in torch")
    from snn.events.augment.batch import AugmentConfig, augment

    config = AugmentConfig(flip=0.0, shift=5)
    shifted = augment(torch.ones(200, 1, 1, 3, 3), config, torch.Generator().manual_seed(0))
    kept = set(shifted.sum((1, 2, 3, 4)).int().tolist())
    assert kept == {0, 1, 2, 3, 4, 6, 9}  # products of 0 to 3 rows and 0 to 3 columns


@pytest.mark.parametrize("published", [True, False])
def test_the_whole_pipeline(published):
    recording = Recording(random_events(20_000, size=(200, 200)), (200, 200))
    before = recording.events.copy()
    pipeline = a.SpikingFERAugmentation(published=published)
    frames = [pipeline(recording, np.random.default_rng(seed)) for seed in range(12)]
    assert {(x.shape, str(x.dtype), x.max()) for x in frames} == {((6, 2, 128, 128), "uint8", 1)}
    np.testing.assert_array_equal(frames[3], pipeline(recording, np.random.default_rng(3)))
    assert len({x.tobytes() for x in frames}) == 12
    np.testing.assert_array_equal(recording.events, before)


def test_the_order_is_fixed_and_names_are_checked():
    backwards = a.SpikingFERAugmentation(names=("face_reflection", "event_drop", "flip"))
    assert [type(s).__name__ for s in backwards.event_steps()] == ["FlipLeftRight", "EventDrop"]
    steps = [type(s).__name__ for s in backwards.frame_steps()]
    assert steps == ["ResizeNearest", "FaceReflection"]
    recording = Recording(random_events(900, size=(200, 200)), (200, 200))
    nothing = a.SpikingFERAugmentation(names=())(recording, np.random.default_rng(0))
    np.testing.assert_array_equal(nothing, SpikingFERFrames()(recording))
    with pytest.raises(ValueError, match="no augmentation is called mirror"):
        a.SpikingFERAugmentation(names=("mirror",))
    with pytest.raises(ValueError, match="needs a size"):
        a.SpikingFERAugmentation(representation=SpikingFERFrames(size=None))
