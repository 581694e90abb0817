"""Damaged and hostile NIR files end in our errors, at once and without large allocations."""

import os
import signal
import time
import tracemalloc
from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest

from hardware.compiler.nir import file as nir_file
from hardware.compiler.nir.file import MAX_DECLARED_BYTES, TRIAL_S
from hardware.compiler.nir.reader import read_nir
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

REFUSALS = (NetworkFormatError, UnsupportedNetworkError)
DT = 1e-3


@pytest.fixture
def path(tmp_path):
    """A small file with a convolution, pooling, a dense layer, metadata and a nested graph."""

    def lif(shape):
        node = nir.LIF(*(np.full(shape, v) for v in (2e-3, 1.0, 0.0, 1.0)))
        node.metadata.update(dt=DT, reset="zero")
        return node

    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([18])),
            "w": nir.Affine(np.ones((4, 18), np.float32), np.zeros(4, np.float32)),
            "n": lif((4,)),
            "output": nir.Output(np.array([4])),
        },
        [("input", "w"), ("w", "n"), ("n", "output")],
    )
    pair = np.array([2, 2])
    nodes = {
        "input": nir.Input(np.array([1, 8, 8])),
        "conv": nir.Conv2d((8, 8), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2)),
        "neurons": lif((2, 6, 6)),
        "pool": nir.SumPool2d(pair, pair, 0 * pair),
        "flat": nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1),
        "block": inner,
        "output": nir.Output(np.array([4])),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
    nir.write(tmp_path / "network.nir", graph)
    return tmp_path / "network.nir"


def refused_or_read(path):
    """Read a file; anything but a network or one of our errors fails the test."""
    started = time.perf_counter()
    try:
        network = read_nir(path)
    except REFUSALS as error:
        assert str(path) in str(error)
        network = None
    assert time.perf_counter() - started < TRIAL_S + 5  # where HDF5 itself hangs
    return network


def test_the_file_itself_is_read(path):
    assert [p.name for p in read_nir(path).populations] == ["neurons", "block.n"]


def test_truncated_files(path):
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 25).astype(int):
        path.write_bytes(content[:length])
        refused_or_read(path)


@pytest.mark.parametrize("seed", range(1, 4))
def test_flipped_bytes(path, seed):
    rng = np.random.default_rng(seed)
    content = path.read_bytes()
    for _ in range(25):
        mutated = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 8)):
            mutated[position] = rng.integers(256)
        path.write_bytes(bytes(mutated))
        refused_or_read(path)


WRONG = [-1, 0, 3, 10**12, np.nan, np.inf, "text", b"\xff", [], [1, 2, 3], [[1]], True, 1e300]


def each_entry(path):
    """Paths of a third of what is in a file, one after the other missing from it."""
    content, found = path.read_bytes(), []
    with h5py.File(path) as file:
        file["node"].visit(found.append)
    for name in found[::3]:
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            del file[f"node/{name}"]
        yield f"node/{name}"


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_wrong_values_anywhere(path, value):
    for name in each_entry(path):
        with h5py.File(path, "a") as file:
            file[name] = value
        refused_or_read(path)


def test_missing_entries(path):
    for _ in each_entry(path):
        refused_or_read(path)


def test_unknown_types_are_named_with_everything_else(path):
    with h5py.File(path, "a") as file:
        for name, kind in (("pool", "MaxPool2d"), ("flat", "ConvTranspose2d")):
            del file[f"node/nodes/{name}/type"]
            file[f"node/nodes/{name}/type"] = kind
    with pytest.raises(UnsupportedNetworkError, match=r"(?s)flat \(ConvTr.*pool \(MaxP"):
        read_nir(path)


def test_a_huge_declared_array_is_not_allocated(path):
    with h5py.File(path, "a") as file:
        del file["node/nodes/conv/weight"]
        file.create_dataset(
            "node/nodes/conv/weight", shape=(1 << 12, 1 << 12, 1 << 10), dtype="f8", chunks=True
        )
    assert path.stat().st_size < 1 << 20 < MAX_DECLARED_BYTES
    tracemalloc.start()
    with pytest.raises(NetworkFormatError, match="declare more than"):
        read_nir(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_a_reader_that_hangs_or_crashes_is_survived(path, monkeypatch):
    """HDF5 does both on some flipped bytes."""
    monkeypatch.setattr(nir_file, "TRIAL_S", 0.3)
    faults = {
        "does not come to an end": lambda _: time.sleep(60),
        "crashes": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    }
    for message, fault in faults.items():
        monkeypatch.setattr(nir_file, "_read", fault)
        with pytest.raises(NetworkFormatError, match=message):
            read_nir(path)


def test_links_and_endless_nesting_are_refused(path, tmp_path):
    content = path.read_bytes()
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    links = {
        "soft": h5py.SoftLink("/node/nodes/conv/weight"),
        "external": h5py.ExternalLink(str(tmp_path / "other.h5"), "secret"),
    }
    for link in links.values():
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            del file["node/nodes/conv/weight"]
            file["node/nodes/conv/weight"] = link
        with pytest.raises(NetworkFormatError, match="is a link"):
            read_nir(path)
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        file["node/nodes/conv/again"] = file["node"]
    with pytest.raises(NetworkFormatError, match="nested more than"):
        read_nir(path)


def test_data_kept_elsewhere_is_refused(path, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(8 * 18))
    with h5py.File(path, "a") as file:
        del file["node/nodes/conv/weight"]
        file.create_dataset(
            "node/nodes/conv/weight", shape=(2, 1, 3, 3), dtype="f8", external=str(tmp_path / "raw")
        )
    with pytest.raises(NetworkFormatError, match="in another file"):
        read_nir(path)


def test_a_single_node_and_an_empty_file(tmp_path):
    nir.write(tmp_path / "one.nir", nir.Linear(np.ones((2, 2))))
    with pytest.raises(NetworkFormatError, match="a single Linear"):
        read_nir(tmp_path / "one.nir")
    with h5py.File(tmp_path / "empty.nir", "w"):
        pass
    with pytest.raises(NetworkFormatError, match="not a readable NIR graph"):
        read_nir(tmp_path / "empty.nir")
    with pytest.raises(NetworkFormatError, match="no such file"):
        read_nir(tmp_path / "missing.nir")
