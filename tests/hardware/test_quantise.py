"""NIR to integers: the mapping, what it reports, what it refuses."""

import nir
import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.simulator import Simulator
from hardware.compiler.nir import from_nir, read_nir
from hardware.compiler.quantise import quantise
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


def test_missing_metadata_is_assumed_and_said():
    network = from_nir(dense_graph([[1.0]], metadata={}))
    assert len(network.assumptions) == 2
    assert "dt = 0.0001" in network.assumptions[0]


@pytest.mark.parametrize(
    ("neuron", "error", "message"),
    [
        ({"tau": 5e-4}, NetworkFormatError, "at least one step"),
        ({"tau": -1.0}, NetworkFormatError, "at least one step"),
        ({"threshold": 0.0}, NetworkFormatError, "thresholds must be above 0"),
        ({"leak": np.nan}, NetworkFormatError, "v_leak must be finite"),
        ({"metadata": {"dt": DT, "reset": "subtract"}}, UnsupportedNetworkError, "'subtract'"),
    ],
)
def test_unusable_neurons_are_refused_by_name(neuron, error, message):
    with pytest.raises(error, match=message):
        from_nir(dense_graph([[1.0]], **neuron))


def test_all_unknown_nodes_come_in_one_error():
    graph = nir.NIRGraph.from_list(
        nir.Input(np.array([1, 4, 4])),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Threshold(np.ones((1, 2, 2))),
        nir.Output(np.array([1, 2, 2])),
        type_check=False,
    )
    with pytest.raises(UnsupportedNetworkError, match=r"SumPool2d.*Threshold"):
        from_nir(graph)


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
