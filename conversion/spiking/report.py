"""What a conversion did, as a table that can be printed.

>>> print(convert(encoder, images, code="graded", calibration=images).report)
"""

from __future__ import annotations

from dataclasses import dataclass

from conversion.spiking.builder import Change
from conversion.spiking.neurons import Code, Reset

NEEDS: dict[Code, str] = {
    "rate": "resets by subtraction and starts half full: microcode of its own on a Loihi 2, or two "
    "compartments a neuron; Lava's stock LIF resets to zero",
    "graded": "microcode of its own on a Loihi 2: Lava has no such neuron",
    "sigma_delta": "the stock process lava.proc.sdn.SigmaDelta, for ReLU",
}
NEEDS_RESET_TO_ZERO = (
    "starts half full: microcode of its own on a Loihi 2; Lava's stock LIF, which resets to zero "
    "as well, starts empty"
)


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One population.

    Parameters
    ----------
    name : str
    neurons : int
    theta : tuple of float
        Smallest and largest of its channels.
    source : str
        Where they come from: learned, or calibrated.
    """

    name: str
    neurons: int
    theta: tuple[float, float]
    source: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """A conversion.

    Parameters
    ----------
    code : {"rate", "graded", "sigma_delta"}
    changes : tuple of Change
        What each layer was and what it became.
    layers : tuple of LayerReport
    parameters : int
        Weights and biases of the spiking network.
    multiplications : int
        Multiply-accumulates of the artificial network for one image.
    reset : {"subtract", "zero"}
        Of a rate code.
    """

    code: Code
    changes: tuple[Change, ...]
    layers: tuple[LayerReport, ...]
    parameters: int
    multiplications: int
    reset: Reset = "subtract"

    @property
    def neurons(self) -> int:
        """Neurons of all populations."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def needs(self) -> str:
        """What the code asks of a chip."""
        return NEEDS_RESET_TO_ZERO if self.reset == "zero" else NEEDS[self.code]

    def __str__(self) -> str:
        lines = [
            f"code {self.code}: {self.neurons} neurons, {self.parameters} parameters; the "
            f"artificial network has {self.multiplications} multiplications an image",
            f"on a chip: {self.needs}",
            "",
        ]
        lines += [f"{c.layer:<28} {c.found:<20} {c.became}" for c in self.changes]
        lines += ["", f"{'population':<28} {'neurons':>9}  threshold"]
        for layer in self.layers:
            low, high = layer.theta
            theta = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
            lines.append(f"{layer.name:<28} {layer.neurons:>9}  {theta} ({layer.source})")
        return "\n".join(lines)
