"""How far a Loihi 2 board is from here, and what to do next.

1. no extension: Intel's closed ``lava-loihi`` is not installed, or not whole;
2. extension, no board: nothing answers, or what is named is down;
3. reachable.

Told without calling into Lava's hardware path, which raises confusing errors in the first two
states: modules are looked for and not imported, and `hardware.backends.loihi.hosts` asks SLURM or
the host itself.

>>> loihi_availability().next_step
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass

from hardware.backends.backend import Availability
from hardware.backends.loihi.hosts import BoardRequest, Host, find_host

# What only Intel's extension installs, by what it is for. The first is what Lava itself looks for.
EXTENSION = {
    "lava.utils.loihi2_profiler": "profilers",
    "lava.magma.compiler.subcompilers.nc.ncproc_compiler": "compiler",
    "lava.magma.core.model.nc.model": "models on neurocores",
    "lava.magma.core.model.c.model": "models on the board's processors",
    "lava.proc.embedded_io.spike": "spike adapters",
}
DISTRIBUTION = re.compile(r"lava[-_.].*loihi")
JOIN = (
    "members of the Intel Neuromorphic Research Community (INRC) get lava-loihi and nxcore for "
    "lava-nc 0.10.0 from Intel; install both into this environment. Without them: --on loihi "
    "--dry-run prints the plan of a run, --on lava runs Lava's model of the chip"
)


@dataclass(frozen=True)
class BoardAvailability(Availability):
    """Whether a board is reachable, which, and what to do next.

    Parameters
    ----------
    next_step : str
    host : Host, optional
        The way to the board when it is reachable.
    """

    next_step: str = ""
    host: Host | None = None

    def __str__(self) -> str:
        return f"no Loihi 2: {self.state}: {self.reason}\nnext: {self.next_step}"


def loihi_availability(request: BoardRequest | None = None) -> BoardAvailability:
    """Which of the three states this machine is in. Never raises."""
    missing = [name for name in EXTENSION if not _exists(name)]
    if len(missing) == len(EXTENSION):
        return BoardAvailability(
            "not installed", "Intel's lava-loihi extension is not installed", JOIN
        )
    if missing:
        what = ", ".join(f"{EXTENSION[name]} ({name})" for name in missing)
        return BoardAvailability(
            "not installed",
            f"Intel's lava-loihi extension is not whole: there are no {what}",
            "install lava-loihi and nxcore again, in the version made for lava-nc 0.10.0",
        )
    found = find_host(request or BoardRequest())
    if not isinstance(found, Host):
        reason = f"lava-loihi {extension_version() or ''}".strip() + " is installed, but "
        return BoardAvailability("not reachable", reason + found.reason, found.next_step)
    version = extension_version()
    if version is None:
        return BoardAvailability(
            "available",
            f"{found}, with an extension that no installed package owns: what it gives is not "
            "called measured",
            "install lava-loihi as a package",
            found,
        )
    return BoardAvailability(
        "available",
        f"lava-loihi {version}, {found}",
        "docs/loihi_board.md says what to run first",
        found,
    )


def extension_version() -> str | None:
    """Version of the installed package that brings the extension, or None."""
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if DISTRIBUTION.fullmatch(name):
            return distribution.version
    return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent is missing or no package
        return False
