"""Energy estimates: counted operations times published constants.

Per sample, in pJ (Davies 2018, Table 2; the formula is linear in what is counted):

    E = N_synop e_synop + N_active e_active + N_inactive e_inactive
        + N_spike (e_spike + h_EW e_EW + h_NS e_NS)                        dynamic
        + P_static t n_chips                                               static

``h`` are the hops of a spike between tiles. They depend on where a compiler puts neurons and are 0
unless they are given. Static energy is what a chip draws while it does nothing, given apart.

>>> rows = estimate(activity, n_steps=16, duration_s=0.4)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hardware.analysis.energy.constants import FP32_AC, FP32_MAC, INT8_AC, INT8_MAC, Constant
from hardware.analysis.energy.profiles import LOIHI1, Level, Profile
from hardware.analysis.metrics.activity import LayerActivity

LIMITS = (
    "Loihi 2 is not priced: no energy per operation has been published for it.",
    "Low and nominal leave static energy out, as if the chip were shared or switched off between "
    "samples; high assumes that the chips which hold the network stay powered for the whole clip, "
    "as in live operation. Of a device other than Loihi 1 one is counted.",
    "Loihi 1 has binary spikes only: a message with a value is priced like one, too cheaply.",
    "Traffic between tiles and chips, host and sensor are left out.",
    "The 45 nm rows count arithmetic only; memory traffic usually costs more.",
)


@dataclass(frozen=True, kw_only=True)
class EnergyRow:
    """Energy of one sample on one device, in nanojoules; ``basis`` says what was counted."""

    device: str
    level: Level
    dynamic_nj: float
    static_nj: float | None
    total_nj: float
    basis: str
    provenance: str = "estimated"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Hops:
    """Mean hops of a spike between tiles."""

    east_west: float = 0.0
    north_south: float = 0.0


RANDOM_HOPS = Hops(east_west=(8**2 - 1) / (3 * 8), north_south=(4**2 - 1) / (3 * 4))
"""Between two tiles drawn at random from the 8 by 4 of a Loihi 1: 2.6 and 1.25. A compiler that
puts neighbouring layers side by side needs fewer, so this is a cautious guess."""


def estimate(
    activity: Sequence[LayerActivity],
    *,
    n_steps: int,
    duration_s: float,
    profiles: Sequence[Profile] = LOIHI1,
    hops: Hops | None = None,
    loihi1_chips: int = 1,
) -> tuple[EnergyRow, ...]:
    """Energy per sample: a row a profile, and for reference the same network's arithmetic at 45 nm.

    Parameters
    ----------
    activity : sequence of LayerActivity
        Of a run on any backend.
    n_steps : int
        Time steps of a sample.
    duration_s : float
        Duration of a sample in seconds of the world.
    profiles : sequence of Profile
        Loihi 1 by default: low, nominal and high.
    hops : Hops, optional
        Left out by default; `RANDOM_HOPS` is a cautious guess.
    loihi1_chips : int
        How many the network takes; all of them draw static power. Another device draws it once.
    """
    priced = (
        price(
            profile,
            activity,
            n_steps=n_steps,
            duration_s=duration_s,
            hops=hops,
            loihi1_chips=loihi1_chips,
        )
        for profile in profiles
    )
    macs = sum(layer.dense_padded for layer in activity) / n_steps
    return (
        *priced,
        arithmetic_row("INT8 artificial network, one pass per clip", macs, INT8_MAC),
        arithmetic_row("INT8 artificial network, one pass per step", macs * n_steps, INT8_MAC),
        arithmetic_row("FP32 artificial network, one pass per clip", macs, FP32_MAC),
        *spike_rows(activity),
    )


def price(
    profile: Profile,
    activity: Sequence[LayerActivity],
    *,
    n_steps: int,
    duration_s: float,
    hops: Hops | None = None,
    loihi1_chips: int = 1,
) -> EnergyRow:
    """Energy per sample on one device; see ``estimate``."""
    dynamic_nj = 1e-3 * sum(_layer_pj(profile, layer, n_steps, hops) for layer in activity)
    chips = loihi1_chips if profile in LOIHI1 else 1
    static_nj = None if profile.static is None else profile.static.value * duration_s * chips * 1e9
    basis = "synaptic operations, neuron updates and spikes"
    if hops:
        basis += f", {hops.east_west + hops.north_south:g} hops a spike"
    if profile.static and chips > 1:
        basis += f"; {chips} chips stay powered"
    return EnergyRow(
        device=profile.device,
        level=profile.level,
        dynamic_nj=dynamic_nj,
        static_nj=static_nj,
        total_nj=dynamic_nj + (static_nj or 0.0),
        basis=basis,
    )


def arithmetic_row(device: str, macs: float, constant: Constant) -> EnergyRow:
    """An artificial network by its multiply-accumulates."""
    counted = f"{macs:,.0f} multiply-accumulates of the same layers"
    return _arithmetic(device, macs * constant.value * 1e-3, counted)


def spike_rows(activity: Sequence[LayerActivity]) -> tuple[EnergyRow, ...]:
    """The spiking network by its additions, and multiplications where messages have values."""
    added = sum(layer.effective_acs for layer in activity)
    multiplied = sum(layer.effective_macs for layer in activity)
    counted = f"{added:,.0f} additions of its spikes"
    if multiplied:
        counted += f", {multiplied:,.0f} multiply-accumulates of its messages with values"
    return tuple(
        _arithmetic(f"{bits} spiking network", (added * ac + multiplied * mac) * 1e-3, counted)
        for bits, ac, mac in (
            ("INT8", INT8_AC.value, INT8_MAC.value),
            ("FP32", FP32_AC.value, FP32_MAC.value),
        )
    )


def crossover(
    activity: Sequence[LayerActivity], n_steps: int, *, passes: float = 1.0, per: str = "clip"
) -> dict[str, Any]:
    """When an 8-bit artificial network needs less arithmetic than the spikes.

    One pass costs ``e_MAC`` a synapse, spikes cost ``e_AC`` each, ``steps * rate`` a synapse: equal
    at ``steps * rate = e_MAC / e_AC``. The additions are those of 32 bits that most papers take,
    the synapses those that the artificial network multiplies with, padding included.

    Parameters
    ----------
    activity : sequence of LayerActivity
    n_steps : int
        Time steps of a sample.
    passes : float
        How often the artificial network runs in a sample.
    per : str
        What it runs on.

    Returns
    -------
    dict
        ``threshold``; ``spikes_per_synapse``, what was counted; and both in words, ``statement``.
    """
    threshold = INT8_MAC.value / FP32_AC.value
    once = sum(layer.dense_padded for layer in activity) / n_steps * passes
    found = sum(layer.synops for layer in activity) / once if once else 0.0
    dearer = "more" if found > threshold else "less"
    if any(layer.effective_macs for layer in activity):
        dearer += ", not counting that messages with values are multiplied"
    return {
        "threshold": threshold,
        "spikes_per_synapse": found,
        "statement": (
            f"At {FP32_AC.value:g} pJ an addition, spikes need more arithmetic than an 8-bit "
            f"artificial network that runs once per {per}, at {INT8_MAC.value:g} pJ a "
            f"multiplication, as soon as steps × rate passes {threshold:.2f} spikes per synapse "
            f"and {per}; here it is {found:.2f}, so they need {dearer}."
        ),
    }


def constants(profiles: Sequence[Profile] = LOIHI1) -> tuple[Constant, ...]:
    """Every constant that ``estimate`` uses, each once."""
    used = [constant for profile in profiles for constant in profile.constants]
    return tuple(dict.fromkeys((*used, INT8_MAC, INT8_AC, FP32_MAC, FP32_AC)))


def _layer_pj(profile: Profile, layer: LayerActivity, n_steps: int, hops: Hops | None) -> float:
    synop = profile.synop_of.get(layer.synapse_kind, profile.synop)
    per_spike = profile.active.value + profile.spike.value
    if hops:
        per_spike += hops.east_west * (profile.hop_ew.value if profile.hop_ew else 0.0)
        per_spike += hops.north_south * (profile.hop_ns.value if profile.hop_ns else 0.0)
    idle = layer.neurons * n_steps - layer.spikes
    return layer.synops * synop.value + layer.spikes * per_spike + idle * profile.inactive.value


def _arithmetic(device: str, energy_nj: float, basis: str) -> EnergyRow:
    return EnergyRow(
        device=f"45 nm, {device}",
        level="reference",
        dynamic_nj=energy_nj,
        static_nj=None,
        total_nj=energy_nj,
        basis=basis,
    )
