"""Windows as images in memory, and the video frames beside them."""

import dataclasses

import h5py
import numpy as np
import pytest
from PIL import Image

from conversion.images import ImagesConfig, Pictures, window_images
from conversion.tie import tie_image
from conversion.videos import CKVideos, RenderedVideos
from snn.errors import DatasetError
from snn.events.datasets import EventDataset, RenderedFaces, Sample, write_face_set
from snn.events.faces import FaceSetParameters, clip_frames, face_set, render_clip
from snn.events.recording import Recording, make_events

SMALL = FaceSetParameters(
    sensor_size=(32, 32),
    position_jitter_px=1.0,
    train_subjects=2,
    validation_subjects=1,
    test_subjects=1,
    clips_per_class=1,
    classes=("happy", "surprise"),
)


class Made(EventDataset):
    """Recordings made here, on a 32×32 sensor."""

    sensor_size = (32, 32, 2)
    classes = ("a", "b")

    def __init__(self, *recordings):
        self.made = recordings
        super().__init__(
            "made",
            [
                Sample(name=f"r{i}", path=None, label=i % 2, subject=f"s{i}")
                for i in range(len(recordings))
            ],
        )

    def recording(self, index):
        return Recording(self.made[index], (32, 32), source=f"r{index}")


def events_at(*times_us, x=20, y=4):
    n = len(times_us)
    return make_events(np.full(n, x), np.full(n, y), np.array(times_us), np.ones(n, np.int8))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "faces.h5"
    write_face_set(path, SMALL)
    return path


@pytest.mark.parametrize("name", ["demo", "faces-full"])  # the second has moving backgrounds
def test_frames_drawn_later_are_those_that_the_camera_saw(name):
    parameters = dataclasses.replace(face_set(name), sensor_size=(48, 48), duration_ms=200.0)
    if name == "faces-full":
        parameters = dataclasses.replace(parameters, backgrounds=("clutter",))
    key = {"subject": 1, "label": 4, "take": 1}
    clip = render_clip(parameters, **key, keep_frames=True)
    chosen = np.array([30, 3, 17, 0])
    again = clip_frames(parameters, **key, times_us=clip.frame_times_us[chosen])
    assert np.array_equal(again, clip.frames[chosen])


def test_the_frame_of_a_window_is_the_face_at_its_end(faces):
    # At 40 Hz windows end where the camera, at 160 Hz, saw every fourth frame.
    dataset = RenderedFaces(faces)
    videos = RenderedVideos(dataset, frame_rate_hz=40.0)
    windows = window_images(dataset, [1], ImagesConfig(size=32, frame_rate_hz=40.0), videos=videos)
    clip = render_clip(SMALL, subject=0, label=1, take=0, keep_frames=True)
    for number, frame in zip(windows.numbers[:15], windows.frames[:15], strict=True):
        (place,) = np.flatnonzero(clip.frame_times_us == 25_000 * (number + 1))
        assert np.array_equal(frame, clip.frames[place])
    assert windows.names == ("train/1",) and windows.labels.tolist() == [1]


def test_windows_begin_at_the_clips_begin_for_faces_and_at_the_first_event_elsewhere(faces):
    dataset = RenderedFaces(faces)
    events = dataset.recording(0).events
    windows = window_images(dataset, [0], ImagesConfig(size=32))
    by_hand = tie_image(
        events[(events["t"] >= 66_667) & (events["t"] < 100_000)],
        sensor_size=(32, 32),
        config=ImagesConfig(),
    )
    assert np.allclose(windows.images[2], by_hand, atol=1e-3)
    elsewhere = window_images(Made(events_at(50_000, 100_000)), [0], ImagesConfig(size=32))
    assert elsewhere.numbers.tolist() == [0, 1]


def test_first_and_stride_choose_windows_and_every_recording_keeps_one():
    long = events_at(*range(0, 400_000, 10_000))  # windows 0 to 11
    short, silent = events_at(0, 20_000), events_at()
    config = ImagesConfig(size=32, first=2, stride=3)
    windows = window_images(Made(long, short, silent), [0, 1, 2], config)
    assert windows.numbers.tolist() == [2, 5, 8, 11, 0, 0]
    assert windows.recordings.tolist() == [0, 0, 0, 0, 1, 2]
    assert not windows.images[-1].any()
    some = windows.of_recordings(np.array([1, 2]))
    assert some.recordings.tolist() == [0, 1] and some.labels.tolist() == [1, 0]
    assert some.subjects == ("s1", "s2") and len(some) == 2


def test_listed_frames_are_taken_and_must_exist():
    made = Made(events_at(0), events_at(*range(0, 200_000, 10_000)))
    windows = window_images(made, [1], ImagesConfig(size=32), frame_numbers=[(), (1, 4)])
    assert windows.numbers.tolist() == [1, 4]
    with pytest.raises(DatasetError, match=r"r1: frame 9 is asked for.*end in frame 5"):
        window_images(made, [1], ImagesConfig(size=32), frame_numbers=[(), (1, 9)])


def test_a_box_is_cut_from_events_and_frames_alike():
    made = Made(events_at(0, 10_000, 20_000))
    picture = np.zeros((64, 64), np.uint8)
    picture[8, 40] = 200  # the same place as the events, at twice the size
    config = ImagesConfig(size=16, box=(0.5, 0.0, 0.5, 0.5))
    windows = window_images(
        made, [0], config, videos=lambda index, numbers: Pictures([picture] * len(numbers), None)
    )
    assert np.argwhere(windows.images[0].any(axis=0)).tolist() == [[4, 4]]
    assert np.unravel_index(windows.frames[0].argmax(), (16, 16)) == (4, 4)
    # A face box that comes with the video goes before it: here the whole picture.
    whole = window_images(
        made, [0], config, videos=lambda index, numbers: Pictures([picture], (0.0, 0.0, 1.0, 1.0))
    )
    assert np.unravel_index(whole.frames[0].argmax(), (16, 16)) == (2, 10)
    alone = window_images(made, [0], config, boxes=lambda index: (0.0, 0.0, 1.0, 1.0))
    assert alone.frames is None and np.array_equal(alone.images, whole.images)


def test_recordings_that_are_upside_down_are_turned():
    windows = window_images(
        Made(events_at(0, 10_000, 20_000)), [0], ImagesConfig(size=32, upside_down=True)
    )
    assert np.argwhere(windows.images[0].any(axis=0)).tolist() == [[27, 11]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 8}, "size must lie in"),
        ({"stride": 0}, "stride at least 1"),
        ({"box": (0.5, 0.0, 0.6, 1.0)}, "box is x, y, width, height"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(DatasetError, match=message):
        ImagesConfig(**values)


def test_a_set_that_its_parameters_do_not_give_has_no_video(faces, tmp_path):
    for change, message in (("labels", "not in the order"), ("x", "not what this version renders")):
        path = tmp_path / f"{change}.h5"
        path.write_bytes(faces.read_bytes())
        with h5py.File(path, "a") as file:
            column = file[f"train/{change}"]
            column[0] = 1 - column[0] if change == "labels" else (column[0] + 1) % 32
        with pytest.raises(DatasetError, match=message):
            RenderedVideos(RenderedFaces(path), frame_rate_hz=30.0)


class Sequences:
    samples = (Sample(name="S005_001", path=None, label=0, subject="S005"),)


def test_frame_k_of_the_list_is_image_k_plus_2_of_ckplus(tmp_path):
    folder = tmp_path / "S005" / "001"
    folder.mkdir(parents=True)
    face = clip_frames(
        dataclasses.replace(face_set("demo"), sensor_size=(160, 160)),
        subject=0, label=4, take=0, times_us=np.zeros(1, int),
    )[0]  # fmt: skip
    for number in range(1, 6):
        picture = face.copy()
        picture[0, 0] = 10 * number
        Image.fromarray(picture).save(folder / f"S005_001_{number:08d}.png")
    videos = CKVideos(Sequences, tmp_path)
    pictures = videos(0, np.array([1, 3]))
    assert [frame[0, 0] for frame in pictures.frames] == [30, 50]
    x, y, width, height = pictures.box
    assert 0 < x < 0.5 and 0 < y < 0.5 and 0.4 < width < 1 and width == height
    with pytest.raises(DatasetError, match=r"S005_001_00000006\.png: there is no such image"):
        videos(0, np.array([4]))
    (folder / "S005_001_00000003.png").write_bytes(b"GIF89a")
    with pytest.raises(DatasetError, match="not readable as an image"):
        videos(0, np.array([1]))


def test_a_picture_without_a_face_is_named(tmp_path):
    folder = tmp_path / "S005" / "001"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((120, 120), 90, np.uint8)).save(folder / "S005_001_00000002.png")
    with pytest.raises(DatasetError, match=r"S005_001_00000002\.png: no face was found"):
        CKVideos(Sequences, tmp_path)(0, np.array([0]))
    with pytest.raises(DatasetError, match="no such folder"):
        CKVideos(Sequences, tmp_path / "none")
