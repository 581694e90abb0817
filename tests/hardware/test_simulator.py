"""The simulator against the specification, step by step and bit by bit."""

import gc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.backends.backend import every, variables_of
from hardware.backends.reference import Reference
from hardware.backends.simulator import backend as simulator
from hardware.backends.simulator.backend import Simulator
from hardware.backends.simulator.neuron_kernels import is_exact
from hardware.backends.simulator.plan import plan_for
from hardware.chip.network import ChipNetwork
from hardware.chip.neurons import CubaState, cuba_step
from hardware.chip.populations import Cuba, Delta, Relay, ResonateAndFire, Sigma, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct, Sparse
from hardware.errors import ArithmeticFaultError, NetworkFormatError, UnsupportedNetworkError

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


def test_golden_voltages_of_one_neuron():
    # Weight 10, threshold 12: 10<<6 = 640 is below 768; half of 640 decays away; 320 + 640 fires.
    network = one_neuron(weight=10, dv=2048, vth=12)
    run = Simulator().run(
        network,
        np.array([[[1], [0], [1], [1], [0]]], np.uint8),
        probes=[("n", "spikes"), ("n", "v")],
    )
    assert run.traces["n", "v"].ravel().tolist() == [640, 320, 0, 640, 320]
    assert run.traces["n", "spikes"].ravel().tolist() == [0, 0, 1, 0, 0]


def test_threshold_is_strict():
    run = Simulator().run(one_neuron(weight=12, dv=0, vth=12), np.ones((1, 1, 1), np.uint8))
    assert run.output.item() == 0


def state(u, v):
    return CubaState(np.array([u]), np.array([v]), np.array([0]))


def test_decay_rounds_toward_zero():
    _, after, _ = cuba_step(state(0, -3), np.array([0]), du=4096, dv=2048, vth=1, bias=0)
    assert after.v.item() == -1


def test_current_wraps_and_voltage_saturates():
    start = state(2**23, 2**23 - 1)
    _, after, faults = cuba_step(start, np.array([1]), du=0, dv=0, vth=2**17 - 1, bias=-1)
    assert after.u.item() == 2**23 + 64 - 2**24
    assert faults["u wrapped"].all() and not faults["v saturated"].any()
    start = state(0, 1 - 2**23)
    _, after, faults = cuba_step(start, np.array([-1]), du=0, dv=0, vth=1, bias=0)
    assert after.v.item() == 1 - 2**23
    assert faults["v saturated"].all()


def test_synaptic_operations_are_counted_one_by_one(random_network, random_spikes):
    network = random_network(
        3, layers=({"channels": 3, "kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}, 4)
    )
    spikes = random_spikes(1, (1, 4, *network.input_shape))
    run = Simulator().run(network, spikes, probes=every(network, "spikes"))
    conv, dense = network.synapses
    by_hand = 0
    for c, y, x in np.argwhere(spikes.sum(axis=(0, 1))):
        for _ in range(int(spikes[0, :, c, y, x].sum())):
            for out_y in range(network.populations[0].shape[1]):
                for out_x in range(network.populations[0].shape[2]):
                    i, j = y + 1 - 2 * out_y, x + 1 - 2 * out_x
                    if 0 <= i < 3 and 0 <= j < 3:
                        by_hand += np.count_nonzero(conv.weight[:, c, i, j])
    assert run.synops[conv.target].item() == by_hand
    hidden = run.traces[dense.sources[0], "spikes"].sum(axis=(0, 1)).ravel()
    assert run.synops[dense.target].item() == int(hidden @ np.count_nonzero(dense.weight, axis=0))


def test_samples_do_not_influence_each_other(random_network, random_spikes):
    network = random_network(5)
    spikes = random_spikes(2, (4, 6, *network.input_shape))
    together = Simulator().run(network, spikes).output
    alone = np.concatenate([Simulator().run(network, sample[None]).output for sample in spikes])
    np.testing.assert_array_equal(together, alone)


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
        Simulator().run(one_neuron(weight=2, dv=0, vth=1), spikes)


def test_unknown_probe_is_refused():
    with pytest.raises(NetworkFormatError, match="no 'volts' of 'n'"):
        Simulator().run(
            one_neuron(weight=2, dv=0, vth=1), np.ones((1, 1, 1), np.uint8), probes=[("n", "volts")]
        )


def one_neuron(*, weight, dv, vth):
    def array(value):
        return np.array([value], np.int32)

    population = Cuba(
        name="n", shape=(1,), du=array(4096), dv=array(dv), vth=array(vth), bias_mant=array(0)
    )
    synapse = Dense(sources=("input",), target="n", weight=array(weight)[None])
    return ChipNetwork(input_shape=(1,), populations=(population,), synapses=(synapse,))


# -- every network, both timings, strict or not ----------------------------------------------------


def all_probes(network):
    return [(name, v) for name, variables in variables_of(network).items() for v in variables]


def outcome(backend, network, frames):
    """A run, or the words of the error it ended in."""
    try:
        return backend.run(network, frames, probes=all_probes(network))
    except (ArithmeticFaultError, UnsupportedNetworkError) as error:
        return f"{type(error).__name__}: {error}"


def assert_same(run, expected):
    if isinstance(expected, str) or isinstance(run, str):
        assert run == expected
        return
    for probe, trace in expected.traces.items():
        np.testing.assert_array_equal(run.traces[probe], trace, err_msg=str(probe))
    np.testing.assert_array_equal(run.output, expected.output)
    for ours, theirs in ((run.spikes, expected.spikes), (run.synops, expected.synops)):
        assert ours.keys() - {"input"} == theirs.keys() - {"input"}
        for name, counts in theirs.items():
            np.testing.assert_array_equal(ours[name], counts, err_msg=name)


@pytest.mark.parametrize("timing", ["layerwise", "pipelined"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.1, 0.3, 0.9]), strict=st.booleans())
def test_equals_the_specification_on_any_network(
    timing, seed, rate, strict, random_graph, random_frames
):
    network = random_graph(seed)
    frames = random_frames(network, seed, rate=rate)
    before = frames.copy()
    engine = Simulator(timing=timing, strict=strict)
    expected = outcome(Reference(timing=timing, strict=strict), network, frames)
    assert_same(outcome(engine, network, frames), expected)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("seed", range(20))
def test_chunks_and_threads_do_not_change_results(seed, random_graph, random_frames, monkeypatch):
    network = random_graph(seed)
    frames = random_frames(network, seed, samples=5)
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 1 << 40)
    whole = outcome(Simulator(), network, frames)
    finished = []
    split = Simulator(batch=2, threads=2).run(
        network, frames, probes=all_probes(network), progress=finished.append
    )
    assert_same(split, whole)
    assert finished == [2, 2, 1]
    monkeypatch.setattr(simulator, "CHUNK_BYTES", 1)
    assert_same(outcome(Simulator(), network, frames), whole)


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


def test_without_biases_pipelined_time_is_layerwise_time_shifted(random_network, random_spikes):
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


def test_every_neuron_spiking_in_every_step(random_network):
    network = random_network(
        7, input_shape=(3, 12, 12), layers=({"channels": 11, "kernel": (3, 3)},)
    )
    spikes = np.ones((2, 5, 3, 12, 12), np.uint8)
    expected = Reference().run(network, spikes, probes=all_probes(network))
    assert_same(Simulator().run(network, spikes, probes=all_probes(network)), expected)


def test_parameters_per_neuron_beyond_one_block():
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
        assert_same(Simulator().run(network, spikes, probes=all_probes(network)), expected)


def test_a_convolution_wraps_and_strict_mode_names_the_neuron():
    weight = np.full((1, 1, 1, 2), 254, np.int32)
    network = ChipNetwork(
        input_shape=(1, 1, 3),
        input_bits=24,
        populations=(Relay(name="r", shape=(1, 1, 2)),),
        synapses=(Conv(sources=("input",), target="r", weight=weight, message_bits=24),),
    )
    frames = np.zeros((2, 3, 1, 1, 3), np.int64)
    frames[1, 2, 0, 0, 2] = 40_000
    run = Simulator().run(network, frames, probes=[("r", "spikes")])
    assert run.traces["r", "spikes"][1, 2].ravel().tolist() == [0, 40_000 * 254 - 2**24]
    with pytest.raises(ArithmeticFaultError) as caught:
        Simulator(strict=True).run(network, frames)
    assert caught.value.layer == "input -> r" and caught.value.fault == "sum wrapped"
    assert (caught.value.neuron, caught.value.step, caught.value.sample) == ((0, 0, 1), 2, 1)


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


# -- golden values of each model, by hand ----------------------------------------------------------


def single(population, values, *, bits=0, port="input", weight=None):
    """Traces of one neuron that is driven directly, or through a dense weight."""
    ends = {"sources": ("input",), "target": population.name, "port": port}
    synapse = Direct(**ends)
    if weight is not None:
        synapse = Dense(weight=np.array([[weight]], np.int32), message_bits=bits, **ends)
    network = ChipNetwork(
        input_shape=(1,), input_bits=bits, populations=(population,), synapses=(synapse,)
    )
    frames = np.array(values).reshape(1, -1, 1)
    run = Simulator().run(network, frames, probes=all_probes(network))
    return {variable: trace.ravel().tolist() for (_, variable), trace in run.traces.items()}


def test_golden_current_and_voltage_of_cuba():
    # u: 640, 320, 160, 80 + 640; v: 640, 640 + 320, 960 + 160 > 1088 fires, 720.
    cuba = Cuba(name="n", shape=(1,), du=2048, dv=0, vth=17)
    seen = single(cuba, [1, 0, 0, 1], weight=10)
    assert seen["u"] == [640, 320, 160, 720]
    assert seen["v"] == [640, 960, 0, 720]
    assert seen["spikes"] == [0, 0, 1, 0]


def test_golden_reset_by_subtraction_with_initial_voltage():
    # Threshold 640: 300 + 640 = 940 leaves 300, and again; without input nothing changes.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=10, v_init=300, reset="subtract")
    seen = single(cuba, [1, 1, 0, 1], weight=10)
    assert seen["v"] == [300, 300, 300, 300]
    assert seen["spikes"] == [1, 1, 0, 1]


def test_golden_rest_after_a_spike():
    # Fires at once, stands still for two steps while the current goes on, then counts again.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=9, refractory=2)
    seen = single(cuba, [1, 1, 1, 1, 0], weight=10)
    assert seen["v"] == [0, 0, 0, 0, 0]
    assert seen["u"] == [640, 640, 640, 640, 0]
    assert seen["spikes"] == [1, 0, 0, 1, 0]


def test_golden_reset_interval():
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=1000, reset_interval=3, reset_phase=2)
    assert single(cuba, [1, 1, 1, 1, 1], weight=10)["v"] == [640, 1280, 640, 1280, 1920]


def test_golden_input_into_the_bias():
    # (2 + 5) << 3 and (2 + 0) << 3, without the shift by 6 of inputs.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=1000, bias_mant=2, bias_exp=3)
    seen = single(cuba, [5, 0], bits=4, port="bias")
    assert (seen["u"], seen["v"]) == ([0, 0], [56, 72])


def test_golden_relay():
    values = [3, -3, 2, -2, 0]
    assert single(Relay(name="n", shape=(1,), vth=2), values, bits=4)["spikes"] == [3, -3, 0, 0, 0]
    rectified = Relay(name="n", shape=(1,), vth=2, rectify=True)
    assert single(rectified, values, bits=4)["spikes"] == [3, 0, 0, 0, 0]


def test_golden_sigma():
    assert single(Sigma(name="n", shape=(1,)), [3, -1, 0], bits=4)["sigma"] == [3, 2, 2]


def test_golden_delta():
    # Changes 3, 1, 3 against a threshold of 2: the held back 1 is sent with the next.
    seen = single(Delta(name="n", shape=(1,), vth=2), [3, 4, 7], bits=4)
    assert seen["spikes"] == [3, 0, 4]
    assert seen["residue"] == [0, 1, 0]


def test_golden_sigma_delta():
    # sigma 3, -2, 5; with bias 1 and ReLU: 4, 0, 6; all changes reach the threshold 2.
    seen = single(SigmaDelta(name="n", shape=(1,), vth=2, bias=1), [3, -5, 7], bits=4)
    assert seen["sigma"] == [3, -2, 5]
    assert seen["act"] == [4, 0, 6]
    assert seen["spikes"] == [4, -4, 6]


@pytest.mark.parametrize("izhikevich", [False, True])
def test_golden_resonator(izhikevich):
    # A quarter turn per step: 1 -> i -> -1 -> -i -> 1, with vth 2 and inputs of 4.
    population = ResonateAndFire(
        name="n",
        shape=(1,),
        sin_decay=4096,
        cos_decay=0,
        vth=2,
        state_exp=0,
        izhikevich=izhikevich,
    )
    seen = single(population, [4, 0, 0, 0, 0], bits=4)
    if izhikevich:  # fires when the imaginary part reaches 2, and leaves 0 + 1i
        assert seen["spikes"] == [0, 1, 0, 0, 0]
        assert seen["imag"] == [0, 1, 0, -1, 0]
    else:  # fires when the point passes the positive real axis from below
        assert seen["real"] == [4, 0, -4, 0, 4]
        assert seen["spikes"] == [0, 0, 0, 0, 1]


def test_golden_delays_of_a_sparse_and_a_recurrent_synapse():
    # The input arrives after 2 steps; the neuron's own spike inhibits it one step later.
    relay = Relay(name="n", shape=(1,))
    network = ChipNetwork(
        input_shape=(1,),
        populations=(relay,),
        synapses=(
            Sparse(
                sources=("input",),
                target="n",
                weight=np.array([8], np.int32),
                targets=np.array([0], np.int32),
                offsets=np.array([0, 1]),
                n_targets=1,
                delay=2,
            ),
            Dense(sources=("n",), target="n", weight=np.array([[-3]], np.int32), delay=1),
        ),
    )
    frames = np.array([1, 0, 1, 0, 0, 0, 0], np.uint8).reshape(1, -1, 1)
    run = Simulator().run(network, frames, probes=[("n", "spikes")])
    assert run.traces["n", "spikes"].ravel().tolist() == [0, 0, 8, -3, 5, -3, -3]
