"""Is a Loihi 2 board reachable from here?

Three states, told apart without ever calling into Lava's hardware path, which raises confusing
errors when its closed extension is absent: no extension, an extension but no board, reachable.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

from hardware.backends.backend import Availability

COMPILER = "lava.magma.compiler.subcompilers.nc"  # only Intel's extension installs it


def loihi_availability() -> Availability:
    """Whether Intel's extension is installed and a board seems reachable, and what to do next."""
    if not _extension_installed():
        return Availability(
            "not installed",
            "Intel's lava-loihi extension is not installed; it comes with membership of the Intel "
            "Neuromorphic Research Community",
        )
    if os.environ.get("NXSDKHOST"):
        return Availability("available", f"board at NXSDKHOST={os.environ['NXSDKHOST']}")
    if shutil.which("sinfo"):
        return Availability("available", "boards are scheduled by SLURM (sinfo is on the PATH)")
    return Availability(
        "not reachable",
        "lava-loihi is installed, but neither SLURM (sinfo) nor NXSDKHOST leads to a board",
    )


def _extension_installed() -> bool:
    try:
        return importlib.util.find_spec(COMPILER) is not None
    except ImportError:
        return False
