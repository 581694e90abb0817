"""The tables of a sweep: a row a run, a row a group, and confusions, as CSV.

>>> write_tables(SweepFolder.open(Path("sweeps/a")))
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeface.outputs import write_text, writing
from spikeface.sweeps.folder import SweepFolder
from spikeface.sweeps.page import summary_page
from spikeface.sweeps.picture import write_picture
from spikeface.sweeps.plan import REPEATS, lookup
from spikeface.sweeps.results import MEASURES, Group, Result, group_results, read_result

TABLES_LOCK = ".tables"  # no run is called so: their names begin with a letter or digit
TABLES_WAIT_S = 60.0
KEYS = (
    "task",
    "model.family",
    "model.engine",
    "data.dataset",
    "data.protocol",
    *REPEATS,
    "training.epochs",
)


def write_tables(sweep: SweepFolder) -> dict[str, Any]:
    """Write all tables, the page and the picture from what the run folders say now.

    Returns
    -------
    dict
        ``runs`` and ``groups``, the rows of ``runs.csv`` and ``summary.csv``.
    """
    # Jobs end at the same time on several nodes: the last writer must have read last.
    with sweep.held(TABLES_LOCK, wait_s=TABLES_WAIT_S):
        results = [read_result(sweep, name) for name in sweep.planned]
        groups = group_results(results)
        rows, summary = run_rows(results), group_rows(groups)
        _write_csv(sweep.rows, rows)
        _write_csv(sweep.summary, summary)
        _write_csv(sweep.confusion, _confusion_rows(groups))
        write_text(sweep.page, summary_page(groups))
        write_picture(sweep.picture, groups)
    return {"runs": rows, "groups": summary}


def run_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row a run; all have the same columns, None where there is nothing to say."""
    swept = dict.fromkeys(key for result in results for key in result.planned.values)
    keys = dict.fromkeys([*KEYS, *swept])
    return [
        {
            "name": result.planned.name,
            "state": result.state,
            **{key: _setting(result, key) for key in keys},
            "augmentation": augmentation(lookup(result.settings, "training.augment") or {}),
            "epochs_trained": result.measures.get("epochs_trained"),
            **{measure: result.measures.get(measure) for measure in MEASURES},
            "error": result.error,
        }
        for result in results
    ]


def group_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A row a group; accuracies lie in [0, 1]."""
    references = dict.fromkeys(n for g in groups for r in g.finished for n in r.references)
    classes = dict.fromkeys(label for group in groups for label in group.classes)
    rows = []
    for group in groups:
        row: dict[str, Any] = {
            "group": group.name,
            "runs": len(group.results),
            "finished": group.n,
            "failed": sum(result.state == "failed" for result in group.results),
            "seeds": group.different(REPEATS[0]),
            "folds": group.different(REPEATS[1]),
        }
        for measure in MEASURES:
            row |= {f"{measure}_mean": group.mean(measure), f"{measure}_std": group.std(measure)}
        row["chance"] = group.chance
        row |= {f"baseline_{name}": group.reference(name) for name in references}
        by_class = group.class_accuracies()
        row["answers_of"] = group.answers if group.n else None
        row |= {f"accuracy of {label}": by_class.get(label) for label in classes}
        rows.append(row)
    return rows


def augmentation(table: Mapping[str, Any]) -> str:
    """The amounts that are not zero and the switches that are on."""
    parts = []
    for key, value in table.items():
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, bool):
            parts += [key] if value else []
        elif value:
            parts.append(f"{key} {value:g}")
    return ", ".join(parts) or "none"


def _setting(result: Result, key: str) -> Any:
    """From the whole configuration; what it does not hold (a preset) from what was swept."""
    if key == "model.engine" and lookup(result.settings, "model.family") == "resnet":
        return None  # an artificial network has no neurons to step
    value = lookup(result.settings, key)
    return result.planned.values.get(key) if value is None else value


def _confusion_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {
            "group": group.name,
            "answers_of": group.answers,
            "true": label,
            "predicted": guess,
            "clips": int(group.confusion()[row, column]),
        }
        for group in groups
        for row, label in enumerate(group.classes)
        for column, guess in enumerate(group.classes)
    ]


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with writing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
