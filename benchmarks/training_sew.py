"""SEW-ResNet-18 of PLIF neurons, forward and backward, on our engines and on spikingjelly.

Six steps, batches of 8, element-wise ADD, six classes. Ours is the product's own network
(``snn.models``); spikingjelly's ``sew_resnet18`` gets the same weights. All branches have a
normalisation gain of 1, so that they spike.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from measuring import Row
from torch import nn
from training_rounds import (
    Step,
    Variant,
    compare,
    measure_peak,
    spikingjelly_step,
    step_of,
    with_peaks,
)

from snn.engines.blocks import BlockNetwork, Steps
from snn.engines.fused import fused
from snn.models import ModelConfig, build

STEPS, BATCH, CLASSES, DENSITY = 6, 8, 6, 0.1
CONFIG = ModelConfig(
    family="sew_resnet", engine="fused", neuron="plif", surrogate="atan", head_hidden=0
)


def measure(size: int, *, rounds: int, full: bool) -> list[Row]:
    """Rows of ``training_rounds.compare`` for frames of `size` pixels; see ``training_conv``."""
    chosen = [v for v in variants(size) if full or v.kind != "tuned"]
    base = "spikingjelly, multi-step"
    rows = compare(chosen, rounds=rounds, base=base, settled=full, tolerance=0.1)
    return with_peaks(rows, Path(__file__), str(size)) if full else rows


def data(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Binary frames ``[N, T, 2, size, size]`` and labels."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(BATCH, STEPS, 2, size, size, generator=generator) < DENSITY
    return frames.float(), torch.randint(CLASSES, (BATCH,), generator=generator)


def network(size: int) -> nn.Module:
    """The product's network, every branch awake."""
    torch.manual_seed(0)
    built = build(CONFIG, input_shape=(2, size, size), n_classes=CLASSES, n_steps=STEPS)
    for norm in _modules(built, nn.BatchNorm2d):
        nn.init.ones_(norm.weight)
    return built


def ours(size: int, *, bfloat16: bool = False, steps: Steps = fused) -> Callable[[], Step]:
    """Our network with `steps` for neurons, in float32 or with convolutions in bfloat16."""

    def build_step() -> Step:
        frames, labels = data(size)
        net = network(size)
        if steps is not fused:
            other = BlockNetwork(CONFIG, net.layers, steps)
            other.load_state_dict(net.state_dict())
            net = other

        def run() -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                return net(frames).scores.unsqueeze(0)

        return step_of(net, run, labels)

    return build_step


def silent(current: torch.Tensor, parameters: object, *, gain: object = None) -> torch.Tensor:
    """No neurons at all: what is left is convolution, normalisation, pooling and addition."""
    return current


def spikingjelly(
    size: int, *, mode: str = "m", channels_last: bool = False, bfloat16: bool = False
) -> Callable[[], Step]:
    """spikingjelly's network with our weights, layer by layer ("m") or a step at a time ("s")."""

    def build_step() -> Step:
        from spikingjelly.activation_based import functional, neuron, surrogate
        from spikingjelly.activation_based.layer import Conv2d
        from spikingjelly.activation_based.model.sew_resnet import sew_resnet18

        net = sew_resnet18(
            cnf="ADD",
            spiking_neuron=neuron.ParametricLIFNode,
            num_classes=CLASSES,
            surrogate_function=surrogate.ATan(),
            detach_reset=True,
        )
        net.conv1 = Conv2d(2, 64, kernel_size=7, stride=2, padding=3, bias=False)
        _copy_weights(network(size), net)
        functional.set_step_mode(net, mode)
        frames, labels = data(size)
        frames = frames.transpose(0, 1).contiguous()
        return spikingjelly_step(
            net, frames, labels, mode=mode, channels_last=channels_last, bfloat16=bfloat16
        )

    return build_step


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Convolutions in order of use, and the last linear map."""
    with torch.no_grad():
        for kind in (nn.Conv2d, nn.Linear):
            pairs = zip(_modules(source, kind), _modules(target, kind), strict=True)
            for ours_, theirs in pairs:
                theirs.weight.copy_(ours_.weight)
                if theirs.bias is not None:
                    theirs.bias.zero_()


def _modules(net: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, kind)]


def variants(size: int) -> list[Variant]:
    """Everything that is compared."""
    return [
        Variant(
            name="without neurons, bfloat16",
            kind="bound",
            build=ours(size, bfloat16=True, steps=silent),
        ),
        Variant(name="without neurons", kind="bound", build=ours(size, steps=silent)),
        Variant(name="fused, bfloat16", kind="ours", build=ours(size, bfloat16=True)),
        Variant(name="fused", kind="ours", build=ours(size), same_output=True),
        Variant(
            name="spikingjelly, multi-step",
            kind="peer",
            build=spikingjelly(size),
            same_output=True,
        ),
        Variant(
            name="spikingjelly, multi-step, channels last",
            kind="tuned",
            build=spikingjelly(size, channels_last=True),
            same_output=True,
        ),
        Variant(
            name="spikingjelly, multi-step, bfloat16",
            kind="tuned",
            build=spikingjelly(size, bfloat16=True),
        ),
        # Its batch normalisation sees one step at a time: other statistics, other spikes.
        Variant(
            name="spikingjelly, a step at a time",
            kind="peer",
            build=spikingjelly(size, mode="s"),
        ),
        Variant(
            name="spikingjelly, a step at a time, channels last",
            kind="tuned",
            build=spikingjelly(size, mode="s", channels_last=True),
        ),
    ]


def main(arguments: Iterable[str]) -> None:
    """Print the peak memory of one variant, for ``with_peaks``."""
    torch.set_num_threads(1)
    size, name = arguments
    (variant,) = (v for v in variants(int(size)) if v.name == name)
    print(json.dumps(measure_peak(variant.build(), repeats=2)))


if __name__ == "__main__":
    main(sys.argv[1:])
