"""Fine-tuning without labels: it helps, it repeats, it goes on where it stopped."""

import copy

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from conversion.activations import with_qcfs
from conversion.distil import DistilConfig, Distillation, distil
from conversion.encoder import Encoder
from conversion.similarity import cosine, linear_cka
from conversion.spiking import convert
from snn.errors import ModelError, TrainingError


def faces(n, seed):
    """Smooth images in [-1, 1] that differ: a few blobs each."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linspace(-1, 1, 32)
    places = torch.rand(n, 3, 4, 3, generator=generator) * 2 - 1
    distance = (rows[:, None, None] - places[..., None, None, None, 0]) ** 2
    distance = distance.squeeze(-1) + (rows[None, :] - places[..., None, None, 1]) ** 2
    blobs = places[..., None, None, 2].sign() * torch.exp(-distance / 0.1)
    return blobs.sum(2).clamp(-1, 1)


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    encoder = Encoder(size=32, width=4).train()
    with torch.no_grad():
        for seed in range(20):
            encoder(faces(16, seed))
    return encoder.eval()


def features(module, images):
    with torch.no_grad():
        return module(images)


def test_a_cut_encoder_learns_its_embedding_back(teacher):
    images, unseen = faces(128, 100), faces(64, 200)
    student = with_qcfs(teacher, 8, calibration=images)
    expected = features(teacher, unseen)
    before = features(student, unseen)
    told = []
    tuned, losses = distil(
        student,
        teacher,
        images,
        DistilConfig(epochs=10, batch_size=16, learning_rate=1e-3, cosine=0.1),
        on_epoch=lambda number, loss: told.append((number, loss)),
    )
    after = features(tuned, unseen)
    assert told == list(enumerate(losses, 1)) and len(losses) == 10
    assert losses[-1] < losses[0] / 2
    assert (after - expected).square().mean() < 0.7 * (before - expected).square().mean()
    assert cosine(after, expected).mean() > cosine(before, expected).mean()
    assert linear_cka(after, expected) > linear_cka(before, expected)
    spiking = convert(tuned, images, code="graded", input_bits=12)
    graded = spiking.run(unseen)[0].float()
    assert (graded - after).abs().mean() < 0.1 * (after - after.mean(0)).abs().mean()


def test_neither_network_is_changed(teacher):
    images = faces(8, 0)
    student = with_qcfs(teacher, 4, calibration=images)
    kept = [copy.deepcopy(m.state_dict()) for m in (student, teacher)]
    teacher.train()
    tuned, _ = distil(student, teacher, images, DistilConfig(epochs=1))
    assert all(part.training for part in teacher.modules())
    teacher.eval()
    for module, before in zip((student, teacher), kept, strict=True):
        assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    changed = {k for k, v in tuned.state_dict().items() if not torch.equal(v, kept[0][k])}
    assert {"e1.conv.weight", "e1.act.lam", "bottleneck.conv.bias"} < changed
    assert not any("running" in name for name in changed)


def test_a_student_learns_with_its_spikes(teacher):
    images, unseen = faces(96, 100), faces(48, 200)
    student = with_qcfs(teacher, 4, calibration=images, signed=True)
    config = DistilConfig(epochs=4, batch_size=16, learning_rate=1e-3)
    expected, errors = features(teacher, unseen), []
    for steps in ((), (8,)):
        tuned, _ = distil(student, teacher, images, config, steps=steps)
        spiking = convert(tuned, images, code="rate", steps=8, activation="pair", input_bits=12)
        errors.append(float((spiking.run(unseen)[-1] - expected).square().mean()))
    assert errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize("steps", [(), (2, 3)])
def test_goes_on_bit_by_bit(teacher, steps):
    images, config = faces(24, 0), DistilConfig(epochs=4, batch_size=8, seed=3)
    student = with_qcfs(teacher, 4, calibration=images)
    whole, losses = distil(student, teacher, images, config, steps=steps)
    first = Distillation(copy.deepcopy(student), teacher, images, config, steps=steps)
    first.epoch(), first.epoch()
    state = copy.deepcopy(first.state_dict())
    second = Distillation(copy.deepcopy(student), teacher, images, config, steps=steps)
    second.load_state_dict(state)
    second.epoch(), second.epoch()
    assert tuple(second.losses) == losses
    for name, value in second.student.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    seeded = DistilConfig(epochs=4, batch_size=8, seed=4)
    other, _ = distil(student, teacher, images, seeded, steps=steps)
    assert not torch.equal(
        other.state_dict()["e1.conv.weight"], whole.state_dict()["e1.conv.weight"]
    )


def test_mirrored_images_have_their_own_targets(teacher):
    """A student that is the teacher has nothing to learn, whichever images are mirrored."""
    images, losses = faces(16, 0), {}
    kept = images.clone()
    for flip in (0.0, 0.5, 1.0):
        config = DistilConfig(epochs=1, batch_size=8, flip=flip, learning_rate=1e-12)
        _, (same,) = distil(teacher, teacher, images, config)
        assert same < 1e-9 and torch.equal(images, kept)
        student = with_qcfs(teacher, 4, calibration=images)
        _, (losses[flip],) = distil(student, teacher, images, config)
    assert len(set(losses.values())) == 3


def test_clips_move_by_shares_of_themselves():
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        module[2].weight *= 1e-4
        module[2].bias.fill_(1e-4)
    images = torch.rand(64, 2)
    student = with_qcfs(module, 4, calibration=images, covered=0.5)
    tuned, _ = distil(student, module, images, DistilConfig(epochs=3, learning_rate=0.05))
    for name in ("1.lam", "3.lam"):
        ratio = tuned.state_dict()[name] / student.state_dict()[name]
        assert 0.3 < float(ratio) < 3


def test_refuses():
    module = nn.Linear(2, 3)
    with pytest.raises(ModelError, match="no images"):
        Distillation(module, module, torch.zeros(0, 2))
    with pytest.raises(ModelError, match="3 features, the teacher 4"):
        Distillation(module, nn.Linear(2, 4), torch.zeros(5, 2))
    with pytest.raises(ModelError, match="has no spikes to rehearse"):
        Distillation(module, module, torch.zeros(5, 2), steps=(4,))
    with pytest.raises(ModelError, match=r"epochs.*learning_rate"):
        DistilConfig(epochs=0, learning_rate=-1.0)
    with pytest.raises(ModelError, match=r"flip must lie in \[0, 1\]"):
        DistilConfig(flip=2.0)
    run = Distillation(module, nn.Linear(2, 3), torch.full((4, 2), float("nan")))
    with pytest.raises(TrainingError, match="lower learning_rate"):
        run.epoch()
