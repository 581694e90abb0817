"""Which neurons an activation becomes: by code, and by the form of a LeakyReLU.

>>> form = Form("graded", 8, "pair", "subtract", 0.0, {"e1.act": torch.ones(1)})
>>> form.is_pair(Activation(name="e1.act", sources=("e1",), shape=(4, 8, 8), found="LeakyReLU",
...                         negative_slope=0.2))
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from conversion.spiking.builder import Change
from conversion.spiking.graph import Activation, Network, Shape
from conversion.spiking.neurons import Code, Graded, Neurons, Rate, Reset, SigmaDelta, SignedRate
from snn.errors import ModelError

ActivationForm = Literal["qcfs", "signed", "pair"]
LEVELS = 8


@dataclass(frozen=True)
class Form:
    """How activations become neurons of a code; parameters as ``conversion.spiking.convert``.

    Parameters
    ----------
    thetas : dict of str to Tensor of shape (1,) or (C,)
        Thresholds by activation.
    """

    code: Code
    levels: int | None
    activation: ActivationForm
    reset: Reset
    delta: float
    thetas: dict[str, torch.Tensor]

    def check(self, network: Network) -> None:
        """Refuse to cut off a negative side that a network was trained to use."""
        trained = [n.name for n in network.activations if n.lam is not None and n.negative_slope]
        if self.activation == "qcfs" and trained:
            raise ModelError(
                f"{', '.join(trained)}: trained with a negative side, which activation = 'qcfs' "
                "would cut off; use 'signed' or 'pair'"
            )

    def is_pair(self, node: Activation) -> bool:
        """Whether an activation becomes two neurons."""
        return self.activation == "pair" and node.negative_slope > 0

    def slope(self, node: Activation) -> float:
        """Of the neurons."""
        return node.negative_slope if self.activation == "signed" else 0.0

    def n_levels(self, node: Activation) -> int:
        """Of the neurons of an activation."""
        return self.levels or node.levels or LEVELS

    def neurons(self, node: Activation, source: str, shape: Shape, copies: int) -> Neurons:
        """The population of an activation."""
        theta = self.thetas[node.name].double().expand(node.shape[0]).repeat_interleave(copies)
        slope = self.slope(node)
        if self.code == "rate":
            kind = SignedRate if slope else Rate
            return kind(
                name=node.name,
                sources=(source,),
                shape=shape,
                theta=theta,
                negative_slope=slope,
                reset=self.reset,
            )
        if self.code == "graded":
            return Graded(
                name=node.name,
                sources=(source,),
                shape=shape,
                theta=theta,
                negative_slope=slope,
                levels=self.n_levels(node),
            )
        return SigmaDelta(
            name=node.name,
            sources=(source,),
            shape=shape,
            theta=theta,
            negative_slope=slope,
            vth=self.delta * float(theta.max()),
        )

    def change(self, node: Activation) -> Change:
        """The report's line of an activation."""
        became = {
            "rate": f"integrate-and-fire, reset {self.reset}",
            "graded": f"{self.n_levels(node)} levels in one message",
            "sigma_delta": f"changes from {self.delta:g} of its range on",
        }[self.code]
        if node.lam is not None and self.code == "sigma_delta":
            became += "; the clip and levels of the QCFS are left out"
        if node.negative_slope:
            only_here = "" if self.code == "graded" else ", which no chip has: deploy 'pair'"
            became += {
                "qcfs": "; its negative side is cut off: distil, or take 'signed'",
                "signed": f"; negative messages for the slope {node.negative_slope:g}{only_here}",
                "pair": f"; a second neuron for the slope {node.negative_slope:g}",
            }[self.activation]
        return Change(layer=node.name, found=node.found, became=became)
