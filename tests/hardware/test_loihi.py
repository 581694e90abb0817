"""How far a board is, which host leads to it, and what a run would be: all without Lava."""

import importlib.metadata
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware.backends.lava.backend import LavaBackend
from hardware.backends.loihi import availability, hosts, loihi_availability
from hardware.backends.loihi.hosts import BoardRequest, Host, Node, find_host, intended_host
from hardware.backends.loihi.plan import plan_run
from hardware.backends.loihi.probes import derived, energy_per_sample_mj
from hardware.backends.loihi.stock import refusals
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.synapses import Conv, Dense
from hardware.compiler.netx.reader import read_netx

BIN = Path(__file__).parent / "loihi_stand_in" / "bin"
VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "NXSDKHOST", "HOST_BINARY", "LOIHI_GEN")


@pytest.fixture
def nowhere(monkeypatch):
    """Nothing in the environment leads to a board."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    which = hosts.shutil.which
    monkeypatch.setattr(hosts.shutil, "which", lambda n: None if n == "sinfo" else which(n))
    return monkeypatch


@pytest.fixture
def slurm(monkeypatch):
    """Stand-in for SLURM: ``sinfo`` and ``ping`` on PATH."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return monkeypatch


@pytest.fixture
def extension(monkeypatch):
    """Stand-in: as if Intel's extension were installed as a package."""
    monkeypatch.setattr(availability, "_exists", lambda name: True)
    monkeypatch.setattr(availability, "extension_version", lambda: "0.6.0")


def test_without_the_extension(nowhere):
    found = loihi_availability()
    assert not found
    assert found.state == "not installed"
    assert "Research Community" in found.next_step and "--dry-run" in found.next_step


def test_half_an_extension_names_what_is_missing(nowhere):
    nowhere.setattr(availability, "_exists", lambda name: "embedded_io" not in name)
    found = loihi_availability()
    assert found.state == "not installed"
    assert found.reason.endswith("there are no spike adapters (lava.proc.embedded_io.spike)")
    assert "again" in found.next_step


def test_extension_without_a_board(extension, nowhere):
    found = loihi_availability()
    assert found.state == "not reachable"
    assert "lava-loihi 0.6.0 is installed, but neither SLURM" in found.reason
    assert "--host" in found.next_step


def test_a_board_in_slurm(extension, slurm):
    found = loihi_availability()
    assert found and found.state == "available"
    assert found.reason == "lava-loihi 0.6.0, SLURM, SLURM's default partition, any board (N3B3)"
    assert found.host == Host(kind="slurm")


def test_an_extension_that_no_package_owns_is_not_trusted(extension, slurm):
    slurm.setattr(availability, "extension_version", lambda: None)
    found = loihi_availability()
    assert found and "not called measured" in found.reason


@pytest.mark.parametrize(
    ("request_", "reason", "next_step"),
    [
        (BoardRequest(board="ncl-ext-og-02"), "ncl-ext-og-02 is down*", "og-01 (oheogulch, idle)"),
        (BoardRequest(partition="kp"), "ncl-ext-vpx-01 is drain", "another board"),
        (BoardRequest(partition="nahuku"), "no partition 'nahuku'; it has ncl-ext-og-01", "choose"),
        (BoardRequest(board="x", partition="kp"), "no board 'x' in partition 'kp'", "choose"),
        (BoardRequest(host="h", board="x"), "reached without SLURM", "one way"),
        (BoardRequest(generation="N2A2"), "generation 'N2A2': there are N3B2", "one way"),
    ],
)
def test_what_slurm_cannot_give(extension, slurm, request_, reason, next_step):
    found = loihi_availability(request_)
    assert found.state == "not reachable"
    assert reason in found.reason and next_step in found.next_step


@pytest.mark.parametrize(
    ("state", "reached"),
    [
        *[(state, True) for state in ("idle", "alloc", "mix", "comp", "resv")],
        *[(state, False) for state in ("down", "down*", "idle*", "drain", "drng", "maint")],
    ],
)
def test_states_of_nodes(slurm, state, reached):
    slurm.setenv("STAND_IN_NODES", state)
    assert isinstance(find_host(BoardRequest(partition="oheogulch")), Host) is reached


def test_a_cluster_that_is_down(slurm):
    slurm.setenv("STAND_IN_NODES", "broken")
    found = find_host(BoardRequest())
    assert "Unable to contact slurm controller" in found.reason


def test_sinfo_as_lavas_own_tests_print_it(monkeypatch):
    """Its text in lava-nc's ``tests/lava/utils/test_slurm.py``."""
    printed = """NODELIST NODES PARTITION  STATE
        node1       1     partition1 idle
        node2       1     partition2 down"""
    answer = type("Done", (), {"stdout": printed})
    monkeypatch.setattr(hosts.subprocess, "run", lambda *a, **k: answer)
    assert hosts.read_nodes() == [
        Node("node1", "partition1", "idle"),
        Node("node2", "partition2", "down"),
    ]


@pytest.mark.skipif(not LavaBackend().is_available(), reason="Lava is not installed")
def test_lava_itself_fails_on_what_sinfo_prints(slurm):
    """Why `hosts` reads it: when this fails, Lava was repaired."""
    from lava.utils import slurm as lavas

    with pytest.raises(IndexError):
        lavas.set_partition("oheogulch")


def test_the_environment_says_what_the_options_do_not():
    environment = {"SLURM": "1", "PARTITION": "kp", "BOARD": "b", "LOIHI_GEN": "N3C1"}
    host = intended_host(BoardRequest(), environment | {"NXSDKHOST": "10.0.0.7"})
    assert host == Host(kind="slurm", partition="kp", board="b", generation="N3C1")
    assert host.environment == environment
    named = intended_host(BoardRequest(board="other"), environment)
    assert (named.board, named.partition) == ("other", None)
    ethernet = intended_host(BoardRequest(), {"NXSDKHOST": "10.0.0.7", "NOSLURM": "1"})
    assert ethernet.environment == {
        "NOSLURM": "1",
        "NXSDKHOST": "10.0.0.7",
        "HOST_BINARY": "nxcore/bin/nx_driver_server",
        "LOIHI_GEN": "N3B3",
    }


def test_a_host_on_the_network(slurm):
    slurm.setenv("NXSDKHOST", "127.0.0.1")
    assert find_host(BoardRequest()) == Host(kind="ethernet", address="127.0.0.1")
    slurm.setenv("STAND_IN_PING", "no")
    with socket.create_server(("127.0.0.1", 0)) as server:
        slurm.setattr(hosts, "SSH_PORT", server.getsockname()[1])
        found = find_host(BoardRequest())
        assert "but not to ping" in found.reason and "ICMP" in found.next_step
    found = find_host(BoardRequest())
    assert found.reason == "127.0.0.1 does not answer"
    slurm.setattr(hosts.shutil, "which", lambda name: None)
    assert "there is no ping here" in find_host(BoardRequest()).reason


def test_everything_that_stock_models_lack_is_told_by_layer():
    weight = np.full((3, 2, 3, 3), 2, np.int32)
    rising = np.int32([9, 10, 11])
    network = ChipNetwork(
        input_shape=(2, 6, 6),
        populations=(
            Cuba(name="soft", shape=(3, 6, 6), du=4096, dv=9, vth=rising, reset="subtract"),
            Cuba(name="shy", shape=(3, 6, 6), du=4096, dv=9, vth=9, refractory=2, v_init=7),
            Levels(name="graded", shape=(3, 6, 6), vth=9, levels=4),
            Cuba(name="out", shape=(3, 6, 6), du=4096, dv=9, vth=9),
        ),
        synapses=(
            Conv(sources=(INPUT,), target="soft", weight=weight, padding=(1, 1), weight_exp=1),
            conv("soft", "shy"),
            conv("shy", "graded"),
            conv("graded", "out", message_bits=3),
            conv("soft", "out"),
        ),
    )
    found = refusals(network)
    assert found == [
        "soft: reset by subtraction; the model of Lava resets to zero",
        "soft: vth differ from neuron to neuron; Lava declares one value a layer",
        "shy: a rest of 2 steps; the model of Lava has none",
        "shy: an initial voltage; the model of Lava begins at zero",
        "graded: graded levels are a neuron of this project, for which no microcode was written",
        "input -> soft: weight exponent 1; Lava's convolution ignores exponents (lava-nc/lava#803)",
        "soft -> out: messages wait 2 steps for the longer path; a chip needs relay neurons for "
        "that, which the network does not have",
    ]
    plan = plan_run(network, n_samples=1, n_steps=4)
    assert list(plan.refused) == found
    assert "graded -> out: graded messages" in plan.unverified


def conv(source, target, **options):
    weight = np.full((3, 3, 3, 3), 2, np.int32)
    return Conv(sources=(source,), target=target, weight=weight, padding=(1, 1), **options)


def test_a_loop_needs_a_start_for_each_sample():
    weight = np.full((4, 4), 2, np.int32)
    network = ChipNetwork(
        input_shape=(4,),
        populations=(Cuba(name="loop", shape=(4,), du=4096, dv=9, vth=9),),
        synapses=(
            Dense(sources=(INPUT,), target="loop", weight=weight),
            Dense(sources=("loop",), target="loop", weight=weight, delay=np.int32(1)),
        ),
    )
    plan = plan_run(network, n_samples=5, n_steps=10, measure=())
    assert plan.fresh and not plan.refused
    assert plan.runs[0]["starts"] == 5 and plan.runs[0]["steps"] == 16 + 1 + 3
    assert plan.adapters[0]["adapter"].endswith("PyToNxAdapter")


def test_pilotnet_is_planned_with_intels_own_cores():
    """Intel's compiler printed 74 cores (lava-dl, pilotnet_snn/benchmark.ipynb)."""
    try:
        installed = importlib.metadata.distribution("lava-dl")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lava-dl is not installed")
    file = Path(installed.locate_file("tests/lava/lib/dl/netx/gts/pilotnet_lif/network.net"))
    if not file.is_file():
        pytest.skip("lava-dl's test networks are not installed")
    network = read_netx(file)
    printed = [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    cores = dict(zip((p.name for p in network.populations), printed, strict=True))
    plan = plan_run(network, n_samples=2, n_steps=16, cores=cores)
    assert plan.cores == 74 and not plan.refused
    # An image is held in the bias: no input adapter. Intel's recordings reset layer k, conv-0
    # being k = 1, at steps t with t mod 16 = (k + 1) mod 16.
    assert {a["adapter"].rpartition(".")[2] for a in plan.adapters} == {"NxToPyAdapter"}
    assert [r["offset"] for r in plan.resets] == [k + 1 for k in range(10)]
    assert plan.runs[1]["probe"]["arguments"] == {"num_steps": 10000}


def test_the_formulas_of_intels_benchmark():
    """PilotNet LIF there: 408.91 frames/s of 16 steps at 0.679 W is 1.661 mJ a frame."""
    step_us = 1e6 / 408.91 / 16
    found = derived("time", {"avg_time_per_step": {"mean": step_us}}, 16)
    assert found["samples_per_s"] == pytest.approx(408.91)
    assert energy_per_sample_mj(0.679, found["time_per_sample_us"]) == pytest.approx(
        1.661, abs=1e-3
    )
    assert derived("energy", {}, 16) == {}


def test_nothing_but_the_child_imports_lava():
    modules = ["", ".hosts", ".availability", ".probes", ".stock", ".plan", ".run", ".worker"]
    script = (
        "import importlib, sys\n"
        f"for name in {modules}: importlib.import_module('hardware.backends.loihi' + name)\n"
        "print([m for m in ('lava', 'torch') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
