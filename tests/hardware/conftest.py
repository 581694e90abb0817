"""Random networks, the specification run on them, and how two runs are compared."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware.backends.backend import variables_of
from hardware.backends.reference import Reference
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense
from hardware.errors import ArithmeticFaultError, UnsupportedNetworkError


def _load(path):
    """A module by its path, from then on imported by its name: `benchmarks` is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
random_networks_module = _load(_BENCHMARKS / "random_networks.py")
random_batches_module = _load(_BENCHMARKS / "random_batches.py")  # imports the one before


@pytest.fixture(scope="session")
def random_network():
    """Factory ``(seed, input_shape=..., layers=...) -> ChipNetwork`` of a chain of layers.

    A layer is the size of a dense one or a dict with ``channels`` and ``kernel`` and, if wanted,
    ``stride``, ``padding``, ``dilation`` and ``groups``. Decays are drawn per channel and include
    0 and 4096; biases have both signs; thresholds are such that a few neurons in ten spike.
    """
    return _random_network


@pytest.fixture(scope="session")
def reference_run():
    """``(network, spikes) -> {(population, variable): array of shape (N, T, ...)}``.

    Runs the specification, `hardware.backends.reference`; the voltage is the one after the reset.
    """
    return _reference_run


@pytest.fixture(scope="session")
def random_spikes():
    """``(seed, shape, rate=0.3) -> uint8`` zeros and ones."""
    return lambda seed, shape, rate=0.3: (np.random.default_rng(seed).random(shape) < rate).astype(
        np.uint8
    )


def _random_network(seed, *, input_shape=(2, 7, 6), layers=({"channels": 4, "kernel": (3, 2)}, 5)):
    rng = np.random.default_rng(seed)
    source, shape = INPUT, tuple(input_shape)
    populations, synapses = [], []
    for index, layer in enumerate(layers):
        name = f"layer-{index}"
        synapse = _random_synapse(rng, layer, shape, sources=(source,), target=name)
        shape = synapse.target_shape(shape)
        fan_in = synapse.weight[0].size
        populations.append(_random_population(rng, name, shape, fan_in))
        synapses.append(synapse)
        source = name
    return ChipNetwork(
        input_shape=tuple(input_shape), populations=tuple(populations), synapses=tuple(synapses)
    )


def _random_synapse(rng, layer, shape, **ends):
    if isinstance(layer, int):
        return Dense(weight=_random_weight(rng, (layer, int(np.prod(shape)))), **ends)
    geometry = {k: v for k, v in layer.items() if k not in ("channels", "kernel")}
    per_group = shape[0] // layer.get("groups", 1)
    weight = _random_weight(rng, (layer["channels"], per_group, *layer["kernel"]))
    return Conv(weight=weight, **geometry, **ends)


def _random_weight(rng, shape):
    return (2 * rng.integers(-128, 128, shape)).astype(np.int32)


def _random_population(rng, name, shape, fan_in):
    channels = shape[0]
    typical_input = 80 * np.sqrt(fan_in)

    def draw(low, high, *special):
        values = rng.integers(low, high, channels)
        values[: len(special)] = special[:channels]
        return rng.permutation(values).astype(np.int32)

    return Cuba(
        name=name,
        shape=shape,
        du=draw(0, 4097, 4096, 0, 40),
        dv=draw(0, 4097, 130, 4096),
        vth=draw(int(0.2 * typical_input), int(1.5 * typical_input)),
        bias_mant=draw(-20, 30, -15, 20),
        bias_exp=int(rng.integers(3, 7)),
    )


def _reference_run(network, spikes):
    return dict(Reference().run(network, spikes, probes=_all_probes(network)).traces)


# -- runs, whole: everything that can be probed, and what a run ends in ----------------------------


@pytest.fixture(scope="session")
def all_probes():
    """``network -> [(population, variable), ...]``: everything that can be probed."""
    return _all_probes


@pytest.fixture(scope="session")
def outcome():
    """``(backend, network, frames)``: a run with all probes, or the words of its error."""
    return _outcome


@pytest.fixture(scope="session")
def assert_same_run():
    """``(run, expected)``: the same traces, answers and counts, or the same words of an error."""
    return _assert_same_run


def _all_probes(network):
    return [(name, v) for name, variables in variables_of(network).items() for v in variables]


def _outcome(backend, network, frames):
    try:
        return backend.run(network, frames, probes=_all_probes(network))
    except (ArithmeticFaultError, UnsupportedNetworkError) as error:
        return f"{type(error).__name__}: {error}"


def _assert_same_run(run, expected):
    if isinstance(expected, str) or isinstance(run, str):
        assert run == expected
        return
    for probe, trace in expected.traces.items():
        np.testing.assert_array_equal(run.traces[probe], trace, err_msg=str(probe))
    np.testing.assert_array_equal(run.output, expected.output)
    for ours, theirs in ((run.spikes, expected.spikes), (run.synops, expected.synops)):
        assert ours.keys() - {"input"} == theirs.keys() - {"input"}
        for name, counts in theirs.items():
            np.testing.assert_array_equal(ours[name], counts, err_msg=name)


# -- random graphs: every population model, every synapse, recurrence -----------------------------


@pytest.fixture(scope="session")
def random_networks():
    """The module ``benchmarks/random_networks.py``."""
    return random_networks_module


@pytest.fixture(scope="session")
def random_batches():
    """The module ``benchmarks/random_batches.py``."""
    return random_batches_module


@pytest.fixture(scope="session")
def random_graph():
    """``(seed, features, input_shape=None, input_bits=None) -> ChipNetwork``.

    See ``benchmarks/random_networks.py``: small graphs that use the named ``FEATURES`` only.
    """
    return random_networks_module.random_graph


@pytest.fixture(scope="session")
def random_frames():
    """``(network, seed, samples=2, steps=9, rate=0.3)``: an input of the network's kind."""
    return random_networks_module.random_frames
