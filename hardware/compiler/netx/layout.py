"""What a lava-dl ``.net`` file looks like, and how netx turns its numbers into registers.

A file is a group ``layer`` with members ``0``, ``1``, ... Each has a ``type``, a ``shape`` in the
order (C, H, W), and by type ``weight``, ``bias``, ``delay``, ``stride``, ... and a group
``neuron``. Nothing says what a weight may be; `fit` and `cut_decays` are netx's answers:

    dense weight   w << s, s the free high bits; clipped and cut as `hardware.chip.weights` says
    sin, cos       -> period and decay -> sin, cos, cut toward zero

Source: ``lava/lib/dl/netx/hdf5.py`` and ``utils.py`` of lava-dl 0.6.0.

>>> with NetxFile("network.net") as file: file.layers(None)[0].text("type")
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import h5py
import numpy as np

from hardware.chip import registers as reg
from hardware.chip.weights import fit_weights, sign_mode, stored_mode
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

BIAS_EXP = 6  # of every CUBA neuron
STATE_EXP = 6  # of sigma-delta and resonate-and-fire neurons
GRADED_MESSAGE_BITS = 16  # of sigma-delta neurons that do not say otherwise

CUBA_TYPES = ("LOIHI", "CUBA")
DENSE = ("dense", "dense_rec")
LAYERS = ("input", "flatten", "conv", *DENSE)
RELU = ("relu", "relu_")
MAX_LAYERS = 1 << 10
MAX_VALUES = 1 << 26  # of all fields together
MAX_TEXT = 64  # characters of a name
MAX_HEAP = 1 << 20  # bytes of a heap of strings; HDF5 fills 4096
MAX_EXPANSION = 2048  # of stored bytes by a filter; deflate reaches about 1000
INT32_MAX = (1 << 31) - 1

_REFERENCE = struct.Struct("<IQI")
_HEAP = struct.Struct("<4s4xQ")
_HEAP_OBJECT = struct.Struct("<H6xQ")


class NetxFile:
    """An open file, and how much more of it may be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.remaining = MAX_VALUES

    def __enter__(self) -> NetxFile:
        self.size = self.path.stat().st_size
        self.handle = h5py.File(self.path, "r")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.handle.close()

    def layers(self, n_layers: int | None) -> list[Fields]:
        """The first layers of the file, or all, in order."""
        root = Fields(self, self.handle, "the file")
        group = root.member("layer")
        if not isinstance(group, h5py.Group) or not 0 < len(group) <= MAX_LAYERS:
            raise NetworkFormatError(f"'layer' must be a group of 1 to {MAX_LAYERS} layers")
        if n_layers is not None and n_layers < 1:
            raise NetworkFormatError(f"n_layers must be at least 1, got {n_layers}")
        count = len(group) if n_layers is None else min(n_layers, len(group))
        layers = Fields(self, group, "'layer'")
        return [layers.group(str(i), f"layer {i}") for i in range(count)]

    def simulation(self) -> dict[str, float]:
        """Plain numbers of the group ``simulation``: steps per sample, and the like."""
        root = Fields(self, self.handle, "the file")
        if "simulation" not in root:
            return {}
        fields = root.group("simulation", "'simulation'")
        return {name: fields.numbers(name).item(0) for name in ("Ts", "tSample") if name in fields}


class Fields:
    """The members of one group, each checked before it is read.

    Everything raises `NetworkFormatError` that names the group and the field.
    """

    def __init__(self, file: NetxFile, group: h5py.Group, name: str) -> None:
        self.file = file
        self.name = name
        self._group = group

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def error(self, field: str, problem: str) -> NetworkFormatError:
        """What is wrong with a field."""
        return NetworkFormatError(f"{self.name}: '{field}' {problem}")

    def member(self, name: str) -> h5py.HLObject:
        """A dataset or group of this very file; links to elsewhere are refused."""
        if name not in self._group:
            raise self.error(name, "is missing")
        if not isinstance(self._group.get(name, getlink=True), h5py.HardLink):
            raise self.error(name, "is a link; it must be stored in the file itself")
        return self._group[name]

    def is_group(self, name: str) -> bool:
        """Whether a member is a group."""
        return name in self and isinstance(self.member(name), h5py.Group)

    def group(self, name: str, title: str) -> Fields:
        """The fields of a group inside this one."""
        found = self.member(name)
        if not isinstance(found, h5py.Group):
            raise self.error(name, "must be a group")
        return Fields(self.file, found, title)

    def text(self, name: str) -> str:
        """A short ASCII string."""
        dataset = self._dataset(name)
        string = h5py.check_string_dtype(dataset.dtype)
        if string is None or dataset.shape not in ((), (1,)) or (string.length or 0) > MAX_TEXT:
            raise self.error(name, f"must be a string, found {dataset.dtype} {dataset.shape}")
        if string.length is None:
            value = self._heap_string(name, dataset)
        else:
            value = np.ravel(dataset[()])[0]
        if not value.isascii() or len(value) > MAX_TEXT:
            raise self.error(name, f"must be a string of at most {MAX_TEXT} ASCII characters")
        return value.decode("ascii")

    def _heap_string(self, name: str, dataset: h5py.Dataset) -> bytes:
        """A string of variable length, from the heap it lies in.

        Read by hand, because the HDF5 library loops for ever in a damaged heap. A reference is
        ``length, address, index``, a heap ``"GCOL", ..., size`` and then objects ``index, ...,
        size, data`` in multiples of 8 bytes; HDF5 File Format Specification 3.0, III.E.
        """
        at = dataset.id.get_offset()
        with self.file.path.open("rb") as raw:
            raw.seek(at if at is not None else self.file.size)
            length, address, index = _REFERENCE.unpack(raw.read(_REFERENCE.size))
            raw.seek(address)
            magic, size = _HEAP.unpack(raw.read(_HEAP.size))
            end = min(address + min(size, MAX_HEAP), self.file.size)
            while magic == b"GCOL" and raw.tell() + _HEAP_OBJECT.size <= end:
                found, size = _HEAP_OBJECT.unpack(raw.read(_HEAP_OBJECT.size))
                if found == index and length <= size:
                    return raw.read(min(length, MAX_TEXT + 1))
                raw.seek(-(-size // 8) * 8, os.SEEK_CUR)
        raise self.error(name, "refers to a string that is not there")

    def numbers(self, name: str) -> np.ndarray:
        """Finite numbers, float64, of a size that int32 holds."""
        dataset = self._dataset(name)
        if dataset.dtype.kind not in "biuf":
            raise self.error(name, f"must hold numbers, found {dataset.dtype}")
        self._claim(name, dataset)
        with np.errstate(invalid="ignore"):
            values = np.asarray(dataset[()]).astype(np.float64)
        # NaN fails the comparison too.
        if not (np.abs(values) <= INT32_MAX).all():
            raise self.error(name, f"must hold finite numbers of at most {INT32_MAX} in size")
        return values

    def integers(self, name: str) -> np.ndarray:
        """Whole numbers, int32."""
        values = self.numbers(name)
        if (values % 1).any():
            raise self.error(name, f"must hold whole numbers, found {values[values % 1 != 0][0]}")
        return values.astype(np.int32)

    def number(self, name: str) -> float:
        """One number."""
        values = self.numbers(name)
        if values.size != 1:
            raise self.error(name, f"must be one number, found shape {values.shape}")
        return float(values.item())

    def integer(self, name: str) -> int:
        """One whole number."""
        self.number(name)
        return int(self.integers(name).item())

    def flag(self, name: str) -> bool:
        """Whether a field is there and not zero."""
        return name in self and bool(self.numbers(name).any())

    def _dataset(self, name: str) -> h5py.Dataset:
        dataset = self.member(name)
        if not isinstance(dataset, h5py.Dataset):
            raise self.error(name, "must be a dataset")
        if dataset.external or dataset.is_virtual:
            raise self.error(name, "must be stored in the file itself")
        return dataset

    def _claim(self, name: str, dataset: h5py.Dataset) -> None:
        """Refuse before reading: HDF5 can declare arrays far larger than the file."""
        if dataset.shape is None or not dataset.size:
            raise self.error(name, "is empty")
        stored = min(dataset.id.get_storage_size(), self.file.size)
        if dataset.size > self.file.remaining or dataset.nbytes > stored * MAX_EXPANSION:
            raise self.error(
                name,
                f"declares {dataset.size} values in {stored} stored bytes; at most {MAX_VALUES} "
                "values are allowed in a file, and all must be stored",
            )
        self.file.remaining -= dataset.size


def neuron_of(layer: Fields) -> Fields:
    """The neuron of a layer."""
    return layer.group("neuron", f"{layer.name}, neuron")


def refuse_unsupported(layers: list[Fields]) -> None:
    """Raise `UnsupportedNetworkError` listing all that netx ignores or cannot load."""
    damaged, found = [], []
    kinds: list[str] = []
    for layer in layers:
        try:
            kinds.append(layer.text("type"))
            found += [(len(kinds) - 1, reason) for reason in _reasons(layer, kinds)]
        except NetworkFormatError as error:
            damaged.append(str(error))
    if damaged:
        raise NetworkFormatError("\n  ".join(damaged))
    if found:
        lines = "\n  ".join(f"layer {i} ({kinds[i]}): {reason}" for i, reason in found)
        first = found[0][0]
        advice = f"\nthe layers before them can be read alone: the first {first}" if first else ""
        raise UnsupportedNetworkError(f"netx ignores or cannot load:\n  {lines}{advice}")


def _reasons(layer: Fields, kinds: list[str]) -> Iterator[str]:
    """Why a layer, the last of ``kinds``, cannot be expressed."""
    kind = kinds[-1]
    if kind not in LAYERS:
        yield f"there is no such layer; known are {', '.join(LAYERS)}"
        return
    if kind == "input" and len(kinds) > 1:
        yield "only the first layer can be an input"
    if kind == "conv" and "flatten" in kinds:
        yield "it comes after a flatten"
    is_complex = kind in (*DENSE, "conv") and layer.is_group("weight")
    if kind == "conv" and is_complex:
        yield "complex weights of a convolution"
    if kind == "dense_rec" and is_complex:
        yield "complex recurrent weights"
    if "delay" in layer and kind in ("conv", "dense_rec"):
        yield "delays of a layer other than dense"
    if is_complex and (layer.flag("delay") or layer.flag("bias")):
        yield "delays or a bias next to complex weights"
    if "neuron" in layer:
        yield from _neuron_reasons(layer, is_complex)
    elif kind == "conv" or is_complex:
        yield "there is no neuron"


def _neuron_reasons(layer: Fields, is_complex: bool) -> Iterator[str]:
    neuron = neuron_of(layer)
    kind = neuron.text("type")
    resonates = kind.startswith("RF")
    if kind not in (*CUBA_TYPES, "SDNN") and not resonates:
        yield f"neurons of type {kind!r}; known are LOIHI, CUBA, SDNN, RF, RF_PHASE, RF_IZHIKEVICH"
        return
    if resonates != is_complex:
        yield f"{kind} neurons with {'complex' if is_complex else 'real'} weights"
    for name in ("gradedSpike", "weight_exp", "wgtExp"):
        if neuron.flag(name):
            yield f"'{name}' is set"
    if "refDelay" in neuron and (neuron.numbers("refDelay") > 1).any():
        yield "'refDelay' is above 1"
    if kind == "SDNN":
        if "activation" in neuron and neuron.text("activation") not in RELU:
            yield f"activation {neuron.text('activation')!r}; netx applies relu to all"
        if neuron.flag("sigma_output") and layer.flag("bias"):
            yield "a bias of neurons that only accumulate"


class FittedWeight(NamedTuple):
    """A weight as the chip holds it: ``stored * 2**exponent``; ``lost`` says what is not kept."""

    stored: np.ndarray
    exponent: int
    lost: str | None


def fit(weights: Sequence[np.ndarray], *, dense: bool) -> list[FittedWeight]:
    """Integers as 8-bit weights, with the effect that netx and Lava give them.

    Parameters
    ----------
    weights : sequence of ndarray of int32
        Matrices of as many rows that share netx's choice of bits: the input and the recurrent
        weights of a layer.
    dense : bool
        Dense weights go through that choice and Lava's clipping; those of convolutions do not,
        so there only the 8 bits themselves can lose something.
    """
    if not dense:
        return [_keep(weight, weight, 0) for weight in weights]
    free, bits = _choose_bits(np.hstack(weights))
    return [_keep(w, fit_weights(_clip(w) << free, bits=bits), free) for w in weights]


def _keep(weight: np.ndarray, stored: np.ndarray, free: int) -> FittedWeight:
    """The weight itself where nothing of it is lost, else what is left of it in 8 bits."""
    if np.array_equal(stored, weight << free):
        for exponent in (0, -1):
            shifted = weight << -exponent
            if np.array_equal(shifted >> -exponent, weight) and stored_mode(shifted):
                return FittedWeight(shifted, exponent, None)
    stored = fit_weights(stored)
    wrong = int(np.count_nonzero(stored != weight << free))
    lost = (
        f"{wrong} of {weight.size} weights change on their way into 8 bits: "
        f"{sign_mode(weight)} signs in [{weight.min()}, {weight.max()}]"
    )
    return FittedWeight(stored, -free, lost)


def _clip(weight: np.ndarray) -> np.ndarray:
    low, high = weight.min(), weight.max()
    if (high > reg.WEIGHT_MAX and low < 0) or (low < reg.WEIGHT_MIN and high > 0):
        return np.clip(weight, reg.WEIGHT_MIN, reg.WEIGHT_MAX)
    return weight


def _choose_bits(weight: np.ndarray) -> tuple[int, int]:
    """``optimize_weight_bits`` of netx: free high bits, and bits per weight."""
    weight = _clip(weight)
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return 0, reg.WEIGHT_BITS
    mixed = low < 0 <= high
    if mixed:
        scale = min(127 / high if high else math.inf, -128 / low)
    else:
        scale = 255 / high if low >= 0 else -256 / low
    free = max(math.floor(math.log2(scale)) + mixed, 0)
    zeros = next((n for n in range(8, 0, -1) if not (weight % (1 << n)).any()), 0)
    return free, reg.WEIGHT_BITS - free - (zeros - mixed)


def cut_decays(sin: np.ndarray, cos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stored decays of a resonator to those that act, int32.

    netx turns them into a period and a decay, Lava's ``RF`` back into sine and cosine, which are
    cut to integers: a rounding error below an integer costs one.
    """
    sin, cos = sin / reg.DECAY_SCALE, cos / reg.DECAY_SCALE
    alpha = 1 - np.sqrt(sin**2 + cos**2)
    with np.errstate(divide="ignore"):
        period = 1 / (np.arctan2(sin, cos) / 2 / np.pi)
    acting = (
        (1 - alpha) * np.sin(np.pi * 2 * 1 / period),
        (1 - alpha) * np.cos(np.pi * 2 * 1 / period),
    )
    first, second = (np.int32(a * reg.DECAY_SCALE) for a in acting)
    return np.asarray(first), np.asarray(second)
