"""Damaged files: valid events or one clear error, never a crash, a hang or a flood of memory.

The files are read in a child process with limits on its memory and time, so that a crash of a
library is a failed test and not the end of the tests.
"""

import importlib
import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from snn.events.formats import READERS, describe, read_recording, write_recording
from snn.events.recording import Recording, make_events

PER_SEED = 110
MEMORY_BYTES = 1 << 30  # above what the libraries themselves map

CHILD = """
import json, os, resource, sys, warnings
from pathlib import Path
from snn.errors import EventFormatError
from snn.events import formats
from snn.events.formats import isolated
from snn.events.recording import Recording

folder, memory = Path(sys.argv[1]), int(sys.argv[2])
isolated.SILENCE_S = 3.0
warnings.simplefilter("error")
layouts = [None, formats.TableLayout(columns="txyp"), formats.TableLayout(time_unit="s")]
for path in sorted(folder.glob("seed*")):
    formats.describe(path)
isolated._idle.clear()  # children from before the limit
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + memory,) * 2)
counts = {"read": 0, "refused": 0}
for index, path in enumerate(sorted(folder.glob("case*"))):
    print(path.name, file=sys.stderr, flush=True)
    layout = layouts[index % 3]
    options = {"on_disorder": "sort", "on_outside": "drop", "layout": layout}
    try:
        formats.describe(path, layout=layout).report.problems()
        recording = formats.read_recording(path, **options)
        assert isinstance(recording, Recording)
        for part in formats.read_windows(path, max_events=999, **options):
            assert len(part)
        counts["read"] += 1
    except EventFormatError as error:
        assert str(error).startswith(str(path)), error
        counts["refused"] += 1
print(json.dumps(counts))
"""


def recording(n=700):
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 4_000_000, n))
    events = make_events(rng.integers(0, 90, n), rng.integers(0, 70, n), t, rng.integers(0, 2, n))
    return Recording(events, (90, 70))


def aedat4(events, compression=0, pack=bytes):
    """An AEDAT 4 file, its flatbuffers laid by hand."""
    text = (
        b'<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0" path="/0/">'
        b'<attr key="typeIdentifier" type="string">EVTS</attr><node name="info" path="/i/">'
        b'<attr key="sizeX" type="int">90</attr><attr key="sizeY" type="int">70</attr>'
        b"</node></node></node></dv>"
    )
    vtable = struct.pack("<5H2x", 10, 20, 4, 8, 16)  # compression, data position, description
    table = struct.pack("<iiqII", 12, compression, -1, 4, len(text))
    header = struct.pack("<I4s", 20, b"IOHE") + vtable + table + text
    out = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header
    for part in np.array_split(events, 3):
        stored = np.zeros(len(part), "<i8,<i2,<i2,u1,V3")
        for field, name in zip(("f0", "f1", "f2", "f3"), "txyp", strict=True):
            stored[field] = part[name]
        body = struct.pack("<I4s3H2xiII", 16, b"EVTS", 6, 8, 4, 8, 4, len(part)) + stored.tobytes()
        packet = pack(struct.pack("<I", len(body)) + body)
        out += struct.pack("<iI", 0, len(packet)) + packet
    return out


def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def seeds(folder):
    good = recording()
    for suffix in (".h5", ".npz", ".npy", ".csv", ".raw", ".bin"):
        write_recording(folder / f"seed{suffix}", good)
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 1 << 16, 3000).astype("<u2")
    header = b"% evt 3.0\n% format EVT3;height=2048;width=2048\n% end\n"
    (folder / "seed_evt3.raw").write_bytes(header + noise.tobytes())
    e = good.events
    packed = e["t"].astype("u8") | e["x"].astype("u8") << 32 | e["y"].astype("u8") << 46
    dat = b"% Version 2\n% Width 90\n% Height 70\n\x0c\x08" + packed.tobytes()
    (folder / "seed.dat").write_bytes(dat)
    es = np.zeros((len(e), 5), np.uint8)
    es[:, 0], es[:, 1], es[:, 3] = rng.integers(0, 254, len(e)), e["x"], e["y"]
    (folder / "seed.es").write_bytes(b"Event Stream\2\0\0\1\x5a\0\x46\0" + es.tobytes())
    (folder / "seed.aedat4").write_bytes(aedat4(e))
    if lz4 := optional("lz4.frame"):
        (folder / "seed_lz4.aedat4").write_bytes(aedat4(e, 1, lz4.compress))
    if zstandard := optional("zstandard"):
        packer = zstandard.ZstdCompressor().compress
        (folder / "seed_zstd.aedat4").write_bytes(aedat4(e, 3, packer))
    return sorted(folder.glob("seed*"))


def damaged(data, rng, suffix):
    """One of six kinds of damage; headers, being short, are hit half of the time."""
    data = bytearray(data)
    reach = min(len(data), 400) if rng.random() < 0.5 else len(data)
    at = int(rng.integers(0, max(reach - 8, 1)))
    kind = int(rng.integers(0, 6))
    if kind == 0:
        for _ in range(int(rng.integers(1, 9))):
            data[int(rng.integers(0, reach))] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        size = int(rng.choice([2, 4, 8]))
        data[at : at + size] = (b"\xff" * size, b"\0" * size)[int(rng.integers(0, 2))]
    elif kind == 3:
        data[at : at + 8] = rng.integers(0, 256, 8).astype(np.uint8).tobytes()
    elif kind == 4:
        start = int(rng.integers(0, len(data)))
        data[at:at] = data[start : start + 64]
    else:
        suffix = str(rng.choice(list(READERS)))
    return bytes(data), suffix


def test_seeds_are_good_files(tmp_path):
    paths = seeds(tmp_path)
    assert len(paths) >= 10
    for path in paths:
        assert describe(path).report.events >= 700
    for path in tmp_path.glob("*.aedat4"):
        np.testing.assert_array_equal(read_recording(path).events, recording().events)


def test_damaged_files(tmp_path):
    pytest.importorskip("resource", reason="limits on memory are POSIX")
    if not sys.platform.startswith("linux"):
        pytest.skip("the mapped memory is read from /proc")
    rng = np.random.default_rng(20)
    number = 0
    for path in seeds(tmp_path):
        data = path.read_bytes()
        for _ in range(PER_SEED):
            content, suffix = damaged(data, rng, path.suffix)
            (tmp_path / f"case{number:04d}{suffix}").write_bytes(content)
            number += 1
    assert number >= 1000
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(MEMORY_BYTES)],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert counts["read"] + counts["refused"] == number
    assert min(counts.values()) > 200
