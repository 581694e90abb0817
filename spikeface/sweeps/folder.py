"""The folder of a sweep: its plan, the run folders, who works on which, and how far each came.

    sweep.json                 the plan: runs, their configurations, their last step
    runs/NAME/                 a run folder each (spikeface.runs)
    logs/NAME.log              what a run printed, where it had a process of its own
    runs.csv                   a row a run
    summary.csv summary.md     a row a group: runs that differ in seed and fold alone
    summary.png confusion.csv

Every file appears whole or not at all. A worker holds a lock on the run it works on, which the
system releases when it dies: so a run whose status says ``running`` and whose lock is free was
interrupted, and no two workers ever share a run.

>>> sweep = SweepFolder.create(Path("sweeps/a"), plan(config, over=["training.seed=0:3"]))
>>> sweep.states()
{'seed0': 'waiting', 'seed1': 'waiting', 'seed2': 'waiting'}
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spikeface.errors import RunFolderError
from spikeface.outputs import is_free, write_json
from spikeface.runs import RunFolder
from spikeface.sweeps.plan import PlannedRun, check_runs
from spikeface.sweeps.values import slug

try:
    import fcntl
except ImportError:  # not a POSIX system: two sweeps in one folder are the user's to avoid
    fcntl = None  # type: ignore[assignment]

SCHEMA = "spikeface.sweep/1"
PLAN = "sweep.json"
STEPS = ("train", "quantise", "simulator")  # of a run
WHOLE = "sweep"  # of a run's status.json: the run as a whole
STATES = ("waiting", "running", "interrupted", "failed", "done")
LOCK_RETRY_S = 0.2


class SweepFolder:
    """Paths, plan and states of one sweep. Make one with ``create`` or ``open``, which check."""

    def __init__(self, path: Path, planned: Sequence[PlannedRun], until: str) -> None:
        self.path = path
        self.planned = {run.name: run for run in planned}
        self.until = until
        self.rows = path / "runs.csv"
        self.summary = path / "summary.csv"
        self.page = path / "summary.md"
        self.picture = path / "summary.png"
        self.confusion = path / "confusion.csv"
        self.jobs = path / "jobs"

    @classmethod
    def create(
        cls,
        path: Path,
        planned: Sequence[PlannedRun],
        *,
        until: str | None = None,
        resume: bool = False,
    ) -> SweepFolder:
        """A new folder with its plan, or an existing one to go on with, which may grow.

        Parameters
        ----------
        path : Path
        planned : sequence of PlannedRun
            With `resume` they are added to the runs that the folder has.
        until : str, optional
            The last of ``STEPS`` that runs take; with `resume` finished runs go on to it. Default:
            that of the folder, in a new one the last.
        resume : bool
            Go on with the folder if there is one.

        Raises
        ------
        RunFolderError
            When the folder holds something and `resume` is not set, when a run of the same name
            had another configuration, or when the folder cannot be written.
        """
        path = Path(path)
        if resume and (path / PLAN).is_file():
            before = cls.open(path)
            planned, until = before._grown(planned), until or before.until
        elif not is_free(path):
            raise RunFolderError(
                f"{path}: exists already; choose another --out, or go on with --resume"
            )
        sweep = cls(path, planned, until or STEPS[-1])
        try:
            for folder in (sweep.path, sweep.path / "runs", sweep.path / "logs", sweep._locks):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written ({error.strerror})") from error
        runs = [asdict(run) for run in planned]
        write_json(path / PLAN, {"schema": SCHEMA, "until": sweep.until, "runs": runs})
        return sweep

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """The sweep of an existing folder.

        Raises
        ------
        RunFolderError
            When there is none, or its plan is damaged.
        """
        file = Path(path) / PLAN
        if not file.is_file():
            raise RunFolderError(f"{path}: not a sweep (no {PLAN} in it)")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            planned = [PlannedRun(**run) for run in content["runs"]]
            if odd := [run.name for run in planned if run.name != slug(run.name)]:
                raise ValueError(f"{odd[0]!r} is no name of a run")  # nor of a path elsewhere
            if content["until"] not in STEPS:
                raise ValueError(f"{content['until']!r} is no step of a run")
            return cls(Path(path), planned, content["until"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunFolderError(f"{file}: not the plan of a sweep ({error!r})") from error

    def run(self, name: str) -> RunFolder:
        """The run folder of a name, which need not exist yet."""
        return RunFolder(self.path / "runs" / name)

    def log(self, name: str) -> Path:
        """Where a run in a process of its own prints to."""
        return self.path / "logs" / f"{name}.log"

    def state(self, name: str) -> str:
        """One of ``STATES``."""
        state = str(self.entry(name).get("state", "waiting"))
        return "interrupted" if state == "running" and not self._is_held(name) else state

    def states(self) -> dict[str, str]:
        """The state of each run."""
        return {name: self.state(name) for name in self.planned}

    def is_finished(self, name: str) -> bool:
        """Whether a run has done all that this sweep asks of it."""
        entry = self.entry(name)
        return entry.get("state") == "done" and entry.get("until") == self.until

    def unfinished(self) -> list[str]:
        """The runs that are still to do, failed ones included."""
        return [name for name in self.planned if not self.is_finished(name)]

    def entry(self, name: str) -> dict[str, Any]:
        """What ``status.json`` says of a run as a whole: state, started, ended, error."""
        return self.run(name).read_status().get(WHOLE, {})

    def note(self, name: str, **entry: Any) -> None:
        """Say in ``status.json`` how the run as a whole is."""
        run = self.run(name)
        run.path.mkdir(exist_ok=True)
        write_json(run.status, run.read_status() | {WHOLE: self.entry(name) | entry})

    @contextmanager
    def held(self, name: str, *, wait_s: float) -> Iterator[bool]:
        """Hold a run against other workers; False when another one keeps it for `wait_s`."""
        with (self._locks / name).open("ab") as file:
            deadline = time.monotonic() + wait_s
            while not (held := _lock(file)) and time.monotonic() < deadline:
                time.sleep(LOCK_RETRY_S)
            yield held

    @property
    def _locks(self) -> Path:
        return self.path / ".locks"

    def _is_held(self, name: str) -> bool:
        try:
            with self.held(name, wait_s=0) as free:
                return not free
        except OSError:
            return False

    def _grown(self, planned: Sequence[PlannedRun]) -> list[PlannedRun]:
        for run in planned:
            before = self.planned.get(run.name)
            if before and before.config != run.config:
                raise RunFolderError(
                    f"{self.path}: the run {run.name} was planned with another configuration; "
                    "resume with the same one or choose another folder"
                )
        grown = list((self.planned | {run.name: run for run in planned}).values())
        check_runs(grown)
        return grown


def now() -> str:
    """The time as ``status.json`` has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _lock(file: Any) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it
        return False
    return True
