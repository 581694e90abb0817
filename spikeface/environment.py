"""Where a run took place: versions, machine, commit, command line."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from spikeface import __version__

PACKAGES = (
    "numpy", "numba", "h5py", "torch", "norse", "lava-nc", "lava-dl", "nir", "tonic", "matplotlib",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions and machine of this process, as plain values."""
    return {
        "spikeface": __version__,
        "commit": _commit(),
        "command": ["spikeface", *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "packages": versions(),
    }


def versions() -> dict[str, str | None]:
    """Installed versions of what results depend on; None for what is not installed."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout, with ``+changes`` when files differ from it; None outside of git."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(root, "status", "--porcelain") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
