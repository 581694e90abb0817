"""The section ``[conversion]``: which classifier becomes spiking, in which code, how it is tested.

>>> ConversionConfig(code="rate", steps=(4, 8, 16)).form
'pair'
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from spikeface.errors import ConfigError

CODES = ("rate", "graded", "sigma_delta")
Form = Literal["qcfs", "signed", "pair"]


@dataclass(frozen=True, kw_only=True)
class ConversionConfig:
    """A conversion of the encoder of a transfer run; head and LSTM stay on the host in floats.

    Parameters
    ----------
    run : str
        The run folder of the classifier.
    code : {"rate", "graded", "sigma_delta"}
    levels : int
        Of the graded code; a rate code's thresholds are calibrated for so many.
    steps : tuple of int
        Of the rate code: for how many steps an image is shown, ascending; the network learns and is
        tested with each.
    reset : {"subtract", "zero"}
        Of the rate code's neurons after a spike: ``zero``, as in Lava's LIF, forgets what was above
        the threshold; what that costs grows with the layers.
    activation : {"auto", "qcfs", "signed", "pair"}
        The form of LeakyReLU, see ``conversion.spiking.convert``. ``auto`` keeps the negative side:
        as signed messages of a graded code, as a second neuron of the others.
    per_channel : bool
        Whether every channel has its own threshold.
    deltas : tuple of float
        Of the sigma-delta code: the smallest change sent, as a share of the layer's range. Of
        several, ascending, the largest is taken that keeps the accuracy on validation recordings.
    kept : float
        Share of the float encoder's accuracy that counts as keeping it; of a few hundred recordings
        one or two more or fewer are chance.
    input_bits : int
        Bits of an image's values without their sign; 8 is exact for images in files of 8 bits. A
        chip's registers leave the first layer's weights the fewer bits the more the input has.
    calibration_images : int
        Training images that set ranges, spread over the training set.
    distil : bool
        Whether the encoder, with its levels or spikes, learns the float encoder's embedding,
        without labels, as ``[distil]`` says; else thresholds are the calibrated ones.
    distil_images : int
        Training images that it learns from, spread over the training set; 0 for all.
    probe_recordings : int
        Training recordings that the linear probes of the embeddings learn from; 0 leaves them out.
    test_recordings : int
        Test recordings, spread over the test set; 0 for all.

    Raises
    ------
    ConfigError
        Naming every value that is out of range.
    """

    run: str = ""
    code: Literal["rate", "graded", "sigma_delta"] = "graded"
    levels: int = 8
    steps: tuple[int, ...] = (8,)
    reset: Literal["subtract", "zero"] = "subtract"
    activation: Literal["auto", "qcfs", "signed", "pair"] = "auto"
    per_channel: bool = False
    deltas: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1)
    kept: float = 0.98
    input_bits: int = 8
    calibration_images: int = 256
    distil: bool = False
    distil_images: int = 4000
    probe_recordings: int = 60
    test_recordings: int = 0

    def __post_init__(self) -> None:
        lowest = {"levels": 1, "calibration_images": 1, "distil_images": 0}
        lowest |= {"probe_recordings": 0, "test_recordings": 0}
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in lowest.items()
            if not getattr(self, name) >= low
        ]
        if not 1 <= self.input_bits <= 12:
            problems.append(f"input_bits must lie in [1, 12], got {self.input_bits}")
        if not 0 < self.kept <= 1:
            problems.append(f"kept must lie in (0, 1], got {self.kept}")
        if not (_is_ascending(self.steps) and self.steps[0] >= 1):
            problems.append(f"steps must be whole numbers from 1, ascending, got {self.steps}")
        if not (_is_ascending(self.deltas) and self.deltas[0] >= 0):
            problems.append(f"deltas must be numbers from 0, ascending, got {self.deltas}")
        if self.activation == "signed" and self.code != "graded":
            problems.append(
                f"activation = 'signed' is for the graded code: no chip has neurons of code "
                f"{self.code!r} with negative messages for a slope; use 'pair' or 'qcfs'"
            )
        if self.reset != "subtract" and self.code != "rate":
            problems.append(f"reset is for the rate code: code {self.code!r} has no resets")
        if self.distil and self.code == "sigma_delta":
            problems.append(
                "distil is for the rate and graded codes: a sigma-delta network sends what the "
                "float encoder gives, there is nothing to learn"
            )
        if problems:
            raise ConfigError("[conversion] " + "; ".join(problems))

    @property
    def form(self) -> Form:
        """The form of LeakyReLU that is used."""
        if self.activation == "auto":
            return "signed" if self.code == "graded" else "pair"
        return self.activation

    @property
    def tested_steps(self) -> tuple[int, ...]:
        """For how many steps a still image is shown: those of a rate code, else 1."""
        return self.steps if self.code == "rate" else (1,)


def _is_ascending(values: tuple[float, ...]) -> bool:
    """Whether there are any, each above the one before."""
    return bool(values) and all(low < high for low, high in pairwise(values))
