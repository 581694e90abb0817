"""Readers and writers on whole files: against other libraries, and back again."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import convert, describe, read_recording, write_recording
from snn.events.recording import EVENT_DTYPE, Recording, make_events

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = DATA / "recordings" / "faces_easy_0001.bin"
EVT2 = DATA / "recordings" / "evt2.raw"
AEDAT4 = DATA / "recordings" / "sample.aedat4"
V2E = DATA / "v2e" / "clean.h5"
WRITTEN = [".h5", ".npz", ".npy", ".csv", ".txt", ".raw", ".bin"]


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"{path.name} is not at hand")


@needs(REAL)
def test_nmnist_equals_tonic(peer, assert_same_events):
    theirs = peer("tonic.io").read_mnist_file(str(REAL), dtype=EVENT_DTYPE)
    ours = read_recording(REAL)
    assert len(ours) == 67_445
    assert ours.sensor_size == (151, 173)
    assert_same_events(ours.events, theirs)


@needs(EVT2)
def test_evt2_equals_expelliarmus(peer, assert_same_events):
    theirs = peer("expelliarmus").Wizard(encoding="evt2").read(str(EVT2))
    ours = read_recording(EVT2)
    assert len(ours) == 521_252
    assert ours.sensor_size == (640, 480)  # not stored: the smallest, here that of the sensor
    assert_same_events(ours.events, theirs)


@needs(EVT2)
@needs(AEDAT4)
@pytest.mark.parametrize("path", [EVT2, AEDAT4], ids=["evt2", "aedat4"])
def test_real_files_equal_faery(path, peer, by_faery, assert_same_events):
    peer("lz4.frame")
    assert_same_events(read_recording(path).events, by_faery(path), ("x", "y", "t", "on"))


@needs(AEDAT4)
def test_aedat4_equals_aedat(peer, assert_same_events):
    peer("lz4.frame")
    packets = [p["events"] for p in peer("aedat").Decoder(str(AEDAT4)) if "events" in p]
    ours = read_recording(AEDAT4)
    assert len(ours) == 6676
    assert ours.sensor_size == (346, 260)
    assert_same_events(ours.events, np.concatenate(packets), ("x", "y", "t", "on"))


@needs(V2E)
@pytest.mark.parametrize("name", ["clean.h5", "lowpass_30hz.h5"])
def test_v2e_equals_h5py(name, assert_same_events):
    with h5py.File(V2E.with_name(name)) as file:
        t, x, y, p = file["events"][...].T
    ours = read_recording(V2E.with_name(name), sensor_size=(200, 200))
    assert ours.sensor_size == (200, 200)
    assert_same_events(ours.events, make_events(x, y, t, p))


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


def test_others_read_what_we_write(tmp_path, recording, peer, assert_same_events):
    write_recording(tmp_path / "a.bin", recording)
    assert_same_events(
        recording.events, peer("tonic.io").read_mnist_file(str(tmp_path / "a.bin"), EVENT_DTYPE)
    )
    write_recording(tmp_path / "a.raw", recording)
    theirs = peer("expelliarmus").Wizard(encoding="evt2").read(str(tmp_path / "a.raw"))
    assert_same_events(recording.events, theirs)
    write_recording(tmp_path / "a.csv", recording)
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=2, dtype=np.int64)
    t, x, y, p = table.T
    assert_same_events(recording.events, make_events(x, y, t, p))


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


def test_conversion_sorts_over_any_distance(tmp_path):
    """An event that is written seconds late finds its place, also in a conversion by pieces."""
    late = np.array([[0, 1, 1, 1], [5_000_000, 2, 2, 0], [7, 3, 3, 1]])
    np.savetxt(tmp_path / "late.csv", late, "%d", delimiter=",", header="t,x,y,p", comments="")
    with pytest.raises(EventFormatError, match="backwards"):
        convert(tmp_path / "late.csv", tmp_path / "a.npy")
    convert(tmp_path / "late.csv", tmp_path / "a.npy", on_disorder="sort")
    assert np.load(tmp_path / "a.npy")["t"].tolist() == [0, 7, 5_000_000]
