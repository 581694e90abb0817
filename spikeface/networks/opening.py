"""A network from any file: NIR of any framework, lava-dl's ``.net``, or integers of our own.

>>> opened = open_network(Path("network.nir"), ImportOptions(conventions=WRITTEN_BY["sinabs"]))
>>> opened.chip, opened.assumptions
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network, save_network
from hardware.compiler.floats.network import FloatNetwork
from hardware.compiler.netx.reader import read_netx
from hardware.compiler.netx.writer import write_netx
from hardware.compiler.nir.nodes import Conventions
from hardware.compiler.nir.reader import read_nir
from hardware.compiler.quantise.quantiser import LayerLoss, quantise
from hardware.errors import NetworkFormatError
from spikeface.errors import ConfigError, OutputError
from spikeface.runs import RunFolder

NIR_SUFFIXES, NETX_SUFFIXES, CHIP_SUFFIXES = (".nir", ".h5"), (".net",), (".chip",)


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What files may leave unsaid.

    Parameters
    ----------
    conventions : Conventions, optional
        What a NIR graph does not say.
    n_layers : int, optional
        Only so many layers of a ``.net`` file.
    lenient : bool
        Do to a ``.net`` file's weights what netx does silently, instead of refusing.
    """

    conventions: Conventions | None = None
    n_layers: int | None = None
    lenient: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenedNetwork:
    """A network in integers and, where it came in floats, as it came.

    Parameters
    ----------
    chip : ChipNetwork
    floats : FloatNetwork or None
        The network as it was.
    losses : tuple of LayerLoss
        What quantisation changed, per layer; empty for integers.
    assumptions : tuple of str
        What the file did not say.
    """

    chip: ChipNetwork
    floats: FloatNetwork | None = None
    losses: tuple[LayerLoss, ...] = ()
    assumptions: tuple[str, ...] = ()


def open_network(
    path: Path, options: ImportOptions | None = None, *, calibration: np.ndarray | None = None
) -> OpenedNetwork:
    """Open a network file or the network of a run folder.

    Parameters
    ----------
    path : Path
    options : ImportOptions, optional
        Those that the kind of file cannot use must be unset.
    calibration : ndarray of shape (N, T, ...), optional
        Typical input, from which the quantiser takes the range of voltages.

    Raises
    ------
    HardwareError
        Of the reader, naming the file and all its problems.
    ConfigError
        For an unknown kind of file, or an option that it cannot use.
    """
    options = options or ImportOptions()
    if not path.exists():
        raise NetworkFormatError(f"{path}: there is no such file")
    if path.is_dir():
        run = RunFolder.open(path)
        path = run.need(run.nir, "train")
    _refuse(options, path, calibration)
    if path.suffix in NETX_SUFFIXES:
        chip = read_netx(path, n_layers=options.n_layers, strict=not options.lenient)
        return OpenedNetwork(chip=chip, assumptions=tuple(chip.metadata.get("assumptions", ())))
    if path.suffix in CHIP_SUFFIXES:
        return OpenedNetwork(chip=load_network(path))
    if path.suffix not in NIR_SUFFIXES:
        known = ", ".join((*NIR_SUFFIXES, *NETX_SUFFIXES, *CHIP_SUFFIXES))
        raise ConfigError(f"{path}: networks end in {known}, or are run folders")
    floats = read_nir(path, options.conventions)
    chip, losses = quantise(floats, calibration=calibration)
    return OpenedNetwork(
        chip=chip,
        floats=floats,
        losses=losses,
        assumptions=floats.assumptions,
    )


def _refuse(options: ImportOptions, path: Path, calibration: np.ndarray | None) -> None:
    """An option that would be ignored is an error."""
    if path.suffix not in NIR_SUFFIXES and (options.conventions or calibration is not None):
        raise ConfigError(
            f"{path}: only a .nir file leaves dt, reset and the like unsaid, or is calibrated"
        )
    if path.suffix not in NETX_SUFFIXES and (options.n_layers or options.lenient):
        raise ConfigError(f"{path}: --layers and --lenient are for lava-dl's .net files")


def write_network(network: ChipNetwork, path: Path, *, overwrite: bool = False) -> None:
    """Write a ``.chip`` or, for the networks that lava-dl can describe, a ``.net`` file.

    Raises
    ------
    OutputError
        When the file exists and `overwrite` is not set, or cannot be written.
    UnsupportedNetworkError
        When lava-dl's format cannot say what the network does, with all reasons.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; choose another name or give --force")
    writers: dict[str, Any] = {CHIP_SUFFIXES[0]: save_network, NETX_SUFFIXES[0]: write_netx}
    if path.suffix not in writers:
        raise ConfigError(f"{path}: networks are written as {' or '.join(writers)}")
    try:
        writers[path.suffix](network, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
