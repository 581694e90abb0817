"""Run folders: everything one run is and found, in files that appear whole or not at all.

    config.toml  environment.json  status.json     what was asked for, where, how far it came
    metrics.csv  checkpoint.pt                     training
    network.nir  network.chip                      the float network and the integers
    encoders/                                      those that a reconstruction kept
    samples.npz                                    spikes of a few samples, for pictures
    report.json  report.html  figures/             what came out

A run that was killed keeps its folder; ``status.json`` says ``running`` and names the step, and
the step can be resumed.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spikeface.environment import environment
from spikeface.errors import ConfigError, RunFolderError
from spikeface.outputs import is_free, write_json, write_text, writing

SCHEMA = "spikeface.report/1"
MEMBRANE = "membrane"  # in samples.npz: the answer of a network that is read by its membrane


class RunFolder:
    """Paths and atomic files of one run. Make one with ``create`` or ``open``, which check."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.status = path / "status.json"
        self.metrics = path / "metrics.csv"
        self.checkpoint = path / "checkpoint.pt"
        self.nir = path / "network.nir"
        self.chip = path / "network.chip"
        self.encoders = path / "encoders"
        self.samples = path / "samples.npz"
        self.report = path / "report.json"
        self.page = path / "report.html"
        self.figures = path / "figures"

    @classmethod
    def create(cls, path: Path, config_toml: str, *, resume: bool = False) -> RunFolder:
        """A new folder with its configuration, or an interrupted one to go on with.

        Raises
        ------
        RunFolderError
            When the folder holds something and `resume` is not set, belongs to another
            configuration, or cannot be written.
        """
        run = cls(Path(path))
        if run.config.exists() and resume:
            if not _is_same(run.config, config_toml):
                raise RunFolderError(
                    f"{path}: was started with another configuration (its config.toml differs); "
                    "resume with the same one or choose another folder"
                )
            return run
        try:
            if not is_free(run.path):
                raise RunFolderError(
                    f"{path}: exists already; choose another --out, "
                    "or go on with an interrupted run with --resume"
                )
            run.path.mkdir(parents=True, exist_ok=True)
            write_text(run.config, config_toml)
            write_json(run.path / "environment.json", environment())
        except OSError as error:
            raise RunFolderError(f"{path}: cannot be written ({error.strerror})") from error
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises
        ------
        RunFolderError
            When there is none.
        """
        run = cls(Path(path))
        if not run.config.is_file():
            raise RunFolderError(
                f"{path}: not a run folder (no config.toml in it); make one with 'spikeface train'"
            )
        return run

    def need(self, path: Path, command: str) -> Path:
        """A file of this run, or an error that names the command which makes it."""
        if not path.is_file():
            raise RunFolderError(
                f"{self.path}: there is no {path.name} yet; run 'spikeface {command}' first"
            )
        return path

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say in ``status.json`` that a step runs, and afterwards how it ended."""
        status = self.read_status()
        entry = {"state": "running", "pid": os.getpid(), "started": _now()}
        write_json(self.status, status | {name: entry})
        try:
            yield
        except BaseException as error:
            kind = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            write_json(self.status, status | {name: entry | {"state": kind, "ended": _now()}})
            raise
        write_json(self.status, status | {name: entry | {"state": "done", "ended": _now()}})

    def read_status(self) -> dict[str, Any]:
        """State of each step so far."""
        return json.loads(self.status.read_text()) if self.status.exists() else {}

    def is_done(self, name: str) -> bool:
        """Whether a step has ended well."""
        return self.read_status().get(name, {}).get("state") == "done"

    def read_report(self) -> dict[str, Any]:
        """What is known so far, an empty report at first."""
        if not self.report.exists():
            return {"schema": SCHEMA}
        try:
            return json.loads(self.report.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{self.report}: not readable as JSON ({error})") from error

    def update_report(self, **sections: Any) -> None:
        """Add or replace sections of ``report.json``."""
        write_json(self.report, self.read_report() | sections)

    def write_metrics(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write ``metrics.csv``, a row an epoch."""
        with writing(self.metrics) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def write_samples(self, **arrays: np.ndarray) -> None:
        """Write ``samples.npz``."""
        with writing(self.samples) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)


def _is_same(path: Path, config_toml: str) -> bool:
    """Whether a configuration is that of a run; options newer than the run have their defaults."""
    if path.read_text(encoding="utf-8") == config_toml:
        return True
    # It brings torch along, which most of what writes files here does without.
    from spikeface.config import load_run_config, to_toml

    try:
        return to_toml(load_run_config(path)) == config_toml
    except ConfigError:
        return False


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
