"""Quantised-clip-floor activations: what a spiking neuron can send, trainable in an ANN.

    a = lam clip(floor(z L / lam + 1/2) / L, 0, 1)

``L`` levels share the range up to a learned clip ``lam``; the floor passes gradients straight
through. In the signed form a LeakyReLU's negative side is quantised by the same levels,
``a = -lam clip(floor(-s z L / lam + 1/2) / L, 0, 1)`` for ``z < 0`` and slope ``s``. Source: Bu et
al., "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks",
ICLR 2022; the signed form is ours.

>>> QCFS(4, lam=1.0)(torch.tensor([-1.0, 0.1, 0.2, 0.7, 5.0])).tolist()
[0.0, 0.0, 0.25, 0.75, 1.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from snn.errors import ModelError

if TYPE_CHECKING:
    from conversion.spiking.calibrate import Ranges

INITIAL_CLIP = 8.0
SMALLEST_CLIP = 1e-4  # a clip of 0 could never be learned away from


class QCFS(nn.Module):
    """The activation of ``[N, C, ...]``.

    Parameters
    ----------
    levels : int
        Values above 0 that it can give.
    lam : float or Tensor of shape (C,)
        Where the learned clip starts; a tensor gives every channel its own.
    negative_slope : float
        In [0, 1]; 0 is the QCFS of a ReLU.

    Attributes
    ----------
    lam : Parameter of shape (1,) or (C,)

    Raises
    ------
    ModelError
        For values out of these ranges.
    """

    def __init__(
        self,
        levels: int = 8,
        *,
        lam: float | torch.Tensor = INITIAL_CLIP,
        negative_slope: float = 0.0,
    ) -> None:
        super().__init__()
        clip = torch.as_tensor(lam, dtype=torch.float32).detach().clone().reshape(-1)
        if levels < 1 or not 0 <= negative_slope <= 1 or not bool((clip > 0).all()):
            raise ModelError(
                f"a QCFS of {levels} levels, slope {negative_slope} and clip {clip.min():g}; "
                "levels must be at least 1, the slope lie in [0, 1], the clip be above 0"
            )
        self.levels, self.negative_slope = levels, negative_slope
        self.lam = nn.Parameter(clip)

    @property
    def clip(self) -> torch.Tensor:
        """The clip as it is used, never 0 or below."""
        return self.lam.clamp_min(SMALLEST_CLIP)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Quantised activations of the shape of `z`."""
        clip = self.clip.reshape(-1, *(1,) * (z.dim() - 2))
        counts = self._counts(z, clip)
        if self.negative_slope:
            counts = counts - self._counts(-z * self.negative_slope, clip)
        return clip / self.levels * counts

    def _counts(self, z: torch.Tensor, clip: torch.Tensor) -> torch.Tensor:
        return _Floor.apply(z * self.levels / clip + 0.5).clamp(0, self.levels)

    def extra_repr(self) -> str:
        """For torch's printout."""
        slope = f", negative_slope={self.negative_slope}" if self.negative_slope else ""
        return f"levels={self.levels}, clips={self.lam.numel()}{slope}"


def with_qcfs(
    module: nn.Module,
    levels: int = 8,
    *,
    calibration: torch.Tensor | None = None,
    covered: float | None = None,
    per_channel: bool = False,
    signed: bool = False,
) -> nn.Module:
    """A copy of a module in which every ReLU and LeakyReLU is a QCFS of its own.

    Where one ReLU is called in several places, each gets its own clip. Weights keep their names,
    but for the networks of this package that are written with functional activations
    (``conversion.spiking.prepare.PLAIN_FORMS``).

    Parameters
    ----------
    module : Module
        Read in evaluation mode, which the copy is in.
    levels : int
    calibration : Tensor of shape (N, C, H, W) or (N, F), optional
        What clips start from; else they start at 8.
    covered : float, optional
        Clips start at the activation that is not exceeded by this share; else where `levels` lose
        least of all activations, which is better for a few levels.
    per_channel : bool
        Whether every channel has its own clip; it needs calibration images.
    signed : bool
        Whether a LeakyReLU keeps its negative side; else it is cut off.

    Raises
    ------
    ModelError
        For a module that cannot be traced, has no ReLU, or does not take the images.
    """
    # Reading a module knows QCFS as one of its layers.
    from conversion.spiking.prepare import traced, why_untraceable

    if per_channel and calibration is None:
        raise ModelError("per_channel clips start from calibration images; give some")
    try:
        copy, graph = traced(module, leaves=(QCFS,))
    except Exception as error:  # tracing raises whatever the module's control flow does
        raise ModelError(f"{type(module).__name__}: {why_untraceable(error)}") from error
    parts = dict(copy.named_modules())
    calls = [node for node in graph.nodes if _is_rectifier(node, parts)]
    if not calls:
        raise ModelError(f"{type(module).__name__} has no nn.ReLU or nn.LeakyReLU to replace")
    if not signed:  # the ranges are then those without the negative side too
        for call in calls:
            parts[str(call.target)].negative_slope = 0.0  # type: ignore[assignment]
    clips: dict[fx.Node, torch.Tensor] = {}
    if calibration is not None:
        ranges = _ranges(len(calibration), levels, covered, per_channel)
        clips = _measured(fx.GraphModule(copy, graph), calls, calibration, ranges)
    _replace(calls, copy, clips, levels)
    return fx.GraphModule(copy, graph, type(module).__name__).eval()


def _replace(
    calls: list[fx.Node], module: nn.Module, clips: dict[fx.Node, torch.Tensor], levels: int
) -> None:
    """Put a QCFS in the place of every call, in place."""
    parts, used = dict(module.named_modules()), set[str]()
    for call in calls:
        before = str(call.target)
        slope = getattr(parts[before], "negative_slope", 0.0)
        name = _own_name(before, used | (set(parts) - {before}))
        used.add(name)
        parent, _, last = name.rpartition(".")
        own = QCFS(levels, lam=clips.get(call, INITIAL_CLIP), negative_slope=slope)
        setattr(module.get_submodule(parent), last, own)
        call.target = name


def _is_rectifier(node: fx.Node, parts: dict[str, nn.Module]) -> bool:
    return node.op == "call_module" and type(parts[str(node.target)]) in (nn.ReLU, nn.LeakyReLU)


def _own_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _ranges(n_images: int, levels: int, covered: float | None, per_channel: bool) -> Ranges:
    from conversion.spiking.calibrate import Fits, Ranges

    if covered is None:
        return Fits(n_images=n_images, per_channel=per_channel, levels=levels)
    return Ranges(n_images=n_images, per_channel=per_channel, covered=covered)


def _measured(
    module: fx.GraphModule, calls: list[fx.Node], images: torch.Tensor, ranges: Ranges
) -> dict[fx.Node, torch.Tensor]:
    """Where the clip of every call starts."""
    names = {call.name for call in calls}

    class Watching(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            if n.name in names:
                ranges.add(n.name, value)
            return value

    try:
        with torch.no_grad():
            for batch in images.split(ranges.BATCH):
                Watching(module).run(batch)
    except RuntimeError as error:
        raise ModelError(
            f"calibration images of shape {tuple(images.shape)} do not go through the network "
            f"({str(error).splitlines()[0]})"
        ) from error
    return {call: ranges.found(call.name) for call in calls}


class _Floor(torch.autograd.Function):
    """The floor; its gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.floor(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient
