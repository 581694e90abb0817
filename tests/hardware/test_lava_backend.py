"""Lava against the specification, and everything that can end a run before its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import hardware
from hardware.backends.backend import every
from hardware.backends.lava import backend as lava
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.lava.leftovers import (
    WORKER_MODULE,
    clean,
    find_leftovers,
    folder_prefix,
)
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.storage import save_network
from hardware.chip.synapses import Dense
from hardware.errors import BackendRunError, BackendUnavailableError

AVAILABLE = LavaBackend().is_available()
needs_lava = pytest.mark.skipif(not AVAILABLE, reason=AVAILABLE.reason)

CONV_CHAIN = (
    {"channels": 4, "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"channels": 6, "kernel": (2, 3), "groups": 2, "dilation": (2, 1)},
    7,
    4,
)
ENDLESS = (2000, 50, 6)  # samples, steps and inputs of a run that no test waits for


def assert_equal_to_reference(network, spikes, reference_run):
    probes = [p for variable in ("spikes", "u", "v") for p in every(network, variable)]
    run = LavaBackend(timeout_s=60).run(network, spikes, probes=probes)
    expected = reference_run(network, spikes)
    for probe in probes:
        np.testing.assert_array_equal(run.traces[probe], expected[probe], err_msg=str(probe))
    output = expected[network.output.name, "spikes"].reshape(*spikes.shape[:2], -1)
    np.testing.assert_array_equal(run.output, output.sum(axis=1))
    for name, _ in every(network, "spikes"):
        emitted = expected[name, "spikes"]
        np.testing.assert_array_equal(run.spikes[name], emitted.reshape(len(spikes), -1).sum(1))
    assert run.versions["lava-nc"] == lava.LAVA_VERSION


@needs_lava
@pytest.mark.parametrize(
    ("input_shape", "layers", "n_samples", "n_steps"),
    [
        ((2, 9, 8), CONV_CHAIN, 3, 12),
        ((3, 5, 4), (6, 5), 4, 1),
        ((9,), (8, 6, 3), 2, 9),
        ((2, 6, 7), (*CONV_CHAIN[:1], {"channels": 3, "kernel": (1, 1)}), 1, 8),
    ],
    ids=["conv-dense", "dense-on-image-one-step", "dense", "conv-output"],
)
def test_equal_to_the_specification(
    random_network, reference_run, random_spikes, input_shape, layers, n_samples, n_steps
):
    network = random_network(len(layers), input_shape=input_shape, layers=layers)
    spikes = random_spikes(0, (n_samples, n_steps, *input_shape))
    expected = reference_run(network, spikes)
    rates = [expected[p.name, "spikes"].mean() for p in network.populations]
    assert min(rates) > 0.02 and max(rates) < 0.9, f"the network says little: {rates}"
    assert_equal_to_reference(network, spikes, reference_run)


def constant_population(name, size, **constants):
    return Cuba(
        name=name,
        shape=(size,),
        **constants,
    )


@needs_lava
def test_one_sign_of_weights_register_limits_and_parallel_paths(reference_run):
    """Wrapping currents, saturating voltages; matrices whose sign mode Lava would guess."""
    size, rng = 700, np.random.default_rng(3)
    weights = {"excitatory": 254, "inhibitory": -256, "silent": 0}
    limits = {"du": 10, "dv": 0, "vth": 2**17 - 1, "bias_mant": 0}
    populations = [constant_population(name, 2, **limits) for name in weights]
    populations.append(
        constant_population("output", 3, du=4096, dv=0, vth=0, bias_mant=4095, bias_exp=7)
    )
    synapses = [
        Dense(sources=(INPUT,), target=name, weight=np.full((2, size), weight, np.int32))
        for name, weight in weights.items()
    ] + [
        Dense(
            sources=(name,), target="output", weight=2 * rng.integers(-128, 128, (3, 2), np.int32)
        )
        for name in weights
    ]
    network = ChipNetwork(
        input_shape=(size,), populations=tuple(populations), synapses=tuple(synapses)
    )
    spikes = (rng.random((2, 10, size)) < 0.6).astype(bool)
    expected = reference_run(network, spikes)
    assert (np.diff(np.sign(expected["excitatory", "u"]), axis=1) != 0).any()
    assert np.abs(expected["inhibitory", "v"]).max() == 2**23 - 1
    assert_equal_to_reference(network, spikes, reference_run)


def test_says_why_it_is_not_available(random_network, monkeypatch):
    monkeypatch.setattr(lava, "LAVA_PYTHON", (2, 7))
    availability = LavaBackend().is_available()
    assert not availability and "needs Python 2.7; this is 3." in availability.reason
    with pytest.raises(BackendUnavailableError, match="needs Python"):
        LavaBackend().run(
            random_network(0, input_shape=(4,), layers=(3,)), np.zeros((1, 1, 4), int)
        )


@pytest.fixture
def endless(random_network, random_spikes):
    """A network and spikes that keep Lava busy for minutes."""
    return random_network(5, input_shape=ENDLESS[2:], layers=(5, 4, 3)), random_spikes(0, ENDLESS)


@pytest.fixture
def nothing_left():
    """Check that nothing of the runs of a process is left, now or within ``patience_s``."""

    def remains(owner):
        processes = [
            process.info["pid"]
            for process in psutil.process_iter(["pid", "cmdline"])
            if f"--owner {owner} " in " ".join(process.info["cmdline"] or [])
        ]
        folders = list(Path(tempfile.gettempdir()).glob(f"{folder_prefix(owner)}*"))
        segments = [found for found in find_leftovers() if found.kind == "segment"]
        return processes + folders + segments

    def check(owner=None, patience_s=0.0):
        owner = owner or os.getpid()
        deadline = time.monotonic() + patience_s
        while (found := remains(owner)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not found

    return check


def workers_below(process):
    """Children of a process that are a worker or forked by one."""
    alive = (c for c in process.children() if c.status() != psutil.STATUS_ZOMBIE)
    return [child for child in alive if WORKER_MODULE in child.cmdline()]


FAILING_WORKER = """
from lava.proc.dense.models import PyDenseModelBitAcc
from hardware.backends.lava.worker import main

original = PyDenseModelBitAcc.run_spk

def run_spk(self):
    if self.time_step == 15 and len(self.weights) == 4:
        raise ZeroDivisionError("a synapse broke")
    original(self)

PyDenseModelBitAcc.run_spk = run_spk
main()
"""


@needs_lava
def test_a_folder_that_is_too_long_for_sockets_is_named(random_network, tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    network = random_network(5, input_shape=(6,), layers=(5, 4, 3))
    with pytest.raises(BackendUnavailableError, match=r"at most 71 bytes.*set TMPDIR"):
        LavaBackend().run(network, np.zeros((1, 4, 6), int))
    assert not list(folder.iterdir())


class FailingBackend(LavaBackend):
    """Its worker has a process model that raises while others wait for it."""

    def _command(self, folder):
        command = super()._command(folder)
        arguments = command[command.index("--owner") :]
        return [sys.executable, "-c", FAILING_WORKER, *arguments]


@needs_lava
def test_exception_inside_a_process_model_comes_back(random_network, nothing_left):
    network = random_network(5, input_shape=(6,), layers=(5, 4, 3))
    with pytest.raises(BackendRunError) as caught:
        FailingBackend(timeout_s=40).run(network, np.zeros((3, 10, 6), int))
    first, *traceback = str(caught.value).splitlines()
    assert first == "Lava failed in sample 2 of 3: ZeroDivisionError: a synapse broke"
    assert traceback[0].startswith("Traceback") and "in run_spk" in "".join(traceback)
    nothing_left()


@needs_lava
def test_time_limit_while_starting(endless, nothing_left):
    started = time.monotonic()
    with pytest.raises(BackendRunError, match=r"did not finish in 0\.2 s .* while starting"):
        LavaBackend(timeout_s=0.2).run(*endless)
    assert time.monotonic() - started < 2
    nothing_left()


@needs_lava
def test_time_limit_in_a_sample(endless, nothing_left, monkeypatch):
    passed = [0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed))
    monkeypatch.setattr(lava, "time", clock)
    with pytest.raises(BackendRunError, match=r"did not finish in 60 s .* in sample [23] of 2000"):
        LavaBackend(timeout_s=60).run(*endless, progress=lambda _: passed.append(60))
    nothing_left()


@needs_lava
@pytest.mark.parametrize(
    ("victim", "reason"),
    [
        (lambda worker: worker, "worker died in sample . of 2000 .SIGKILL"),
        (lambda worker: workers_below(worker)[-1], "one of Lava's processes died .SIGKILL"),
    ],
    ids=["worker", "process of lava"],
)
def test_killed_from_outside(endless, nothing_left, victim, reason, capfd):
    def progress(_):
        victim(*workers_below(psutil.Process())).kill()

    with pytest.raises(BackendRunError, match=reason):
        LavaBackend(timeout_s=40).run(*endless, progress=progress)
    nothing_left()
    assert capfd.readouterr() == ("", "")


@needs_lava
def test_interrupted_in_process(random_network, nothing_left):
    finished = []

    def interrupt(n):
        finished.append(n)
        if len(finished) == 3:
            raise KeyboardInterrupt

    network = random_network(5, input_shape=(6,), layers=(5,))
    with pytest.raises(KeyboardInterrupt):
        LavaBackend(timeout_s=40).run(network, np.zeros((3, 10, 6), int), progress=interrupt)
    assert finished == [1, 1, 1]
    nothing_left()


OWNER = """
import sys
import numpy as np
from hardware.backends.lava.backend import LavaBackend
from hardware.chip.storage import load_network

network = load_network(sys.argv[1])
LavaBackend().run(
    network, np.load(sys.argv[2]), progress=lambda n: print("sample", flush=True)
)
"""


@pytest.fixture
def owner(endless, tmp_path):
    """Another Python process in the middle of a run."""
    save_network(endless[0], tmp_path / "network.chip")
    np.save(tmp_path / "spikes.npy", endless[1])
    arguments = [sys.executable, "-c", OWNER, "network.chip", "spikes.npy"]
    environment = os.environ | {"PYTHONPATH": str(Path(hardware.__file__).parents[1])}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment
    ) as process:
        assert process.stdout.readline() == b"sample\n"
        yield process
        process.kill()


@needs_lava
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_owner_ends(owner, nothing_left, how):
    owner.send_signal(how)
    assert owner.wait(timeout=10) == -how
    nothing_left(owner.pid, patience_s=0 if how == signal.SIGINT else 5)


@needs_lava
def test_what_is_left_when_owner_and_worker_are_killed_is_found(owner, nothing_left):
    (worker,) = workers_below(psutil.Process(owner.pid))
    assert not [found for found in find_leftovers() if str(worker.pid) in found.identity]
    worker.suspend()  # it must not see that its owner dies first
    owner.kill()
    owner.wait()
    worker.kill()
    time.sleep(0.2)
    mine = [
        found
        for found in find_leftovers()
        if str(worker.pid) in found.identity or str(owner.pid) in found.identity + found.description
    ]
    assert {found.kind for found in mine} == {"process", "segment", "folder"}
    clean(mine)
    nothing_left(owner.pid, patience_s=2)
