"""Quantised-clip-floor activations: values, gradients, and how they get into a network."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn

from conversion.activations import QCFS, with_qcfs
from conversion.encoder import Encoder
from snn.errors import ModelError


def test_values_by_hand():
    # lam = 2, L = 4: levels of 0.5, the floor of z / 0.5 + 0.5
    z = torch.tensor([[-3.0, 0.24, 0.25, 0.74, 0.75, 1.9, 2.6]])
    assert QCFS(4, lam=2.0)(z).tolist() == [[0.0, 0.0, 0.5, 0.5, 1.0, 2.0, 2.0]]


def test_signed_values_by_hand():
    # Slope 0.5: below 0 the levels are 1 wide in z, and reach down to -2.
    z = torch.tensor([[-9.0, -1.1, -0.9, -0.5, -0.4, 0.25]])
    expected = [[-2.0, -0.5, -0.5, -0.5, 0.0, 0.5]]
    assert QCFS(4, lam=2.0, negative_slope=0.5)(z).tolist() == expected


def test_a_clip_of_each_channel():
    z = torch.ones(1, 2, 1, 1)
    found = QCFS(2, lam=torch.tensor([1.0, 4.0]))(z)
    assert found.flatten().tolist() == [1.0, 2.0]  # 1 of 4 in halves: floor(0.5 + 0.5) = 1


def test_gradients_by_hand():
    activation = QCFS(4, lam=2.0)
    z = torch.tensor([[-1.0, 0.7, 3.0]], requires_grad=True)
    activation(z).sum().backward()
    assert z.grad.tolist() == [[0.0, 1.0, 0.0]]  # straight through the floor, nothing outside
    # d a / d lam is 1 above the clip and level - z / lam inside: 1/4 - 0.35
    assert activation.lam.grad.item() == pytest.approx(1 + 0.25 - 0.35)


@pytest.mark.parametrize(
    "arguments", [{"levels": 0}, {"lam": 0.0}, {"negative_slope": -0.1}, {"negative_slope": 2.0}]
)
def test_refuses_values_out_of_range(arguments):
    with pytest.raises(ModelError, match="QCFS"):
        QCFS(**arguments)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


def test_a_relu_of_two_places_becomes_two():
    module = Shared()
    images = torch.randn(50, 4)
    quantised = with_qcfs(module, 4, calibration=images, covered=1.0)
    found = {n: m for n, m in quantised.named_modules() if isinstance(m, QCFS)}
    assert set(found) == {"relu", "relu_2"}
    hidden = module.relu(module.first(images))
    assert found["relu"].lam.item() == pytest.approx(hidden.max().item())
    assert found["relu_2"].lam.item() == pytest.approx(module(images).max().item())
    assert isinstance(module.relu, nn.ReLU)  # the caller's is as it was
    assert set(module.state_dict()) < set(quantised.state_dict())


def test_channels_start_from_their_own_range():
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 3, 3)
    module, images = nn.Sequential(conv, nn.ReLU()), torch.randn(40, 1, 6, 6)
    quantised = with_qcfs(module, calibration=images, covered=1.0, per_channel=True)
    largest = torch.relu(conv(images)).amax(dim=(0, 2, 3))
    torch.testing.assert_close(quantised.get_submodule("1").lam.detach(), largest.detach())


def test_encoder_of_this_project():
    encoder = Encoder(size=32, width=2).eval()
    for signed, slope in ((False, 0.0), (True, 0.2)):
        quantised = with_qcfs(encoder, 8, signed=signed)
        found = {n: m for n, m in quantised.named_modules() if isinstance(m, QCFS)}
        assert list(found) == ["e1.act", "e2.act", "e3.act", "e4.act", "bottleneck.act"]
        assert found["e1.act"].negative_slope == slope
        assert found["e1.act"].lam.tolist() == [8.0]
    fine = with_qcfs(encoder, 1 << 16, signed=True)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(fine(images), encoder(images), atol=1e-3, rtol=0)


def test_refuses_what_it_cannot_replace():
    with pytest.raises(ModelError, match=r"no nn\.ReLU"):
        with_qcfs(nn.Linear(2, 2))
    with pytest.raises(ModelError, match="calibration"):
        with_qcfs(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), per_channel=True)
    with pytest.raises(ModelError, match="do not go through"):
        with_qcfs(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), calibration=torch.zeros(3, 5))


def test_clips_that_lose_least_by_hand():
    # Values 0.1 to 1 and one outlier of 8, in 2 levels: rounding to halves of 8 would lose them.
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    nn.init.ones_(module[0].weight)
    images = torch.cat([torch.linspace(0.1, 1, 400), torch.tensor([8.0])])[:, None]
    fitted, covering = (
        with_qcfs(module, 2, calibration=images, covered=covered).get_submodule("1").lam.item()
        for covered in (None, 1.0)
    )
    assert covering == 8.0 and 0.8 < fitted < 2
    losses = {
        clip: float((QCFS(2, lam=clip)(images) - images).square().mean())
        for clip in (fitted / 1.3, fitted, fitted * 1.3, 8.0)
    }
    assert min(losses, key=losses.get) == fitted
    single = torch.full((9, 1), 3.0)  # equal values: the clip is where they are
    assert with_qcfs(module, 2, calibration=single).get_submodule("1").lam.item() == 3.0
