"""Before the first step: neurons that fire, statistics that fit, a check that both are so.

Sparse events and usual initial weights leave a spiking network silent, and a silent network has
no gradient. Layers that start silent on purpose, the second of each residual branch, are left
alone.

>>> prepare(network, training, TrainingConfig(init_rate=0.1))["conv1"]
0.1
"""

from __future__ import annotations

import math
from typing import Any

import torch

from snn.errors import TrainingError
from snn.models import Network, SpikingNetwork
from snn.training.config import TrainingConfig
from snn.training.data import ClipSource

LOWEST_RATE, HIGHEST_RATE = 1e-3, 0.9
SCALING_CLIPS = 8


def prepare(network: Network, training: ClipSource, config: TrainingConfig) -> dict[str, float]:
    """Make fresh neurons fire, and refuse a network that is dead all the same.

    Returns
    -------
    dict of str to float
        Firing rate per layer on the first clips, in spikes per neuron and step.
    """
    device = next(network.parameters()).device
    clips = range(min(2 * config.batch_size, len(training)))
    frames = training.batch(clips).to(device).float()
    if config.init_rate > 0 and isinstance(network, SpikingNetwork):
        scale_to_rate(network, frames, config.init_rate)
    start_statistics(network, frames)
    rates = firing_rates(network, frames)
    check_alive({n: rate for n, rate in rates.items() if n not in network.silent_at_start})
    return rates


@torch.no_grad()
def start_statistics(network: Network, frames: torch.Tensor) -> None:
    """Set running statistics of batch normalisation to those of the first clips.

    They start at variance 1, currents of sparse events have a hundredth of it, and for many steps
    a running average of the two would silence the network wherever it is evaluated.
    """
    norms: list[Any] = [m for m in network.modules() if hasattr(m, "running_var")]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    network(frames)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def firing_rates(network: Network, frames: torch.Tensor) -> dict[str, float]:
    """Spikes per neuron and step of each layer in training mode; statistics stay untouched."""
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    rates = {name: float(train.mean()) for name, train in network(frames).trains.items()}
    network.load_state_dict(kept)
    return rates


def check_alive(
    rates: dict[str, float], *, lowest: float = LOWEST_RATE, highest: float = HIGHEST_RATE
) -> None:
    """Fail loudly on a network that cannot learn because its neurons never, or always, fire.

    Raises
    ------
    TrainingError
        Naming the layers and what to change.
    """
    dead = {name: rate for name, rate in rates.items() if not lowest <= rate <= highest}
    if dead:
        found = ", ".join(
            f"{name} fires in {100 * r:.3g} % of all steps" for name, r in dead.items()
        )
        raise TrainingError(
            f"the network cannot learn: {found}; allowed are {100 * lowest:g} % to "
            f"{100 * highest:g} %. Set training.init_rate (0.1 is usual), or lower model.threshold"
        )


@torch.no_grad()
def scale_to_rate(network: SpikingNetwork, frames: torch.Tensor, rate: float) -> None:
    """Scale the input of each layer in turn until it fires at `rate`.

    A data-driven initialisation after the idea of LSUV (Mishkin and Matas, ICLR 2016), with the
    firing rate in place of the variance. The rate grows with the scale, so bisection on its
    logarithm finds it. A few clips say enough: each layer takes many passes of the whole network.
    """
    network.train()
    frames = frames[:SCALING_CLIPS]
    for name, gain in network.weight_gains().items():
        if name in network.silent_at_start:
            continue
        drawn = gain.clone()
        low, high = math.log(1e-2), math.log(1e3)
        for _ in range(16):
            middle = (low + high) / 2
            gain.copy_(drawn * math.exp(middle))
            if float(network(frames).trains[name].mean()) < rate:
                low = middle
            else:
                high = middle
