"""Reading lava-dl files that were made by hand: axes, defaults, and what is refused and how."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hardware.backends.reference import Reference
from hardware.chip.network import INPUT
from hardware.chip.populations import Cuba, Delta, Sigma, SigmaDelta
from hardware.compiler.netx.layout import cut_decays
from hardware.compiler.netx.reader import read_netx
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

LIF = {"type": "CUBA", "iDecay": 1000, "vDecay": 200, "vThMant": 30}
CONV = {"stride": 1, "padding": (0, 0), "dilation": 1, "groups": 1}


@pytest.fixture
def write(tmp_path):
    """``(*layers) -> path``; a layer is its fields by path, ``neuron`` a table of fields."""

    def write_layers(*layers, **groups):
        path = tmp_path / "network.net"
        with h5py.File(path, "w") as file:
            for index, layer in enumerate(layers):
                fields = dict(layer)
                neuron = fields.pop("neuron", {})
                for name, value in (fields | {f"neuron/{k}": v for k, v in neuron.items()}).items():
                    file[f"layer/{index}/{name}"] = value
            for group, fields in groups.items():
                for name, value in fields.items():
                    file[f"{group}/{name}"] = value
        return path

    return write_layers


def dense(weight, **fields):
    weight = np.asarray(weight)
    return {"type": "dense", "shape": (len(weight),), "weight": weight, "neuron": LIF} | fields


def conv(weight, shape, **fields):
    return {"type": "conv", "shape": shape, "weight": weight, "neuron": LIF} | CONV | fields


def test_geometry_axes_and_biases(write):
    """Rows before columns; 5-D weights; a bias per neuron in the order (W, H, C)."""
    weight = np.arange(-12, 12, 2.0).reshape(2, 1, 3, 2, 1)
    bias = np.arange(2 * 5 * 2).reshape(2, 5, 2)
    path = write(
        {"type": np.array([b"input"]), "shape": (1, 5, 4)},
        conv(weight, (2, 5, 2), stride=(1, 2), padding=(1, 0), bias=bias.T),
        {"type": "flatten", "shape": (20, 1, 1)},
        dense(np.full(40, 2.0), shape=(2, 1, 1), bias=7),
        simulation={"Ts": 1, "tSample": 16},
    )
    network = read_netx(path)
    first, second = network.populations
    assert [p.name for p in network.populations] == ["1-conv", "3-dense"]
    assert network.input_shape == (1, 5, 4)
    assert network.synapses[0].stride == (1, 2)
    assert network.synapses[0].padding == (1, 0)
    np.testing.assert_array_equal(network.synapses[0].weight, weight[..., 0])
    np.testing.assert_array_equal(first.bias_mant, bias)
    assert (first.du == 1000).all() and (first.dv == 200).all() and (first.vth == 30).all()
    assert second.shape == (2,) and network.synapses[1].weight.shape == (2, 20)
    np.testing.assert_array_equal(second.bias, [7 << 6] * 2)
    assert network.metadata["simulation"] == {"Ts": 1, "tSample": 16}
    assert network.readout == "spike_count"


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(5, 5), ([1, 2, 3], [[1], [2], [3]]), ([4, 5], [[4, 5]]), (np.eye(3, 2), np.eye(3, 2))],
)
def test_delays_by_target_by_source_and_by_synapse(write, delay, expected):
    network = read_netx(write(dense(np.full((3, 2), 4), delay=delay)))
    np.testing.assert_array_equal(network.synapses[0].delay, expected)


def test_a_square_delay_vector_goes_by_target(write):
    network = read_netx(write(dense(np.full((2, 2), 4), delay=[1.0, 9.0])))
    np.testing.assert_array_equal(network.synapses[0].delay, [[1], [9]])


@pytest.mark.parametrize(("delay", "what"), [(63, "62"), (-1, "62"), ([1, 2, 3, 4], "shape")])
def test_delays_that_netx_would_clamp_are_refused(write, delay, what):
    with pytest.raises(NetworkFormatError, match=rf"layer 0: 'delay' .*{what}"):
        read_netx(write(dense(np.full((3, 2), 4), delay=delay)))


def test_a_recurrent_layer_is_two_synapses(write):
    layer = dense(np.full((3, 2), 4), weight_rec=np.eye(3) * -20) | {"type": "dense_rec"}
    network = read_netx(write(layer))
    forward, back = network.synapses
    assert (forward.sources, back.sources) == ((INPUT,), ("0-dense_rec",))
    assert (forward.delays, back.delays) == ((0, 0), (1, 1))
    np.testing.assert_array_equal(back.weight, np.eye(3) * -20)


def test_complex_weights_drive_the_two_parts_of_a_resonator(write):
    neuron = {"type": "RF_PHASE", "sinDecay": 2000, "cosDecay": 3000, "vThMant": 1.1}
    layer = {"type": "dense", "shape": (2,), "weight/real": [[2, 4], [6, 8]]}
    path = write(layer | {"weight/imag": [[-2, 0], [4, 6]], "neuron": neuron})
    network = read_netx(path)
    (population,) = network.populations
    assert {s.port: s.weight.tolist() for s in network.synapses} == {
        "input": [[2, 4], [6, 8]],
        "imaginary": [[-2, 0], [4, 6]],
    }
    assert not population.izhikevich
    assert population.vth.tolist() == [70, 70]
    assert np.abs(population.sin_decay - 2000).max() <= 1


def test_messages_of_the_layer_before_set_the_bits_of_a_synapse(write):
    sdnn = {"type": "SDNN", "vThMant": 3, "activation": "relu"}
    path = write(
        {"type": "input", "shape": (2,), "neuron": sdnn},
        dense(np.full((3, 2), 4), neuron=sdnn),
        dense(np.full((2, 3), 4), neuron=LIF | {"messageBits": 4}),
        dense(np.full((2, 2), 4), neuron=sdnn | {"sigma_output": True}),
        dense(np.full((2, 2), 4)),
    )
    network = read_netx(path, spike_exp=2)
    assert [type(p) for p in network.populations] == [Delta, SigmaDelta, Cuba, Sigma, Cuba]
    assert [s.message_bits for s in network.synapses[1:]] == [16, 16, 4, 16]
    assert {p.scale_exp for p in network.populations[:2]} == {8}
    assert network.input_bits == 23 - 8


def test_neurons_the_file_does_not_say_integrate_without_spiking(write):
    layer = dense([[254, 254]], bias=3)
    del layer["neuron"]
    network = read_netx(write(layer))
    run = Reference().run(network, np.ones((1, 20, 2), int), probes=[("0-dense", "v")])
    assert network.readout == "membrane"
    # No leak in the current, no memory in the voltage.
    assert run.output[0, 0] == 20 * 508 * 64 + 3 * 64
    assert run.spikes["0-dense"] == 0


def test_a_convolution_first_needs_an_input_shape(write):
    path = write(conv(np.full((2, 1, 2, 2), 4), (2, 3, 4)))
    with pytest.raises(NetworkFormatError, match=r"input_shape=\(C, H, W\)"):
        read_netx(path)
    assert read_netx(path, input_shape=(1, 4, 5)).populations[0].shape == (2, 3, 4)
    with pytest.raises(NetworkFormatError, match="the target has"):
        read_netx(path, input_shape=(1, 5, 4))


def test_every_layer_that_netx_ignores_or_cannot_load_is_listed(write):
    weight, kernel = np.full((2, 2), 4), np.full((1, 1, 1, 1), 4)
    path = write(
        dense(weight),
        conv(kernel, (1, 1, 1), delay=[1, 2]),
        dense(weight, neuron=LIF | {"gradedSpike": True, "weight_exp": 2, "wgtExp": 1}),
        dense(weight, neuron=LIF | {"refDelay": 3}),
        dense(weight, neuron=LIF | {"type": "ALIF"}),
        dense(weight, neuron=LIF | {"type": "ADRF_IZHIKEVICH"}),
        dense(weight, neuron={"type": "SDNN", "vThMant": 1, "activation": "tanh"}),
        dense(weight, neuron={"type": "RF_PHASE"}),
        dense(weight, delay=2, weight_rec=weight) | {"type": "dense_rec"},
        *({"type": kind} for kind in ("average", "pool", "convT", "unpool", "concat", "input")),
    )
    with pytest.raises(UnsupportedNetworkError) as error:
        read_netx(path)
    message = str(error.value)
    expected = {
        1: "delays",
        2: "gradedSpike",
        3: "refDelay",
        4: "ALIF",
        5: "ADRF",
        6: "tanh",
        7: "real weights",
        8: "delays",
        9: "average",
        10: "pool",
        11: "convT",
        12: "unpool",
        13: "concat",
        14: "input",
    }
    for index, what in expected.items():
        assert any(f"layer {index} " in x and what in x for x in message.splitlines()), index
    assert "weight_exp" in message and "wgtExp" in message
    assert "layer 0" not in message and message.endswith("read alone: the first 1")
    assert len(read_netx(path, n_layers=1).populations) == 1
    with pytest.raises(NetworkFormatError, match="at least 1"):
        read_netx(path, n_layers=0)


def test_values_that_netx_would_change_are_named_or_changed_on_request(write):
    path = write(dense([[1000, -3], [2, 4]]), dense([[2.5, 4.0]], bias=[0.5]))
    with pytest.raises(UnsupportedNetworkError) as error:
        read_netx(path)
    assert "layer 0: 2 of 4 weights change" in str(error.value)
    assert "layer 1: 1 values of 'weight' are not whole" in str(error.value)
    network = read_netx(path, strict=False)
    np.testing.assert_array_equal(network.synapses[0].weight, [[254, -4], [2, 4]])
    np.testing.assert_array_equal(network.synapses[1].weight, [[2, 4]])


def test_odd_weights_of_both_signs_keep_their_bit_through_an_exponent(write):
    network = read_netx(write(dense([[101, -3]])))
    (only,) = network.synapses
    assert (only.weight.tolist(), only.weight_exp) == ([[202, -6]], -1)


def test_decays_of_a_resonator_survive_the_way_through_period_and_alpha():
    """Half a unit outward where the integer itself would be cut."""
    decays = np.arange(-4095, 4096, 37)
    sin, cos = (a.ravel() for a in np.meshgrid(decays, decays[::11]))
    outward = [d + 0.5 * np.sign(d) for d in (sin, cos)]
    size = np.hypot(*outward)
    inside = size < 4096
    found = cut_decays(*outward)
    np.testing.assert_array_equal(found[0][inside], sin[inside])
    np.testing.assert_array_equal(found[1][inside], cos[inside])
