"""Energy estimates: counted operations times published constants, each with its source.

No per-operation energy has been published for Loihi 2, so nothing here prices one. What is
published is Loihi 1, twice: Intel's pre-silicon table and an independent fit to measured boards.
Both price the same counts; the truth of a particular chip may lie outside. Energy that a chip
draws while it does nothing is given apart and never hidden in a total without being named.

>>> table = estimate(activity, n_steps=16, duration_s=0.4)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hardware.analysis.metrics import LayerActivity

DAVIES = (
    "Davies et al. 2018, IEEE Micro 38(1), Table 2 (Loihi 1, pre-silicon SPICE, 0.75 V), "
    "as quoted in later work"
)
SANA_FE = "SANA-FE, arch/loihi.yaml (Loihi 1, regression on Nahuku boards)"
FRADY = "Frady et al. 2020, Table 1 (Loihi 1, 3.34 W static for 32 chips), as quoted in later work"
HOROWITZ = "Horowitz 2014, ISSCC (45 nm, arithmetic only)"


@dataclass(frozen=True)
class Constant:
    """A published constant in the unit of its name."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Profile:
    """Energies per operation of one device, in picojoules.

    A neuron is updated in every step: ``active`` when it spikes, ``inactive`` otherwise. A spike
    costs ``spike`` within its tile; hops between tiles depend on the placement and are left out.
    """

    name: str
    synop: Constant
    active: Constant
    inactive: Constant
    spike: Constant


def _pj(name: str, value: float, source: str) -> Constant:
    return Constant(name, value, "pJ", source)


LOIHI1_DAVIES = Profile(
    "Loihi 1, Intel's table",
    synop=_pj("synaptic operation (minimum)", 23.6, DAVIES),
    active=_pj("neuron update, active", 81.0, DAVIES),
    inactive=_pj("neuron update, inactive", 52.0, DAVIES),
    spike=_pj("spike within a tile", 1.7, DAVIES),
)
LOIHI1_SANA_FE = Profile(
    "Loihi 1, fit to boards",
    synop=_pj("synaptic operation (dense)", 35.5, SANA_FE),
    active=_pj("soma access, update and spike", 51.2 + 21.6 + 69.3, SANA_FE),
    inactive=_pj("soma access and update", 51.2 + 21.6, SANA_FE),
    spike=_pj("message out", 111.0, SANA_FE),
)
LOIHI1_STATIC = Constant("static power of one chip", 3.34 / 32, "W", FRADY)
FP32_MAC = _pj("32-bit float multiply-accumulate", 3.7 + 0.9, HOROWITZ)
INT8_MAC = _pj("8-bit multiply-accumulate", 0.23, HOROWITZ)

LIMITS = (
    "Loihi 2 is not priced: no energy per operation has been published for it.",
    "Static energy assumes that one chip stays powered for the whole clip, as in live operation.",
    "Loihi 1 has binary spikes only: a message with a value is priced like one, too cheaply.",
    "Traffic between tiles and chips, host and sensor are left out.",
    "The INT8 row counts arithmetic only; memory traffic usually costs more.",
)


@dataclass(frozen=True, kw_only=True)
class EnergyRow:
    """Energy of one sample on one device, in nanojoules; ``basis`` says what was counted."""

    device: str
    dynamic_nj: float
    static_nj: float | None
    total_nj: float
    basis: str
    provenance: str = "estimated"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


def estimate(
    activity: Sequence[LayerActivity], *, n_steps: int, duration_s: float
) -> tuple[EnergyRow, ...]:
    """Energy per sample: Loihi 1 twice, and the same layers as an 8-bit artificial network.

    Parameters
    ----------
    activity : sequence of LayerActivity
        Of a run on any backend.
    n_steps : int
        Time steps of a sample.
    duration_s : float
        Duration of a sample in seconds of the world.
    """
    static_nj = LOIHI1_STATIC.value * duration_s * 1e9
    rows = [
        EnergyRow(
            device=profile.name,
            dynamic_nj=(dynamic_nj := _dynamic_pj(profile, activity, n_steps) * 1e-3),
            static_nj=static_nj,
            total_nj=dynamic_nj + static_nj,
            basis="synaptic operations, neuron updates and spikes",
        )
        for profile in (LOIHI1_DAVIES, LOIHI1_SANA_FE)
    ]
    macs = sum(layer.dense for layer in activity) / n_steps
    for passes, what in ((1, "one pass per clip"), (n_steps, "one pass per step")):
        energy_nj = macs * passes * INT8_MAC.value * 1e-3
        rows.append(
            EnergyRow(
                device=f"INT8 artificial network, {what}",
                dynamic_nj=energy_nj,
                static_nj=None,
                total_nj=energy_nj,
                basis=f"{macs * passes:,.0f} multiply-accumulates of the same layers",
            )
        )
    return tuple(rows)


def constants() -> tuple[Constant, ...]:
    """Every constant that ``estimate`` uses."""
    profiles = (LOIHI1_DAVIES, LOIHI1_SANA_FE)
    priced = [c for p in profiles for c in (p.synop, p.active, p.inactive, p.spike)]
    return (*priced, LOIHI1_STATIC, INT8_MAC)


def _dynamic_pj(profile: Profile, activity: Sequence[LayerActivity], n_steps: int) -> float:
    synops = sum(layer.synops for layer in activity)
    spikes = sum(layer.spikes for layer in activity)
    updates = sum(layer.neurons for layer in activity) * n_steps
    return (
        synops * profile.synop.value
        + spikes * (profile.active.value + profile.spike.value)
        + (updates - spikes) * profile.inactive.value
    )
