"""The classifier: published sizes, what each mode trains, what a frozen encoder keeps."""

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch.utils.flop_counter import FlopCounterMode

from conversion.classifier import build_classifier
from conversion.clips import WindowClips
from conversion.encoder import Encoder
from conversion.images import WindowImages
from conversion.transfer import TransferConfig
from snn.errors import ModelError, TrainingError
from snn.training import (
    AugmentConfig,
    ImageAugmentConfig,
    TrainingConfig,
    best_epoch,
    evaluate,
    read_checkpoint,
    train,
)
from snn.training.optimisers import make_optimiser, set_learning_rate

SIZE = 32
TRAINING = TrainingConfig(
    epochs=3,
    batch_size=8,
    grid_share=0.0,
    optimiser="adam",
    schedule="constant",
    learning_rate=1e-3,
    weight_decay=0.0,
    label_smoothing=0.0,
    augment=ImageAugmentConfig(),
)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def small(mode="finetune", **config):
    """A classifier that starts from an encoder with statistics of its own."""
    torch.manual_seed(1)
    encoder = Encoder(size=SIZE, width=4)
    encoder.train()(torch.randn(16, 3, SIZE, SIZE))
    config = TransferConfig(mode=mode, width=4, head_hidden=16, lstm_hidden=16, **config)
    torch.manual_seed(2)
    return build_classifier(
        config, size=SIZE, n_classes=3, encoder=None if mode == "scratch" else encoder
    )


@pytest.fixture(scope="module")
def windows():
    """A bright square above, in the middle or below: 8 recordings of 4 windows of each class."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 0.4, (24 * 4, 3, SIZE, SIZE)).astype(np.float16)
    recordings, labels = np.repeat(np.arange(24), 4), np.arange(24) % 3
    for image, recording in zip(images, recordings, strict=True):
        top = 2 + 10 * labels[recording] + rng.integers(0, 3)
        image[:, top : top + 6, 10:22] = rng.uniform(0.6, 1.0)
    names = tuple(f"r{i}" for i in range(24))
    return WindowImages(
        images=images, recordings=recordings, numbers=np.tile(np.arange(4), 24), labels=labels,
        names=names, subjects=names,
    )  # fmt: skip


def test_the_published_network_has_its_numbers_of_parameters():
    config = TransferConfig(mode="scratch", window=3, lstm_layers=3)
    network = build_classifier(config, size=256, n_classes=7)
    assert parameters(network.lstm) == 6_303_744
    assert parameters(network.head) == 133_127
    assert parameters(network.encoder) == 19_540_672


def test_without_an_lstm_the_head_sees_the_features_of_one_image():
    network = small("scratch").eval()
    clips = torch.randn(2, 1, 3, SIZE, SIZE)
    first, _, _, last = network.head
    features = network.encoder(clips[:, 0])
    expected = torch.relu(features @ first.weight.T + first.bias) @ last.weight.T + last.bias
    assert torch.allclose(network(clips).scores, expected, atol=1e-6)
    assert network(clips).trains == {}


def test_an_lstm_answers_after_its_last_step():
    """Against the equations of the LSTM, step by step (gates in torch's order i, f, g, o)."""
    network = small("scratch", window=3, lstm_layers=1).eval()
    clips = torch.randn(2, 3, 3, SIZE, SIZE)
    h = c = torch.zeros(2, 16)
    lstm = network.lstm
    for image in clips.unbind(1):
        gates = network.encoder(image) @ lstm.weight_ih_l0.T + lstm.bias_ih_l0
        i, f, g, o = (gates + h @ lstm.weight_hh_l0.T + lstm.bias_hh_l0).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    assert torch.allclose(network(clips).scores, network.head(h), atol=1e-6)


def test_scratch_is_drawn_as_torch_draws():
    """Uniform within 1 / sqrt(inputs of a unit), for convolutions and linear layers alike."""
    network = small("scratch")
    for layer, fan_in in ((network.encoder.bottleneck, 32 * 16), (network.head[0], 32)):
        bound = 1 / math.sqrt(fan_in)
        assert 0.9 * bound < float(layer.weight.abs().max()) <= bound
        assert float(layer.weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_all_modes_start_with_the_same_head():
    heads = [small(mode, window=2, lstm_layers=1) for mode in ("scratch", "frozen", "finetune")]
    for other in heads[1:]:
        for part in ("lstm", "head"):
            ours, theirs = (getattr(n, part).state_dict() for n in (heads[0], other))
            assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_each_mode_trains_what_it_should_at_its_rate(windows, tmp_path):
    clips = WindowClips(windows)
    rates = {}
    for mode in ("scratch", "frozen", "finetune"):
        network = small(mode)
        config = dataclasses.replace(TRAINING, epochs=1)
        train(network, clips, clips, config, checkpoint=tmp_path / f"{mode}.pt")
        saved = read_checkpoint(tmp_path / f"{mode}.pt")["optimiser"]["param_groups"]
        rates[mode] = [(g["lr"], len(g["params"])) for g in saved]
    # 5 convolutions and 3 norms with a weight and a bias each; two linear layers
    assert rates["scratch"] == [(1e-3, 20)]
    assert rates["frozen"] == [(1e-3, 4)]
    assert rates["finetune"] == [(pytest.approx(1e-4), 16), (1e-3, 4)]


def test_the_first_step_of_adam_moves_each_group_by_its_rate():
    """Adam's first step is the rate times the gradient's sign, wherever it is not tiny."""
    network = small("finetune").train()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser = make_optimiser(network, TRAINING)
    set_learning_rate(optimiser, network, 1e-3)
    loss = network(torch.randn(8, 1, 3, SIZE, SIZE)).scores.square().sum() * 1e3
    loss.backward()
    optimiser.step()
    moved = {n: float((p - before[n]).abs().max()) for n, p in network.named_parameters()}
    assert moved["head.0.weight"] == pytest.approx(1e-3, rel=0.01)
    assert moved["encoder.bottleneck.weight"] == pytest.approx(1e-4, rel=0.01)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_frozen_encoder_stays_as_it_came(windows, tmp_path, keeps):
    network = small("frozen", frozen_statistics=keeps)
    before = {k: v.clone() for k, v in network.encoder.state_dict().items()}
    head = network.head[0].weight.detach().clone()
    clips = WindowClips(windows)
    train(network, clips, clips, TRAINING, checkpoint=tmp_path / "c.pt")
    after = network.encoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {n for n in before if n.split(".")[-1].startswith(("running", "num_batches"))}
    assert len(statistics) == 9
    assert changed == (set() if keeps else statistics)
    assert not torch.equal(head, network.head[0].weight)
    assert all(p.grad is None for p in network.encoder.parameters())


def test_a_frozen_step_costs_less_work():
    """Forward through the encoder once; finetune also goes back: about three times as much."""
    clips = torch.randn(4, 1, 3, SIZE, SIZE)
    counted = {}
    for mode in ("frozen", "finetune"):
        network = small(mode).train()
        with FlopCounterMode(display=False) as counter:
            network(clips).scores.sum().backward()
        counted[mode] = counter.get_total_flops()
    assert 2.5 < counted["finetune"] / counted["frozen"] < 3


def test_statistics_of_a_transferred_encoder_are_not_set_anew(windows, tmp_path):
    """Before training, statistics of a spiking network are those of the first clips; not these."""
    network = small("finetune")
    start = network.encoder.blocks[1].norm.running_mean.clone()
    clips = WindowClips(windows, chosen=np.arange(2))
    config = dataclasses.replace(TRAINING, epochs=1, augment=ImageAugmentConfig(flip=0.0))
    seen = []
    network.encoder.blocks[1].norm.register_forward_pre_hook(
        lambda norm, _: seen.append(norm.running_mean.clone())
    )
    train(network, clips, clips, config, checkpoint=tmp_path / "c.pt")
    assert torch.equal(seen[0], start)
    assert len(seen) == 2  # the only batch, and the validation: nothing ran before them


@pytest.mark.parametrize("mode", ["scratch", "finetune"])
def test_it_learns_and_an_interrupted_training_ends_with_the_same_weights(windows, tmp_path, mode):
    clips = WindowClips(windows, window=2)
    config = dataclasses.replace(TRAINING, epochs=6, learning_rate=5e-3, selection="recording")
    whole = small(mode, window=2, lstm_layers=1)
    history = train(whole, clips, clips, config, checkpoint=tmp_path / "whole.pt")
    best = best_epoch(history, "recording")
    assert best.validation_recording_accuracy > 0.8  # chance is a third
    assert evaluate(whole, clips).recording_accuracy == best.validation_recording_accuracy

    class Killed(Exception):
        pass

    def kill(metrics):
        if metrics.epoch == 2:
            raise Killed

    again = {"checkpoint": tmp_path / "cut.pt"}
    with pytest.raises(Killed):
        train(small(mode, window=2, lstm_layers=1), clips, clips, config, on_epoch=kill, **again)
    resumed = small(mode, window=2, lstm_layers=1)
    rows = train(resumed, clips, clips, config, **again)
    assert [row.loss for row in rows] == [row.loss for row in history]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_workers_change_nothing(windows, tmp_path):
    clips = WindowClips(windows)
    weights = []
    for workers in (0, 2):
        network = small("frozen")
        config = dataclasses.replace(TRAINING, epochs=1, workers=workers)
        train(network, clips, clips, config, checkpoint=tmp_path / f"{workers}.pt")
        weights.append(network.head[0].weight)
    assert torch.equal(*weights)


def test_what_does_not_belong_together_is_refused(windows, tmp_path):
    encoder = Encoder(size=SIZE, width=4)
    for mode, given in (("scratch", encoder), ("frozen", None), ("finetune", None)):
        with pytest.raises(ModelError, match=mode):
            build_classifier(TransferConfig(mode=mode), size=SIZE, n_classes=3, encoder=given)
    with pytest.raises(ModelError, match="images of 64 pixels; the encoder takes 32"):
        build_classifier(TransferConfig(), size=64, n_classes=3, encoder=encoder)
    with pytest.raises(ModelError, match="this network takes"):
        small()(torch.zeros(2, 2, 3, SIZE, SIZE))
    clips = WindowClips(windows)
    frames = dataclasses.replace(TRAINING, augment=AugmentConfig())
    with pytest.raises(TrainingError, match=r"training\.augment\.kind = 'image'"):
        train(small(), clips, clips, frames, checkpoint=tmp_path / "c.pt")
