"""Votes of clips for their recording, and the selection of an epoch by them."""

import dataclasses
from dataclasses import dataclass

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import TrainingError
from snn.models import ModelConfig, Network, Response, build
from snn.training import (
    AugmentConfig,
    EpochMetrics,
    Evaluation,
    Split,
    TrainingConfig,
    best_epoch,
    evaluate,
    read_checkpoint,
    train,
    vote,
)
from snn.training.loop import out_of_patience
from snn.training.optimisers import learning_rate, make_optimiser, set_learning_rate

CONFIG = TrainingConfig(
    epochs=3, batch_size=8, grid_share=0.0, augment=AugmentConfig(flip=0, shift=0)
)


@dataclass(frozen=True)
class Parts(Split):
    """Clips that are parts of recordings."""

    recording_ids: torch.Tensor = None


def logits(*probabilities):
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_the_majority_wins_over_one_that_is_sure():
    scores = logits([0.6, 0.4], [0.6, 0.4], [0.01, 0.99])
    found = vote(scores, torch.tensor([1, 1, 1]), torch.tensor([4, 4, 4]))
    assert found.recordings.tolist() == [4]
    assert found.predictions.tolist() == [0] and found.labels.tolist() == [1]
    assert found.accuracy == 0.0


def test_ties_go_to_the_surer_class_and_then_to_the_first():
    """Recordings 0 and 7 are decided by sums of probabilities, 2 by neither."""
    scores = logits(
        [0.48, 0.50, 0.02],
        [0.5, 0.25, 0.25],
        [0.25, 0.5, 0.25],
        [0.32, 0.18, 0.50],
        [0.30, 0.22, 0.48],
        [0.30, 0.50, 0.20],
    )
    labels = torch.tensor([2, 0, 0, 2, 2, 2])
    found = vote(scores, labels, torch.tensor([0, 2, 2, 7, 0, 7]))
    # 0 has a vote for 1 and one for 2, sums 0.72 and 0.50 (0.78 for class 0, which has no vote);
    # 2 one for 0 and one for 1, sums 0.75; 7 one for 2 and one for 1, sums 0.70 and 0.68.
    assert found.predictions.tolist() == [1, 0, 2]
    assert found.labels.tolist() == [2, 0, 2]
    assert found.accuracy == pytest.approx(2 / 3)


def test_a_class_without_a_vote_cannot_win():
    scores = logits([0.45, 0.50, 0.05], [0.45, 0.05, 0.50])
    assert vote(scores, torch.zeros(2).long(), torch.zeros(2).long()).predictions.tolist() == [1]


def test_one_recording_has_one_class():
    with pytest.raises(TrainingError, match="recording 3 has clips of several classes"):
        vote(torch.zeros(3, 2), torch.tensor([0, 0, 1]), torch.tensor([1, 3, 3]))


def test_an_evaluation_knows_its_recordings():
    scores, labels = torch.tensor([[2.0, 0], [0, 1], [3, 0], [0, 1]]), torch.tensor([0, 0, 0, 1])
    found = Evaluation(scores, labels, {}, {}, recordings=torch.tensor([0, 0, 0, 5]))
    assert (found.accuracy, found.recording_accuracy) == (0.75, 1.0)
    assert Evaluation(scores, labels, {}, {}).recording_accuracy is None


class Constant(Network):
    """Answers with the sum of each pixel's weight: enough to be trained."""

    readout = "logits"

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def forward(self, frames):
        return Response(frames.flatten(1).mean(1)[:, None] * self.weight, {})


@pytest.fixture
def parts():
    """Six recordings of four clips; a clip of class 1 is bright, but one in four is not."""
    labels = torch.arange(24) // 4 % 2
    bright = labels.clone()
    bright[3::4] = 1 - bright[3::4]
    frames = torch.where(bright.bool(), 1, -1)[:, None, None, None, None].expand(-1, 1, 1, 4, 4)
    return Parts(frames.float(), labels, torch.arange(24) // 4)


def test_epochs_have_both_accuracies_and_the_best_is_chosen_by_one(parts, tmp_path):
    config = dataclasses.replace(CONFIG, selection="recording")
    network = Constant()
    history = train(network, parts, parts, config, checkpoint=tmp_path / "c.pt")
    assert history[-1].validation_accuracy == 0.75
    assert history[-1].validation_recording_accuracy == 1.0
    assert history[-1].row()["validation_recording_accuracy"] == 1.0
    assert evaluate(network, parts).recording_accuracy == 1.0
    assert read_checkpoint(tmp_path / "c.pt")["best_accuracy"] == 1.0


def row(epoch, clip, recording):
    return EpochMetrics(
        epoch=epoch, loss=1.0, train_accuracy=0.0, validation_accuracy=clip, mean_rate=0.0,
        synops=0.0, on_grid=False, learning_rate=1.0, seconds=1.0, clips_per_second=1.0, rates={},
        validation_recording_accuracy=recording,
    )  # fmt: skip


def test_the_best_epoch_and_patience_by_either():
    history = [row(0, 0.5, 0.9), row(1, 0.7, 0.8), row(2, 0.6, 0.9)]
    assert best_epoch(history).epoch == 1
    assert best_epoch(history, "recording").epoch == 0
    assert "validation_recording_accuracy" not in row(0, 0.5, None).row()
    for selection, over in (("clip", False), ("recording", True)):
        config = dataclasses.replace(CONFIG, patience=2, selection=selection)
        assert out_of_patience(history, config) is over


def test_whole_recordings_have_no_vote(parts, tmp_path):
    config = dataclasses.replace(CONFIG, selection="recording")
    whole = Split(parts.frames, parts.labels)
    with pytest.raises(TrainingError, match=r"have no vote; set training\.selection = 'clip'"):
        train(Constant(), parts, whole, config, checkpoint=tmp_path / "c.pt")
    with pytest.raises(TrainingError, match="selection must be one of clip, recording"):
        TrainingConfig(selection="best")


def test_a_checkpoint_from_before_the_vote_goes_on(tmp_path):
    """Its options lack `selection`, and its epochs the accuracy of recordings."""
    clips = Split((torch.rand(16, 6, 2, 8, 8) < 0.2).byte(), torch.arange(16) % 2)

    def fresh():
        torch.manual_seed(0)
        model = ModelConfig(engine="fused", channels=(2,), kernels=(3,), hidden=0)
        return build(model, input_shape=(2, 8, 8), n_classes=2, n_steps=6)

    whole, path = fresh(), tmp_path / "c.pt"
    history = train(whole, clips, clips, CONFIG, checkpoint=tmp_path / "whole.pt")

    class Killed(Exception):
        pass

    def kill(metrics):
        raise Killed

    with pytest.raises(Killed):
        train(fresh(), clips, clips, CONFIG, checkpoint=path, on_epoch=kill)
    old = read_checkpoint(path)
    del old["config"]["selection"]
    for epoch in old["history"]:
        del epoch["validation_recording_accuracy"]
    torch.save(old, path)
    resumed = fresh()
    rows = train(resumed, clips, clips, CONFIG, checkpoint=path)
    assert [r.loss for r in rows] == [r.loss for r in history]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_adam_by_hand():
    """L2 as part of the gradient: g = 3 + 0.5 · 2; the first step is the rate, whatever g is."""
    network = Constant()
    with torch.no_grad():
        network.weight.fill_(2.0)
    config = dataclasses.replace(CONFIG, optimiser="adam", learning_rate=0.1, weight_decay=0.5)
    optimiser = make_optimiser(network, config)
    network.weight.grad = torch.tensor([3.0, -3.0])
    optimiser.step()
    assert network.weight.tolist() == [pytest.approx(1.9), pytest.approx(2.1)]
    moments = optimiser.state[network.weight]["exp_avg"].tolist()
    assert moments == [pytest.approx(0.1 * 4.0), pytest.approx(0.1 * -2.0)]


def test_a_constant_rate_is_constant_and_groups_have_their_factor():
    config = TrainingConfig(schedule="constant", learning_rate=0.3, epochs=4)
    assert {learning_rate(config, at) for at in (0.0, 0.1, 2.5, 4.0)} == {0.3}

    class Two(Constant):
        def __init__(self):
            super().__init__()
            self.slow = torch.nn.Parameter(torch.zeros(1))

        def parameter_groups(self):
            return [([self.weight], 1.0), ([self.slow], 0.25)]

    network = Two()
    optimiser = make_optimiser(network, config)
    set_learning_rate(optimiser, network, 0.2)
    assert [group["lr"] for group in optimiser.param_groups] == [0.2, 0.05]
