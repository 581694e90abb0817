"""Files of others' layouts and files that are none: read as said, or refused in words."""

import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import (
    TableLayout,
    describe,
    read_recording,
    read_windows,
    write_recording,
)
from snn.events.recording import EVENT_DTYPE, make_events

DATA = Path(__file__).parents[3] / "shared" / "data"
AEDAT4 = DATA / "recordings" / "sample.aedat4"
V2E = DATA / "v2e" / "clean.h5"


# -- layouts of others -----------------------------------------------------------------------------


def test_disorder_and_outside_are_errors_unless_asked(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, make_events([1, 9, 2, 3], [0, 0, 0, 0], [30, 40, 20, 50], [1, 1, 0, 1]))
    with pytest.raises(EventFormatError, match=r"a\.npy: time runs backwards after event 1"):
        read_recording(path)
    with pytest.raises(EventFormatError, match="outside the 4×4 sensor"):
        read_recording(path, sensor_size=(4, 4), on_disorder="sort")
    ordered = read_recording(path, sensor_size=(4, 4), on_disorder="sort", on_outside="drop")
    np.testing.assert_array_equal(ordered.events["t"], [20, 30, 50])
    np.testing.assert_array_equal(ordered.events["x"], [2, 1, 3])
    clamped = read_recording(path, on_disorder="clamp")
    np.testing.assert_array_equal(clamped.events["t"], [30, 40, 40, 50])
    assert describe(path, sensor_size=(4, 4)).report.problems() == [
        "1 events lie outside the sensor",
        "time runs backwards 1 times, by up to 20 µs",
    ]
    with pytest.raises(EventFormatError, match="on_disorder must be one of"):
        read_recording(path, on_disorder="repair")


def test_tables_are_asked_about_not_guessed(tmp_path):
    path = tmp_path / "eck.npy"  # as e-CK+: x, y, t in seconds, p in {-1, +1}
    np.save(path, np.array([[3, 4, 0.25, -1], [5, 6, 0.5000005, 1]]))
    with pytest.raises(EventFormatError, match="say which they are, as in columns='xytp'"):
        read_recording(path)
    with pytest.raises(EventFormatError, match="unit is not stated"):
        read_recording(path, layout=TableLayout(columns="xytp"))
    with pytest.raises(EventFormatError, match="another order"):
        read_recording(path, layout=TableLayout(columns="txyp", time_unit="s"))
    events = read_recording(path, layout=TableLayout(columns="xytp", time_unit="s")).events
    assert events.tolist() == [(3, 4, 250_000, 0), (5, 6, 500_000, 1)]
    with pytest.raises(EventFormatError, match="letters x, y, t, p"):
        TableLayout(columns="xyt")
    with pytest.raises(EventFormatError, match="time_unit"):
        TableLayout(time_unit="min")


@pytest.mark.parametrize(
    "dtype",
    [
        [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")],  # tonic.io's default
        [("t", ">i8"), ("x", "i4"), ("y", "i4"), ("p", "i1")],
        [("timestamp", "i8"), ("x", "u2"), ("y", "u2"), ("polarity", "u1")],
    ],
)
def test_structured_arrays_by_field_name(tmp_path, dtype):
    names = {"timestamp": 7, "t": 7, "x": 3, "y": 4, "p": 1, "polarity": 1}
    np.save(tmp_path / "a.npy", np.array([tuple(names[n] for n, _ in dtype)], dtype))
    assert read_recording(tmp_path / "a.npy").events.tolist() == [(3, 4, 7, 1)]
    np.savez(tmp_path / "a.npz", x=[3], y=[4], ts=[7], pol=[-1])
    assert read_recording(tmp_path / "a.npz").events.tolist() == [(3, 4, 7, 0)]


@pytest.mark.parametrize(
    ("text", "layout", "expected"),
    [
        ("t,x,y,p\n7,3,4,1\n", {}, (3, 4, 7, 1)),
        ("x;y;polarity;t_ms\r\n3;4;0;0.25\r\n", {}, (3, 4, 250, 0)),
        ("time [s] ,x,y,p\n1.5e-6,3,4,-1", {}, (3, 4, 2, 0)),
        ("# t x y p\n7 3 4 1\n", {}, (3, 4, 7, 1)),
        ("240 180\n0.000001 3 4 1\n", {"columns": "txyp", "time_unit": "s"}, (3, 4, 1, 1)),
        ("#!events.txt\n# by v2e\n0.25 3 4 0\n", {"columns": "txyp", "time_unit": "s"},
         (3, 4, 250_000, 0)),
        ("3,4,1,7\n", {"columns": "xypt"}, (3, 4, 7, 1)),
        ("t,x@346,y@260,on\n7,3,4,1\n", {}, (3, 4, 7, 1)),
    ],
)  # fmt: skip
def test_text_files(tmp_path, text, layout, expected):
    path = tmp_path / "a.txt"
    path.write_text(text, newline="")
    recording = read_recording(path, layout=TableLayout(**layout))
    assert recording.events.tolist() == [expected]
    stated = {"240": (240, 180), "t,x@": (346, 260)}.get(text[: 3 if text[0] == "2" else 4])
    assert recording.sensor_size == (stated or (4, 5))


def test_hdf5_layouts_of_others(tmp_path):
    events = np.array(
        [(3, 4, 1, 7), (5, 6, 0, 9)], [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")]
    )
    with h5py.File(tmp_path / "prophesee.hdf5", "w") as file:
        file["CD/events"] = events
    assert read_recording(tmp_path / "prophesee.hdf5").events.tolist() == [
        (3, 4, 7, 1),
        (5, 6, 9, 0),
    ]
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for name in "xytp":
            file[f"events/{name}"] = events[name]
        file["t_offset"] = 1000
    assert read_recording(tmp_path / "dsec.h5").events["t"].tolist() == [1007, 1009]


# -- broken and hostile files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7 3 4 1\n", "say which they are, as in columns='txyp'"),
        ("t,x,y\n7,3,4\n", r"its header names \['t', 'x', 'y'\]"),
        ("t,x,y,p\n0.5,3,4,1\n", "unit is not stated"),
        ("t,x,y,p\n5,3,4\n", "expected 4 numbers in a line, found 3"),
        ("t,x,y,p\n5,3,4,1\n5,3,four,1\n", "does not hold the numbers of an event"),
        ("t,x,y,p\n5,3,4,1\n6,3,4,-1\n6,3,4,0\n", "polarities must be"),
        ("t,x,y,p\n5,3.5,4,1\n", "whole numbers"),
        ("t,x,y,p\nnan,3,4,1\n", "not finite"),
        ("t,t_us,x,y,p\n5,5,3,4,1\n", "two fields"),
        ("x" * 10_000, "not a text file"),
        ("t,x,y,p\n" + "1" * 10_000, "not a text file"),
    ],
)
def test_foreign_text(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(EventFormatError, match=message):
        read_recording(path)


@pytest.mark.skipif(not V2E.exists(), reason=f"{V2E.name} is not at hand")
@pytest.mark.parametrize("keep", [0, 500, 20_000])
def test_truncated_hdf5(tmp_path, keep):
    path = tmp_path / "cut.h5"
    path.write_bytes(V2E.read_bytes()[:keep])
    with pytest.raises(EventFormatError, match=r"cut\.h5: cannot be read, is it truncated"):
        read_recording(path)


def test_foreign_and_missing_files(tmp_path):
    with pytest.raises(EventFormatError, match="no such file"):
        read_recording(tmp_path / "none.bin")
    with pytest.raises(EventFormatError, match=r"no reader for \.mp4"):
        read_recording(tmp_path / "film.mp4")
    (tmp_path / "odd.bin").write_bytes(b"abc")
    with pytest.raises(EventFormatError, match="not a whole number of 5-byte events"):
        read_recording(tmp_path / "odd.bin")
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(EventFormatError, match="is empty"):
        read_recording(tmp_path / "empty.bin")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((5, 3), np.uint32), r"shape \(n, 4\)"),
        (np.zeros((5, 4), np.float32), "must be integers"),
        (np.array([[0, 0, 0, 7]], np.uint32), "polarities"),
        (np.array([[0, 90_000, 0, 1]], np.uint32), "addresses"),
        (np.array([[9, 0, 0, 1], [3, 0, 0, 1]], np.uint32), "runs backwards"),
    ],
)
def test_foreign_tables(tmp_path, table, message):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["events"] = table
    with pytest.raises(EventFormatError, match=message):
        read_recording(tmp_path / "x.h5")


def test_wrong_sensor_size(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["events"] = np.array([[0, 30, 5, 1]], np.uint32)
    with pytest.raises(EventFormatError, match="outside the 20×20 sensor"):
        read_recording(tmp_path / "x.h5", sensor_size=(20, 20))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda f: f.create_dataset("events", (1 << 40, 4), "u4", chunks=(512, 4)), "not store as"),
        (lambda f: f.create_dataset("events", (1 << 40, 4), "u4"), "not store as many"),
        (
            lambda f: f.create_dataset("events", (1, 4), "u4", chunks=(1 << 26, 4),
                                       maxshape=(None, 4)),
            "stored in chunks of",
        ),
        (lambda f: f.__setitem__("events", h5py.SoftLink("/elsewhere")), "is a link|expected a"),
        (lambda f: f.__setitem__("events", h5py.ExternalLink("o.h5", "/a")), "is a link|expec"),
    ],
)  # fmt: skip
def test_hdf5_declarations_are_checked(tmp_path, build, message):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        build(file)
    with pytest.raises(EventFormatError, match=message):
        read_recording(tmp_path / "x.h5")


def test_prophesees_codec_is_named(tmp_path):
    path = tmp_path / "x.h5"
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((16,))
    plist.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
    dtype = h5py.h5t.py_create(np.dtype([("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")]))
    with h5py.File(path, "w") as file:
        group = file.create_group("CD")
        space = h5py.h5s.create_simple((16,))
        h5py.h5d.create(group.id, b"events", dtype, space, plist)
    with pytest.raises(EventFormatError, match=r"ECF codec.*export it as EVT3"):
        read_recording(path)


def test_contents_against_endings(tmp_path, recording):
    write_recording(tmp_path / "a.npz", recording)
    (tmp_path / "a.npz").rename(tmp_path / "a.csv")
    with pytest.raises(EventFormatError, match=r"named \.csv but holds NPZ; give it the ending"):
        read_recording(tmp_path / "a.csv")
    (tmp_path / "old.aedat4").write_bytes(b"#!AER-DAT2.0\r\n# This is a raw AE data file")
    with pytest.raises(EventFormatError, match="AEDAT 2 and 3 are not read"):
        read_recording(tmp_path / "old.aedat4")
    (tmp_path / "x.raw").write_bytes(b"% evt 2.1\n" + bytes(8))
    with pytest.raises(EventFormatError, match=r"Export EVT 2\.1 and others as EVT 3\.0"):
        read_recording(tmp_path / "x.raw")


def test_numpy_files_are_checked_before_they_are_read(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(EventFormatError, match="expected numbers"):
        read_recording(tmp_path / "o.npy")
    header = {"descr": np.lib.format.dtype_to_descr(EVENT_DTYPE), "fortran_order": False}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (1 << 50,)})
    with pytest.raises(EventFormatError, match="declares the shape"):
        read_recording(tmp_path / "huge.npy")
    np.save(tmp_path / "f.npy", np.asfortranarray(np.zeros((3, 4))))
    with pytest.raises(EventFormatError, match="column by column"):
        read_recording(tmp_path / "f.npy", layout=TableLayout(columns="xytp"))


def test_zip_bombs_stop_at_the_limit_of_events(tmp_path, monkeypatch):
    monkeypatch.setattr("snn.events.formats.reading.MAX_EVENTS", 1_000_000)
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("events.npy", "w") as file,
    ):
        np.lib.format.write_array(file, np.zeros(2_000_000, EVENT_DTYPE))
    assert path.stat().st_size < 100_000
    with pytest.raises(EventFormatError, match=r"more than 1000000 events.*read it in windows"):
        read_recording(path)
    assert sum(len(part) for part in read_windows(path, max_events=300_000)) == 2_000_000


@pytest.mark.skipif(not AEDAT4.exists(), reason=f"{AEDAT4.name} is not at hand")
def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(EventFormatError, match="pip install lz4"):
        read_recording(AEDAT4)
