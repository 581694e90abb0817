"""Does a network fit: cores, chips, what binds, which rules it breaks, what would make it smaller.

>>> fit = fit_network(load_network("network.chip"))
>>> fit.cores, fit.cores_lower_bound, fit.chips, fit.binding
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hardware.analysis.fit.boards import (
    BOARD_SOURCE,
    CORES_A_CHIP,
    CORES_SOURCE,
    board_rows,
    chips_for,
)
from hardware.analysis.fit.loihi1 import Loihi1Fit, loihi1_fit, most_binding
from hardware.analysis.fit.loihi2 import (
    NEURONS_MAX,
    NEURONS_SEEN,
    UNITS,
    LayerFit,
    layer_fit,
    network_lower_bound,
)
from hardware.analysis.fit.shapes import NetworkShape, shapes_of
from hardware.analysis.fit.suggestions import Suggestion, suggest
from hardware.analysis.rules import STOCK_NEURONS, Rule, check_rules
from hardware.chip.network import INPUT, ChipNetwork

CHIP = "Loihi 2"
SOURCES = (
    "Core tables printed by Intel's compiler: lava-dl tutorial notebooks PilotNet SDNN, "
    "PilotNet LIF and Oxford (2022 to 2023)",
    f"{NEURONS_MAX} neurons and 192 KB a core: Intel's Loihi 2 brief, as quoted in later work",
    CORES_SOURCE,
    BOARD_SOURCE,
)
NOTES = (
    "The estimate is a fit to the output of one generation of Intel's compiler on three networks: "
    "61 of 61 cores for PilotNet SDNN, 74 of 74 for PilotNet LIF, 4 of 5 for Oxford, whose second "
    "dense layer took 3 cores where the fit says 2.",
    f"{NEURONS_SEEN} neurons a core is the fullest that was seen, {NEURONS_MAX} is what Intel "
    f"states; the size of a unit of synaptic memory ({UNITS} a core) is not published.",
    "The band goes from 8192 neurons a core to vectors that fill their cores as badly as the "
    "worst that was seen. The lower bound fills every core to the last neuron or unit and lets "
    "layers share it, which the compiler never did.",
    "Kernels that do not fit a core are divided by channels here; no published network needed it.",
    "Not published, so not checked: axons a core, program memory of neuron models, memory of "
    "delays.",
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A network on Loihi 2 and, beside it, on Loihi 1; every number is an estimate.

    Parameters
    ----------
    layers : tuple of LayerFit
        A layer on the host takes no core.
    shape : NetworkShape
    rules : tuple of Rule
        All that were checked.
    suggestions : tuple of Suggestion
    loihi1 : Loihi1Fit
    notes : tuple of str
        About this network.
    """

    layers: tuple[LayerFit, ...]
    shape: NetworkShape
    loihi1: Loihi1Fit
    rules: tuple[Rule, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cores(self) -> int:
        """As the compiler would place them: no core holds two layers."""
        return max(1, sum(layer.cores for layer in self.layers))

    @cached_property
    def cores_lower_bound(self) -> int:
        """With layers that share cores."""
        return min(network_lower_bound(self.shape.layers), self.cores)

    @property
    def cores_band(self) -> tuple[int, int]:
        """Between the generous and the bad packing."""
        low, high = (sum(layer.cores_band[i] for layer in self.layers) for i in (0, 1))
        return max(1, low), max(1, high)

    @property
    def chips(self) -> int:
        """Chips that hold the cores."""
        return chips_for(self.cores)

    @property
    def binding(self) -> str:
        """The resource that takes most cores."""
        return most_binding((layer.binding, layer.cores) for layer in self.layers)

    @property
    def violations(self) -> tuple[Rule, ...]:
        """The rules that are broken."""
        return tuple(rule for rule in self.rules if not rule.ok)

    @property
    def needs_microcode(self) -> bool:
        """Whether some neurons are none that Lava has a Process for."""
        return any(rule.rule == STOCK_NEURONS for rule in self.violations)

    def as_dict(self) -> dict[str, Any]:
        """The section ``fit`` of a report."""
        return {
            "tag": "estimated",
            "chip": CHIP,
            "cores": self.cores,
            "cores_lower_bound": self.cores_lower_bound,
            "cores_band": list(self.cores_band),
            "cores_per_chip": CORES_A_CHIP[CHIP],
            "chips": self.chips,
            "binding": self.binding,
            "neurons": self.shape.neurons,
            "weights": sum(layer.weights for layer in self.shape.layers),
            "layers": [layer.as_dict() for layer in self.layers],
            "rules": [rule.as_dict() for rule in _worth_telling(self.rules)],
            "boards": board_rows(self.cores),
            "loihi1": self.loihi1.as_dict(),
            "suggestions": [suggestion.as_dict() for suggestion in self.suggestions],
            "notes": [*NOTES, *self.notes],
            "sources": list(SOURCES),
        }


def fit_network(network: ChipNetwork) -> Fit:
    """What a network takes on Loihi 2 and Loihi 1.

    Parameters
    ----------
    network : ChipNetwork
        Only shapes count for cores; rules also look at the numbers.
    """
    rules = check_rules(network)
    return fit_shapes(shapes_of(network), rules=rules, notes=_notes(network))


def fit_shapes(
    shape: NetworkShape, *, rules: tuple[Rule, ...] = (), notes: tuple[str, ...] = ()
) -> Fit:
    """The same of shapes alone, before there are weights."""
    return Fit(
        layers=tuple(layer_fit(layer) for layer in shape.layers),
        shape=shape,
        loihi1=loihi1_fit(shape),
        rules=rules,
        suggestions=suggest(shape),
        notes=notes,
    )


def _worth_telling(rules: tuple[Rule, ...]) -> list[Rule]:
    """Everything that is broken, then of each rule the layer that is nearest to its limit."""
    nearest: dict[str, Rule] = {}
    for rule in rules:
        if rule.ok and (rule.rule not in nearest or rule.use > nearest[rule.rule].use):
            nearest[rule.rule] = rule
    return [*(rule for rule in rules if not rule.ok), *nearest.values()]


def _notes(network: ChipNetwork) -> tuple[str, ...]:
    """What of this network the estimate cannot see."""
    notes = []
    waiting = _waiting(network)
    if waiting:
        neurons = sum(math.prod(network.shape_of(s)) * steps for s, steps in waiting)
        paths = ", ".join(dict.fromkeys(source for source, _ in waiting))
        notes.append(
            f"Messages of {paths} skip layers and must wait for them. Where the chip's delays "
            f"cannot do it, relay neurons must: {neurons:,} of them, at least "
            f"{math.ceil(neurons / NEURONS_SEEN)} cores, which are not counted."
        )
    hosted = [layer.name for layer in shapes_of(network).layers if layer.on_host]
    if hosted:
        notes.append(f"{', '.join(hosted)}: the host encodes the input, as in Intel's example.")
    return tuple(notes)


def _waiting(network: ChipNetwork) -> list[tuple[str, int]]:
    """Sources whose messages arrive too early somewhere, each with the most steps it waits."""
    waits: dict[str, int] = {}
    for synapse in network.synapses:
        if network.is_recurrent(synapse):
            continue
        for source in synapse.sources:
            late = network.depth[synapse.target] - network.depth[source] - synapse.LATENCY
            if late > 0 and source != INPUT:
                waits[source] = max(late, waits.get(source, 0))
    return list(waits.items())
