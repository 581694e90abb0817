"""The training of the reconstruction network: its step, what it keeps, how it goes on."""

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from conversion.encoder import load_encoder
from conversion.pix2pix import Discriminator, Generator
from conversion.quality import image_quality
from conversion.reconstruction import (
    ImagePairs,
    ReconstructionConfig,
    encoder_path,
    evaluate_reconstruction,
    mean_face_quality,
    sample_sheet,
    train_reconstruction,
)
from conversion.reconstruction.statistics import settle_statistics
from snn.errors import TrainingError

CONFIG = ReconstructionConfig(width=2, epochs=5, batch_size=4, keep_every=2, learning_rate=2e-3)


def random_pairs(n, size=32, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((n, 3, size, size)).astype(np.float16)
    return ImagePairs(images, rng.integers(0, 256, (n, size, size), dtype=np.uint8))


PAIRS = random_pairs(10)


def trained(folder, config=CONFIG, pairs=PAIRS, **callbacks):
    return train_reconstruction(
        pairs,
        PAIRS,
        config,
        size=32,
        checkpoint=folder / "checkpoint.pt",
        encoders=folder,
        **callbacks,
    )


def test_pairs_are_scaled_to_one():
    images = np.zeros((2, 3, 32, 32), np.uint8)
    images[1, 2], frames = 255, np.full((2, 32, 32), 51, np.uint8)
    a, b = ImagePairs(images, frames).batch([1, 0])
    assert (a[0, 2] == 1).all() and (a[0, :2] == -1).all() and (a[1] == -1).all()
    torch.testing.assert_close(b, torch.full((2, 3, 32, 32), -0.6))
    floats = ImagePairs((images / 255).astype(np.float16), frames)
    assert torch.equal(floats.batch([1, 0])[0], a) and floats.size == 32 and len(floats) == 2


@pytest.mark.parametrize(
    ("images", "frames"),
    [
        (np.zeros((2, 3, 32, 32)), np.zeros((2, 32, 32), np.uint8)),
        (np.zeros((2, 3, 32, 32), np.float16), np.zeros((2, 32, 32))),
        (np.zeros((2, 3, 32, 32), np.float16), np.zeros((3, 32, 32), np.uint8)),
        (np.zeros((2, 1, 32, 32), np.float16), np.zeros((2, 32, 32), np.uint8)),
        (np.zeros((2, 3, 32, 64), np.float16), np.zeros((2, 32, 64), np.uint8)),
        (np.full((2, 3, 32, 32), 1.5, np.float16), np.zeros((2, 32, 32), np.uint8)),
        (np.full((2, 3, 32, 32), np.nan, np.float16), np.zeros((2, 32, 32), np.uint8)),
    ],
)
def test_pairs_that_are_none(images, frames):
    with pytest.raises(TrainingError, match=r"pairs need|must lie"):
        ImagePairs(images, frames)


def test_all_problems_of_a_configuration_at_once():
    with pytest.raises(TrainingError, match=r"epochs.*batch_size.*dropout.*learning_rate.*device"):
        ReconstructionConfig(epochs=0, batch_size=1, dropout=1, learning_rate=0, device="tpu")
    assert ReconstructionConfig().kept_epochs == tuple(range(0, 101, 10))


def published_steps(generator, discriminator, a, b, n_steps):
    """evTransFER's steps as its code has them: G(A) made twice, sigmoid, cross-entropy, 100 L1."""
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=CONFIG.learning_rate, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    ]
    bce, l1, losses = nn.BCELoss(), nn.L1Loss(), []
    for _ in range(n_steps):
        for p in discriminator.parameters():
            p.requires_grad = True
        optimisers[1].zero_grad()
        made = generator(a)
        of_true, of_made = discriminator(a, b).sigmoid(), discriminator(a, made.detach()).sigmoid()
        ones, zeros = torch.ones(len(a), 1, 14, 14), torch.zeros(len(a), 1, 14, 14)
        critic = 0.5 * (bce(of_true, ones) + bce(of_made, zeros))
        critic.backward()
        optimisers[1].step()
        for p in discriminator.parameters():
            p.requires_grad = False
        optimisers[0].zero_grad()
        made = generator(a)
        adversarial, pixels = bce(discriminator(a, made).sigmoid(), ones), l1(made, b)
        (adversarial + 100 * pixels).backward()
        optimisers[0].step()
        losses.append([critic.item(), adversarial.item(), pixels.item()])
    return losses


def test_steps_are_the_published_ones(tmp_path):
    # Without dropout both makings of G(A) agree; one batch an epoch, whose order does not matter.
    config = dataclasses.replace(CONFIG, batch_size=10, epochs=4, dropout=0.0)
    generator, history = trained(tmp_path, config)
    torch.manual_seed(config.seed)
    expected = Generator(size=32, width=2, dropout=0.0), Discriminator(size=32, width=2)
    start = [p.detach().clone() for p in expected[0].parameters()]
    losses = published_steps(*expected, *PAIRS.batch(range(10)), config.epochs)
    found = [[row.discriminator_loss, row.adversarial_loss, row.l1] for row in history]
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    for p, like, before in zip(
        generator.parameters(), expected[0].parameters(), start, strict=True
    ):
        if like.ndim > 1:  # biases before a norm have no gradient but rounding, which Adam enlarges
            assert (like - before).abs().max() > 1e-3
            torch.testing.assert_close(p, like, atol=2e-4, rtol=1e-3)


def test_settled_statistics_by_hand():
    network = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1))
    first = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)  # mean 2, variance 2
    second = torch.tensor([0.0, 8.0]).view(2, 1, 1, 1)  # mean 4, variance 32
    network(torch.randn(4, 1, 2, 2))
    settle_statistics(network, [first, second])
    assert network[1].running_mean.item() == 3 and network[1].running_var.item() == 17
    assert network[1].momentum == 0.1 and not any(m.training for m in network.modules())


def test_settling_changes_statistics_only(tmp_path):
    networks = []
    for n in (0, 6, 10):
        folder = tmp_path / str(n)
        folder.mkdir()
        networks.append(trained(folder, dataclasses.replace(CONFIG, settling_pairs=n))[0])
    for network in networks[1:]:
        for p, like in zip(network.parameters(), networks[0].parameters(), strict=True):
            assert torch.equal(p, like)
    means = [network.encoder.blocks[1].norm.running_mean for network in networks]
    assert not torch.equal(means[0], means[1]) and not torch.equal(means[1], means[2])
    # All ten pairs once: the mean over three batches, each of its own size, of e2's convolution.
    with torch.no_grad():
        order = torch.randperm(10, generator=torch.Generator().manual_seed(4)).split(4)
        encoder = networks[2].encoder
        batches = [PAIRS.batch(part.tolist())[0] for part in order]
        found = [encoder.blocks[1].conv(encoder.blocks[0](a)).mean((0, 2, 3)) for a in batches]
    torch.testing.assert_close(means[2], torch.stack(found).mean(0), atol=1e-6, rtol=1e-4)


def test_what_is_kept_and_told(tmp_path):
    told, pairs_done = [], []
    generator, history = trained(tmp_path, on_epoch=told.append, on_batch=pairs_done.append)
    assert told == history and [row.epoch for row in history] == list(range(5))
    assert pairs_done == [4, 4, 2] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.pt",
        *(f"encoder-epoch00{epoch}.pt" for epoch in (0, 2, 4, 5)),
    ]
    encoder, about = load_encoder(encoder_path(tmp_path, 5))
    assert about["epoch"] == 5
    for name, value in generator.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)
    untrained = load_encoder(encoder_path(tmp_path, 0))[0].state_dict()
    torch.manual_seed(CONFIG.seed)
    initial = Generator(size=32, width=CONFIG.width, dropout=CONFIG.dropout).encoder
    for name, value in initial.named_parameters():
        assert torch.equal(untrained[name], value)
    assert not generator.training
    quality = evaluate_reconstruction(generator, PAIRS)
    row = history[-1].row()
    assert {name: row[name] for name in quality} == quality
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in row.values())


def test_a_last_batch_of_one_pair_is_left_out(tmp_path):
    pairs_done = []
    config = dataclasses.replace(CONFIG, epochs=1)
    trained(tmp_path, config, random_pairs(9), on_batch=pairs_done.append)
    assert pairs_done == [4, 4]


class Stopped(Exception):
    pass


def test_goes_on_to_the_same_weights(tmp_path):
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    straight.mkdir()
    cut.mkdir()
    generator, history = trained(straight)

    def stop_later(counts):
        counts.append(1)
        if len(counts) == 8:  # in the middle of the third epoch
            raise Stopped

    with pytest.raises(Stopped):
        counts = []
        trained(cut, on_batch=lambda n: stop_later(counts))
    told = []
    torch.rand(3)  # what others draw meanwhile changes nothing
    resumed, again = trained(cut, on_epoch=told.append)
    assert len(told) == 5
    for name, value in generator.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    fields = ("discriminator_loss", "adversarial_loss", "l1", "ssim")
    for row, other in zip(history, again, strict=True):
        assert [getattr(row, f) for f in fields] == [getattr(other, f) for f in fields]
    finished, _ = trained(cut)  # nothing is left to do
    assert torch.equal(finished.out.weight, generator.out.weight)


def test_another_seed_gives_another_network(tmp_path):
    weights = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        config = dataclasses.replace(CONFIG, epochs=1, seed=seed)
        weights.append(trained(folder, config)[0].out.weight)
    assert not torch.equal(*weights)


def test_checkpoints_of_others_are_refused(tmp_path):
    trained(tmp_path, dataclasses.replace(CONFIG, epochs=1))
    with pytest.raises(TrainingError, match=r"another configuration \(epochs, seed differ\)"):
        trained(tmp_path, dataclasses.replace(CONFIG, epochs=2, seed=1))
    path = tmp_path / "checkpoint.pt"
    saved = torch.load(path, weights_only=True)
    saved["parts"]["generator"].popitem()
    torch.save(saved, path)
    with pytest.raises(TrainingError, match="another form"):
        trained(tmp_path, dataclasses.replace(CONFIG, epochs=1))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="not readable as saved data"):
        trained(tmp_path)
    torch.save({"network": {}}, path)
    with pytest.raises(TrainingError, match="lacks"):
        trained(tmp_path)


def test_a_diverged_loss_stops_the_training(tmp_path):
    with pytest.raises(TrainingError, match=r"lower reconstruction\.learning_rate"):
        trained(tmp_path, dataclasses.replace(CONFIG, learning_rate=1e38))


@pytest.mark.parametrize(
    ("training", "validation", "size", "found"),
    [
        (random_pairs(1), PAIRS, 32, "1 training"),
        (PAIRS, random_pairs(0), 32, "0 validation"),
        (PAIRS, PAIRS, 64, "32 and 32 pixels"),
    ],
)
def test_pairs_that_do_not_fit(tmp_path, training, validation, size, found):
    with pytest.raises(TrainingError, match=found):
        train_reconstruction(
            training,
            validation,
            CONFIG,
            size=size,
            checkpoint=tmp_path / "c.pt",
            encoders=tmp_path,
        )
    assert not list(tmp_path.iterdir())


def test_a_missing_gpu_is_named(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(TrainingError, match="no GPU"):
        trained(tmp_path, dataclasses.replace(CONFIG, device="cuda"))


def test_the_mean_face_by_hand():
    dark, light = np.zeros((1, 32, 32), np.uint8), np.full((1, 32, 32), 102, np.uint8)
    images = np.zeros((2, 3, 32, 32), np.float16)
    training = ImagePairs(images, np.concatenate([dark, light]))  # the mean face is 0.2
    quality = mean_face_quality(training, ImagePairs(images[:1], np.full_like(dark, 255)))
    assert quality["mse"] == pytest.approx(0.64) and quality["mae"] == pytest.approx(0.8)
    expected = image_quality(torch.full((1, 1, 32, 32), 0.2), torch.ones(1, 1, 32, 32))
    assert quality["ssim"] == pytest.approx(expected["ssim"].item())


def test_sheet_shows_image_made_face_and_true_face():
    generator = Generator(size=32, width=2)
    sheet = sample_sheet(generator, PAIRS, [7, 2])
    assert sheet.shape == (2, 3, 32, 32, 3) and sheet.dtype == np.uint8
    image = PAIRS.images[7].astype(np.float64).transpose(1, 2, 0)
    assert np.abs(sheet[0, 0] - 255 * image).max() <= 0.6
    assert np.array_equal(sheet[1, 2], np.repeat(PAIRS.frames[2][..., None], 3, 2))
    a, _ = PAIRS.batch([7])
    with torch.no_grad():
        made = generator.eval()(a)[0].permute(1, 2, 0).numpy()
    assert np.abs(sheet[0, 1] - (made + 1) * 127.5).max() <= 0.51
