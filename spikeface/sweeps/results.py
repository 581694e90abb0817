"""What each run of a sweep found, and what runs that differ in seed and fold alone found together.

A result is read from ``report.json``, never computed again: a table says what the reports say.
Of a group, means and spreads are over its finished runs, ``std`` is the sample standard deviation
(n - 1); accuracies by class are means over the runs whose test set has the class; confusions are
sums.

>>> results = [read_result(sweep, name) for name in sweep.planned]
>>> [(group.name, group.n, group.mean("float_accuracy")) for group in group_results(results)]
[('norse', 3, 0.81)]
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from spikeface.runs import RunFolder
from spikeface.sweeps.folder import SweepFolder
from spikeface.sweeps.plan import REPEATS, PlannedRun, lookup, protocol, settings

MEASURES = (
    "float_accuracy",
    "integer_accuracy",
    "same_answers",
    "validation_accuracy",
    "spikes_per_clip",
    "synaptic_operations_per_clip",
    "float_spikes_per_clip",
    "float_synaptic_operations_per_clip",
    "training_minutes",
    "clip_accuracy",
    "recording_accuracy",
    "psnr",
    "ssim",
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: what was asked for, how far it came, what it found.

    Parameters
    ----------
    planned : PlannedRun
    settings : dict
        Its configuration as nested tables.
    state, error : str
        See ``SweepFolder``; the error is empty where there is none.
    measures : dict of str to float
        Of ``MEASURES`` those that are known, and ``epochs_trained``.
    classes : tuple of str
        Empty before training has ended.
    chance : float, optional
    references : dict of str to float
        Test accuracy of each trivial classifier.
    protocol_text : str
    confusions : dict of str to ndarray of int64, shape (n_classes, n_classes)
        Of the ``float`` and, where it exists, the ``integer`` network; rows are true classes.
    """

    planned: PlannedRun
    settings: Mapping[str, Any]
    state: str
    error: str
    measures: Mapping[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    chance: float | None = None
    references: Mapping[str, float] = field(default_factory=dict)
    protocol_text: str = ""
    confusions: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs whose configurations differ in seed and fold alone.

    Parameters
    ----------
    name : str
    results : tuple of Result
        All of them, finished or not.
    """

    name: str
    results: tuple[Result, ...]

    @property
    def finished(self) -> list[Result]:
        """Those that count: done, and their report still there."""
        return [r for r in self.results if r.state == "done" and r.confusions]

    @property
    def n(self) -> int:
        """How many count."""
        return len(self.finished)

    @property
    def answers(self) -> str:
        """Whose answers the confusion holds: ``integer`` where all runs have them."""
        whole = all("integer" in result.confusions for result in self.finished)
        return "integer" if whole else "float"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, empty before a run has finished."""
        return self.finished[0].classes if self.finished else ()

    def values(self, measure: str) -> list[float]:
        """One number a finished run that has it."""
        return [r.measures[measure] for r in self.finished if measure in r.measures]

    def mean(self, measure: str) -> float | None:
        """None where no finished run has it."""
        values = self.values(measure)
        return float(np.mean(values)) if values else None

    def std(self, measure: str) -> float | None:
        """Sample standard deviation; None below two runs."""
        values = self.values(measure)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def different(self, key: str) -> int:
        """How many different values of a key its finished runs have."""
        return len({json.dumps(lookup(result.settings, key)) for result in self.finished})

    def reference(self, name: str) -> float | None:
        """Mean test accuracy of a trivial classifier over the finished runs."""
        values = [r.references[name] for r in self.finished if name in r.references]
        return float(np.mean(values)) if values else None

    def activity(self, measure: str) -> float | None:
        """Mean of a count of the network whose answers these are."""
        return self.mean(measure if self.answers == "integer" else f"float_{measure}")

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing."""
        values = [r.chance for r in self.finished if r.chance is not None]
        return float(np.mean(values)) if values else None

    def confusion(self) -> np.ndarray:
        """Sum over the finished runs, int64 (n_classes, n_classes); rows are true classes."""
        n = len(self.classes)
        total = np.zeros((n, n), np.int64)
        for result in self.finished:
            total += result.confusions[self.answers]
        return total

    def class_accuracies(self) -> dict[str, float | None]:
        """Mean over the finished runs whose test set shows the class."""
        shares = []
        for result in self.finished:
            counts = result.confusions[self.answers]
            shown = counts.sum(axis=1)
            shares.append(np.where(shown > 0, np.diag(counts) / np.maximum(shown, 1), np.nan))
        means: dict[str, float | None] = {}
        for number, label in enumerate(self.classes):
            known = [share[number] for share in shares if not math.isnan(share[number])]
            means[label] = float(np.mean(known)) if known else None
        return means


def read_result(sweep: SweepFolder, name: str) -> Result:
    """What the folder of a run says."""
    planned = sweep.planned[name]
    run = sweep.run(name)
    report = run.read_report()
    accuracy = report.get("accuracy", {})
    classes = tuple(report.get("data", {}).get("classes", ()))
    return Result(
        planned=planned,
        settings=settings(planned),
        state=sweep.state(name),
        error=sweep.entry(name).get("error") or "",
        measures=_measures(run, report),
        classes=classes,
        chance=accuracy.get("chance"),
        references={
            key.removeprefix("baseline_"): entry["value"]
            for key, entry in accuracy.items()
            if key.startswith("baseline_") or key == "majority"
        },
        protocol_text=accuracy.get("protocol", ""),
        confusions=_confusions(report.get("predictions", {}), len(classes)),
    )


def group_results(results: Sequence[Result]) -> list[Group]:
    """Results by everything but seed and fold, in their order."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        key = json.dumps(_without(result.settings, REPEATS), sort_keys=True)
        groups.setdefault(key, []).append(result)
    return [Group(name=_name(members), results=tuple(members)) for members in groups.values()]


def _measures(run: RunFolder, report: Mapping[str, Any]) -> dict[str, float]:
    places = {
        "epochs_trained": "training.epochs",
        "validation_accuracy": "training.best_validation_accuracy.value",
        "float_accuracy": "accuracy.float.value",
        "integer_accuracy": "accuracy.integer.value",
        "same_answers": "accuracy.same_prediction_as_float.value",
        "spikes_per_clip": "spikes.spikes",
        "synaptic_operations_per_clip": "spikes.synaptic_operations",
        "float_spikes_per_clip": "training.spikes_per_clip.value",
        "float_synaptic_operations_per_clip": "training.synaptic_operations_of_spikes.value",
        "clip_accuracy": "accuracy.per_clip.value",
        "recording_accuracy": "accuracy.per_recording.value",
        "psnr": "reconstruction.quality.psnr",
        "ssim": "reconstruction.quality.ssim",
    }
    found = {name: lookup(report, place) for name, place in places.items()}
    if "training" in report:
        found["training_minutes"] = _training_seconds(run, report) / 60
    return {name: value for name, value in found.items() if value is not None}


def _training_seconds(run: RunFolder, report: Mapping[str, Any]) -> float:
    """Of all epochs, those before an interruption included, which the report leaves out."""
    if run.metrics.is_file():
        with run.metrics.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if rows and "seconds" in rows[0]:
            return sum(float(row["seconds"]) for row in rows)
    return float(report["training"]["host_seconds"])


def _confusions(predictions: Mapping[str, Any], n_classes: int) -> dict[str, np.ndarray]:
    found = {}
    for kind in ("float", "integer"):
        if kind in predictions:
            found[kind] = np.zeros((n_classes, n_classes), np.int64)
            np.add.at(found[kind], (predictions["labels"], predictions[kind]), 1)
    return found


def _without(table: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A copy of nested tables that lacks some keys."""
    copied = json.loads(json.dumps(table, default=str))
    for key in keys:
        *path, last = key.split(".")
        inner = lookup(copied, ".".join(path))
        if isinstance(inner, dict):
            inner.pop(last, None)
    return copied


def _name(members: Sequence[Result]) -> str:
    """What the members call their group; for different names, what these begin with."""
    names = sorted({member.planned.group for member in members})
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(names[0], names[-1], strict=False))
    return "".join(character for character, _ in shared).strip("-_.") or names[0]


def protocol_of(results: Sequence[Result]) -> str:
    """The one protocol that all runs of a sweep follow."""
    return protocol(results[0].planned) if results else "strict"
