"""Points that differ in the seed alone as one group, and which groups others are better than.

A group is dominated where another is at least as accurate and costs no more, and is better in one
of the two. Costs are compared within a kind: synaptic operations are not multiply-accumulates, and
the energies of spiking and artificial networks have different boundaries.

>>> groups = grouped(points)
>>> groups[0].mean("accuracy"), groups[0].std("accuracy"), groups[0].n
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikeface.comparison.points import Point
from spikeface.errors import ConfigError

MEASURES = (
    "accuracy", "latency_steps", "spikes", "acs", "graded_acs", "macs", "parameters",
    "weight_bytes", "state_bytes", "cores",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Group:
    """Networks that differ in the seed alone.

    Parameters
    ----------
    name : str
    points : tuple of Point
    other_test : str
        How its test differs from that of most runs; empty where it does not.
    """

    name: str
    points: tuple[Point, ...]
    other_test: str = ""

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.points)

    @property
    def kind(self) -> str:
        """Spiking or artificial."""
        return self.points[0].kind

    def mean(self, measure: str) -> float | None:
        """The mean over the runs that know it."""
        values = [v for p in self.points if (v := getattr(p, measure)) is not None]
        return statistics.fmean(values) if values else None

    def std(self, measure: str) -> float | None:
        """The sample standard deviation, from two runs on."""
        values = [v for p in self.points if (v := getattr(p, measure)) is not None]
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def needs_microcode(self) -> bool:
        """Whether a chip's stock neurons do not do."""
        return any(point.needs_microcode for point in self.points)

    @property
    def accuracy(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(point.accuracy for point in self.points)

    @property
    def energy_nj(self) -> tuple[float, float] | None:
        """Means of the lowest and of the highest estimate."""
        known = [p.energy_nj for p in self.points if p.energy_nj is not None]
        if not known:
            return None
        return statistics.fmean(e[0] for e in known), statistics.fmean(e[1] for e in known)

    @property
    def operations(self) -> float | None:
        """What the picture shows: synaptic operations of a spiking network, whatever its messages
        carry; multiply-accumulates of an artificial one."""
        if self.kind == "artificial":
            return self.mean("macs")
        added, graded = self.mean("acs"), self.mean("graded_acs")
        return None if added is None or graded is None else added + graded


def grouped(points: Sequence[Point]) -> list[Group]:
    """Groups in the order in which they first appear, each with a name of its own.

    The artificial forms of a classifier that was converted several times, or is given itself, count
    once.
    """
    members: dict[tuple[str, str, str], list[Point]] = {}
    seen: set[tuple[str, str]] = set()
    for point in points:
        if point.kind == "artificial" and point.source:
            if (point.source, point.label) in seen:
                continue
            seen.add((point.source, point.label))
        test = json.dumps(point.test, sort_keys=True)
        members.setdefault((point.label, point.settings, test), []).append(point)
    names = Counter(label for label, *_ in members)
    return [
        Group(
            name=label if names[label] == 1 else f"{label} ({found[0].run})",
            points=tuple(found),
        )
        for (label, *_), found in members.items()
    ]


def with_one_test(groups: Sequence[Group], *, mark: bool) -> list[Group]:
    """The groups, those that were tested otherwise than most marked.

    Raises
    ------
    ConfigError
        Naming every run that was, unless they are to be marked.
    """
    tests = Counter(json.dumps(g.points[0].test, sort_keys=True) for g in groups for _ in g.points)
    usual = json.loads(tests.most_common(1)[0][0])
    found = [replace(g, other_test=_difference(usual, g.points[0].test)) for g in groups]
    others = {p.run: g.other_test for g in found if g.other_test for p in g.points}
    if others and not mark:
        lines = "\n  ".join(f"{run}: {text}" for run, text in others.items())
        raise ConfigError(
            "these runs were tested otherwise than the rest, so their accuracies do not compare:"
            f"\n  {lines}\nleave them out, or keep them as marked rows with --mark"
        )
    return found


def comparable(groups: Sequence[Group]) -> list[Group]:
    """Groups that were tested alike."""
    return [group for group in groups if not group.other_test]


def dominated_by(group: Group, groups: Sequence[Group], cost: str) -> list[Group]:
    """Groups of the same kind that are no worse in accuracy and cost and better in one.

    Parameters
    ----------
    cost : {"operations", "energy"}
    """
    own = cost_of(group, cost)
    if own is None or group.other_test:
        return []
    found = []
    for other in comparable(groups):
        theirs = cost_of(other, cost)
        if other is group or theirs is None or other.kind != group.kind:
            continue
        no_worse = other.accuracy >= group.accuracy and theirs <= own
        if no_worse and (other.accuracy > group.accuracy or theirs < own):
            found.append(other)
    return found


def cost_of(group: Group, cost: str) -> float | None:
    """Operations, or the highest energy estimate."""
    if cost == "operations":
        return group.operations
    return None if group.energy_nj is None else group.energy_nj[1]


def _difference(usual: dict[str, Any], test: dict[str, Any]) -> str:
    parts = []
    for key, value in usual.items():
        if test[key] == value:
            continue
        if key == "sha256":
            parts.append("other data (sha256 differs)")
        elif key == "classes":
            parts.append(f"classes {', '.join(test[key])} and not {', '.join(value)}")
        else:
            parts.append(f"{key} {test[key]!r} and not {value!r}")
    return "; ".join(parts)
