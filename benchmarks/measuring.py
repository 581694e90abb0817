"""How times are taken and shown: interleaved runs, medians of ratios, tables on paper and disk."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
Row = dict[str, Any]


def seconds(run: Callable[[], object], repeat: int) -> float:
    """Wall time of one call, the mean of ``repeat``."""
    started = time.perf_counter()
    for _ in range(repeat):
        run()
    return (time.perf_counter() - started) / repeat


def ratio(theirs: list[float], ours: list[float]) -> float:
    """Median of the ratios of interleaved runs."""
    return median(t / o for t, o in zip(theirs, ours, strict=True))


def show(
    tables: dict[str, list[Row]],
    summary: Callable[[dict[str, list[Row]]], object],
    *,
    as_json: bool,
    save: bool,
) -> None:
    """Tables by name on paper, or their summary as one JSON object; and on disk if wanted."""
    for name, rows in tables.items():
        if not as_json:
            print_table(name, rows)
        if save:
            save_table(name, rows)
    if as_json:
        print(json.dumps(summary(tables)))


def print_table(name: str, rows: list[Row]) -> None:
    """Columns as wide as they must be."""
    cells = [list(rows[0]), *([_text(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(f"\n{name}")
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def save_table(name: str, rows: list[Row]) -> None:
    """Write ``results/<name>.csv``."""
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_text(v) for v in row.values()] for row in rows)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
