"""A training of the reconstruction network that is killed often ends with the same weights."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

TASK = """
import numpy as np
import torch
from conversion.reconstruction import ImagePairs, ReconstructionConfig, train_reconstruction
from conversion.reconstruction.checkpoint import read_checkpoint

BATCHES = 7
# What torch imports when it is first used is imported here: children spend their lives training.
torch.optim.Adam([torch.zeros(1, requires_grad=True)]).step()
rng = np.random.default_rng(0)
pairs = ImagePairs(
    rng.random((12, 3, 64, 64)).astype(np.float16), rng.integers(0, 256, (12, 64, 64), np.uint8)
)
config = ReconstructionConfig(width=2, epochs=6, batch_size=4, keep_every=3)

def train_in(folder, on_batch):
    generator, history = train_reconstruction(
        pairs, pairs, config, size=64, checkpoint=folder / "c.pt", encoders=folder,
        on_batch=on_batch,
    )
    return generator, [row.l1 for row in history]
"""


@pytest.mark.slow
def test_kills_change_nothing(tmp_path, kills_change_nothing):
    """Twice in the middle of writing: a kept encoder, and a checkpoint."""
    report = kills_change_nothing(TASK, lives=7, halves={0: "weights", 3: "parts"})
    halves = {name.rsplit(".", 1)[0] for name in report["left"]}
    assert {".c.pt", ".encoder-epoch000.pt"} <= halves  # they were there and have been cleaned up
    assert len(set(report["epochs_done"])) > 2, report  # kills fell into different epochs
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    encoders = sorted(path.name for path in straight.glob("encoder*"))
    assert encoders
    for name in encoders:
        kept = [torch.load(f / name, weights_only=True)["weights"] for f in (straight, cut)]
        assert all(torch.equal(value, kept[1][key]) for key, value in kept[0].items()), name
