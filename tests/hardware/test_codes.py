"""Converted networks: what their metadata say, in floats and as integers, and what is refused."""

import json
from itertools import pairwise
from types import SimpleNamespace

import nir
import numpy as np
import pytest

from hardware.analysis.hops import compare_hops
from hardware.backends.backend import every
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.populations import Cuba, Levels, SigmaDelta
from hardware.compiler.floats.run import run_floats
from hardware.compiler.netx.writer import write_netx
from hardware.compiler.nir.nodes import Conventions
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.compiler.quantise.quantiser import dequantise, quantise
from hardware.errors import HardwareError, NetworkFormatError, UnsupportedNetworkError

AVAILABLE = LavaBackend().is_available()
needs_lava = pytest.mark.skipif(not AVAILABLE, reason=AVAILABLE.reason)

DT = 1e-3
RATE = {"code": "rate", "reset": "subtract", "v_init": 0.5}
GRADED = {"code": "graded", "levels": 4}
SIGMA_DELTA = {"code": "sigma_delta", "vth": 0.0, "rectify": True}


def neurons(shape, theta=1.0, **metadata):
    node = nir.IF(r=np.full(shape, 1 / DT), v_threshold=np.broadcast_to(float(theta), shape).copy())
    node.metadata.update(dt=DT, **metadata)
    return node


def accumulator(n, **metadata):
    node = nir.I(r=np.full(n, 1 / DT))
    node.metadata.update(dt=DT, **metadata)
    return node


def graph_of(nodes, edges=None, *, shape=(1,), out=(1,), **metadata):
    nodes = {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(np.array(out))}
    graph = nir.NIRGraph(nodes, edges or list(pairwise(nodes)), type_check=False)
    graph.metadata["spikeface"] = json.dumps(metadata)
    return graph


def one_neuron(theta=1.0, bias=0.0, **metadata):
    synapse = nir.Affine(np.ones((1, 1)), np.array([bias]))
    return graph_of({"w": synapse, "n": neurons((1,), theta, **metadata)})


def answers(graph, *inputs, **conventions):
    network = from_nir(graph, Conventions(**conventions))
    values = np.array(inputs, float).reshape(1, -1, 1)
    run = run_floats(network, values, probes=[("n", "spikes")])
    return run.traces["n", "spikes"].ravel().tolist()


# -- in floats -------------------------------------------------------------------------------------


def test_graded_by_hand():
    """Levels of 0.25: half of one is 0.125."""
    graph = one_neuron(**GRADED)
    assert answers(graph, 0.124, 0.125, 0.374, 0.375, 0.9, 7, -3) == [0, 1, 1, 2, 4, 4, 0]
    assert answers(one_neuron(bias=0.5, **GRADED), 0, 0, 0.2) == [2, 2, 3]
    leaky = one_neuron(**GRADED, negative_slope=0.5)
    assert answers(leaky, -0.24, -0.25, -0.74, -0.75, -9, 0.25) == [0, -1, -1, -2, -4, 1]


def test_rate_by_hand():
    """0.3 a step on top of a half, which is the threshold of 1 in steps 2, 5 and 9."""
    spikes = answers(one_neuron(**RATE), *[0.3] * 10)
    assert spikes == [0, 1, 0, 0, 1, 0, 0, 0, 1, 0]
    # At the threshold it fires, unless the metadata say otherwise.
    assert answers(one_neuron(**RATE), 0.5) == [1]
    assert answers(one_neuron(**RATE, fires="above"), 0.5) == [0]
    assert answers(one_neuron(**RATE), *[0.9] * 3, reset="zero") == [1, 0, 1]


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_rates_over_as_many_steps_are_levels(levels):
    """Of a constant input: the equality that QCFS is built on."""
    for z in np.linspace(-0.3, 1.4, 35):
        spikes = answers(one_neuron(**RATE), *[z] * levels)
        level = answers(one_neuron(code="graded", levels=levels), z)
        assert [sum(spikes)] == level


def test_sigma_delta_by_hand():
    """ReLU(0.2, 0.5, 0.4, -0.6, 0.4) of the accumulated input; changes of 0.3 or more are sent."""
    graph = one_neuron(**SIGMA_DELTA | {"vth": 0.3})
    found = answers(graph, 0.2, 0.3, -0.1, -1.0, 1.0)
    np.testing.assert_allclose(found, [0, 0.5, 0, -0.5, 0.4], atol=1e-12)
    linear = one_neuron(**SIGMA_DELTA | {"vth": 0.3, "rectify": False}, bias=0.1)
    np.testing.assert_allclose(answers(linear, 0.2, 0, -0.7), [0.3, 0, -0.7], atol=1e-12)


def test_an_accumulator_behind_levels_holds_the_last_step():
    nodes = {"w": nir.Linear(np.eye(1)), "n": neurons((1,), **GRADED)}
    nodes |= {"v": nir.Affine(np.full((1, 1), 0.25), np.array([0.1]))}
    graph = graph_of({**nodes, "sum": accumulator(1, code="graded")})
    run = run_floats(from_nir(graph), np.array([[[0.5], [1.0], [0.25]]]))
    np.testing.assert_allclose(run.output, [[0.25 + 0.1]])


def test_an_accumulator_of_changes_takes_its_bias_once():
    nodes = {"w": nir.Linear(np.eye(1)), "n": neurons((1,), **SIGMA_DELTA)}
    nodes |= {"v": nir.Affine(np.full((1, 1), 2.0), np.array([0.1]))}
    graph = graph_of({**nodes, "sum": accumulator(1, code="sigma_delta")})
    run = run_floats(from_nir(graph), np.array([[[0.5], [1.0], [-0.25]]]))
    np.testing.assert_allclose(run.output, [[2 * 1.25 + 0.1]])


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"code": "burst"}, "n: code must be one of"),
        ({"levels": 4}, "n: levels needs a code"),
        ({"code": "graded"}, "n: code 'graded' needs levels"),
        ({"code": "rate"}, "n: code 'rate' needs reset and v_init"),
        ({"code": "rate", "reset": "subtract"}, "needs v_init"),
        ({"code": "sigma_delta", "vth": 0.1}, "needs rectify"),
        ({**GRADED, "vth": 0.1}, "n: vth means nothing to code 'graded'"),
        ({**GRADED, "v_init": 0.5}, "v_init means nothing to code 'graded'"),
        ({**GRADED, "reset": "zero"}, "reset means nothing to code 'graded'"),
        ({**RATE, "levels": 4}, "levels means nothing to code 'rate'"),
        ({**RATE, "negative_slope": 0.2}, "convert with a pair of neurons"),
        ({**SIGMA_DELTA, "negative_slope": 0.2}, "no chip has such neurons"),
        ({**GRADED, "levels": 0}, r"levels must be a whole number in \[1, 65535\], got 0"),
        ({**GRADED, "levels": 2.5}, "levels must be a whole number"),
        ({**GRADED, "levels": "many"}, "levels must be a whole number"),
        ({**GRADED, "negative_slope": -0.1}, r"negative_slope must be in \[0, 1\]"),
        ({**GRADED, "negative_slope": "steep"}, "negative_slope must be numbers"),
        ({**SIGMA_DELTA, "vth": -1.0}, "delta must be finite and not negative"),
        ({**SIGMA_DELTA, "rectify": "perhaps"}, "rectify must be true or false"),
    ],
)
def test_metadata_that_cannot_be_meant(metadata, message):
    with pytest.raises(HardwareError, match=message):
        from_nir(one_neuron(**metadata))


def test_codes_are_said_of_integrators_only():
    node = nir.LIF(*(np.ones(1) for _ in range(4)))
    node.metadata.update(dt=DT, reset="subtract", v_init=0.5, code="rate")
    with pytest.raises(NetworkFormatError, match="said of an IF or I, not of a LIF"):
        from_nir(graph_of({"w": nir.Linear(np.eye(1)), "n": node}))
    node = neurons((1,), **GRADED)
    node.v_reset = np.full(1, 0.3)
    with pytest.raises(NetworkFormatError, match="n: levels have no v_reset"):
        from_nir(graph_of({"w": nir.Linear(np.eye(1)), "n": node}))


def test_a_skip_without_its_quantum_is_refused():
    """Two branches into a neuron, one of them bare messages that stand for 0.175."""

    def residual(scale):
        nodes = {
            "w": nir.Linear(np.eye(2)), "a": neurons((2,), 0.7, **GRADED),
            "v": nir.Linear(np.eye(2)), "b": neurons((2,), **GRADED),
            "u": nir.Linear(np.eye(2)), "skip": nir.Scale(np.full(2, scale)),
            "n": neurons((2,), **GRADED),
        }  # fmt: skip
        edges = [("input", "w"), ("w", "a"), ("a", "v"), ("v", "b"), ("b", "u"), ("u", "n")]
        edges += [("a", "skip"), ("skip", "n"), ("n", "output")]
        return graph_of(nodes, edges, shape=(2,), out=(2,))

    with pytest.raises(UnsupportedNetworkError, match=r"n: a is added without weights.* 0\.175;"):
        from_nir(residual(1.0))
    assert len(from_nir(residual(0.175)).incoming("n")) == 2


def test_codes_do_not_mix():
    nodes = {
        "w": nir.Linear(np.eye(1)), "a": neurons((1,), **SIGMA_DELTA),
        "v": nir.Linear(np.eye(1)), "n": neurons((1,), **GRADED),
    }  # fmt: skip
    network = from_nir(graph_of(nodes))
    with pytest.raises(UnsupportedNetworkError, match=r"a -> n: changes .* one code"):
        quantise(network, calibration=np.ones((1, 2, 1), int))


def test_sigma_delta_needs_to_know_how_far_it_goes():
    with pytest.raises(UnsupportedNetworkError, match=r"n: how far .* give calibration samples"):
        quantise(from_nir(one_neuron(**SIGMA_DELTA)))


def test_metadata_come_back_from_a_file(tmp_path):
    node = neurons((3, 2, 2), **GRADED, negative_slope=np.array([0.1, 0.2, 0.0]))
    graph = graph_of(
        {"w": nir.Conv2d((2, 2), np.ones((3, 1, 1, 1)), 1, 0, 1, 1, np.zeros(3)), "n": node},
        shape=(1, 2, 2), out=(3, 2, 2),
    )  # fmt: skip
    nir.write(tmp_path / "g.nir", graph)
    population = read_nir(tmp_path / "g.nir")["n"]
    assert (population.kind, population.levels) == ("levels", 4)
    np.testing.assert_allclose(population.negative_slope, [0.1, 0.2, 0.0])
    for metadata, kind in ((RATE, "neuron"), (SIGMA_DELTA, "sigma_delta")):
        nir.write(tmp_path / "g.nir", one_neuron(**metadata))
        assert read_nir(tmp_path / "g.nir")["n"].kind == kind


# -- as integers -----------------------------------------------------------------------------------


def chip_of(weight, theta=1.0, bias=0.0, calibration=None, **metadata):
    weight = np.asarray(weight, float)
    affine = nir.Affine(weight, np.full(len(weight), bias))
    graph = graph_of(
        {"w": affine, "n": neurons((len(weight),), theta, **metadata)},
        shape=(weight.shape[1],), out=(len(weight),),
    )  # fmt: skip
    return quantise(from_nir(graph), calibration=calibration)


def test_registers_of_levels_by_hand():
    """A level is 0.25; weights up to 0.5: V = floor(254 x 0.25 / 0.5) = 127; B = 64 s b / 4."""
    chip, (loss,) = chip_of([[0.5, -0.25]], bias=0.1, **GRADED, negative_slope=0.2)
    (population,) = chip.populations
    assert isinstance(population, Levels)
    assert (population.vth.tolist(), population.vth_negative.tolist()) == ([127], [635])
    assert chip.synapses[0].weight.tolist() == [[254, -128]]  # -127 to an even number
    assert population.bias.tolist() == [813]  # 64 x 508 x 0.1 / 4 = 812.8
    assert loss.threshold_error == 0
    assert loss.bias_error == pytest.approx((813 * 4 / (64 * 508) - 0.1) / 1)


def test_a_rate_starts_half_full_and_fires_at_its_threshold():
    """V = 508, v0 = 32 V + 1: the one turns the chip's > into >=."""
    chip, _ = chip_of([[0.5, -0.25]], **RATE)
    (population,) = chip.populations
    assert isinstance(population, Cuba)
    assert (population.reset, population.vth.tolist()) == ("subtract", [508])
    assert population.v_init.tolist() == [32 * 508 + 1]
    run = Reference().run(chip, np.array([[[1, 0]]]), probes=[("n", "spikes"), ("n", "v")])
    assert run.traces["n", "spikes"].item() == 1  # half + 254 is 508, the threshold itself
    assert run.traces["n", "v"].item() == 1


def test_levels_that_need_more_than_24_bits_get_a_smaller_scale():
    """L theta s 64 < 2**23 / 1: weights of 2**-9 would allow s = 130048, which levels do not."""
    chip, (loss,) = chip_of([[2.0**-9]], theta=2.0, code="graded", levels=4)
    assert 64 * 4 * int(chip.populations[0].vth[0]) < 2**23
    assert loss.scale == int(chip.populations[0].vth[0]) / 0.5
    with pytest.raises(UnsupportedNetworkError, match="no threshold mantissa"):
        chip_of([[100.0]], code="graded", levels=4)


def test_registers_of_sigma_delta_by_hand():
    """Activations up to 1 keep 24 bits of the sum, with a margin of 2, and 20 of the message."""
    steps = np.array([[[1, 0], [0, 1], [-1, 0], [0, 0]]])
    chip, (loss,) = chip_of(
        [[1.0, -0.5]], calibration=steps, code="sigma_delta", vth=0.1, rectify=True
    )
    (population,) = chip.populations
    assert isinstance(population, SigmaDelta)
    # 254 for the weights' 8 bits; the largest exponent, 7; 2 x 32512 is within 20 bits.
    assert (chip.synapses[0].weight.tolist(), chip.synapses[0].weight_exp) == ([[254, -128]], 7)
    assert (loss.scale, population.state_exp, loss.message_scale) == (254 * 128, 0, 254 * 128)
    assert population.vth.tolist() == [3251]
    run = Reference().run(chip, steps, probes=[("n", "spikes")])
    # activations 1, 0.5 (as 126/254, since -127 is no weight), 0, 0
    assert run.traces["n", "spikes"].ravel().tolist() == [254 * 128, -128 * 128, -126 * 128, 0]


@pytest.mark.parametrize("metadata", [RATE, GRADED | {"negative_slope": 0.01}])
def test_weights_of_analogue_inputs_keep_their_bits(metadata):
    """Values up to 255 fill the 24 bits of a state; sums are shifted right, not weights cut."""
    rng = np.random.default_rng(0)
    affine = nir.Affine(rng.normal(0, 1, (20, 48)) / 255, np.zeros(20))
    graph = graph_of(
        {"w": affine, "n": neurons((20,), **metadata)},
        shape=(48,), out=(20,), input="analogue", input_bits=8,
    )  # fmt: skip
    floats = from_nir(graph)
    inputs = np.repeat(rng.integers(0, 256, (50, 1, 48)), 4, axis=1)
    chip, (loss,) = quantise(floats, calibration=inputs[:9])
    assert chip.synapses[0].weight_exp < 0
    assert loss.effective_bits > 5.5
    probes = every(floats, "spikes")
    expected = run_floats(floats, inputs, probes=probes).traces["n", "spikes"]
    found = Simulator(strict=True).run(chip, inputs, probes=probes).traces["n", "spikes"]
    assert np.mean(expected != found) < 0.03


def test_lava_dl_files_hold_no_levels(tmp_path):
    chip, _ = chip_of([[0.5, -0.25]], **GRADED)
    with pytest.raises(UnsupportedNetworkError, match="n"):
        write_netx(chip, tmp_path / "n.net")


def test_a_branch_that_keeps_few_bits_is_named():
    nodes = {
        "w": nir.Linear(np.eye(2)), "a": neurons((2,), **RATE),
        "u": nir.Linear(np.array([[1.0, 0.5], [0.3, 0.7]])),
        "skip": nir.Linear(np.array([[0.004, 0.011], [0.006, -0.003]])),
        "n": neurons((2,), **RATE),
    }  # fmt: skip
    edges = [("input", "w"), ("w", "a"), ("a", "u"), ("u", "n"), ("input", "skip"), ("skip", "n")]
    _, losses = quantise(from_nir(graph_of(nodes, [*edges, ("n", "output")], shape=(2,), out=(2,))))
    (note,) = losses[1].notes
    assert note.startswith("the weights from input keep")


# -- from floats to the chip -----------------------------------------------------------------------


def converted(metadata, *, quantum, seed=0, theta=1.0, image=(2, 6, 6)):
    """Conv, conv, the sum of both, dense, accumulator: what a converter would write."""
    rng = np.random.default_rng(seed)

    def conv(c_out, c_in, fan_in, scale):
        weight = rng.normal(0, 1.5 / np.sqrt(fan_in), (c_out, c_in, 3, 3)) * scale
        return nir.Conv2d(image[1:], weight, 1, 1, 1, 1, rng.normal(0, 0.05, c_out))

    def affine(n, m, scale):
        return nir.Affine(rng.normal(0, 1.5 / np.sqrt(m), (n, m)) * scale, rng.normal(0, 0.05, n))

    shape, said = (3, *image[1:]), {k: v for k, v in metadata.items() if k == "code"}
    nodes = {
        "c1": conv(3, image[0], 18, 1 / 15), "a": neurons(shape, theta, **metadata),
        "c2": conv(3, 3, 27, quantum), "b": neurons(shape, theta, **metadata),
        "c3": conv(3, 3, 27, quantum), "skip": conv(3, 3, 27, quantum),
        "c": neurons(shape, theta, **metadata), "flat": nir.Flatten({"input": None}, 0, -1),
        "w": affine(4, 108, quantum), "sum": accumulator(4, **said),
    }  # fmt: skip
    edges = [("input", "c1"), ("c1", "a"), ("a", "c2"), ("c2", "b"), ("b", "c3"), ("c3", "c")]
    edges += [("a", "skip"), ("skip", "c"), ("c", "flat"), ("flat", "w"), ("w", "sum")]
    said = {"input": "analogue", "input_bits": 5}
    return graph_of(nodes, [*edges, ("sum", "output")], shape=image, out=(4,), **said)


def stream(metadata, samples=3, steps=6):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 16, (samples, 1, 2, 6, 6))
    if metadata["code"] == "graded":
        return images
    if metadata["code"] == "rate":
        return np.repeat(images, steps, axis=1)
    moved = np.where(rng.random((samples, steps, 2, 6, 6)) < 0.2, rng.integers(0, 16), images)
    return np.diff(moved, axis=1, prepend=0)


CODES = {
    "rate": (RATE, 1.0),
    "graded": ({"code": "graded", "levels": 8}, 1 / 8),
    "leaky graded": ({"code": "graded", "levels": 8, "negative_slope": 0.2}, 1 / 8),
    "sigma-delta": ({"code": "sigma_delta", "vth": 0.05, "rectify": True}, 1.0),
}


def quantised(code, *, calibrated=None, **length):
    """A converted network in floats and as integers, and inputs, the first steps to calibrate."""
    metadata, quantum = CODES[code]
    floats = from_nir(converted(metadata, quantum=quantum))
    inputs = stream(metadata, **length)
    chip, losses = quantise(floats, calibration=inputs[:, :calibrated])
    return SimpleNamespace(floats=floats, inputs=inputs, chip=chip, losses=losses)


@pytest.fixture(scope="module", params=CODES)
def code(request):
    """Each code by name, and its network as `quantised` gives it."""
    return SimpleNamespace(name=request.param, **vars(quantised(request.param)))


def test_integers_follow_their_floats(code):
    expected = run_floats(code.floats, code.inputs)
    found = Simulator(strict=True).run(code.chip, code.inputs)
    unit = code.losses[-1].scales[0] * 64
    spread = np.ptp(expected.output)
    assert spread > 0.5
    assert np.abs(found.output / unit - expected.output).max() < 0.06 * spread
    # All but the states are rounded: what is left is nothing, or the last bit of a change.
    again = dequantise(code.chip)
    rounded = run_floats(again, code.inputs, probes=every(code.floats, "spikes"))
    traces = Simulator().run(code.chip, code.inputs, probes=every(code.chip, "spikes")).traces
    for (name, _), trace in traces.items():
        messages = rounded.traces[name, "spikes"] / (again[name].quantum or 1)
        assert np.abs(messages - trace).max() <= (code.name == "sigma-delta")
        assert np.mean(messages != trace) < 0.02
        assert trace.any() or name == "sum"


def test_a_long_stream_does_not_drift():
    """Bits that messages drop and sums shift out add up with every step; they must stay small."""
    long = quantised("sigma-delta", samples=2, steps=200, calibrated=20)
    expected = run_floats(long.floats, long.inputs).output
    found = Simulator(strict=True).run(long.chip, long.inputs).output
    found = found / (64 * long.losses[-1].scales[0])
    assert np.abs(found - expected).max() < 0.02 * np.ptp(expected)


def test_hops_of_a_converted_network(code):
    rounding, states, engine = compare_hops(
        code.chip, code.inputs, floats=code.floats, losses=code.losses
    )
    assert not rounding.equal
    assert rounding.cause.kind == "rounding"
    assert rounding.divergence.population == "a"
    assert states.equal or code.name == "sigma-delta"
    assert engine.equal


PROCESSES = {
    "rate": "hardware.backends.lava.neurons.BiasedLIF",
    "graded": "hardware.backends.lava.neurons.LevelNeurons",
    "leaky graded": "hardware.backends.lava.neurons.LevelNeurons",
    "sigma-delta": "lava.proc.sdn.process.SigmaDelta",
}


@needs_lava
def test_lava_runs_every_code(code):
    """Messages and membranes of every layer, on several samples."""
    probes = [*every(code.chip, "spikes"), ("sum", "v")]
    expected = Simulator().run(code.chip, code.inputs, probes=probes)
    found = LavaBackend(timeout_s=120).run(code.chip, code.inputs, probes=probes)
    for probe in probes:
        np.testing.assert_array_equal(found.traces[probe], expected.traces[probe], str(probe))
    assert PROCESSES[code.name] in found.processes
