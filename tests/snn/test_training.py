"""The training loop: it learns, refuses dead networks, and resumes to the same weights."""

import dataclasses

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import TrainingError
from snn.events.augment.batch import AugmentConfig, augment
from snn.models import ModelConfig, build
from snn.training import (
    Split,
    TrainingConfig,
    check_alive,
    evaluate,
    first_argmax,
    read_checkpoint,
    train,
)

SHAPE = (2, 12, 12)
CONFIG = TrainingConfig(
    epochs=4,
    grid_share=0.5,
    batch_size=8,
    learning_rate=1e-2,
    augment=AugmentConfig(shift=1, drop=0.1),
)


@pytest.fixture(scope="module")
def split():
    """Class 0 moves in the upper half, class 1 in the lower."""
    rng = torch.Generator().manual_seed(0)
    frames = (torch.rand(48, 6, *SHAPE, generator=rng) < 0.02).float()
    labels = torch.arange(48) % 2
    busy = torch.rand(48, 6, 2, 6, 12, generator=rng) < 0.2
    for clip, label in enumerate(labels):
        frames[clip, :, :, 6 * label : 6 * label + 6] += busy[clip]
    return Split(frames.clamp(max=1).byte(), labels)


def fresh(**config):
    torch.manual_seed(3)
    model = ModelConfig(channels=(4, 8), kernels=(3, 3), hidden=0, **config)
    return build(model, input_shape=SHAPE, n_classes=2)


def test_it_learns_and_keeps_the_best_epoch(split, tmp_path):
    network = fresh()
    config = dataclasses.replace(CONFIG, epochs=8, augment=AugmentConfig(flip=0, shift=0, drop=0))
    history = train(network, split, split, config, checkpoint=tmp_path / "c.pt")
    best = max(row.validation_accuracy for row in history)
    assert best > 0.9
    assert evaluate(network, split).accuracy == best


def test_resumed_training_ends_with_the_same_weights(split, tmp_path):
    whole = fresh()
    train(whole, split, split, CONFIG, checkpoint=tmp_path / "whole.pt")

    class Killed(Exception):
        pass

    def kill_after_two(metrics):
        if metrics.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train(
            fresh(), split, split, CONFIG, checkpoint=tmp_path / "cut.pt", on_epoch=kill_after_two
        )
    resumed = fresh()
    history = train(resumed, split, split, CONFIG, checkpoint=tmp_path / "cut.pt")
    assert [row.epoch for row in history] == [0, 1, 2, 3]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_dead_network_is_refused_before_the_first_step(split, tmp_path):
    config = dataclasses.replace(CONFIG, init_rate=0.0)
    with pytest.raises(TrainingError, match=r"cannot learn: conv1 fires in 0 %"):
        train(fresh(threshold=50.0), split, split, config, checkpoint=tmp_path / "c.pt")
    assert not list(tmp_path.iterdir())


def test_a_high_threshold_is_met_by_scaling(split, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1, grid_share=0.0, init_rate=0.1)
    history = train(fresh(threshold=50.0), split, split, config, checkpoint=tmp_path / "c.pt")
    assert 0.02 < history[0].mean_rate < 0.5


def test_rates_that_are_fine_pass():
    check_alive({"a": 0.01, "b": 0.5})
    with pytest.raises(TrainingError, match="b fires in 95 %"):
        check_alive({"a": 0.01, "b": 0.95})


def test_foreign_checkpoints_are_refused(split, tmp_path):
    path = tmp_path / "c.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="not a readable checkpoint"):
        train(fresh(), split, split, CONFIG, checkpoint=path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(TrainingError, match="lacks"):
        read_checkpoint(path)
    path.unlink()
    train(fresh(), split, split, CONFIG, checkpoint=path)
    other = dataclasses.replace(CONFIG, seed=7)
    with pytest.raises(TrainingError, match="another configuration"):
        train(fresh(), split, split, other, checkpoint=path)


def test_ties_go_to_the_first_class():
    counts = torch.tensor([[0, 2, 2], [0, 0, 0], [1, 0, 1]])
    assert first_argmax(counts).tolist() == [1, 0, 0]


def test_augmentation_is_seeded_and_leaves_its_input_alone():
    frames = (torch.rand(4, 3, *SHAPE) < 0.3).float()
    before = frames.clone()
    config = AugmentConfig(flip=0.5, shift=3, drop=0.3)
    first, second = (
        augment(frames, config, torch.Generator().manual_seed(seed)) for seed in (1, 1)
    )
    assert torch.equal(first, second)
    assert torch.equal(frames, before)
    assert not torch.equal(first, augment(frames, config, torch.Generator().manual_seed(2)))
    assert set(first.unique().tolist()) <= {0.0, 1.0}


def test_a_shift_moves_the_whole_clip():
    frames = torch.zeros(1, 2, 2, 5, 5)
    frames[..., 2, 2] = 1
    config = AugmentConfig(flip=0.0, shift=2, drop=0.0)
    moved = augment(frames, config, torch.Generator().manual_seed(5))
    assert moved.sum() == frames.sum()
    assert torch.equal(moved[0, 0, 0], moved[0, 1, 1])
