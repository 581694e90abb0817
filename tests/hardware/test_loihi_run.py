"""The whole way to a board, with stand-ins for Intel's extension and SLURM (`loihi_stand_in`).

Behind the stand-ins computes Lava's CPU simulation, so the plumbing is real: processes, adapters,
reset schedule, samples after samples, read-out. What they record is compared with the plan.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.loihi import availability
from hardware.backends.loihi.hosts import BoardRequest
from hardware.backends.loihi.plan import plan_run
from hardware.backends.loihi.run import LoihiBackend, run_on_board, tag_of
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense, Direct
from hardware.errors import BackendUnavailableError, UnsupportedNetworkError

STAND_IN = Path(__file__).parent / "loihi_stand_in"
needs_lava = pytest.mark.skipif(not LavaBackend().is_available(), reason="Lava is not installed")


@pytest.fixture
def board(monkeypatch, tmp_path):
    """Stand-ins for the extension (in the child) and for SLURM; the log of their calls."""
    log = tmp_path / "calls.jsonl"
    monkeypatch.setattr(availability, "_exists", lambda name: True)
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("PATH", f"{STAND_IN / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(log))
    for name in ("SLURM", "NOSLURM", "PARTITION", "BOARD", "NXSDKHOST", "LOIHI_GEN"):
        monkeypatch.delenv(name, raising=False)
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def chain(rng, readout="spike_count"):
    """conv (stride 2) - dense, with biases, in 2x5x4: three processes' worth of pitfalls."""
    populations = (
        Cuba(
            name="conv", shape=(3, 3, 2), du=2048, dv=512, vth=90, bias_mant=np.int32([40, -7, 3])
        ),
        Cuba(name="out", shape=(4,), du=4096, dv=1024, vth=60, bias_mant=np.int32([5, 0, -9, 200])),
    )
    synapses = (
        Conv(
            sources=(INPUT,),
            target="conv",
            weight=2 * rng.integers(-40, 60, (3, 2, 3, 3), np.int32),
            stride=(2, 2),
            padding=(1, 1),
        ),
        Dense(sources=("conv",), target="out", weight=2 * rng.integers(-40, 60, (4, 18), np.int32)),
    )
    return ChipNetwork(
        input_shape=(2, 5, 4), populations=populations, synapses=synapses, readout=readout
    )


@needs_lava
@pytest.mark.slow
def test_everything_is_as_planned_and_spikes_are_the_simulators(board):
    rng = np.random.default_rng(3)
    network = chain(rng)
    spikes = (rng.random((3, 6, 2, 5, 4)) < 0.4).astype(np.uint8)
    expected = Simulator().run(network, spikes, probes=every(network, "spikes"))
    assert expected.spikes["out"].min() > 0
    result = run_on_board(
        network,
        spikes,
        request=BoardRequest(partition="oheogulch"),
        measure=("energy", "time"),
        long_run_steps=30,
    )

    for probe in every(network, "spikes"):
        np.testing.assert_array_equal(result.run.traces[probe], expected.traces[probe])
    np.testing.assert_array_equal(result.run.output, expected.output)
    assert {k: v.tolist() for k, v in result.run.synops.items()} == {
        k: v.tolist() for k, v in expected.synops.items()
    }

    plan = plan_run(network, n_samples=3, n_steps=6, measure=("energy", "time"), long_run_steps=30)
    calls = board()
    assert plan.period == 8
    assert [c["num_steps"] for c in calls if c["call"] == "RunSteps"] == [3 * 8 + 2 + 3, 48, 48]
    assert [c["num_steps"] for c in calls if c["call"] == "RunSteps"] == [
        run["steps"] for run in plan.runs
    ]
    resets = [{k: c[k] for k in ("layer", "interval", "offset")} for c in calls if "offset" in c]
    assert resets == list(plan.resets) * 3
    assert plan.resets == (
        {"layer": "conv", "interval": 8, "offset": 2},
        {"layer": "out", "interval": 8, "offset": 3},
    )
    adapters = [(c["call"], c["shape"]) for c in calls if "Adapter" in c["call"]]
    assert adapters[:3] == [(a["adapter"].rpartition(".")[2], a["shape"]) for a in plan.adapters]
    assert adapters == [
        ("PyToN3ConvAdapter", [4, 5, 2]),
        ("NxToPyAdapter", [2, 3, 3]),
        ("NxToPyAdapter", [4]),
        *[("PyToN3ConvAdapter", [4, 5, 2]), ("NxToPyAdapter", [4])] * 2,
    ]
    configured = [c for c in calls if c["call"] == "Loihi2HwCfg"]
    assert [c["profilers"] for c in configured] == [[], ["Loihi2Power"], ["Loihi2ExecutionTime"]]
    wanted = {"SLURM": "1", "PARTITION": "oheogulch", "LOIHI_GEN": "N3B3"}
    assert [c["environment"] for c in configured] == [wanted] * 3
    assert result.plan.as_dict()["environment"] == wanted
    assert configured[0]["models"] == ["PySendModelFixed", "PyReceiveModelFixed"]
    assert [c for c in calls if c["call"] == "Loihi2Power"] == [
        {"call": "Loihi2Power", "num_steps": 48}
    ]

    # The stand-in's made-up 0.5 W and 0.25 W, and 100 us a step of 8 steps.
    assert result.measurements["time"]["time_per_sample_us"] == 800
    assert result.measurements["energy"]["energy_per_sample_mj"] == {
        "total": pytest.approx(0.4),
        "static": pytest.approx(0.2),
        "dynamic": pytest.approx(0.2),
    }
    assert result.tag == "stand-in"
    assert result.cores == 74  # printed by the stand-in, as Intel's compiler does when asked to


@needs_lava
@pytest.mark.slow
def test_a_late_adapter_is_seen_and_a_broken_profiler_takes_nothing_with_it(board, monkeypatch):
    monkeypatch.setenv("STAND_IN_DELAY", "1")
    monkeypatch.setenv("STAND_IN_BREAKS", "Loihi2Power")
    rng = np.random.default_rng(4)
    network = chain(rng, readout="membrane")
    spikes = (rng.random((2, 5, 2, 5, 4)) < 0.4).astype(np.uint8)
    expected = Simulator().run(network, spikes, probes=every(network, "spikes"))
    result = run_on_board(network, spikes, measure=("energy",), long_run_steps=8)
    np.testing.assert_array_equal(result.run.output, expected.output)  # membranes have no adapter
    probe = ("conv", "spikes")
    assert (result.run.traces[probe] != expected.traces[probe]).any()
    np.testing.assert_array_equal(result.later[0][probe], expected.traces[probe])
    assert "power cannot be measured on this board" in result.measurements["energy"]["failed"]


@needs_lava
def test_an_image_is_written_into_the_bias(board):
    rng = np.random.default_rng(5)
    network = ChipNetwork(
        input_shape=(1, 3, 4),
        populations=(
            Cuba(name="eye", shape=(1, 3, 4), du=4096, dv=1024, vth=25, bias_exp=6, bias_mant=2),
            Cuba(name="out", shape=(3,), du=4096, dv=1024, vth=25),
        ),
        synapses=(
            Direct(sources=(INPUT,), target="eye", port="bias"),
            Dense(
                sources=("eye",), target="out", weight=2 * rng.integers(-9, 20, (3, 12), np.int32)
            ),
        ),
        input_bits=6,
    )
    images = rng.integers(-20, 40, (2, 1, 1, 3, 4))
    spikes = np.repeat(images, 7, axis=1)
    expected = Simulator().run(network, spikes, probes=every(network, "spikes"))
    backend = LoihiBackend(request=BoardRequest(host="192.0.2.7", generation="N3C1"), timeout_s=120)
    found = backend.run(network, spikes, probes=[("out", "spikes")])
    assert expected.spikes["out"].min() > 0
    np.testing.assert_array_equal(found.output, expected.output)
    calls = board()
    assert not [c for c in calls if c["call"].startswith("PyTo")]
    assert [c["environment"] for c in calls if c["call"] == "Loihi2HwCfg"] == [
        {
            "NOSLURM": "1",
            "NXSDKHOST": "192.0.2.7",
            "HOST_BINARY": "nxcore/bin/nx_driver_server",
            "LOIHI_GEN": "N3C1",
        }
    ] * 2
    spikes[1, 3] += 1
    with pytest.raises(UnsupportedNetworkError, match="changes within a sample"):
        run_on_board(network, spikes)


def test_without_the_extension_a_run_says_the_state_and_the_next_step(monkeypatch):
    monkeypatch.setattr(availability, "_exists", lambda name: False)
    network = chain(np.random.default_rng(0))
    with pytest.raises(BackendUnavailableError, match=r"not installed.*\nnext: .*INRC") as caught:
        LoihiBackend().run(network, np.zeros((1, 4, 2, 5, 4), int))
    assert "--dry-run" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "stand_in", "tag"),
    [("0.6.0", False, "measured"), (None, False, "stand-in"), ("0.6.0", True, "stand-in")],
)
def test_only_an_installed_extension_measures(version, stand_in, tag):
    assert tag_of({"version": version, "stand_in": stand_in}) == tag


def test_every_stand_in_says_that_it_is_one():
    files = list(STAND_IN.rglob("*.py"))
    names = {".".join(p.relative_to(STAND_IN).with_suffix("").parts) for p in files}
    assert names == set(availability.EXTENSION)
    assert all("\nSTAND_IN = True\n" in p.read_text() for p in files)
    assert not any(str(STAND_IN) in entry for entry in sys.path)
