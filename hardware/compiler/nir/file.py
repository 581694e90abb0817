"""Opening a stranger's NIR file without being harmed by it.

A NIR file is HDF5. Nothing in it is executed, but a few bytes can declare arrays of terabytes, link
to other files, or nest groups without end: all of that is looked at before a value is read. And
flipped bits can send the HDF5 library into an endless loop or a crash, so that a file is first read
by a forked child, on systems that can fork; HDF5 itself offers no defence. Node
types that NIR does not know are kept as `UnknownNode`, so that they can be named together with
everything else a network cannot have.

>>> graph = load_graph("network.nir")
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from hardware.errors import NetworkFormatError

MAX_FILE_BYTES = 1 << 31
MAX_DECLARED_BYTES = 1 << 30  # of all arrays together, unpacked
MAX_DEPTH = 16
MAX_ENTRIES = 100_000
TRIAL_S = 5.0  # for the child to read the file, plus
TRIAL_BYTES_PER_S = 10e6


@dataclass(eq=False)
class UnknownNode(nir.NIRNode):
    """A node of a type that this version of NIR does not have."""

    kind: str
    metadata: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        self.input_type = {"input": None}
        self.output_type = {"output": None}


def load_graph(path: str | Path) -> nir.NIRGraph:
    """Read a NIR file without checking what the graph means.

    Raises
    ------
    NetworkFormatError
        For a missing, foreign, damaged or absurdly large file.
    """
    path = Path(path)
    if not path.is_file():
        raise NetworkFormatError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise NetworkFormatError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        _try_reading(path)
        graph = _node(_read(path))
    except NetworkFormatError as error:
        raise NetworkFormatError(f"{path}: {error}") from None
    # Neither HDF5 nor NIR has an error type of its own: a foreign file fails anywhere inside them.
    except Exception as error:
        raise NetworkFormatError(
            f"{path}: not a readable NIR graph ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(graph, nir.NIRGraph):
        raise NetworkFormatError(f"{path}: holds a single {type(graph).__name__}, not a graph")
    return graph


def _read(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        return _Reader().read(file["node"])


def _try_reading(path: Path) -> None:
    """Read the file in a child, which may hang or crash; what it raises, the parent will too."""
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child == 0:
        try:
            _read(path)
        finally:
            os._exit(0)
    deadline = time.monotonic() + TRIAL_S + path.stat().st_size / TRIAL_BYTES_PER_S
    wait_s = 1e-3
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise NetworkFormatError("damaged: HDF5 does not come to an end reading it")
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, 0.1)
    if os.WIFSIGNALED(ended[1]):
        raise NetworkFormatError(f"damaged: HDF5 crashes reading it (signal {ended[1]})")


class _Reader:
    """HDF5 groups to nested dictionaries, within limits on their sum."""

    def __init__(self) -> None:
        self.bytes_left = MAX_DECLARED_BYTES
        self.entries_left = MAX_ENTRIES

    def read(self, group: h5py.Group, depth: int = 0) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise NetworkFormatError(f"groups are nested more than {MAX_DEPTH} deep")
        tree = {}
        for key in group:
            self.entries_left -= 1
            if self.entries_left < 0:
                raise NetworkFormatError(f"holds more than {MAX_ENTRIES} entries")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise NetworkFormatError(f"{group.name}/{key} is a link, not data")
            item = group[key]
            if isinstance(item, h5py.Group):
                tree[key] = self.read(item, depth + 1)
            else:
                tree[key] = self._dataset(item)
        return tree

    def _dataset(self, dataset: h5py.Dataset) -> Any:
        if dataset.external or dataset.is_virtual:
            raise NetworkFormatError(f"{dataset.name} keeps its data in another file")
        self.bytes_left -= dataset.nbytes
        if self.bytes_left < 0:
            raise NetworkFormatError(
                f"its arrays declare more than {MAX_DECLARED_BYTES} bytes "
                f"({dataset.name} has shape {dataset.shape})"
            )
        value = dataset[()]
        return value.decode("utf8") if isinstance(value, bytes) else value


def _node(tree: dict[str, Any]) -> nir.NIRNode:
    kind = tree["type"]
    if kind == "NIRGraph":
        return nir.NIRGraph(
            nodes={name: _node(node) for name, node in tree["nodes"].items()},
            edges=[(_text(a), _text(b)) for a, b in np.asarray(tree["edges"]).reshape(-1, 2)],
            metadata=tree.get("metadata", {}),
            type_check=False,
        )
    if kind not in nir.ir.__all__:
        return UnknownNode(kind=str(kind))
    return nir.dict2NIRNode(tree)


def _text(value: bytes | str) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)
