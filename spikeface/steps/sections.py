"""Sections of ``report.json`` that more than one step writes; every number has its tag."""

from __future__ import annotations

from typing import Any

from hardware.analysis.energy import LIMITS, constants, estimate
from hardware.analysis.metrics import input_spikes, layer_activity
from hardware.analysis.parity import Divergence
from hardware.backends.backend import ChipRun
from hardware.chip.network import ChipNetwork


def simulated(value: float, **context: Any) -> dict[str, Any]:
    """A number computed on this host."""
    return {"value": value, "tag": "simulated", **context}


def activity_section(network: ChipNetwork, result: ChipRun, n_steps: int) -> dict[str, Any]:
    activity = layer_activity(network, result, n_steps)
    return {
        "tag": "simulated",
        "per": "sample",
        "input_spikes": input_spikes(result),
        "spikes": sum(layer.spikes for layer in activity),
        "synaptic_operations": sum(layer.synops for layer in activity),
        "dense_operations": sum(layer.dense for layer in activity),
        "layers": [layer.as_dict() for layer in activity],
    }


def energy_section(
    network: ChipNetwork, result: ChipRun, *, n_steps: int, duration_s: float
) -> dict[str, Any]:
    """Estimated energy per clip, with the source of every constant and what is left out."""
    rows = estimate(
        layer_activity(network, result, n_steps), n_steps=n_steps, duration_s=duration_s
    )
    return {
        "tag": "estimated",
        "per": f"clip of {duration_s:g} s",
        "rows": [row.as_dict() for row in rows],
        "constants": [vars(constant) for constant in constants()],
        "limits": list(LIMITS),
    }


def parity_section(
    network: ChipNetwork, divergence: Divergence | None, n_samples: int
) -> dict[str, Any]:
    """What was compared between two backends, and where they part."""
    what = "every spike of every layer"
    if network.readout == "membrane":
        what += " and the membrane of the read-out"
    samples = f"{n_samples} sample{'s' if n_samples > 1 else ''}"
    return {
        "tag": "simulated",
        "samples": n_samples,
        "equal": divergence is None,
        "compared": what,
        "statement": f"{what} equal on {samples}" if divergence is None else str(divergence),
        "first_divergence": None if divergence is None else vars(divergence),
    }
