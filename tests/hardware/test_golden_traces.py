"""Intel's recorded traces: what lava-dl's hardware tests demand of a physical Loihi 2.

The distribution lava-dl installs trained networks with traces in ``tests/lava/lib/dl/netx``; its
``test_hdf5_nx.py`` compares a board with them, ``test_hdf5.py`` and ``test_blocks.py`` Lava's CPU
models. Records are (W, H, C, T) or (F, T); those made by SLAYER, (N, C, H, W, T), begin with one
empty step, because a SLAYER layer with ``delay_shift`` passes its spikes on one step late.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Delta, ResonateAndFire, Sigma, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct
from hardware.compiler.netx.reader import read_netx

ENGINES = (Reference, Simulator)


def _folder() -> Path | None:
    try:
        files = distribution("lava-dl").files or ()
    except PackageNotFoundError:
        return None
    return next((Path(f.locate()).parent for f in files if f.match("netx/tiny.net")), None)


FOLDER = _folder()
pytestmark = pytest.mark.skipif(
    FOLDER is None or not (FOLDER / "gts").is_dir(),
    reason="lava-dl, which brings Intel's traces, is not installed",
)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request):
    """A backend's class; every trace is demanded of each."""
    return request.param


def record(name):
    """A trace with the time first and the axes of a population: (T, C, H, W) or (T, F)."""
    return np.load(FOLDER / "gts" / f"{name}.npy").T


def slayer_record(name):
    """The same of a trace that SLAYER made, without its empty first step."""
    steps = np.moveaxis(np.load(FOLDER / "gts" / f"{name}.npy")[0], -1, 0)
    assert not steps[0].any()
    return steps[1:]


def network_of(name, **options):
    return read_netx(FOLDER / name, **options)


def traces_of(backend, network, sample, *variables):
    """``{(population, variable): (T, ...)}`` of one sample."""
    wanted = [
        (p.name, v) for p in network.populations for v in variables if v in ("spikes", *p.STATES)
    ]
    run = backend.run(network, np.asarray(sample, np.int64)[None], probes=wanted)
    return {probe: trace[0] for probe, trace in run.traces.items()}


def without_input(network, *, bits):
    """The network without its input population, driven by what that sends."""
    first, *rest = network.populations
    synapses = [
        replace(s, sources=tuple(INPUT if x == first.name else x for x in s.sources))
        for s in network.synapses
        if s.target != first.name
    ]
    return replace(
        network,
        input_shape=first.shape,
        input_bits=bits,
        populations=tuple(rest),
        synapses=tuple(synapses),
    )


def block(population, *synapses, shape, bits=0):
    return ChipNetwork(
        input_shape=shape, input_bits=bits, populations=(population,), synapses=synapses
    )


def with_resets(network, interval, phase=0):
    return replace(
        network,
        populations=tuple(
            replace(p, reset_interval=interval, reset_phase=phase) for p in network.populations
        ),
    )


def constant(value, n_steps):
    return np.broadcast_to(value, (n_steps, *value.shape))


# -- PilotNet with spiking neurons ----------------------------------------------------------------
PILOTNET = "gts/pilotnet_lif/network.net"
PILOTNET_LAYERS = {
    "1-conv": "conv-0",
    "2-conv": "conv-1",
    "3-conv": "conv-2",
    "4-conv": "conv-3",
    "5-conv": "conv-4",
    "7-dense": "fc-0",
    "8-dense": "fc-1",
    "9-dense": "fc-2",
}


def pilotnet_record(layer, variable=""):
    return record(f"pilotnet_lif/{PILOTNET_LAYERS[layer]}{variable}")


def assert_equals_pilotnet(traces, layer, steps):
    """Spikes and currents everywhere; voltages where no spike is: the chip's register says 2."""
    spikes = pilotnet_record(layer)[steps]
    assert spikes.any()
    np.testing.assert_array_equal(traces[layer, "spikes"][steps], spikes)
    np.testing.assert_array_equal(traces[layer, "u"][steps], pilotnet_record(layer, "-u")[steps])
    silent = spikes == 0
    voltage = pilotnet_record(layer, "-v")[steps]
    np.testing.assert_array_equal(traces[layer, "v"][steps][silent], voltage[silent])
    assert (voltage[~silent] == 2 << 6).all()


def test_pilotnet_from_the_image_to_the_last_spiking_layer(engine):
    """All 24 recorded steps: one sample and the start of the next.

    The record resets every 17 steps; a layer at depth d first at step d, where its input begins,
    so the biases that it integrated before are forgotten.
    """
    network = with_resets(network_of(PILOTNET), 17)
    image = record("pilotnet_lif/image")
    traces = traces_of(engine(timing="pipelined"), network, constant(image, 24), "spikes", "u", "v")
    np.testing.assert_array_equal(traces["0-input", "spikes"], record("pilotnet_lif/input"))
    for layer in PILOTNET_LAYERS:
        assert_equals_pilotnet(traces, layer, slice(None))


def test_pilotnet_from_the_recorded_input_spikes(engine):
    """``input-s.npy``, another record with resets every 16 steps; it is the same until step 16."""
    network = with_resets(without_input(network_of(PILOTNET), bits=0), 16)
    spikes = record("pilotnet_lif/input-s")
    traces = traces_of(engine(timing="pipelined"), network, spikes, "spikes", "u", "v")
    for layer in PILOTNET_LAYERS:
        # The layer's own 16 steps of the sample, and those before its first input.
        assert_equals_pilotnet(traces, layer, slice(0, 15 + network.depth[layer]))
    image = constant(record("pilotnet_lif/image"), 24)
    whole = with_resets(network_of(PILOTNET), 16)
    encoded = traces_of(engine(timing="pipelined"), whole, image, "spikes")
    np.testing.assert_array_equal(encoded["0-input", "spikes"], spikes)


@pytest.mark.parametrize("layer", PILOTNET_LAYERS)
def test_pilotnet_layer_driven_by_the_recorded_spikes_before_it(layer, engine):
    """A fresh sample in layerwise time: the layer starts when its own first input arrives."""
    network = network_of(PILOTNET)
    before = {"1-conv": "input"} | dict(
        zip(list(PILOTNET_LAYERS)[1:], PILOTNET_LAYERS.values(), strict=False)
    )
    depth = network.depth[layer]
    (synapse,) = network.incoming(layer)
    shape = network.source_shape(synapse)
    alone = block(network[layer], replace(synapse, sources=(INPUT,)), shape=shape)
    sent = record(f"pilotnet_lif/{before[layer]}")[depth - 1 : depth + 15].astype(int)
    traces = traces_of(engine(timing="layerwise"), alone, sent, "spikes", "u")
    steps = slice(depth, depth + 16)
    n_steps = len(pilotnet_record(layer)[steps])
    expected = pilotnet_record(layer)[steps], pilotnet_record(layer, "-u")[steps]
    np.testing.assert_array_equal(traces[layer, "spikes"][:n_steps], expected[0])
    np.testing.assert_array_equal(traces[layer, "u"][:n_steps], expected[1])


def test_pilotnet_last_layer(engine):
    """``fc-3`` comes from a third run: resets every 16 steps, one step before the first input.

    That is the schedule of netx with ``reset_offset=0`` on a board.
    """
    network = with_resets(network_of(PILOTNET), 16, phase=15)
    image = constant(record("pilotnet_lif/image"), 25)
    traces = traces_of(engine(timing="pipelined"), network, image, "spikes", "u", "v")
    for variable, suffix in (("spikes", "s"), ("u", "u"), ("v", "v")):
        expected = record(f"pilotnet_lif/fc-3-{suffix}")
        np.testing.assert_array_equal(traces["10-dense", variable], expected)
    assert np.unique(record("pilotnet_lif/fc-3-u")).size == 4


# -- PilotNet with sigma-delta neurons ------------------------------------------------------------
def test_sigma_delta_pilotnet_from_the_image(engine):
    network = network_of("gts/pilotnet_sdnn/network.net")
    image = constant(record("pilotnet_sdnn/input")[0], 20)
    traces = traces_of(engine(timing="pipelined"), network, image, "spikes", "sigma")
    np.testing.assert_array_equal(traces["0-input", "spikes"], record("pilotnet_sdnn/act0"))
    for layer in (1, 2):
        expected = record(f"pilotnet_sdnn/sigma{layer}")
        np.testing.assert_array_equal(traces[f"{layer}-conv", "sigma"], expected)
    output = record("pilotnet_sdnn/output")
    np.testing.assert_array_equal(traces["9-dense", "spikes"][: len(output)], output)


def test_sigma_delta_pilotnet_on_a_square_image(engine):
    """Driven by the recorded messages of the input layer, as Intel drives its board."""
    network = network_of("gts/pilotnet_sdnn/square_network.net")
    messages = record("pilotnet_sdnn/act0")[..., :33, :33]
    network = without_input(network, bits=16)
    traces = traces_of(engine(timing="pipelined"), network, messages, "sigma")
    for layer in (1, 2, 3, 4):
        expected = record(f"pilotnet_sdnn/sigma{layer}_square")
        np.testing.assert_array_equal(traces[f"{layer}-conv", "sigma"], expected)


# -- NTIDIGITS: axonal delays ---------------------------------------------------------------------
@pytest.mark.parametrize("n_steps", [600, pytest.param(2999, marks=pytest.mark.slow)])
def test_spoken_digits_through_axonal_delays(engine, n_steps):
    """All 242 outputs at all steps; the record is one step late, and its last step has no partner.

    Intel's own test compares the last column of one with the second column of the other, which are
    both empty.
    """
    network = network_of("gts/ntidigits/ntidigits.net", n_layers=5)
    assert network.synapses[0].delays == network.synapses[1].delays == (0, 62)
    spikes = record("ntidigits/input")[:n_steps, None, None, :]
    traces = traces_of(engine(timing="pipelined"), network, spikes, "spikes")
    expected = record("ntidigits/output")
    assert not expected[0].any() and expected[1 : n_steps + 1].sum() > 500
    np.testing.assert_array_equal(traces["4-dense", "spikes"], expected[1 : n_steps + 1])


# -- tinynet --------------------------------------------------------------------------------------
def test_tinynet_from_its_bias_image(engine):
    """SLAYER's record is the layerwise time."""
    network = network_of("tiny.net")
    image = constant(record("tinynet/input_bias"), 15)
    traces = traces_of(engine(timing="layerwise"), network, image, "spikes", "u")
    for layer, name in (("0-input", "input"), ("1-conv", "layer1"), ("2-conv", "output")):
        np.testing.assert_array_equal(
            traces[layer, "spikes"], slayer_record(f"tinynet/{name}"), err_msg=layer
        )
    current = slayer_record("tinynet/current") * 64
    np.testing.assert_array_equal(traces["1-conv", "u"], current)


def convolution(name):
    """Kernels of Lava's blocks are stored (O, x, y, I) for a true convolution."""
    kernel = np.load(FOLDER / f"gts/{name}.npy").astype(np.int32)
    weight = kernel.transpose(0, 3, 2, 1)[..., ::-1, ::-1].copy()
    return Conv(sources=(INPUT,), target="conv", weight=weight, stride=(2, 2))


def test_convolution_block_of_tinynet(engine):
    lif = Cuba(
        name="conv",
        shape=(24, 6, 6),
        du=4096,
        dv=1024,
        vth=25,
        bias_mant=record("tinynet/layer1_bias").astype(np.int32),
        bias_exp=6,
    )
    synapse = convolution("tinynet/layer1_kernel")
    network = block(lif, synapse, shape=(3, 16, 16))
    spikes = slayer_record("tinynet/input")
    traces = traces_of(engine(timing="layerwise"), network, spikes, "spikes", "u")
    np.testing.assert_array_equal(traces["conv", "spikes"], slayer_record("tinynet/layer1"))
    np.testing.assert_array_equal(traces["conv", "u"], slayer_record("tinynet/current") * 64)


# -- tinynet with sigma-delta neurons, block by block ----------------------------------------------
def test_delta_encoder(engine):
    image = record("tinynet_sdnn/input_bias")
    phase = np.sin(2 * np.pi * np.arange(15) / 15)
    values = (image * phase[:, None, None, None]).astype(int)
    delta = Delta(name="delta", shape=(3, 16, 16), vth=20, spike_exp=6, state_exp=6)
    network = block(delta, Direct(sources=(INPUT,), target="delta"), shape=delta.shape, bits=11)
    traces = traces_of(engine(timing="pipelined"), network, values, "spikes")
    np.testing.assert_array_equal(traces["delta", "spikes"], record("tinynet_sdnn/input"))


def test_sigma_delta_convolution(engine):
    """Intel ran one step of this block, so the record is its answer to the bias and then zero.

    Its synapse has no message bits: it reads the fact of a message, not its value.
    """
    neuron = SigmaDelta(
        name="conv",
        shape=(24, 6, 6),
        vth=20,
        bias=record("tinynet_sdnn/layer1_bias").astype(np.int32),
        spike_exp=6,
        state_exp=6,
    )
    synapse = convolution("tinynet_sdnn/layer1_kernel")
    network = block(neuron, synapse, shape=(3, 16, 16), bits=16)
    traces = traces_of(engine(timing="pipelined"), network, record("tinynet_sdnn/input"), "spikes")
    expected = record("tinynet_sdnn/layer1")
    assert expected[0].any() and not expected[1:].any()
    np.testing.assert_array_equal(traces["conv", "spikes"], expected[:15])


def test_sigma_output(engine):
    """The record reads the block's messages as spikes too, in the C order of Lava's axes."""
    weight = np.load(FOLDER / "gts/tinynet_sdnn/layer2_weight.npy").astype(np.int32)
    network = block(
        Sigma(name="dense", shape=(100,)),
        Dense(sources=(INPUT,), target="dense", weight=weight),
        shape=(864,),
        bits=16,
    )
    messages = np.load(FOLDER / "gts/tinynet_sdnn/layer1.npy").reshape(864, 16).T
    traces = traces_of(engine(timing="pipelined"), network, messages, "spikes")
    np.testing.assert_array_equal(traces["dense", "spikes"], record("tinynet_sdnn/layer2"))


# -- dense blocks, 2000 steps ---------------------------------------------------------------------
def test_dense_block(engine):
    weight = np.load(FOLDER / "gts/dense/weight.npy").astype(np.int32)
    network = block(
        Cuba(name="dense", shape=(256,), du=4096, dv=415, vth=6),
        Dense(sources=(INPUT,), target="dense", weight=weight),
        shape=(200,),
    )
    traces = traces_of(engine(timing="pipelined"), network, record("dense/in"), "spikes", "u")
    np.testing.assert_array_equal(traces["dense", "spikes"], record("dense/out"))
    np.testing.assert_array_equal(traces["dense", "u"], record("dense/current") * 64)


def resonator(n_neurons, *, period, vth, izhikevich):
    """Decays cut as Lava's ``RF`` process cuts them, for its ``alpha=0.05``."""
    angle = 2 * np.pi / period
    return ResonateAndFire(
        name="resonator",
        shape=(n_neurons,),
        sin_decay=int(0.95 * np.sin(angle) * 4096),
        cos_decay=int(0.95 * np.cos(angle) * 4096),
        vth=int(vth * 64),
        izhikevich=izhikevich,
    )


def test_resonators_as_inputs(engine):
    """The threshold of 1.1 is cut to 70 / 64."""
    neurons = resonator(200, period=7, vth=1.1, izhikevich=True)
    network = block(
        neurons,
        Direct(sources=(INPUT,), target="resonator"),
        Direct(sources=(INPUT,), target="resonator", port="imaginary"),
        shape=(200,),
    )
    traces = traces_of(engine(timing="pipelined"), network, record("complex_dense/in"), "spikes")
    np.testing.assert_array_equal(traces["resonator", "spikes"], record("complex_dense/current"))


def test_complex_dense_block(engine):
    neurons = resonator(256, period=11, vth=25, izhikevich=False)
    synapses = [
        Dense(
            sources=(INPUT,),
            target="resonator",
            port=port,
            weight=np.load(FOLDER / f"gts/complex_dense/{name}.npy").astype(np.int32),
        )
        for port, name in (("input", "weight_r"), ("imaginary", "weight_img"))
    ]
    network = block(neurons, *synapses, shape=(200,))
    traces = traces_of(engine(timing="pipelined"), network, record("complex_dense/in"), "spikes")
    np.testing.assert_array_equal(traces["resonator", "spikes"], record("complex_dense/out"))
