"""Cores of a Loihi 2: what Intel's compiler printed, what it never saw, and the bounds.

The published table is that of lava-dl's notebooks (PilotNet SDNN, PilotNet LIF, Oxford).
"""

import json
import math
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fit_layers import VALUES, conv, dense, written
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.analysis.fit import fit_network, shapes_of
from hardware.analysis.fit.loihi2 import (
    FAN_IN,
    HOST,
    NEURONS,
    NEURONS_SEEN,
    ONE_CORE,
    SYNAPSES,
    UNITS,
    layer_fit,
    network_lower_bound,
    units,
)
from hardware.analysis.fit.shapes import (
    Layer,
    Projection,
)
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Delta, Sigma, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct
from hardware.compiler.netx.reader import read_netx

# -- what the compiler printed --------------------------------------------------------------------
PUBLISHED = [  # layer, the compiler's cores and its slab as W x H x C, or neurons
    (written((3, 66, 200)), 13, (16, 66, 3)),
    (conv((24, 32, 99), (3, 66, 200), stride=2), 25, (4, 32, 24)),
    (conv((36, 15, 49), (24, 32, 99), stride=2), 13, (4, 15, 36)),
    (conv((48, 7, 24), (36, 15, 49), stride=2), 3, (8, 7, 48)),
    (conv((64, 4, 22), (48, 7, 24)), 3, (8, 4, 64)),
    (conv((64, 2, 20), (64, 4, 22)), 2, (16, 2, 64)),
    (dense(100, 2560), 12, None),
    (dense(100, 2560, **VALUES), 12, None),
    (dense(50, 100), 1, (50,)),
    (dense(10, 50), 1, (10,)),
    (dense(1, 10, **VALUES), 1, (1,)),
    (dense(200, 256, delay=1), 2, (100,)),
]


@pytest.mark.parametrize(
    ("layer", "cores", "slab"), PUBLISHED, ids=lambda x: getattr(x, "what", str(x))
)
def test_cores_and_slabs_are_those_of_the_compiler(layer, cores, slab):
    fit = layer_fit(layer)
    assert fit.cores == cores
    assert slab is None or fit.slab == slab


def test_the_one_layer_that_is_missed():
    """Oxford's 200 -> 256 took 3 cores; the fit says 2, and its band reaches what was seen."""
    fit = layer_fit(dense(256, 200, delay=1))
    assert fit.cores == 2
    assert fit.cores_band[1] >= 3


@pytest.mark.parametrize(
    ("layer", "allocated"),
    [
        (dense(100, 2560), 61440),
        (dense(100, 2560, **VALUES), 66560),
        (dense(200, 256, delay=1), 16128),
        (dense(256, 200, delay=1), 16200),
    ],
)
def test_allocations_before_splitting_are_those_of_the_compiler(layer, allocated):
    assert units(layer, layer.neurons) == allocated


def test_a_part_that_was_still_too_big_for_the_compiler():
    """17 neurons behind 2560 sources: 12800 of 12000."""
    assert units(dense(100, 2560), 17) == 12800 > UNITS


@pytest.mark.parametrize(
    ("channels", "source", "allocated"),
    [(24, 3, 81), (36, 24, 864), (48, 36, 1620), (64, 48, 2592), (64, 64, 2880)],
)
def test_kernels_are_never_taken_to_need_less_than_was_seen(channels, source, allocated):
    estimate = units(conv((channels, 9, 9), (source, 11, 11)), channels)
    assert allocated <= estimate <= 1.6 * allocated


def test_the_first_dense_layer_needs_7_cores_at_least():
    assert layer_fit(dense(100, 2560)).cores_lower_bound == 7


def pilotnet(model, **messages):
    """PilotNet as its tutorials have it, by shapes: layers of one kind of neurons."""
    sizes = [(3, 66, 200), (24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20)]
    geometry = [{"stride": (2, 2)}] * 3 + [{"stride": (2, 1), "padding": (1, 0)}, {}]
    rng = np.random.default_rng(0)
    populations, synapses = [], []
    for index, (source, shape) in enumerate(pairwise(sizes)):
        name = f"conv{index}"
        populations.append(model(name=name, shape=shape))
        weight = 2 * rng.integers(-9, 9, (shape[0], source[0], 3, 3), dtype=np.int32)
        before = f"conv{index - 1}" if index else "encoder"
        synapses.append(
            Conv(sources=(before,), target=name, weight=weight, **geometry[index], **messages)
        )
    before, rows = "conv4", 2560
    for n in (100, 50, 10, 1):
        weight = 2 * rng.integers(-9, 9, (n, rows), dtype=np.int32)
        synapses.append(Dense(sources=(before,), target=f"fc{n}", weight=weight, **messages))
        populations.append(model(name=f"fc{n}", shape=(n,)))
        before, rows = f"fc{n}", n
    return sizes[0], populations, synapses


def test_sigma_delta_pilotnet_takes_61_cores():
    """Its encoder runs on the host, as Intel ran it."""

    def neurons(**fields):
        return SigmaDelta(vth=3, **fields)

    shape, populations, synapses = pilotnet(neurons, message_bits=16)
    encoder = Delta(name="encoder", shape=shape, vth=3)
    populations[-1] = Sigma(name="fc1", shape=(1,))
    network = ChipNetwork(
        input_shape=shape,
        input_bits=8,
        populations=(encoder, *populations),
        synapses=(Direct(sources=(INPUT,), target="encoder"), *synapses),
    )
    fit = fit_network(network)
    assert [layer.cores for layer in fit.layers] == [0, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert fit.layers[0].binding == HOST
    assert (fit.cores, fit.chips, fit.binding) == (61, 1, NEURONS)
    assert fit.cores_lower_bound <= 61 <= fit.cores_band[1]


def _folder():
    try:
        files = distribution("lava-dl").files or ()
    except PackageNotFoundError:
        return None
    return next((Path(f.locate()).parent for f in files if f.match("netx/tiny.net")), None)


@pytest.mark.skipif(_folder() is None, reason="lava-dl, which brings the network, is absent")
def test_intels_trained_lif_pilotnet_takes_74_cores():
    fit = fit_network(read_netx(_folder() / "gts/pilotnet_lif/network.net"))
    assert [layer.cores for layer in fit.layers] == [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert (fit.cores, fit.chips) == (74, 1)
    assert not fit.violations


def test_oxford_takes_4_cores_of_the_compilers_5():
    def neurons(name, n):
        return Cuba(name=name, shape=(n,), du=4096, dv=100, vth=100)

    def synapse(source, target, rows, columns):
        weight = np.full((rows, columns), 2, np.int32)
        return Dense(sources=(source,), target=target, weight=weight, delay=np.arange(columns) % 9)

    network = ChipNetwork(
        input_shape=(200,),
        populations=(neurons("hidden", 256), neurons("out", 200)),
        synapses=(synapse(INPUT, "hidden", 256, 200), synapse("hidden", "out", 200, 256)),
    )
    fit = fit_network(network)
    assert [layer.cores for layer in fit.layers] == [2, 2]
    assert fit.cores == 4
    assert fit.cores_band[1] >= 5
    assert any("4 of 5 for Oxford" in note for note in fit.as_dict()["notes"])


# -- what the compiler was never seen to do -------------------------------------------------------
def test_a_column_that_is_too_long_is_divided_by_channels():
    fit = layer_fit(conv((64, 64, 64), (2, 128, 128), kernel=7, stride=2))
    assert (fit.cores, fit.slab, fit.binding) == (128, (1, 64, 32), NEURONS)


def test_a_single_column_that_is_too_long_is_divided_by_rows():
    fit = layer_fit(conv((1, 5000, 3), (1, 5002, 5)))
    assert (fit.cores, fit.slab) == (6, (1, 2500, 1))


def test_wide_kernels_are_bound_by_synapses():
    """512 channels behind 512: 4608 rows, of which a core holds those of 16 channels."""
    fit = layer_fit(conv((512, 4, 4), (512, 6, 6)))
    assert (fit.cores, fit.slab, fit.binding) == (32, (4, 4, 16), SYNAPSES)
    assert fit.synaptic_units == 4608 * 2


def test_a_depthwise_kernel_needs_a_row_for_each_channel_and_tap():
    layer = conv((64, 8, 8), (64, 10, 10), groups=64)
    assert layer.weights == 64 * 9
    assert units(layer, 64) == 64 * 9
    assert units(layer, 16) == 16 * 9
    assert layer.what == "depthwise 3×3"


def test_grouped_kernels_count_the_channels_of_their_group():
    layer = conv((32, 8, 8), (16, 10, 10), groups=4)
    assert layer.weights == 32 * 4 * 9
    assert units(layer, 32) == 4 * (4 * 9) * 1
    assert units(layer, 16) == 2 * (4 * 9) * 1


def test_recurrent_and_several_projections_share_a_core():
    layer = dense(100, 200)
    back = Projection(kind="dense", sources=("dense",), source_shape=(100,), delay=1)
    both = replace(layer, projections=(*layer.projections, back))
    assert units(both, 100) == 200 * 24 + 100 * 32
    assert both.what == "dense, recurrent"


def test_sparse_synapses_need_no_more_than_dense_ones():
    def units_of(synapses):
        projection = Projection(
            kind="sparse", sources=("before",), source_shape=(100,), synapses=synapses
        )
        return units(Layer(name="s", model="cuba", shape=(50,), projections=(projection,)), 50)

    assert units_of(500) == 100 * math.ceil(0.24 * 2 * 5)
    assert units_of(5000) == units(dense(50, 100), 50)


def test_a_neuron_that_no_core_holds_is_named():
    fit = layer_fit(dense(6, 64 * 64 * 8))
    assert fit.binding == FAN_IN
    assert fit.cores == 6


def test_messages_written_into_a_vector_only_count_neurons():
    assert layer_fit(written((784,))).cores == 1
    assert layer_fit(written((7000,))).cores == 3


# -- bounds ---------------------------------------------------------------------------------------
sizes = st.integers(1, 600)


@st.composite
def layers(draw):
    bits, delay = draw(st.sampled_from([0, 16])), draw(st.sampled_from([0, 5]))
    if draw(st.booleans()):
        return dense(draw(st.integers(1, 5000)), draw(st.integers(1, 9000)), message_bits=bits,
                     delay=delay)  # fmt: skip
    groups = draw(st.sampled_from([1, 2, 4]))
    channels, source = groups * draw(st.integers(1, 200)), groups * draw(st.integers(1, 200))
    height, width = draw(sizes), draw(sizes)
    kernel = draw(st.integers(1, 7))
    return conv(
        (channels, height, width),
        (source, height + kernel - 1, width + kernel - 1),
        kernel=kernel,
        groups=groups,
    )


@settings(max_examples=300, deadline=None)
@given(layers())
def test_a_layer_is_held_and_the_bound_is_never_above_the_estimate(layer):
    fit = layer_fit(layer)
    low, high = fit.cores_band
    assert 1 <= fit.cores_lower_bound <= fit.cores
    assert low <= fit.cores <= high
    assert fit.neurons_per_core <= NEURONS_SEEN
    assert fit.cores * fit.neurons_per_core >= layer.neurons
    assert fit.synaptic_units <= UNITS or fit.binding == FAN_IN
    assert fit.cores > 1 or fit.binding in (ONE_CORE, FAN_IN)


@settings(max_examples=100, deadline=None)
@given(st.lists(layers(), min_size=1, max_size=5))
def test_the_bound_of_a_network_is_never_above_its_estimate(chosen):
    estimate = sum(layer_fit(layer).cores for layer in chosen)
    unplaceable = any(layer_fit(layer).binding == FAN_IN for layer in chosen)
    assert unplaceable or 1 <= network_lower_bound(chosen) <= estimate


def test_any_network_can_be_asked(random_graph, random_networks):
    for seed in range(40):
        network = random_graph(seed, random_networks.FEATURES)
        fit = fit_network(network)
        section = json.loads(json.dumps(fit.as_dict(), allow_nan=False))
        assert section["cores_lower_bound"] <= section["cores"] < 30
        assert [row["layer"] for row in section["layers"]] == [p.name for p in network.populations]
        weights = sum(getattr(s, "weight", np.empty(0)).size for s in network.synapses)
        assert section["weights"] == weights


# -- scale ----------------------------------------------------------------------------------------
def test_shapes_are_counted_without_expansion():
    """877 thousand neurons, most of them behind convolutions: no time to speak of."""
    stages = [(64, 64), (64, 32), (128, 16), (256, 8), (512, 4)]
    populations, synapses = [], []
    source, shape = INPUT, (2, 128, 128)
    for index, (channels, side) in enumerate([stages[0], *[s for s in stages[1:] for _ in "1234"]]):
        stride = shape[1] // side
        target = f"conv{index}"
        weight = np.full((channels, shape[0], 3, 3), 2, np.int32)
        synapses.append(
            Conv(sources=(source,), target=target, weight=weight, stride=(stride,) * 2,
                 padding=(1, 1))
        )  # fmt: skip
        source, shape = target, (channels, side, side)
        populations.append(Cuba(name=target, shape=shape, du=4096, dv=100, vth=100))
    network = ChipNetwork(
        input_shape=(2, 128, 128), populations=tuple(populations), synapses=tuple(synapses)
    )
    started = time.process_time()
    fit = fit_network(network)
    assert time.process_time() - started < 3
    assert shapes_of(network).neurons > 750_000
    assert fit.chips > 1
