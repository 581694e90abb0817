"""ChipNetwork on disk: one HDF5 file of integers, checked before anything is allocated.

Layout: attributes ``format``, ``version``, ``input_shape``, ``input_bits``, ``readout``,
``metadata`` (JSON); groups ``populations/<i>`` and ``synapses/<i>`` in the order of the network,
each with its ``kind``, its arrays as datasets and everything else as attributes.

>>> save_network(network, "network.chip"); load_network("network.chip")
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np

from hardware.chip.network import ChipNetwork, Readout
from hardware.chip.populations import MODELS, Population
from hardware.chip.synapses import KINDS, Synapse
from hardware.errors import NetworkFormatError

FORMAT = "spikeface.chip"
VERSION = 2
MAX_VALUES = 1 << 28  # of all arrays together: 1 GiB of int32, far above any chip
MAX_GROUPS = 1 << 16  # populations, or synapses
ARRAY_TYPES = (np.int32, np.int64)


def save_network(network: ChipNetwork, path: str | Path) -> None:
    """Write a network; the file appears whole or not at all and replaces an older one."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(temporary, "w") as file:
            _write(network, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_network(path: str | Path) -> ChipNetwork:
    """Read and validate a network.

    Raises
    ------
    NetworkFormatError
        Naming the file and what is wrong with it.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except FileNotFoundError:
        raise NetworkFormatError(f"{path}: there is no such file") from None
    except NetworkFormatError as error:
        raise NetworkFormatError(f"{path}: {error}") from None
    # h5py has no error type of its own: a damaged file fails anywhere inside it.
    except Exception as error:
        raise NetworkFormatError(
            f"{path}: not a readable chip network ({type(error).__name__}: {error}); "
            "write it again with 'quantise'"
        ) from error


def _write(network: ChipNetwork, file: h5py.File) -> None:
    file.attrs.update(
        format=FORMAT,
        version=VERSION,
        input_shape=network.input_shape,
        input_bits=network.input_bits,
        readout=network.readout,
        metadata=json.dumps(network.metadata),
    )
    for index, population in enumerate(network.populations):
        _write_part(file.create_group(f"populations/{index}"), population, tuple(population.ARRAYS))
    for index, synapse in enumerate(network.synapses):
        _write_part(file.create_group(f"synapses/{index}"), synapse, synapse.ARRAYS)


def _write_part(group: h5py.Group, part: Population | Synapse, arrays: tuple[str, ...]) -> None:
    group.attrs["kind"] = part.KIND
    for name, value in part.parameters().items():
        if name not in arrays:
            group.attrs[name] = value
        elif np.ndim(value):
            group.create_dataset(name, data=value, compression="gzip", shuffle=True)
        else:
            group[name] = value


def _read(file: h5py.File) -> ChipNetwork:
    found = (file.attrs.get("format"), file.attrs.get("version"))
    if found != (FORMAT, VERSION):
        raise NetworkFormatError(
            f"expected format {FORMAT!r} version {VERSION}, found {found[0]!r} version "
            f"{found[1]!r}; write it again with 'quantise'"
        )
    _check_size(file)
    return ChipNetwork(
        input_shape=_integers(file.attrs["input_shape"]),
        input_bits=int(file.attrs["input_bits"]),
        populations=tuple(_read_part(g, MODELS) for g in _numbered(file["populations"])),
        synapses=tuple(_read_part(g, KINDS) for g in _numbered(file["synapses"])),
        readout=cast("Readout", str(file.attrs["readout"])),
        metadata=_table(json.loads(file.attrs["metadata"])),
    )


def _check_size(file: h5py.File) -> None:
    """Refuse before reading: HDF5 can declare arrays far larger than the file."""
    total = 0

    def add(name: str, item: h5py.HLObject) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            if item.dtype.type not in ARRAY_TYPES:
                raise NetworkFormatError(
                    f"{name}: expected int32 or int64, found {item.dtype} of shape {item.shape}"
                )
            total += item.size or 0

    file.visititems(add)
    if total > MAX_VALUES:
        raise NetworkFormatError(f"expected at most {MAX_VALUES} values, found {total}")


def _numbered(groups: h5py.Group) -> list[h5py.Group]:
    if len(groups) > MAX_GROUPS:
        raise NetworkFormatError(f"expected at most {MAX_GROUPS} groups, found {len(groups)}")
    return [groups[key] for key in sorted(groups, key=int)]


def _read_part(group: h5py.Group, kinds: dict[str, Any]) -> Any:
    kind = str(group.attrs["kind"])
    if kind not in kinds:
        raise NetworkFormatError(f"{group.name}: unknown kind {kind!r}; known are {list(kinds)}")
    part = kinds[kind]
    return part(**{f.name: _value(group, f.name, tuple(part.ARRAYS)) for f in fields(part)})


def _value(group: h5py.Group, name: str, arrays: tuple[str, ...]) -> Any:
    if name in arrays:
        return group[name][()]
    value = group.attrs[name]
    if isinstance(value, np.ndarray):
        return tuple(v if isinstance(v, str) else int(v) for v in value.tolist())
    if isinstance(value, np.bool_):
        return bool(value)
    return int(value) if isinstance(value, np.integer) else str(value)


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in np.atleast_1d(values))


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NetworkFormatError(f"metadata must be a table, found {type(value).__name__}")
    return value
