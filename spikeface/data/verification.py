"""Whether the user's copy of a data set is whole, file by file.

>>> section, lines = verify_copy("ckplus-dvs", Path("data"))
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from snn.events.datasets import open_dataset, verify
from spikeface.progress import progress_bar

SHOWN_FINDINGS = 40  # on a terminal; --json has all


def verify_copy(
    name: str, root: Path, *, full: bool = False, options: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Compare a copy of a set with what the set should hold.

    Parameters
    ----------
    name : str
        One of ``snn.events.datasets.DATASETS``.
    root : Path
        Where the copy is.
    full : bool
        Whether to read every event, or only headers.
    options : dict, optional
        Of the set's class: where its fold file is, its time unit.

    Returns
    -------
    section : dict
        All findings; ``complete`` says whether every recording is there and readable.
    lines : list of str
        The first findings, for a terminal.

    Raises
    ------
    DatasetError
        For an unknown set, or one whose list of recordings cannot be read.
    """
    dataset = open_dataset(name, root, **(options or {}))
    with progress_bar(len(dataset), f"checking {name}", "file") as advance:
        report = verify(dataset, full=full, progress=advance)
    section = {**asdict(report), "complete": report.ok}
    lines = report.lines()
    hidden = len(lines) - 1 - SHOWN_FINDINGS
    if hidden > 0:
        lines = [*lines[: 1 + SHOWN_FINDINGS], f"and {hidden} more; --json lists them all"]
    lines.append("complete" if report.ok else "not complete")
    return section, lines
