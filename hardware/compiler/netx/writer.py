"""lava-dl ``.net`` files out: chains of layers that netx loads and runs equal to the simulator.

Before a layer is written, its numbers are passed through what netx will do to them
(`hardware.compiler.netx.layout`); whatever would come out different is refused. The file does not
say how many bits the input has (give netx ``input_message_bits`` for a graded one) nor how the
output is read.

>>> write_netx(network, "network.net")
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import (
    Cuba,
    Delta,
    Population,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from hardware.chip.synapses import Conv, Dense, Direct, Synapse, Weighted
from hardware.compiler.netx.layout import BIAS_EXP, STATE_EXP, cut_decays, fit
from hardware.errors import UnsupportedNetworkError

Layer = dict[str, Any]  # fields of a layer by their path
UNIT_BIAS = 1 << BIAS_EXP


def write_netx(network: ChipNetwork, path: str | Path, *, spike_exp: int = 6) -> None:
    """Write a chain of layers; the file appears whole or not at all and replaces an older one.

    Parameters
    ----------
    network : ChipNetwork
        One source per layer, without skips; conv, dense, and dense that feeds back to itself.
    path : str or Path
    spike_exp : int
        What netx will be given for sigma-delta neurons; the file cannot say it, and netx assumes 6.

    Raises
    ------
    UnsupportedNetworkError
        With everything that a ``.net`` file cannot say or netx would change, by population.
    """
    layers, problems = _layers(network, spike_exp)
    if problems:
        raise UnsupportedNetworkError(
            "netx cannot run this network as it is:\n  " + "\n  ".join(problems)
        )
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(temporary, "w") as file:
            for index, layer in enumerate(layers):
                for field, value in layer.items():
                    file[f"layer/{index}/{field}"] = value
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _layers(network: ChipNetwork, spike_exp: int) -> tuple[list[Layer], list[str]]:
    layers: list[Layer] = []
    problems: list[str] = []
    source = INPUT
    for population in network.populations:
        name = population.name
        synapses = network.incoming(name)
        layer, found = _layer(network, population, source)
        found += [
            f"it reads {' + '.join(s.sources)}; only the layer before it and itself are possible"
            for s in synapses
            if s.sources not in ((source,), (name,))
        ]
        found += _neuron_problems(population, spike_exp)
        if not layers and layer.get("type") != "input":
            layers.append({"type": "input", "shape": network.input_shape})
        if layer.get("type") in ("dense", "dense_rec") and len(network.shape_of(source)) == 3:
            layers.append({"type": "flatten", "shape": (math.prod(network.shape_of(source)),)})
        layers.append(layer)
        problems += [f"{name}: {problem}" for problem in found]
        source = name
    return layers, problems


def _layer(network: ChipNetwork, population: Population, source: str) -> tuple[Layer, list[str]]:
    """Fields of the synapses and neurons of one population, and what they cannot say."""
    synapses = network.incoming(population.name)
    forward = [s for s in synapses if s.sources == (source,)]
    back = [s for s in synapses if s.sources == (population.name,)]
    found: list[str] = []
    layer: Layer = {"shape": population.shape}
    if back and (not isinstance(population, Cuba) or len(back) > 1):
        found.append(f"{len(back)} synapses lead from a {population.KIND} back to itself")
    match forward:
        case [Direct() as direct]:
            layer["type"] = "input"
            found += _encoder_problems(population, direct, source)
        case [Conv() as conv] if not back and not isinstance(population, ResonateAndFire):
            layer |= _conv(conv, found)
        case [Dense() as dense] if not isinstance(population, ResonateAndFire):
            layer |= _dense(dense, [s for s in back if isinstance(s, Dense)], found)
        case [Dense(), Dense()] if isinstance(population, ResonateAndFire) and not back:
            layer |= _complex(forward, found)
        case _:
            kinds = ", ".join(f"{s.KIND} ({s.port})" for s in synapses)
            found.append(f"a {population.KIND} cannot be driven by {kinds}")
    graded = source != INPUT and network[source].GRADED
    if graded and any(isinstance(s, Weighted) and not s.message_bits for s in forward):
        found.append("its synapses read the values of graded messages in netx: message_bits is 0")
    return layer | _neuron(population), found


def _encoder_problems(population: Population, direct: Direct, source: str) -> list[str]:
    if source != INPUT or not isinstance(population, Cuba | Delta):
        return ["only the first layer can be written directly, a CUBA or a delta encoder"]
    if isinstance(population, Delta):
        return []
    if direct.port != "bias" or population.bias_exp != BIAS_EXP or population.bias.any():
        return [f"an input is a bias mantissa of exponent {BIAS_EXP} next to no other bias"]
    return []


def _conv(conv: Conv, found: list[str]) -> Layer:
    if conv.delay:
        found.append("netx ignores delays of a convolution")
    (weight,) = _weights([conv], found, dense=False)
    return {
        "type": "conv",
        "weight": weight,
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
        "groups": conv.groups,
    }


def _dense(dense: Dense, back: list[Dense], found: list[str]) -> Layer:
    weights = _weights([dense, *back], found, dense=True)
    if back:
        if dense.delays != (0, 0) or back[0].delays != (1, 1):
            found.append("delays of a recurrent layer must be 0 to it and 1 back")
        return {"type": "dense_rec", "weight": weights[0], "weight_rec": weights[1]}
    layer: Layer = {"type": "dense", "weight": weights[0]}
    return layer | ({"delay": _delay(dense)} if dense.delays[1] else {})


def _complex(synapses: Sequence[Synapse], found: list[str]) -> Layer:
    by_port = {s.port: s for s in synapses if isinstance(s, Dense)}
    if set(by_port) != {"input", "imaginary"} or any(s.delays[1] for s in by_port.values()):
        found.append("a resonator needs one synapse to each part, without delays")
        return {}
    # netx fits real and imaginary weights apart.
    real, imag = (
        _weights([by_port[port]], found, dense=True)[0] for port in ("input", "imaginary")
    )
    return {"type": "dense", "weight/real": real, "weight/imag": imag}


def _weights(synapses: Sequence[Weighted], found: list[str], *, dense: bool) -> list[np.ndarray]:
    """Weights with their exponent multiplied in, which the file cannot say."""
    weights = []
    for synapse in synapses:
        scaled = synapse.weight * np.float64(2) ** synapse.weight_exp
        if (scaled % 1).any():
            found.append(f"weights times 2**{synapse.weight_exp} are not whole")
        weights.append(scaled.astype(np.int32))
    if dense and not any(weight.any() for weight in weights):
        found.append("netx cannot load weights that are all zero")
    found += [f"netx keeps not all: {part.lost}" for part in fit(weights, dense=dense) if part.lost]
    return weights


def _delay(dense: Dense) -> np.ndarray:
    """One delay, one by target, one by source, or all; netx reads a square one as by target."""
    delay = np.broadcast_to(dense.delay, dense.weight.shape)
    if (delay == delay[0, 0]).all():
        return np.asarray(delay[0, 0])
    if (delay == delay[:, :1]).all():
        return delay[:, 0]
    if (delay == delay[:1]).all() and delay.shape[0] != delay.shape[1]:
        return delay[0]
    return delay


def _neuron_problems(population: Population, spike_exp: int) -> Iterator[str]:
    if population.reset_interval:
        yield "periodic resets are netx's reset_interval, a file cannot say them"
    match population:
        case Cuba():
            if population.reset != "zero":
                yield f"reset must be 'zero', not {population.reset!r}"
            if np.any(population.v_init):
                yield "v_init must be 0"
            if population.refractory:
                yield "there is no refractory period"
            if (population.bias % UNIT_BIAS).any():
                yield f"the bias must be a multiple of {UNIT_BIAS} (mantissa << exponent)"
        case Delta():
            scale = (population.spike_exp, population.state_exp)
            if scale != (spike_exp, STATE_EXP):
                yield f"(spike_exp, state_exp) must be {(spike_exp, STATE_EXP)}, not {scale}"
            if isinstance(population, SigmaDelta) and not population.rectify:
                yield "netx rectifies all activations"
        case ResonateAndFire():
            if population.state_exp != STATE_EXP:
                yield f"state_exp must be {STATE_EXP}, not {population.state_exp}"
            if np.ptp(population.vth):
                yield "resonators of a layer share one threshold"
            if _stored_decays(population) is None:
                yield "no stored decays give these in netx"
        case Sigma():
            pass
        case _:
            yield f"there is no {population.KIND}"


def _neuron(population: Population) -> Layer:
    """Fields of the neurons and their bias."""
    match population:
        case Cuba():
            fields: Layer = {
                "type": "CUBA",
                "iDecay": _stored(population.du),
                "vDecay": _stored(population.dv),
                "vThMant": _stored(population.vth),
                "refDelay": 1,
                "gradedSpike": False,
            }
            bias = population.bias >> BIAS_EXP
        case Delta():
            fields = {"type": "SDNN", "activation": "relu", "vThMant": _stored(population.vth)}
            bias = np.asarray(getattr(population, "bias", 0))
        case Sigma():
            fields = {"type": "SDNN", "activation": "relu", "vThMant": 0, "sigma_output": True}
            bias = np.asarray(0)
        case ResonateAndFire():
            sin, cos = _stored_decays(population) or (0, 0)
            fields = {
                "type": "RF_IZHIKEVICH" if population.izhikevich else "RF_PHASE",
                "sinDecay": sin,
                "cosDecay": cos,
                "vThMant": np.ravel(population.vth)[0] / (1 << STATE_EXP),
                "gradedSpike": False,
            }
            bias = np.asarray(0)
        case _:
            return {}
    layer = {f"neuron/{name}": value for name, value in fields.items()}
    return layer | ({"bias": bias.T} if bias.any() else {})


def _stored(values: np.ndarray | int) -> np.ndarray | float:
    """One number, one per channel, or one per neuron in netx's order (W, H, C)."""
    values = np.asarray(values)
    return values.flat[0].item() if (values == values.flat[0]).all() else values.T


def _stored_decays(population: ResonateAndFire) -> tuple[Any, Any] | None:
    """Decays that netx turns into the population's: themselves, or half a unit further out."""
    wanted = tuple(np.asarray(d) for d in (population.sin_decay, population.cos_decay))
    for outward in (0, 0.5):
        tried = [d + outward * np.sign(d) for d in wanted]
        if all(np.array_equal(c, w) for c, w in zip(cut_decays(*tried), wanted, strict=True)):
            return _stored(tried[0]), _stored(tried[1])
    return None
