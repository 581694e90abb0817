"""One run of a sweep, from its plan to its numbers.

>>> execute(SweepFolder.open(Path("sweeps/a")), "seed0")
'done'
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hardware.errors import HardwareError
from snn.errors import SnnError
from spikeface.errors import SpikefaceError
from spikeface.runs import RunFolder
from spikeface.sweeps.folder import STEPS, SweepFolder, now

OWN_ERRORS = (SpikefaceError, HardwareError, SnnError)
HANDOVER_S = 30.0  # for the worker of a sweep that was killed to notice and let go of a run


def execute(sweep: SweepFolder, name: str) -> str:
    """Do what is left of a run; an error of the run is noted, not raised.

    Returns
    -------
    {"done", "failed", "running"}
        "running" when another worker has it.
    """
    with sweep.held(name, wait_s=HANDOVER_S) as mine:
        if not mine:
            return "running"
        if sweep.is_finished(name):
            return "done"
        try:
            run = _open(sweep, name)
            sweep.note(name, state="running", started=now(), ended=None, error=None)
            _finish(run, sweep.until)
        except Exception as error:
            if _was_terminated():  # inside compiled code an interrupt ends as another error
                sweep.note(name, state="interrupted", ended=now())
                raise KeyboardInterrupt from error
            if not isinstance(error, OWN_ERRORS):  # ours say all there is to say
                traceback.print_exc()
            sweep.note(name, state="failed", ended=now(), error=_in_one_line(error))
            return "failed"
        except BaseException:
            sweep.note(name, state="interrupted", ended=now())
            raise
        sweep.note(name, state="done", until=sweep.until, ended=now())
        return "done"


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """SIGTERM acts like Ctrl-C inside, so that what is under way says how far it came."""
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let it end in peace
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _was_terminated() -> bool:
    return signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def _open(sweep: SweepFolder, name: str) -> RunFolder:
    run = sweep.run(name)
    if not run.config.exists():  # a worker that was killed there may have left a part of it
        for part in run.path.glob(f".{run.config.name}.*"):
            part.unlink()
    return RunFolder.create(run.path, sweep.planned[name].config, resume=True)


def _finish(run: RunFolder, until: str) -> None:
    """The steps that are not done: training, then, for a spiking network, integers and counts."""
    from spikeface import steps
    from spikeface.config import load_run_config

    config = load_run_config(run.config)
    trained = "reconstruction" if config.task == "reconstruction" else "accuracy"
    todo: dict[str, tuple[str, Callable[[], object]]] = {
        "train": (trained, lambda: steps.train_task(run, config)),
        "quantise": ("quantisation", lambda: steps.quantise(run)),
        "simulator": ("spikes", lambda: steps.run_test_set(run, backends=["simulator"])),
    }
    for step in STEPS[: STEPS.index(until) + 1]:
        section, action = todo[step]
        # Its numbers are in the report last: only with them a step is done.
        if run.is_done(step) and section in run.read_report():
            continue
        if step != "train" and not run.nir.is_file():
            return  # an artificial network: no chip of this kind runs it
        action()


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, OWN_ERRORS) else f"{type(error).__name__}: {text}"
