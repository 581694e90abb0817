"""What Lava's profilers measure on a board, as plain data: their classes, and what to read of them.

The classes of ``lava.utils.loihi2_profiler`` are handed to the run configuration as callbacks, as
in the benchmarks that Intel published with lava-dl (``pilotnet_snn/benchmark.ipynb``). The newer
``Profiler`` of lava-nc configures the same ones but gives back neither activity nor memory. Users
report that a profiler serves one ``run()`` only and that recording times disturbs the power, so
each kind has a run of its own.

This module does not import Lava.

>>> PROBES["energy"].fields["total_power"]
'W'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["energy", "time", "activity", "memory"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONG_RUN_STEPS = 10_000
"""Steps of a measuring run at least: those of Intel's benchmark. Power is measured slowly."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One profiler.

    Parameters
    ----------
    profiler : str
        Dotted name of the class.
    takes_steps : bool
        Whether it is told the number of steps.
    fields : dict of str to str
        Attributes to read after the run, with their unit; those that are absent are left out.
        Units are those that Intel's notebooks and users print, none is documented.
    """

    profiler: str
    fields: dict[str, str]
    takes_steps: bool = False

    def as_dict(self, n_steps: int) -> dict[str, Any]:
        """The call that is made, as plain values."""
        return {
            "profiler": self.profiler,
            "arguments": {"num_steps": n_steps} if self.takes_steps else {},
            "fields": dict(self.fields),
        }


PROBES: dict[Kind, Probe] = {
    "energy": Probe(
        profiler="lava.utils.loihi2_profiler.Loihi2Power",
        takes_steps=True,
        fields={
            "total_power": "W",
            "static_total_power": "W",
            "vdd_power": "W",
            "vddm_power": "W",
            "vddio_power": "W",
        },
    ),
    "time": Probe(
        profiler="lava.utils.loihi2_profiler.Loihi2ExecutionTime",
        fields={
            "avg_time_per_step": "us",
            "time_per_step": "us",
            "execution_time_per_step": "us",
            "spiking_time_per_step": "us",
            "management_time_per_step": "us",
            "host_time_per_step": "us",
        },
    ),
    "activity": Probe(
        profiler="lava.utils.loihi2_profiler.Loihi2Activity",
        fields={
            "core_idx": "",
            "spikes_in": "count",
            "syn_ops": "count",
            "dendrite_updates": "count",
            "axon_out": "count",
        },
    ),
    "memory": Probe(
        profiler="lava.utils.loihi2_profiler.Loihi2Memory",
        fields={"core_idx": "", "small_mpds": "", "large_mpds": "", "total_mpds": ""},
    ),
}


def derived(kind: str, values: dict[str, Any], steps_per_sample: int) -> dict[str, Any]:
    """What follows from a profiler's means, by the formulas of Intel's benchmark.

    ``time of a sample = mean time of a step x steps``; powers need the time for an energy, which
    `energy_per_sample_mj` takes from the other run.
    """
    step_us = values.get("avg_time_per_step", {}).get("mean")
    if kind != "time" or not step_us:
        return {}
    return {
        "time_per_sample_us": step_us * steps_per_sample,
        "samples_per_s": 1e6 / (step_us * steps_per_sample),
    }


def energy_per_sample_mj(power_w: float, time_per_sample_us: float) -> float:
    """Energy of a sample: power times time, W x us / 1000 = mJ."""
    return power_w * time_per_sample_us * 1e-3
