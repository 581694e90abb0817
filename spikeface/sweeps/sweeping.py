"""A sweep from its plan to its tables.

>>> result = sweep(Path("sweeps/a"), plan(Path("a.toml"), over=["training.seed=0:3"]))
>>> result["counts"]
{'done': 3}
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeface.errors import ConfigError
from spikeface.sweeps.folder import PLAN, SCHEMA, STEPS, SweepFolder
from spikeface.sweeps.launchers import in_processes, in_this_process
from spikeface.sweeps.plan import PlannedRun, lookup, settings
from spikeface.sweeps.slurm import check_available, submit
from spikeface.sweeps.tables import write_tables

LAUNCHERS = ("serial", "processes", "slurm")


def sweep(
    path: Path,
    planned: Sequence[PlannedRun],
    *,
    until: str | None = None,
    launcher: str = "serial",
    workers: int | None = None,
    slurm: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Compute the runs that are not finished, and keep the tables up to date meanwhile.

    Parameters
    ----------
    path : Path
        A new folder, or with `resume` that of an interrupted sweep: finished runs are kept,
        interrupted ones go on, failed ones are tried again, new ones are added.
    planned : sequence of PlannedRun
        None with `resume` means those that the folder has.
    until : {"train", "quantise", "simulator"}, optional
        The last step of each run; an artificial network has only the first. Default: that of the
        folder, in a new one the simulator.
    launcher : {"serial", "processes", "slurm"}
    workers : int, optional
        Runs at a time with ``processes``. Default: one a processor core.
    slurm : dict, optional
        Options of the jobs, see ``parse_options``.

    Returns
    -------
    dict
        See ``show``; with ``slurm`` also ``jobs``, and most runs are still waiting.
    """
    for value, allowed in ((launcher, LAUNCHERS), (until or STEPS[0], STEPS)):
        if value not in allowed:
            raise ConfigError(f"{value!r} is not one of {', '.join(allowed)}")
    if launcher == "slurm":
        check_available(slurm or {})
    if not planned and not (resume and (Path(path) / PLAN).is_file()):
        raise ConfigError("a sweep without runs: name a configuration, or --resume a folder")
    _check_data(planned)
    folder = SweepFolder.create(path, planned, until=until, resume=resume)
    write_tables(folder)
    names = folder.unfinished()
    jobs: list[str] = []

    def tabulate(name: str) -> None:
        write_tables(folder)

    try:
        if launcher == "serial":
            in_this_process(folder, names, on_end=tabulate)
        elif launcher == "processes":
            in_processes(folder, names, workers=workers or _cores(), on_end=tabulate)
        elif names:
            jobs = submit(folder, names, slurm or {})
    except KeyboardInterrupt:
        write_tables(folder)
        raise
    return show(folder) | ({"jobs": jobs} if launcher == "slurm" else {})


def show(folder: SweepFolder) -> dict[str, Any]:
    """Write the tables anew and return them, with how many runs are in which state."""
    tables = write_tables(folder)
    return {
        "schema": SCHEMA,
        "folder": str(folder.path),
        "counts": dict(Counter(row["state"] for row in tables["runs"])),
        **tables,
    }


def _check_data(planned: Sequence[PlannedRun]) -> None:
    """Fail now rather than once in each run."""
    for root in {lookup(settings(run), "data.root") for run in planned}:
        if not root:
            raise ConfigError("[data] root is empty: say what to train on, with --data or --root")
        if not Path(root).exists():
            raise ConfigError(f"{root}: there are no such data; correct --data or data.root")


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
