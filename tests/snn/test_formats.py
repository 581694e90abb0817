"""Readers on the real files against other libraries, and what they say about bad files."""

import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import (
    TableLayout,
    convert,
    describe,
    read_recording,
    read_windows,
    write_recording,
)
from snn.events.formats.reading import open_stream
from snn.events.recording import EVENT_DTYPE, Recording, make_events

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = DATA / "recordings" / "faces_easy_0001.bin"
EVT2 = DATA / "recordings" / "evt2.raw"
AEDAT4 = DATA / "recordings" / "sample.aedat4"
V2E = DATA / "v2e" / "clean.h5"
WRITTEN = [".h5", ".npz", ".npy", ".csv", ".txt", ".raw", ".bin"]


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not at hand")


def peer(name):
    return pytest.importorskip(name, reason=f"{name} is an independent reader, for tests only")


def assert_same(ours, theirs, names=("x", "y", "t", "p")):
    assert len(ours) == len(theirs) > 0
    for name, other in zip("xytp", names, strict=True):
        np.testing.assert_array_equal(ours[name], theirs[other].astype(np.int64))


@pytest.fixture
def recording():
    rng = np.random.default_rng(3)
    n = 4000
    t = np.sort(rng.integers(5, 8_000_000, n))
    events = make_events(rng.integers(0, 90, n), rng.integers(0, 70, n), t, rng.integers(0, 2, n))
    return Recording(events, (100, 80))


@needs(REAL)
def test_nmnist_equals_tonic():
    theirs = peer("tonic.io").read_mnist_file(str(REAL), dtype=EVENT_DTYPE)
    ours = read_recording(REAL)
    assert len(ours) == 67_445
    assert ours.sensor_size == (151, 173)
    assert_same(ours.events, theirs)


@needs(EVT2)
def test_evt2_equals_expelliarmus():
    theirs = peer("expelliarmus").Wizard(encoding="evt2").read(str(EVT2))
    ours = read_recording(EVT2)
    assert len(ours) == 521_252
    assert ours.sensor_size == (640, 480)  # not stored: the smallest, here that of the sensor
    assert_same(ours.events, theirs)


@needs(EVT2)
@needs(AEDAT4)
@pytest.mark.parametrize("path", [EVT2, AEDAT4], ids=["evt2", "aedat4"])
def test_real_files_equal_faery(path):
    faery = peer("faery")
    peer("lz4.frame")
    theirs = np.concatenate([c.copy() for c in faery.events_stream_from_file(str(path))])
    assert_same(read_recording(path).events, theirs, ("x", "y", "t", "on"))


@needs(AEDAT4)
def test_aedat4_equals_aedat():
    peer("lz4.frame")
    packets = [p["events"] for p in peer("aedat").Decoder(str(AEDAT4)) if "events" in p]
    ours = read_recording(AEDAT4)
    assert len(ours) == 6676
    assert ours.sensor_size == (346, 260)
    assert_same(ours.events, np.concatenate(packets), ("x", "y", "t", "on"))


@needs(V2E)
@pytest.mark.parametrize("name", ["clean.h5", "lowpass_30hz.h5"])
def test_v2e_equals_h5py(name):
    with h5py.File(V2E.with_name(name)) as file:
        t, x, y, p = file["events"][...].T
    ours = read_recording(V2E.with_name(name), sensor_size=(200, 200))
    assert ours.sensor_size == (200, 200)
    assert_same(ours.events, make_events(x, y, t, p))


@needs(V2E)
def test_v2e_file():
    recording = read_recording(V2E, sensor_size=(200, 200))
    assert len(recording) == 14_042
    assert recording.sensor_size == (200, 200)


@needs(EVT2)
def test_description_of_a_real_file():
    info = describe(EVT2)
    assert (info.format, info.sensor_size, info.sensor_size_stored) == ("EVT2", (640, 480), False)
    events = read_recording(EVT2).events
    report = info.report
    assert (report.events, report.on_events) == (len(events), events["p"].sum())
    assert (report.first_us, report.last_us) == (events["t"].min(), events["t"].max())
    assert report.duplicates == len(events) - len(np.unique(events)) == 345


@pytest.mark.parametrize("suffix", WRITTEN)
def test_written_files_come_back(tmp_path, recording, suffix):
    path = tmp_path / f"a{suffix}"
    write_recording(path, recording)
    back = read_recording(path)
    np.testing.assert_array_equal(back.events, recording.events)
    stored = suffix not in (".npy", ".bin")
    assert back.sensor_size == ((100, 80) if stored else (90, 70))
    assert describe(path).sensor_size_stored is stored
    with pytest.raises(EventFormatError, match="exists already"):
        write_recording(path, recording)
    write_recording(path, recording, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_others_read_what_we_write(tmp_path, recording):
    write_recording(tmp_path / "a.bin", recording)
    assert_same(
        recording.events, peer("tonic.io").read_mnist_file(str(tmp_path / "a.bin"), EVENT_DTYPE)
    )
    write_recording(tmp_path / "a.raw", recording)
    theirs = peer("expelliarmus").Wizard(encoding="evt2").read(str(tmp_path / "a.raw"))
    assert_same(recording.events, theirs)
    write_recording(tmp_path / "a.csv", recording)
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=2, dtype=np.int64)
    t, x, y, p = table.T
    assert_same(recording.events, make_events(x, y, t, p))


def test_convert_goes_on_from_format_to_format(tmp_path, recording):
    write_recording(tmp_path / "a.npz", recording)
    for source, target in (("npz", "h5"), ("h5", "raw"), ("raw", "csv"), ("csv", "npy")):
        info = convert(tmp_path / f"a.{source}", tmp_path / f"a.{target}")
        assert info.report.events == len(recording)
    np.testing.assert_array_equal(read_recording(tmp_path / "a.npy").events, recording.events)
    info = convert(tmp_path / "a.npz", tmp_path / "zero.raw", start_at_zero=True)
    assert info.report.first_us == 0
    assert info.report.duration_us == recording.duration_us


def test_times_that_a_format_cannot_hold(tmp_path):
    late = Recording(make_events([1], [2], [1_589_163_147_368_868], [1]), (4, 4))
    for suffix in (".bin", ".raw"):
        with pytest.raises(EventFormatError, match="shift the times to start at 0"):
            write_recording(tmp_path / f"a{suffix}", late)
    for suffix in (".h5", ".csv", ".npz"):
        write_recording(tmp_path / f"a{suffix}", late)
        assert read_recording(tmp_path / f"a{suffix}").events["t"][0] == 1_589_163_147_368_868
    early = Recording(make_events([1], [2], [-7], [1]), (4, 4))
    write_recording(tmp_path / "b.csv", early)
    assert read_recording(tmp_path / "b.csv").events["t"][0] == -7
    assert not list(tmp_path.glob(".*"))


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


@needs(V2E)
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


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    if not AEDAT4.exists():
        pytest.skip(f"{AEDAT4.name} is not at hand")
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    with pytest.raises(EventFormatError, match="pip install lz4"):
        read_recording(AEDAT4)


def test_a_child_that_hangs_or_crashes_is_an_error(monkeypatch):
    import signal
    import time

    from snn.events.formats import isolated

    monkeypatch.setattr(isolated, "SILENCE_S", 0.3)
    with pytest.raises(EventFormatError, match="does not come to an end"):
        isolated.isolated(time.sleep, 60)
    with pytest.raises(EventFormatError, match="crashes"):
        isolated.isolated(signal.raise_signal, signal.SIGKILL)


def test_a_child_reads_one_file_after_the_other_until_one_is_odd(tmp_path, recording, monkeypatch):
    import os

    from snn.events.formats import isolated

    forks, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(1) or fork())
    isolated._idle.clear()
    for name in "abc":
        write_recording(tmp_path / f"{name}.h5", recording)
        assert np.array_equal(read_recording(tmp_path / f"{name}.h5").events, recording.events)
    assert len(forks) == 1
    (tmp_path / "odd.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:900])
    with pytest.raises(EventFormatError, match=r"odd\.h5"):
        read_recording(tmp_path / "odd.h5")
    assert len(read_recording(tmp_path / "b.h5")) == len(recording) and len(forks) == 2
    # One that left because nothing was asked of it for a while is replaced.
    monkeypatch.setattr(isolated, "IDLE_S", 0.0)
    isolated._idle.clear()
    read_recording(tmp_path / "a.h5")
    os.waitid(os.P_PID, isolated._idle[0]._pid, os.WEXITED | os.WNOWAIT)
    assert len(read_recording(tmp_path / "b.h5")) == len(recording) and len(forks) == 4
    # Two at a time have a child each.
    streams = [open_stream(tmp_path / f"{name}.h5") for name in "ab"]
    for pair in zip(*(stream.chunks for stream in streams), strict=True):
        assert np.array_equal(*pair)


def test_streams_left_early_leave_no_child(tmp_path, recording):
    psutil = pytest.importorskip("psutil")
    write_recording(tmp_path / "a.h5", recording)
    others = set(psutil.Process().children())  # such as multiprocessing's, of an earlier test
    stream = open_stream(tmp_path / "a.h5")
    assert len(set(psutil.Process().children()) - others) == 1
    del stream
    windows = read_windows(tmp_path / "a.h5", max_events=10)
    next(windows)
    windows.close()
    del windows
    assert set(psutil.Process().children()) <= others


def test_conversion_sorts_over_any_distance(tmp_path):
    """An event that is written seconds late finds its place, also in a conversion by pieces."""
    late = np.array([[0, 1, 1, 1], [5_000_000, 2, 2, 0], [7, 3, 3, 1]])
    np.savetxt(tmp_path / "late.csv", late, "%d", delimiter=",", header="t,x,y,p", comments="")
    with pytest.raises(EventFormatError, match="backwards"):
        convert(tmp_path / "late.csv", tmp_path / "a.npy")
    convert(tmp_path / "late.csv", tmp_path / "a.npy", on_disorder="sort")
    assert np.load(tmp_path / "a.npy")["t"].tolist() == [0, 7, 5_000_000]
