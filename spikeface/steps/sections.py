"""Sections of ``report.json`` that more than one step writes; every number has its tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hardware.analysis.energy import LIMITS, EnergyRow, constants, crossover, estimate
from hardware.analysis.fit import shapes_of
from hardware.analysis.fit.loihi1 import loihi1_fit
from hardware.analysis.metrics import Observed, input_spikes, layer_activity, metrics_of
from hardware.analysis.parity import Divergence
from hardware.backends.backend import ChipRun
from hardware.chip.network import ChipNetwork
from spikeface.steps.prices import Prices


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


def metrics_section(network: ChipNetwork, seen: Observed) -> dict[str, Any]:
    """NeuroBench's metrics, and the spikes of every layer in every step."""
    return metrics_of(network, seen).as_dict()


def energy_section(
    network: ChipNetwork,
    result: ChipRun,
    *,
    n_steps: int,
    duration_s: float,
    prices: Prices | None = None,
) -> dict[str, Any]:
    """Estimated energy per clip, with the source of every constant and what is left out."""
    prices = prices or Prices()
    activity = layer_activity(network, result, n_steps)
    rows = estimate(
        activity,
        n_steps=n_steps,
        duration_s=duration_s,
        profiles=prices.profiles,
        loihi1_chips=loihi1_fit(shapes_of(network)).chips,
    )
    balance = crossover(activity, n_steps)
    return energy_table(rows, balance, prices) | {"per": f"clip of {duration_s:g} s"}


def energy_table(
    rows: Sequence[EnergyRow], balance: dict[str, Any], prices: Prices
) -> dict[str, Any]:
    """Rows with the constants behind them, their limits, and what others measured."""
    return {
        "tag": "estimated",
        "rows": [row.as_dict() for row in rows],
        "constants": [constant.as_dict() for constant in constants(prices.profiles)],
        "limits": [*LIMITS, balance["statement"]],
        "crossover": balance,
        "anchors": [anchor.as_dict() for anchor in prices.anchors],
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
