"""Reading torch modules: what is folded, what is refused, and that nothing else is computed."""

import copy

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from torch import nn
from torch.nn import functional as F

from conversion.encoder import Encoder
from conversion.spiking.trace import trace
from snn.errors import ModelError


def moved(module, images):
    """The module in evaluation mode with statistics and gains that are not those of the start."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.weight.uniform_(0.5, 2)
                part.bias.normal_()
        module.train()(images)
    return module.eval()


def test_batch_norms_are_folded():
    torch.manual_seed(0)
    images = torch.randn(8, 3, 9, 9)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=2, dilation=2, groups=3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 4, (2, 3), padding="valid"),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.BatchNorm1d(5),
    )
    moved(module, images)
    before = copy.deepcopy(module.state_dict())
    network, changes = trace(module, images)
    with torch.no_grad():
        found = network(images.double())[network.output]
        torch.testing.assert_close(found.float(), module(images), atol=1e-5, rtol=1e-5)
    assert [c.layer for c in changes if "folded" in c.became] == ["1", "4", "10"]
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert next(module.parameters()).dtype == torch.float32
    assert network.multiplications == 6 * 5 * 5 * 9 + 4 * 4 * 3 * 36 + 8 * 5


def test_encoder_of_this_project():
    torch.manual_seed(0)
    images = torch.randn(4, 3, 64, 64)
    encoder = moved(Encoder(size=64, width=4), images)
    network, _ = trace(encoder, images)
    with torch.no_grad():
        values, levels = network(images.double()), encoder.levels(images)
    for name, level in zip(
        [*(f"e{i}.act" for i in range(1, 6)), "bottleneck.act"], levels, strict=True
    ):
        torch.testing.assert_close(values[name].float(), level, atol=1e-5, rtol=1e-4)
    assert values[network.output].shape == (4, 32)


class Tangled(nn.Module):
    """Everything that has no spiking form, and one thing that has."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.GroupNorm(2, 4)
        self.squash = nn.Tanh()
        self.again = nn.Conv2d(4, 4, 1)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        x = self.squash(self.norm(self.pool(self.conv(x))))
        x = F.relu(self.again(self.again(x)))
        return torch.sigmoid(self.out(x.mean((2, 3))))


def test_one_error_names_everything():
    with pytest.raises(ModelError) as error:
        trace(Tangled(), torch.zeros(1, 1, 8, 8))
    text = str(error.value)
    for part in (
        "pool (MaxPool2d): ",
        "use nn.AvgPool2d, or a stride",
        "norm (GroupNorm): ",
        "squash (Tanh): ",
        "again (Conv2d): is used more than once",
        "relu() in forward: a functional activation",
        "mean() in forward: ",
        "sigmoid() in forward: ",
    ):
        assert part in text
    assert "out (Linear)" not in text and "conv (Conv2d)" not in text


class Choosing(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        return self.pool(x) if x.sum() > 0 else x


def test_control_flow_is_refused_with_the_layers():
    with pytest.raises(ModelError, match=r"pool \(MaxPool2d\)[\s\S]*depends on the values"):
        trace(Choosing(), torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("module", "shape", "found"),
    [
        (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(2)), (2, 4, 4), "1: a batch norm"),
        (nn.Sequential(nn.Conv2d(1, 1, 2, padding="same")), (1, 4, 4), "even kernel"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")),
            (1, 4, 4),
            "reflect",
        ),
        (nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)), (1, 5, 5), "ceil_mode"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), (1, 4, 4), "pools to"),
        (nn.Sequential(nn.Linear(4, 4)), (1, 4, 4), "flatten it first"),
        (nn.Sequential(nn.Conv2d(1, 1, 9)), (1, 4, 4), "does not go through"),
        (nn.Sequential(nn.ReLU6()), (1, 4, 4), r"0 \(ReLU6\): not known"),
        (nn.Sequential(nn.LeakyReLU(-1.0)), (1, 4, 4), "negative slope"),
    ],
)
def test_refuses_by_name(module, shape, found):
    with pytest.raises(ModelError, match=found):
        trace(module, torch.zeros(1, *shape))


class InPlace(nn.Module):
    """The second branch sees what the first one has changed."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True)
        self.left, self.right = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.left(self.relu(x)) + self.right(x)


def test_a_network_that_computes_something_else_is_never_returned():
    module = InPlace()
    nn.init.ones_(module.conv.weight)
    with pytest.raises(ModelError, match="in place"):
        trace(module, torch.zeros(1, 1, 4, 4))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(2 * 16, 3)

    def forward(self, x):
        x = self.relu(x + self.conv(x))
        return self.head(x.view(x.size(0), -1))


def test_additions_and_views():
    torch.manual_seed(0)
    module, images = Residual(), torch.randn(3, 2, 4, 4)
    network, changes = trace(module, images)
    with torch.no_grad():
        torch.testing.assert_close(
            network(images.double())[network.output].float(), module(images), atol=1e-5, rtol=1e-5
        )
    assert [c.layer for c in changes] == ["add"]


def test_the_last_softmax_is_the_hosts():
    module = nn.Sequential(nn.Linear(3, 2), nn.Softmax(1))
    network, changes = trace(module, torch.zeros(1, 3))
    assert [c.layer for c in changes] == ["1"] and "host" in changes[0].became
    x = torch.randn(4, 3)
    with torch.no_grad():
        logits = network(x.double())[network.output].float()
        torch.testing.assert_close(logits, module[0](x))
