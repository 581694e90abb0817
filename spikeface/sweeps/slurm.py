"""The runs of a sweep as jobs of a Slurm cluster, one job a run, through submitit.

Submitting returns at once; each job writes the tables when it ends, and goes back to the queue,
where it resumes, when its time is up. Submitting again leaves finished runs out, and a job whose
run is done or under way elsewhere ends at once. ``cluster=local`` runs the same jobs as processes
here and ``cluster=debug`` inside this one, to try them.

>>> submit(sweep, sweep.unfinished(), parse_options("partition=gpu,gpus_per_node=1"))
['1234_0', '1234_1']
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardware.errors import BackendUnavailableError
from spikeface.errors import ConfigError
from spikeface.sweeps.folder import SweepFolder
from spikeface.sweeps.values import pieces, toml_or_text

SHARED = (  # parameters that submitit knows for every cluster; others are Slurm's
    "cpus_per_task",
    "gpus_per_node",
    "mem_gb",
    "name",
    "nodes",
    "stderr_to_stdout",
    "tasks_per_node",
    "timeout_min",
)
DEFAULTS = {"name": "spikeface", "timeout_min": 600, "cpus_per_task": 1}
MOST_TIMEOUTS = 100  # each goes on where the last one stopped
CLUSTERS = ("slurm", "local", "debug")


def parse_options(text: str) -> dict[str, Any]:
    """``KEY=VALUE,KEY=VALUE,...`` as submitit takes them; values with a comma in quotes."""
    options: dict[str, Any] = {}
    for piece in filter(None, pieces(text)):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not (key and equals and value):
            raise ConfigError(f"--slurm takes KEY=VALUE,KEY=VALUE,..., got {piece!r}")
        options[key] = toml_or_text(value)
    if options.get("cluster", "slurm") not in CLUSTERS:
        raise ConfigError(
            f"--slurm cluster must be one of {', '.join(CLUSTERS)}, got {options['cluster']!r}"
        )
    return options


def submit(sweep: SweepFolder, names: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """Submit a job array with one job for each run, and return the identifiers of the jobs.

    Raises
    ------
    BackendUnavailableError
        Without submitit or without Slurm.
    ConfigError
        For an option that submitit or Slurm does not have.
    """
    executor = _executor(sweep.jobs, options)
    with executor.batch():
        jobs = [executor.submit(Job(sweep.path.resolve(), name)) for name in names]
    if options.get("cluster") == "debug":  # its jobs run when they are asked for
        for job in jobs:
            job.result()
    return [str(job.job_id) for job in jobs]


def check_available(options: Mapping[str, Any]) -> None:
    """Raise what ``submit`` would, before anything is written."""
    with tempfile.TemporaryDirectory() as folder:  # some executors make theirs at once
        _executor(Path(folder), options)


class Job:
    """What a node does: one run, then the tables of the sweep."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    def __call__(self) -> str:
        """Do the run and return its state."""
        from spikeface.sweeps.execution import execute
        from spikeface.sweeps.tables import write_tables

        sweep = SweepFolder.open(self.folder)
        state = execute(sweep, self.name)
        write_tables(sweep)
        return state

    def checkpoint(self) -> Any:
        """Asked for by submitit when the time is up: the same job, which resumes, once more."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _executor(folder: Path, options: Mapping[str, Any]) -> Any:
    submitit = _submitit(options)
    given = {key: value for key, value in options.items() if key != "cluster"}
    executor = submitit.AutoExecutor(
        folder=folder,
        cluster=options.get("cluster", "slurm"),
        slurm_max_num_timeout=MOST_TIMEOUTS,
    )
    parameters = {
        key if key in SHARED else f"slurm_{key}": value for key, value in (DEFAULTS | given).items()
    }
    try:
        executor.update_parameters(**parameters)
    except (NameError, ValueError, AssertionError) as error:
        raise ConfigError(f"--slurm: {str(error).splitlines()[0]}") from error
    return executor


def _submitit(options: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError:
        raise BackendUnavailableError(
            "jobs on Slurm go through submitit, which is not installed: pip install submitit, "
            "or use --launcher processes"
        ) from None
    cluster = options.get("cluster", "slurm")
    if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise BackendUnavailableError(
            "there is no Slurm on this machine (srun was not found): run this on a node of the "
            "cluster, or use --launcher processes"
        )
    return submitit
