"""Accuracies with their intervals, baselines first, for a page, a figure and a table.

>>> [(row.label, row.interval) for row in accuracy_rows(report)]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

BASELINES = ("majority", "baseline_event_count", "baseline_ridge")
ACCURACIES = (
    ("majority", "always one class"),
    ("baseline_event_count", "event count only"),
    ("baseline_ridge", "ridge on count maps"),
    ("float", "network, float"),
    ("per_clip", "network, by clip"),
    ("per_recording", "network, by recording"),
    ("integer", "network, integer"),
    ("lava", "network, on Lava"),
    ("loihi", "network, on Loihi 2"),
)


class AccuracyRow(NamedTuple):
    """One line of the accuracy table; without n there is no interval."""

    label: str
    value: float
    tag: str
    n: int | None
    interval: tuple[float, float] | None


def accuracy_rows(
    report: Mapping[str, Any], keys: Sequence[str] = tuple(dict(ACCURACIES))
) -> list[AccuracyRow]:
    """The accuracies that are known.

    ``float`` is left out where accuracies by clip and by recording are given: it is one of these.
    """
    known = report.get("accuracy", {})
    rows = []
    for key, label in ACCURACIES:
        entry = known.get(key)
        if not entry or key not in keys or (key == "float" and "per_clip" in known):
            continue
        n = entry.get("n")
        interval = wilson_interval(entry["value"], n) if n else None
        rows.append(AccuracyRow(label, entry["value"], entry["tag"], n, interval))
    return rows


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95% confidence interval of a share of n independent trials (Wilson 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)
