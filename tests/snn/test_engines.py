"""Engines: what they train is what they export, and what the integer simulator runs."""

import dataclasses

import nir
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.compiler.quantise.quantiser import quantise
from snn.errors import ModelError
from snn.export import to_nir, write_nir
from snn.models import ModelConfig, build
from snn.training import Split, TrainingConfig, prepare

INPUT = (2, 16, 16)


@pytest.fixture
def frames():
    return (torch.rand(12, 8, *INPUT, generator=torch.Generator().manual_seed(0)) < 0.05).float()


def fresh(engine, frames, **config):
    if engine == "slayer":
        pytest.importorskip("lava", reason="lava-dl is not installed")
    torch.manual_seed(0)
    model = ModelConfig(engine=engine, channels=(4, 8), kernels=(5, 3), hidden=16, **config)
    network = build(model, input_shape=INPUT, n_classes=3, n_steps=8)
    split = Split(frames.byte(), torch.zeros(len(frames), dtype=torch.long))
    prepare(network, split, TrainingConfig(batch_size=6))
    return network.eval()


def spike_trains(network, frames):
    """By layer, ``[N, T, ...]``."""
    with torch.no_grad():
        return {k: train.transpose(0, 1).numpy() for k, train in network(frames).trains.items()}


@pytest.mark.parametrize("engine", ["norse", "slayer", "fused"])
def test_every_layer_fires_after_preparation(engine, frames):
    for train in spike_trains(fresh(engine, frames), frames).values():
        assert 0.001 < train.mean() < 0.9
        assert set(np.unique(train)) == {0.0, 1.0}


@pytest.mark.parametrize("engine", ["norse", "slayer", "fused"])
def test_exported_layers_are_the_trained_ones(engine, frames):
    """The float network, run from its export alone by the equation in ``TrainedLayer``."""
    network = fresh(engine, frames)
    spikes = frames
    expected = spike_trains(network, frames)
    for name, trained in network.trained_layers().items():
        spikes = layer_by_hand(trained, spikes)
        assert np.mean(spikes.numpy() != expected[name]) < 1e-4
        spikes = torch.from_numpy(expected[name])


def layer_by_hand(trained, spikes):
    layer = trained.layer
    weight, bias = (torch.from_numpy(a).double() for a in (trained.weight, trained.bias))
    flat = spikes.flatten(0, 1).double()
    if layer.is_conv:
        current = torch.nn.functional.conv2d(
            flat, weight, bias, stride=layer.stride, padding=layer.padding
        )
    else:
        current = flat.flatten(1) @ weight.T + bias
    current = current.unflatten(0, spikes.shape[:2])
    v, out = torch.zeros_like(current[:, 0]), []
    for t in range(current.shape[1]):
        v = (1 - trained.decay) * v + trained.gain * current[:, t]
        out.append(v > trained.threshold)
        v = torch.where(out[-1], 0, v)
    return torch.stack(out, dim=1).float()


def test_slayer_is_spike_equal_to_the_integer_simulator(frames, tmp_path):
    """SLAYER trains on the chip's grid: nothing may change on the way to the integers."""
    network = fresh("slayer", frames)
    write_nir(network, tmp_path / "n.nir", input_shape=INPUT, dt_us=1000)
    chip, losses = quantise(read_nir(tmp_path / "n.nir"))
    assert all(loss.weight_sqnr_db is None for loss in losses)
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    for name, expected in spike_trains(network, frames).items():
        np.testing.assert_array_equal(run.traces[name, "spikes"], expected, err_msg=name)


def test_norse_stays_close_to_its_integers(frames):
    network = fresh("norse", frames)
    chip, _ = quantise(from_nir(to_nir(network, input_shape=INPUT, dt_us=1000)))
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    first = spike_trains(network, frames)["conv1"]
    assert np.mean(run.traces["conv1", "spikes"] != first) < 2e-3


@pytest.mark.parametrize("engine", ["norse", "fused"])
@pytest.mark.parametrize(
    "neurons", [{}, {"neuron": "if", "detach_reset": False}, {"reset": "subtract"}], ids=str
)
def test_on_the_grid_the_chip_runs_what_was_trained(engine, neurons, frames):
    network = fresh(engine, frames, **neurons)
    network.use_chip_grid()
    chip, losses = quantise(from_nir(to_nir(network, input_shape=INPUT, dt_us=1000)))
    assert all(loss.weight_sqnr_db is None for loss in losses)  # exact
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    assert all(loss.bias_error == 0 == loss.threshold_error for loss in losses)
    for name, train in spike_trains(network, frames).items():
        np.testing.assert_array_equal(run.traces[name, "spikes"], train, err_msg=name)


def test_the_grid_lets_gradients_pass(frames):
    network = fresh("norse", frames).train()
    network.use_chip_grid()
    network(frames).scores.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_nir_file_can_be_read_by_nir_itself(frames, tmp_path):
    network = fresh("norse", frames)
    write_nir(network, tmp_path / "n.nir", input_shape=INPUT, dt_us=2500)
    graph = nir.read(tmp_path / "n.nir")
    assert [type(node).__name__ for node in graph.nodes.values()].count("LIF") == 4
    assert graph.nodes["conv1"].metadata["dt"] == pytest.approx(2.5e-3)
    assert from_nir(graph).assumptions == ()


def test_norse_gradients_reach_every_weight(frames):
    network = fresh("norse", frames).train()
    network(frames).scores.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("neurons", [{}, {"neuron": "plif"}, {"reset": "subtract"}], ids=str)
def test_norse_and_fused_are_one_network(neurons, frames):
    """The same parameters, the same spikes, and the same gradients to 1e-5."""
    norse, fused = (fresh(engine, frames, **neurons).train() for engine in ("norse", "fused"))
    fused.load_state_dict(norse.state_dict())
    answers = [network(frames) for network in (norse, fused)]
    for name, train in answers[0].trains.items():
        assert torch.equal(train, answers[1].trains[name]), name
    for answer in answers:
        (answer.scores**2).sum().backward()
    for (name, p), q in zip(norse.named_parameters(), fused.parameters(), strict=True):
        assert (p.grad - q.grad).abs().max() <= 1e-5 * p.grad.abs().max(), name


@pytest.mark.parametrize(
    ("engine", "neurons", "named"),
    [
        ("norse", {"surrogate": "atan"}, "surrogate 'atan'"),
        ("norse", {"neuron": "if"}, "detached"),
        ("slayer", {"neuron": "plif", "reset": "subtract"}, "'plif'; a reset that is 'subtract'"),
        ("slayer", {"family": "sew_resnet"}, "max pooling .* an accumulator"),
    ],
)
def test_what_an_engine_cannot_express_is_named(engine, neurons, named):
    with pytest.raises(ModelError, match=named):
        model = ModelConfig(engine=engine, **neurons)
        build(model, input_shape=(2, 32, 32), n_classes=3, n_steps=4)


def test_surrogate_width_changes_the_gradient(frames):
    """norse's default surrogate ignores its width; the one used here must not."""
    gradients = []
    for width in (0.2, 1.0):
        network = fresh("norse", frames, surrogate_width=width).train()
        network(frames).scores.sum().backward()
        gradients.append(next(network.parameters()).grad.abs().sum().item())
    assert abs(gradients[0] / gradients[1] - 1) > 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "brain"},
        {"channels": (4,)},
        {"tau_steps": 0.5},
        {"threshold": 0.0},
        {"hidden": -1},
        {"depth": 20},
        {"dropout": 1.0},
        {"neuron": "izhikevich"},
    ],
)
def test_impossible_models_are_refused(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        dataclasses.replace(ModelConfig(), **wrong)
