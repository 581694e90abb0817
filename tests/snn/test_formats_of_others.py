"""Files written by others, or by an encoder that follows the specification word by word.

A round trip through one library proves nothing about a format: both its halves may be wrong.
"""

from pathlib import Path

import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.formats import describe, read_recording, read_windows

SIZE = (346, 260)
HEADER = b"% evt 3.0\n% format EVT3;height=260;width=346\n% geometry 346x260\n% end\n"
ADDR_Y, ADDR_X, BASE_X, VECT_12, VECT_8, LOW, CONTINUED_4, HIGH = 0, 2, 3, 4, 5, 6, 7, 8
TRIGGER, OTHERS, CONTINUED_12 = 10, 14, 15


def assert_windows_equal_the_whole(path):
    whole = read_recording(path)
    for arguments in ({"max_events": 997}, {"window_us": 123_457}):
        parts = list(read_windows(path, **arguments))
        assert len(parts) > 2
        np.testing.assert_array_equal(np.concatenate([p.events for p in parts]), whole.events)


def words(*pairs):
    return np.array([kind << 12 | value for kind, value in pairs], "<u2").tobytes()


@pytest.fixture
def events():
    rng = np.random.default_rng(1)
    n = 6000
    table = np.zeros(n, [("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")])
    table["t"] = np.sort(rng.integers(100, 40_000_000, n))
    table["x"], table["y"] = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    table["on"] = rng.integers(0, 2, n)
    return table


@pytest.mark.parametrize(
    ("name", "version", "options"),
    [
        ("a.raw", "evt2", {}),
        ("a.raw", "evt3", {}),
        ("a.dat", "dat2", {}),
        ("a.es", None, {}),
        ("a.csv", None, {}),
        ("a.aedat4", None, {"compression": None}),
        ("a.aedat4", None, {"compression": ("lz4", 1)}),
        ("a.aedat4", None, {"compression": ("zstd", 1)}),
    ],
)
def test_files_by_faery(tmp_path, events, name, version, options, peer, assert_same_events):
    faery = peer("faery")
    codec = options.get("compression")
    if codec:
        peer({"lz4": "lz4.frame", "zstd": "zstandard"}[codec[0]])
    path = tmp_path / name
    table = np.zeros(len(events), faery.EVENTS_DTYPE)
    for field in ("t", "x", "y", "on"):
        table[field] = events[field]
    stream = faery.events_stream_from_array(table, dimensions=SIZE)
    stream.to_file(path, version=version, **options)
    ours = read_recording(path)
    if name.endswith(".es"):  # which does not store when the recording began
        events["t"] -= events["t"][0]
    assert_same_events(ours.events, events, ("x", "y", "t", "on"))
    assert ours.sensor_size == SIZE
    assert_windows_equal_the_whole(path)


def test_dat_by_expelliarmus(tmp_path, events, peer, assert_same_events):
    table = np.zeros(len(events), [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "u1")])
    for ours, theirs in zip("txyp", ("t", "x", "y", "on"), strict=True):
        table[ours] = events[theirs]
    peer("expelliarmus").Wizard(encoding="dat").save(str(tmp_path / "a.dat"), table)
    assert_same_events(read_recording(tmp_path / "a.dat").events, table)


def test_dat_wraps_after_32_bits(tmp_path):
    words = [(5 << 46 | 4 << 32) + t for t in (4_294_967_290, 4_294_967_295, 3)]
    header = b"% Version 2\n% Width 8\n% Height 9\n"
    (tmp_path / "a.dat").write_bytes(header + b"\x0c\x08" + np.array(words, "<u8").tobytes())
    recording = read_recording(tmp_path / "a.dat")
    np.testing.assert_array_equal(
        recording.events["t"], [4_294_967_290, 4_294_967_295, 4_294_967_299]
    )
    assert (recording.events["x"][0], recording.events["y"][0]) == (4, 5)
    assert recording.sensor_size == (8, 9)


def test_evt3_word_by_word(tmp_path):
    """Hand-worked: the words on the left, the events they mean on the right."""
    path = tmp_path / "a.raw"
    path.write_bytes(
        HEADER
        + words(
            (ADDR_X, 1),  # before any time: left out
            (HIGH, 1),
            (LOW, 5),
            (ADDR_Y, 1 << 11 | 7),  # of a slave camera
            (ADDR_X, 1 << 11 | 9),  # 9 7 4101 1
            (BASE_X, 1 << 11 | 20),
            (VECT_12, 0b1000_0000_0001),  # 20 7 4101 1, 31 7 4101 1
            (VECT_8, 0b0000_0010),  # 33 7 4101 1
            (VECT_8, 0b1000_0000),  # 47 7 4101 1
            (TRIGGER, 1),
            (CONTINUED_4, 3),
            (OTHERS, 4095),
            (CONTINUED_12, 4095),
            (LOW, 6),
            (BASE_X, 2),
            (VECT_8, 0b0000_0001),  # 2 7 4102 0
            (HIGH, 1),  # repeated: the low part stays
            (ADDR_X, 3),  # 3 7 4102 0
            (HIGH, 2),  # new: the low part is 0 until it comes
            (ADDR_X, 4),  # 4 7 8192 0
            (HIGH, 4095),
            (LOW, 4095),
            (ADDR_X, 5),  # 5 7 16777215 0
            (HIGH, 0),  # wrapped around
            (LOW, 1),
            (ADDR_Y, 8),
            (ADDR_X, 6),  # 6 8 16777217 0
        )
    )
    recording = read_recording(path)
    assert recording.events.tolist() == [
        (9, 7, 4101, 1),
        (20, 7, 4101, 1),
        (31, 7, 4101, 1),
        (33, 7, 4101, 1),
        (47, 7, 4101, 1),
        (2, 7, 4102, 0),
        (3, 7, 4102, 0),
        (4, 7, 8192, 0),
        (5, 7, 16_777_215, 0),
        (6, 8, 16_777_217, 0),
    ]
    assert recording.sensor_size == SIZE


def test_a_step_back_in_evt3_is_no_wrap(tmp_path, by_faery):
    """As in real recordings, where expelliarmus adds 4,096 µs that never passed."""
    path = tmp_path / "a.raw"
    times = ((HIGH, 3), (LOW, 811), (ADDR_Y, 1), (ADDR_X, 1), (LOW, 800), (ADDR_X, 2))
    path.write_bytes(HEADER + words(*times, (LOW, 820), (ADDR_X, 3)))
    with pytest.raises(EventFormatError, match=r"backwards .*by up to 11 µs.*clamp"):
        read_recording(path)
    start = 3 << 12
    clamped = read_recording(path, on_disorder="clamp").events["t"] - start
    np.testing.assert_array_equal(clamped, [811, 811, 820])
    ordered = read_recording(path, on_disorder="sort").events["t"] - start
    np.testing.assert_array_equal(ordered, [800, 811, 820])
    assert describe(path).report.duration_us == 20
    np.testing.assert_array_equal(by_faery(path)["t"] - start, clamped)


def encode_evt3(path, rng, n_groups):
    """A recording of rows of pixels, over more than one wrap of the 24-bit clock."""
    out, expected = [], []
    high, low, t = -1, -1, 0
    for _ in range(n_groups):
        t += int(rng.integers(0, 9000))
        while high < t >> 12:  # sensors send every TIME_HIGH
            high, low = high + 1, 0
            out.append((HIGH, high % 4096))
        if rng.random() < 0.2:
            out.append((HIGH, high % 4096))
        if low != t & 0xFFF or rng.random() < 0.1:
            low = t & 0xFFF
            out.append((LOW, low))
        y, polarity = int(rng.integers(0, SIZE[1])), int(rng.integers(0, 2))
        out.append((ADDR_Y, int(rng.integers(0, 2)) << 11 | y))
        x = int(rng.integers(0, SIZE[0] - 44))
        if rng.random() < 0.5:
            out.append((ADDR_X, polarity << 11 | x))
            expected.append((x, y, t, polarity))
            continue
        out.append((BASE_X, polarity << 11 | x))
        for kind, width in rng.permutation([(VECT_12, 12), (VECT_12, 12), (VECT_8, 8)]):
            mask = int(rng.integers(0, 1 << width))
            out.append((int(kind), mask))
            expected += [(x + i, y, t, polarity) for i in range(width) if mask >> i & 1]
            x += int(width)
            noise = (TRIGGER, OTHERS, CONTINUED_4, CONTINUED_12)[int(rng.integers(0, 4))]
            out.append((noise, int(rng.integers(0, 4096))))
    path.write_bytes(HEADER + words(*out))
    return np.array(expected, [("x", "i8"), ("y", "i8"), ("t", "i8"), ("p", "i8")])


def test_evt3_by_an_encoder_of_the_specification(tmp_path, by_faery, assert_same_events):
    path = tmp_path / "a.raw"
    expected = encode_evt3(path, np.random.default_rng(2), 9000)
    assert expected["t"].max() > 2 << 24
    assert_same_events(read_recording(path).events, expected)
    assert_windows_equal_the_whole(path)
    assert_same_events(expected, by_faery(path), ("x", "y", "t", "on"))


def test_evt2_wraps_and_waits_for_its_first_time(tmp_path):
    path = tmp_path / "a.raw"
    top = (1 << 28) - 1
    first = 1 << 28 | 63 << 22 | 3 << 11 | 4
    stored = [1 << 28 | 9, 8 << 28 | top, first, 14 << 28, 8 << 28, 5 << 11]
    path.write_bytes(b"% evt 2.0\n" + np.array(stored, "<u4").tobytes())
    events = read_recording(path).events
    assert events.tolist() == [(3, 4, (1 << 34) - 1, 1), (5, 0, 1 << 34, 0)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.raw", b"\x00\x80" * 4, r"expected a line '% evt 2\.0'"),
        ("a.raw", HEADER + b"\0\0\0", "middle of a 2-byte word"),
        ("a.raw", b"% evt 3.0\n% geometry 0x9\n" + bytes(8), "sensor of 0×9"),
        ("a.raw", b"% evt 3.0\n% endianness big\n" + bytes(8), "big-endian"),
        ("a.dat", b"% Version 1\n\0\x08", "DAT version 1"),
        ("a.dat", b"% Version 2\n\x0e\x08" + bytes(8), "type 0 or 12"),
        ("a.dat", b"% Version 2\n\x0c\x08" + bytes(9), "middle of a 8-byte word"),
        ("a.dat", b"% Version 2\n\x0c\x08" + b"\xff" * 8, "polarities"),
        ("a.es", b"Event Stream\2\0\0\2" + bytes(4), "type 2"),
        ("a.es", b"Event Stream\2\0\0\1\x05\0\x05\0\1\1", "middle of an event"),
        ("a.es", b"Event Stream\2\0\0\1\x05\0\x05\0" + b"\1\1\0\x09\0", "outside the 5×5 sensor"),
        ("a.es", b"Event", "whole header"),
    ],
)
def test_foreign_contents(tmp_path: Path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EventFormatError, match=message):
        read_recording(tmp_path / name)
