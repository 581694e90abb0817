"""Levels, an activation sent as one graded spike: against numbers worked out by hand."""

import dataclasses

import numpy as np
import pytest

from hardware.analysis.causes import peak_voltages
from hardware.analysis.metrics import layer_activity
from hardware.backends.backend import variables_of
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.storage import load_network, save_network
from hardware.chip.synapses import Conv, Dense, Direct
from hardware.errors import ArithmeticFaultError, NetworkFormatError

AVAILABLE = LavaBackend().is_available()
needs_lava = pytest.mark.skipif(not AVAILABLE, reason=AVAILABLE.reason)


def neuron(**parameters):
    return Levels(name="n", shape=(1,), **{"vth": 10, "levels": 4, **parameters})


def drive(population, *inputs, **options):
    """Messages and sums of one neuron that gets these values as its synaptic input."""
    network = ChipNetwork(
        input_shape=(1,),
        input_bits=24,
        populations=(population,),
        synapses=(Direct(sources=(INPUT,), target="n"),),
    )
    run = Reference(**options).run(
        network, np.array(inputs).reshape(1, -1, 1), probes=[("n", "spikes"), ("n", "z")]
    )
    return run.traces["n", "spikes"].ravel().tolist(), run.traces["n", "z"].ravel().tolist()


# -- the neuron ------------------------------------------------------------------------------------


def test_levels_round_half_up_and_are_clipped():
    """Levels of 10: 5 is half of one, 34 is 3.4 of them, 35 is 3.5, 400 is far above the fourth."""
    messages, sums = drive(neuron(), 0, 4, 5, 14, 15, 34, 35, 400)
    assert messages == [0, 0, 1, 1, 2, 3, 4, 4]
    assert sums[:4] == [0, 256, 320, 896]  # 64 times the input


def test_nothing_is_remembered():
    assert drive(neuron(), 9, 0, 9, 0)[0] == [1, 0, 1, 0]


def test_an_odd_level_has_no_half():
    """Levels of 3: (64 a + 96) // 192 is 0 at 1 (160) and 1 at 2 (224)."""
    assert drive(neuron(vth=3), 1, 2, 4, 5)[0] == [0, 1, 1, 2]


def test_below_zero_a_relu_is_silent():
    assert drive(neuron(), -1, -5, -6, -400)[0] == [0, 0, 0, 0]


def test_below_zero_a_leaky_relu_has_levels_of_its_own():
    """Slope 0.2: levels of 50, 25 is half of one, rounded away from zero, and -4 is the last."""
    messages, _ = drive(neuron(vth_negative=50), -24, -25, -74, -75, -174, -175, -9999, 5)
    assert messages == [0, -1, -1, -2, -3, -4, -4, 1]


def test_a_bias_acts_as_often_as_there_are_levels():
    """A bias of 64 x 10 / 4 = 160, four times, is one level."""
    messages, sums = drive(neuron(bias_mant=160), 0, -5, -6, 25)
    assert messages == [1, 1, 0, 4]
    assert sums == [640, 320, 256, 2240]
    assert drive(neuron(bias_mant=-20, bias_exp=3), 14, 15, 16)[0] == [0, 1, 1]


def test_one_level_is_a_threshold_at_its_half():
    assert drive(neuron(levels=1), 4, 5, 99)[0] == [0, 1, 1]


def test_a_sum_beyond_24_bits_saturates_and_the_message_is_right():
    messages, sums = drive(neuron(), 2**18, -(2**18), strict=True)
    assert (messages, sums) == ([4, 0], [2**23 - 1, 1 - 2**23])


def test_saturation_that_changes_a_message_is_a_fault():
    """Below zero, levels of 2**16 reach beyond the register: -2 is the last that it can say."""
    wide = neuron(vth_negative=2**16)
    assert drive(wide, -(2**17), -(2**18))[0] == [-2, -2]
    with pytest.raises(ArithmeticFaultError, match="z saturated"):
        drive(wide, -(2**18), strict=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"vth": 0}, r"vth must lie in \[1, 131071\]"),
        ({"levels": 0}, r"levels must lie in \[1, 65535\]"),
        ({"vth_negative": -1}, "vth_negative must lie in"),
        ({"bias_mant": 4096}, "bias_mant must lie in"),
        ({"vth": 2**15}, "n: 4 levels of 32768 reach 8388608"),
    ],
)
def test_what_no_register_holds_is_refused(parameters, message):
    with pytest.raises(NetworkFormatError, match=message):
        drive(neuron(**parameters), 0)


def test_activations_are_voltages_in_units_of_the_highest_level():
    network = residual_network()
    run = Reference().run(network, frames(network), probes=[("b", "z")])
    found = peak_voltages(network, run, "b", 1, (2, 0, 1))
    np.testing.assert_array_equal(found, run.traces["b", "z"][1, :, 2, 0, 1] / (64 * 500 * 8))


# -- networks --------------------------------------------------------------------------------------


def residual_network():
    """Image, conv, conv, the sum of both, dense: signed and unsigned levels, then a membrane."""
    rng = np.random.default_rng(0)

    def weight(*shape):
        return (2 * rng.integers(-60, 60, shape)).astype(np.int32)

    common = {"message_bits": 4}
    return ChipNetwork(
        input_shape=(2, 6, 5),
        input_bits=4,
        populations=(
            Levels(name="a", shape=(3, 6, 5), vth=200, levels=8, vth_negative=1000, bias_mant=-40),
            Levels(name="b", shape=(3, 6, 5), vth=500, levels=8, bias_mant=9, bias_exp=4),
            Levels(name="c", shape=(4,), vth=900, levels=15, vth_negative=2000),
            Cuba(name="out", shape=(3,), du=4096, dv=0, vth=2**17 - 1),
        ),
        synapses=(
            Conv(
                sources=("input",), target="a", weight=weight(3, 2, 3, 3), padding=(1, 1), **common
            ),
            Conv(sources=("a",), target="b", weight=weight(3, 3, 3, 3), padding=(1, 1), **common),
            Dense(sources=("a", "b"), target="c", weight=weight(4, 90), message_bits=5),
            Dense(sources=("c",), target="out", weight=weight(3, 4), **common),
        ),
        readout="membrane",
    )


def frames(network, samples=3, steps=2):
    shape = (samples, steps, *network.input_shape)
    return np.random.default_rng(1).integers(-15, 16, shape)


def everything(network, backend):
    probes = [(name, v) for name, variables in variables_of(network).items() for v in variables]
    return backend.run(network, frames(network), probes=probes)


def assert_equal(run, expected):
    for probe, trace in expected.traces.items():
        np.testing.assert_array_equal(run.traces[probe], trace, str(probe))
    np.testing.assert_array_equal(run.output, expected.output)
    for counts in ("spikes", "synops", "macs"):
        for name, count in getattr(expected, counts).items():
            np.testing.assert_array_equal(getattr(run, counts)[name], count)


def test_every_engine_sends_the_same():
    network = residual_network()
    expected = everything(network, Reference(strict=True))
    for name in "abc":
        messages = expected.traces[name, "spikes"]
        assert len(np.unique(messages)) > 5
        assert (messages.min() < 0) == (name != "b")
    assert_equal(everything(network, Simulator(strict=True, batch=2)), expected)
    torch_engine = pytest.importorskip("hardware.backends.torch_engine.backend")
    pytest.importorskip("torch")
    assert_equal(everything(network, torch_engine.TorchSimulator(device="cpu")), expected)


@needs_lava
def test_lava_sends_the_same():
    network = residual_network()
    run = everything(network, LavaBackend(timeout_s=120))
    assert_equal(run, everything(network, Reference()))
    assert any(name.endswith("LevelNeurons") for name in run.processes)


@pytest.mark.parametrize("vth", [1, 3, 10, 977, 4000])
def test_the_kernel_at_every_boundary(vth):
    """Half levels, one above and one below, of both signs; and sums that fill the register."""
    levels = 32
    population = Levels(
        name="n", shape=(3,), vth=vth, levels=levels, bias_mant=np.array([0, 1, -7], "i4"),
        vth_negative=np.array([0, 5 * vth, 2 * vth + 1], "i4"),
    )  # fmt: skip
    network = ChipNetwork(
        input_shape=(3,),
        input_bits=24,
        populations=(population,),
        synapses=(Direct(sources=(INPUT,), target="n"),),
    )
    halves = vth * (2 * np.arange(levels + 2) + 1) // 2
    sizes = np.concatenate([halves - 1, halves, halves + 1, 5 * halves, [2**17, 2**23, 2**24 - 1]])
    values = np.concatenate([sizes, -sizes])[None, :, None].repeat(3, axis=2)
    probes = [("n", "spikes"), ("n", "z")]
    expected = Reference().run(network, values, probes=probes)
    found = Simulator().run(network, values, probes=probes)
    for probe in probes:
        np.testing.assert_array_equal(found.traces[probe], expected.traces[probe])


def test_the_kernel_finds_the_faults_of_the_specification():
    network = ChipNetwork(
        input_shape=(1,),
        input_bits=24,
        populations=(neuron(vth_negative=2**16),),
        synapses=(Direct(sources=(INPUT,), target="n"),),
    )
    Simulator(strict=True).run(network, np.array([[[2**20], [-(2**17) + 1]]]))
    with pytest.raises(ArithmeticFaultError, match="n: z saturated"):
        Simulator(strict=True).run(network, np.array([[[0], [-(2**18)]]]))


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_in_every_engine(seed, random_graph, random_frames):
    """Levels with convolutions, dense and sparse synapses, sums, skips and loops."""
    features = {"conv", "dense", "sparse", "levels", "graded", "residual", "skip", "per_neuron"}
    network = random_graph(seed, features | {"recurrent", "delay"})
    spikes = random_frames(network, seed)
    probes = [(name, v) for name, variables in variables_of(network).items() for v in variables]
    expected = Reference().run(network, spikes, probes=probes)
    assert_equal(Simulator().run(network, spikes, probes=probes), expected)
    torch_engine = pytest.importorskip("hardware.backends.torch_engine.backend")
    pytest.importorskip("torch")
    engine = torch_engine.TorchSimulator(device="cpu")
    assert_equal(engine.run(network, spikes, probes=probes), expected)


def test_a_file_holds_all_of_it(tmp_path):
    network = residual_network()
    save_network(network, tmp_path / "n.chip")
    loaded = load_network(tmp_path / "n.chip")
    for before, after in zip(network.populations, loaded.populations, strict=True):
        assert type(before) is type(after)
        for name, value in before.parameters().items():
            np.testing.assert_array_equal(getattr(after, name), value)
    assert_equal(everything(loaded, Simulator()), everything(network, Simulator()))


# -- what is counted -------------------------------------------------------------------------------


def test_values_multiply_and_spikes_add():
    """Two neurons of each kind into one: 2 messages with values, 1 spike."""
    network = ChipNetwork(
        input_shape=(2,),
        input_bits=4,
        populations=(
            Levels(name="graded", shape=(2,), vth=1, levels=8),
            Levels(name="binary", shape=(2,), vth=3, levels=1),
            Levels(name="sum", shape=(1,), vth=1, levels=8),
        ),
        synapses=(
            Direct(sources=(INPUT,), target="graded"),
            Direct(sources=(INPUT,), target="binary"),
            Dense(
                sources=("graded",), target="sum", weight=np.array([[2, 4]], "i4"), message_bits=4
            ),
            Dense(
                sources=("binary",), target="sum", weight=np.array([[2, 4]], "i4"), message_bits=1
            ),
        ),
    )
    run = Simulator().run(network, np.array([[[1, 5]]]))
    assert (run.synops["sum"].item(), run.macs["sum"].item()) == (3, 2)
    assert run.output.item() == 8  # 2 + 4 x 5 + 4 of 1 each
    activity = layer_activity(network, run, 1)[-1]
    assert (activity.synops, activity.effective_acs, activity.effective_macs) == (3, 1, 2)
    assert activity.payload_bits == 4


def test_binary_networks_have_no_multiplications(random_network, random_spikes):
    network = random_network(0)
    spikes = random_spikes(0, (2, 5, *network.input_shape), 0.5)
    run = Simulator().run(network, spikes)
    rows = layer_activity(network, run, 5)
    assert all(row.effective_macs == 0 and row.effective_acs == row.synops for row in rows)
    analogue = dataclasses.replace(
        network,
        input_bits=3,
        synapses=(dataclasses.replace(network.synapses[0], message_bits=3), *network.synapses[1:]),
    )
    first, *others = layer_activity(analogue, Simulator().run(analogue, spikes * 5), 5)
    assert first.effective_macs == first.synops > 0
    assert not any(row.effective_macs for row in others)
