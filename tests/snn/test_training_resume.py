"""A training that is killed, at any moment and often, ends with the same weights."""

import json

import pytest

pytest.importorskip("torch", reason="torch is not installed")

TASK = """
import torch
import snn.engines.blocks, snn.engines.norse
from snn.models import ModelConfig, build
from snn.training import AugmentConfig, Split, TrainingConfig, read_checkpoint, train

BATCHES = 10
# What torch imports when it is first used is imported here: children spend their lives training.
torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()
rng = torch.Generator().manual_seed(0)
split = Split(
    (torch.rand(40, 6, 2, 12, 12, generator=rng) < 0.1).byte(), torch.arange(40) % 2
)
config = TrainingConfig(
    epochs=12, batch_size=8, grid_share=0.34, augment=AugmentConfig(flip=0.5, shift=1, drop=0.1)
)

def train_in(folder, on_batch):
    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = ModelConfig(channels=(4, 8), kernels=(3, 3), hidden=0)
    network = build(model, input_shape=(2, 12, 12), n_classes=2, n_steps=6)
    history = train(network, split, split, config, checkpoint=folder / "c.pt", on_batch=on_batch)
    return network, [row.loss for row in history]
"""


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path, kills_change_nothing):
    report = kills_change_nothing(TASK, lives=10, halves={4: "network"})
    assert report["left"]  # half a checkpoint was there and has been cleaned up
    assert len(set(report["epochs_done"])) > 3, report  # kills fell into different epochs
    assert len(json.loads((tmp_path / "cut" / "losses").read_text())) == 12
