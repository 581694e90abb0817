"""The ``[model]`` of a configuration: which network, of which neurons, on which engine.

>>> ModelConfig(family="sew_resnet", engine="fused", neuron="if", surrogate="atan", width=64)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from snn.errors import ModelError
from snn.neurons import NeuronParameters
from snn.surrogate import Surrogate

Engine = Literal["norse", "slayer", "fused"]
Family = Literal["conv", "sew_resnet", "resnet"]
Neuron = Literal["lif", "if", "plif"]
Reset = Literal["zero", "subtract"]
Norm = Literal["batch", "scale"]
Stem = Literal["pooled", "strided"]
Head = Literal["spike_count", "accumulator"]
SurrogateName = Literal[
    "default",
    "erfc",
    "atan",
    "sigmoid",
    "superspike",
    "tanh",
    "triangle",
    "circ",
    "exponential",
]
ENGINES = get_args(Engine)
BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # basic blocks of each stage


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape and neurons of a network.

    Parameters
    ----------
    family : {"conv", "sew_resnet", "resnet"}
        Strided convolutions and dense layers; Spiking-FER's SEW-ResNet with ADD; its artificial
        twin, which sees all steps at once as channels.
    engine : {"norse", "slayer", "fused"}
        Who computes neurons and gradients; nothing to an artificial network.
    channels, kernels : tuple of int
        Of ``conv``: output channels and kernel size of each convolution; the stride is 2.
    hidden : int
        Of ``conv``: neurons of the dense layer before the read-out; 0 leaves it out.
    depth : {10, 18, 34}
        Of ``sew_resnet`` and ``resnet``: 1, 2 or more blocks in each of the four stages.
    width : int
        Channels of the first stage; they double with each further one.
    stem : {"pooled", "strided"}
        A 7×7 convolution of stride 2 and max pooling; or, for small chips, a 3×3 convolution of
        stride 2 alone.
    norm : {"batch", "scale"}
        Batch normalisation, which becomes weights and biases of the chip; or a scale without a
        shift, which becomes weights alone.
    head : {"spike_count", "accumulator"}
        Of ``sew_resnet``: a dense layer whose neurons are the classes and whose spikes are
        counted; or Spiking-FER's accumulator, whose membrane is the answer.
    head_hidden, dropout : int, float
        Of the accumulator: values between its two linear maps (0: one map) and their dropout.
    zero_init_residual : bool
        Of ``sew_resnet``: whether the second layer of each block starts silent, so that blocks
        start as the identity, as published; else it starts as active as the others.
    neuron : {"lif", "if", "plif"}
        Leaky, without leak, or leaky with a time constant that each layer learns.
    tau_steps : float
        Membrane time constant in steps, above 1; of ``plif`` where it starts.
    threshold : float
    reset : {"zero", "subtract"}
    detach_reset : bool
        Whether the reset is left out of the gradient.
    surrogate : str
        Shape of the surrogate gradient, see ``snn.surrogate``; ``"default"`` is ``exponential`` on
        SLAYER, which has no other, and ``erfc`` elsewhere.
    surrogate_width : float
        Width of the surrogate around the threshold, in units of the threshold: its
        ``alpha = 1 / (width * threshold)``.
    """

    family: Family = "conv"
    engine: Engine = "norse"
    channels: tuple[int, ...] = (8, 16, 32, 64)
    kernels: tuple[int, ...] = (5, 3, 3, 3)
    hidden: int = 128
    depth: int = 18
    width: int = 64
    stem: Stem = "pooled"
    norm: Norm = "batch"
    head: Head = "accumulator"
    head_hidden: int = 512
    dropout: float = 0.5
    zero_init_residual: bool = True
    neuron: Neuron = "lif"
    tau_steps: float = 2.0
    threshold: float = 1.0
    reset: Reset = "zero"
    detach_reset: bool = True
    surrogate: SurrogateName = "default"
    surrogate_width: float = 0.5

    def __post_init__(self) -> None:
        problems = [*self._choice_problems(), *self._number_problems()]
        if problems:
            raise ModelError("[model] " + "; ".join(problems))

    def _choice_problems(self) -> list[str]:
        choices: dict[str, tuple[Any, ...]] = {
            "family": get_args(Family),
            "engine": ENGINES,
            "depth": tuple(BLOCKS),
            "stem": get_args(Stem),
            "norm": get_args(Norm),
            "head": get_args(Head),
            "neuron": get_args(Neuron),
            "reset": get_args(Reset),
            "surrogate": get_args(SurrogateName),
        }
        return [
            f"{name} must be one of {', '.join(map(str, allowed))}, got {getattr(self, name)!r}"
            for name, allowed in choices.items()
            if getattr(self, name) not in allowed
        ]

    def _number_problems(self) -> list[str]:
        problems = []
        if not self.channels or len(self.channels) != len(self.kernels):
            problems.append(
                "channels and kernels need one number per convolution each, "
                f"got {self.channels} and {self.kernels}"
            )
        if min(self.channels, default=1) < 1 or min(self.kernels, default=1) < 1:
            problems.append(
                f"channels and kernels must be at least 1, got {self.channels}, {self.kernels}"
            )
        for name, lowest in (("hidden", 0), ("head_hidden", 0), ("width", 1)):
            if getattr(self, name) < lowest:
                problems.append(f"{name} must be {lowest} or more, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            problems.append(f"dropout must lie in [0, 1), got {self.dropout}")
        if not (math.isfinite(self.tau_steps) and self.tau_steps > 1):
            problems.append(f"tau_steps must be above 1, got {self.tau_steps}")
        if not (self.threshold > 0 and self.surrogate_width > 0):
            problems.append(
                "threshold and surrogate_width must be above 0, "
                f"got {self.threshold} and {self.surrogate_width}"
            )
        return problems

    def neuron_parameters(self) -> NeuronParameters:
        """The neurons of every layer, in the terms of ``snn.neurons``."""
        shape = self.surrogate
        if shape == "default":
            shape = "exponential" if self.engine == "slayer" else "erfc"
        return NeuronParameters(
            kind="if" if self.neuron == "if" else "lif",
            gain=1.0 if self.neuron == "if" else 1.0 / self.tau_steps,
            threshold=self.threshold,
            reset=self.reset,
            detach_reset=self.detach_reset,
            surrogate=Surrogate(shape, 1.0 / (self.surrogate_width * self.threshold)),
        )
