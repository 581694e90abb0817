"""Two processes train as one does: the same losses, the same weights, one checkpoint."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from snn.errors import TrainingError
from snn.training import Team, current_team, read_checkpoint
from snn.training.distributed import share_statistics, team_batch_norm

if not torch.distributed.is_available():
    pytest.skip("this torch has no torch.distributed", allow_module_level=True)

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from snn.models import ModelConfig, build
from snn.training import AugmentConfig, Split, TrainingConfig, evaluate, session, train

out = Path(sys.argv[1])
rng = torch.Generator().manual_seed(0)
split = Split(
    (torch.rand(41, 6, 2, 12, 12, generator=rng) < 0.15).byte(), torch.arange(41) % 3
)
config = TrainingConfig(
    epochs=3, batch_size=7, grid_share=0.34, rate_penalty=0.5, synop_budget=100.0,
    augment=AugmentConfig(flip=0.5, shift=1, drop=0.1),
)
with session("cpu") as team:
    torch.manual_seed(3)
    model = ModelConfig(engine="fused", channels=(4, 8), kernels=(3, 3), hidden=6)
    network = build(model, input_shape=(2, 12, 12), n_classes=3, n_steps=6)
    history = train(network, split, split, config, checkpoint=out / "c.pt")
    found = evaluate(network, split)
    if team.is_first:
        torch.save(network.state_dict(), out / "weights.pt")
    rows = [[m.loss, m.train_accuracy, m.mean_rate, m.synops] for m in history]
    result = {"size": team.size, "rows": rows, "scores": found.scores.tolist(),
              "rates": found.rates, "accuracy": found.accuracy}
    (out / f"result{team.rank}.json").write_text(json.dumps(result))
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def run(folder, *launcher):
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT)
    result = subprocess.run(
        [sys.executable, *launcher, str(script), str(folder)],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return [json.loads(path.read_text()) for path in sorted(folder.glob("result*.json"))]


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(tmp_path):
    (alone,) = run(tmp_path / "one")
    first, second = run(tmp_path / "two", *TORCHRUN)
    assert (alone["size"], first["size"], second["size"]) == (1, 2, 2)
    assert first == second  # every process knows the whole result
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-4)
    assert first["rates"] == pytest.approx(alone["rates"], rel=1e-3)
    assert len(first["scores"]) == 41
    weights = [torch.load(tmp_path / name / "weights.pt") for name in ("one", "two")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)
    # The team's checkpoint is a finished one, whole, and nothing lies beside it.
    assert len(read_checkpoint(tmp_path / "two" / "c.pt")["history"]) == 3
    assert not list((tmp_path / "two").glob(".*"))


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d])
@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_shared_batch_normalisation_is_torchs(kind, momentum):
    torch.manual_seed(0)
    theirs, ours = kind(5, momentum=momentum), kind(5, momentum=momentum)
    for norm in (theirs, ours):
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(0.5, 2, 5))
            norm.bias.copy_(torch.linspace(-1, 1, 5))
    shape = (6, 5) if kind is nn.BatchNorm1d else (6, 5, 3, 4)
    for _ in range(3):
        x = (torch.randn(shape) * 3 + 7).requires_grad_()
        y = x.detach().clone().requires_grad_()
        g = torch.randn(shape)
        expected, found = theirs(x), team_batch_norm(ours, y)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        expected.backward(g)
        found.backward(g)
        torch.testing.assert_close(y.grad, x.grad, rtol=1e-4, atol=1e-5)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    theirs.eval(), ours.eval()
    torch.testing.assert_close(team_batch_norm(ours, x), theirs(x))


def test_one_process_is_a_team_of_its_own():
    team = current_team()
    assert (team.rank, team.size, team.is_first) == (0, 1, True)
    values = torch.arange(3.0)
    assert team.sum(values) is values
    assert team.gather("x") == ["x"] and team.from_first(4) == 4
    parts = [Team(rank, 3).share(torch.arange(7)).tolist() for rank in range(3)]
    assert parts == [[0, 1, 2], [3, 4], [5, 6]]


def test_statistics_that_cannot_be_shared_are_refused(monkeypatch):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(2))

    share_statistics(Odd())  # alone there is nothing to share
    monkeypatch.setattr("snn.training.distributed.current_team", lambda: Team(0, 2))
    with pytest.raises(TrainingError, match="Odd keeps statistics that cannot be shared"):
        share_statistics(nn.Sequential(nn.BatchNorm1d(2), Odd()))
