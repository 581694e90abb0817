"""A small convolutional spiking network, forward and backward, on every library.

Frames of 2x64x64, 16 steps, batches of 8; three convolutions (32, 64, 128 channels, kernel 3,
stride 2) and a dense layer of 6, each followed by leaky neurons that keep half of their membrane
and are reset to zero. All variants start from the same weights.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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

from snn.fused import fused_steps
from snn.neurons import NeuronParameters
from snn.surrogate import Surrogate

STEPS, BATCH, SIZE, CLASSES = 16, 8, 64, 6
CHANNELS = (32, 64, 128)
NEURON = NeuronParameters(gain=0.5, threshold=1.0, surrogate=Surrogate("atan", 2.0))
BASE = "norse LIFBoxCell, a step at a time"
FEATURES = CHANNELS[-1] * (SIZE // 8) ** 2


def measure(*, rounds: int, full: bool) -> list[Row]:
    """Rows of ``training_rounds.compare``; in full with tuned peers and peak memory."""
    variants = [v for v in VARIANTS if full or v.kind != "tuned"]
    rows = compare(variants, rounds=rounds, base=BASE, settled=full)
    return with_peaks(rows, Path(__file__)) if full else rows


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Binary frames ``[T, N, 2, 64, 64]`` of density 0.05 and labels."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(STEPS, BATCH, 2, SIZE, SIZE, generator=generator) < 0.05
    return frames.float(), torch.randint(CLASSES, (BATCH,), generator=generator)


def synapses() -> list[nn.Module]:
    """Convolutions and dense layer, scaled so that every layer fires at a rate of about 0.2."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 2
    for outputs in CHANNELS:
        layers.append(nn.Conv2d(channels, outputs, 3, stride=2, padding=1, bias=False))
        channels = outputs
    layers.append(nn.Linear(FEATURES, CLASSES, bias=False))
    with torch.no_grad():
        for layer, scale in zip(layers, (39.4, 9.7, 8.9, 5.3), strict=True):
            layer.weight *= scale
    return layers


def ours(*, dtype: torch.dtype = torch.float32, neurons: bool = True) -> Callable[[], Step]:
    """All steps flat through channels-last convolutions, then ``fused_steps``."""

    def build() -> Step:
        frames, labels = data()
        network = nn.ModuleList(synapses()).to(memory_format=torch.channels_last)
        flat = frames.flatten(0, 1).to(dtype).contiguous(memory_format=torch.channels_last)

        def run() -> torch.Tensor:
            x = flat
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                for layer in network:
                    x = layer(x if isinstance(layer, nn.Conv2d) else x.flatten(1))
                    if neurons:
                        steps = x.unflatten(0, (STEPS, BATCH))
                        x = fused_steps(steps, NEURON, in_place=True)[0].flatten(0, 1)
            return x.unflatten(0, (STEPS, BATCH))

        return step_of(network, run, labels)

    return build


def stepwise(neuron: Callable[[], Any], *, channels_last: bool = False) -> Callable[[], Step]:
    """A step at a time through synapses and cells ``cell(x, state) -> (spikes, state)``."""

    def build() -> Step:
        frames, labels = data()
        if channels_last:
            frames = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            frames = frames.unflatten(0, (STEPS, BATCH))
        layers = nn.ModuleList(synapses())
        if channels_last:
            layers = layers.to(memory_format=torch.channels_last)
        cells = [neuron() for _ in layers]

        def run() -> torch.Tensor:
            states: list[Any] = [None] * len(cells)
            out = []
            for x in frames:
                for k, layer in enumerate(layers):
                    x = layer(x if isinstance(layer, nn.Conv2d) else x.flatten(1))
                    x, states[k] = cells[k](x, states[k])
                out.append(x)
            return torch.stack(out)

        return step_of(layers, run, labels)

    return build


def norse_box() -> Any:
    """norse's neuron without a synaptic current."""
    from norse.torch import LIFBoxCell, LIFBoxParameters

    return LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor(0.5)), dt=1.0)


def norse_lif() -> Any:
    """norse's neuron with a synaptic current, its default."""
    from norse.torch import LIFCell, LIFParameters

    parameters = LIFParameters(tau_mem_inv=torch.tensor(0.5), tau_syn_inv=torch.tensor(0.5))
    return LIFCell(parameters, dt=1.0)


def snntorch_leaky() -> Any:
    """snntorch adds the whole current: twice the threshold is the same neuron."""
    import snntorch

    cell = snntorch.Leaky(beta=0.5, threshold=2.0, reset_mechanism="zero", reset_delay=False)
    return lambda x, state: cell(x, cell.reset_mem() if state is None else state)


def spikingjelly(*, mode: str, channels_last: bool = False) -> Callable[[], Step]:
    """spikingjelly's LIFNode, a step at a time ("s") or layer by layer ("m")."""

    def build() -> Step:
        from spikingjelly.activation_based import layer, neuron, surrogate

        frames, labels = data()
        modules: list[nn.Module] = []
        for synapse in synapses():
            if isinstance(synapse, nn.Linear):
                modules.append(layer.Flatten())
            container = layer.SeqToANNContainer(synapse) if mode == "m" else synapse
            lif = neuron.LIFNode(
                2.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode=mode
            )
            modules += [container, lif]
        network = nn.Sequential(*modules)
        for module in network:
            if isinstance(module, layer.Flatten):
                module.step_mode = mode
        return spikingjelly_step(network, frames, labels, mode=mode, channels_last=channels_last)

    return build


def sinabs_squeeze() -> Step:
    """sinabs' LIFSqueeze: its time constant is that of exp(-1/tau) = 1/2."""
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.layers import LIFSqueeze

    frames, labels = data()
    modules: list[nn.Module] = []
    for synapse in synapses():
        if isinstance(synapse, nn.Linear):
            modules.append(nn.Flatten())
        lif = LIFSqueeze(
            tau_mem=1 / math.log(2),
            batch_size=BATCH,
            norm_input=True,
            spike_fn=SingleSpike,
            reset_fn=MembraneReset(),
        )
        modules += [synapse, lif]
    network = nn.Sequential(*modules)
    flat = frames.transpose(0, 1).flatten(0, 1).contiguous()  # sinabs takes the batch first

    def run() -> torch.Tensor:
        for module in network:
            if isinstance(module, LIFSqueeze):
                module.reset_states()
        return network(flat).unflatten(0, (BATCH, STEPS)).transpose(0, 1)

    return step_of(network, run, labels)


def slayer_cuba() -> Step:
    """lava-dl's CUBA blocks; their recursion is on integers and keeps a current."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lava.lib.dl import slayer

    frames, labels = data()
    neuron = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 0.5}
    blocks: list[nn.Module] = []
    channels = 2
    for outputs in CHANNELS:
        blocks.append(
            slayer.block.cuba.Conv(
                neuron, channels, outputs, 3, stride=2, padding=1, weight_scale=5
            )
        )
        channels = outputs
    blocks.append(slayer.block.cuba.Flatten())
    blocks.append(slayer.block.cuba.Dense(neuron, FEATURES, CLASSES, weight_scale=5))
    network = nn.Sequential(*blocks)
    ordered = frames.permute(1, 2, 3, 4, 0).contiguous()  # N C H W T
    return step_of(network, lambda: network(ordered).permute(2, 0, 1), labels)


VARIANTS = [
    Variant(
        name="without neurons, bfloat16",
        kind="bound",
        build=ours(dtype=torch.bfloat16, neurons=False),
    ),
    Variant(name="without neurons", kind="bound", build=ours(neurons=False)),
    Variant(name="fused, bfloat16", kind="ours", build=ours(dtype=torch.bfloat16)),
    Variant(name="fused", kind="ours", build=ours(), same_output=True),
    Variant(
        name=BASE,
        kind="peer",
        build=stepwise(norse_box),
        same_output=True,
    ),
    Variant(
        name="norse LIFBoxCell, channels last",
        kind="tuned",
        build=stepwise(norse_box, channels_last=True),
        same_output=True,
    ),
    Variant(name="norse LIFCell, a step at a time", kind="peer", build=stepwise(norse_lif)),
    Variant(name="snntorch Leaky", kind="peer", build=stepwise(snntorch_leaky), same_output=True),
    Variant(
        name="spikingjelly, a step at a time",
        kind="peer",
        build=spikingjelly(mode="s"),
        same_output=True,
    ),
    Variant(
        name="spikingjelly, channels last",
        kind="tuned",
        build=spikingjelly(mode="s", channels_last=True),
        same_output=True,
    ),
    Variant(
        name="spikingjelly, multi-step", kind="peer", build=spikingjelly(mode="m"), same_output=True
    ),
    Variant(name="sinabs LIFSqueeze", kind="peer", build=sinabs_squeeze, same_output=True),
    Variant(name="SLAYER cuba", kind="peer", build=slayer_cuba),
]


def main(arguments: Iterable[str]) -> None:
    """Print the peak memory of the named variant, for ``with_peaks``."""
    torch.set_num_threads(1)
    (name,) = arguments
    (variant,) = (v for v in VARIANTS if v.name == name)
    print(json.dumps(measure_peak(variant.build())))


if __name__ == "__main__":
    main(sys.argv[1:])
