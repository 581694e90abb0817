"""Pictures of recordings: what is counted, and what other programs find in the files."""

import cv2
import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from snn.events.recording import EVENT_DTYPE, Recording
from spikeface.data.view import count_pictures, save_view
from spikeface.errors import ConfigError, OutputError

SIZE = (12, 9)


def random_events(n, seed=0):
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT_DTYPE)
    events["x"], events["y"] = rng.integers(SIZE[0], size=n), rng.integers(SIZE[1], size=n)
    events["p"], events["t"] = rng.integers(2, size=n), np.sort(rng.integers(1000, 50_000, n))
    return events


def chunks_of(events, size):
    return [Recording(events[k : k + size], SIZE) for k in range(0, len(events), size)]


@pytest.mark.parametrize("chunk", [1, 7, 400, 1000])
@pytest.mark.parametrize("n_pictures", [1, 5, 90])
def test_each_interval_holds_its_events_however_they_come(chunk, n_pictures):
    events = random_events(400)
    edges = np.linspace(events["t"][0], events["t"][-1] + 1, n_pictures + 1)
    counts = np.stack(list(count_pictures(chunks_of(events, chunk), SIZE, edges)))
    columns = np.stack([events[name].astype(float) for name in "tpyx"], axis=1)
    bins = [edges, [0, 1, 2], np.arange(SIZE[1] + 1), np.arange(SIZE[0] + 1)]
    np.testing.assert_array_equal(counts, np.histogramdd(columns, bins)[0])


def test_a_silent_end_still_has_its_pictures():
    edges = np.linspace(0, 1_000_000, 11)
    pictures = list(count_pictures(chunks_of(random_events(50), 50), SIZE, edges))
    assert [int(counts.sum()) for counts in pictures] == [50] + [0] * 9


@pytest.fixture
def view():
    events = random_events(400)

    def save(path, **options):
        first, last = int(events["t"][0]), int(events["t"][-1])
        times = {"first_us": first, "last_us": last}
        return save_view(path, chunks_of(events, 64), sensor_size=SIZE, **times, **options)

    return save


def test_a_strip_is_a_picture_with_both_colours(view, tmp_path):
    path = tmp_path / "new" / "strip.png"
    assert view(path) == pytest.approx(49 / 6, rel=0.02)
    image = matplotlib.image.imread(path)[..., :3]
    for colour in ("#0b62a4", "#e58e00"):
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        assert (np.abs(image - rgb).max(axis=-1) < 0.01).sum() > 50


def test_moving_pictures_hold_as_many_pictures_as_asked_for(view, tmp_path):
    view(tmp_path / "a.gif", n_pictures=7)
    view(tmp_path / "a.mp4", n_pictures=7)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size) == (7, (480, 360))
    movie = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert [movie.read()[0] for _ in range(8)] == [True] * 7 + [False]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_nothing_is_overwritten_and_other_endings_are_refused(view, tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        view(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=r"\.png, a \.gif or an \.mp4"):
        view(tmp_path / "a.webp")
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_a_tall_sensor_is_not_enlarged_by_its_width(tmp_path):
    save_view(tmp_path / "tall.gif", [], sensor_size=(4, 960), first_us=0, last_us=10, n_pictures=2)
    assert Image.open(tmp_path / "tall.gif").size == (4, 960)
    save_view(tmp_path / "tall.png", [], sensor_size=(4, 960), first_us=0, last_us=10)
    width, height = Image.open(tmp_path / "tall.png").size
    assert height < 2 * width


@pytest.mark.parametrize(
    ("size", "n_pictures", "message"),
    [((65536, 65536), None, "too large to draw"), (SIZE, 101, "at most 100 pictures")],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path, size, n_pictures, message
):
    with pytest.raises(ConfigError, match=message):
        save_view(
            tmp_path / "new" / "strip.png",
            [],
            sensor_size=size,
            first_us=0,
            last_us=10,
            n_pictures=n_pictures,
        )
    assert list(tmp_path.iterdir()) == []
