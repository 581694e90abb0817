"""Lava computes what the specification says: 200 random networks, every message and state.

A start of Lava costs seconds, so each runs 25 small networks side by side. A failure names the
seed that draws the network again, alone.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hardware.backends.lava.backend import LavaBackend

AVAILABLE = LavaBackend().is_available()
needs_lava = pytest.mark.skipif(not AVAILABLE, reason=AVAILABLE.reason)

NETWORKS = 25
CUBA = {"subtract", "refractory", "resets", "v_init", "per_neuron"}
THEMES = {
    "chains": {"conv", "dense", "sparse", "per_neuron", "extreme"},
    "images": {"conv", "residual", "skip", "delay", "extreme"},
    "recurrence": {"dense", "sparse", "recurrent", "delay", "skip", "extreme"},
    "graded": {"conv", "dense", "sparse", "graded", "residual", "skip", "bias_input"},
    "sigma-delta": {"conv", "dense", "sigma_delta", "graded", "recurrent", "resets", "per_neuron"},
    "resonators": {"conv", "dense", "resonator", "recurrent", "delay", "graded", "resets"},
    "levels": {"conv", "dense", "sparse", "levels", "graded", "residual", "skip", "per_neuron"},
    "neurons": CUBA | {"conv", "dense", "recurrent", "bias_input"},
    "everything": None,
}


def differences(batch, run):
    """What differs, with the seed of the network and the first place where it does."""
    found = []
    for (name, variable), expected in batch.probes().items():
        where = np.argwhere(run.traces[name, variable] != expected)
        if len(where):
            first = tuple(where[0])
            found.append(
                f"{batch.case(int(name.split('.')[0]))}: {variable!r} of {name} is "
                f"{run.traces[name, variable][first]}, not {expected[first]}, at {first} and "
                f"{len(where) - 1} more"
            )
    return found


def spiking(batch):
    """Share of populations that send anything."""
    return np.mean([trace.any() for (_, v), trace in batch.probes().items() if v == "spikes"])


@needs_lava
@pytest.mark.parametrize("theme", THEMES)
def test_equal_to_the_specification(random_networks, random_batches, theme):
    features = THEMES[theme] or random_networks.FEATURES
    first_seed = 1000 * list(THEMES).index(theme)
    batch = random_batches.draw_batch(first_seed, NETWORKS, features)
    assert spiking(batch) > 0.5
    backend = LavaBackend(timeout_s=200)
    run = backend.run(batch.together, batch.frames, probes=batch.probes())
    assert not (found := differences(batch, run)), "\n".join(found)


@needs_lava
def test_equal_in_pipelined_time(random_batches):
    batch = random_batches.draw_batch(9000, 10, timing="pipelined")
    assert spiking(batch) > 0.5
    backend = LavaBackend(timeout_s=200, timing="pipelined")
    run = backend.run(batch.together, batch.frames, probes=batch.probes())
    assert not (found := differences(batch, run)), "\n".join(found)


def test_a_difference_is_found_and_named(random_networks, random_batches):
    """The comparison itself: one value of one state of one network is changed."""
    batch = random_batches.draw_batch(3, 3)

    traces = {key: trace.copy() for key, trace in batch.probes().items()}
    run = SimpleNamespace(traces=traces)
    assert not differences(batch, run)
    traces[next(key for key in traces if key[0].startswith("2."))].flat[5] ^= 1
    (found,) = differences(batch, run)
    assert found.startswith(f"random_graph({batch.cases[2].seed}, ")
    case = batch.cases[2]
    again = random_networks.random_graph(
        case.seed, batch.features, case.network.input_shape, case.network.input_bits
    )
    for mine, drawn in zip(case.network.synapses, again.synapses, strict=True):
        assert repr(mine) == repr(drawn)
