"""The float forward pass that a trained network has in torch: conv, then leak, threshold, reset.

Steps and samples share one batch in every convolution, as in all fast spiking libraries.
"""

from __future__ import annotations

import numpy as np
import torch

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.synapses import Conv

torch.set_num_threads(1)


class TorchForward:
    """A feed-forward ChipNetwork of CUBA neurons without current memory, in float32."""

    def __init__(self, network: ChipNetwork) -> None:
        self.network = network
        self.weights = [torch.from_numpy(s.weight.astype(np.float32)) for s in network.synapses]

    @torch.no_grad()
    def run(self, spikes: np.ndarray) -> dict[str, torch.Tensor]:
        """Spikes of every population, ``[T * N, ...]``, from ``[N, T, C, H, W]``."""
        samples, steps = spikes.shape[:2]
        frames = torch.from_numpy(spikes).transpose(0, 1).flatten(0, 1).float()
        streams = {INPUT: frames}
        for population, synapse, weight in zip(
            self.network.populations, self.network.synapses, self.weights, strict=True
        ):
            source = streams[synapse.sources[0]]
            for name in synapse.sources[1:]:
                source = source + streams[name]
            if isinstance(synapse, Conv):
                current = torch.nn.functional.conv2d(
                    source, weight, stride=synapse.stride, padding=synapse.padding
                )
            else:
                current = torch.nn.functional.linear(source.flatten(1), weight)
            keep = 1 - float(population.dv[0]) / 4096
            threshold = float(population.vth[0])
            streams[population.name] = leaky(
                current.unflatten(0, (steps, samples)), keep, threshold
            ).flatten(0, 1)
        return streams


def leaky(current: torch.Tensor, keep: float, threshold: float) -> torch.Tensor:
    """Leaky integrate-and-fire neurons, reset to zero: ``[T, N, ...]`` to spikes."""
    voltage = torch.zeros_like(current[0])
    spikes = []
    for a in current:
        voltage = voltage * keep + a
        fired = (voltage > threshold).float()
        voltage = voltage * (1 - fired)
        spikes.append(fired)
    return torch.stack(spikes)
