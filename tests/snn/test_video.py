"""Reading videos and folders: against frames written by OpenCV, and everything that goes wrong."""

import cv2
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.video import VideoInfo, image_files, open_video


def colour_frames(n=5, height=48, width=64):
    rng = np.random.default_rng(0)
    return [
        cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)
        for _ in range(n)
    ]


def write_video(path, frames, fps=25.0, codec="FFV1"):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec}")
    for frame in frames:
        writer.write(frame)
    writer.release()


def test_a_video_file_is_resized_before_it_turns_grey(tmp_path):
    frames = colour_frames()
    write_video(tmp_path / "clip.avi", frames)
    video = open_video(tmp_path / "clip.avi", size=(24, 20))
    assert video.info == VideoInfo(5, 25.0, 64, 48)
    read = list(video)
    assert len(read) == 5
    for frame, original in zip(read, frames, strict=True):
        small = cv2.resize(original, (24, 20), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(frame, cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
    np.testing.assert_array_equal(list(video), read, err_msg="a second pass reads anew")


def test_a_given_rate_replaces_that_of_the_file(tmp_path):
    write_video(tmp_path / "clip.avi", colour_frames(2))
    assert open_video(tmp_path / "clip.avi", fps=240.0).info.fps == 240.0


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((4, 6), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".frame0.png").write_bytes(b"hidden")
    video = open_video(tmp_path, fps=30.0)
    assert [int(frame[0, 0]) for frame in video] == [1, 2, 10, 11]
    assert video.info == VideoInfo(4, 30.0, 6, 4)
    assert video.size == (6, 4)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm"])
def test_image_formats(tmp_path, suffix):
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), grey)
    np.testing.assert_array_equal(next(iter(open_video(tmp_path, fps=1.0))), grey)


def test_grey_and_colour_files_of_one_picture_are_the_same_frame(tmp_path):
    grey = np.random.default_rng(1).integers(0, 256, (33, 47), np.uint8)
    cv2.imwrite(str(tmp_path / "0.png"), grey)
    cv2.imwrite(str(tmp_path / "1.png"), cv2.merge([grey, grey, grey]))
    first, second = open_video(tmp_path, fps=1.0, size=(16, 11))
    np.testing.assert_array_equal(first, second)


def test_16_bit_images_give_their_upper_bits(tmp_path, caplog):
    deep = np.array([[0, 255, 256], [40000, 65535, 511]], np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    assert next(iter(open_video(tmp_path, fps=1.0))).tolist() == [[0, 0, 1], [156, 255, 1]]
    assert not caplog.records
    cv2.imwrite(str(tmp_path / "a.png"), deep // 64)
    open_video(tmp_path, fps=1.0)
    assert "16-bit image whose largest value is 1023" in caplog.text


def test_float_images_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.ones((4, 4), np.float32))
    with pytest.raises(EventFormatError, match=r"a\.tif: pixels are float32"):
        open_video(tmp_path, fps=1.0)


def test_a_frame_of_another_size_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((4, 6), np.uint8))
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((6, 4), np.uint8))
    with pytest.raises(EventFormatError, match=r"1\.png has 4×6 pixels, the first frame 6×4"):
        list(open_video(tmp_path, fps=30.0))


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_frame_is_named(tmp_path):
    data = cv2.imencode(".png", colour_frames(1)[0])[1].tobytes()
    (tmp_path / "0.png").write_bytes(data)
    (tmp_path / "1.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "2.png").write_bytes(b"")
    frames = iter(open_video(tmp_path, fps=30.0))
    next(frames)
    with pytest.raises(EventFormatError, match=r"1\.png: not an image that can be decoded"):
        next(frames)
    (tmp_path / "1.png").unlink()
    with pytest.raises(EventFormatError, match=r"2\.png: not an image"):
        list(open_video(tmp_path, fps=30.0))


def test_sources_that_are_none(tmp_path):
    with pytest.raises(EventFormatError, match="no such video"):
        open_video(tmp_path / "missing.mp4")
    with pytest.raises(EventFormatError, match="no images in this folder"):
        open_video(tmp_path, fps=30.0)
    (tmp_path / "junk.avi").write_bytes(b"not a video" * 50)
    with pytest.raises(EventFormatError, match=r"junk\.avi: not a video that OpenCV"):
        open_video(tmp_path / "junk.avi")
    cv2.imwrite(str(tmp_path / "one_1.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(EventFormatError, match="single image; give the folder"):
        open_video(tmp_path / "one_1.png", fps=30.0)
    with pytest.raises(EventFormatError, match="has no frame rate; give one"):
        open_video(tmp_path)
    with pytest.raises(EventFormatError, match="given frame rate is nan"):
        open_video(tmp_path, fps=float("nan"))
    with pytest.raises(EventFormatError, match="1 to 65536 pixels a side"):
        open_video(tmp_path, fps=30.0, size=(0, 5))


def test_a_file_that_ends_early_is_said(tmp_path, caplog):
    write_video(tmp_path / "clip.avi", colour_frames(40), codec="MJPG")
    data = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(data[: len(data) // 2])
    read = list(open_video(tmp_path / "clip.avi"))
    assert 0 < len(read) < 40
    assert f"only {len(read)} of 40 frames could be read" in caplog.text


def test_image_files_ignore_case_of_the_suffix(tmp_path):
    for name in ("B2.PNG", "b10.png", "a.jpg"):
        (tmp_path / name).touch()
    assert [file.name for file in image_files(tmp_path)] == ["a.jpg", "B2.PNG", "b10.png"]
