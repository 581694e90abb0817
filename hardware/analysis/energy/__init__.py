"""What a run would cost: counted operations times published constants, each with its source.

No per-operation energy has been published for Loihi 2, so nothing here prices one. What is
published is Loihi 1, twice: Intel's pre-silicon table and an independent fit to measured boards.
Both price the same counts; the truth of a particular chip may lie outside. Static, dynamic and
total energy stand side by side, and what others measured on Loihi 2 stands beside them for scale.
"""

from hardware.analysis.energy.anchors import Anchor, anchors, anchors_from_tables
from hardware.analysis.energy.constants import FP32_AC, FP32_MAC, INT8_AC, INT8_MAC, Constant
from hardware.analysis.energy.estimate import (
    LIMITS,
    RANDOM_HOPS,
    EnergyRow,
    Hops,
    arithmetic_row,
    constants,
    crossover,
    estimate,
    price,
    spike_rows,
)
from hardware.analysis.energy.profiles import (
    LOIHI1,
    LOIHI1_HIGH,
    LOIHI1_LOW,
    LOIHI1_NOMINAL,
    EnergyProfileError,
    Profile,
    profile_from_table,
)

__all__ = [
    "FP32_AC",
    "FP32_MAC",
    "INT8_AC",
    "INT8_MAC",
    "LIMITS",
    "LOIHI1",
    "LOIHI1_HIGH",
    "LOIHI1_LOW",
    "LOIHI1_NOMINAL",
    "RANDOM_HOPS",
    "Anchor",
    "Constant",
    "EnergyProfileError",
    "EnergyRow",
    "Hops",
    "Profile",
    "anchors",
    "anchors_from_tables",
    "arithmetic_row",
    "constants",
    "crossover",
    "estimate",
    "price",
    "profile_from_table",
    "spike_rows",
]
