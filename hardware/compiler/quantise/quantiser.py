"""Float network to chip integers, with an account of what it changed, per population.

With the scale of `hardware.compiler.quantise.scales`, integers per unit of weight,

    W = 2 round(scale w / 2)            even in [-256, 254]; of one sign: round(scale w) up to 255
    V = round(scale theta),   B = round(64 scale b) as mantissa of 13 bits times 2**exponent
    v_init = round(64 scale v_init)
    du = round(4096 u_decay) but at least 1,   dv = round(4096 v_decay)

Weights that come with a ``weight_scale`` (trained on the grid) use that scale and lose nothing.
A neuron that fires *at* its threshold starts one unit higher, which is exact where it subtracts and
does not leak. Values that messages can have decide how many payload bits a synapse reads.

>>> chip, losses = quantise(read_nir("network.nir"), calibration=spikes[:8])
>>> rounded = dequantise(chip, losses)
"""

from __future__ import annotations

import math

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Population, Relay
from hardware.chip.synapses import Conv, Dense, Weighted
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse
from hardware.compiler.quantise.calibrate import (
    Interval,
    Range,
    calibrate,
    message_intervals,
    sum_interval,
    worst_case,
)
from hardware.compiler.quantise.losses import LayerLoss, measure, weight_range
from hardware.compiler.quantise.scales import PerChannel, choose_scale, weight_shift
from hardware.errors import UnsupportedNetworkError

__all__ = ["LayerLoss", "dequantise", "quantise"]


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
    seen = calibrate(network, calibration) if calibration is not None else {}
    messages = message_intervals(network, calibration)
    problems: list[str] = []
    populations: list[Population] = []
    losses: list[LayerLoss] = []
    weighted: dict[int, Weighted] = {}
    for population in network.populations:
        try:
            chip, synapses, loss = _quantise_population(
                network, population, seen.get(population.name), messages, per_channel
            )
        except UnsupportedNetworkError as error:
            problems.append(str(error))
            continue
        populations.append(chip)
        losses.append(loss)
        weighted |= synapses
    if problems:
        raise UnsupportedNetworkError("\n  ".join(["does not fit the registers:", *problems]))
    low, high = messages[INPUT]
    is_binary = low == 0 and high == 1
    return ChipNetwork(
        input_shape=network.input_shape,
        input_bits=0 if is_binary else payload_bits(messages[INPUT]),
        populations=tuple(populations),
        synapses=tuple(weighted[id(synapse)] for synapse in network.synapses),
        readout=network.readout,
        metadata=dict(network.metadata),
    ), tuple(losses)


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
    foreign = [p.name for p in chip.populations if not isinstance(p, Cuba | Relay)]
    if missing or foreign:
        raise UnsupportedNetworkError(
            f"cannot be floats again: no scales are known of {missing}, no float model of {foreign}"
        )
    return FloatNetwork(
        input_shape=chip.input_shape,
        populations=tuple(_float_population(chip, p, scales[p.name]) for p in chip.populations),
        synapses=tuple(_float_synapse(s, scales[s.target]) for s in chip.synapses),
        readout=chip.readout,
        metadata=dict(chip.metadata),
    )


def payload_bits(interval: Interval) -> int:
    """Bits that hold the size of every message of an interval."""
    return math.ceil(max(-interval[0], interval[1])).bit_length()


# -- floats to integers ----------------------------------------------------------------------------


def _quantise_population(
    network: FloatNetwork,
    population: FloatPopulation,
    seen: Range | None,
    messages: dict[str, Interval],
    per_channel: PerChannel,
) -> tuple[Population, dict[int, Weighted], LayerLoss]:
    incoming = network.incoming(population.name)
    reach = seen
    if reach is None and population.kind == "readout":
        reach = worst_case(network, population.name, messages)
    scale = choose_scale(population, incoming, reach, per_channel=per_channel)
    shift = weight_shift(population, incoming, scale)
    synapses = {
        id(synapse): _synapse(synapse, scale, shift, sum_interval(synapse, messages))
        for synapse in incoming
    }
    pairs = [(synapse, synapses[id(synapse)]) for synapse in incoming]
    notes: list[str] = []
    chip: Population
    if population.kind == "relay":
        _check_relay(population, pairs)
        chip = Relay(name=population.name, shape=population.shape)
    else:
        chip = _neurons(population, scale, notes)
    neurons = chip if isinstance(chip, Cuba) else None
    loss = measure(population, pairs, neurons, scale, seen=seen, notes=tuple(notes))
    return chip, synapses, loss


def _neurons(population: FloatPopulation, scale: np.ndarray, notes: list[str]) -> Cuba:
    fraction = 1 << reg.INPUT_SHIFT
    v_init = np.rint(_scaled(population, "v_init", scale) * fraction)
    if population.fires == "at_or_above":
        if population.reset == "subtract" and not population.per_neuron("v_decay").any():
            v_init = v_init + 1
        else:
            notes.append("a voltage of exactly the threshold does not spike on the chip")
    if population.per_neuron("u_init").any():
        notes.append("currents start at 0 on the chip: biases act in full from the first step")
    mantissa, exponent = _bias(population, _scaled(population, "bias", scale) * fraction)
    if population.kind == "readout":
        vth = np.full(population.shape[:1], reg.THRESHOLD_MANTISSA_MAX)
    else:
        vth = np.rint(_scaled(population, "threshold", scale))
        if vth.max() > reg.THRESHOLD_MANTISSA_MAX or vth.min() < 1:
            raise UnsupportedNetworkError(
                f"{population.name}: threshold mantissas must lie in "
                f"[1, {reg.THRESHOLD_MANTISSA_MAX}], got [{vth.min():.0f}, {vth.max():.0f}]; "
                "use another weight_scale"
            )
    return Cuba(
        name=population.name,
        shape=population.shape,
        du=np.maximum(_decay(population, "u_decay", notes), 1),
        dv=_decay(population, "v_decay", notes),
        vth=vth.astype(np.int32),
        bias_mant=mantissa,
        bias_exp=exponent,
        reset=population.reset,
        v_init=v_init.astype(np.int32),
        refractory=population.refractory,
    )


def _scaled(population: FloatPopulation, name: str, scale: np.ndarray) -> np.ndarray:
    """A parameter times the scale of its channel, in the parameter's shape."""
    values = getattr(population, name)
    return values * scale.reshape(-1, *(1,) * (values.ndim - 1))


def _decay(population: FloatPopulation, name: str, notes: list[str]) -> np.ndarray:
    values = getattr(population, name)
    register = np.rint(values * reg.DECAY_SCALE).astype(np.int32)
    if ((register == 0) & (values > 0)).any():
        smallest = values[(register == 0) & (values > 0)].min()
        notes.append(f"a {name} of {smallest:.2g} is less than half a step of 1/4096")
    return register


def _bias(population: FloatPopulation, bias: np.ndarray) -> tuple[np.ndarray, int]:
    """Mantissas and the smallest shared exponent that holds them."""
    for exponent in range(reg.BIAS_EXPONENT_MAX + 1):
        mantissa = np.rint(bias / (1 << exponent))
        if np.abs(mantissa).max(initial=0) <= reg.BIAS_MANTISSA_MAX:
            return mantissa.astype(np.int32), exponent
    limit = reg.BIAS_MANTISSA_MAX << reg.BIAS_EXPONENT_MAX
    raise UnsupportedNetworkError(
        f"{population.name}: a bias of {np.abs(bias).max():.0f} exceeds the chip's {limit}; "
        "its neurons fire in every step whatever they see"
    )


def _synapse(synapse: FloatSynapse, scale: np.ndarray, shift: int, read: Interval) -> Weighted:
    exact = synapse.weight * scale.reshape(-1, *(1,) * (synapse.weight.ndim - 1)) * (1 << shift)
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


def _float_population(
    chip: ChipNetwork, population: Population, scale: np.ndarray
) -> FloatPopulation:
    if not isinstance(population, Cuba):
        return FloatPopulation(name=population.name, shape=population.shape, kind="relay")

    def unscaled(values: np.ndarray, unit: int) -> np.ndarray:
        return values / (scale.reshape(-1, *(1,) * (values.ndim - 1)) * unit)

    fraction = 1 << reg.INPUT_SHIFT
    is_readout = chip.readout == "membrane" and population is chip.output
    return FloatPopulation(
        name=population.name,
        shape=population.shape,
        u_decay=np.asarray(population.du) / reg.DECAY_SCALE,
        v_decay=np.asarray(population.dv) / reg.DECAY_SCALE,
        threshold=math.inf if is_readout else unscaled(np.asarray(population.vth), 1),
        bias=unscaled(population.bias, fraction),
        v_init=unscaled(np.asarray(population.v_init), fraction),
        reset=population.reset,
        refractory=population.refractory,
        kind="readout" if is_readout else "neuron",
    )


def _float_synapse(synapse: object, scale: np.ndarray) -> FloatSynapse:
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
