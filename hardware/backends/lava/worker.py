"""The child process in which Lava runs: ``python -m hardware.backends.lava.worker``.

Lava forks one process for each of its processes, waits for them without limit, hides the
exception that ended one of them, and leaves its shared memory behind when it is killed. This
process is the fence around all that. It reports over its standard output, a line a message:

    running     Lava is up
    sample      one more sample is finished
    done        every recording is complete and Lava has stopped
    failed      ``failure.json`` says why; everything may be killed

and ends its session when the owner goes away. `hardware.backends.lava.backend` is the other side.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import traceback
from collections.abc import Callable
from multiprocessing import connection, shared_memory
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from hardware.backends.lava.leftovers import end_session, segment_prefix

if TYPE_CHECKING:
    from hardware.chip.network import ChipNetwork

REQUEST, FAILURE, PROCESSES = "request.json", "failure.json", "processes.json"
NETWORK, FRAMES = "network.chip", "input.npy"
STDIN, STDOUT, STDERR = 0, 1, 2
OWNER_CHECK_S = 1.0


class Report:
    """Messages to the owner. Whatever else is printed goes to standard error from now on."""

    def __init__(self, directory: Path) -> None:
        self._failure = directory / FAILURE
        self._outlet = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)

    def send(self, message: str) -> None:
        """Send one line; it is whole even when several processes send."""
        os.write(self._outlet, f"{message}\n".encode())

    def fail(self, cause: str, details: str) -> None:
        """Say why it ends; the first cause counts, whichever process names it."""
        try:
            with self._failure.open("x") as file:
                json.dump({"cause": cause, "details": details}, file)
        except FileExistsError:
            return
        self.send("failed")

    def fail_with(self, error: BaseException) -> None:
        """Say that an exception ended it."""
        cause = "".join(traceback.format_exception_only(type(error), error)).strip()
        self.fail(cause, traceback.format_exc())


class Watch(Thread):
    """Notices the end of the owner and the death of one of Lava's processes.

    ``children`` are the processes that must live; set it when they are up, clear it before they
    are told to stop.
    """

    def __init__(self, *, owner: int, directory: Path, report: Report) -> None:
        super().__init__(daemon=True)
        self.children: list[BaseProcess] = []
        self._owner = owner
        self._directory = directory
        self._report = report

    def run(self) -> None:
        """Wait, for as long as this process lives."""
        while True:
            # The owner holds the other end of standard input and never writes: it is readable
            # when the owner is gone. A process that the owner forked may hold it too, so the
            # parent is looked at as well.
            sentinels = [child.sentinel for child in self.children]
            ready = connection.wait([STDIN, *sentinels], timeout=OWNER_CHECK_S)
            if STDIN in ready or os.getppid() != self._owner:
                abandon(self._directory)
                return
            for child in self.children:
                if child.sentinel in ready:
                    self._report_death(child)

    def _report_death(self, child: BaseProcess) -> None:
        BaseProcess.join(child)  # Lava's own join forgets the exit code
        code = child.exitcode
        how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        self._report.fail(f"one of Lava's processes died ({how})", "")
        self.children = []


def abandon(directory: Path) -> None:
    """End this session from outside of it and remove what it leaves."""
    worker = os.getpid()
    if os.fork() == 0:
        os.setsid()
        end_session(worker)
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(0)


def name_resources(directory: Path) -> None:
    """Let everything that multiprocessing creates from now on be traced to this worker.

    There is no public way: the names are those of Python 3.10, the only one in which Lava runs.
    Its limit of 14 characters for a segment is that of some other systems; Linux allows 255.
    """
    prefix = segment_prefix(os.getpid())
    names = {"_SHM_NAME_PREFIX": f"/{prefix}", "_SHM_SAFE_NAME_LENGTH": len(prefix) + 10}
    vars(shared_memory).update(names)
    configuration = vars(multiprocessing.current_process())["_config"]
    configuration.update(semprefix=f"/{prefix}", tempdir=str(directory))


def report_exceptions(report: Report) -> None:
    """Let the processes that Lava forks report their exceptions.

    Lava catches them in ``SystemProcess.run`` and stores them for a reader that never comes when
    another process waits for the one that failed.
    """
    from lava.magma.runtime.message_infrastructure import multiprocessing as infrastructure

    class ReportingProcess(infrastructure.SystemProcess):
        def run(self) -> None:
            try:
                multiprocessing.Process.run(self)
            except Exception as error:
                report.fail_with(error)
                raise

    infrastructure.SystemProcess = ReportingProcess


def simulate(directory: Path, report: Report, watch: Watch) -> None:
    """Run all samples of the request in the directory."""
    from hardware.chip.storage import load_network

    request = json.loads((directory / REQUEST).read_text())
    network = load_network(directory / NETWORK)
    for first, n_samples in request["starts"]:
        run_samples(directory, network, request, first, n_samples, report=report, watch=watch)


def run_samples(
    directory: Path,
    network: ChipNetwork,
    request: dict[str, Any],
    first: int,
    n_samples: int,
    *,
    report: Report,
    watch: Watch,
) -> None:
    """Run some samples, one after the other, in one start of Lava."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from hardware.backends.lava.graph import build
    from hardware.backends.lava.processes import Recording

    n_steps, layerwise = request["n_steps"], request["timing"] == "layerwise"
    late = network.depth if layerwise else dict.fromkeys(network.depth, 0)
    n_frames = n_samples * n_steps
    graph = build(
        network,
        frames=directory / FRAMES,
        first=first * n_steps,
        n_frames=n_frames,
        period=n_steps if layerwise else 0,
        recordings={
            (name, variable): Recording(directory / file, dtype, late[name], n_frames)
            for name, variable, file, dtype in request["recordings"]
        },
        floating=request["precision"] == "floating_pt",
    )
    names = sorted({f"{type(p).__module__}.{type(p).__name__}" for p in graph.models})
    (directory / PROCESSES).write_text(json.dumps(names))
    source = graph.source
    source.create_runtime(
        Loihi2SimCfg(select_tag=request["precision"], exception_proc_model_map=graph.models)
    )
    watch.children = multiprocessing.active_children()
    report.send("running")
    # The last population sees the last frame of a sample this many steps late; the first run makes
    # up for it, and each further one of n_steps completes one more sample everywhere.
    latency = max(late.values())
    for sample in range(n_samples):
        source.run(RunSteps(n_steps + (latency if sample == 0 else 0)))
        report.send("sample")
    watch.children = []
    source.stop()


def serve(job: Callable[[Path, Report, Watch], None]) -> None:
    """Read the command line and do a job behind the fence."""
    parser = argparse.ArgumentParser(description="Runs Lava for its parent process.")
    parser.add_argument("--owner", type=int, required=True, help="process id of the parent")
    parser.add_argument("--directory", type=Path, required=True, help="exchange folder")
    arguments = parser.parse_args()
    report = Report(arguments.directory)
    name_resources(arguments.directory)
    watch = Watch(owner=arguments.owner, directory=arguments.directory, report=report)
    watch.start()
    try:
        report_exceptions(report)
        job(arguments.directory, report, watch)
    except BaseException as error:
        report.fail_with(error)
        raise
    report.send("done")


def main() -> None:
    """Simulate what the command line names."""
    serve(simulate)


if __name__ == "__main__":
    main()
