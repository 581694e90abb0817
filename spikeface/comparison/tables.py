"""The comparison as rows: for CSV, JSON, Markdown, the page and the terminal.

>>> rows = table_rows(groups)
>>> rows[0]["name"], rows[0]["accuracy_mean"], rows[0]["runs"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikeface.comparison.groups import Group, dominated_by
from spikeface.text.numbers import MISSING, compact, spread
from spikeface.text.tables import table

COUNTS = ("latency_steps", "spikes", "acs", "graded_acs", "macs", "parameters")
BYTES = ("weight_bytes", "state_bytes")
NOTES = (
    "Accuracy is by recording, on test recordings of subjects that nothing was trained or selected "
    "on where the protocol is strict; ± is the sample standard deviation over runs that differ in "
    "the seed alone.",
    "Everything else is per recording, all of its images together, and simulated. ACs add a "
    "weight, graded ACs multiply it with a message of few bits, MACs multiply two full numbers "
    "(of a converted network: its head on the host). They are not alike and never added up; the "
    "picture shows synaptic operations, which a chip counts whatever a message carries.",
    "Steps: until an answer to one clip is complete on a chip. Bytes: of weights (4 in floats, 1 "
    "of 8 bits) and of the states that neurons keep. Cores are those of a Loihi 2, estimated; * "
    "needs microcode for neurons that Lava has no Process for. Energy is estimated, dynamic only.",
)


def table_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A flat row a group."""
    rows = []
    for group in groups:
        low, high = group.energy_nj or (None, None)
        point = group.points[0]
        rows.append(
            {
                "name": group.name,
                "kind": group.kind,
                "runs": group.n,
                "accuracy_mean": group.accuracy,
                "accuracy_std": group.std("accuracy"),
                "recordings": point.recordings,
                **{measure: group.mean(measure) for measure in (*COUNTS, *BYTES, "cores")},
                "needs_microcode": group.needs_microcode,
                "energy_nj_low": low,
                "energy_nj_high": high,
                "energy_basis": point.energy_basis,
                "dominated": bool(dominated_by(group, groups, "operations")),
                "other_test": group.other_test,
                "members": " ".join(p.run for p in group.points),
            }
        )
    return rows


HEADERS = (
    "network", "runs", "accuracy", "steps", "spikes", "ACs", "graded ACs", "MACs", "parameters",
    "weights, bytes", "states, bytes", "cores", "energy, µJ",
)  # fmt: skip


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text, in the order of ``HEADERS``."""
    return [
        row["name"] + (" (dominated)" if row["dominated"] else ""),
        str(row["runs"]),
        accuracy_text(row),
        *(_count(row[key]) for key in (*COUNTS, *BYTES)),
        _count(row["cores"]) + ("*" if row["needs_microcode"] else ""),
        energy_text(row),
    ]


def accuracy_text(row: Mapping[str, Any]) -> str:
    """Mean and spread in per cent."""
    return spread(row["accuracy_mean"], row["accuracy_std"])


def energy_text(row: Mapping[str, Any]) -> str:
    """Lowest and highest estimate in microjoules."""
    low, high = row["energy_nj_low"], row["energy_nj_high"]
    if low is None:
        return MISSING
    ends = [compact(value / 1e3) for value in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def markdown(rows: Sequence[Mapping[str, Any]], sentences: Sequence[str], test: str) -> str:
    """``comparison.md``."""
    lines = ["# Comparison", "", test, "", *table(HEADERS, [cells(row) for row in rows])]
    marked = [row for row in rows if row["other_test"]]
    lines += [f"Tested otherwise: {row['name']}: {row['other_test']}.\n" for row in marked]
    lines += [*(f"{note}\n" for note in NOTES), "What it shows:", ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in sentences), ""])


def what_was_tested(test: dict[str, Any]) -> str:
    """What everything was tested on, as a sentence."""
    part = "" if test["recordings"] == test["of"] else f" of {test['of']}"
    known = f" (SHA-256 {test['sha256'][:12]}...)" if test["sha256"] else ""
    return (
        f"Tested on {test['recordings']}{part} recordings of {test['dataset']}{known}, protocol "
        f"{test['protocol']}, fold {test['fold']}; {len(test['classes'])} classes: "
        f"{', '.join(test['classes'])}."
    )


def comparison_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The table on a terminal, and what it shows."""
    width = max(len(row["name"]) for row in result["rows"]) + 2
    yield f"{'':<{width}}{'runs':>5}{'accuracy':>15}{'steps':>7}{'ACs':>8}{'graded':>8}{'MACs':>8}"
    for row in result["rows"]:
        counts = "".join(f"{_count(row[key]):>8}" for key in ("acs", "graded_acs", "macs"))
        yield (
            f"{row['name']:<{width}}{row['runs']:>5}{accuracy_text(row):>15}"
            f"{_count(row['latency_steps']):>7}{counts}"
        )
    yield from result["reading"]
    yield f"written to {result['folder']}"


def _count(value: float | None) -> str:
    return MISSING if value is None else compact(value) if value else "0"
