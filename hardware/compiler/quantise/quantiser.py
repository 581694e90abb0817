"""Float network to chip integers, with an account of what it changed, per population.

With the scale of `hardware.compiler.quantise.scales`, integers per unit of weight,

    W = 2 round(scale w / 2)            even in [-256, 254]; of one sign: round(scale w) up to 255
    V = round(scale theta),   B = round(64 scale b) as mantissa of 13 bits times 2**exponent
    v_init = round(64 scale v_init)
    du = round(4096 u_decay) but at least 1,   dv = round(4096 v_decay)

Levels and sigma-delta neurons: `hardware.compiler.quantise.neurons`. Weights for messages that are
changes of activations are first divided by what a message of 1 is as an integer. Behind messages
with values, sums of finer weights may be shifted right, see `weight_shift`.

Weights that come with a ``weight_scale`` (trained on the grid) use that scale and lose nothing.
A neuron that fires *at* its threshold starts one unit higher, which is exact where it subtracts and
does not leak. Values that messages can have decide how many payload bits a synapse reads.

>>> chip, losses = quantise(read_nir("network.nir"), calibration=spikes[:8])
>>> rounded = dequantise(chip, losses)
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels, Population, Relay, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Synapse, Weighted
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse, Kind
from hardware.compiler.quantise.calibrate import (
    Interval,
    calibrate,
    change_interval,
    message_intervals,
    relay_interval,
    sum_interval,
    worst_case,
)
from hardware.compiler.quantise.losses import LayerLoss, measure, message_scale, weight_range
from hardware.compiler.quantise.neurons import chip_population, float_population
from hardware.compiler.quantise.scales import PerChannel, choose_scale, weight_shift
from hardware.errors import UnsupportedNetworkError

__all__ = ["LayerLoss", "dequantise", "quantise"]

FLOATING = (Cuba, Relay, Levels, SigmaDelta)  # populations that have a float model


def quantise(
    network: FloatNetwork,
    *,
    calibration: np.ndarray | None = None,
    per_channel: PerChannel = "auto",
) -> tuple[ChipNetwork, tuple[LayerLoss, ...]]:
    """Turn a float network into integers.

    Parameters
    ----------
    network : FloatNetwork
    calibration : ndarray of integers, shape (N, T, C, H, W) or (N, T, F), optional
        Typical input; states that it drives stay within their registers, with a margin. Without
        it only a membrane that is read out is kept in range, at its worst case.
    per_channel : bool or "auto"
        Whether channels have scales, and so thresholds, of their own.

    Returns
    -------
    chip : ChipNetwork
    losses : tuple of LayerLoss
        One per population.

    Raises
    ------
    UnsupportedNetworkError
        When populations do not fit the registers, naming them all and the limits.
    """
    work = _Quantiser(network, calibration, per_channel)
    problems: list[str] = []
    for population in network.populations:
        try:
            work.add(population)
        except UnsupportedNetworkError as error:
            problems.append(str(error))
            work.messages.setdefault(population.name, (0.0, 1.0))  # what reads it has its own say
    if problems:
        raise UnsupportedNetworkError("\n  ".join(["does not fit the registers:", *problems]))
    low, high = work.messages[INPUT]
    is_binary = low == 0 and high == 1
    return ChipNetwork(
        input_shape=network.input_shape,
        input_bits=0 if is_binary else payload_bits(work.messages[INPUT]),
        populations=tuple(work.populations),
        synapses=tuple(work.synapses[id(synapse)] for synapse in network.synapses),
        readout=network.readout,
        metadata=dict(network.metadata),
    ), tuple(work.losses)


def dequantise(chip: ChipNetwork, losses: tuple[LayerLoss, ...] | None = None) -> FloatNetwork:
    """The integers as floats again: everything is rounded but the states.

    Parameters
    ----------
    chip : ChipNetwork
    losses : tuple of LayerLoss, optional
        As `quantise` returned them: they hold the scales that lead back to the network before.
        Without them it stays in the chip's units, in which sums of weights are exact and a voltage
        that meets its threshold does so in floats too.

    Raises
    ------
    UnsupportedNetworkError
        For neurons that a float network does not have.
    """
    if losses is None:
        scales = {p.name: np.ones(p.shape[0]) for p in chip.populations}
    else:
        scales = {loss.layer: np.asarray(loss.scales) for loss in losses}
    missing = [p.name for p in chip.populations if p.name not in scales]
    foreign = [p.name for p in chip.populations if not isinstance(p, FLOATING)]
    if missing or foreign:
        raise UnsupportedNetworkError(
            f"cannot be floats again: no scales are known of {missing}, no float model of {foreign}"
        )
    units: dict[str, float] = {}
    for p in chip.populations:
        units[p.name] = message_scale(p, scales[p.name])
        if isinstance(p, Relay):
            units[p.name] = units.get(chip.incoming(p.name)[0].sources[0], 1.0)
    return FloatNetwork(
        input_shape=chip.input_shape,
        populations=tuple(
            float_population(
                p,
                scales[p.name],
                is_readout=chip.readout == "membrane" and p is chip.output,
            )
            for p in chip.populations
        ),
        synapses=tuple(
            _float_synapse(s, scales[s.target] / _unit_read(chip, s, units)) for s in chip.synapses
        ),
        readout=chip.readout,
        metadata=dict(chip.metadata),
    )


def payload_bits(interval: Interval) -> int:
    """Bits that hold the size of every message of an interval."""
    return math.ceil(max(-interval[0], interval[1])).bit_length()


# -- floats to integers ----------------------------------------------------------------------------


class _Quantiser:
    """A network on its way to integers, population by population in its order.

    Attributes
    ----------
    messages : dict of str to tuple of float
        Smallest and largest message of the input and each population, as integers.
    units : dict of str to float
        What a message of 1 in floats is as an integer.
    synapses : dict of int to Weighted
        By the identity of the float synapse.
    changes : set of str
        Populations whose messages are changes of activations.
    """

    def __init__(
        self, network: FloatNetwork, calibration: np.ndarray | None, per_channel: PerChannel
    ) -> None:
        self.network, self.per_channel = network, per_channel
        self.seen = calibrate(network, calibration) if calibration is not None else {}
        self.messages = message_intervals(network, calibration)
        self.units: dict[str, float] = {}
        self.populations: list[Population] = []
        self.synapses: dict[int, Weighted] = {}
        self.changes: set[str] = set()
        self.losses: list[LayerLoss] = []

    def add(self, population: FloatPopulation) -> None:
        """Quantise a population and the synapses into it."""
        name = population.name
        incoming = self.network.incoming(name)
        self._check_sources(population)
        per_message = tuple(self._per_message(synapse, population.kind) for synapse in incoming)
        reach = seen = self.seen.get(name)
        if reach is None and population.kind == "readout":
            reach = worst_case(population, per_message, self.messages)
        read = [sum_interval(s, self.messages) for s in per_message]
        of_values = any(max(-low, high) > 1 for low, high in read)
        scale = choose_scale(
            population,
            per_message,
            reach,
            per_channel=self.per_channel,
            of_values=of_values and population.kind in ("neuron", "levels"),
        )
        shift = weight_shift(population, per_message, scale, of_values=of_values)
        synapses = [_synapse(s, scale, shift, r) for s, r in zip(per_message, read, strict=True)]
        notes: list[str] = []
        chip = chip_population(population, scale, seen, notes)
        pairs = list(zip(per_message, synapses, strict=True))
        if population.kind == "relay":
            _check_relay(population, pairs)
        self.populations.append(chip)
        self.synapses |= {id(s): x for s, x in zip(incoming, synapses, strict=True)}
        is_relay = population.kind == "relay"
        unit = self._unit_of_sources(incoming) if is_relay else message_scale(chip, scale)
        self.units[name] = unit
        loss = measure(population, pairs, chip, scale, seen=seen, notes=tuple(notes))
        self.losses.append(replace(loss, message_scale=unit))
        if population.kind == "sigma_delta" and seen:
            self.messages[name] = change_interval(population, seen, self.units[name])
        if name not in self.messages:
            self.messages[name] = relay_interval(per_message, self.messages)

    def _per_message(self, synapse: FloatSynapse, kind: Kind) -> FloatSynapse:
        """The synapse with weights for messages as they are sent: as integers."""
        unit = self._unit_of_sources((synapse,))
        return synapse if kind == "relay" else replace(synapse, weight=synapse.weight / unit)

    def _unit_of_sources(self, synapses: tuple[FloatSynapse, ...]) -> float:
        units = {self.units.get(source, 1.0) for s in synapses for source in s.sources}
        if len(units) > 1:
            raise UnsupportedNetworkError(
                f"{synapses[0].edge}: messages of different scales {sorted(units)} cannot add up "
                "before the weights; give each source a synapse of its own"
            )
        return units.pop()

    def _check_sources(self, population: FloatPopulation) -> None:
        """Changes add up in sigma-delta neurons and in a readout, nowhere else."""
        ends = [(s.edge, x) for s in self.network.incoming(population.name) for x in s.sources]
        for edge, source in ends:
            if source not in self.messages:
                raise UnsupportedNetworkError(
                    f"{edge}: a loop through relays or sigma-delta neurons, whose messages have no "
                    "known size"
                )
            if source in self.changes and population.kind in ("neuron", "levels"):
                raise UnsupportedNetworkError(
                    f"{edge}: changes of activations are for sigma-delta neurons and a readout; "
                    "convert the whole network to one code"
                )
        passes_on = population.kind == "relay" and any(x in self.changes for _, x in ends)
        if population.kind == "sigma_delta" or passes_on:
            self.changes.add(population.name)


def _synapse(synapse: FloatSynapse, scale: np.ndarray, shift: int, read: Interval) -> Weighted:
    exact = synapse.weight * scale.reshape(-1, *(1,) * (synapse.weight.ndim - 1)) * 2.0**shift
    low, high, step = weight_range(synapse.weight)
    weight = np.clip(step * np.rint(exact / step), low, high).astype(np.int32)
    is_binary = len(synapse.sources) == 1 and read[0] >= 0 and read[1] <= 1
    bits = 0 if is_binary else payload_bits(read)
    if bits > reg.PAYLOAD_BITS_MAX:
        raise UnsupportedNetworkError(
            f"{synapse.edge}: messages up to {max(-read[0], read[1]):.0f} do not fit "
            f"{reg.PAYLOAD_BITS_MAX} payload bits; pool smaller windows"
        )
    if synapse.kind == "dense":
        return Dense(
            sources=synapse.sources,
            target=synapse.target,
            weight=weight,
            weight_exp=-shift,
            message_bits=bits,
            delay=np.asarray(synapse.delay, np.int32),
        )
    return Conv(
        sources=synapse.sources,
        target=synapse.target,
        weight=weight,
        weight_exp=-shift,
        message_bits=bits,
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
        delay=synapse.shortest_delay,
    )


def _check_relay(population: FloatPopulation, pairs: list[tuple[FloatSynapse, Weighted]]) -> None:
    """A relay sends sums of messages on: its weights are the integers they are."""
    for before, after in pairs:
        if not np.array_equal(before.weight, after.weight):
            raise UnsupportedNetworkError(
                f"{population.name}: the weights of a relay must be integers that 8 bits hold; "
                "put the factor into the weights behind it"
            )


# -- integers to floats ----------------------------------------------------------------------------


def _unit_read(chip: ChipNetwork, synapse: Synapse, units: dict[str, float]) -> float:
    """What a message of 1 in floats is to a synapse; relays pass it on as it is."""
    if isinstance(chip[synapse.target], Relay):
        return 1.0
    return units.get(synapse.sources[0], 1.0)


def _float_synapse(synapse: Synapse, scale: np.ndarray) -> FloatSynapse:
    if not isinstance(synapse, Dense | Conv):
        raise UnsupportedNetworkError(f"{synapse}: only dense and convolutional synapses")
    spread = scale.reshape(-1, *(1,) * (synapse.weight.ndim - 1))
    weight = synapse.weight * 2.0**synapse.weight_exp / spread
    if isinstance(synapse, Dense):
        return FloatSynapse(
            sources=synapse.sources,
            target=synapse.target,
            weight=weight,
            delay=np.asarray(synapse.delay),
        )
    return FloatSynapse(
        sources=synapse.sources,
        target=synapse.target,
        weight=weight,
        kind="conv",
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
        delay=synapse.delay,
    )
