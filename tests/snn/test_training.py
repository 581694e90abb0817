"""The training loop: it learns, refuses dead networks, and resumes to the same weights."""

import dataclasses
import math

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import TrainingError
from snn.events.augment.batch import AugmentConfig, augment
from snn.models import ModelConfig, build
from snn.training import (
    Evaluation,
    EventAugmentConfig,
    Split,
    Team,
    TrainingConfig,
    best_epoch,
    check_alive,
    evaluate,
    first_argmax,
    read_checkpoint,
    train,
)
from snn.training.device import has_bf16
from snn.training.objective import Activity, loss_share
from snn.training.optimisers import learning_rate, make_optimiser

SHAPE = (2, 12, 12)
CONFIG = TrainingConfig(
    epochs=4,
    grid_share=0.5,
    batch_size=8,
    learning_rate=1e-2,
    augment=AugmentConfig(shift=1, drop=0.1),
)
STILL = AugmentConfig(flip=0, shift=0, drop=0)


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
    return build(model, input_shape=SHAPE, n_classes=2, n_steps=6)


def test_it_learns_and_keeps_the_best_epoch(split, tmp_path):
    network = fresh()
    config = dataclasses.replace(CONFIG, epochs=8, augment=STILL)
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
    with pytest.raises(TrainingError, match="not readable as saved data"):
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


def test_numbers_of_an_evaluation_by_hand():
    scores = torch.tensor([[3.0, 1, 0], [0, 2, 2], [5, 0, 1], [0, 0, 9], [1, 0, 0]])
    found = Evaluation(scores, torch.tensor([0, 1, 1, 1, 0]), {}, {})
    assert found.predictions.tolist() == [0, 1, 0, 2, 0]
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.confusion.tolist() == [[2, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert found.per_class_accuracy == (1.0, pytest.approx(1 / 3), None)


def test_metrics_name_every_layer_and_count_its_operations(split, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1, grid_share=0.0, learning_rate=1e-9)
    network = fresh()
    (row,) = train(network, split, split, config, checkpoint=tmp_path / "c.pt")
    assert tuple(row.rates) == network.layer_names == ("conv1", "conv2", "readout")
    assert row.mean_rate == pytest.approx(sum(row.rates.values()) / 3)
    neurons = {"conv1": 4 * 6 * 6, "conv2": 8 * 3 * 3, "readout": 2}
    operations = sum(
        row.rates[name] * n * 6 * network.fan_out.get(name, 0.0) for name, n in neurons.items()
    )
    # What the input costs: augmentation drops up to a tenth of its spikes, and moves some out.
    of_input = float(split.frames.float().sum()) / len(split) * network.fan_out["input"]
    assert 0.8 * of_input < row.synops - operations < of_input
    table = row.row()
    assert table["rate.conv1"] == row.rates["conv1"] and table["dead_layers"] == 0
    assert table["lowest_rate"] == min(row.rates.values())
    dead = dataclasses.replace(row, rates={"a": 0.0, "b": 0.5})
    assert dead.dead_layers == ("a",) and dead.row()["dead_layers"] == 1


def test_training_stops_when_patience_ends(split, tmp_path):
    config = dataclasses.replace(
        CONFIG, epochs=9, grid_share=0.0, learning_rate=1e-12, patience=2, augment=STILL
    )
    history = train(fresh(), split, split, config, checkpoint=tmp_path / "c.pt")
    assert len(history) == best_epoch(history).epoch + 3 < 9
    again = train(fresh(), split, split, config, checkpoint=tmp_path / "c.pt")
    assert [row.loss for row in again] == [row.loss for row in history]


def test_a_budget_saves_operations(split, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=8, grid_share=0.0, augment=STILL)
    free = train(fresh(), split, split, config, checkpoint=tmp_path / "a.pt")
    budget = free[-1].synops / 2
    held = dataclasses.replace(config, synop_budget=budget, synop_weight=2.0)
    saving = train(fresh(), split, split, held, checkpoint=tmp_path / "b.pt")
    assert saving[-1].synops < 0.8 * free[-1].synops


def test_prices_of_spikes_by_hand():
    activity = Activity(
        spikes=torch.tensor([30.0, 8.0]),
        operations=torch.tensor(300.0),
        neuron_steps=torch.tensor([100.0, 40.0]),
    )
    logits, labels = torch.zeros(4, 2), torch.tensor([0, 1, 1, 0])

    def loss(**prices):
        config = TrainingConfig(label_smoothing=0.0, **prices)
        return float(loss_share(logits, labels, activity, config, n_clips=4, team=Team()))

    free = loss()
    assert free == pytest.approx(math.log(2))
    assert loss(rate_penalty=10.0, target_rate=0.1) - free == pytest.approx(10 * (0.04 + 0.01) / 2)
    assert loss(synop_budget=200.0, synop_weight=3.0) - free == pytest.approx(3 * 0.5)
    assert loss(synop_budget=400.0) == free


def test_schedules_are_torchs():
    config = TrainingConfig(epochs=7, learning_rate=5e-3, schedule="cosine_epochs")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5e-3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=7)
    for epoch in range(7):
        for share in (0.0, 0.4, 0.9):
            expected = theirs.get_last_lr()[0]
            assert learning_rate(config, epoch + share) == pytest.approx(expected, rel=1e-9)
        optimiser.step()
        theirs.step()
    warm = TrainingConfig(epochs=10, learning_rate=1.0, warm_up=0.2)
    assert [round(learning_rate(warm, e), 6) for e in (0, 1, 2, 6, 10)] == [0.05, 0.5, 1.0, 0.5, 0]
    assert learning_rate(TrainingConfig(epochs=2, learning_rate=1.0, warm_up=0.0), 0.0) == 1.0


def test_sgd_is_the_published_one(split, tmp_path):
    optimiser = make_optimiser(
        fresh(), TrainingConfig(optimiser="sgd", learning_rate=5e-3, weight_decay=5e-4)
    )
    group = optimiser.param_groups[0]
    assert isinstance(optimiser, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (5e-3, 0.9, 5e-4)


def test_all_problems_of_a_recipe_at_once():
    with pytest.raises(TrainingError, match=r"epochs must be .* momentum must lie .* amp must be"):
        TrainingConfig(epochs=0, momentum=1.5, amp="fp16")


def test_what_is_not_there_is_refused(split, tmp_path, monkeypatch):
    def start(**changes):
        config = dataclasses.replace(CONFIG, **changes)
        train(fresh(), split, split, config, checkpoint=tmp_path / "c.pt")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="torch finds no GPU"):
        start(device="cuda")
    monkeypatch.setattr("snn.training.device.has_bf16", lambda device: False)
    with pytest.raises(TrainingError, match="no bfloat16 arithmetic"):
        start(amp="bf16")
    with pytest.raises(TrainingError, match="changes events, and these clips are frames"):
        start(augment=EventAugmentConfig())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not has_bf16("cpu"), reason="this processor has no bfloat16 arithmetic")
def test_bfloat16_learns_too(split, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=8, amp="bf16", augment=STILL)
    network = fresh(engine="fused")
    history = train(network, split, split, config, checkpoint=tmp_path / "c.pt")
    assert max(row.validation_accuracy for row in history) > 0.9
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_an_artificial_network_trains_in_the_same_loop(split, tmp_path):
    torch.manual_seed(0)
    model = ModelConfig(family="resnet", depth=10, width=4)
    network = build(model, input_shape=SHAPE, n_classes=2, n_steps=6)
    config = dataclasses.replace(CONFIG, grid_share=0.0, epochs=6, augment=STILL)
    history = train(network, split, split, config, checkpoint=tmp_path / "c.pt")
    assert max(row.validation_accuracy for row in history) > 0.9
    assert history[0].rates == {} and history[0].row()["lowest_rate"] == 0.0
    with pytest.raises(TrainingError, match=r"set training\.grid_share = 0"):
        train(network, split, split, CONFIG, checkpoint=tmp_path / "d.pt")


def test_a_residual_network_starts_with_silent_branches(split, tmp_path):
    torch.manual_seed(0)
    model = ModelConfig(
        family="sew_resnet", engine="fused", depth=10, width=4, neuron="if", surrogate="atan",
        head_hidden=8,
    )  # fmt: skip
    network = build(model, input_shape=SHAPE, n_classes=2, n_steps=6)
    config = dataclasses.replace(CONFIG, grid_share=0.0, epochs=2, augment=STILL)
    history = train(network, split, split, config, checkpoint=tmp_path / "c.pt")
    assert len(history) == 2 and history[1].loss < history[0].loss


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
