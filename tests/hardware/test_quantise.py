"""Floats to integers: the mapping, what it reports, what it refuses, and how near it stays."""

from pathlib import Path

import nir
import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip import registers as reg
from hardware.chip.network import INPUT
from hardware.chip.populations import Relay
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse
from hardware.compiler.floats.run import run_floats
from hardware.compiler.nir.nodes import WRITTEN_BY
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.compiler.quantise.quantiser import dequantise, payload_bits, quantise
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

DT = 1e-3


def lif(shape, *, tau=2e-3, r=1.0, threshold=1.0, leak=0.0, metadata=None):
    def filled(value):
        return np.full(shape, value)

    node = nir.LIF(tau=filled(tau), r=filled(r), v_leak=filled(leak), v_threshold=filled(threshold))
    node.metadata.update({"dt": DT, "reset": "zero"} if metadata is None else metadata)
    return node


def dense_graph(weight, bias=None, **neuron):
    weight = np.asarray(weight, np.float32)
    bias = np.zeros(len(weight), np.float32) if bias is None else np.asarray(bias, np.float32)
    return nir.NIRGraph.from_list(
        nir.Input(np.array([weight.shape[1]])),
        nir.Affine(weight, bias),
        lif((len(weight),), **neuron),
        nir.Output(np.array([len(weight)])),
    )


def float_spikes(weight, bias, decay, threshold, inputs):
    """The float neuron, written out once more, on inputs ``[T, F]``."""
    v, out = np.zeros(len(weight)), []
    for x in inputs:
        v = (1 - decay) * v + weight @ x + bias
        out.append(v > threshold)
        v = np.where(v > threshold, 0, v)
    return np.array(out)


def test_integers_behave_like_the_floats():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 0.6, (20, 30)), rng.normal(0, 0.1, 20)
    chip, losses = quantise(from_nir(dense_graph(weight, bias)))
    inputs = (rng.random((200, 30)) < 0.2).astype(np.uint8)
    run = Simulator().run(chip, inputs[None], probes=every(chip, "spikes"))
    expected = float_spikes(0.5 * weight, 0.5 * bias, 0.5, 1.0, inputs)
    found = run.traces[chip.output.name, "spikes"][0]
    assert expected.mean() > 0.05
    assert np.mean(found != expected) < 0.01
    assert losses[0].weight_sqnr_db > 38
    assert losses[0].threshold_error == 0


def test_registers_of_a_hand_computed_layer():
    # Gain r·dt/tau = 0.5; largest weight 1.0 -> 0.5; V = floor(254·1/0.5) = 508.
    chip, _ = quantise(from_nir(dense_graph([[1.0, -0.25]], [0.1])))
    population = chip.populations[0]
    assert population.vth.tolist() == [508]
    assert chip.synapses[0].weight.tolist() == [[254, -64]]  # -63.5 to the nearest even integer
    assert population.dv.tolist() == [2048]
    assert population.du.tolist() == [4096]
    assert population.bias.tolist() == [1626]  # 64·508·0.05 = 1625.6


def test_weights_on_the_grid_stay_exact():
    weight = np.array([[2, -4, 254], [-256, 6, 0]]) / 64
    graph = dense_graph(weight, tau=DT, metadata={"dt": DT, "reset": "zero", "weight_scale": 64})
    chip, losses = quantise(from_nir(graph))
    np.testing.assert_array_equal(chip.synapses[0].weight, weight * 64)
    assert losses[0].weight_sqnr_db is None
    assert losses[0].zeroed == 0


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ({"tau": 5e-4}, "at least one step"),
        ({"tau": -1.0}, "at least one step"),
        ({"threshold": 0.0}, "threshold must be finite and above 0"),
        ({"leak": np.nan}, "v_leak must be finite"),
    ],
)
def test_unusable_neurons_are_refused_by_name(neuron, message):
    with pytest.raises(NetworkFormatError, match=message):
        from_nir(dense_graph([[1.0]], **neuron))


def test_weights_that_dwarf_the_threshold_are_refused():
    with pytest.raises(UnsupportedNetworkError, match="dwarf the threshold"):
        quantise(from_nir(dense_graph([[1000.0]], threshold=1e-3)))


def test_foreign_metadata_is_refused():
    graph = dense_graph([[1.0]])
    for wrong in ("{", "[1]"):
        graph.metadata["spikeface"] = wrong
        with pytest.raises(NetworkFormatError, match="metadata 'spikeface'"):
            from_nir(graph)


def test_foreign_file(tmp_path):
    path = tmp_path / "x.nir"
    path.write_bytes(b"not a graph")
    with pytest.raises(NetworkFormatError, match="not a readable NIR graph"):
        read_nir(path)


# -- networks in floats ----------------------------------------------------------------------------

DATA = Path(__file__).parents[3] / "shared/data"


def dense(sources, target, n_out, n_in, *, seed=0, gain=1.0, delay=0):
    weight = gain * np.random.default_rng(seed).normal(0, 1 / np.sqrt(n_in), (n_out, n_in))
    return FloatSynapse(sources=sources, target=target, weight=weight, delay=delay)


def population(name, shape, **values):
    values = {"v_decay": 0.125, "threshold": 0.5, **values}
    return FloatPopulation(name=name, shape=shape, **values)


def network_of(*populations, synapses, input_shape=(12,), **values):
    return FloatNetwork(
        input_shape=input_shape, populations=populations, synapses=tuple(synapses), **values
    )


def chain(**neuron):
    return network_of(
        population("a", (16,), **neuron),
        population("b", (8,), **neuron),
        synapses=[dense((INPUT,), "a", 16, 12, gain=2), dense(("a",), "b", 8, 16, gain=2, seed=1)],
    )


def residual():
    return network_of(
        population("a", (10,)),
        population("b", (10,)),
        population("c", (6,), reset="subtract"),
        synapses=[
            dense((INPUT,), "a", 10, 12, gain=2),
            dense(("a",), "b", 10, 10, gain=2, seed=1),
            dense(("a", "b"), "c", 6, 10, gain=2, seed=2),
            dense((INPUT,), "c", 6, 12, seed=3, delay=np.arange(12)[None] % 3),
        ],
    )


def recurrent():
    return network_of(
        population("a", (16,), u_decay=0.25),
        population("b", (5,), kind="readout", v_decay=0.0625, threshold=np.inf),
        synapses=[
            dense((INPUT,), "a", 16, 12),
            dense(("a",), "a", 16, 16, delay=1, seed=1),
            dense(("a",), "b", 5, 16, seed=2),
        ],
        readout="membrane",
    )


def pooled():
    rng = np.random.default_rng(5)
    conv = {"kind": "conv", "padding": (1, 1)}
    return network_of(
        population("a", (3, 6, 6)),
        FloatPopulation(name="pool", shape=(3, 3, 3), kind="relay"),
        population("b", (4, 3, 3), reset="subtract", v_decay=0.0, bias=-0.03),
        synapses=[
            FloatSynapse(
                sources=(INPUT,), target="a", weight=rng.normal(0, 0.4, (3, 2, 3, 3)), **conv
            ),
            FloatSynapse(
                sources=("a",), target="pool", kind="conv", weight=np.ones((3, 1, 2, 2)),
                stride=(2, 2), groups=3,
            ),
            FloatSynapse(
                sources=("pool",), target="b", weight=rng.normal(0, 0.2, (4, 3, 3, 3)), **conv
            ),
        ],
        input_shape=(2, 6, 6),
    )  # fmt: skip


NETWORKS = {
    "chain": chain,
    "chain with currents": lambda: chain(u_decay=0.5),
    "subtract": lambda: chain(reset="subtract", v_decay=0.0),
    "at the threshold": lambda: chain(reset="subtract", v_decay=0.0, fires="at_or_above"),
    "rest": lambda: chain(refractory=2, v_init=0.2, bias=0.02),
    "residual": residual,
    "recurrent": recurrent,
    "pooled": pooled,
}


def samples(network, *, steps=24, n=4):
    return (np.random.default_rng(7).random((n, steps, *network.input_shape)) < 0.3).astype(np.int8)


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_are_their_own_floats_but_for_the_rounding_of_states(name):
    """Per step the decays of u and v drop less than one unit of 1/64 input each.

    A decay of share ``d`` forgets what was dropped as it forgets the voltage, so that u is off by
    less than ``1 / du`` units and v by less than ``(1 + 1 / du) / dv``, for a ``dv`` of 0 by one
    unit of u in each step. Spikes may differ only after a voltage came so near its threshold.
    """
    network = NETWORKS[name]()
    spikes = samples(network)
    chip, losses = quantise(network, calibration=spikes)
    rounded = dequantise(chip, losses)
    populations = [p for p in chip.populations if not isinstance(p, Relay)]
    wanted = [(p.name, v) for p in populations for v in ("spikes", "u", "v")]
    integers = Reference(strict=True).run(chip, spikes, probes=wanted).traces
    peaks = [(p.name, "v_peak") for p in populations]
    floats = run_floats(rounded, spikes, probes=[*wanted, *peaks]).traces
    steps = spikes.shape[1]
    agreed = np.full(len(spikes), steps)  # steps up to which a sample is equal everywhere
    for p in populations:
        differs = (integers[p.name, "spikes"] != floats[p.name, "spikes"]).reshape(
            len(spikes), steps, -1
        )
        first = np.where(differs.any(axis=(1, 2)), differs.any(axis=2).argmax(axis=1), steps)
        agreed = np.minimum(agreed, first)
    for loss, p in zip([x for x in losses if x.layer in dict(peaks)], populations, strict=True):
        unit = 64 * np.asarray(loss.scales).reshape(-1, *(1,) * (len(p.shape) - 1))
        du, dv = (int(getattr(p, d).max()) / reg.DECAY_SCALE for d in ("du", "dv"))
        u_bound = 0.0 if du == 1 else 1 / du
        v_bound = (1 + u_bound) / dv if dv else steps * u_bound
        near = np.abs(floats[p.name, "v_peak"] - rounded[p.name].per_neuron("threshold")) * unit
        for i, until in enumerate(agreed):
            for variable, bound in (("u", u_bound), ("v", v_bound)):
                error = integers[p.name, variable][i] - floats[p.name, variable][i] * unit
                assert np.abs(error[:until]).max(initial=0) <= bound + 1e-6, (p.name, variable)
            if until < steps and p.name == populations[0].name:
                where = integers[p.name, "spikes"][i] != floats[p.name, "spikes"][i]
                assert not where[until].any() or near[i][until][where[until]].max() <= v_bound
    assert agreed.mean() > 0.9 * steps
    assert integers[populations[0].name, "spikes"].mean() > 0.03


def test_with_enough_scale_spikes_are_those_of_the_floats():
    """Weights that 8 bits hold exactly, decays of whole registers: nothing is left to round."""
    weight = 2 * np.random.default_rng(1).integers(-40, 60, (16, 12)) / 64
    network = network_of(
        population("a", (16,), v_decay=1 / 16, threshold=3.0, bias=1 / 64, weight_scale=64),
        synapses=[FloatSynapse(sources=(INPUT,), target="a", weight=weight)],
    )
    chip, (loss,) = quantise(network)
    assert loss.weight_sqnr_db is None and loss.decay_error == loss.bias_error == 0
    spikes = samples(network, steps=60)
    expected = run_floats(network, spikes, probes=[("a", "spikes")]).traces["a", "spikes"]
    found = Reference(strict=True).run(chip, spikes, probes=[("a", "spikes")]).traces["a", "spikes"]
    assert expected.mean() > 0.05
    assert np.mean(found != expected) < 2e-3


def test_dequantised_parameters_are_what_the_losses_say():
    network = residual()
    chip, losses = quantise(network)
    rounded = dequantise(chip, losses)
    for loss in losses:
        before, after = network[loss.layer], rounded[loss.layer]
        np.testing.assert_allclose(after.threshold, before.threshold)
        noise = signal = 0.0
        for a, b in zip(network.incoming(loss.layer), rounded.incoming(loss.layer), strict=True):
            assert np.abs(a.weight - b.weight).max() <= 1.0001 / loss.scale
            noise += np.square(a.weight - b.weight).sum()
            signal += np.square(a.weight).sum()
        assert loss.weight_sqnr_db == pytest.approx(10 * np.log10(signal / noise))
    assert [s.message_bits for s in chip.synapses] == [0, 0, 2, 0]  # two sources: up to 2


# -- scales ----------------------------------------------------------------------------------------


def test_channels_of_different_size_get_scales_of_their_own():
    weight = np.random.default_rng(0).normal(size=(4, 30)) * np.array([[1], [0.1], [0.01], [0]])
    network = network_of(
        population("a", (4,), bias=0.01),
        synapses=[FloatSynapse(sources=(INPUT,), target="a", weight=weight)],
        input_shape=(30,),
    )
    own, (loss,) = quantise(network)
    shared, (coarse,) = quantise(network, per_channel=False)
    assert len(set(own["a"].vth.tolist())) == 3
    assert len(set(shared["a"].vth.tolist())) == 1
    assert loss.scale_max > 20 * loss.scale and coarse.scale_max == coarse.scale
    assert np.abs(own.synapses[0].weight[:3]).max(axis=1).min() > 120
    assert coarse.zeroed > 0.1 > loss.zeroed
    assert loss.bias_error < 1e-2


def test_a_membrane_that_is_read_out_has_one_scale_and_stays_in_range():
    weight = np.abs(np.random.default_rng(0).normal(size=(3, 4000))) * np.array([[1], [0.2], [0.1]])
    network = network_of(
        FloatPopulation(name="r", shape=(3,), kind="readout", bias=0.1),
        synapses=[FloatSynapse(sources=(INPUT,), target="r", weight=weight)],
        input_shape=(4000,), readout="membrane",
    )  # fmt: skip
    everything = np.ones((1, 60, 4000), np.int8)
    chip, (loss,) = quantise(network)  # at worst, all input in every step
    assert loss.scale == loss.scale_max
    assert chip.synapses[0].weight.max() > 120 and chip.synapses[0].weight_exp < 0
    run = Reference(strict=True).run(chip, everything)
    expected = run_floats(network, everything).output
    np.testing.assert_allclose(run.output / (64 * loss.scale), expected, rtol=0.01)
    calibrated, (finer,) = quantise(network, calibration=everything[:, :2])
    assert finer.scale > 4 * loss.scale and finer.saturating == 0
    assert 0.1 < finer.largest_v <= 0.5  # the margin
    np.testing.assert_allclose(dequantise(calibrated, (finer,)).output.bias, 0.1, rtol=0.01)


def test_calibration_keeps_voltages_of_spiking_neurons_in_range():
    weight = np.full((1, 1), 1.0)
    network = network_of(
        population("a", (1,), v_decay=0.0, bias=-0.9, threshold=0.5),
        synapses=[FloatSynapse(sources=(INPUT,), target="a", weight=weight)],
        input_shape=(1,),
    )
    quiet = np.zeros((1, 2000, 1), np.int8)
    _, (loss,) = quantise(network)
    assert loss.saturating is None and loss.largest_v is None
    chip, (loss,) = quantise(network, calibration=quiet)
    assert loss.saturating == 0 and loss.largest_v <= 0.5
    Reference(strict=True).run(chip, quiet)


def test_what_is_lost_in_words():
    network = network_of(
        population("a", (1,), v_decay=1e-5, fires="at_or_above", u_decay=0.5, u_init=0.1),
        synapses=[FloatSynapse(sources=(INPUT,), target="a", weight=np.ones((1, 12)))],
    )
    _, (loss,) = quantise(network)
    notes = "; ".join(loss.notes)
    assert "exactly the threshold" in notes and "v_decay of 1e-05" in notes
    assert "currents start at 0" in notes
    assert "scales" not in loss.as_dict() and loss.as_dict()["notes"] == list(loss.notes)


def test_graded_input_and_sums_get_payload_bits():
    assert [payload_bits((0.0, high)) for high in (1, 2, 3, 4, 255)] == [1, 2, 2, 3, 8]
    chip, _ = quantise(pooled())
    assert [s.message_bits for s in chip.synapses] == [0, 0, 3]  # windows of four spikes
    values = np.array([[[0, -9, 3]]])
    network = network_of(
        population("a", (2,)), synapses=[dense((INPUT,), "a", 2, 3)], input_shape=(3,)
    )
    chip, _ = quantise(network, calibration=values)
    assert chip.input_bits == chip.synapses[0].message_bits == 4
    said = network_of(
        population("a", (2,)), synapses=[dense((INPUT,), "a", 2, 3)], input_shape=(3,),
        metadata={"input_bits": 8},
    )  # fmt: skip
    assert quantise(said)[0].input_bits == 8


def test_weights_of_one_sign_use_all_their_bits():
    weight = np.array([[0.1, 0.35, 1.0]])
    network = network_of(
        population("a", (1,), threshold=1.0),
        synapses=[FloatSynapse(sources=(INPUT,), target="a", weight=weight)], input_shape=(3,),
    )  # fmt: skip
    chip, _ = quantise(network)
    assert chip.synapses[0].weight.tolist() == [[26, 89, 255]]  # 25.5 to the even one


def test_all_layers_that_do_not_fit_come_in_one_error():
    network = chain(threshold=1e-9)
    with pytest.raises(UnsupportedNetworkError, match=r"(?s)a: weights.*b: weights"):
        quantise(network)


def test_calibration_must_fit():
    with pytest.raises(NetworkFormatError, match="must have shape"):
        quantise(chain(), calibration=np.zeros((1, 4, 5), np.int8))
    with pytest.raises(NetworkFormatError, match="must be integers"):
        quantise(chain(), calibration=np.zeros((1, 4, 12)))


def recording_frames(path, *, bins, size):
    """Event frames ``(1, T, 2, H, W)`` of an N-MNIST style recording, its middle scaled down."""
    raw = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, p = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    t = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    frames = np.zeros((1, bins, 2, size, size), np.int8)
    scale = max(x.max(), y.max()) + 1
    frames[0, t * bins // (t.max() + 1), p, y * size // scale, x * size // scale] = 1
    return frames


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_the_convolutional_network_of_nirs_paper_in_integers():
    """Integers are spike for spike the rounded floats; rounding itself costs a few spikes.

    Weights are 35 to 44 dB above their noise, so a voltage is off by about 1 % of what a step adds;
    a few neurons in a hundred are that close to their threshold, and each flip is followed by
    others further down. The counts, in which early and late spikes cancel, must survive.
    """
    network = read_nir(DATA / "nir/cnn_sinabs.nir", WRITTEN_BY["sinabs"])
    noise = (np.random.default_rng(0).random((4, 48, 2, 34, 34)) < 0.03).astype(np.int8)
    face = recording_frames(DATA / "recordings/faces_easy_0001.bin", bins=48, size=34)
    spikes = np.concatenate([face, noise])
    chip, losses = quantise(network, calibration=spikes[:2])
    assert all(loss.weight_sqnr_db > 33 and loss.threshold_error < 1e-9 for loss in losses)
    assert all(loss.saturating == 0 and loss.notes == () for loss in losses)
    probes = every(chip, "spikes")
    integers = Simulator().run(chip, spikes.astype(np.uint8), probes=probes)
    rounded = run_floats(dequantise(chip, losses), spikes, probes=probes)
    floats = run_floats(network, spikes, probes=probes)
    for probe in probes:
        expected, found = floats.traces[probe], integers.traces[probe]
        np.testing.assert_array_equal(found, rounded.traces[probe])
        assert np.mean(expected != found) < 0.08, probe
        assert found.sum() == pytest.approx(expected.sum(), rel=0.1), probe
    assert np.abs(integers.output - floats.output).mean() < 1.5  # of 48 steps
    assert integers.prediction[0] == floats.prediction[0]
