"""One call from a trained encoder to its spiking form, in three codes.

    rate           binary spikes over T steps, reset by subtraction, v(0) = theta / 2
    graded         one whole number of 0 to L a neuron and image: exactly the quantised network
    sigma_delta    changes of the activation, for streams of images

Thresholds are the learned clips of QCFS activations, or come from calibration images without any
training. LeakyReLU has three forms: ``"qcfs"`` cuts its negative side off (what a distilled network
has learned to do without), ``"signed"`` sends it as negative messages (of which only graded ones
run on a chip), ``"pair"`` gives it a neuron of its own.

>>> encoder = Encoder(size=32, width=2)
>>> images = torch.rand(8, 3, 32, 32)
>>> spiking = convert(encoder, images, code="graded", calibration=images, activation="signed")
>>> spiking.run(images).shape
torch.Size([1, 8, 16])
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import torch
from torch import nn

from conversion.spiking.calibrate import COVERED, largest_activations
from conversion.spiking.fold import SpikingNetwork, fold
from conversion.spiking.forms import ActivationForm, Form
from conversion.spiking.graph import Activation, Network, Weighted
from conversion.spiking.neurons import Code, Neurons, Reset
from conversion.spiking.report import LayerReport, Report
from conversion.spiking.run import Recording, features_over_steps, recorded
from conversion.spiking.trace import trace
from snn.errors import ModelError

if TYPE_CHECKING:
    import nir

STEPS = 8
INPUT_BITS_MAX = 16


@dataclass(frozen=True, kw_only=True)
class InputCode:
    """How images become whole numbers: ``clip(round(x / scale), -(2^bits - 1), 2^bits - 1)``.

    Parameters
    ----------
    bits : int
        Without the sign; 1 is binary.
    scale : float
        What 1 stands for.
    """

    bits: int
    scale: float

    def messages(self, images: torch.Tensor) -> torch.Tensor:
        """Whole numbers in the type of the images."""
        limit = (1 << self.bits) - 1
        return torch.round(images / self.scale).clamp(-limit, limit)

    def quantised(self, images: torch.Tensor) -> torch.Tensor:
        """The images as the network sees them."""
        return self.messages(images) * self.scale


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingEncoder:
    """A converted network; made by ``convert``.

    Parameters
    ----------
    code : {"rate", "graded", "sigma_delta"}
    steps : int
        For how many steps a still image is shown: 1 but for the rate code.
    input_code : InputCode
    network : SpikingNetwork
    artificial : Network
        What it was converted from, with its own activations.
    report : Report
    """

    code: Code
    steps: int
    input_code: InputCode
    network: SpikingNetwork
    artificial: Network
    report: Report

    def run(
        self,
        images: torch.Tensor,
        *,
        batch_size: int = 32,
        precision: torch.dtype = torch.float64,
    ) -> torch.Tensor:
        """Features as they are known after each step.

        Parameters
        ----------
        images : Tensor of shape (N, *input_shape) or (N, T, *input_shape)
            Still images, or streams of one image a step.
        batch_size : int
            Samples at a time; changes nothing but memory.
        precision : dtype
            float32 is faster; values that lie on the border of two levels may then fall on the
            other side.

        Returns
        -------
        Tensor of shape (T, N, F)

        Raises
        ------
        ModelError
            For images of another shape.
        """
        parts = []
        with torch.no_grad():
            for batch in images.split(batch_size):
                messages = self.messages(batch, precision=precision)
                parts.append(features_over_steps(self.network, messages, code=self.code))
        return torch.cat(parts, dim=1)

    def record(self, images: torch.Tensor) -> Recording:
        """As ``run``, with every layer's activations, messages and synaptic operations."""
        with torch.no_grad():
            return recorded(self.network, self.messages(images), code=self.code)

    def messages(
        self, images: torch.Tensor, *, precision: torch.dtype = torch.float64
    ) -> torch.Tensor:
        """What the input sends in each step, ``[T, N, *input_shape]``, whole numbers.

        A stream of a sigma-delta network sends changes.
        """
        shape = self.network.input_shape
        levels = self.input_code.messages(images.double()).to(precision)
        if images.shape[1:] == shape:
            return levels.expand(self.steps, *levels.shape)
        if images.dim() != len(shape) + 2 or images.shape[2:] != shape:
            raise ModelError(
                f"images of shape {tuple(images.shape)}; this network takes [N, "
                f"{', '.join(map(str, shape))}] or streams of them [N, T, ...]"
            )
        stream = levels.transpose(0, 1)
        if self.code == "sigma_delta":
            return stream.diff(dim=0, prepend=torch.zeros_like(stream[:1]))
        return stream

    def to_nir(self, *, dt_us: int = 1000) -> nir.NIRGraph:
        """See ``conversion.export.to_nir``."""
        from conversion.export import to_nir  # which reads this module

        return to_nir(self, dt_us=dt_us)


def convert(
    module: nn.Module,
    sample_input: torch.Tensor,
    *,
    code: Code,
    levels: int | None = None,
    steps: int = STEPS,
    calibration: torch.Tensor | None = None,
    covered: float = COVERED,
    per_channel: bool = False,
    activation: ActivationForm = "qcfs",
    reset: Reset = "subtract",
    delta: float = 0.0,
    input_bits: int = 8,
    input_scale: float | None = None,
) -> SpikingEncoder:
    """The spiking form of a network; the module stays as it is.

    Parameters
    ----------
    module : Module
        Any that ``conversion.spiking.trace`` can read.
    sample_input : Tensor of shape (N, *input_shape)
        Only its shape counts where calibration images are given.
    code : {"rate", "graded", "sigma_delta"}
    levels : int, optional
        Of the graded code; else those that QCFS activations were trained with, else 8.
    steps : int
        Of the rate code.
    calibration : Tensor of shape (N, *input_shape), optional
        Needed for thresholds of activations that are not QCFS, but where every change is sent.
    covered : float
        Share of the activations that the threshold is not below.
    per_channel : bool
        Whether every channel is calibrated on its own.
    activation : {"qcfs", "signed", "pair"}
        The form of LeakyReLU; activations without a negative side are the same in all.
    reset : {"subtract", "zero"}
        Of the rate code; "zero" shows what a stock LIF would cost.
    delta : float
        Of the sigma-delta code: the smallest change sent, as a share of the layer's range; 0 sends
        every change.
    input_bits : int
        Bits of an image's values without their sign; 1 for binary events.
    input_scale : float, optional
        What one unit of the input stands for; else the largest value of calibration or sample
        fits. Images in [-1, 1] of 8 bits are exact with 1 / 255.

    Raises
    ------
    ModelError
        Naming every layer that has no spiking form, or every option that is out of range.
    """
    _check_options(code, levels, steps, covered, activation, reset, delta, input_bits)
    network, changes = trace(module, sample_input)
    input_code = _input_code(input_bits, input_scale, calibration, sample_input)
    images = None if calibration is None else input_code.quantised(calibration.double())
    is_needed = code != "sigma_delta" or delta > 0
    thetas, sources = _thresholds(
        _without_negative_side(network) if activation == "qcfs" else network,
        images,
        covered=covered,
        per_channel=per_channel,
        is_needed=is_needed,
    )
    form = Form(code, levels, activation, reset, delta, thetas)
    form.check(network)
    pairs = frozenset(a.name for a in network.activations if form.is_pair(a))
    folded = fold(network, form.neurons, input_scale=input_code.scale, pairs=pairs)
    report = Report(
        code=code,
        changes=(*changes, *(form.change(node) for node in network.activations)),
        layers=tuple(_layer(population, sources) for population in folded.neurons),
        parameters=sum(
            n.weight.numel() + n.bias.numel() for n in folded.nodes if isinstance(n, Weighted)
        ),
        multiplications=network.multiplications,
        reset=reset,
    )
    return SpikingEncoder(
        code=code,
        steps=steps if code == "rate" else 1,
        input_code=input_code,
        network=folded,
        artificial=network,
        report=report,
    )


def _without_negative_side(network: Network) -> Network:
    """The network that is left when every LeakyReLU is a ReLU."""
    nodes = (
        replace(node, negative_slope=0.0) if isinstance(node, Activation) else node
        for node in network.nodes
    )
    return replace(network, nodes=tuple(nodes))


def _thresholds(
    network: Network,
    images: torch.Tensor | None,
    *,
    covered: float,
    per_channel: bool,
    is_needed: bool,
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Thresholds of all activations, and where they come from."""
    thetas = {n.name: n.lam for n in network.activations if n.lam is not None}
    sources = dict.fromkeys(thetas, "learned")
    unknown = [n.name for n in network.activations if n.name not in thetas]
    if not unknown:
        return thetas, sources
    if images is not None:
        found = largest_activations(network, images, covered=covered, per_channel=per_channel)
        source = f"{100 * covered:g} % of the calibration"
    elif is_needed:
        raise ModelError(
            f"{', '.join(unknown)}: have no thresholds; give calibration images, or learn them "
            "with conversion.activations.with_qcfs"
        )
    else:
        found = dict.fromkeys(unknown, torch.ones(1))
        source = "not used: every change is sent"
    thetas |= {name: found[name] for name in unknown}
    return thetas, sources | dict.fromkeys(unknown, source)


def _input_code(
    bits: int, scale: float | None, calibration: torch.Tensor | None, sample: torch.Tensor
) -> InputCode:
    if scale is None and bits == 1:
        scale = 1.0
    if scale is None:
        images = sample if calibration is None else calibration
        scale = float(images.abs().max()) / ((1 << bits) - 1)
    if not (scale > 0 and math.isfinite(scale)):
        raise ModelError(
            f"an input of scale {scale}; give input_scale, or images that are not all 0"
        )
    return InputCode(bits=bits, scale=scale)


def _layer(population: Neurons, sources: dict[str, str]) -> LayerReport:
    return LayerReport(
        name=population.name,
        neurons=math.prod(population.shape),
        theta=(float(population.theta.min()), float(population.theta.max())),
        source=sources[population.name],
    )


def _check_options(
    code: str,
    levels: int | None,
    steps: int,
    covered: float,
    activation: str,
    reset: str,
    delta: float,
    input_bits: int,
) -> None:
    choices = {
        "code": (code, get_args(Code)),
        "activation": (activation, get_args(ActivationForm)),
        "reset": (reset, get_args(Reset)),
    }
    problems = [
        f"{name} must be one of {', '.join(allowed)}, got {value!r}"
        for name, (value, allowed) in choices.items()
        if value not in allowed
    ]
    if levels is not None and levels < 1:
        problems.append(f"levels must be at least 1, got {levels}")
    if steps < 1:
        problems.append(f"steps must be at least 1, got {steps}")
    if not 0 < covered <= 1:
        problems.append(f"covered must lie in (0, 1], got {covered}")
    if not (delta >= 0 and math.isfinite(delta)):
        problems.append(f"delta must be 0 or above, got {delta}")
    if not 1 <= input_bits <= INPUT_BITS_MAX:
        problems.append(f"input_bits must lie in [1, {INPUT_BITS_MAX}], got {input_bits}")
    if problems:
        raise ModelError("; ".join(problems))
