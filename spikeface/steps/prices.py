"""A user's own energies from a TOML file: a device to price, measured results to stand beside it.

    [profile]                       a device: a price and a source for every operation
    device = "My accelerator"
    [profile.synaptic_operation]
    value = 1.5
    unit = "pJ"
    source = "our data sheet, revision 3, page 12"

    [[anchors]]                     what was measured, as often as wanted
    workload = "keyword spotting, batch of 1"
    figure = "0.8 mJ per inference in total"
    source = "our logbook, 2026-03-01"

``configs/energy/example.toml`` has everything that can be said.

>>> read_prices(Path("configs/energy/example.toml")).profiles[-1].device
'My accelerator'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hardware.analysis.energy import (
    LOIHI1,
    Anchor,
    EnergyProfileError,
    Profile,
    anchors,
    anchors_from_tables,
    profile_from_table,
)
from spikeface.config import read_toml
from spikeface.errors import ConfigError

SECTIONS = ("profile", "anchors")


@dataclass(frozen=True)
class Prices:
    """What energies are computed with, and what they are set beside.

    Parameters
    ----------
    profiles : tuple of Profile
    anchors : tuple of Anchor
    """

    profiles: tuple[Profile, ...] = LOIHI1
    anchors: tuple[Anchor, ...] = anchors()


def read_prices(path: Path) -> Prices:
    """The built-in prices and those of a user's file.

    Raises
    ------
    ConfigError
        Naming the file and all that is wrong with it.
    """
    table = read_toml(path)
    if not table or (unknown := [key for key in table if key not in SECTIONS]):
        found = f"unknown {', '.join(unknown)}" if table else "the file is empty"
        raise ConfigError(f"{path}: {found}; a file of energies has [profile], [[anchors]] or both")
    try:
        own: tuple[Profile, ...] = ()
        if "profile" in table:
            if not isinstance(table["profile"], Mapping):
                raise EnergyProfileError("profile is a section, [profile]")
            own = (profile_from_table(table["profile"]),)
        measured = anchors_from_tables(table.get("anchors", ()))
    except EnergyProfileError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Prices((*LOIHI1, *own), (*anchors(), *measured))
