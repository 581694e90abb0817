"""The simulator against the specification, on networks: every message and state, bit by bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.backends.backend import every
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Direct

SHAPES = [
    {"layers": ({"channels": 4, "kernel": (3, 2)}, 5)},
    {
        "input_shape": (4, 9, 8),
        "layers": (
            {"channels": 6, "kernel": (3, 3), "stride": (2, 1), "padding": (1, 2), "groups": 2},
            {"channels": 4, "kernel": (2, 3), "dilation": (2, 1), "padding": (0, 1)},
            7,
        ),
    },
    {"input_shape": (11,), "layers": (9, 5)},
    {"input_shape": (2, 5, 5), "layers": (6,)},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_every_state_equals_the_specification(
    shape, seed, random_network, random_spikes, reference_run
):
    network = random_network(seed, **shape)
    spikes = random_spikes(seed, (3, 9, *network.input_shape))
    probes = [probe for variable in ("spikes", "u", "v") for probe in every(network, variable)]
    run = Simulator().run(network, spikes, probes=probes)
    expected = reference_run(network, spikes)
    assert any(expected[name, "spikes"].any() for name, _ in every(network, "spikes"))
    for probe in probes:
        np.testing.assert_array_equal(run.traces[probe], expected[probe], err_msg=str(probe))


@pytest.mark.parametrize("timing", ["layerwise", "pipelined"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.1, 0.3, 0.9]), strict=st.booleans())
def test_equals_the_specification_on_any_network(
    timing, seed, rate, strict, random_graph, random_frames, outcome, assert_same_run
):
    network = random_graph(seed)
    frames = random_frames(network, seed, rate=rate)
    before = frames.copy()
    engine = Simulator(timing=timing, strict=strict)
    expected = outcome(Reference(timing=timing, strict=strict), network, frames)
    assert_same_run(outcome(engine, network, frames), expected)
    np.testing.assert_array_equal(frames, before)


def test_samples_do_not_influence_each_other(random_network, random_spikes):
    network = random_network(5)
    spikes = random_spikes(2, (4, 6, *network.input_shape))
    together = Simulator().run(network, spikes).output
    alone = np.concatenate([Simulator().run(network, sample[None]).output for sample in spikes])
    np.testing.assert_array_equal(together, alone)


def test_without_biases_pipelined_time_is_layerwise_time_shifted(
    random_network, random_spikes, all_probes
):
    network = random_network(4)
    quiet = tuple(
        Cuba(name=p.name, shape=p.shape, du=p.du, dv=p.dv, vth=p.vth) for p in network.populations
    )
    network = ChipNetwork(
        input_shape=network.input_shape, populations=quiet, synapses=network.synapses
    )
    spikes = random_spikes(4, (2, 12, *network.input_shape))
    probes = all_probes(network)
    layerwise = Simulator().run(network, spikes, probes=probes).traces
    pipelined = Simulator(timing="pipelined").run(network, spikes, probes=probes).traces
    assert layerwise["layer-1", "spikes"].any()
    for name, variable in probes:
        late = network.depth[name]
        np.testing.assert_array_equal(
            pipelined[name, variable][:, late:], layerwise[name, variable][:, :-late]
        )
        assert not pipelined[name, variable][:, :late].any()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.astype(bool),
        lambda x: x.astype(np.int64),
        lambda x: np.asfortranarray(x),
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    ],
    ids=["bool", "int64", "fortran", "read-only", "strided"],
)
def test_any_array_of_spikes_will_do(view, random_network, random_spikes):
    network = random_network(2, input_shape=(2, 4, 4))
    spikes = view(random_spikes(2, (3, 8, 2, 4, 4)))
    expected = Reference().run(network, spikes).output
    np.testing.assert_array_equal(Simulator().run(network, spikes).output, expected)


def test_every_neuron_spiking_in_every_step(random_network, all_probes, assert_same_run):
    network = random_network(
        7, input_shape=(3, 12, 12), layers=({"channels": 11, "kernel": (3, 3)},)
    )
    spikes = np.ones((2, 5, 3, 12, 12), np.uint8)
    expected = Reference().run(network, spikes, probes=all_probes(network))
    assert_same_run(Simulator().run(network, spikes, probes=all_probes(network)), expected)


def test_parameters_per_neuron_beyond_one_block(all_probes, assert_same_run):
    rng = np.random.default_rng(0)
    shape = (3, 20, 20)  # 1200 neurons, more than two blocks
    for spread in (shape, shape[:1]):
        population = Cuba(
            name="n",
            shape=shape,
            du=rng.integers(0, 4097, spread).astype(np.int32),
            dv=rng.integers(0, 4097, spread).astype(np.int32),
            vth=rng.integers(1, 50, spread).astype(np.int32),
            bias_mant=rng.integers(-40, 90, spread).astype(np.int32),
            bias_exp=5,
            v_init=rng.integers(-5000, 5000, spread).astype(np.int32),
            refractory=2,
        )
        network = ChipNetwork(
            input_shape=shape,
            populations=(population,),
            synapses=(Direct(sources=("input",), target="n"),),
        )
        spikes = (rng.random((2, 9, *shape)) < 0.4).astype(np.uint8)
        expected = Reference().run(network, spikes, probes=all_probes(network))
        assert expected.output.any()
        assert_same_run(Simulator().run(network, spikes, probes=all_probes(network)), expected)
