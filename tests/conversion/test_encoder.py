"""The transferred encoder: its published size, what it computes, and its file."""

import zipfile

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn
from torch.nn import functional as F

from conversion.encoder import SIZES, Encoder, load_encoder, save_encoder
from snn.errors import ModelError


def multiplications(module, image):
    """Multiply-accumulates of all convolutions in one pass."""
    counts = []

    def count(conv, _, output):
        counts.append(output[0].numel() * conv.in_channels * 16)

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d)]
    module(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def test_published_size():
    encoder = Encoder()
    assert sum(p.numel() for p in encoder.parameters()) == 19_540_672
    with torch.no_grad():
        macs = multiplications(encoder.eval(), torch.zeros(1, 3, 256, 256))
    assert round(macs / 1e9, 3) == 2.017
    assert encoder.channels == (64, 128, 256, 512, 512, 512, 512)
    assert encoder.n_features == 512


def by_the_definition(encoder, x):
    """evTransFER's contracting path from its description, in evaluation mode; every activation."""
    values = encoder.state_dict()
    activations = []
    for i in range(len(encoder.channels)):
        x = F.conv2d(x, values[f"blocks.{i}.conv.weight"], values[f"blocks.{i}.conv.bias"], 2, 1)
        if i > 0:
            mean, variance, weight, bias = (
                values[f"blocks.{i}.norm.{n}"][:, None, None]
                for n in ("running_mean", "running_var", "weight", "bias")
            )
            x = (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias
        x = torch.where(x > 0, x, 0.2 * x)
        activations.append(x)
    x = F.conv2d(x, values["bottleneck.weight"], values["bottleneck.bias"], 2, 1)
    return [*activations, x.clamp(min=0)]


@pytest.mark.parametrize("size", SIZES)
def test_levels_are_as_described(size):
    torch.manual_seed(size)
    encoder = Encoder(size=size, width=4)
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        encoder.train()(images)  # running statistics that are not those of the start
        encoder.eval()
        levels = encoder.levels(images)
        expected = by_the_definition(encoder, images)
    for level, like in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, like, atol=1e-5, rtol=1e-4)
    assert levels[-1].shape == (3, 32, 1, 1)
    assert torch.equal(encoder(images), levels[-1].flatten(1))


def test_one_image_can_be_trained_on():
    encoder = Encoder(size=64, width=2).train()
    encoder(torch.randn(1, 3, 64, 64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("arguments", [{"size": 48}, {"size": 512}, {"width": 0}])
def test_refuses_forms_that_do_not_exist(arguments):
    with pytest.raises(ModelError):
        Encoder(**arguments)


def test_refuses_images_of_another_size():
    with pytest.raises(ModelError, match="64"):
        Encoder(size=64, width=2)(torch.zeros(1, 3, 32, 32))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(size=32, width=2)


def test_file_gives_the_encoder_back(encoder, tmp_path):
    about = {"epoch": 80, "variant": "t0_t0", "ssim": 0.5}
    save_encoder(tmp_path / "e.pt", encoder, about=about)
    loaded, read = load_encoder(tmp_path / "e.pt")
    assert read == about and (loaded.size, loaded.width) == (32, 2)
    assert not loaded.training
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded(images), encoder.eval()(images))
    assert [path.name for path in tmp_path.iterdir()] == ["e.pt"]


class Planted:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"format": "something"}, "something"),
        ({"size": 48}, "48"),
        ({"size": "32"}, "'32'"),
        ({"size": 64}, "missing or unknown"),
        ({"width": -1}, "-1"),
        ({"width": 10**7}, "not torch.float32"),
        ({"about": {"epoch": [1]}}, "about"),
        ({"weights": None}, "no weights"),
    ],
)
def test_foreign_files_are_named(encoder, tmp_path, changes, found):
    path = tmp_path / "e.pt"
    save_encoder(path, encoder, about={})
    torch.save(torch.load(path, weights_only=True) | changes, path)
    with pytest.raises(ModelError, match=found) as error:
        load_encoder(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3),
        torch.zeros(4, 2, 4, 4).half(),
        torch.zeros(1, 1, 1, 1).expand(4, 2, 4, 4),  # one value that claims to be many
        1.0,
    ],
)
def test_weights_of_another_shape_or_type(encoder, tmp_path, value):
    path = tmp_path / "e.pt"
    save_encoder(path, encoder, about={})
    saved = torch.load(path, weights_only=True)
    saved["weights"]["blocks.1.conv.weight"] = value
    torch.save(saved, path)
    with pytest.raises(ModelError, match=r"blocks\.1\.conv\.weight"):
        load_encoder(path)


def test_weights_that_are_not_finite(encoder, tmp_path):
    with torch.no_grad():
        encoder.bottleneck.bias[0] = float("nan")
    save_encoder(tmp_path / "e.pt", encoder, about={})
    with pytest.raises(ModelError, match=r"bottleneck\.bias"):
        load_encoder(tmp_path / "e.pt")


def test_nothing_in_a_file_is_executed(tmp_path, capsys):
    torch.save(Planted(), tmp_path / "e.pt")
    with pytest.raises(ModelError, match="not a readable encoder"):
        load_encoder(tmp_path / "e.pt")
    assert "executed" not in capsys.readouterr().out


def test_compressed_files_are_refused_unread(encoder, tmp_path):
    save_encoder(tmp_path / "e.pt", encoder, about={})
    with (
        zipfile.ZipFile(tmp_path / "e.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    with pytest.raises(ModelError, match="compressed"):
        load_encoder(tmp_path / "packed.pt")


def test_missing_and_cut_files(encoder, tmp_path):
    path = tmp_path / "e.pt"
    with pytest.raises(ModelError, match="not a readable encoder"):
        load_encoder(path)
    save_encoder(path, encoder, about={})
    assert zipfile.is_zipfile(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="not a readable encoder"):
        load_encoder(path)
