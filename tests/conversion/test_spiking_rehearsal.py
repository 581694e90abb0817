"""A rehearsed network gives what its spikes will, with the gradients of its activations."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from conversion.activations import QCFS, with_qcfs
from conversion.encoder import Encoder
from conversion.spiking import convert
from conversion.spiking.rehearsal import rehearsed


@pytest.fixture
def uneven():
    """Two neurons of rates 3/4 and 1/4, and one that reads the difference -a + 3 b = 0."""
    module = nn.Sequential(
        nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False), nn.ReLU()
    )
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2))
        module[2].weight.copy_(torch.tensor([[-1.0, 3.0]]))
    student = with_qcfs(module, 4)
    for part in student.modules():
        if isinstance(part, QCFS):
            part.lam.data.fill_(1.0)
    return student


def test_spikes_by_hand(uneven):
    # Thresholds of 1, voltages from 1/2: a spikes in steps 1, 2, 4 and b in step 2. The currents
    # -1, 2, 0, -1 lead to -0.5, 1.5 (a spike), 0.5 and -0.5.
    images = torch.tensor([[0.75, 0.25]])
    found = [rehearsed(uneven, images, steps).item() for steps in (1, 2, 3, 4)]
    assert found == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert uneven(images).item() == 0  # the quantised network knows rates only


def test_gradients_are_those_of_the_activations(uneven):
    images = torch.tensor([[0.75, 0.25]])
    for features in (rehearsed(uneven, images, 4), uneven(images)):
        uneven.zero_grad(set_to_none=True)
        features.sum().backward()
        found = {name: value.grad.clone() for name, value in uneven.named_parameters()}
        # d/dw2 = (a, b), straight through the floor; d/dw1 = w2 x'
        assert found["2.weight"].tolist() == [[0.75, 0.25]]
        assert found["0.weight"].tolist() == [[-0.75, -0.25], [2.25, 0.75]]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_is_the_converted_network_in_every_step(reset):
    torch.manual_seed(0)
    encoder = Encoder(size=32, width=2).train()
    with torch.no_grad():
        for _ in range(10):
            encoder(torch.randn(16, 3, 32, 32))
    images = torch.randint(-255, 256, (6, 3, 32, 32)).double() / 255
    student = with_qcfs(encoder.eval().double(), 8, calibration=images, signed=True)
    spiking = convert(
        student, images, code="rate", steps=6, activation="pair", reset=reset, input_scale=1 / 255
    )
    expected = spiking.run(images)
    assert (expected[-1] > 0).any()
    for steps in (1, 3, 6):
        torch.testing.assert_close(rehearsed(student, images, steps, reset), expected[steps - 1])


def test_branches_that_meet_keep_their_steps():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.before, self.after = nn.ReLU(), nn.ReLU()

        def forward(self, x):
            return self.after(self.second(self.before(self.first(x))) + x)

    torch.manual_seed(1)
    images = torch.randint(-15, 16, (20, 4)).double() / 15
    student = with_qcfs(Residual().double(), 4, calibration=images)
    spiking = convert(student, images, code="rate", steps=4, input_bits=4, input_scale=1 / 15)
    torch.testing.assert_close(rehearsed(student, images, 4), spiking.run(images)[-1])
