"""NeuroBench's metrics of toy networks, against numbers worked out by hand."""

import json

import numpy as np
import pytest

from hardware.analysis.metrics import (
    connection_sparsity,
    dense_operations,
    footprint_bytes,
    layer_activity,
    metrics_of,
    observe,
    observing,
    padded_operations,
    parameter_count,
)
from hardware.backends.backend import ChipRun, every
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba, Levels, Relay
from hardware.chip.synapses import Conv, Dense, Sparse

STEPS = 2
NOT_BINARY = {"residual", "graded", "levels", "sigma_delta"}


def relu(name, shape, **settings):
    """Neurons that forget everything within a step and spike above an input of 1."""
    return Cuba(name=name, shape=shape, **{"du": 4096, "dv": 4096, "vth": 1} | settings)


def ones(*shape):
    return np.full(shape, 2, np.int32)


@pytest.fixture
def network():
    """1×3×3 input, a 2×2 kernel of ones to 2×2, then a dense layer with one weight missing."""
    return ChipNetwork(
        input_shape=(1, 3, 3),
        populations=(relu("conv", (1, 2, 2)), relu("out", (2,))),
        synapses=(
            Conv(sources=("input",), target="conv", weight=ones(1, 1, 2, 2)),
            Dense(
                sources=("conv",), target="out", weight=np.array([[2, 2, 2, 2], [0, 2, 2, 2]], "i4")
            ),
        ),
    )


@pytest.fixture
def spikes():
    """One spike in the middle, which reaches all four neurons; nothing in the second step."""
    spikes = np.zeros((1, STEPS, 1, 3, 3), np.uint8)
    spikes[0, 0, 0, 1, 1] = 1
    return spikes


def test_activity_by_hand(network, spikes):
    run = Simulator().run(network, spikes)
    conv, out = layer_activity(network, run, STEPS)
    assert (conv.spikes, conv.synops) == (4, 4)  # each of the four outputs once
    assert (out.spikes, out.synops) == (2, 7)  # 4 spikes, 8 synapses, one of them zero
    assert (conv.synapses, out.synapses) == (16, 7)
    assert (conv.weights, out.weights) == (4, 8)
    assert (conv.synapse_kind, out.synapse_kind) == ("conv", "dense")
    assert conv.rate == 4 / (4 * STEPS)
    assert conv.activation_sparsity == 1 - conv.rate
    assert dense_operations(network) == padded_operations(network) == {"conv": 16, "out": 8}
    assert (conv.dense, out.dense) == (16 * STEPS, 8 * STEPS)


def test_means_over_samples(network):
    run = ChipRun(
        output=np.zeros((2, 2), np.int64),
        spikes={"input": np.array([1, 3]), "conv": np.array([2, 4]), "out": np.array([0, 1])},
        synops={"conv": np.array([4, 8]), "out": np.array([5, 7])},
        traces={},
        wall_s=0.0,
        backend="by hand",
    )
    conv, out = layer_activity(network, run, STEPS)
    assert (conv.spikes, conv.synops, out.spikes, out.synops) == (3, 6, 0.5, 6)


def test_all_metrics_by_hand(network, spikes):
    section = metrics_of(network, observe(network, spikes)).as_dict()
    # 12 weights of a byte; du, dv, vth, bias and v_init of 1 and of 2 channels in 4 bytes each.
    assert section["footprint_bytes"] == 12 + 4 * 5 * (1 + 2)
    assert section["parameter_count"] == 12  # no biases
    assert section["connection_sparsity"] == 0.0833  # one of twelve
    assert section["activation_sparsity"] == pytest.approx(1 - 6 / 12)
    operations = section["synaptic_operations"]
    assert (operations["effective_acs"], operations["effective_macs"]) == (11, 0)
    assert (operations["graded_acs"], operations["dense"]) == (0, 48)
    assert operations["neurobench"] == {"effective_acs": 11, "effective_macs": 0, "dense": 48}
    # All six in the first step. Membranes are 0 after it: four spiked, and so did both outputs.
    assert section["membrane_updates"] == 6
    assert section["neuron_operations"] == {"effective": 24, "dense": 48}
    assert section["over_time"] == {"input": [1, 0], "conv": [4, 0], "out": [2, 0]}
    assert section["tag"] == "simulated"
    json.dumps(section)


def test_borders_strides_and_padding():
    """A 3×3 kernel in steps of 2 over 4×4 with padding 1: 2×2 outputs, of 36 taps 25 meet input."""
    network = ChipNetwork(
        input_shape=(1, 4, 4),
        populations=(relu("conv", (1, 2, 2)),),
        synapses=(
            Conv(
                sources=("input",),
                target="conv",
                weight=ones(1, 1, 3, 3),
                stride=(2, 2),
                padding=(1, 1),
            ),
        ),
    )
    # Windows begin at -1 and 1: rows -1..1 (two inside) and 1..3 (three): 2*2 + 2*3 + 3*2 + 3*3.
    assert dense_operations(network) == {"conv": 25}
    assert padded_operations(network) == {"conv": 36}
    everything = np.ones((1, 1, 1, 4, 4), np.uint8)
    found = metrics_of(network, observe(network, everything))
    assert (found.effective_acs, found.dense, found.dense_padded) == (25, 25, 36)


def test_membranes_that_move():
    """A neuron without leak counts 2 a spike; its partner hears nothing after the first step."""
    network = ChipNetwork(
        input_shape=(2,),
        populations=(relu("out", (2,), dv=0, vth=100),),
        synapses=(Dense(sources=("input",), target="out", weight=2 * np.eye(2, dtype=np.int32)),),
    )
    spikes = np.array([[[0, 1], [1, 0], [0, 0], [1, 0]]])
    found = metrics_of(network, observe(network, spikes))
    assert found.membrane_updates == 2 + 2  # both in the first step, then steps 1 and 3
    assert (found.neuron_operations, found.dense_neuron_operations) == (16, 2 * 4 * 4)


def test_a_current_of_its_own_costs_as_a_second_order_neuron():
    def effective(reset):
        network = ChipNetwork(
            input_shape=(1,),
            populations=(relu("out", (1,), du=2048, vth=50, reset=reset),),
            synapses=(Dense(sources=("input",), target="out", weight=ones(1, 1)),),
        )
        return metrics_of(network, observe(network, np.ones((1, 1, 1), int))).neuron_operations

    assert (effective("zero"), effective("subtract")) == (8, 6)


def test_values_sums_and_calls():
    """Levels send 0..3: every message is a MAC by what it could be, a call of ones only an AC."""
    network = ChipNetwork(
        input_shape=(2,),
        input_bits=4,
        populations=(
            Levels(name="levels", shape=(2,), vth=2, levels=3),
            relu("out", (3,)),
        ),
        synapses=(
            Dense(
                sources=("input",),
                target="levels",
                weight=2 * np.eye(2, dtype=np.int32),
                message_bits=4,
            ),
            Dense(sources=("levels",), target="out", weight=ones(3, 2), message_bits=2),
        ),
    )
    spikes = np.array([[[1, 1], [3, 1], [0, 0]]])
    levels = Simulator().run(network, spikes, probes=[("levels", "spikes")]).traces
    assert levels["levels", "spikes"][0].tolist() == [[1, 1], [3, 1], [0, 0]]
    found = metrics_of(network, observe(network, spikes))
    assert (found.effective_acs, found.effective_macs, found.graded_acs) == (0, 16, 16)
    assert found.payload_bits == 4
    assert (found.acs_by_call, found.macs_by_call) == (2 + 6, 2 + 6)
    assert found.membrane_updates is None  # levels have none, and NeuroBench no rule for them


def test_two_sources_are_two_messages_and_one_sum():
    """Spikes of two layers into one weight: a chip is charged twice, NeuroBench sees a 2."""
    identity = 2 * np.eye(2, dtype=np.int32)
    network = ChipNetwork(
        input_shape=(2,),
        populations=(relu("one", (2,)), relu("two", (2,)), relu("out", (1,))),
        synapses=(
            Dense(sources=("input",), target="one", weight=identity),
            Dense(sources=("one",), target="two", weight=identity),
            Dense(sources=("one", "two"), target="out", weight=ones(1, 2), message_bits=2),
        ),
    )
    found = metrics_of(network, observe(network, np.array([[[1, 0]]])))
    assert (found.effective_acs, found.effective_macs) == (1 + 1 + 2, 0)
    assert (found.acs_by_call, found.macs_by_call) == (1 + 1, 1)


def test_static_of_biases_delays_and_sparse_synapses():
    network = ChipNetwork(
        input_shape=(3,),
        populations=(
            relu("one", (2,), bias_mant=np.array([0, 5], np.int32)),
            Relay(name="two", shape=(2,)),
        ),
        synapses=(
            Dense(
                sources=("input",),
                target="one",
                weight=np.array([[0, 2, 0], [4, 0, 2]], np.int32),
                delay=np.array([[0, 1, 2]], np.int32),
            ),
            Sparse(
                sources=("one",),
                target="two",
                weight=np.array([2, 4], np.int32),
                targets=np.array([1, 0], np.int32),
                offsets=np.array([0, 1, 2]),
                n_targets=2,
            ),
        ),
    )
    assert parameter_count(network) == 6 + 2 + 2  # weights, biases, weights
    assert footprint_bytes(network, "one") == 6 + 3 * 4 + 5 * 2 * 4  # weights, delays, arrays
    assert footprint_bytes(network, "two") == 2 + 2 * 4 + 3 * 8 + 2 * 4
    assert footprint_bytes(network) == sum(footprint_bytes(network, n) for n in ("one", "two"))
    assert connection_sparsity(network) == 0.375
    assert connection_sparsity(network, "two") == 0


def test_parts_and_backends_change_nothing(random_network, random_spikes, monkeypatch):
    network = random_network(3)
    spikes = random_spikes(3, (5, 6, *network.input_shape), 0.3)
    whole = metrics_of(network, observe(network, spikes)).as_dict()
    assert whole["synaptic_operations"]["effective_acs"] > 0
    monkeypatch.setattr(observing, "PART_BYTES", 1)
    finished = []
    parts = observe(network, spikes, progress=finished.append)
    assert metrics_of(network, parts).as_dict() == whole
    assert sum(finished) == 5
    assert metrics_of(network, observe(network, spikes, backend=Reference())).as_dict() == whole
    run = Simulator().run(network, spikes, probes=every(network, "spikes"))
    np.testing.assert_array_equal(parts.run.output, run.output)
    for (name, _), trace in run.traces.items():
        by_step = np.moveaxis(trace, 1, 0).reshape(6, -1).sum(axis=1) / 5
        assert whole["over_time"][name] == pytest.approx(by_step)


def test_membranes_too_large_to_watch_are_left_out(network, spikes, monkeypatch):
    monkeypatch.setattr(observing, "MEMBRANE_BYTES", 8)
    found = metrics_of(network, observe(network, spikes))
    assert found.membrane_updates is None and found.neuron_operations is None
    assert found.effective_acs == 11


def test_calls_equal_counts_on_random_graphs(random_graph, random_networks, random_frames):
    """Where every synapse has one source of binary spikes, both rules count alike."""
    compared = 0
    for seed in range(6):
        network = random_graph(seed, random_networks.FEATURES - NOT_BINARY, input_bits=0)
        if any(len(s.sources) > 1 for s in network.synapses):
            continue
        found = metrics_of(network, observe(network, random_frames(network, seed)))
        assert found.acs_by_call == pytest.approx(found.effective_acs)
        assert found.macs_by_call == found.effective_macs == 0
        compared += found.effective_acs > 0
    assert compared > 2
