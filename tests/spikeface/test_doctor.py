"""What ``spikeface doctor`` says of a board in each of its states; stand-ins for the later ones.

A process of its own each time: what is on ``PYTHONPATH`` is what is installed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).parents[1] / "hardware" / "loihi_stand_in"


@pytest.fixture
def doctor(tmp_path):
    """``(**environment) -> the entry about a board, the text``; nothing of a board is set."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("SLURM", "PARTITION", "BOARD", "NXSDKHOST", "LOIHI_GEN", "PYTHONPATH")
    }

    def examine(**environment):
        printed = subprocess.run(
            [sys.executable, "-m", "spikeface", "doctor", "--json"],
            env=clean | {"STAND_IN_LOG": str(tmp_path / "log")} | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
        ).stdout
        (entry,) = [
            item
            for item in json.loads(printed)["capabilities"]
            if item["enables"] == "run on a Loihi 2 board"
        ]
        return entry

    return examine


WITH_EXTENSION = {"PYTHONPATH": str(STAND_IN)}
WITH_SLURM = {"PATH": f"{STAND_IN / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def test_no_extension(doctor):
    entry = doctor()
    assert entry["state"] == "not installed" and not entry["available"]
    assert "Research Community" in entry["next"]


@pytest.mark.parametrize(
    ("environment", "reason", "next_step"),
    [
        ({}, "neither SLURM", "--host"),
        (WITH_SLURM | {"STAND_IN_NODES": "drain"}, "ncl-ext-og-01 is drain", "when a board is up"),
        (WITH_SLURM | {"STAND_IN_PING": "no", "NXSDKHOST": "127.0.0.1"}, "127.0.0.1", "ping"),
    ],
)
def test_an_extension_but_no_board(doctor, environment, reason, next_step):
    entry = doctor(**WITH_EXTENSION, **environment)
    assert entry["state"] == "not reachable" and not entry["available"]
    assert reason in entry["reason"] and next_step in entry["next"]


def test_a_board_but_an_extension_that_only_stands_in(doctor):
    entry = doctor(**WITH_EXTENSION, **WITH_SLURM)
    assert entry["state"] == "available" and entry["available"]
    assert "not called measured" in entry["reason"]


def test_the_text_says_what_to_do_next():
    from spikeface.doctor import examine, lines

    text = lines(examine())
    assert sum("next: " in line for line in text) == 1
    assert max(map(len, text)) < 140
