"""ChipNetwork on disk: one HDF5 file of integers, checked before anything is allocated.

Layout: attributes ``format``, ``version``, ``input_shape``, ``readout``, ``metadata`` (JSON);
groups ``populations/<i>`` and ``synapses/<i>`` in the order of the network.

>>> save_network(network, "network.chip"); load_network("network.chip")
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware.chip.network import ChipNetwork, Conv, Dense, Population, Synapse
from hardware.errors import NetworkFormatError

FORMAT = "spikeface.chip"
VERSION = 1
MAX_VALUES = 1 << 28  # of one array: 1 GiB of int32, far above any chip
GEOMETRY = ("stride", "padding", "dilation")


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
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise NetworkFormatError(
            f"{path}: not a readable chip network ({error}); write it again with 'quantise'"
        ) from error
    except NetworkFormatError as error:
        raise NetworkFormatError(f"{path}: {error}") from None


def _write(network: ChipNetwork, file: h5py.File) -> None:
    file.attrs.update(
        format=FORMAT,
        version=VERSION,
        input_shape=network.input_shape,
        readout=network.readout,
        metadata=json.dumps(network.metadata),
    )
    for index, population in enumerate(network.populations):
        group = file.create_group(f"populations/{index}")
        group.attrs.update(
            name=population.name, shape=population.shape, bias_exp=population.bias_exp
        )
        for name in Population.ARRAYS:
            group[name] = getattr(population, name)
    for index, synapse in enumerate(network.synapses):
        group = file.create_group(f"synapses/{index}")
        group.attrs.update(kind=synapse.KIND, source=synapse.source, target=synapse.target)
        group.create_dataset("weight", data=synapse.weight, compression="gzip", shuffle=True)
        if isinstance(synapse, Conv):
            group.attrs.update({name: getattr(synapse, name) for name in GEOMETRY})
            group.attrs["groups"] = synapse.groups


def _read(file: h5py.File) -> ChipNetwork:
    found = (file.attrs.get("format"), file.attrs.get("version"))
    if found != (FORMAT, VERSION):
        raise NetworkFormatError(
            f"expected format {FORMAT!r} version {VERSION}, found {found[0]!r} version {found[1]!r}"
        )
    return ChipNetwork(
        input_shape=_integers(file.attrs["input_shape"]),
        populations=tuple(_read_population(g) for g in _numbered(file["populations"])),
        synapses=tuple(_read_synapse(g) for g in _numbered(file["synapses"])),
        readout=file.attrs["readout"],
        metadata=json.loads(file.attrs["metadata"]),
    )


def _numbered(groups: h5py.Group) -> list[h5py.Group]:
    return [groups[key] for key in sorted(groups, key=int)]


def _read_population(group: h5py.Group) -> Population:
    return Population(
        name=str(group.attrs["name"]),
        shape=_integers(group.attrs["shape"]),
        bias_exp=int(group.attrs["bias_exp"]),
        **{name: _array(group[name]) for name in Population.ARRAYS},
    )


def _read_synapse(group: h5py.Group) -> Synapse:
    ends: dict[str, Any] = {name: str(group.attrs[name]) for name in ("source", "target")}
    weight = _array(group["weight"])
    kind = group.attrs["kind"]
    if kind == Dense.KIND:
        return Dense(weight=weight, **ends)
    if kind == Conv.KIND:
        geometry: dict[str, Any] = {name: _integers(group.attrs[name]) for name in GEOMETRY}
        return Conv(weight=weight, groups=int(group.attrs["groups"]), **geometry, **ends)
    raise NetworkFormatError(f"unknown synapse kind {kind!r}; known are 'dense' and 'conv'")


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in np.atleast_1d(values))


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if dataset.size > MAX_VALUES or dataset.dtype != np.int32:
        raise NetworkFormatError(
            f"{dataset.name}: expected int32 and at most {MAX_VALUES} values, "
            f"found {dataset.dtype} of shape {dataset.shape}"
        )
    return dataset[...]
