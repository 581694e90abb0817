"""What others measured end to end, mostly on Loihi 2: for scale, never to compute with.

Only figures whose document was read are shown by default; the others say how far they were
followed.

>>> [anchor.workload for anchor in anchors()]
['PilotNet, LIF, ...', 'PilotNet, sigma-delta, ...']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hardware.analysis.energy.constants import EVIDENCE, Evidence
from hardware.analysis.energy.profiles import EnergyProfileError, unknown_keys

_KEYS = ("workload", "figure", "source", "evidence")


@dataclass(frozen=True)
class Anchor:
    """One measured result of others."""

    workload: str
    figure: str
    source: str
    evidence: Evidence

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self) | {"tag": "measured"}


ANCHORS = (
    Anchor(
        "PilotNet, LIF, 16 steps a frame, 74 cores of a Loihi 2, frame repeated on the chip",
        "1.661 mJ per inference in total, 1.094 mJ dynamic; 408.91 frames/s; 0.679 W "
        "(0.447 dynamic, 0.232 static)",
        "lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb",
        "primary",
    ),
    Anchor(
        "PilotNet, sigma-delta, 61 cores of a Loihi 2, bound by input and output",
        "16.34 mJ per inference in total, dynamic -0.36 mJ (below the noise); 16.87 frames/s; "
        "0.276 W",
        "lava-dl, tutorials/lava/lib/dl/netx/pilotnet_sdnn/benchmark.ipynb",
        "primary",
    ),
    Anchor(
        "S4D, token by token, Loihi 2 against a Jetson Orin Nano",
        "1000 times less energy, 75 times lower latency than recurrent S4D there; the Jetson wins "
        "on batches",
        "arXiv 2409.15022",
        "abstract",
    ),
    Anchor(
        "MatMul-free language model of 370 M parameters, Loihi 2 against a transformer on an "
        "edge GPU",
        "up to 3 times the throughput, 2 times less energy, preliminary",
        "arXiv 2503.18002v1",
        "abstract",
    ),
    Anchor(
        "Keyword spotting with delays (SHD, SSC), Loihi 2 against a Jetson Orin Nano",
        "up to 18 times faster, 250 times less energy",
        "arXiv 2510.13757",
        "abstract",
    ),
    Anchor(
        "Keyword spotting (SHD), 1024 hidden neurons, Loihi 2",
        "0.50 mJ per inference",
        "arXiv 2510.13757, as quoted in later work",
        "secondary",
    ),
    Anchor(
        "Detection with event cameras (Gen1 and others), Loihi 2",
        "0.96 to 1.9 mJ dynamic, 6 to 16 ms, 2.05 to 2.57 W; other entries 13 to 20 mJ in total",
        "arXiv 2605.00146, as quoted in later work",
        "secondary",
    ),
    Anchor(
        "Loihi 2 board at rest and at work",
        "1.78 W static of 1.80 W: x86 1.56 W, 34 neurocores 0.25 W",
        "Nesbit, arXiv 2609.32317, Table II, as quoted in later work",
        "secondary",
    ),
    Anchor(
        "Fall detection with an event camera (IMX636)",
        "90 mW at F1 84 %",
        "arXiv 2511.22554",
        "abstract",
    ),
    Anchor(
        "DVS-Gesture on ColibriES, which is no Loihi",
        "7.7 mJ, 164.5 ms per inference",
        "arXiv 2302.07957",
        "abstract",
    ),
)


def anchors(evidence: Iterable[Evidence] = ("primary",)) -> tuple[Anchor, ...]:
    """The measured results of others whose evidence is among those given."""
    wanted = set(evidence)
    return tuple(anchor for anchor in ANCHORS if anchor.evidence in wanted)


def anchors_from_tables(tables: Any) -> tuple[Anchor, ...]:
    """A user's anchors: tables with ``workload``, ``figure`` and ``source``.

    Raises
    ------
    EnergyProfileError
        With all problems.
    """
    if not isinstance(tables, Sequence) or not all(isinstance(t, Mapping) for t in tables):
        raise EnergyProfileError("anchors are tables, each under [[anchors]]")
    problems: list[str] = []
    for number, table in enumerate(tables, start=1):
        where = f"anchors[{number}]."
        problems += unknown_keys(table, _KEYS, where)
        problems += [
            f"{where}{key} must be text"
            for key in ("workload", "figure", "source")
            if not isinstance(table.get(key), str) or not table[key].strip()
        ]
        if (given := table.get("evidence", "secondary")) not in EVIDENCE:
            problems.append(f"{where}evidence must be one of {', '.join(EVIDENCE)}, got {given!r}")
    if problems:
        raise EnergyProfileError("; ".join(problems))
    return tuple(
        Anchor(t["workload"], t["figure"], t["source"], t.get("evidence", "secondary"))
        for t in tables
    )
