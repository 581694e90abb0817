"""One run of a sweep in a process of its own.

    python -m spikeface.sweeps.worker FOLDER NAME

Exit codes: 0 done, 1 failed, 130 interrupted. When standard input ends, whoever started this is
gone, and it stops as if interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from spikeface.sweeps.execution import execute, termination_interrupts
from spikeface.sweeps.folder import SweepFolder

FAILED, INTERRUPTED = 1, 130


def main(folder: str, name: str) -> int:
    """Do the run and return the exit code."""
    try:
        with termination_interrupts():
            _stop_with_parent()
            return FAILED if execute(SweepFolder.open(Path(folder)), name) == "failed" else 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _stop_with_parent() -> None:
    """Wait for the end of standard input in the background, then act as if terminated."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
