"""What Lava has no process for, or gets wrong when asked plainly, each against the specification.

Random networks are in `test_lava_equality`; here each case is built so that a mistake must show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardware.backends.lava.backend import LavaBackend
from hardware.backends.lava.limits import check_expressible
from hardware.backends.lava.timing import Clock, route
from hardware.backends.reference import Reference
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Relay, ResonateAndFire, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct, Sparse
from hardware.errors import BackendRunError, UnsupportedNetworkError

AVAILABLE = LavaBackend().is_available()
needs_lava = pytest.mark.skipif(not AVAILABLE, reason=AVAILABLE.reason)


def even(rng, *shape):
    return (2 * rng.integers(-128, 128, shape)).astype(np.int32)


def spread(rng, low, high, *shape):
    return rng.integers(low, high, shape).astype(np.int32)


def graph(input_shape, populations, synapses, **options):
    return ChipNetwork(
        input_shape=input_shape, populations=tuple(populations), synapses=tuple(synapses), **options
    )


def assert_equal(network, frames, *, timing="layerwise"):
    """Every message and state, and the answer; returns what the specification says."""
    probes = [(p.name, v) for p in network.populations for v in ("spikes", *p.STATES)]
    run = LavaBackend(timeout_s=60, timing=timing).run(network, frames, probes=probes)
    expected = Reference(timing=timing).run(network, frames, probes=probes)
    for probe in probes:
        np.testing.assert_array_equal(run.traces[probe], expected.traces[probe], str(probe))
    np.testing.assert_array_equal(run.output, expected.output)
    for name in expected.spikes:
        np.testing.assert_array_equal(run.spikes[name], expected.spikes[name])
    for name in expected.synops:
        np.testing.assert_array_equal(run.synops[name], expected.synops[name])
    return expected


@needs_lava
def test_nothing_of_a_sample_reaches_the_next(random_spikes):
    """Strong loops and delays longer than a sample: whatever leaks makes neurons spike."""
    rng = np.random.default_rng(0)
    loud = {"du": 0, "dv": 0, "vth": 100, "bias_mant": 30, "bias_exp": 6}
    populations = [Cuba(name=n, shape=(4,), **loud) for n in "abc"]
    weight = np.full((4, 4), 254, np.int32)

    def dense(source, target, delay):
        return Dense(sources=(source,), target=target, weight=weight, delay=delay)

    synapses = [
        dense(INPUT, "a", spread(rng, 0, 9, 4, 4)),
        dense("a", "b", 7),
        dense("b", "c", 0),
        dense(INPUT, "c", spread(rng, 0, 4, 4, 1)),
        dense("a", "a", 1),
        dense("b", "b", spread(rng, 1, 12, 4, 4)),
        dense("c", "a", 3),
        dense("c", "b", spread(rng, 2, 9, 4, 4)),
        Sparse(
            sources=("c",),
            target="c",
            weight=np.array([254, -256, 200], np.int32),
            targets=np.array([1, 0, 3], np.int32),
            offsets=np.array([0, 1, 1, 3, 3]),
            n_targets=4,
            delay=5,
        ),
    ]
    network = graph((4,), populations, synapses)
    frames = random_spikes(1, (4, 6, 4))
    frames[2] = 0  # what happens here comes from the biases alone, or from the sample before
    expected = assert_equal(network, frames)
    alone = Reference().run(network, frames[2:3])
    assert all(expected.spikes[n][2] == alone.spikes[n][0] > 0 for n in "abc")
    assert_equal(network, frames[:2], timing="pipelined")


@needs_lava
def test_residual_sums_wait_for_each_other():
    """A block with an identity path, weights on the sum: added as values, or as a logical or."""
    rng = np.random.default_rng(1)
    neuron = {"du": 4096, "dv": 300, "vth": 250}
    same = {"padding": (1, 1), "target": "?"}
    populations = [Cuba(name=n, shape=(2, 5, 4), **neuron) for n in ("in", "mid", "sum", "or")]
    populations.append(Cuba(name="out", shape=(3,), **neuron))
    common = {"sources": (INPUT,), "weight": even(rng, 2, 2, 3, 3), **same}
    conv = Conv(**common)
    synapses = [
        replace(conv, target="in"),
        replace(conv, sources=("in",), target="mid", weight=even(rng, 2, 2, 3, 3), delay=2),
        replace(conv, sources=("in", "mid", INPUT), target="sum", message_bits=2),
        replace(conv, sources=("mid", "in"), target="or", weight_exp=-1, delay=1),
        Dense(sources=("or", "sum"), target="out", weight=even(rng, 3, 40), message_bits=2),
    ]
    network = graph((2, 5, 4), populations, synapses)
    frames = (rng.random((2, 8, 2, 5, 4)) < 0.4).astype(np.uint8)
    expected = assert_equal(network, frames)
    assert min(count.min() for count in expected.spikes.values()) > 0
    assert len(set(route(network, synapses[2]).waits)) == 3


@needs_lava
@pytest.mark.parametrize("low", [0, -255], ids=["excitatory", "inhibitory"])
def test_odd_weights_of_one_sign_and_exponents(low):
    rng = np.random.default_rng(2)
    weight = np.array([[1, 3, 255], [7, 128, 101]], np.int32) * (1 if low == 0 else -1)
    sparse = {
        "targets": np.array([0, 1, 1], np.int32),
        "offsets": np.array([0, 1, 2, 3]),
        "n_targets": 2,
    }
    neuron = {"shape": (2,), "du": 4096, "dv": 0, "vth": 300, "bias_mant": 4000, "bias_exp": 2}
    populations = [Cuba(name=n, **neuron) for n in "abcd"]
    to = {"sources": (INPUT,)}
    synapses = [
        Dense(weight=weight, target="a", weight_exp=3, **to),
        Dense(weight=weight, target="b", weight_exp=-3, delay=[[0, 2, 1]], **to),
        Sparse(weight=weight[0], target="c", weight_exp=-2, **sparse, **to),
        Sparse(weight=weight[1], target="d", weight_exp=7, delay=1, **sparse, **to),
    ]
    network = graph((3,), populations, synapses)
    assert_equal(network, (rng.random((2, 7, 3)) < 0.6).astype(np.uint8))


@needs_lava
def test_values_drive_biases_and_graded_neurons():
    """An image in the bias of the first layer (as in Intel's PilotNet) and 20-bit messages."""
    rng = np.random.default_rng(3)
    cuba = Cuba(
        name="image",
        shape=(2, 4, 3),
        du=4096,
        dv=spread(rng, 0, 4097, 2, 4, 3),
        vth=spread(rng, 0, 3000, 2, 4, 3),
        bias_mant=spread(rng, -100, 100, 2),
        bias_exp=6,
        reset="subtract",
        refractory=1,
        v_init=spread(rng, -9000, 9000, 2, 4, 3),
    )
    relay = Relay(name="relay", shape=(5,), vth=spread(rng, 0, 10**6, 5), rectify=True)
    changes = SigmaDelta(
        name="changes", shape=(3,), vth=spread(rng, 0, 2000, 3), bias=7, spike_exp=1, state_exp=6
    )
    populations = [cuba, relay, changes, Cuba(name="out", shape=(2,), du=10, dv=3, vth=90)]
    synapses = [
        Direct(sources=(INPUT,), target="image", port="bias"),
        Dense(sources=(INPUT,), target="relay", weight=even(rng, 5, 24), message_bits=20),
        Dense(sources=("relay",), target="changes", weight=even(rng, 3, 5), message_bits=24),
        Dense(sources=("image",), target="out", weight=even(rng, 2, 24)),
        Dense(sources=("changes",), target="out", weight=even(rng, 2, 3)),
    ]
    network = graph((2, 4, 3), populations, synapses, input_bits=20, readout="membrane")
    frames = rng.integers(1 - 2**20, 2**20, (3, 7, 2, 4, 3))
    expected = assert_equal(network, frames)
    assert min(count.min() for count in expected.spikes.values()) > 0
    assert np.abs(expected.traces["changes", "sigma"]).max() > 2**31


@needs_lava
@pytest.mark.parametrize("izhikevich", [False, True])
def test_resonators_of_any_period_and_input(izhikevich):
    """Cosines below zero, which Lava declares unsigned, and inputs beyond its declared 16 bits."""
    rng = np.random.default_rng(4)
    turn = 2 * np.pi / np.array([2.5, 3, 5, 9, 40])
    decays = {
        "sin_decay": (4000 * np.sin(turn)).astype(np.int32),
        "cos_decay": (4000 * np.cos(turn)).astype(np.int32),
    }
    assert decays["cos_decay"].min() < 0
    resonator = ResonateAndFire(
        name="r",
        shape=(5,),
        vth=spread(rng, 0, 10**6, 5),
        izhikevich=izhikevich,
        reset_interval=5,
        reset_phase=3,
        **decays,
    )
    synapses = [
        Dense(sources=(INPUT,), target="r", port=p, weight=even(rng, 5, 4), message_bits=10)
        for p in ("input", "imaginary")
    ]
    network = graph((4,), [resonator], synapses, input_bits=10)
    expected = assert_equal(network, rng.integers(-1023, 1024, (3, 14, 4)))
    assert np.abs(expected.traces["r", "real"]).max() > 2**22 and expected.spikes["r"].min() > 0


@needs_lava
def test_more_groups_than_lava_counts():
    """Lava stores the number of groups in 8 bits: 130 would be -126."""
    rng = np.random.default_rng(5)
    weight = even(rng, 130, 1, 2, 2)
    conv = Conv(sources=(INPUT,), target="a", weight=weight, groups=130, stride=(2, 2))
    network = graph((130, 4, 2), [Cuba(name="a", shape=(130, 2, 1), du=0, dv=9, vth=80)], [conv])
    assert_equal(network, (rng.random((2, 3, 130, 4, 2)) < 0.5).astype(np.uint8))


@needs_lava
def test_a_current_beyond_lavas_32_bits_is_an_error_and_not_a_wrap():
    weight = np.full((1, 1), 254, np.int32)
    synapse = Dense(sources=(INPUT,), target="loud", weight=weight, weight_exp=7, message_bits=24)
    network = graph(
        (1,), [Cuba(name="loud", shape=(1,), du=0, dv=0, vth=0)], [synapse], input_bits=24
    )
    with pytest.raises(BackendRunError, match=r"OverflowError: loud: .*32 bits"):
        LavaBackend(timeout_s=60).run(network, np.full((1, 3, 1), 2**24 - 1))


@needs_lava
def test_feed_forward_networks_run_on_lavas_own_classes():
    """Equality says something about Lava: nothing of ours stands between."""
    from lava.proc.conv.models import PyConvModelFixed
    from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
    from lava.proc.lif.models import PyLifResetModelBitAcc

    from hardware.backends.lava.neurons import neuron_process
    from hardware.backends.lava.synapses import synapse_process

    rng = np.random.default_rng(6)
    clock = Clock(1, 8)
    dense = Dense(sources=("x",), target="y", weight=even(rng, 3, 8))
    conv = Conv(sources=("x",), target="y", weight=even(rng, 2, 2, 2, 2))
    late = replace(dense, delay=np.arange(8))
    for synapse, shape, model in (
        (dense, (8,), PyDenseModelBitAcc),
        (conv, (2, 4, 4), PyConvModelFixed),
    ):
        assert synapse_process(synapse, shape, offset=0, clock=clock).model is model
    connection = synapse_process(late, (8,), offset=0, clock=clock)
    assert issubclass(connection.model, PyDelayDenseModelBitAcc)
    cuba = Cuba(name="y", shape=(3,), du=1, dv=1, vth=1)
    neurons = neuron_process(cuba, clock=clock, recordings={}, plain=True)
    assert issubclass(neurons.model, PyLifResetModelBitAcc)
    own = set(vars(neurons.model)) - {"__module__", "__doc__", "__parameters__"}
    assert not {name for name in own if not name.startswith("_")}


def test_all_that_cannot_be_had_is_one_error():
    """A way back over two synapses takes two steps more than over none."""
    weight = np.zeros((2, 2), np.int32)
    neuron = {"shape": (2,), "du": 0, "dv": 0, "vth": 0}
    populations = [Cuba(name=n, **neuron) for n in "abc"]
    edges = {
        (INPUT, "a"): 0,
        ("a", "b"): 0,
        ("b", "c"): 0,
        ("c", "a"): 2,
        ("b", "a"): 2,
        ("c", "b"): 1,
    }
    synapses = [
        Dense(sources=(source,), target=target, weight=weight, delay=delay)
        for (source, target), delay in edges.items()
    ]
    synapses += [Direct(sources=("a", "a"), target="b", port="bias")]
    synapses += [Dense(sources=("b", "b"), target="c", weight=weight)]
    with pytest.raises(UnsupportedNetworkError) as caught:
        check_expressible(graph((2,), populations, synapses), "floating_pt")
    message = str(caught.value)
    assert "c -> a: a delay of 2 is too short, the way back takes 3 steps" in message
    assert "c -> b: a delay of 1 is too short, the way back takes 2 steps" in message
    assert "b -> a: a delay" not in message
    assert "a -> b: connected twice to port 'bias'" in message
    assert "b + b -> c: a source is named twice" in message
    assert message.count("floating-point models") == 1 and "b: Lava has" in message


@pytest.mark.parametrize("period", [1, 3, 7])
def test_clock_counts_the_steps_of_samples_without_a_break(period):
    clock = Clock(2, period)
    steps = [clock.step(t) for t in range(3, 3 + 3 * period)]
    assert steps == list(range(period)) * 3
    assert [t for t in range(3, 3 + 2 * period) if clock.begins(t)] == [3, 3 + period]
    assert clock.left(3) == period - 1 and clock.left(2 + period) == 0
    assert Clock(2, 0).step(1) == -2 and not any(Clock(0, 0).begins(t) for t in range(1, 9))


# -- floating point -------------------------------------------------------------------------------


def float_chain(network, frames):
    """CUBA neurons in floats, layer by layer: ``u``, ``v`` and spikes in the units of integers."""
    traces, messages = {}, frames.astype(float)
    for population, synapse in zip(network.populations, network.synapses, strict=True):
        a = messages.reshape(*messages.shape[:2], -1) @ synapse.weight.T * 2.0**synapse.weight_exp
        u = np.zeros((len(frames), *population.shape))
        v, kept = u.copy(), []
        for step in range(frames.shape[1]):
            u = u * (1 - population.du / 4096) + 64 * a[:, step]
            v = v * (1 - population.dv / 4096) + u + population.bias
            spikes = v > population.vth * 64
            v = np.where(spikes, 0, v)
            kept.append((spikes, u, v))
        for variable, values in zip(("spikes", "u", "v"), zip(*kept, strict=True), strict=True):
            traces[population.name, variable] = np.stack(values, axis=1)
        messages = traces[population.name, "spikes"].astype(float)
    return traces


@needs_lava
def test_floating_point_is_the_same_network_without_rounding(random_network, random_spikes):
    network = random_network(8, input_shape=(2, 3, 4), layers=(6, 5))
    synapses = (replace(network.synapses[0], weight_exp=1), network.synapses[1])
    network = replace(network, synapses=synapses)
    frames = random_spikes(4, (3, 12, 2, 3, 4))
    expected = float_chain(network, frames)
    run = LavaBackend(timeout_s=60, precision="floating_pt").run(network, frames, probes=expected)
    for probe, trace in expected.items():
        np.testing.assert_allclose(run.traces[probe], trace, rtol=1e-9, atol=1e-6)
    assert run.spikes["layer-1"].min() > 0
    integers = Reference().run(network, frames, probes=expected).traces
    rounding = np.abs(integers["layer-0", "u"] - run.traces["layer-0", "u"]).max()
    assert 0 < rounding < 64
