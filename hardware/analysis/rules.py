"""Design rules: what a Loihi 2 demands of a network, each with what is needed and what there is.

A rule is a small function of a network that yields one `Rule` a layer; `check_rules` asks them all
and reports all violations at once. Most register widths also hold for every network that can be
built at all: their rules then say how much of a register is used.

>>> [rule for rule in check_rules(network) if not rule.ok]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.analysis.fit.loihi2 import UNITS, units
from hardware.analysis.fit.shapes import Layer, shapes_of, state_bytes
from hardware.backends.lava.limits import is_plain
from hardware.backends.lava.timing import route, timing_problem
from hardware.chip import registers as reg
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.synapses import Conv, Weighted
from hardware.chip.weights import sign_mode, stored_mode

STATE_BYTES_MAX = 4096  # of one neuron
STOCK_NEURONS = "stock neuron model"
LAVA = "lava-nc 0.10.0, bit-accurate CPU models"
BRIEF = "Intel's Loihi 2 brief, as quoted in later work"
COMPILER = "output of Intel's compiler in lava-dl's notebooks; cost a synapse is a fit"
NETX = "lava-dl 0.6.0, netx/utils.py"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule asked of one layer.

    Parameters
    ----------
    rule, layer : str
    required, available : float
        In ``unit``.
    ok : bool
        Whether the chip can do it. A worst case beyond a register is a risk and no violation.
    advice : str
        What to do; empty where there is nothing.
    source : str
        Of the limit.
    """

    rule: str
    layer: str
    required: float
    available: float
    unit: str
    ok: bool
    advice: str = ""
    source: str = LAVA

    @property
    def use(self) -> float:
        """How much of what is available is required."""
        return self.required / self.available if self.available else float(self.required > 0)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        return asdict(self)


def check_rules(network: ChipNetwork) -> tuple[Rule, ...]:
    """Every rule of every layer, in the order of the rules and then of the network."""
    return tuple(rule for check in RULES for rule in check(network))


def _limit(
    rule: str, layer: str, required: float, available: float, unit: str, advice: str, **more: Any
) -> Rule:
    """A rule that holds when what is required is available; no advice where it holds."""
    ok = required <= available
    return Rule(
        rule=rule,
        layer=layer,
        required=required,
        available=available,
        unit=unit,
        ok=ok,
        advice="" if ok else advice,
        **more,
    )


# -- numbers in registers -------------------------------------------------------------------------
def weight_bits(network: ChipNetwork) -> Iterator[Rule]:
    """Magnitude bits of weights; a layer with both signs has only even ones."""
    for synapse in _weighted(network):
        largest = int(np.abs(synapse.weight).max(initial=0))
        bits = max(1, largest.bit_length())
        mode = stored_mode(synapse.weight)
        if mode == "mixed":  # -256 is the one value of nine bits that the format holds
            bits = min(bits, reg.WEIGHT_BITS)
        if mode is None:
            bits = max(bits, reg.WEIGHT_BITS + 1)
        advice = "odd weights of both signs lose their lowest bit: quantise again"
        yield _limit("weight bits", synapse.target, bits, reg.WEIGHT_BITS, _signs(synapse), advice)


def _signs(synapse: Weighted) -> str:
    return {"mixed": "bits, both signs, even", "excitatory": "bits, all positive"}.get(
        sign_mode(synapse.weight), "bits, all negative"
    )


def message_bits(network: ChipNetwork) -> Iterator[Rule]:
    """Bits of the values that a synapse reads."""
    for synapse in _weighted(network):
        if synapse.message_bits:
            yield _limit(
                "bits of a message",
                synapse.target,
                synapse.message_bits,
                reg.PAYLOAD_BITS_MAX,
                "bits, signed",
                "fewer levels or a coarser scale",
                source=f"{LAVA}; Shrestha et al. 2024 use 24 bits",
            )


def delays(network: ChipNetwork) -> Iterator[Rule]:
    """Delays of synapses."""
    for synapse in _weighted(network):
        if synapse.delays[1]:
            yield _limit(
                "delay of a synapse",
                synapse.target,
                synapse.delays[1],
                reg.DELAY_MAX,
                "steps",
                "train with a shorter limit, or longer steps",
                source=NETX,
            )


def delays_of_convolutions(network: ChipNetwork) -> Iterator[Rule]:
    """Convolutions have no delays in Lava; netx drops them without a word."""
    for synapse in network.synapses:
        if isinstance(synapse, Conv) and synapse.delay and not network.is_recurrent(synapse):
            yield _limit(
                "delay of a convolution",
                synapse.target,
                synapse.delay,
                0,
                "steps",
                "put relay neurons before it, one layer a step",
                source=NETX,
            )


def recurrence(network: ChipNetwork) -> Iterator[Rule]:
    """A way back takes a step for every layer it crosses."""
    for synapse in network.synapses:
        if network.is_recurrent(synapse):
            path = route(network, synapse)
            missing = max(path.offset - synapse.delays[0], -min(path.waits), 0)
            yield Rule(
                rule="delay of a recurrent synapse",
                layer=synapse.target,
                required=synapse.delays[0] + missing,
                available=synapse.delays[0],
                unit="steps",
                ok=timing_problem(network, synapse) is None,
                advice="a longer delay; each layer on the way takes a step" if missing else "",
                source="one step a synapse on Lava and the chip",
            )


def thresholds(network: ChipNetwork) -> Iterator[Rule]:
    """Mantissa of thresholds."""
    for population in network.populations:
        if isinstance(population, Cuba | Levels):
            yield _limit(
                "threshold",
                population.name,
                _bits(population.vth),
                reg.THRESHOLD_MANTISSA_MAX.bit_length(),
                "bits, unsigned",
                "a smaller scale of weights",
            )


def biases(network: ChipNetwork) -> Iterator[Rule]:
    """Mantissa of biases, and their exponent."""
    for population in network.populations:
        if isinstance(population, Cuba | Levels) and np.any(population.bias_mant):
            yield _limit(
                "bias",
                population.name,
                _bits(population.bias_mant) + 1,
                reg.BIAS_MANTISSA_MAX.bit_length() + 1,
                f"bits, signed, times 2**{population.bias_exp}",
                "a larger exponent, or a smaller scale of weights",
            )


def currents(network: ChipNetwork) -> Iterator[Rule]:
    """Current of one step if every source fires: beyond 24 bits it would wrap."""
    for population in network.populations:
        if not isinstance(population, Cuba):
            continue
        incoming = [s for s in network.incoming(population.name) if isinstance(s, Weighted)]
        worst = sum(_worst_sum(network, s) for s in incoming) << reg.INPUT_SHIFT
        if worst:
            bits = worst.bit_length() + 1
            yield Rule(
                rule="current if all sources fire at once",
                layer=population.name,
                required=bits,
                available=reg.STATE_BITS,
                unit="bits, signed",
                ok=True,
                advice=""
                if bits <= reg.STATE_BITS
                else "a risk, no violation: 'simulate --strict' on typical input finds a wrap",
            )


def _worst_sum(network: ChipNetwork, synapse: Weighted) -> int:
    """Largest sum of weights of one sign into one neuron, times the largest message."""
    weight = synapse.weight
    if weight.ndim == 1:
        return 0  # sparse: by source, not by target
    rows = weight.reshape(len(weight), -1)
    positive = np.where(rows > 0, rows, 0).sum(axis=1, dtype=np.int64)
    negative = positive - rows.sum(axis=1, dtype=np.int64)
    total = int(max(positive.max(initial=0), negative.max(initial=0)))
    bits = synapse.message_bits or 1
    largest = len(synapse.sources) if bits == 1 else (1 << bits) - 1
    total *= largest
    return total << synapse.weight_exp if synapse.weight_exp > 0 else total >> -synapse.weight_exp


# -- what a core holds ----------------------------------------------------------------------------
def fan_in(network: ChipNetwork) -> Iterator[Rule]:
    """Synaptic memory of one neuron, or one channel: it cannot be divided between cores."""
    for layer in shapes_of(network).layers:
        yield from fan_in_of(layer)


def fan_in_of(layer: Layer) -> Iterator[Rule]:
    """The same of a shape alone."""
    required = 0 if layer.on_host else units(layer, 1)
    if required:
        one = "channel" if len(layer.shape) == 3 else "neuron"
        yield _limit(
            f"synaptic memory of one {one}",
            layer.name,
            required,
            UNITS,
            "units of SynMem",
            "a smaller image or fewer channels before it: a stride, pooling or a narrower layer",
            source=COMPILER,
        )


def state_memory(network: ChipNetwork) -> Iterator[Rule]:
    """State of one neuron."""
    for layer in shapes_of(network).layers:
        yield _limit(
            "state of a neuron",
            layer.name,
            state_bytes(layer),
            STATE_BYTES_MAX,
            "bytes",
            "fewer state variables",
            source=BRIEF,
        )


# -- what neurons do ------------------------------------------------------------------------------
def stock_neurons(network: ChipNetwork) -> Iterator[Rule]:
    """Neurons that Lava has a Process for; others need microcode of their own."""
    for population in network.populations:
        why = _own_program(network, population.name)
        yield Rule(
            rule=STOCK_NEURONS,
            layer=population.name,
            required=population.n_neurons if why else 0,
            available=0,
            unit="neurons that need microcode",
            ok=not why,
            advice=why,
            source=f"{LAVA}: which Processes there are; size of chip programs is not published",
        )


def _own_program(network: ChipNetwork, name: str) -> str:
    population = network[name]
    if isinstance(population, Levels):
        return "levels need microcode; sigma-delta code runs on stock neurons"
    ports = {synapse.port for synapse in network.incoming(name)} - {"bias"}
    if not isinstance(population, Cuba) or is_plain(population, ports):
        return ""
    wanted = {
        "reset by subtraction": population.reset != "zero",
        "rest after a spike": bool(population.refractory),
        "an initial voltage": bool(np.any(population.v_init)),
        "resets within a sample": bool(population.reset_interval),
    }
    found = " and ".join(what for what, is_asked in wanted.items() if is_asked)
    return f"{found}: Lava's LIF has none; train with reset to zero alone, or write microcode"


def skipped_layers(network: ChipNetwork) -> Iterator[Rule]:
    """Messages that skip layers wait for the longer way."""
    for synapse in network.synapses:
        if network.is_recurrent(synapse):
            continue
        late = [
            network.depth[synapse.target] - network.depth[source] - synapse.LATENCY
            for source in synapse.sources
            if source != INPUT
        ]
        if max(late, default=0) > 0:
            yield _limit(
                "waiting of a path that skips layers",
                synapse.target,
                max(late) + synapse.delays[1],
                reg.DELAY_MAX,
                "steps",
                "fewer layers beside the path",
                source=NETX,
            )


RULES: tuple[Callable[[ChipNetwork], Iterator[Rule]], ...] = (
    fan_in,
    stock_neurons,
    delays,
    delays_of_convolutions,
    recurrence,
    skipped_layers,
    weight_bits,
    message_bits,
    thresholds,
    biases,
    currents,
    state_memory,
)


def _weighted(network: ChipNetwork) -> Iterator[Weighted]:
    for synapse in network.synapses:
        if isinstance(synapse, Weighted):
            yield synapse


def _bits(values: np.ndarray | int) -> int:
    return max(1, int(np.abs(values).max()).bit_length())
