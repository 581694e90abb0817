"""``--on loihi``: the plan on machines without anything, and a run with stand-ins."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hardware.backends.lava.backend import LavaBackend
from hardware.backends.loihi import availability
from hardware.backends.loihi.run import run_on_board
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.storage import save_network
from hardware.chip.synapses import Conv, Dense
from spikeface.cli import main
from spikeface.networks import board
from spikeface.steps import board as steps
from spikeface.text.board import board_lines, plan_lines

STAND_IN = Path(__file__).parents[1] / "hardware" / "loihi_stand_in"
VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "NXSDKHOST", "LOIHI_GEN")


@pytest.fixture
def chip(tmp_path, monkeypatch):
    """A file with a small network; nothing leads to a board."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(0)
    network = ChipNetwork(
        input_shape=(2, 8, 8),
        populations=(
            Cuba(name="conv", shape=(3, 4, 4), du=4096, dv=400, vth=60),
            Cuba(name="out", shape=(4,), du=4096, dv=200, vth=50, bias_mant=3),
        ),
        synapses=(
            Conv(
                sources=(INPUT,),
                target="conv",
                weight=2 * rng.integers(-30, 60, (3, 2, 3, 3), np.int32),
                stride=(2, 2),
                padding=(1, 1),
            ),
            Dense(
                sources=("conv",), target="out", weight=2 * rng.integers(-30, 60, (4, 48), np.int32)
            ),
        ),
        metadata={"n_steps": 6, "dt_us": 1000},
    )
    path = tmp_path / "small.chip"
    save_network(network, path)
    return path


def simulate(path, *options):
    return main(["simulate", str(path), "--input", "random:0.3", "--on", "loihi", *options])


def test_the_plan_needs_nothing(chip, capsys):
    assert simulate(chip, "--dry-run", "--samples", "2", "--partition", "oheogulch", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["tag"] == "planned" and plan["cores"]["tag"] == "estimated"
    assert plan["environment"] == {"SLURM": "1", "PARTITION": "oheogulch", "LOIHI_GEN": "N3B3"}
    assert [run["name"] for run in plan["runs"]] == [
        "spikes",
        "energy",
        "time",
        "activity",
        "memory",
    ]
    assert plan["board"]["state"] == "not installed" and "INRC" in plan["board"]["next"]
    assert all(p["cores"] == 1 for p in plan["processes"] if p["name"] in ("conv", "out"))
    text = "\n".join(plan_lines(plan))
    for expected in ("PyToN3ConvAdapter: source 0 → input -> conv", "PARTITION=oheogulch"):
        assert expected in text
    assert "measured" not in text


def test_a_run_without_a_board_says_the_state_and_the_next_step(chip, capsys):
    assert simulate(chip) == 3
    said = capsys.readouterr().err
    assert "not installed" in said and "\nnext: " in said


def test_a_network_that_no_board_can_have(tmp_path, capsys):
    network = ChipNetwork(
        input_shape=(3,),
        populations=(Levels(name="graded", shape=(2,), vth=9, levels=4),),
        synapses=(Dense(sources=(INPUT,), target="graded", weight=np.full((2, 3), 2, np.int32)),),
    )
    save_network(network, tmp_path / "graded.chip")
    assert simulate(tmp_path / "graded.chip", "--dry-run") == 1
    assert "refused: graded: graded levels are a neuron of this project" in capsys.readouterr().out
    assert simulate(tmp_path / "graded.chip") == 1
    assert "no microcode was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--on", "lava", "--dry-run"], "--dry-run: only with --on loihi"),
        (["--board", "x", "--host", "y", "--on", "loihi"], "without SLURM"),
        (["--strict", "--on", "loihi"], "a board does not look"),
    ],
)
def test_options_that_cannot_be_meant(chip, capsys, options, message):
    assert main(["simulate", str(chip), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not LavaBackend().is_available(), reason="Lava is not installed")
def test_a_stand_in_is_compared_but_never_called_measured(chip, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(availability, "_exists", lambda name: True)
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("PATH", f"{STAND_IN / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "calls.jsonl"))
    monkeypatch.setattr(
        board,
        "run_on_board",
        lambda *a, **o: run_on_board(*a, **(o | {"measure": ("time",), "long_run_steps": 8})),
    )
    saved = tmp_path / "all.npz"
    assert simulate(chip, "--samples", "2", "--board", "ncl-ext-og-01", "--save", str(saved)) == 0
    text = capsys.readouterr().out
    assert "NOT MEASURED: what ran only stands in for Intel's extension" in text
    assert "every spike of every layer equals the simulator's" in text
    assert "counts per sample, stand-in" in text
    assert np.load(saved)["spikes:conv"].shape == (2, 6, 3, 4, 4)

    monkeypatch.setenv("STAND_IN_DELAY", "1")
    assert simulate(chip, "--samples", "2", "--json") == 0
    section = json.loads(capsys.readouterr().out)
    assert section["tag"] == section["loihi"]["tag"] == "stand-in"
    parity = section["loihi"]["parity"]
    assert not parity["equal"] and parity["steps_later"] == 1
    assert "1 step(s) later" in parity["statement"]
    assert parity["first_divergence"]["population"] == "conv"
    assert section["loihi"]["measurements"]["time"]["time_per_sample_us"] == 800
    assert "measured" not in json.dumps(section["loihi"]["measurements"])
    assert "stand-in" in board_lines(section["loihi"])[0]


@pytest.mark.parametrize("tag", ["measured", "stand-in"])
def test_a_run_folder_keeps_only_what_a_chip_measured(tag, monkeypatch):
    network, frames, labels = object(), np.zeros((2, 6, 2, 8, 8), int), np.array([1, 3])
    answers = SimpleNamespace(prediction=np.array([1, 0]))
    monkeypatch.setattr(steps, "_clips", lambda run: (network, frames, labels))
    monkeypatch.setattr(steps, "measure", lambda *a, **o: (answers, {"tag": tag}))
    kept = {}
    run = SimpleNamespace(update_report=kept.update)
    section = steps.run_test_set_on_loihi(run)
    assert section["accuracy"] == {"value": 0.5, "tag": tag, "n": 2}
    assert kept == ({"loihi": section} if tag == "measured" else {})
