"""The torch engine against the integer simulator, bit by bit, on the processor and on a GPU."""

import subprocess
import sys

import numpy as np
import pytest

from hardware.backends.backend import variables_of
from hardware.backends.simulator.backend import Simulator
from hardware.backends.torch_engine.backend import TorchSimulator, exact_products
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Relay
from hardware.chip.synapses import Conv, Dense
from hardware.errors import BackendUnavailableError, UnsupportedNetworkError

torch = pytest.importorskip("torch")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


@pytest.fixture(scope="session")
def for_each_case(random_graph, random_networks, random_frames):
    """``(first, check)``: check ten networks, of which a few may be too large for doubles."""

    def run(first, check):
        refused = 0
        for seed in range(first, first + 10):
            network = random_graph(seed, random_networks.FEATURES - {"resonator"})
            try:
                check(network, random_frames(network, seed, samples=3))
            except UnsupportedNetworkError as error:
                assert "do not fit 53 bits" in str(error)
                refused += 1
        assert refused <= 3

    return run


def assert_equals_simulator(network, frames, timing="layerwise", **settings):
    probes = [(name, v) for name, vs in variables_of(network).items() for v in vs]
    try:
        expected = Simulator(timing=timing).run(network, frames, probes=probes)
    except UnsupportedNetworkError:
        with pytest.raises(UnsupportedNetworkError):
            TorchSimulator(timing=timing, **settings).run(network, frames)
        return
    run = TorchSimulator(timing=timing, **settings).run(network, frames, probes=probes)
    for probe in probes:
        np.testing.assert_array_equal(run.traces[probe], expected.traces[probe], str(probe))
    np.testing.assert_array_equal(run.output, expected.output)
    for name, counts in expected.spikes.items():
        np.testing.assert_array_equal(run.spikes[name], counts)
    for name, counts in expected.synops.items():
        np.testing.assert_array_equal(run.synops[name], counts)


@pytest.mark.parametrize("timing", ["layerwise", "pipelined"])
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_equals_the_simulator(first, timing, for_each_case):
    for_each_case(
        first, lambda *case: assert_equals_simulator(*case, timing, device="cpu", batch=2)
    )


@needs_gpu
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_equals_the_simulator_on_a_gpu(first, for_each_case):
    for_each_case(first, lambda *case: assert_equals_simulator(*case, device="cuda"))


@needs_gpu
def test_large_sums_are_exact_on_a_gpu():
    assert_equals_simulator(*sums_near_24_bits(), device="cuda")


def test_large_sums_are_exact():
    assert_equals_simulator(*sums_near_24_bits(), device="cpu")


def sums_near_24_bits():
    """A 3 x 3 convolution of 64 channels whose sums use nearly all bits of a float32."""
    rng = np.random.default_rng(0)
    weight = rng.choice([252, 254], (64, 64, 3, 3)).astype(np.int32)
    network = ChipNetwork(
        input_shape=(64, 8, 8),
        input_bits=6,
        populations=(Relay(name="r", shape=(64, 8, 8)),),
        synapses=(
            Conv(sources=("input",), target="r", weight=weight, padding=(1, 1), message_bits=6),
        ),
    )
    return network, rng.integers(60, 64, (2, 3, 64, 8, 8))


def test_sums_beyond_53_bits_are_refused():
    relays = tuple(Relay(name=f"r{i}", shape=(8,)) for i in range(4))
    sources = ("input", "r0", "r1", "r2")
    network = ChipNetwork(
        input_shape=(8,),
        input_bits=24,
        populations=relays,
        synapses=tuple(
            Dense(
                sources=(source,),
                target=relay.name,
                weight=np.full((8, 8), 254, np.int32),
                message_bits=24,
            )
            for source, relay in zip(sources, relays, strict=True)
        ),
    )
    frames = np.full((1, 1, 8), 2**24 - 1)
    with pytest.raises(UnsupportedNetworkError, match="r1 -> r2: sums up to"):
        TorchSimulator(device="cpu").run(network, frames)


def test_models_without_a_step_are_named(random_graph):
    network = next(
        n
        for n in (random_graph(seed, frozenset({"resonator"})) for seed in range(50))
        if any(p.KIND == "resonate_and_fire" for p in n.populations)
    )
    with pytest.raises(UnsupportedNetworkError, match=r"p\d: resonate_and_fire"):
        TorchSimulator(device="cpu").run(network, np.zeros((1, 2, *network.input_shape), int))


def test_settings_of_torch_are_put_back():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(random_network):
    engine = TorchSimulator(device="cuda")
    assert engine.is_available().state == "not reachable"
    network = random_network(0)
    with pytest.raises(BackendUnavailableError, match="sees no GPU"):
        engine.run(network, np.zeros((1, 2, *network.input_shape), np.uint8))


def test_importing_the_engine_does_not_import_torch():
    script = "import sys, hardware.backends.torch_engine.backend; print('torch' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "False"
