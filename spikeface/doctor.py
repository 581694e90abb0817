"""What is available here, what each thing enables, and what dead Lava runs left behind."""

from __future__ import annotations

import platform
import textwrap
from typing import Any

from hardware.backends.backend import Availability
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.lava.leftovers import Leftover, clean, find_leftovers
from hardware.backends.loihi.availability import BoardAvailability, loihi_availability
from hardware.backends.simulator.backend import Simulator
from spikeface.environment import versions

LISTED_OF_A_KIND = 3


def examine() -> dict[str, Any]:
    """Versions, backends and leftovers, as plain values."""
    installed = versions()
    return {
        "python": platform.python_version(),
        "packages": installed,
        "capabilities": [
            _package("train with norse", "norse", installed),
            _package("train with SLAYER", "lava-dl", installed),
            _backend("run on the integer simulator", Simulator().is_available()),
            _backend("run on Lava's CPU simulator", LavaBackend().is_available()),
            _board(loihi_availability()),
        ],
        "leftovers": [vars(leftover) for leftover in find_leftovers()],
    }


def clean_up(findings: dict[str, Any]) -> dict[str, Any]:
    """Remove the leftovers of `findings` and examine again."""
    clean([Leftover(**leftover) for leftover in findings["leftovers"]])
    return examine() | {"cleaned": findings["leftovers"]}


def lines(findings: dict[str, Any]) -> list[str]:
    """The findings as text."""
    out = [f"Python {findings['python']}"]
    out += [f"  {name:<11} {version or '-'}" for name, version in findings["packages"].items()]
    out += ["", "what works here"]
    for item in findings["capabilities"]:
        mark = "yes" if item["available"] else "no "
        out.append(f"  {mark}  {item['enables']:<32} {item['reason']}")
        if item.get("next"):
            indent = " " * 40
            out += textwrap.wrap(
                f"next: {item['next']}", 100, initial_indent=indent, subsequent_indent=indent
            )
    out += ["", *_listed("removed", findings.get("cleaned", []))]
    if not findings["leftovers"]:
        return [*out, "no leftovers of Lava runs"]
    out += _listed("left behind", findings["leftovers"])
    return [*out, "remove them with 'spikeface doctor --clean'"]


def _listed(what: str, items: list[dict[str, Any]]) -> list[str]:
    """A line an item, but of each kind only the first few."""
    out = []
    for kind in dict.fromkeys(item["kind"] for item in items):
        alike = [item for item in items if item["kind"] == kind]
        shown = alike[:LISTED_OF_A_KIND]
        out += [f"{what}: {kind} {item['identity']}, {item['description']}" for item in shown]
        if len(alike) > len(shown):
            out.append(f"{what}: {len(alike) - len(shown)} more of the kind {kind}")
    return out


def _package(enables: str, package: str, installed: dict[str, str | None]) -> dict[str, Any]:
    version = installed[package]
    reason = f"{package} {version}" if version else f"{package} is not installed"
    return {"enables": enables, "available": version is not None, "reason": reason}


def _board(availability: BoardAvailability) -> dict[str, Any]:
    """Also what to do next: few people have a board."""
    entry = _backend("run on a Loihi 2 board", availability)
    return entry | {"next": availability.next_step}


def _backend(enables: str, availability: Availability) -> dict[str, Any]:
    return {
        "enables": enables,
        "available": bool(availability),
        "state": availability.state,
        "reason": availability.reason,
    }
