"""What the neurons of the three codes do in one step, in floats.

Rate, an integrate-and-fire neuron that starts half full and subtracts its threshold:

    v += z;   s = [v >= theta];   v -= theta s;   v(0) = theta / 2

Graded, one message of 0 to L in every step and no memory:

    n = clip(floor(L z / theta + 1/2), 0, L)

Sigma-delta, which adds up changes, and sends a change where it reaches the threshold:

    sigma += z;   D = f(sigma) - f_before + residue;   s = D where |D| >= vth;   residue = D - s

A LeakyReLU's negative side, with slope a: a spike of -1 that adds theta / a to the voltage where
``v <= (theta - theta / a) / 2``; a level of ``-clip(floor(L a |z| / theta + 1/2), 0, L)``; ``f``
itself. Sources: Bu et al., ICLR 2022, for the first two; ``lava.proc.sdn`` of Lava 0.10.0 for the
third. The signed forms of the first two are ours, the memory of the first after Wang et al.,
"Signed neuron with memory", IJCAI 2022.

>>> rate = Rate(name="n", sources=(), shape=(1,), theta=torch.ones(1))
>>> state, spikes = rate.start(torch.zeros(1, 1)), []
>>> for _ in range(4):
...     message, state = rate.step(torch.full((1, 1), 0.5), state)
...     spikes.append(int(message))
>>> spikes
[1, 0, 1, 0]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn import functional as F

from conversion.spiking.graph import Node, along_channels, quantised

Code = Literal["rate", "graded", "sigma_delta"]
Reset = Literal["subtract", "zero"]
Reading = Literal["mean", "latest", "sum"]
State = tuple[torch.Tensor, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons(Node, ABC):
    """A population; ``negative_slope`` is that of a LeakyReLU, 0 of a ReLU.

    Parameters
    ----------
    theta : Tensor of shape (C,)
        The activation that the largest message or rate stands for.
    negative_slope : float
    """

    theta: torch.Tensor
    negative_slope: float = 0.0

    CODE: ClassVar[Code]

    @abstractmethod
    def start(self, like: torch.Tensor) -> State:
        """The state before the first step of inputs like these, ``[N, *shape]``."""

    @abstractmethod
    def step(self, z: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Messages of a step and the state after it."""

    @property
    @abstractmethod
    def unit(self) -> torch.Tensor:
        """The activation that a message of 1 stands for, of each channel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rate(Neurons):
    """Integrate-and-fire neurons.

    Parameters
    ----------
    reset : {"subtract", "zero"}
        What a spike does to the voltage; "zero" forgets what was above the threshold.
    """

    reset: Reset = "subtract"

    CODE: ClassVar[Code] = "rate"

    def start(self, like: torch.Tensor) -> State:
        """See ``Neurons.start``."""
        return (torch.zeros_like(like) + along_channels(self.theta, like) / 2,)

    def step(self, z: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """See ``Neurons.step``."""
        theta = along_channels(self.theta, z)
        v = state[0] + z
        spikes = (v >= theta).to(z.dtype)
        return spikes, (self._after(v, spikes, theta * spikes),)

    def _after(self, v: torch.Tensor, spikes: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        """The voltage after what the spikes take."""
        return v - taken if self.reset == "subtract" else torch.where(spikes != 0, 0.0, v)

    @property
    def unit(self) -> torch.Tensor:
        """See ``Neurons.unit``."""
        return self.theta


@dataclass(frozen=True, kw_only=True, eq=False)
class SignedRate(Rate):
    """Integrate-and-fire neurons for LeakyReLU: with negative spikes, and a memory of those sent.

    A spike that goes further from 0 than all before costs ``theta`` above and ``theta / a`` below
    0. One that takes another back gives the same again; it waits until the voltage is a whole spike
    beyond, so that inputs that swing do not make neurons chatter.
    """

    def start(self, like: torch.Tensor) -> State:
        """See ``Neurons.start``."""
        return (*super().start(like), torch.zeros_like(like))

    def step(self, z: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """See ``Neurons.step``."""
        above = along_channels(self.theta, z)
        below = above / self.negative_slope
        v, sent = state[0] + z, state[1]
        up = v >= torch.where(sent >= 0, above, (above + 3 * below) / 2)
        down = v <= torch.where(sent > 0, -above, (above - below) / 2)
        taken = up * torch.where(sent >= 0, above, below) - down * torch.where(
            sent > 0, above, below
        )
        spikes = up.to(z.dtype) - down.to(z.dtype)
        return spikes, (self._after(v, spikes, taken), sent + spikes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Graded(Neurons):
    """Neurons that send their activation as one whole number.

    Parameters
    ----------
    levels : int
    """

    levels: int

    CODE: ClassVar[Code] = "graded"

    def start(self, like: torch.Tensor) -> State:
        """See ``Neurons.start``; there is nothing to remember."""
        return ()

    def step(self, z: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """See ``Neurons.step``."""
        theta = along_channels(self.theta, z)
        return quantised(z, theta, self.levels, self.negative_slope), ()

    @property
    def unit(self) -> torch.Tensor:
        """See ``Neurons.unit``."""
        return self.theta / self.levels


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmaDelta(Neurons):
    """Neurons that send changes of their activation.

    Parameters
    ----------
    vth : float
        The smallest change that is sent.
    """

    vth: float

    CODE: ClassVar[Code] = "sigma_delta"

    def start(self, like: torch.Tensor) -> State:
        """See ``Neurons.start``."""
        return tuple(torch.zeros_like(like) for _ in range(3))

    def step(self, z: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """See ``Neurons.step``."""
        sigma, before, residue = state
        sigma = sigma + z
        activation = F.leaky_relu(sigma, self.negative_slope)
        change = activation - before + residue
        sent = torch.where(change.abs() >= self.vth, change, 0.0)
        return sent, (sigma, activation, change - sent)

    @property
    def unit(self) -> torch.Tensor:
        """See ``Neurons.unit``."""
        return torch.ones_like(self.theta)


READINGS: dict[Code, Reading] = {"rate": "mean", "graded": "latest", "sigma_delta": "sum"}
"""How messages over the steps become one activation."""
