"""What every network answers, whichever engine computes it.

>>> scores, trains = network(frames)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from snn.models.layers import (
    Accumulator,
    Layer,
    MaxPool,
    Spiking,
    synaptic_operations_per_spike,
)
from snn.neurons import NeuronParameters

Readout = Literal["spike_count", "membrane", "logits"]


class Response(NamedTuple):
    """What a network says about a batch of clips.

    Parameters
    ----------
    scores : Tensor of shape (N, classes)
        Spike counts of the output neurons, the membrane of an accumulator, or logits.
    trains : dict of str to Tensor of shape (T, N, ...)
        Spikes of every layer that spikes, by name; empty for an artificial network.
    """

    scores: torch.Tensor
    trains: dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class TrainedLayer:
    """Weights and neurons of one layer after training, in the terms every engine and NIR share.

        v[t] = (1 - decay) v[t-1] + gain (weight * s[t] + bias)

    with a spike and a reset where v[t] > threshold. An accumulator has a decay of 0 and never
    spikes.

    Parameters
    ----------
    weight : ndarray of float32
        ``(C_out, C_in, kh, kw)`` or ``(F_out, F_in)``, normalisation folded in.
    bias : ndarray of float32, shape (C_out,) or (F_out,), or None
    decay, gain, threshold : float
    reset : {"zero", "subtract"}
    weight_scale : float, optional
        Set when weight times gain times this is already the chip's even integer.
    """

    layer: Spiking | Accumulator
    weight: np.ndarray
    bias: np.ndarray | None
    decay: float
    gain: float
    threshold: float
    reset: Literal["zero", "subtract"] = "zero"
    weight_scale: float | None = None


class Network(torch.nn.Module):
    """A network with classes as its answer; see ``Response``.

    Parameters
    ----------
    layers : tuple of Layer
        Empty for an artificial network, which counts no spikes.
    """

    def __init__(self, layers: tuple[Layer, ...] = ()) -> None:
        super().__init__()
        self.layers = layers

    @property
    @abstractmethod
    def readout(self) -> Readout:
        """What the scores are."""

    @abstractmethod
    def forward(self, frames: torch.Tensor) -> Response:
        """The answer to binary frames ``[N, T, C, H, W]``, float32."""

    @property
    def needs_preparation(self) -> bool:
        """Whether rates and running statistics are set from the first clips before training."""
        return True

    def parameter_groups(self) -> list[tuple[list[torch.nn.Parameter], float]]:
        """What the optimiser changes: parameters, and the factor on their learning rate."""
        return [(list(self.parameters()), 1.0)]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Layers that spike, in order: the keys of ``Response.trains``."""
        return tuple(x.name for x in self.layers if isinstance(x, Spiking | MaxPool))

    @property
    def silent_at_start(self) -> frozenset[str]:
        """Layers that begin with a gain of 0 and cannot spike before the first step."""
        return frozenset(x.name for x in self.layers if isinstance(x, Spiking) and x.zero_gain)

    @property
    def fan_out(self) -> dict[str, float]:
        """Synapses that one spike of a layer, or of the input, drives on average."""
        return synaptic_operations_per_spike(self.layers)


class SpikingNetwork(Network):
    """A graph of spiking layers on one engine."""

    @property
    def readout(self) -> Readout:
        """See ``Network.readout``."""
        return "membrane" if isinstance(self.layers[-1], Accumulator) else "spike_count"

    @abstractmethod
    def weight_gains(self) -> dict[str, torch.Tensor]:
        """By layer, the parameter that scales its input currents."""

    @abstractmethod
    def use_chip_grid(self) -> None:
        """From now on run with folded weights, rounded to what the chip can hold."""

    @abstractmethod
    def trained_layers(self) -> dict[str, TrainedLayer]:
        """By layer, what ``snn.export`` writes."""


def decay_of(neurons: NeuronParameters) -> float:
    """Share of the voltage that a step forgets."""
    return 0.0 if neurons.kind == "if" else neurons.gain
