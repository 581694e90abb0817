"""What the models that come with Lava's extension can run, and what nobody could check yet.

Neurons of this project (levels, reset by subtraction, initial voltages) need microcode that was
never written; they are refused by layer. What is expressible but was never run on a board by the
authors of this package is not refused: it is listed, so that a first result is read with it.

This module does not import Lava.

>>> refusals(network)
"""

from __future__ import annotations

import math

import numpy as np

from hardware.backends.lava.limits import graph_problems
from hardware.backends.lava.timing import route
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Population
from hardware.chip.synapses import Conv, Direct, Sparse, Synapse, Weighted

GRADED_BITS_MAX = 15  # signed values of the 16 bits that input adapters are given
LARGE_INPUT = 1 << 14  # neurons; lava-nc/lava#826 is about larger ones
OTHER_MODELS = {
    "levels": "graded levels are a neuron of this project, for which no microcode was written",
    "sigma_delta": "sigma-delta neurons have a model for Loihi 2, but nothing clears them between "
    "samples in a graph without Lava's own encoder; run the .net file with lava-dl's netx",
    "relay": "relays of values have no reset that clears them between samples",
    "resonate_and_fire": "no published run shows resonate-and-fire neurons of Lava on a board",
}
OTHER_MODELS |= dict.fromkeys(("sigma", "delta"), OTHER_MODELS["sigma_delta"])
ALWAYS_UNVERIFIED = (
    "that a chip computes what Lava's CPU model computes: compare the spikes of every layer first",
    "how many steps the adapters add: none is assumed, as Intel's test with spike input implies; "
    "a few more steps are read, and a shift of all of them is named",
    "that a neuron which spiked reads v = 128 on the chip and not 0 (lava-nc/lava#282)",
)


def is_held_image(network: ChipNetwork) -> bool:
    """Whether the input is an image that is written into the first layer's bias, as in PilotNet."""
    takers = [synapse for synapse in network.synapses if INPUT in synapse.sources]
    return all(isinstance(s, Direct) and s.port == "bias" for s in takers)


def refusals(network: ChipNetwork) -> list[str]:
    """Why a board with Lava's own models cannot run a network, layer by layer."""
    problems = [p for population in network.populations for p in _neuron_problems(population)]
    problems += graph_problems(network)
    problems += [
        f"{synapse.edge}: {problem}"
        for synapse in network.synapses
        if (problem := _synapse_problem(network, synapse))
    ]
    if network.input_bits > GRADED_BITS_MAX:
        problems.append(
            f"input: values of {network.input_bits} bits, input adapters take {GRADED_BITS_MAX}"
        )
    latest = max(network.depth.values())
    if network.readout == "membrane" and network.depth[network.output.name] < latest:
        problems.append(
            f"{network.output.name}: its membrane can be read when all layers are done only, and "
            "another layer is done later"
        )
    return problems


def _neuron_problems(population: Population) -> list[str]:
    name = population.name
    if not isinstance(population, Cuba):
        reason = OTHER_MODELS.get(population.KIND, "Lava has no neuron like it")
        return [f"{name}: {reason}"]
    found = []
    if population.reset != "zero":
        found.append("reset by subtraction; the model of Lava resets to zero")
    if population.refractory:
        found.append(f"a rest of {population.refractory} steps; the model of Lava has none")
    if population.reset_interval:
        found.append("resets within a sample; the model of Lava resets between samples only")
    if np.any(population.v_init):
        found.append("an initial voltage; the model of Lava begins at zero")
    varying = [n for n in ("du", "dv", "vth") if len(np.unique(getattr(population, n))) > 1]
    if varying:
        found.append(
            f"{', '.join(varying)} differ from neuron to neuron; Lava declares one value a layer"
        )
    return [f"{name}: {problem}" for problem in found]


def _synapse_problem(network: ChipNetwork, synapse: Synapse) -> str | None:
    if isinstance(synapse, Direct):
        if synapse.port == "bias" and synapse.sources == (INPUT,) and is_held_image(network):
            return None
        return "messages written into a register; only an image that holds still can be, as bias"
    wait = max(route(network, synapse).waits)
    if wait > 0:
        return (
            f"messages wait {wait} steps for the longer path; a chip needs relay neurons for that, "
            "which the network does not have"
        )
    if isinstance(synapse, Conv) and synapse.weight_exp:
        return (
            f"weight exponent {synapse.weight_exp}; Lava's convolution ignores exponents "
            "(lava-nc/lava#803)"
        )
    return None


def unverified(network: ChipNetwork) -> list[str]:
    """What was never checked on a board, of what this network needs."""
    found = list(ALWAYS_UNVERIFIED)
    weighted = [s for s in network.synapses if isinstance(s, Weighted)]
    for population in network.populations:
        entering = [s for s in network.incoming(population.name) if isinstance(s, Weighted)]
        if len(entering) > 1 or any(len(s.sources) > 1 for s in entering):
            found.append(f"{population.name}: whether the compiler lets several sources meet here")
    found += [f"{s.edge}: graded messages" for s in weighted if s.message_bits]
    found += [f"{s.edge}: delays" for s in weighted if s.delays[1] > 0]
    found += [f"{s.edge}: sparse weights" for s in weighted if isinstance(s, Sparse)]
    if math.prod(network.input_shape) > LARGE_INPUT and not is_held_image(network):
        found.append(
            "input: a large convolution input was reported to run for ever on Loihi 2 "
            "(lava-nc/lava#826)"
        )
    if network.readout == "membrane":
        found.append(f"{network.output.name}: reading its membrane after each sample")
    if is_held_image(network):
        found.append("input: the image is written into the bias before each start")
    return found
