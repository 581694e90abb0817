"""Converted networks as NIR: what nir reads, and what the chip's compiler makes of it."""

import json

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import nir
import numpy as np
import torch
from torch import nn

from conversion.activations import QCFS, with_qcfs
from conversion.encoder import Encoder
from conversion.export import write_encoder
from conversion.spiking import convert
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.compiler.floats.run import run_floats
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.compiler.quantise.quantiser import quantise
from snn.errors import ModelError

CODES = ("rate", "graded", "sigma_delta")


def hand_network():
    """One pixel, two channels that are pooled, and a matrix: every number is known."""
    module = nn.Sequential(
        nn.Conv2d(1, 2, 1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2, 1),
    )
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([2.0, -3.0]).reshape(2, 1, 1, 1))
        module[0].bias.copy_(torch.tensor([0.5, 4.0]))
        module[4].weight.copy_(torch.tensor([[1.0, 5.0]]))
        module[4].bias.fill_(0.25)
    return module


def test_units_by_hand(tmp_path):
    images = torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])  # the largest activation is 4
    found = {}
    for code in CODES:
        spiking = convert(
            hand_network(),
            images,
            code=code,
            levels=4,
            steps=6,
            calibration=images,
            covered=1.0,
            input_bits=1,
            input_scale=0.5,
            delta=0.125,
        )
        write_encoder(spiking, tmp_path / "n.nir", dt_us=2000, metadata={"classes": ["a"]})
        found[code] = nir.read(tmp_path / "n.nir")
    graph = found["graded"]
    assert {n: type(v).__name__ for n, v in graph.nodes.items()} == {
        "input": "Input",
        "0": "Conv2d",
        "1": "IF",
        "2": "SumPool2d",
        "3": "Flatten",
        "4": "Affine",
        "readout": "I",
        "output": "Output",
    }
    # Input messages of 0.5, levels of 4 / 4 = 1, a mean of 4.
    assert graph.nodes["0"].weight.ravel().tolist() == [1.0, -1.5]
    assert graph.nodes["4"].weight.tolist() == [[0.25, 1.25]]
    assert graph.nodes["4"].bias.tolist() == [0.25]
    assert graph.nodes["1"].v_threshold.tolist() == np.full((2, 2, 2), 4.0).tolist()
    assert graph.nodes["1"].metadata["levels"] == 4
    rate, deltas = found["rate"], found["sigma_delta"]
    assert rate.nodes["4"].weight.tolist() == [[1.0, 5.0]]  # spikes of 4, a mean of 4
    assert rate.nodes["1"].metadata["v_init"] == 2.0
    assert rate.nodes["1"].metadata["reset"] == "subtract"
    assert rate.nodes["1"].metadata["fires"] == "at_or_above"
    assert deltas.nodes["4"].weight.tolist() == [[0.25, 1.25]]
    assert deltas.nodes["1"].metadata["vth"] == 0.5  # an eighth of 4
    assert bool(deltas.nodes["1"].metadata["rectify"]) is True
    for code, graph in found.items():
        assert graph.nodes["1"].metadata["code"] == code
        assert graph.nodes["1"].metadata["dt"] == 0.002
        said = json.loads(graph.metadata["spikeface"])
        assert said == {
            "dt_us": 2000,
            "code": code,
            "n_steps": 6 if code == "rate" else 1,
            "readout": "membrane",
            "output_unit": 1.0,
            "input": "analogue" if code == "sigma_delta" else "binary",
            "input_bits": 2 if code == "sigma_delta" else 1,
            "input_scale": 0.5,
            "classes": ["a"],
        }


class Residual(nn.Module):
    """Skips with and without weights, groups, a pair of branches that meet twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.left = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.act = nn.ReLU()
        self.down = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(4, 6, 1, stride=2)
        self.pool, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        x = self.act(x + self.left(x))
        x = self.act(self.down(x) + self.skip(x))
        return self.head(self.flat(self.pool(x)))


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(0)
    return Residual().eval()


@pytest.fixture(scope="module")
def images():
    return torch.randint(-255, 256, (5, 2, 8, 8), generator=torch.Generator().manual_seed(0)) / 255


def spikes(spiking, images):
    """Input messages as the chip takes them, [N, T, ...]."""
    messages = spiking.messages(images).transpose(0, 1)
    return messages.numpy().astype(np.int64)


def features(spiking, output):
    """Features of what a backend gives, [N, F]."""
    unit = spiking.network.output_unit.numpy()
    steps = spiking.steps if spiking.code == "rate" else 1
    return output.reshape(len(output), len(unit), -1) * unit[:, None] / steps


@pytest.mark.parametrize("form", ["signed", "pair"])
@pytest.mark.parametrize("code", CODES)
def test_the_compilers_floats_are_ours(residual, images, code, form, tmp_path):
    module = residual
    if not (form == "signed" and code != "graded"):  # no chip has such neurons
        module = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.LeakyReLU(0.25), residual).eval()
    spiking = convert(
        module,
        images,
        code=code,
        calibration=images,
        activation=form,
        input_scale=1 / 255,
        delta=0.02,
    )
    stream = (
        images
        if code == "rate"
        else images[:, None].repeat(1, 3, 1, 1, 1)
        * torch.linspace(0.5, 1, 3).reshape(1, 3, 1, 1, 1)
    )
    write_encoder(spiking, tmp_path / "n.nir")
    network = read_nir(tmp_path / "n.nir")
    assert network.metadata["code"] == code
    found = run_floats(network, spikes(spiking, stream)).output
    np.testing.assert_allclose(
        features(spiking, found).reshape(len(images), -1),
        spiking.run(stream)[-1].numpy(),
        atol=1e-9,
    )


def grid_network(levels):
    """Weights, biases and clips on a grid that integers hold: nothing is lost by quantising."""
    torch.manual_seed(levels)
    conv, dense = nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Linear(48, 6)
    with torch.no_grad():
        for layer in (conv, dense):
            layer.weight.copy_(torch.randint(-126, 127, layer.weight.shape) * 2 / 256)
            layer.weight.ravel()[0] = 254 / 256
            layer.bias.copy_(torch.randint(-32, 33, layer.bias.shape) / 64)
    return nn.Sequential(
        conv, QCFS(levels, lam=float(levels)), nn.Flatten(), dense, QCFS(levels, lam=float(levels))
    ).eval()


@pytest.mark.parametrize("levels", [4, 8, 16, 32])
def test_integers_equal_the_quantised_network(levels):
    module = grid_network(levels)
    pictures = torch.randint(0, 16, (20, 1, 8, 8)).float()
    spiking = convert(module, pictures, code="graded", input_bits=4, input_scale=1.0)
    chip, _ = quantise(from_nir(spiking.to_nir()))
    probes = [(node.name, "spikes") for node in spiking.network.neurons]
    run = Simulator().run(chip, spikes(spiking, pictures), probes=probes)
    reference = Reference().run(chip, spikes(spiking, pictures), probes=probes)
    with torch.no_grad():
        first = module[:2](pictures)
        for name, expected in (("1", first), ("4", module[2:](first))):
            found = run.traces[name, "spikes"][:, 0]
            np.testing.assert_array_equal(found, expected.numpy())  # levels of 1
            np.testing.assert_array_equal(found, reference.traces[name, "spikes"][:, 0])
    assert len(np.unique(run.traces["4", "spikes"])) > 2


@pytest.mark.parametrize("code", CODES)
def test_encoder_on_the_chip(code):
    torch.manual_seed(0)
    encoder = Encoder(size=32, width=4).train()
    pictures = torch.randint(-255, 256, (8, 3, 32, 32)) / 255
    with torch.no_grad():
        for _ in range(20):
            encoder(pictures)
    student = with_qcfs(encoder.eval(), 8, calibration=pictures, covered=1.0)
    spiking = convert(student, pictures, code=code, input_scale=1 / 255, steps=16)
    network = from_nir(spiking.to_nir())
    messages = spikes(spiking, pictures)
    chip, losses = quantise(network, calibration=messages)
    assert len(losses) == 5
    run, reference = (b.run(chip, messages) for b in (Simulator(), Reference()))
    np.testing.assert_array_equal(run.output, reference.output)
    floats = run_floats(network, messages).output
    a, b = (torch.from_numpy(np.asarray(v, np.float64)).flatten() for v in (run.output, floats))
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) > 0.8


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()

    def forward(self, x):
        x = self.a(x)
        return self.relu(x + self.b(x) + x)


def test_a_branch_that_is_added_twice_is_refused():
    spiking = convert(Twice(), torch.ones(1, 2), code="graded", calibration=torch.ones(1, 2))
    with pytest.raises(ModelError, match=r"a \+ b \+ a"):
        spiking.to_nir()
