"""How far a Loihi 2 board is from here.

Told without ever calling into Lava's hardware path, which raises confusing errors when its closed
extension is absent. Networks cannot be sent to a board yet, so no state says that one can.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

from hardware.backends.backend import Availability

COMPILER = "lava.magma.compiler.subcompilers.nc"  # only Intel's extension installs it


def loihi_availability() -> Availability:
    """Whether Intel's extension is installed, whether something leads to a board, what is next."""
    if not _extension_installed():
        return Availability(
            "not installed",
            "Intel's lava-loihi extension is not installed; it comes with membership of the Intel "
            "Neuromorphic Research Community",
        )
    if not os.environ.get("NXSDKHOST") and not shutil.which("sinfo"):
        return Availability(
            "not reachable",
            "lava-loihi is installed, but neither SLURM (sinfo) nor NXSDKHOST leads to a board",
        )
    return Availability(
        "not reachable",
        "lava-loihi is installed and SLURM or NXSDKHOST may lead to a board, "
        "but running on one is not supported yet; use the simulator",
    )


def _extension_installed() -> bool:
    try:
        return importlib.util.find_spec(COMPILER) is not None
    except ImportError:
        return False
