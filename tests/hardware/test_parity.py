"""Parity names the layer in which two runs part, and stays silent when they do not."""

import dataclasses

import numpy as np
import pytest

from hardware.analysis.parity import first_divergence
from hardware.backends.backend import every, spoken
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.simulator.backend import Simulator
from hardware.errors import HardwareError

LAYERS = ({"channels": 4, "kernel": (3, 3), "padding": (1, 1)}, 12, 6)


def broken(network, layer):
    """The network with one weight of one layer changed as much as a weight can change."""
    synapses = list(network.synapses)
    weight = synapses[layer].weight.copy()
    weight[0] = 254
    synapses[layer] = dataclasses.replace(synapses[layer], weight=weight)
    return dataclasses.replace(network, synapses=tuple(synapses))


@pytest.fixture
def network(random_network):
    return random_network(11, layers=LAYERS)


@pytest.fixture
def spikes(random_spikes, network):
    return random_spikes(4, (3, 12, *network.input_shape))


def simulate(network, spikes):
    return Simulator().run(network, spikes, probes=every(network, "spikes"))


def test_equal_runs_have_no_divergence(network, spikes):
    assert first_divergence(network, simulate(network, spikes), simulate(network, spikes)) is None


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_broken_weight_names_its_layer(network, spikes, layer):
    good, bad = simulate(network, spikes), simulate(broken(network, layer), spikes)
    divergence = first_divergence(network, good, bad)
    name = network.populations[layer].name
    assert divergence.population == name
    where = (divergence.sample, divergence.step, *divergence.neuron)
    assert good.traces[name, "spikes"][where] == divergence.expected
    assert bad.traces[name, "spikes"][where] == divergence.found != divergence.expected
    differs = good.traces[name, "spikes"] != bad.traces[name, "spikes"]
    assert not differs[:, : divergence.step].any()
    assert f"first in layer '{name}' at step {divergence.step}" in str(divergence)


def test_a_broken_weight_is_found_between_simulator_and_lava(network, spikes):
    backend = LavaBackend(timeout_s=60)
    if not (availability := backend.is_available()):
        pytest.skip(availability.reason)
    found = backend.run(broken(network, 1), spikes, probes=every(network, "spikes"))
    divergence = first_divergence(network, simulate(network, spikes), found)
    assert divergence.population == network.populations[1].name
    assert divergence.backends == ("simulator", "lava")


def test_runs_that_cannot_be_compared_are_refused(network, spikes):
    run = simulate(network, spikes)
    with pytest.raises(HardwareError, match="as probes"):
        first_divergence(network, run, Simulator().run(network, spikes))
    with pytest.raises(HardwareError, match="different samples"):
        first_divergence(network, run, simulate(network, spikes[:2]))


def test_counts_of_differing_spikes(network, spikes):
    good, bad = simulate(network, spikes), simulate(broken(network, 2), spikes)
    name = network.output.name
    count = np.count_nonzero(good.traces[name, "spikes"] != bad.traces[name, "spikes"])
    assert first_divergence(network, good, bad).differing == {name: count}


def test_a_membrane_that_is_the_answer_is_compared(network, spikes):
    read = dataclasses.replace(network, readout="membrane")
    run = Simulator().run(read, spikes, probes=spoken(read))
    probe = (read.output.name, "v")
    other = run.traces[probe].copy()
    other[1, 2] += 1
    found = dataclasses.replace(run, backend="other", traces={**run.traces, probe: other})
    assert first_divergence(read, run, run) is None
    divergence = first_divergence(read, run, found)
    assert (divergence.population, divergence.variable) == (read.output.name, "v")
    assert divergence.place[:2] == (1, 2)
