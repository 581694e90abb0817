"""Devices as prices of operations: the built-in ones, and those that a user writes down.

Each profile is one way to price the same counts. Loihi 1 is there three times, as a band: Intel's
smallest numbers, an independent fit to boards, and that fit with a chip that stays powered. Loihi 2
is never there: no energy per operation has been published for it, so there is nothing to multiply
with; what has been measured on it end to end is in `hardware.analysis.energy.anchors`.

A user's profile is a table, from TOML or anywhere::

    device = "My accelerator"
    [synaptic_operation]
    value = 1.5
    unit = "pJ"
    source = "our data sheet, revision 3, page 12"
    evidence = "primary"

>>> profile_from_table(table).synop.value
1.5
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from hardware.analysis.energy import constants as c
from hardware.analysis.energy.constants import EVIDENCE, Constant
from hardware.errors import HardwareError

Level = Literal["low", "nominal", "high", "reference"]
LEVELS = get_args(Level)
TO_PJ = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3, "uJ": 1e6, "µJ": 1e6}
TO_W = {"uW": 1e-6, "µW": 1e-6, "mW": 1e-3, "W": 1.0}
LOIHI_2 = re.compile(r"loihi[\W_]*(2|ii)(?!\d)|oheo[\W_]*gulch|kapoho[\W_]*point|hala[\W_]*point")


class EnergyProfileError(HardwareError):
    """A table of energies that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Prices of one device.

    A neuron is updated in every step: ``active`` when it spikes, ``inactive`` otherwise. A spike
    costs ``spike`` within its tile.

    Parameters
    ----------
    device : str
    level : {"low", "nominal", "high", "reference"}
        Where the estimate stands in a band.
    synop, active, inactive, spike : Constant
        In pJ.
    synop_of : mapping of str to Constant
        Where layers of a kind of synapse (``"conv"``, ``"sparse"``, ``"dense"``) have a price of
        their own.
    hop_ew, hop_ns : Constant, optional
        In pJ, for spikes that travel between tiles.
    static : Constant, optional
        In W; drawn for the whole time of a sample, and left out where there is none.
    """

    device: str
    level: Level
    synop: Constant
    active: Constant
    inactive: Constant
    spike: Constant
    synop_of: Mapping[str, Constant] = field(default_factory=lambda: MappingProxyType({}))
    hop_ew: Constant | None = None
    hop_ns: Constant | None = None
    static: Constant | None = None

    @property
    def constants(self) -> tuple[Constant, ...]:
        """All of them but the hops, which are used on request only."""
        own = (self.synop, *self.synop_of.values(), self.active, self.inactive, self.spike)
        return own if self.static is None else (*own, self.static)


LOIHI1_LOW = Profile(
    device="Loihi 1, Intel's table",
    level="low",
    synop=c.DAVIES_SYNOP,
    active=c.DAVIES_ACTIVE,
    inactive=c.DAVIES_INACTIVE,
    spike=c.DAVIES_SPIKE,
    hop_ew=c.DAVIES_HOP_EW,
    hop_ns=c.DAVIES_HOP_NS,
)
_FIT: dict[str, Any] = {
    "synop": c.SANA_FE_DENSE,
    "synop_of": MappingProxyType({"sparse": c.SANA_FE_SPARSE, "conv": c.SANA_FE_CONV}),
    "active": c.SANA_FE_ACTIVE,
    "inactive": c.SANA_FE_INACTIVE,
    "spike": c.SANA_FE_SPIKE,
    "hop_ew": c.SANA_FE_HOP_EW,
    "hop_ns": c.SANA_FE_HOP_NS,
}
LOIHI1_NOMINAL = Profile(device="Loihi 1, fit to boards", level="nominal", **_FIT)
LOIHI1_HIGH = Profile(
    device="Loihi 1, fit to boards, chip always on", level="high", static=c.LOIHI1_STATIC, **_FIT
)
LOIHI1 = (LOIHI1_LOW, LOIHI1_NOMINAL, LOIHI1_HIGH)

_REQUIRED = {
    "synaptic_operation": "synop",
    "neuron_update_active": "active",
    "neuron_update_inactive": "inactive",
    "spike": "spike",
}
_BY_KIND = {f"synaptic_operation_{kind}": kind for kind in ("dense", "sparse", "conv")}
_HOPS = ("hop_east_west", "hop_north_south")
_STATIC = "static_power"
_KEYS = ("device", "level", *_REQUIRED, *_BY_KIND, *_HOPS, _STATIC)
_CONSTANT_KEYS = ("value", "unit", "source", "evidence")


def profile_from_table(table: Mapping[str, Any]) -> Profile:
    """A user's profile, checked key by key.

    Parameters
    ----------
    table : mapping
        ``device``; ``level``, "nominal" by default; and a table with ``value``, ``unit`` and
        ``source`` (and ``evidence``, "secondary" by default) for each of ``synaptic_operation``,
        ``neuron_update_active``, ``neuron_update_inactive`` and ``spike``. Optional:
        ``synaptic_operation_conv``, ``_sparse`` and ``_dense``, ``hop_east_west``,
        ``hop_north_south`` and ``static_power``.

    Raises
    ------
    EnergyProfileError
        With all problems: unknown keys and what is near them, constants without a source, and any
        device of the name Loihi 2.
    """
    device = table.get("device")
    if isinstance(device, str) and LOIHI_2.search(device.lower()):
        raise EnergyProfileError(
            f"device {device!r}: no energy per operation has been published for Loihi 2, so no "
            "profile can price one; give what was measured on it as [[anchors]], with workload, "
            "figure and source"
        )
    problems = unknown_keys(table, _KEYS)
    if not isinstance(device, str) or not device.strip():
        problems.append("device must say what is priced")
    level = table.get("level", "nominal")
    if level not in LEVELS:
        problems.append(f"level must be one of {', '.join(LEVELS)}, got {level!r}")
    problems += [f"{key} is missing" for key in _REQUIRED if key not in table]
    found: dict[str, Constant] = {}
    for key in (*_REQUIRED, *_BY_KIND, *_HOPS, _STATIC):
        if key in table:
            constant = _constant(key, table[key], TO_W if key == _STATIC else TO_PJ, problems)
            if constant:
                found[key] = constant
    if problems:
        raise EnergyProfileError("; ".join(problems))
    return Profile(
        device=str(device),
        level=level,
        static=found.get(_STATIC),
        synop_of=MappingProxyType({k: found[key] for key, k in _BY_KIND.items() if key in found}),
        hop_ew=found.get("hop_east_west"),
        hop_ns=found.get("hop_north_south"),
        **{field: found[key] for key, field in _REQUIRED.items()},
    )


def unknown_keys(table: Mapping[str, Any], known: Iterable[str], where: str = "") -> list[str]:
    """Problems in words: every key that is not known, with its nearest neighbour."""
    problems, known = [], list(known)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {where}{near[0]}?" if near else f"there are {', '.join(known)}"
            problems.append(f"unknown key {where}{key}; {advice}")
    return problems


def _constant(
    key: str, given: Any, units: Mapping[str, float], problems: list[str]
) -> Constant | None:
    if not isinstance(given, Mapping):
        problems.append(f"{key} is a table with value, unit and source, got {given!r}")
        return None
    before = len(problems)
    problems += unknown_keys(given, _CONSTANT_KEYS, f"{key}.")
    value, unit, evidence = given.get("value"), given.get("unit"), given.get("evidence")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:  # type: ignore[arg-type, operator]
        problems.append(f"{key}.value must be a number from 0, got {value!r}")
    if not isinstance(unit, str) or unit not in units:
        problems.append(f"{key}.unit must be one of {', '.join(units)}, got {unit!r}")
    source = given.get("source")
    if not isinstance(source, str) or not source.strip():
        problems.append(f"{key}.source must say where the number is from")
    if evidence is not None and evidence not in EVIDENCE:
        problems.append(f"{key}.evidence must be one of {', '.join(EVIDENCE)}, got {evidence!r}")
    if len(problems) > before:
        return None
    return Constant(
        key.replace("_", " "),
        float(value) * units[str(unit)],  # type: ignore[arg-type]
        "W" if units is TO_W else "pJ",
        str(source),
        evidence or "secondary",
    )
