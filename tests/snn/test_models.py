"""Architectures: sizes as published, and the whole way of a SEW-ResNet to the chip."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from hardware.backends.backend import every
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.simulator.backend import Simulator
from hardware.chip.storage import load_network, save_network
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.compiler.quantise.quantiser import quantise
from snn.export import to_nir, write_nir
from snn.models import ModelConfig, architecture, build
from snn.models.layers import Spiking

PUBLISHED = ModelConfig(
    family="sew_resnet",
    engine="fused",
    neuron="if",
    surrogate="atan",
    head="accumulator",
    head_hidden=512,
)
SMALL = ModelConfig(
    family="sew_resnet",
    engine="fused",
    neuron="if",
    width=4,
    depth=10,
    head_hidden=8,
)
CHIP = dataclasses.replace(SMALL, stem="strided", norm="scale", head="spike_count", neuron="lif")
SIZE = (2, 32, 32)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_spiking_fer_has_the_published_size():
    network = build(PUBLISHED, input_shape=(2, 128, 128), n_classes=6, n_steps=6)
    assert parameters(network) == 11_173_376 + 262_656 + 3_072
    layers = [layer for layer in network.layers if isinstance(layer, Spiking)]
    assert len(layers) == 20
    multiplications = sum(layer.fan_in * int(np.prod(layer.shape)) for layer in layers)
    assert round(multiplications / 1e6, 1) == 579.3
    assert layers[0].shape == (64, 64, 64)
    assert layers[-1].shape == (512, 4, 4)
    assert len(network.silent_at_start) == 8


def test_the_twin_is_torchvisions_resnet():
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    config = ModelConfig(family="resnet")
    twin = build(config, input_shape=(2, 64, 64), n_classes=6, n_steps=6).eval()
    theirs = models.resnet18(weights=None, num_classes=6)
    theirs.conv1 = torch.nn.Conv2d(12, 64, 7, stride=2, padding=3, bias=False)
    theirs.fc = torch.nn.Linear(512, 6, bias=False)
    theirs.eval()
    assert parameters(twin) == parameters(theirs)
    ours = dict(twin.named_parameters())
    with torch.no_grad():
        for mine, other in zip(ours.values(), theirs.parameters(), strict=True):
            assert mine.shape == other.shape
            other.copy_(mine)
        frames = (torch.rand(3, 6, 2, 64, 64) < 0.05).float()
        scores, trains = twin(frames)
        assert torch.allclose(scores, theirs(frames.flatten(1, 2)), atol=1e-5)
    assert trains == {}


def test_operations_per_spike_are_those_the_chip_counts():
    """Against the compiled network, which leaves out weights that were rounded to zero."""
    network = alive(SMALL)
    chip, _ = quantise(from_nir(to_nir(network, input_shape=SIZE, dt_us=1000)))
    driven: dict[str, float] = {}
    for synapse, fan_out in zip(chip.synapses, chip.fan_out, strict=True):
        for source in synapse.sources:
            driven[source] = driven.get(source, 0.0) + float(fan_out.mean())
    for name in ("input", *network.layer_names):
        assert network.fan_out[name] == pytest.approx(driven[name], rel=0.05), name


def frames_of(n=4, steps=5, rate=0.1):
    return (torch.rand(n, steps, *SIZE, generator=torch.Generator().manual_seed(1)) < rate).float()


def show_once(network, frames, *, gain):
    """Let residual branches spike, and normalisations see these frames and no others."""
    for factor in network.weight_gains().values():
        factor.fill_(gain)
    for module in network.modules():
        if hasattr(module, "running_var"):
            module.momentum = 1.0
    network.train()(frames)


def alive(config):
    """A network whose residual branches spike, and whose normalisations have seen data."""
    torch.manual_seed(0)
    network = build(config, input_shape=SIZE, n_classes=3, n_steps=5)
    with torch.no_grad():
        show_once(network, frames_of(), gain=2.0)
        for parameter_name, parameter in network.named_parameters():
            if parameter_name.endswith("norm.bias"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def run_on_chip(network, frames, backend=None):
    chip, losses = quantise(from_nir(to_nir(network, input_shape=SIZE, dt_us=1000)))
    run = (backend or Simulator()).run(
        chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes")
    )
    return chip, losses, run


@pytest.mark.parametrize("config", [SMALL, CHIP], ids=["published head", "for small chips"])
def test_a_sew_resnet_runs_on_the_chip_as_it_trains(config):
    """Pooling, residual sums and the head: every spike and every membrane is the float one."""
    network, frames = alive(config), frames_of()
    network.use_chip_grid()
    _, losses, run = run_on_chip(network, frames)
    assert all(loss.weight_sqnr_db is None and not loss.bias_error for loss in losses)
    with torch.no_grad():
        scores, trains = network(frames)
    assert any(0.01 < float(train.mean()) < 0.9 for train in trains.values())
    for name, train in trains.items():
        np.testing.assert_array_equal(
            run.traces[name, "spikes"], train.transpose(0, 1).numpy(), err_msg=name
        )
    if config.head == "accumulator":
        scale = losses[-1].scale * 64
        np.testing.assert_array_equal(run.output, (scores.numpy() * scale).astype(np.int64))
    assert run.prediction.tolist() == scores.argmax(dim=1).tolist()


def test_rounding_after_training_changes_little_in_the_first_layers():
    network, frames = alive(SMALL), frames_of()
    _, _, run = run_on_chip(network, frames)
    with torch.no_grad():
        trains = network(frames).trains
    for name in ("stem", "pool"):
        wrong = run.traces[name, "spikes"] != trains[name].transpose(0, 1).numpy()
        assert wrong.mean() < 0.01


def test_for_small_chips_there_is_no_bias_and_no_pooling():
    chip, _, _ = run_on_chip(alive(CHIP), frames_of(1))
    assert not any(np.any(population.bias_mant) for population in chip.populations)
    assert [p.name for p in chip.populations if p.name.startswith("pool")] == []


@pytest.mark.parametrize("config", [SMALL, CHIP], ids=["published head", "for small chips"])
def test_a_small_sew_resnet_is_spike_equal_on_lava(config, tmp_path):
    pytest.importorskip("lava", reason="Lava is not installed")
    network, frames = alive(config), frames_of(2, steps=4)
    write_nir(network, tmp_path / "n.nir", input_shape=SIZE, dt_us=1000)
    chip, _ = quantise(read_nir(tmp_path / "n.nir"))
    save_network(chip, tmp_path / "n.chip")
    chip = load_network(tmp_path / "n.chip")
    spikes, probes = frames.numpy().astype(np.uint8), every(chip, "spikes")
    ours = Simulator().run(chip, spikes, probes=probes)
    theirs = LavaBackend(timeout_s=120).run(chip, spikes, probes=probes)
    np.testing.assert_array_equal(ours.output, theirs.output)
    for probe in probes:
        np.testing.assert_array_equal(ours.traces[probe], theirs.traces[probe], err_msg=str(probe))


def test_the_first_convolution_starts_as_the_authors_left_it():
    """They initialise all convolutions, then replace the first one: it keeps torch's default."""
    torch.manual_seed(0)
    network = build(PUBLISHED, input_shape=(2, 64, 64), n_classes=6, n_steps=6)
    stem, second = (
        block.synapse.weight.std().item() for block in list(network.blocks.values())[:2]
    )
    assert stem == pytest.approx(1 / (3 * 2 * 49) ** 0.5, rel=0.03)
    assert second == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


def test_layers_of_an_architecture_read_layers_before_them():
    known = {"input"}
    for layer in architecture(PUBLISHED, input_shape=(2, 200, 200), n_classes=6):
        assert set(layer.sources) <= known
        known.add(layer.name)


def test_the_published_network_runs_whole_on_the_simulator():
    """SEW-ResNet-18 on 2×128×128: 877 thousand neurons, every spike and membrane."""
    torch.manual_seed(0)
    size = (2, 128, 128)
    network = build(PUBLISHED, input_shape=size, n_classes=6, n_steps=6)
    frames = (torch.rand(1, 6, *size) < 0.03).float()
    with torch.no_grad():
        show_once(network, frames, gain=1.0)
        network.eval().use_chip_grid()
        scores, trains = network(frames)
    chip, losses = quantise(from_nir(to_nir(network, input_shape=size, dt_us=1000)))
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    assert min(float(train.mean()) for train in trains.values()) > 0.1
    for name, train in trains.items():
        assert np.array_equal(run.traces[name, "spikes"], train.transpose(0, 1).numpy()), name
    scale = losses[-1].scale * 64
    np.testing.assert_array_equal(run.output, (scores.numpy() * scale).astype(np.int64))
