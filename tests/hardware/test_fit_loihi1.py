"""The packing rule of Loihi 1, worked out by hand."""

import numpy as np
import pytest

from hardware.analysis.fit import fit_network
from hardware.analysis.fit.loihi1 import bits_per_axon, loihi1_fit
from hardware.analysis.fit.shapes import Layer, NetworkShape, Projection, Window
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, SigmaDelta
from hardware.chip.synapses import Dense


def dense(name, n, *sources, rows, **fields):
    projection = Projection(kind="dense", sources=sources, source_shape=(rows,), **fields)
    return Layer(name=name, model="cuba", shape=(n,), projections=(projection,))


def fit_of(*layers):
    shape = NetworkShape(input_shape=layers[0].projections[0].source_shape, layers=layers)
    return loihi1_fit(shape)


@pytest.mark.parametrize(
    ("weights", "extra", "bits"),
    [
        (1, {}, 64),  # 8 + 10
        (50, {}, 448),  # 400 + 10 = 410
        (64, {}, 576),  # 512 + 10 = 522
        (65, {}, 576 + 64),
        (100, {}, 576 + 320),  # 36 more: 288 + 10 = 298
        (64, {"index_bits": 10}, 1216),  # 64 * 18 + 10 = 1162
        (64, {"delay_bits": 3}, 768),  # 64 * 11 + 10 = 714
        (64, {"weight_bits": 1}, 128),  # 64 + 10
        (0, {}, 0),
    ],
)
def test_bits_of_an_axon(weights, extra, bits):
    assert bits_per_axon(weights, **extra) == bits


def test_a_dense_layer_is_bound_by_synapses():
    """1000 weights an axon: 15 blocks of 576 bits and one of 40 weights, 384; 2000 axons."""
    (row,) = fit_of(dense("fc", 1000, INPUT, rows=2000)).layers
    assert row.synaptic_bits == 2000 * (15 * 576 + 384) == 18_048_000
    assert (row.axons_in, row.axons_out, row.neurons) == (2000, 0, 1000)
    assert (row.cores, row.binding) == (18, "synaptic memory bits per core")  # of 1,048,576


def test_each_of_the_other_limits_binds():
    many_neurons = fit_of(dense("fc", 5000, INPUT, rows=1)).layers[0]
    assert (many_neurons.cores, many_neurons.binding) == (5, "neurons per core")
    many_inputs = fit_of(dense("fc", 1, INPUT, rows=9000)).layers[0]
    assert (many_inputs.cores, many_inputs.binding) == (3, "input axons per core")
    readers = [dense(f"out{i}", 1, "fc", rows=1000) for i in range(9)]
    many_outputs = fit_of(dense("fc", 1000, INPUT, rows=1), *readers).layers[0]
    assert many_outputs.axons_out == 9000
    assert (many_outputs.cores, many_outputs.binding) == (3, "output axons per core")


def test_a_convolution_is_counted_by_pixel_and_by_pattern():
    """3x3 on 2x4x4: rows meet 1, 2, 2 and 1 taps, so do columns; 2 x 3 channel pairs of 14 bits.

    4 patterns of 6 weights (94 bits, so 128), 8 of 12 (178, 192) and 4 of 24 (346, 384).
    """
    window = Window(kernel=(3, 3))
    projection = Projection(kind="conv", sources=(INPUT,), source_shape=(2, 4, 4), window=window)
    layer = Layer(name="conv", model="cuba", shape=(3, 2, 2), projections=(projection,))
    (row,) = fit_of(layer).layers
    assert row.synaptic_bits == 4 * 128 + 8 * 192 + 4 * 384
    assert (row.axons_in, row.cores) == (16, 1)


@pytest.mark.parametrize(
    ("source", "target", "kernel", "stride", "padding", "axons", "bits"),
    [
        ((2, 4, 4), (3, 2, 2), (3, 3), (1, 1), (0, 0), 16, 3584),
        ((2, 9, 8), (4, 4, 3), (3, 3), (2, 2), (0, 0), 63, 3200),
        ((1, 7, 7), (2, 6, 5), (2, 3), (1, 1), (0, 0), 49, 1728),
        ((3, 6, 6), (2, 3, 3), (1, 1), (2, 2), (0, 0), 9, 128),
        ((2, 8, 8), (3, 8, 8), (3, 3), (1, 1), (1, 1), 64, 4608),
        ((2, 10, 9), (2, 5, 5), (5, 5), (2, 2), (2, 2), 90, 5760),
    ],
)
def test_convolutions_as_nengo_loihi_counts_them(
    source, target, kernel, stride, padding, axons, bits
):
    """Recorded from nengo-loihi 1.1.0: used offsets and ``Synapse.bits`` of its 2-D weights."""
    window = Window(kernel=kernel, stride=stride, padding=padding)
    projection = Projection(kind="conv", sources=(INPUT,), source_shape=source, window=window)
    layer = Layer(name="conv", model="cuba", shape=target, projections=(projection,))
    (row,) = fit_of(layer).layers
    assert (row.axons_in, row.synaptic_bits) == (axons, bits)


def test_pixels_that_a_stride_leaves_out_have_no_axon():
    """1x1 of stride 2 sees each second pixel, always with the same weights: 3 of 14 bits."""
    window = Window(kernel=(1, 1), stride=(2, 2))
    projection = Projection(kind="conv", sources=(INPUT,), source_shape=(1, 4, 6), window=window)
    layer = Layer(name="conv", model="cuba", shape=(3, 2, 3), projections=(projection,))
    (row,) = fit_of(layer).layers
    assert (row.axons_in, row.synaptic_bits) == (6, 64)


def test_a_recurrent_layer_counts_its_axons_on_both_ends():
    layer = dense("fc", 50, INPUT, rows=100)
    back = Projection(kind="dense", sources=("fc",), source_shape=(50,), delay=1)
    both = Layer(name="fc", model="cuba", shape=(50,), projections=(*layer.projections, back))
    (row,) = fit_of(both).layers
    assert (row.axons_in, row.axons_out) == (150, 50)
    assert row.synaptic_bits == 100 * 448 + 50 * 512  # a delay of 1 adds a bit: 450 + 10


def test_what_it_cannot_do_is_said_by_layer():
    weight = np.full((3, 4), 2, np.int32)
    network = ChipNetwork(
        input_shape=(4,),
        input_bits=4,
        populations=(
            Cuba(name="a", shape=(3,), du=4096, dv=10, vth=9),
            SigmaDelta(name="b", shape=(3,), vth=2),
            Cuba(name="c", shape=(3,), du=4096, dv=10, vth=9),
        ),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=weight),
            Dense(sources=("a",), target="b", weight=weight[:, :3]),
            Dense(sources=("b",), target="c", weight=weight[:, :3], message_bits=16),
        ),
    )
    section = fit_network(network).as_dict()["loihi1"]
    problems = "\n".join(section["problems"])
    assert "b: sigma_delta neurons" in problems and "c: reads messages with values" in problems
    assert "a:" not in problems
    assert (section["cores"], section["chips"]) == (3, 1)


def test_spikes_that_add_up_are_delivered_one_by_one():
    def lif(name):
        return Cuba(name=name, shape=(3,), du=4096, dv=10, vth=9)

    weight = np.full((3, 3), 2, np.int32)
    network = ChipNetwork(
        input_shape=(3,),
        populations=(lif("a"), lif("b"), lif("c")),
        synapses=(
            Dense(sources=(INPUT,), target="a", weight=weight),
            Dense(sources=("a",), target="b", weight=weight),
            Dense(sources=("a", "b"), target="c", weight=weight, message_bits=2),
        ),
    )
    assert fit_network(network).as_dict()["loihi1"]["problems"] == []
