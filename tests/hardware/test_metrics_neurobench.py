"""Metrics against NeuroBench's own harness, on networks that both can run.

NeuroBench wants an environment of its own; ``benchmarks/neurobench.py`` says how to make one. Name
its Python in ``SPIKEFACE_PEERS``.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks/neurobench.py"
SPEC = importlib.util.spec_from_file_location("neurobench_side_by_side", PATH)
side_by_side = sys.modules[SPEC.name] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(side_by_side)

# Theirs is counted by call and without padding; ours has another count beside it.
COUNTED_OTHERWISE = {
    ("values as input", "Effective_ACs", "by message, as a chip is charged"),
    ("values as input", "Effective_MACs", "by message, as a chip is charged"),
    ("residual sum", "Effective_ACs", "by message, as a chip is charged"),
    ("residual sum", "Effective_MACs", "by message, as a chip is charged"),
    *((case.name, "Dense", "with padding, as accelerators count") for case in side_by_side.cases()),
}


@pytest.fixture(scope="module")
def peer():
    """A Python that has NeuroBench."""
    python = os.environ.get("SPIKEFACE_PEERS", sys.executable)
    has_it = [python, "-I", "-c", "import neurobench, snntorch"]
    try:
        found = subprocess.run(has_it, capture_output=True, check=False).returncode == 0
    except OSError:
        found = False
    if not found:
        pytest.skip("no neurobench here; name a Python that has it in SPIKEFACE_PEERS")
    return python


@pytest.mark.parametrize("case", side_by_side.cases(), ids=lambda case: case.name)
def test_equals_neurobench(case, peer):
    rows, versions = side_by_side.compare(peer, case)
    assert versions["neurobench"] == "2.3.0"
    assert len(rows) == 17
    differing = {(r["case"], r["metric"], r["note"]) for r in rows if not r["equal"]}
    assert differing == {key for key in COUNTED_OTHERWISE if key[0] == case.name}, rows
