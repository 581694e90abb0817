"""Lava's bit-accurate CPU simulation, in a supervised child process with a time limit.

Lava, left alone, hangs when one of its processes raises, prints no reason, and leaves processes
and shared memory behind when it is interrupted. Here it runs in a worker
(`hardware.backends.lava.worker`) that can be ended at any time, and everything that it may leave
is gone when `LavaBackend.run` returns or raises. This module does not import Lava.

>>> run = LavaBackend(timeout_s=60).run(network, spikes)
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

import hardware
from hardware.backends.backend import (
    Availability,
    Backend,
    ChipRun,
    Probe,
    Progress,
    Timing,
    count_operations,
    every,
    read_out,
    spoken,
)
from hardware.backends.lava.leftovers import WORKER_MODULE, end_session, folder_prefix
from hardware.backends.lava.limits import Precision, check_expressible
from hardware.backends.lava.worker import FAILURE, FRAMES, NETWORK, PROCESSES, REQUEST
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.registers import INPUT_SHIFT
from hardware.chip.storage import save_network
from hardware.errors import BackendRunError, BackendUnavailableError

LAVA_VERSION = "0.10.0"
LAVA_PYTHON = (3, 10)
FLOATING_STATE = "float64"
POLL_S = 0.1  # between looks at whether the worker lives
LOG, LOG_TAIL = "worker.log", 4000
LONGEST_PARENT = 103 - len("/pymp-12345678/listener-12345678")  # a socket's name has 103 bytes


class LavaBackend(Backend):
    """Runs a ChipNetwork on the CPU with lava-nc, bit-accurate to Lava's model of Loihi.

    Parameters
    ----------
    timeout_s : float
        Limit for a whole call of `run`, in seconds.
    timing : {"layerwise", "pipelined"}
        See `hardware.backends.backend.Timing`. Layerwise samples share one start of Lava,
        pipelined ones have a start each.
    precision : {"fixed_pt", "floating_pt"}
        The models of Lava that compute: integers as on the chip, or the same network in floating
        point, for plain CUBA populations only. A decay of 4096 becomes 1, inputs lose the shift by
        6 and biases are divided by 64, so that nothing is rounded; traces of ``u`` and ``v`` are
        multiplied by 64 again and stand in the units of the integers.

    Notes
    -----
    A CUBA neuron of Lava computes its current in 32 bits. A run whose inputs would leave them
    fails instead of wrapping; the chip has 24, so the specification's strict mode names the neuron
    long before.
    """

    name = "lava"

    def __init__(
        self,
        *,
        timeout_s: float = 300,
        timing: Timing = "layerwise",
        precision: Precision = "fixed_pt",
    ) -> None:
        self.timeout_s = timeout_s
        self.timing: Timing = timing
        self.precision: Precision = precision

    def is_available(self) -> Availability:
        """Whether lava-nc is installed in a Python that it supports."""
        if os.name != "posix":
            return Availability("not installed", "the Lava backend needs Linux or macOS")
        try:
            found = importlib.metadata.version("lava-nc")
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if sys.version_info[:2] != LAVA_PYTHON:
            here, needed = (".".join(map(str, v)) for v in (sys.version_info[:2], LAVA_PYTHON))
            reason = f"Lava {LAVA_VERSION} needs Python {needed}; this is {here}"
            return Availability("not installed", reason)
        if not found or importlib.util.find_spec("lava") is None:
            reason = f"lava-nc is not installed: pip install lava-nc=={LAVA_VERSION}"
            return Availability("not installed", reason)
        return Availability("available", f"lava-nc {found} on the CPU")

    def check(self, network: ChipNetwork) -> None:
        """Refuse what Lava cannot express.

        Raises
        ------
        UnsupportedNetworkError
            When a way back through the network is too long for its delay, a port would be
            connected twice, or a population has no floating-point model.
        """
        check_expressible(network, self.precision)

    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        """Traces of spikes are uint8, of graded messages int64, of states int32 or int64, in
        floating point float64. A run that fails, crashes or is too late raises `BackendRunError`
        with Lava's own traceback.
        """
        started = time.monotonic()
        recordings = tuple(dict.fromkeys((*spoken(network), *probes)))
        with exchange_folder() as folder:
            write_request(folder, network, spikes, recordings, self.timing, self.precision)
            with worker_process(self._command(folder), folder) as worker:
                follow(
                    worker,
                    folder=folder,
                    n_samples=len(spikes),
                    deadline=started + self.timeout_s,
                    limit_s=self.timeout_s,
                    progress=progress,
                )
            traces = read_recordings(folder, network, recordings, self.precision, spikes.shape[:2])
            processes = tuple(json.loads((folder / PROCESSES).read_text()))
        emitted = {name: traces[name, "spikes"] for name, _ in every(network, "spikes")}
        counts, synops, macs = count_operations(network, {INPUT: spikes, **emitted})
        return ChipRun(
            output=read_out(network, traces),
            spikes=counts,
            synops=synops,
            macs=macs,
            traces={probe: traces[probe] for probe in probes},
            wall_s=time.monotonic() - started,
            backend=self.name,
            versions={p: importlib.metadata.version(p) for p in ("lava-nc", "numpy")},
            processes=processes,
        )

    def _command(self, folder: Path) -> list[str]:
        """Command line of the worker."""
        return worker_command(WORKER_MODULE, folder)


@contextmanager
def worker_process(command: list[str], folder: Path) -> Iterator[subprocess.Popen]:
    """A worker in a session of its own, of which nothing is left afterwards."""
    with (
        (folder / LOG).open("wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held open: its end tells the worker that we are gone
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            cwd=Path(hardware.__file__).parents[1],  # where -m looks for this package
            start_new_session=True,
        ) as worker,
    ):
        try:
            yield worker
        finally:
            if worker.returncode is None:
                end_session(worker.pid)


def worker_command(module: str, folder: Path) -> list[str]:
    """Command line of a worker."""
    python = [sys.executable, "-X", "faulthandler", "-m", module]
    return [*python, "--owner", str(os.getpid()), "--directory", str(folder)]


@contextmanager
def exchange_folder() -> Iterator[Path]:
    """A temporary folder that names this process, removed afterwards.

    Raises
    ------
    BackendUnavailableError
        When the names of Lava's sockets beside it would be longer than systems allow.
    """
    if len(os.fsencode(parent := tempfile.gettempdir())) > LONGEST_PARENT:
        raise BackendUnavailableError(
            f"Lava's sockets need a folder for temporary files whose name has at most "
            f"{LONGEST_PARENT} bytes; {parent} has {len(os.fsencode(parent))}: set TMPDIR to "
            "another one"
        )
    with tempfile.TemporaryDirectory(
        prefix=folder_prefix(os.getpid()), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def write_request(
    folder: Path,
    network: ChipNetwork,
    spikes: np.ndarray,
    recordings: tuple[tuple[str, str], ...],
    timing: Timing,
    precision: Precision,
) -> None:
    """Put everything that the worker needs into the folder."""
    save_network(network, folder / NETWORK)
    dtype = np.int32 if network.input_bits else np.uint8
    np.save(folder / FRAMES, spikes.reshape(-1, *network.input_shape).astype(dtype))
    n_samples, n_steps = spikes.shape[:2]
    layerwise = timing == "layerwise"
    request = {
        "timing": timing,
        "precision": precision,
        "n_steps": n_steps,
        # Samples, as (first, number), that share a start of Lava.
        "starts": [(0, n_samples)] if layerwise else [(n, 1) for n in range(n_samples)],
        "recordings": [
            (name, variable, _recording_file(index), _dtype(network, name, variable, precision))
            for index, (name, variable) in enumerate(recordings)
        ],
    }
    (folder / REQUEST).write_text(json.dumps(request))


def read_recordings(
    folder: Path,
    network: ChipNetwork,
    recordings: tuple[tuple[str, str], ...],
    precision: Precision,
    samples_and_steps: tuple[int, ...],
) -> dict[tuple[str, str], np.ndarray]:
    """Traces of shape (N, T, ...) from the files that the worker wrote."""
    traces = {}
    for index, (name, variable) in enumerate(recordings):
        dtype = _dtype(network, name, variable, precision)
        trace = np.fromfile(folder / _recording_file(index), dtype)
        if dtype == FLOATING_STATE:
            trace *= 1 << INPUT_SHIFT
        traces[name, variable] = trace.reshape(*samples_and_steps, *network[name].shape)
    return traces


def _dtype(network: ChipNetwork, name: str, variable: str, precision: Precision) -> str:
    population = network[name]
    if variable == "spikes":
        return "int64" if population.GRADED else "uint8"
    if precision == "floating_pt":
        return FLOATING_STATE
    return "int32" if isinstance(population, Cuba) else "int64"


def _recording_file(index: int) -> str:
    return f"recording-{index}.raw"  # not the name of the population, which may be anything


def follow(
    worker: subprocess.Popen,
    *,
    folder: Path,
    n_samples: int,
    deadline: float,
    limit_s: float,
    progress: Progress | None,
    advice: str = "run fewer samples at once, or use the simulator, which computes the same",
) -> None:
    """Wait until the worker is done.

    Parameters
    ----------
    deadline : float
        On the clock of ``time.monotonic``, in seconds.
    limit_s : float
        The limit to which the deadline belongs, for the message.
    advice : str
        What may help, besides a higher limit, when it is late.

    Raises
    ------
    BackendRunError
        When it fails, dies or is late.
    """
    where = "while starting"
    finished = 0
    for message in messages(worker, deadline):
        if message == "done":
            return
        if message == "failed":
            failure = json.loads((folder / FAILURE).read_text())
            details = failure["details"] or log_tail(folder)
            raise BackendRunError(f"Lava failed {where}: {failure['cause']}\n{details}")
        if message == "late":
            raise BackendRunError(
                f"Lava did not finish in {limit_s:g} s and was stopped {where}; raise timeout_s, "
                f"{advice}"
            )
        if message == "sample":
            finished += 1
            if progress is not None:
                progress(1)
        where = f"in sample {min(finished + 1, n_samples)} of {n_samples}"
    end_session(worker.pid)
    code = worker.wait()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise BackendRunError(
        f"the Lava worker died {where} ({how}); SIGKILL usually means that memory ran out\n"
        f"{log_tail(folder)}"
    )


def messages(worker: subprocess.Popen, deadline: float) -> Iterator[str]:
    """Messages of the worker until it dies; ``"late"`` when the deadline has passed."""
    assert worker.stdout is not None
    pending = b""
    process = psutil.Process(worker.pid)
    while True:
        alive = process.status() != psutil.STATUS_ZOMBIE  # unlike poll(), this keeps its id ours
        wait_s = min(POLL_S, max(0.0, deadline - time.monotonic())) if alive else 0.0
        readable, _, _ = select.select([worker.stdout], [], [], wait_s)
        data = os.read(worker.stdout.fileno(), 1 << 16) if readable else b""
        *lines, pending = (pending + data).split(b"\n")
        yield from (line.decode() for line in lines)
        if not alive and not data:
            return
        if time.monotonic() > deadline:
            yield "late"


def log_tail(folder: Path) -> str:
    """The end of what the worker and Lava printed."""
    return (folder / LOG).read_text(errors="replace")[-LOG_TAIL:]
