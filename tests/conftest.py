"""Settings of all tests: small work runs on one thread, here and in child processes.

And the one check that the trainings of all packages share: kills change nothing.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Two threads that wait for each other beside other work cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests that
# interrupt a child would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Lava sets how processes start when it is imported, which works only before the first one.
if importlib.util.find_spec("lava"):
    import lava.magma.runtime.message_infrastructure.multiprocessing  # noqa: F401


@pytest.fixture
def kills_change_nothing(tmp_path):
    """``(task, lives, halves) -> report``: kill a training often, and compare how it ends.

    See ``killing.py`` for the arguments and the report. The training that was killed and the one
    that was not are left in ``tmp_path``, as ``cut`` and ``straight``.
    """

    def check(task, lives, halves):
        (tmp_path / "task.py").write_text(task)
        script, root = Path(__file__).with_name("killing.py"), Path(__file__).parents[1]
        arguments = [tmp_path / "task.py", tmp_path, lives, json.dumps(halves)]
        result = subprocess.run(
            [sys.executable, script, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout.splitlines()[-1])
        assert len(report["killed"]) == lives and all(report["killed"])
        assert report["epochs_done"] == sorted(report["epochs_done"])
        straight, cut = tmp_path / "straight", tmp_path / "cut"
        names = [sorted(path.name for path in folder.iterdir()) for folder in (straight, cut)]
        assert names[0] == names[1]  # the same files, and nothing half-written
        assert not [name for name in names[0] if name.startswith(".")]
        assert (straight / "losses").read_text() == (cut / "losses").read_text()
        assert_same_tensors(straight / "weights", cut / "weights")
        return report

    return check


def assert_same_tensors(one, other):
    import torch

    ours, theirs = (torch.load(path, weights_only=True) for path in (one, other))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
