"""Published energies, each with its source and with how well that source is known.

Evidence, from the surest down: ``primary`` (the file or document itself was read), ``abstract``
(its abstract), ``secondary`` (quoted by others: check the original before you print it), ``fit``
(a regression of our own), ``calculated`` (arithmetic on other numbers).

>>> INT8_MAC.value / FP32_AC.value  # spikes per synapse above which 8-bit arithmetic is cheaper
0.2555...
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Evidence = Literal["primary", "abstract", "secondary", "fit", "calculated"]
EVIDENCE = get_args(Evidence)

DAVIES = (
    "Davies et al. 2018, IEEE Micro 38(1), Table 2 (Loihi 1, pre-silicon SPICE, 0.75 V), "
    "as quoted in later work"
)
SANA_FE = "SANA-FE, arch/loihi.yaml (Loihi 1, regression on Nahuku boards)"
FRADY = "Frady et al. 2020, Table 1 (Loihi 1, 3.34 W static for 32 chips), as quoted in later work"
HOROWITZ = "Horowitz 2014, ISSCC (45 nm, arithmetic only), as in SpikingJelly and syops-counter"


@dataclass(frozen=True)
class Constant:
    """A published constant in the unit of its name."""

    name: str
    value: float
    unit: str
    source: str
    evidence: Evidence = "secondary"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


def pj(name: str, value: float, source: str, evidence: Evidence) -> Constant:
    """An energy in picojoules."""
    return Constant(name, value, "pJ", source, evidence)


DAVIES_SYNOP = pj("synaptic operation (minimum)", 23.6, DAVIES, "secondary")
DAVIES_ACTIVE = pj("neuron update, active", 81.0, DAVIES, "secondary")
DAVIES_INACTIVE = pj("neuron update, inactive", 52.0, DAVIES, "secondary")
DAVIES_SPIKE = pj("spike within a tile", 1.7, DAVIES, "secondary")
DAVIES_HOP_EW = pj("hop to the next tile, east or west", 3.0, DAVIES, "secondary")
DAVIES_HOP_NS = pj("hop to the next tile, north or south", 4.0, DAVIES, "secondary")

SANA_FE_DENSE = pj("synaptic operation (dense)", 35.5, SANA_FE, "primary")
SANA_FE_SPARSE = pj("synaptic operation (sparse)", 33.6, SANA_FE, "primary")
SANA_FE_CONV = pj("synaptic operation (convolution)", 24.0, SANA_FE, "primary")
SANA_FE_ACTIVE = pj("soma access, update and spike", 51.2 + 21.6 + 69.3, SANA_FE, "primary")
SANA_FE_INACTIVE = pj("soma access and update", 51.2 + 21.6, SANA_FE, "primary")
SANA_FE_SPIKE = pj("message out", 111.0, SANA_FE, "primary")
SANA_FE_HOP_EW = pj("hop to the next tile, east or west (fit)", 3.0, SANA_FE, "primary")
SANA_FE_HOP_NS = pj("hop to the next tile, north or south (fit)", 4.2, SANA_FE, "primary")

LOIHI1_STATIC = Constant("static power of one chip", 3.34 / 32, "W", FRADY, "secondary")

FP32_MAC = pj("32-bit float multiply-accumulate", 3.7 + 0.9, HOROWITZ, "primary")
FP32_AC = pj("32-bit float addition", 0.9, HOROWITZ, "primary")
INT8_MAC = pj("8-bit multiply-accumulate", 0.23, HOROWITZ, "primary")
INT8_AC = pj("8-bit addition", 0.03, HOROWITZ, "primary")
