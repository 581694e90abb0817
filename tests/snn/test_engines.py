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
    network = build(model, input_shape=INPUT, n_classes=3)
    split = Split(frames.byte(), torch.zeros(len(frames), dtype=torch.long))
    prepare(network, split, TrainingConfig(batch_size=6))
    return network.eval()


def spike_trains(network, frames):
    with torch.no_grad():
        return [train.numpy() for train in network(frames)]


@pytest.mark.parametrize("engine", ["norse", "slayer"])
def test_every_layer_fires_after_preparation(engine, frames):
    for train in spike_trains(fresh(engine, frames), frames):
        assert 0.001 < train.mean() < 0.9
        assert set(np.unique(train)) == {0.0, 1.0}


@pytest.mark.parametrize("engine", ["norse", "slayer"])
def test_exported_layers_are_the_trained_ones(engine, frames):
    """The float network, run from its export alone by the equation in ``TrainedLayer``."""
    network = fresh(engine, frames)
    spikes = frames
    for layer, expected in zip(
        network.trained_layers(), spike_trains(network, frames), strict=True
    ):
        spikes = layer_by_hand(layer, spikes)
        assert np.mean(spikes.numpy() != expected) < 1e-4
        spikes = torch.from_numpy(expected)


def layer_by_hand(layer, spikes):
    weight, bias = torch.from_numpy(layer.weight).double(), torch.from_numpy(layer.bias).double()
    flat = spikes.flatten(0, 1).double()
    if layer.shape.is_conv:
        current = torch.nn.functional.conv2d(
            flat, weight, bias, stride=layer.shape.stride, padding=layer.shape.padding
        )
    else:
        current = flat.flatten(1) @ weight.T + bias
    current = current.unflatten(0, spikes.shape[:2])
    v, out = torch.zeros_like(current[:, 0]), []
    for t in range(current.shape[1]):
        v = (1 - layer.decay) * v + layer.gain * current[:, t]
        out.append(v > layer.threshold)
        v = torch.where(out[-1], 0, v)
    return torch.stack(out, dim=1).float()


def test_slayer_is_spike_equal_to_the_integer_simulator(frames, tmp_path):
    """SLAYER trains on the chip's grid: nothing may change on the way to the integers."""
    network = fresh("slayer", frames)
    write_nir(network, tmp_path / "n.nir", input_shape=INPUT, dt_us=1000)
    chip, losses = quantise(read_nir(tmp_path / "n.nir"))
    assert all(loss.weight_sqnr_db is None for loss in losses)
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    for expected, (name, _) in zip(
        spike_trains(network, frames), every(chip, "spikes"), strict=True
    ):
        np.testing.assert_array_equal(run.traces[name, "spikes"], expected, err_msg=name)


def test_norse_stays_close_to_its_integers(frames):
    network = fresh("norse", frames)
    chip, _ = quantise(from_nir(to_nir(network, input_shape=INPUT, dt_us=1000)))
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    first = spike_trains(network, frames)[0]
    assert np.mean(run.traces["conv1", "spikes"] != first) < 2e-3


def test_norse_on_the_grid_runs_on_the_chip_as_it_trained(frames):
    network = fresh("norse", frames)
    network.use_chip_grid()
    chip, losses = quantise(from_nir(to_nir(network, input_shape=INPUT, dt_us=1000)))
    assert all(loss.weight_sqnr_db is None for loss in losses)  # exact
    run = Simulator().run(chip, frames.numpy().astype(np.uint8), probes=every(chip, "spikes"))
    assert all(loss.bias_error == 0 == loss.threshold_error for loss in losses)
    for train, (name, _) in zip(spike_trains(network, frames), every(chip, "spikes"), strict=True):
        np.testing.assert_array_equal(run.traces[name, "spikes"], train, err_msg=name)


def test_the_grid_lets_gradients_pass(frames):
    network = fresh("norse", frames).train()
    network.use_chip_grid()
    network(frames)[-1].sum().backward()
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
    network(frames)[-1].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_surrogate_width_changes_the_gradient(frames):
    """norse's default surrogate ignores its width; the one used here must not."""
    gradients = []
    for width in (0.2, 1.0):
        network = fresh("norse", frames, surrogate_width=width).train()
        network(frames)[-1].sum().backward()
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
    ],
)
def test_impossible_models_are_refused(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        dataclasses.replace(ModelConfig(), **wrong)
