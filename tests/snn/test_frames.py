"""Frames against tonic, torch and numbers worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events import frames as f
from snn.events.recording import EVENT_DTYPE, Recording, make_events

V2E = Path(__file__).parents[3] / "shared" / "data" / "v2e" / "clean.h5"
SIZE = (24, 16)


def random_recording(n, seed=0, start=0, duration=90_000, size=SIZE):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(start, start + duration, n))
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    return Recording(make_events(x, y, t, rng.integers(0, 2, n)), size)


@pytest.fixture
def recording():
    recording = random_recording(5000)
    recording.events["t"][[0, -1]] = 0, 89_999
    return recording


def hand_made():
    """Sensor 3×2, times 100..180; pixel (1, 0) sees ON then OFF, pixel (2, 1) OFF then ON."""
    events = [(0, 0, 100, 1), (1, 0, 110, 1), (2, 1, 120, 0), (1, 0, 140, 0), (2, 1, 180, 1)]
    return Recording(np.array(events, EVENT_DTYPE), (3, 2))


EMPTY = Recording(np.zeros(0, EVENT_DTYPE), SIZE)
ONE = Recording(np.array([(3, 2, 77, 1)], EVENT_DTYPE), SIZE)


def tonic_frames(recording, **arguments):
    transforms = pytest.importorskip("tonic.transforms", reason="tonic needs Python < 3.12")
    width, height = recording.sensor_size
    events = recording.events.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i2")])
    return transforms.ToFrame(sensor_size=(width, height, 2), **arguments)(events)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (f.EqualTimeFrames(n_bins=7, drop_tail=True), {"n_time_bins": 7}),
        (
            f.EqualTimeFrames(n_bins=7, drop_tail=True, overlap=0.3),
            {"n_time_bins": 7, "overlap": 0.3},
        ),
        (f.EqualCountFrames(n_bins=7, drop_tail=True), {"n_event_bins": 7}),
        (
            f.EqualCountFrames(n_bins=9, drop_tail=True, overlap=0.4),
            {"n_event_bins": 9, "overlap": 0.4},
        ),
        (f.EventCountFrames(event_count=300), {"event_count": 300}),
        (f.EventCountFrames(event_count=300, overlap=70), {"event_count": 300, "overlap": 70}),
        (
            f.EventCountFrames(event_count=300, overlap=70, include_incomplete=True),
            {"event_count": 300, "overlap": 70, "include_incomplete": True},
        ),
        (f.EventCountFrames(event_count=10_000), {"event_count": 10_000}),
        (f.TimeWindowFrames(time_window_us=7_000), {"time_window": 7_000}),
        (
            f.TimeWindowFrames(time_window_us=7_000, overlap_us=1_500),
            {"time_window": 7_000, "overlap": 1_500},
        ),
        (
            f.TimeWindowFrames(time_window_us=7_000, overlap_us=1_500, include_incomplete=True),
            {"time_window": 7_000, "overlap": 1_500, "include_incomplete": True},
        ),
        (
            f.TimeWindowFrames(time_window_us=6_500.5, start_us=500, end_us=95_000),
            {"time_window": 6_500.5, "start_time": 500, "end_time": 95_000},
        ),
        (f.TimeWindowFrames(time_window_us=10**6), {"time_window": 10**6}),
    ],
    ids=lambda value: repr(value)[:60] if callable(value) else "",
)
def test_slices_equal_tonic(ours, theirs, seed):
    recording = random_recording(2000 + 37 * seed, seed, start=1_000 * seed)
    np.testing.assert_array_equal(ours(recording), tonic_frames(recording, **theirs))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_events_equal_tonic(n):
    recording = random_recording(n, seed=5)
    bins = f.EqualCountFrames(n_bins=3, drop_tail=True)(recording)
    np.testing.assert_array_equal(bins, tonic_frames(recording, n_event_bins=3))
    windows = f.EventCountFrames(event_count=2)(recording)
    np.testing.assert_array_equal(windows, tonic_frames(recording, event_count=2))
    if n > 1:
        times = f.EqualTimeFrames(n_bins=3, drop_tail=True)(recording)
        np.testing.assert_array_equal(times, tonic_frames(recording, n_time_bins=3))


def test_window_counts_equal_tonic(recording):
    ours = f.count_frames(recording, n_bins=9, window_us=90_000)
    theirs = tonic_frames(recording, time_window=10_000)
    np.testing.assert_array_equal(ours[: len(theirs)], theirs)
    assert ours.sum() == len(recording)


def test_bins_of_a_window_are_where_the_formula_puts_them():
    recording = random_recording(800, start=20, duration=1000)
    frames = f.count_frames(recording, n_bins=7, window_us=900, start_us=50)
    elapsed = recording.events["t"] - 50
    inside = (elapsed >= 0) & (elapsed < 900)
    expected = np.bincount(elapsed[inside] * 7 // 900, minlength=7)
    np.testing.assert_array_equal(frames.sum(axis=(1, 2, 3)), expected)


def test_without_dropping_a_tail_every_event_counts(recording):
    for frames in (f.EqualTimeFrames(n_bins=7), f.EqualCountFrames(n_bins=7)):
        counts = frames(recording)
        assert counts.shape == (7, 2, 16, 24)
        assert counts.sum() == len(recording)
    assert f.EqualTimeFrames(n_bins=7, drop_tail=True)(recording).sum() < len(recording)


def test_another_size_keeps_every_event_and_the_proportions(recording):
    frames = f.count_frames(recording, n_bins=1, window_us=90_000, size=(64, 64))
    assert frames.sum() == len(recording)
    rows = np.flatnonzero(frames.sum(axis=(0, 1, 3)))
    assert rows.min() >= 10 and rows.max() < 54  # 16 of 24 parts of 64, centred


def test_binary_frames_are_where_counts_are(recording):
    arguments = {"n_bins": 3, "window_us": 60_000, "start_us": 15_000}
    binary = f.binary_frames(recording, **arguments)
    np.testing.assert_array_equal(binary, f.count_frames(recording, **arguments) > 0)
    assert binary.dtype == np.uint8


def test_counts_stop_at_the_largest_number():
    events = np.zeros(70_000, EVENT_DTYPE)
    assert f.EqualCountFrames(n_bins=1)(Recording(events, (1, 1))).max() == 65_535


def test_empty_windows_are_refused_and_so_are_mistaken_ones():
    with pytest.raises(EventFormatError, match="no events"):
        f.count_frames(EMPTY, n_bins=2, window_us=10)
    long = Recording(np.array([(0, 0, 0, 1), (0, 0, 10**10, 1)], EVENT_DTYPE), (1000, 1000))
    with pytest.raises(EventFormatError, match="use longer windows"):
        f.TimeWindowFrames(time_window_us=1000)(long)
    with pytest.raises(ValueError, match="never move on"):
        f.TimeWindowFrames(time_window_us=10, overlap_us=10)(ONE)
    with pytest.raises(ValueError, match="drop_tail"):
        f.EqualTimeFrames(n_bins=2, overlap=0.5)(ONE)


@pytest.mark.parametrize(
    ("frames", "empty", "one"),
    [
        (f.EqualTimeFrames(n_bins=3), 0, [0, 0, 1]),
        (f.EqualTimeFrames(n_bins=3, drop_tail=True), 0, [0, 0, 0]),
        (f.EqualCountFrames(n_bins=3, drop_tail=True), 0, [0, 0, 0]),
        (f.SpikingFERFrames(n_frames=3, size=None), 0, [0, 0, 0]),
        (f.EventCountFrames(event_count=10), 0, [1]),
        (f.TimeWindowFrames(time_window_us=10), 0, [1]),
    ],
    ids=repr,
)
def test_sparse_recordings_are_defined(frames, empty, one):
    assert frames(EMPTY).sum() == empty
    assert frames(ONE).sum(axis=(1, 2, 3)).tolist() == one
    assert frames(EMPTY).shape == frames(ONE).shape


@pytest.mark.parametrize("n_in", [1, 2, 3, 34, 100, 128, 173, 200, 260, 346])
def test_nearest_is_that_of_torch(n_in):
    torch = pytest.importorskip("torch")
    frames = np.arange(n_in, dtype=np.uint8)[None, None, None, :].repeat(2, axis=2)
    for n_out in [*range(1, 140), 200, 224, 256, 400, 1000]:
        theirs = torch.nn.functional.interpolate(
            torch.from_numpy(frames).float(), size=(3, n_out), mode="nearest"
        )
        ours = f.resize_nearest(frames, (n_out, 3))
        np.testing.assert_array_equal(ours, theirs.numpy(), err_msg=f"{n_in} to {n_out}")


@pytest.mark.parametrize("n_events", [4, 6, 14_999, 15_000, 17_499, 17_500, 20_000, 40_123])
def test_spiking_fer_frames_are_the_published_ones(n_events):
    """tonic's frames, centre selection, > 0 and torch's nearest, as the published code does."""
    torch = pytest.importorskip("torch")
    recording = random_recording(n_events, size=(200, 200))
    if n_events // 2500 >= 6:
        counts = tonic_frames(recording, event_count=2500)
        first = int((len(counts) - 6) / 2)
        counts = counts[first : first + 6]
    else:
        counts = tonic_frames(recording, n_event_bins=6)
    binary = torch.from_numpy((counts > 0).astype(np.float32))
    expected = torch.nn.functional.interpolate(binary, size=(128, 128), mode="nearest")
    frames = f.SpikingFERFrames()(recording)
    np.testing.assert_array_equal(frames, expected.numpy())
    assert frames.any() == (n_events >= 6)


def test_spiking_fer_frames_of_a_v2e_file():
    if not V2E.exists():
        pytest.skip("v2e/clean.h5 is not at hand")
    h5py = pytest.importorskip("h5py")
    with h5py.File(V2E) as file:
        t, x, y, p = file["events"][...].T
    frames = f.SpikingFERFrames(size=None)(Recording(make_events(x, y, t, p), (200, 200)))
    expected = tonic_frames(Recording(make_events(x, y, t, p), (200, 200)), n_event_bins=6) > 0
    np.testing.assert_array_equal(frames, expected)


def test_accumulated_polarity_by_hand():
    np.testing.assert_array_equal(f.ACC()(hand_made()), [[255, 0, 128], [128, 128, 255]])


def test_signed_sum_by_hand():
    np.testing.assert_array_equal(f.SignedSum()(hand_made()), [[255, 127, 127], [127, 127, 127]])


def test_surface_by_hand():
    # 255·(t - 100)/81 for each polarity, halved: on 0, 10, 80; off 40, 20
    on, off = np.array([10, 80]) / 81 * 255, np.array([40, 20]) / 81 * 255
    expected = np.zeros((2, 3))
    expected[0, 1], expected[1, 2] = (on + off) // 2
    np.testing.assert_array_equal(f.SAE()(hand_made()), expected)
    assert (f.SAE()(EMPTY) == 127).all()


def test_temporal_binary_by_hand():
    # bins of 10 µs from 100: events at 0, 1, 2, 4 and, the last one, 7
    expected = [[128, 64 + 8, 0], [0, 0, 32 + 1]]
    np.testing.assert_array_equal(f.TBR()(hand_made()), expected)
    np.testing.assert_array_equal(f.TBR(n_bins=4)(hand_made()), [[8, 8 + 2, 0], [0, 0, 4 + 1]])
    tensor = f.TBRTensor()(hand_made())
    assert tensor.shape == (8, 2, 3)
    assert np.argwhere(tensor).tolist() == [[0, 0, 0], [1, 0, 1], [2, 1, 2], [4, 0, 1], [7, 1, 2]]
    with pytest.raises(ValueError, match="at most 8 bins"):
        f.TBR(n_bins=9)(hand_made())


def test_temporal_binary_of_a_stream_by_hand():
    # bins of 10 µs, four an image: bins 0, 1, 2 | 4; the third image would be of the last event
    images = f.TBRStream(bin_us=10, n_bins=4)(hand_made())
    assert images.tolist() == [[[8, 4, 0], [0, 0, 2]], [[0, 8, 0], [0, 0, 0]]]
    assert f.TBRStream(bin_us=30, n_bins=1)(hand_made()).shape == (2, 2, 3)
    assert f.TBRStream()(EMPTY).shape == f.TBRStream()(ONE).shape == (0, 16, 24)
    with pytest.raises(ValueError, match="1 to 8 bins"):
        f.TBRStream(n_bins=9)(hand_made())


@pytest.mark.parametrize("shape", [(7, 4), (3, 8, 3), (5, 5), (720, 1280)])
def test_padding_to_a_square_keeps_the_middle(shape):
    image = np.random.default_rng(0).integers(1, 256, shape).astype(np.uint8)
    side = max(shape[:2])
    square = f.resize_square(image, side)
    assert square.shape == (side, side, *shape[2:])
    top, left = ((side - n) // 2 for n in shape[:2])
    np.testing.assert_array_equal(square[top : top + shape[0], left : left + shape[1]], image)
    assert np.count_nonzero(square) == image.size


def test_the_square_is_resized_as_torch_does():
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(1).random((260, 346), np.float32)
    padded = torch.nn.functional.pad(torch.from_numpy(image), (0, 0, 43, 43), value=3)
    theirs = torch.nn.functional.interpolate(padded[None, None], size=(200, 200), mode="bilinear")
    np.testing.assert_allclose(
        f.resize_square(image, 200, background=3), theirs[0, 0].numpy(), atol=1e-4
    )


def test_temporal_quaternary_by_hand():
    places = np.argwhere(f.TQR()(hand_made())).tolist()  # bin, polarity, row, column
    assert places == [[0, 1, 0, 0], [1, 1, 0, 1], [2, 0, 1, 2], [4, 0, 0, 1], [7, 1, 1, 2]]
    doubled = np.argwhere(f.TQR(size=(6, 4))(hand_made())).tolist()
    assert doubled == [[k, p, 2 * row, 2 * column] for k, p, row, column in places]


def test_tencode_by_hand():
    def pixel(image, x, y):
        return image[:, y, x].tolist()

    image = f.Tencode()(hand_made())
    assert pixel(image, 0, 0) == [255, 255, 0]  # the oldest, ON
    assert pixel(image, 1, 0) == [0, 127, 255]  # OFF half way: 255·40/80
    assert pixel(image, 2, 1) == [0, 191, 255]  # its OFF event at 120, though ON came later
    assert pixel(image, 0, 1) == [255, 255, 255]
    assert pixel(f.Tencode(newest_wins=True)(hand_made()), 2, 1) == [255, 0, 0]
    assert (f.Tencode()(EMPTY) == 255).all()


def test_binary_history_by_hand():
    np.testing.assert_array_equal(f.BEHI()(hand_made()), [[255, 255, 0], [0, 0, 255]])


def test_voxels_equal_tonic(recording):
    functional = pytest.importorskip("tonic.functional", reason="tonic needs Python < 3.12")
    events = recording.events.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i2")])
    theirs = functional.to_voxel_grid_numpy(events, (*SIZE, 2), n_time_bins=7)
    ours = f.VoxelGrid(n_bins=7)(recording)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_voxels_by_hand():
    # τ = 2·(t - 100)/80 = 0, ¼, ½, 1, 2
    expected = [[[1, 0.75, 0], [0, 0, -0.5]], [[0, 0.25 - 1, 0], [0, 0, -0.5]]]
    np.testing.assert_array_equal(f.VoxelGrid(n_bins=2)(hand_made())[:, 0], expected)
    assert f.VoxelGrid(n_bins=2)(ONE)[0].sum() == 1
    assert not f.VoxelGrid(n_bins=2)(EMPTY).any()


def test_images_over_windows():
    windows = f.OverWindows(image=f.BEHI(), window_us=40, hop_us=20, min_events=2)
    # 100-140: 3 events, 120-160: 2, 140-180: 1 (left out)
    images = windows(hand_made())
    assert images.shape == (2, 2, 3)
    assert (images > 0).sum(axis=(1, 2)).tolist() == [3, 2]
    whole = f.OverWindows(image=f.BEHI(), window_us=40, include_incomplete=True)(hand_made())
    assert (whole > 0).sum(axis=(1, 2)).tolist() == [3, 1, 1]
    assert windows(EMPTY).shape == (0, *SIZE[::-1])


def test_names_say_everything_and_the_input_stays(recording):
    before = recording.events.copy()
    chosen = f.Resized(frames=f.EqualTimeFrames(n_bins=4, binary=True), size=(12, 8))
    assert chosen(recording).shape == (4, 2, 8, 12)
    assert eval(repr(chosen), vars(f)) == chosen
    assert hash(f.SpikingFERFrames()) == hash(f.SpikingFERFrames(n_frames=6))
    for representation in (f.ACC(), f.SAE(), f.TBR(), f.Tencode(), f.VoxelGrid(n_bins=3)):
        representation(recording)
    np.testing.assert_array_equal(recording.events, before)


@pytest.mark.parametrize(
    "cut",
    [
        lambda r: f.TBRTensor(size=(0, 0))(r),
        lambda r: f.binary_frames(r, n_bins=2, window_us=90_000, size=(0, 8)),
        lambda r: f.slice_frames(r, (np.array([0]), np.array([10])), size=(2, 2)),
        lambda r: f.slice_frames(r, (np.array([0]), np.array([5001]))),
        lambda r: f.slice_frames(r, (np.array([-1]), np.array([10]))),
    ],
)
def test_nothing_is_read_or_written_outside_of_the_arrays(recording, cut):
    with pytest.raises(ValueError, match=r"frames of \d|slices of events"):
        cut(recording)


@pytest.mark.parametrize(
    ("represent", "error"),
    [
        (lambda: f.WindowBinFrames(n_bins=0, window_us=100), EventFormatError),
        (lambda: f.WindowBinFrames(n_bins=4, window_us=3), EventFormatError),
        (lambda: f.OverWindows(image=f.ACC(), window_us=100, hop_us=0), ValueError),
        (lambda: f.SpikingFERFrames(events_per_frame=0), ValueError),
    ],
)
def test_numbers_that_cut_nothing_are_refused(recording, represent, error):
    with pytest.raises(error):
        represent()(recording)
