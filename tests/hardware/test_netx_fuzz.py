"""Damaged lava-dl files: always one of our errors, never another, a hang, or much memory."""

from __future__ import annotations

import resource
import time
import tracemalloc

import h5py
import numpy as np
import pytest

from hardware.chip.network import ChipNetwork
from hardware.compiler.netx.reader import read_netx
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

LIF = {"type": "LOIHI", "iDecay": 1000, "vDecay": 200, "vThMant": 30, "refDelay": 1}
SDNN = {"type": "SDNN", "vThMant": 3, "activation": "relu"}
RF = {"type": "RF_PHASE", "sinDecay": 2000, "cosDecay": 3000, "vThMant": 20}


def fields_of_a_file():
    """Every kind of layer once."""
    rng = np.random.default_rng(0)

    def weight(*shape):
        return 2.0 * rng.integers(-9, 9, shape).astype(np.float32)

    layers = [
        {"type": np.array([b"input"], "S10"), "shape": [2, 5, 4], "weight": 64.0, "bias": 3.0},
        {"type": "conv", "shape": [3, 4, 3], "weight": weight(3, 2, 2, 2), "bias": weight(3)},
        {"type": "flatten", "shape": [36, 1, 1]},
        {"type": "dense", "shape": [6], "weight": weight(6, 36), "delay": rng.integers(0, 9, 6)},
        {"type": "dense_rec", "shape": [4], "weight": weight(4, 6), "weight_rec": weight(4, 4)},
        {"type": "dense", "shape": [4], "weight/real": weight(4, 4), "weight/imag": weight(4, 4)},
        {"type": "dense", "shape": [2], "weight": weight(8)},
    ]
    layers[1] |= {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    neurons = {0: LIF, 1: LIF, 3: LIF, 4: LIF, 5: RF}
    found = {f"layer/{i}/{name}": v for i, layer in enumerate(layers) for name, v in layer.items()}
    for i, neuron in neurons.items():
        found |= {f"layer/{i}/neuron/{name}": value for name, value in neuron.items()}
    return found | {"simulation/Ts": 1, "simulation/tSample": 16}


FIELDS = fields_of_a_file()
DISTINCT = {name.split("/", 2)[-1]: name for name in FIELDS}.values()  # one of every name
SWAPS = {
    "a string": "7",
    "a long string": "x" * 5000,
    "letters beyond ASCII": "größe",
    "bytes": np.bytes_(b"\xff\xfe"),
    "NaN": np.float32("nan"),
    "infinite": np.float64("inf"),
    "huge": np.int64(1 << 62),
    "huge unsigned": np.uint64((1 << 64) - 1),
    "negative": -3,
    "zero": 0,
    "fraction": 0.37,
    "complex": 1 + 2j,
    "empty array": np.zeros((0,)),
    "null": h5py.Empty("f"),
    "one number in an array": [5],
    "many numbers": np.arange(60),
    "five axes": np.ones((2, 1, 2, 1, 2)),
    "booleans": np.array([True, False]),
    "a compound": np.zeros(2, [("a", "i4"), ("b", "f4")]),
    "a group": None,
}


def write(path, fields):
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in fields.items():
            if value is None:
                file.create_group(name)
            else:
                file[name] = value
    return path


def read_or_refuse(path, **options):
    """What came of it; anything but a network or one of our two errors fails the test."""
    started = time.perf_counter()
    try:
        network = read_netx(path, **options)
    except (NetworkFormatError, UnsupportedNetworkError) as error:
        assert str(path) in str(error)
        return error
    finally:
        assert time.perf_counter() - started < 5
    assert isinstance(network, ChipNetwork)
    return network


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "network.net", FIELDS)


def test_the_whole_file_is_read(path):
    assert len(read_netx(path).populations) == 6


def test_bytes_that_are_flipped(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 6)):
            damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        refused += isinstance(read_or_refuse(path), Exception)
    assert refused > 10


def test_bytes_that_are_overwritten_in_the_description(path):
    """The first bytes hold the tree of groups: runs of noise, zeros and ones."""
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(120):
        damaged = bytearray(whole)
        at, size = int(rng.integers(0, len(whole))), int(rng.integers(1, 40))
        noise = rng.integers(0, 256, size) if rng.random() < 0.5 else [rng.choice([0, 255])] * size
        damaged[at : at + size] = bytes(np.asarray(noise, np.uint8))
        path.write_bytes(damaged[: len(whole)])
        read_or_refuse(path)


def test_files_that_are_cut_off(path):
    whole = path.read_bytes()
    for size in [0, 1, 7, 8, 100, *range(200, len(whole), len(whole) // 40)]:
        path.write_bytes(whole[:size])
        assert isinstance(read_or_refuse(path), NetworkFormatError)


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "network.net"
    path.write_text("layer:\n  0: dense\n")
    assert isinstance(read_or_refuse(path), NetworkFormatError)
    for fields in ({"populations": [1]}, {"layer": 3}, {"layer": None}, {"layer/7/type": "dense"}):
        assert isinstance(read_or_refuse(write(path, fields)), NetworkFormatError)
    assert isinstance(read_or_refuse(tmp_path / "missing.net"), NetworkFormatError)
    assert isinstance(read_or_refuse(tmp_path), NetworkFormatError)


OPTIONAL = ("bias", "delay", "refDelay", "activation", "neuron", "Ts", "tSample", "input")


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_missing(path, name):
    outcome = read_or_refuse(write(path, {k: v for k, v in FIELDS.items() if k != name}))
    field = name.rsplit("/", 1)[-1]
    if isinstance(outcome, ChipNetwork):
        assert field in OPTIONAL or name == "layer/0/weight" or name == "layer/2/shape"
    else:
        assert field in str(outcome)


@pytest.mark.parametrize("name", DISTINCT)
def test_a_field_that_holds_something_else(path, name):
    """A refusal names the layer."""
    for what, value in SWAPS.items():
        outcome = read_or_refuse(write(path, FIELDS | {name: value}))
        if isinstance(outcome, Exception):
            index = name.split("/")[1]
            assert (
                f"layer {index}" in str(outcome)
                or f"{index}-" in str(outcome)
                or (name.startswith("simulation"))
            ), what
        elif what in ("NaN", "infinite", "complex", "null", "empty array", "a compound"):
            assert name in ("layer/2/shape", "layer/0/weight", "layer/0/bias"), what


def test_damage_in_many_layers_is_one_error(path):
    broken = {
        "layer/1/stride": "two",
        "layer/3/delay": -1,
        "layer/4/neuron/vDecay": np.nan,
        "layer/6/weight": np.ones((3, 3)),
    }
    message = str(read_or_refuse(write(path, FIELDS | broken)))
    for index, field in ((1, "stride"), (3, "delay"), (4, "vDecay"), (6, "weight")):
        assert any(f"layer {index}" in x and field in x for x in message.splitlines())


@pytest.mark.parametrize("size", [(1 << 40,), (1 << 20, 1 << 20), (1 << 25,)])
@pytest.mark.parametrize("name", ["layer/1/weight", "layer/3/delay", "layer/4/neuron/vThMant"])
@pytest.mark.parametrize("chunks", [None, True])
def test_declared_sizes_are_not_believed(path, name, size, chunks):
    """HDF5 declares any size in a few bytes; nothing of it is allocated."""
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, size, "f4", chunks=chunks, compression="gzip" if chunks else None)
        if chunks:
            file[name][(0,) * len(size)] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        error = read_or_refuse(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(error, NetworkFormatError) and "declares" in str(error)
    assert peak < 8 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_declared_shape_of_neurons_is_not_believed(path):
    for shape in ([1 << 30], [1 << 20, 1 << 20, 1 << 20], [0, 1, 1], [2, -5, 4]):
        for layer in (0, 1, 3):
            error = read_or_refuse(write(path, FIELDS | {f"layer/{layer}/shape": shape}))
            assert isinstance(error, NetworkFormatError)


def test_a_declared_padding_is_not_believed(path):
    for field in ("stride", "padding", "dilation", "groups"):
        for value in ((1 << 30), -1):
            error = read_or_refuse(write(path, FIELDS | {f"layer/1/{field}": value}))
            assert isinstance(error, NetworkFormatError)


def test_nothing_outside_the_file_is_read(path, tmp_path):
    secret = write(tmp_path / "secret.h5", {"numbers": np.full((6, 36), 2.0)})
    raw = tmp_path / "raw"
    raw.write_bytes(np.full((6, 36), 2.0).tobytes())
    virtual = h5py.VirtualLayout((6, 36), "f8")
    virtual[:] = h5py.VirtualSource(secret, "numbers", (6, 36))

    def link(file):
        file["layer/3/weight"] = h5py.ExternalLink(secret, "numbers")

    def soft_link(file):
        file["layer/3/weight"] = h5py.SoftLink("/layer/4/weight")

    def storage(file):
        file.create_dataset("layer/3/weight", (6, 36), "f8", external=[(raw, 0, 8 * 216)])

    def view(file):
        file.create_virtual_dataset("layer/3/weight", virtual)

    for place in (link, soft_link, storage, view):
        with h5py.File(write(path, FIELDS), "r+") as file:
            del file["layer/3/weight"]
            place(file)
        error = read_or_refuse(path)
        assert isinstance(error, NetworkFormatError) and "layer 3" in str(error), place


def test_too_many_layers(path):
    layers = {f"layer/{i}/type": "flatten" for i in range(1100)}
    assert "1024" in str(read_or_refuse(write(path, layers)))


def test_a_group_that_contains_itself(path):
    with h5py.File(path, "r+") as file:
        del file["layer/3/neuron"]
        file["layer/3/neuron"] = file["layer"]
    assert isinstance(read_or_refuse(path), NetworkFormatError)
