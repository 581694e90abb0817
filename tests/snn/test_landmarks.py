"""Landmark files as others write them, checks that refuse, gaps, and the optional detector."""

import re
import sys
import zipfile

import numpy as np
import pytest

from snn.errors import DatasetError, EventFormatError
from snn.events.landmarks import (
    check_landmarks,
    detect_landmarks,
    fill_gaps,
    ibug_from_mesh,
    read_landmarks,
    smooth_landmarks,
)

# A face of 68 points in iBUG's order, about 120 pixels wide, drawn by hand: (x, y) per group.
JAW = [(100 + 7.5 * k, 100 + 110 * np.sin(np.pi * k / 16)) for k in range(17)]
BROWS = [(x, 80) for x in (112, 120, 128, 136, 144, 176, 184, 192, 200, 208)]
NOSE = [(160, y) for y in (98, 110, 122, 134)] + [(x, 142) for x in (150, 155, 160, 165, 170)]
EYES = [
    *[(120, 100), (126, 96), (134, 96), (140, 100), (134, 103), (126, 103)],
    *[(180, 100), (186, 96), (194, 96), (200, 100), (194, 103), (186, 103)],
]
LIPS = [(160 + 22 * np.cos(a), 168 + 8 * np.sin(a)) for a in np.pi * (1 + np.arange(12) / 6)]
LIPS += [(160 + 16 * np.cos(a), 168 + 3 * np.sin(a)) for a in np.pi * (1 + np.arange(8) / 4)]
FACE = np.array(JAW + BROWS + NOSE + EYES + LIPS, np.float64)


def moved(points, x, y):
    return points + np.array([x, y])


TRACK = np.stack([FACE, moved(FACE, 2, 1), moved(FACE, 4, 2)])

OPENFACE_NAMES = [
    *["frame", " face_id", " timestamp", " confidence", " success"],
    *[f" x_{k}" for k in range(68)],
    *[f" y_{k}" for k in range(68)],
]


def ck_text(points):
    """As CK+ writes a frame: three blanks, seven decimals, scientific notation."""
    return "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)


def pts_text(points):
    return "version: 1\nn_points: 68\n{\n" + "".join(f"{x} {y}\n" for x, y in points) + "}\n"


def openface_text(track, frames, success):
    rows = [", ".join(OPENFACE_NAMES).replace(",  ", ", ")]
    for points, frame, found in zip(track, frames, success, strict=True):
        numbers = [frame, 0, frame / 30, 0.98, found, *points[:, 0], *points[:, 1]]
        rows.append(", ".join(f"{number:g}" for number in numbers))
    return "\n".join(rows) + "\n"


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_the_face_of_these_tests_is_one():
    assert FACE.shape == (68, 2)
    check_landmarks(TRACK, image_size=(320, 240))


def test_ck_folder(write):
    for number, points in enumerate(TRACK, 1):
        path = write(f"S005/001/S005_001_{number:08d}_landmarks.txt", ck_text(points))
    landmarks = read_landmarks(path.parent, n_frames=3, image_size=(320, 240))
    np.testing.assert_allclose(landmarks, TRACK, rtol=1e-7)


def test_files_of_a_folder_are_in_natural_order(write):
    for number, shift in ((2, 2.0), (10, 10.0), (9, 9.0)):
        path = write(f"pts/frame{number}.pts", pts_text(FACE + shift))
    landmarks = read_landmarks(path.parent, n_frames=3)
    np.testing.assert_allclose(landmarks[:, 0, 0] - FACE[0, 0], [2, 9, 10])


def test_a_number_without_a_file_is_a_frame_without_a_face(write):
    for number, points in ((1, FACE), (2, FACE + 1), (4, FACE + 3)):
        path = write(f"txt/S1_{number:04d}.txt", ck_text(points))
    landmarks = read_landmarks(path.parent, n_frames=4)
    np.testing.assert_allclose(landmarks[:, 0, 0] - FACE[0, 0], [0, 1, 2, 3])
    with pytest.raises(EventFormatError, match="1 frames in a row, from frame 2"):
        read_landmarks(path.parent, n_frames=4, max_gap_frames=0)
    # Three images of a thinned-out video go with three files of the same numbers.
    assert len(read_landmarks(path.parent, n_frames=3, max_gap_frames=0)) == 3


@pytest.mark.parametrize(
    "text",
    [
        pts_text(FACE),
        pts_text(FACE).replace("n_points:", "npoints: "),
        pts_text(FACE).replace("\n}", "}"),  # dlib's example closes behind the last point
        pts_text(FACE).replace("\n", "\r\n"),
        pts_text(FACE) + "pose: eul_x, eul_y, eul_z:\n{\n-0.19 -0.08 0.09\n}\n",
    ],
)
def test_pts_file(write, text):
    np.testing.assert_allclose(read_landmarks(write("a.pts", text)), FACE[None])


def test_table_without_names(tmp_path, write):
    np.savetxt(tmp_path / "a.csv", TRACK.reshape(3, 136), delimiter=",")
    np.savetxt(tmp_path / "a.txt", TRACK.reshape(3, 136))
    for name in ("a.csv", "a.txt"):
        np.testing.assert_allclose(read_landmarks(tmp_path / name, n_frames=3), TRACK)
    text = (tmp_path / "a.csv").read_text().splitlines()
    text[1] = "," * 135  # an empty row of a spreadsheet
    np.testing.assert_allclose(read_landmarks(write("gap.csv", "\n".join(text))), TRACK)


def test_openface_table(write):
    path = write("of.csv", openface_text(TRACK, (1, 2, 3), (1, 1, 1)))
    np.testing.assert_allclose(read_landmarks(path, n_frames=3), TRACK, atol=1e-3)


@pytest.mark.parametrize(
    ("frames", "success"), [((1, 2, 3), (1, 0, 1)), ((1, 3), (1, 1))], ids=["success", "frame"]
)
def test_openface_frames_without_success_are_filled(write, frames, success):
    track = np.stack([TRACK[frame - 1] for frame in frames])
    track[1:-1] = 0.0  # what OpenFace writes then
    path = write("of.csv", openface_text(track, frames, success))
    np.testing.assert_allclose(read_landmarks(path, n_frames=3), TRACK, atol=1e-3)


def test_two_faces_in_an_openface_table_are_refused(write):
    path = write("of.csv", openface_text(TRACK, (1, 2, 2), (1, 1, 1)))
    with pytest.raises(EventFormatError, match=r"of\.csv, line 4: frame 2 follows frame 2"):
        read_landmarks(path)


def test_numpy_files(tmp_path):
    np.save(tmp_path / "all.npy", TRACK.astype(np.float32))
    np.save(tmp_path / "one.npy", FACE)
    np.savez(tmp_path / "named.npz", landmarks=TRACK, other=np.zeros(3))
    np.savez_compressed(tmp_path / "single.npz", TRACK)
    for name, expected in (
        ("all", TRACK),
        ("named", TRACK),
        ("single", TRACK),
        ("one", FACE[None]),
    ):
        path = next(tmp_path.glob(f"{name}.np*"))
        np.testing.assert_allclose(read_landmarks(path), expected, rtol=1e-6)


def test_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], object), allow_pickle=True)
    with pytest.raises(EventFormatError, match=r"a\.npy.*no readable array"):
        read_landmarks(tmp_path / "a.npy")


def test_other_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", TRACK[:, :51])
    with pytest.raises(EventFormatError, match=r"a\.npy: expected .*got \(3, 51, 2\)"):
        read_landmarks(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", x=TRACK, y=TRACK)
    with pytest.raises(EventFormatError, match=r"b\.npz: expected an array 'landmarks'"):
        read_landmarks(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"PK no zip")
    with pytest.raises(EventFormatError, match=r"c\.npz"):
        read_landmarks(tmp_path / "c.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("snn.events.landmarks.files.MAX_BYTES", 100_000)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("landmarks.npy", b"\0" * 200_000)
    with pytest.raises(EventFormatError, match=r"bomb\.npz: unpacks to more"):
        read_landmarks(path)


LINES = ck_text(FACE).splitlines()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "\n".join(LINES[:67]), "67 points, the last in line 67; expected 68"),
        ("a.txt", "\n".join([*LINES[:4], "1.0 abc", *LINES[5:]]), "line 5: 'abc' is no number"),
        ("a.txt", "\n".join([*LINES[:4], "1 2 3", *LINES[5:]]), "line 5: 3 numbers; expected 2"),
        ("a.txt", "\n".join([*LINES[:4], "inf 1", *LINES[5:]]), "line 1: a coordinate is infinite"),
        ("a.pts", pts_text(FACE).replace(": 68", ": 49"), "line 2: 49 points; expected 68"),
        ("a.csv", "1,2,3\n", "line 1: 3 numbers"),
        ("a.csv", "frame,x_0,y_0\n1,2,3\n", "line 1: there is no column 'x_1'"),
        ("a.csv", openface_text(TRACK, (1, 2, 3), (1, 1, 1))[:-12], "line 4: .* cells under 141"),
        ("a.txt", "", "there are no points in it"),
        ("a.mat", "x", "no reader for .mat"),
    ],
    ids=str.split("count number width infinite header columns names truncated empty ending"),
)
def test_errors_name_file_and_line(write, name, text, message):
    with pytest.raises(EventFormatError, match=f"{re.escape(name)}.*{message}"):
        read_landmarks(write(name, text))


def test_missing_and_empty_places(tmp_path):
    with pytest.raises(EventFormatError, match=r"none\.txt: there is no such file"):
        read_landmarks(tmp_path / "none.txt")
    with pytest.raises(EventFormatError, match=r"there are no \.txt or \.pts files"):
        read_landmarks(tmp_path)


def mirrored(points):
    return points * (-1, 1) + (320, 0)


@pytest.mark.parametrize(
    ("track", "message"),
    [
        (TRACK[:2], "of 2 frames for a video of 3"),
        (np.full_like(TRACK, np.nan), "no frame has landmarks"),
        (moved(TRACK, 0, 300), "outside the 320×240 image"),
        (TRACK / (320, 240), "in pixels, not normalised"),
        (np.zeros_like(TRACK), "less than 4 pixels apart"),
        (mirrored(TRACK), "mirrored or not in the order"),
        (TRACK * 1j, "expected numbers of shape"),
        (TRACK[:, :66], "expected numbers of shape"),
    ],
)
def test_points_of_no_face_are_refused(track, message):
    with pytest.raises(EventFormatError, match=message):
        check_landmarks(track, n_frames=3, image_size=(320, 240))


def test_a_rolled_or_overlapping_face_is_one():
    for angle in np.deg2rad((-100, -40, 60)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        check_landmarks((FACE[None] - FACE[30]) @ turn.T)
    check_landmarks(TRACK - (130, 0), image_size=(320, 240))  # the jaw 30 pixels outside


def test_the_first_wrong_frame_is_named():
    track = TRACK.copy()
    track[1] = 0.0
    with pytest.raises(EventFormatError, match="frame 1: the outer corners"):
        check_landmarks(track)


def test_gaps_are_filled_on_a_straight_line():
    track = np.full((7, 68, 2), np.nan)
    track[[0, 1, 4, 6]] = [FACE, FACE + 1, moved(FACE, 7, 4), FACE]
    original = track.copy()
    track[2, 5] = 0.0  # one known point does not make a known frame
    filled = fill_gaps(track, max_gap_frames=2)
    np.testing.assert_allclose(filled[2], moved(FACE, 3, 2))
    np.testing.assert_allclose(filled[3], moved(FACE, 5, 3))
    np.testing.assert_allclose(filled[5], moved(FACE, 3.5, 2))
    np.testing.assert_array_equal(filled[[0, 1, 4, 6]], original[[0, 1, 4, 6]])
    assert np.isnan(track[3]).all()  # the caller's array is as it was
    with pytest.raises(EventFormatError, match="2 frames in a row, from frame 2; at most 1"):
        fill_gaps(track, max_gap_frames=1)


def test_gaps_at_the_ends_have_nothing_to_go_by():
    track = np.concatenate([np.full((1, 68, 2), np.nan), TRACK])
    with pytest.raises(EventFormatError, match="landmarks only in frames 1 to 3 of 4"):
        fill_gaps(track)


def test_smoothing_is_a_mean_with_gaussian_weights():
    track = np.tile(FACE, (7, 1, 1))
    track[3] += 1.0
    smooth = smooth_landmarks(track, sigma_frames=1.0)[:, 5] - FACE[5]
    # exp(-d²/2) for d = -3..3 sums to 2.505951; frame 0 has only the weights of d = 0..3, 1.752976.
    expected = [0.011109 / 1.752976, 0.135335 / 2.359507, 0.606531 / 2.494842, 1 / 2.505951]
    np.testing.assert_allclose(smooth[:, 0], [*expected, *expected[-2::-1]], atol=1e-6)
    np.testing.assert_array_equal(smooth_landmarks(track, sigma_frames=0), track)


def test_smoothing_keeps_what_does_not_move_and_refuses_gaps():
    still = np.tile(FACE, (4, 1, 1))
    np.testing.assert_allclose(smooth_landmarks(still, sigma_frames=50.0), still)
    still[1, 0] = np.nan
    with pytest.raises(EventFormatError, match="fill_gaps"):
        smooth_landmarks(still, sigma_frames=1.0)
    with pytest.raises(DatasetError, match="0 or more, got -1"):
        smooth_landmarks(TRACK, sigma_frames=-1.0)


def test_mesh_vertices_of_a_symmetric_face_are_symmetric():
    # Vertices of MediaPipe's mesh that mirror each other, as its published contours pair them.
    pairs = {127: 356, 58: 288, 176: 400, 70: 300, 107: 336, 98: 327, 33: 263, 133: 362, 61: 291}
    mesh = np.zeros((468, 2))
    for left, right in pairs.items():
        mesh[left], mesh[right] = (-left, 1), (left, 1)
    points = ibug_from_mesh(mesh)
    for left, right in ((0, 16), (4, 12), (7, 9), (17, 26), (21, 22), (31, 35), (36, 45), (39, 42)):
        assert points[left, 0] == -points[right, 0] != 0
        assert points[left, 1] == points[right, 1] == 1
    assert points[48, 0] == -points[54, 0] == -61
    with pytest.raises(EventFormatError, match="expected a mesh"):
        ibug_from_mesh(mesh[:68])


def test_without_mediapipe_the_error_names_the_extra(monkeypatch):
    for name in [*sys.modules]:
        if name.split(".")[0] == "mediapipe":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(DatasetError, match=r"mediapipe==0\.10\.14.*spikeface\[landmarks\]"):
        detect_landmarks([np.zeros((10, 10), np.uint8)])


def test_gaps_of_arrays_in_fortran_order_are_filled(tmp_path):
    track = np.asfortranarray(TRACK)
    track[1] = np.nan
    np.testing.assert_allclose(fill_gaps(track), TRACK)
    np.save(tmp_path / "track.npy", track)
    np.testing.assert_allclose(read_landmarks(tmp_path / "track.npy"), TRACK)


def test_a_frame_number_beyond_64_bits(tmp_path):
    row = ["1e300", "0", "0", "1", "1", *(f"{v:.3f}" for v in FACE.T.ravel())]
    path = tmp_path / "faces.csv"
    path.write_text(",".join(OPENFACE_NAMES) + "\n" + ",".join(row) + "\n")
    assert read_landmarks(path).shape == (1, 68, 2)


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "faces.npz"
    np.savez_compressed(path, landmarks=np.random.default_rng(0).normal(size=(9, 68, 2)))
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        path.write_bytes(whole[:position] + b"\xff\xff" + whole[position + 2 :])
        with pytest.raises(EventFormatError, match=re.escape(str(path))):
            read_landmarks(path)


def test_an_archive_that_claims_too_much_is_refused(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**13, 68, 2)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(EventFormatError, match="no readable array"):
        read_landmarks(tmp_path / "a.npz")
