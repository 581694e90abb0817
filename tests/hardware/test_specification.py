"""The specification against numbers worked out by hand: neurons, synapses, weights, the graph."""

import dataclasses

import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.reference import Reference
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import (
    Cuba,
    Delta,
    Relay,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from hardware.chip.storage import load_network, save_network
from hardware.chip.synapses import Conv, Dense, Direct, Sparse
from hardware.chip.synaptic_input import shift
from hardware.chip.weights import fit_weights, stored_mode
from hardware.errors import ArithmeticFaultError, NetworkFormatError, UnsupportedNetworkError


def array(*values):
    return np.array(values, np.int32)


def drive(population, *inputs, input_bits=8, **options):
    """States and messages of one neuron that gets these values as its synaptic input."""
    network = ChipNetwork(
        input_shape=(1,),
        input_bits=input_bits,
        populations=(population,),
        synapses=(Direct(sources=(INPUT,), target=population.name),),
    )
    values = np.array(inputs).reshape(1, -1, 1)
    probes = [(population.name, v) for v in ("spikes", *population.STATES)]
    run = Reference(**options).run(network, values, probes=probes)
    return {variable: run.traces[name, variable].ravel().tolist() for name, variable in probes}


# -- neurons ---------------------------------------------------------------------------------------


def test_membrane_of_a_leaky_neuron():
    """u halves, v keeps three quarters: 64 * (10, 10/2, 10/4 ...), rounded toward zero."""
    traces = drive(Cuba(name="n", shape=(1,), du=2048, dv=1024, vth=1000), 10, 0, 0, 0)
    assert traces["u"] == [640, 320, 160, 80]
    assert traces["v"] == [640, 800, 760, 650]


def test_reset_to_zero_and_by_subtraction():
    neuron = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=10)
    by_zero = drive(neuron, 7, 7, 7, 7)
    assert by_zero["spikes"] == [0, 1, 0, 1]
    assert by_zero["v"] == [448, 0, 448, 0]
    by_subtraction = drive(dataclasses.replace(neuron, reset="subtract"), 7, 7, 7, 7)
    assert by_subtraction["spikes"] == [0, 1, 1, 0]
    assert by_subtraction["v"] == [448, 256, 64, 512]


def test_subtraction_with_an_offset_turns_above_into_at_or_above():
    neuron = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=10, reset="subtract", v_init=1)
    assert drive(neuron, 5, 5, 5, 5)["spikes"] == [0, 1, 0, 1]
    assert drive(dataclasses.replace(neuron, v_init=0), 5, 5, 5, 5)["spikes"] == [0, 0, 1, 0]


def test_rest_after_a_spike():
    """The voltage stands still for two steps while the current goes on."""
    traces = drive(Cuba(name="n", shape=(1,), du=0, dv=0, vth=10, refractory=2), 11, 0, 0, 0)
    assert traces["spikes"] == [1, 0, 0, 1]
    assert traces["u"] == [704, 704, 704, 704]
    assert traces["v"] == [0, 0, 0, 0]


def test_resets_within_a_sample():
    neuron = Cuba(
        name="n", shape=(1,), du=4096, dv=0, vth=1000, reset_interval=3, reset_phase=1, v_init=5
    )
    assert drive(neuron, 1, 1, 1, 1, 1)["v"] == [69, 69, 133, 197, 69]


def test_bias_has_mantissa_and_exponent():
    neuron = Cuba(name="n", shape=(1,), du=4096, dv=4096, vth=100, bias_mant=-3, bias_exp=2)
    assert drive(neuron, 0, 1)["v"] == [-12, 52]


def test_an_image_written_into_the_bias():
    network = ChipNetwork(
        input_shape=(2,),
        input_bits=8,
        populations=(Cuba(name="n", shape=(2,), du=4096, dv=0, vth=100, bias_exp=6),),
        synapses=(Direct(sources=(INPUT,), target="n", port="bias"),),
    )
    run = Reference().run(network, np.array([[[60, -3]] * 3]), probes=[("n", "u"), ("n", "v")])
    assert not run.traces["n", "u"].any()
    assert run.traces["n", "v"][0].tolist() == [[3840, -192], [0, -384], [3840, -576]]


def test_relay_passes_what_is_above_its_threshold():
    assert drive(Relay(name="n", shape=(1,), vth=2), 3, 2, -3, -2)["spikes"] == [3, 0, -3, 0]
    rectified = Relay(name="n", shape=(1,), vth=2, rectify=True)
    assert drive(rectified, 3, 2, -3, -2)["spikes"] == [3, 0, 0, 0]


def test_sigma_accumulates():
    assert drive(Sigma(name="n", shape=(1,)), 3, 0, -5)["spikes"] == [3, 3, -2]


def test_delta_sends_changes_and_keeps_the_rest():
    """Threshold 3: the changes 2, 1 (with 2 held back: 3), 0, -1."""
    traces = drive(Delta(name="n", shape=(1,), vth=3), 2, 3, 3, 2)
    assert traces["spikes"] == [0, 3, 0, 0]
    assert traces["residue"] == [2, 0, 0, -1]
    scaled = drive(Delta(name="n", shape=(1,), vth=3, spike_exp=2, state_exp=1), 2, 3, 3, 2)
    assert scaled["spikes"] == [0, 12, 0, 0]
    assert scaled["act"] == [16, 24, 24, 16]


def test_sigma_delta_rectifies_what_it_accumulates():
    traces = drive(SigmaDelta(name="n", shape=(1,), vth=2, bias=-1), 2, 3, -9, 1)
    assert traces["sigma"] == [2, 5, -4, -3]
    assert traces["act"] == [1, 4, 0, 0]
    assert traces["spikes"] == [0, 4, -4, 0]


def test_resonators_turn():
    """A quarter turn a step: Lava's RF spikes as it passes the positive real axis."""
    quarter = ResonateAndFire(
        name="n", shape=(1,), sin_decay=4096, cos_decay=0, vth=64, state_exp=6
    )
    traces = drive(quarter, 2, 0, 0, 0, 0)
    assert traces["real"] == [128, 0, -128, 0, 128]
    assert traces["imag"] == [0, 128, 0, -128, 0]
    assert traces["spikes"] == [0, 0, 0, 0, 1]
    izhikevich = dataclasses.replace(quarter, izhikevich=True)
    traces = drive(izhikevich, 2, 0, 0, 0)
    assert traces["spikes"] == [0, 1, 0, 0]
    assert traces["imag"] == [0, 63, 0, -63]


# -- synapses and weights --------------------------------------------------------------------------


def test_weights_that_eight_bits_hold():
    assert fit_weights(array(-3, 101, 300)).tolist() == [-4, 100, 254]
    assert fit_weights(array(3, 101, 300)).tolist() == [3, 101, 255]
    assert fit_weights(array(-3, -300)).tolist() == [-3, -255]
    assert fit_weights(array(-7, 101), bits=6).tolist() == [-8, 96]
    assert stored_mode(array(-256, -2)) == "mixed"
    assert stored_mode(array(3, 0)) == "excitatory"
    assert stored_mode(array(3, -2)) is None


def test_a_negative_exponent_rounds_down():
    assert shift(np.array([-3, 3]), -1).tolist() == [-2, 1]
    assert shift(np.array([-3, 3]), 2).tolist() == [-12, 12]


def test_lava_fits_the_same_weights():
    utilities = pytest.importorskip("lava.utils.weightutils", reason="Lava is not installed")
    rng = np.random.default_rng(0)
    for low, high in ((-400, 400), (0, 400), (-400, 1)):
        weight = rng.integers(low, high, 500).astype(np.int32)
        for bits in range(1, 9):
            mode = utilities.determine_sign_mode(weight)
            clipped = utilities.clip_weights(weight, mode, num_bits=8)
            np.testing.assert_array_equal(
                fit_weights(weight, bits=bits), utilities.truncate_weights(clipped, mode, bits)
            )


def random_dense(rng, n_out, n_in, density=1.0):
    weight = 2 * rng.integers(-128, 128, (n_out, n_in)) * (rng.random((n_out, n_in)) < density)
    return weight.astype(np.int32)


def to_sparse(dense):
    """The same synapses, stored by source."""
    targets, sources = np.nonzero(dense.weight)
    order = np.argsort(sources, kind="stable")
    counts = np.bincount(sources, minlength=dense.weight.shape[1])
    return Sparse(
        sources=dense.sources,
        target=dense.target,
        weight=dense.weight[targets, sources][order],
        targets=targets[order].astype(np.int32),
        offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        n_targets=dense.weight.shape[0],
        weight_exp=dense.weight_exp,
    )


def test_sparse_synapses_are_dense_ones_with_gaps():
    rng = np.random.default_rng(2)
    dense = Dense(sources=(INPUT,), target="n", weight=random_dense(rng, 5, 12, 0.3), weight_exp=-1)
    neurons = Cuba(name="n", shape=(5,), du=1000, dv=500, vth=60)
    spikes = rng.integers(0, 2, (2, 9, 2, 3, 2))
    runs = [
        Reference().run(
            ChipNetwork(input_shape=(2, 3, 2), populations=(neurons,), synapses=(synapse,)),
            spikes,
            probes=[("n", "u"), ("n", "spikes")],
        )
        for synapse in (dense, to_sparse(dense))
    ]
    for probe in runs[0].traces:
        np.testing.assert_array_equal(*(run.traces[probe] for run in runs))
    np.testing.assert_array_equal(*(run.synops["n"] for run in runs))
    assert runs[0].spikes["n"].min() > 0


def test_delays_per_synapse():
    """Both inputs spike at step 0; each of the four synapses takes its own time."""
    network = ChipNetwork(
        input_shape=(2,),
        populations=(Cuba(name="n", shape=(2,), du=4096, dv=4096, vth=1000),),
        synapses=(
            Dense(
                sources=(INPUT,),
                target="n",
                weight=array([2, 4], [8, 16]),
                delay=array([0, 1], [3, 3]),
            ),
        ),
    )
    spikes = np.zeros((1, 5, 2), np.uint8)
    spikes[0, 0] = 1
    u = Reference().run(network, spikes, probes=[("n", "u")]).traces["n", "u"][0] // 64
    assert u.tolist() == [[2, 0], [4, 0], [0, 0], [0, 24], [0, 0]]


@pytest.mark.parametrize(("bits", "expected"), [(0, 2), (2, 4)], ids=["or", "add"])
def test_two_sources_of_a_synapse(bits, expected):
    """Without payload bits two spikes are one; with them they add up."""
    neurons = Cuba(name="a", shape=(1,), du=4096, dv=4096, vth=1)
    network = ChipNetwork(
        input_shape=(1,),
        populations=(
            neurons,
            dataclasses.replace(neurons, name="b"),
            dataclasses.replace(neurons, name="sum", vth=100),
        ),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=array([2])),
            Dense(sources=("a",), target="b", weight=array([2])),
            Dense(sources=("a", "b"), target="sum", weight=array([2]), message_bits=bits),
        ),
    )
    run = Reference().run(network, np.ones((1, 1, 1), np.uint8), probes=[("sum", "u")])
    assert run.traces["sum", "u"].item() == expected * 64
    assert run.synops["sum"].item() == 2


# -- the graph -------------------------------------------------------------------------------------


def loop(delay):
    neurons = Cuba(name="n", shape=(1,), du=4096, dv=4096, vth=1)
    return ChipNetwork(
        input_shape=(1,),
        populations=(neurons, dataclasses.replace(neurons, name="out")),
        synapses=(
            Dense(sources=(INPUT,), target="n", weight=array([2])),
            Dense(sources=("n",), target="n", weight=array([2]), delay=delay),
            Dense(sources=("n",), target="out", weight=array([2])),
        ),
    )


def test_recurrence_returns_after_its_delay():
    spikes = np.zeros((1, 7, 1), np.uint8)
    spikes[0, 0] = 1
    run = Reference().run(loop(2), spikes, probes=every(loop(2), "spikes"))
    assert run.traces["out", "spikes"].ravel().tolist() == [1, 0, 1, 0, 1, 0, 1]


def test_a_loop_without_a_delay_is_refused():
    with pytest.raises(NetworkFormatError, match=r"n -> n: it leads back .* needs a delay"):
        loop(0)


def test_stages_and_depth_of_a_graph():
    neurons = Cuba(name="a", shape=(1,), du=4096, dv=4096, vth=1)
    names = ("a", "b", "c", "d")
    network = ChipNetwork(
        input_shape=(1,),
        populations=tuple(dataclasses.replace(neurons, name=name) for name in names),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=array([2])),
            Dense(sources=("a",), target="b", weight=array([2])),
            Dense(sources=("b",), target="c", weight=array([2])),
            Dense(sources=("c",), target="b", weight=array([2]), delay=2),
            Dense(sources=("c", "a"), target="d", weight=array([2])),
        ),
    )
    assert [[p.name for p in stage] for stage in network.stages] == [["a"], ["b", "c"], ["d"]]
    assert network.depth == {INPUT: 0, "a": 1, "b": 2, "c": 3, "d": 4}


def test_pipelined_time_is_layerwise_time_shifted_by_depth(random_network, random_spikes):
    network = random_network(4, layers=({"channels": 3, "kernel": (3, 3)}, 6, 4))
    silent = tuple(dataclasses.replace(p, bias_mant=0 * p.bias_mant) for p in network.populations)
    network = dataclasses.replace(network, populations=silent)
    spikes = random_spikes(0, (2, 12, *network.input_shape), 0.5)
    probes = every(network, "v")
    layerwise = Reference().run(network, spikes, probes=probes).traces
    pipelined = Reference(timing="pipelined").run(network, spikes, probes=probes).traces
    for name, variable in probes:
        late = network.depth[name]
        assert not pipelined[name, variable][:, :late].any()
        np.testing.assert_array_equal(
            pipelined[name, variable][:, late:], layerwise[name, variable][:, :-late]
        )


def test_biases_integrate_before_the_first_input_in_pipelined_time():
    network = ChipNetwork(
        input_shape=(1,),
        populations=(Cuba(name="n", shape=(1,), du=4096, dv=0, vth=100, bias_mant=1),),
        synapses=(Dense(sources=(INPUT,), target="n", weight=array([2])),),
    )
    spikes = np.ones((1, 3, 1), np.uint8)
    run = Reference(timing="pipelined").run(network, spikes, probes=[("n", "v")])
    assert run.traces["n", "v"].ravel().tolist() == [1, 130, 259]


def test_a_way_back_that_takes_the_chip_too_long_is_refused():
    neurons = Cuba(name="a", shape=(1,), du=4096, dv=4096, vth=1)
    network = ChipNetwork(
        input_shape=(1,),
        populations=(neurons, dataclasses.replace(neurons, name="b")),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=array([2])),
            Dense(sources=("a",), target="b", weight=array([2])),
            Dense(sources=("b",), target="a", weight=array([2]), delay=1),
        ),
    )
    spikes = np.ones((1, 3, 1), np.uint8)
    Reference().run(network, spikes)
    with pytest.raises(UnsupportedNetworkError, match=r"b -> a: a delay of 1 .* takes the chip 2"):
        Reference(timing="pipelined").run(network, spikes)


# -- strict mode -----------------------------------------------------------------------------------


def overflowing(what):
    if what == "payload over 2 bits":
        population = Cuba(name="n", shape=(2,), du=4096, dv=4096, vth=1)
        synapse = Dense(sources=(INPUT,), target="n", weight=array([2, 0], [0, 2]), message_bits=2)
        return population, synapse, np.array([1, 4])
    if what == "sum wrapped":
        population = Cuba(name="n", shape=(1, 1, 2), du=4096, dv=4096, vth=1)
        weight = np.full((1, 1, 1, 1), 254, np.int32)
        synapse = Conv(sources=(INPUT,), target="n", weight=weight, weight_exp=7, message_bits=9)
        return population, synapse, np.array([[[1, 300]]])
    limits = {"vth": 2**17 - 1, "du": 0, "dv": 0}
    if what == "v saturated":
        limits |= {"bias_mant": array(0, -4095), "bias_exp": 7}
    population = Cuba(name="n", shape=(2,), **limits)
    synapse = Dense(
        sources=(INPUT,), target="n", weight=array([0, 0], [0, 254]), weight_exp=7, message_bits=2
    )
    return population, synapse, np.array([0, 3 * (what == "u wrapped")])


@pytest.mark.parametrize("what", ["u wrapped", "v saturated", "sum wrapped", "payload over 2 bits"])
def test_strict_mode_names_what_left_its_register(what):
    population, synapse, frame = overflowing(what)
    network = ChipNetwork(
        input_shape=frame.shape, input_bits=9, populations=(population,), synapses=(synapse,)
    )
    values = np.broadcast_to(frame, (1, 20, *frame.shape))
    Reference().run(network, values)
    with pytest.raises(ArithmeticFaultError, match=what) as caught:
        Reference(strict=True).run(network, values)
    assert caught.value.neuron[-1] == 1
    assert "n" in caught.value.layer.split(" -> ")[-1]


# -- files -----------------------------------------------------------------------------------------


def everything():
    """A network with every kind of population and synapse."""
    rng = np.random.default_rng(0)
    shape = (2, 4, 4)
    dense = Dense(
        sources=("sums",), target="resonators", weight=random_dense(rng, 6, 32), message_bits=8
    )
    return ChipNetwork(
        input_shape=shape,
        input_bits=8,
        populations=(
            Delta(name="changes", shape=shape, vth=1, spike_exp=1),
            SigmaDelta(name="activations", shape=shape, vth=1, bias=2),
            Sigma(name="sums", shape=shape),
            ResonateAndFire(name="resonators", shape=(6,), sin_decay=900, cos_decay=3000, vth=500),
            Relay(name="relays", shape=(6,), vth=1, rectify=True),
            Cuba(name="out", shape=(3,), du=400, dv=array(0, 9, 4096), vth=9, reset="subtract"),
        ),
        synapses=(
            Direct(sources=(INPUT,), target="changes"),
            Conv(
                sources=("changes",),
                target="activations",
                weight=random_dense(rng, 2, 9).reshape(2, 1, 3, 3),
                padding=(1, 1),
                groups=2,
                message_bits=9,
            ),
            Direct(sources=("activations",), target="sums"),
            dense,
            dataclasses.replace(dense, port="imaginary", weight=random_dense(rng, 6, 32)),
            to_sparse(
                Dense(sources=("resonators",), target="relays", weight=2 * np.eye(6, dtype="i4"))
            ),
            Dense(sources=("relays",), target="out", weight=random_dense(rng, 3, 6), delay=1),
            Dense(sources=("out",), target="out", weight=random_dense(rng, 3, 3), delay=2),
        ),
        readout="membrane",
        metadata={"classes": ["a", "b", "c"]},
    )


def test_every_kind_survives_its_file(tmp_path):
    network = everything()
    save_network(network, tmp_path / "n.chip")
    loaded = load_network(tmp_path / "n.chip")
    for before, after in zip(
        (*network.populations, *network.synapses),
        (*loaded.populations, *loaded.synapses),
        strict=True,
    ):
        assert type(before) is type(after)
        for name, value in before.parameters().items():
            assert np.array_equal(value, after.parameters()[name]), name
            assert type(value) is type(after.parameters()[name]), name
    values = np.random.default_rng(1).integers(-9, 10, (2, 6, 2, 4, 4))
    probes = every(network, "spikes")
    runs = [Reference().run(n, values, probes=probes) for n in (network, loaded)]
    for probe in probes:
        np.testing.assert_array_equal(*(run.traces[probe] for run in runs))
        assert runs[0].traces[probe].any(), f"{probe} says nothing"
    np.testing.assert_array_equal(runs[0].output, runs[1].output)
