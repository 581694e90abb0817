"""Where the runs of a sweep are computed: in this process, or in several on this machine.

Each launcher takes a sweep and the names that are left to do, calls `on_end` after each run, and
when it is interrupted leaves every run in a state that can be resumed.

>>> in_processes(sweep, sweep.unfinished(), workers=4, on_end=lambda name: write_tables(sweep))
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spikeface.progress import Advance, progress_bar
from spikeface.sweeps.execution import execute, termination_interrupts
from spikeface.sweeps.folder import SweepFolder, now
from spikeface.sweeps.plan import lookup, settings

WORKER = "spikeface.sweeps.worker"
INTERRUPTED = 130  # its exit code
POLL_S = 0.2
GRACE_S = 15.0  # for a child to note that it was interrupted
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


def in_this_process(
    sweep: SweepFolder, names: Sequence[str], *, on_end: Callable[[str], None]
) -> None:
    """One run after the other, here."""
    began, all_epochs = time.perf_counter(), sum(_epochs(sweep, name) for name in names)
    done_epochs = 0
    with termination_interrupts():
        for number, name in enumerate(names, start=1):
            left = ""
            if done_epochs:
                per_epoch = (time.perf_counter() - began) / done_epochs
                left = f", about {_minutes(per_epoch * (all_epochs - done_epochs))} left"
            print(f"[{number}/{len(names)}] {name}{left}", file=sys.stderr, flush=True)
            if execute(sweep, name) == "failed":
                print(f"      failed: {sweep.entry(name)['error']}", file=sys.stderr, flush=True)
            done_epochs += _epochs(sweep, name)
            on_end(name)


def in_processes(
    sweep: SweepFolder, names: Sequence[str], *, workers: int, on_end: Callable[[str], None]
) -> None:
    """Up to `workers` runs at a time, each in a process with one thread and a log of its own.

    Where ``CUDA_VISIBLE_DEVICES`` names several GPUs, the workers share them evenly, one GPU a
    process.
    """
    waiting, running, seats = list(names), list[_Child](), list(range(workers))
    total = sum(_epochs(sweep, name) - _finished(sweep, name) for name in names)
    ended = failed = 0
    with termination_interrupts(), progress_bar(total, "sweep", "epoch") as advance:
        try:
            while waiting or running:
                while waiting and seats:
                    running.append(_start(sweep, waiting.pop(0), seats.pop(0)))
                time.sleep(POLL_S)
                for child in list(running):
                    code = child.process.poll()
                    _show_epochs(sweep, child, advance, ended=code is not None)
                    if code is None:
                        continue
                    running.remove(child)
                    seats.append(child.seat)
                    _note_sudden_death(sweep, child.name, code)
                    ended, failed = ended + 1, failed + (sweep.state(child.name) == "failed")
                    advance.note(f"{ended} of {len(names)} runs, {failed} failed")
                    on_end(child.name)
        finally:
            _stop(running)


@dataclass
class _Child:
    name: str
    seat: int  # among the workers
    process: subprocess.Popen[bytes]
    epochs: int
    shown: int


def _start(sweep: SweepFolder, name: str, seat: int) -> _Child:
    with sweep.log(name).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(sweep.path), name],
            stdin=subprocess.PIPE,  # held open: its end tells the child that we are gone
            stdout=log,
            stderr=log,
            env=os.environ | ONE_THREAD | _one_gpu(seat),
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the children in order
        )
    return _Child(name, seat, process, _epochs(sweep, name), _finished(sweep, name))


def _one_gpu(seat: int) -> dict[str, str]:
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu.strip()]
    return {"CUDA_VISIBLE_DEVICES": gpus[seat % len(gpus)]} if gpus else {}


def _stop(children: Sequence[_Child]) -> None:
    """Ask all to end and note how far they came; kill those that do not."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + GRACE_S
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _note_sudden_death(sweep: SweepFolder, name: str, code: int) -> None:
    """For a child that could not note its own end, killed for its memory for example."""
    if code not in (0, INTERRUPTED) and sweep.state(name) != "failed":
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        error = f"its process {how}; see {sweep.log(name)}"
        sweep.note(name, state="failed", ended=now(), error=error)


def _show_epochs(sweep: SweepFolder, child: _Child, advance: Advance, *, ended: bool) -> None:
    """Move the bar by the epochs that a run has finished since; by all when it has ended."""
    finished = child.epochs if ended else _finished(sweep, child.name)
    if finished > child.shown:
        advance(finished - child.shown)
        child.shown = finished


def _epochs(sweep: SweepFolder, name: str) -> int:
    table = settings(sweep.planned[name])
    return int(lookup(table, "training.epochs") or lookup(table, "reconstruction.epochs") or 1)


def _finished(sweep: SweepFolder, name: str) -> int:
    """Epochs in ``metrics.csv``."""
    try:
        with sweep.run(name).metrics.open(newline="", encoding="utf-8") as file:
            return min(_epochs(sweep, name), sum(1 for _ in csv.DictReader(file)))
    except OSError:
        return 0


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(1, minutes)} min"
