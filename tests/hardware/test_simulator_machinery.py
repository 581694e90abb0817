"""What the simulator does around the arithmetic: checks, chunks and threads, plans, strictness."""

import gc

import numpy as np
import pytest

from hardware.backends.simulator import backend as simulator
from hardware.backends.simulator.backend import Simulator
from hardware.backends.simulator.neuron_kernels import is_exact
from hardware.backends.simulator.plan import plan_for
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Dense
from hardware.errors import NetworkFormatError


def one_neuron():
    population = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=1)
    synapse = Dense(sources=("input",), target="n", weight=np.array([[2]], np.int32))
    return ChipNetwork(input_shape=(1,), populations=(population,), synapses=(synapse,))


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (np.zeros((1, 3, 2), np.uint8), "spikes must have shape"),
        (np.zeros((1, 3, 1), np.float32), "must be integers"),
        (np.full((1, 3, 1), 2, np.uint8), "must be 0 or 1"),
        (np.zeros((0, 3, 1), np.uint8), "nothing to run"),
    ],
)
def test_unfit_input_is_refused(spikes, message):
    with pytest.raises(NetworkFormatError, match=message):
        Simulator().run(one_neuron(), spikes)


def test_unknown_probe_is_refused():
    with pytest.raises(NetworkFormatError, match="no 'volts' of 'n'"):
        Simulator().run(one_neuron(), np.ones((1, 1, 1), np.uint8), probes=[("n", "volts")])


@pytest.mark.parametrize("seed", range(20))
def test_chunks_and_threads_do_not_change_results(
    seed, random_graph, random_frames, all_probes, outcome, assert_same_run, monkeypatch
):
    network = random_graph(seed)
    frames = random_frames(network, seed, samples=5)
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 1 << 40)
    whole = outcome(Simulator(), network, frames)
    finished = []
    split = Simulator(batch=2, threads=2).run(
        network, frames, probes=all_probes(network), progress=finished.append
    )
    assert_same_run(split, whole)
    assert finished == [2, 2, 1]
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 1)
    assert_same_run(outcome(Simulator(), network, frames), whole)


def test_chunks_keep_memory_within_the_budget(random_network, monkeypatch):
    network = random_network(1)
    sizes = []

    class Spy(simulator.Chunk):
        def run(self):
            super().run()
            sizes.append(self.samples)

    monkeypatch.setattr(simulator, "Chunk", Spy)
    per_sample = plan_for(network, "layerwise").sample_bytes(10)
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 3 * per_sample)
    Simulator().run(network, np.zeros((7, 10, *network.input_shape), np.uint8))
    assert sizes == [3, 3, 1]


def test_strict_mode_accepts_what_fits(random_network, random_spikes):
    network = random_network(0)
    spikes = random_spikes(0, (2, 6, *network.input_shape))
    expected = Simulator().run(network, spikes).output
    np.testing.assert_array_equal(Simulator(strict=True).run(network, spikes).output, expected)


def test_doubles_are_used_only_where_they_are_exact():
    assert is_exact(2**25, 2**20, steps=1000)
    assert not is_exact(2**30, 2**20, steps=1000)  # wrapped once a step, the current piles up
    assert not is_exact(0, 2**42, steps=1)


def test_plans_do_not_outlive_their_networks(random_network):
    network = random_network(0)
    Simulator().run(network, np.zeros((1, 2, *network.input_shape), np.uint8))
    key = id(network), "layerwise"
    assert key in plan_for.plans
    del network
    gc.collect()
    assert key not in plan_for.plans
