"""Spiking neurons: their parameters, and their meaning as a plain loop over steps.

With the current ``x``, the membrane ``v`` before and ``r`` after the reset, ``r[-1] = 0``:

    LIF   v[t] = r[t-1] + gain (x[t] - r[t-1])         gain = 1 / time constant in steps
    IF    v[t] = r[t-1] + x[t]
    s[t] = 1 where v[t] > threshold, else 0
    zero      r[t] = v[t] (1 - s[t])
    subtract  r[t] = v[t] - s[t] threshold

This is norse's ``LIFBoxCell`` and ``IAFCell``, and with ``gain`` as a parameter PLIF (W. Fang et
al., ICCV 2021, arXiv 2007.05785). ``run_steps`` is the specification; ``snn.fused.fused_steps``
means the same and is fast.

>>> spikes, v = run_steps(torch.ones(4, 1), NeuronParameters(gain=0.5, threshold=0.8))
>>> spikes[:, 0], v
(tensor([0., 0., 1., 0.]), tensor([0.5000]))
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from snn import grid
from snn.errors import ModelError
from snn.surrogate import Surrogate

KINDS = ("lif", "if")
RESETS = ("zero", "subtract")


@dataclass(frozen=True, kw_only=True)
class NeuronParameters:
    """What the neurons of a layer share.

    Parameters
    ----------
    kind : {"lif", "if"}
        With or without a leak.
    gain : float
        Share of the distance to the current that a step covers, 1 / time constant in steps, in
        (0, 1]; 1 for "if".
    threshold : float
        A neuron fires strictly above it.
    reset : {"zero", "subtract"}
    detach_reset : bool
        No gradient flows through the reset (F. Zenke and T. Vogels, Neural Computation 2021).
    surrogate : Surrogate
    grid_scale : float, optional
        Integers per unit of voltage on the chip. When set, a LIF neuron keeps of its voltage what
        the chip's decay leaves: ``snn.grid.truncate_decay`` before the reset.

    Raises
    ------
    ModelError
        All problems at once.
    """

    kind: Literal["lif", "if"] = "lif"
    gain: float = 0.5
    threshold: float = 1.0
    reset: Literal["zero", "subtract"] = "zero"
    detach_reset: bool = True
    surrogate: Surrogate = field(default_factory=Surrogate)
    grid_scale: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.kind not in KINDS:
            problems.append(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not 0 < self.gain <= 1:
            problems.append(f"gain must be above 0 and at most 1, got {self.gain}")
        if self.kind == "if" and self.gain != 1:
            problems.append(f"gain must be 1 for kind 'if', which does not leak, got {self.gain}")
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            problems.append(f"threshold must be finite and above 0, got {self.threshold}")
        if self.reset not in RESETS:
            problems.append(f"reset must be one of {', '.join(RESETS)}, got {self.reset!r}")
        if self.grid_scale is not None and not (
            math.isfinite(self.grid_scale) and self.grid_scale > 0
        ):
            problems.append(f"grid_scale must be finite and above 0, got {self.grid_scale}")
        if problems:
            raise ModelError("neurons: " + "; ".join(problems))

    @property
    def truncates(self) -> bool:
        """Whether the chip's decay rounds anything: on the grid, with a leak and a memory."""
        return self.grid_scale is not None and self.kind == "lif" and self.gain < 1


def check_gain(parameters: NeuronParameters, gain: torch.Tensor | None) -> None:
    """Raise ``ModelError`` unless `gain` is absent or one number for a neuron that leaks."""
    if gain is None:
        return
    if parameters.kind != "lif":
        raise ModelError(
            f"neurons of kind {parameters.kind!r} have no gain to learn; "
            "use kind 'lif' or leave gain out"
        )
    if gain.dim() != 0:
        raise ModelError(
            f"gain must be a tensor of no dimensions, one number a layer, got {tuple(gain.shape)}"
        )


def check_steps(current: torch.Tensor) -> None:
    """Raise ``ModelError`` unless `current` is ``[T, ...]`` of real numbers with T >= 1."""
    if current.dim() < 1 or current.shape[0] < 1:
        raise ModelError(
            "the current needs steps as its first dimension, at least one, "
            f"got the shape {tuple(current.shape)}"
        )
    if not current.is_floating_point():
        raise ModelError(
            f"the current must be of a floating-point type, got {current.dtype}; "
            "convert it with .float()"
        )


def run_steps(
    current: torch.Tensor, parameters: NeuronParameters, *, gain: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """All steps of a layer of neurons, one after the other, differentiable by autograd.

    Parameters
    ----------
    current : Tensor of shape (T, ...)
        Input of every neuron in every step.
    parameters : NeuronParameters
    gain : Tensor without dimensions, optional
        In place of ``parameters.gain``; its gradient is that of PLIF.

    Returns
    -------
    spikes : Tensor of shape (T, ...)
        0 or 1, in the dtype of `current`.
    v_last : Tensor of shape (...)
        The membrane after the last reset, float32 if `current` is shorter.

    Raises
    ------
    ModelError
    """
    check_steps(current)
    check_gain(parameters, gain)
    share = parameters.gain if gain is None else gain
    wide = current.float() if current.dtype in (torch.bfloat16, torch.float16) else current
    r, train = torch.zeros_like(wide[0]), []
    for x in wide:
        v = r + x if parameters.kind == "if" else r + share * (x - r)
        s = parameters.surrogate.spikes(v - parameters.threshold)
        r = _after_reset(v, s.detach() if parameters.detach_reset else s, parameters, float(share))
        train.append(s)
    return torch.stack(train).to(current.dtype), r


def _after_reset(
    v: torch.Tensor, s: torch.Tensor, parameters: NeuronParameters, gain: float
) -> torch.Tensor:
    if parameters.truncates and parameters.grid_scale is not None:
        v = grid.truncate_decay(v, 1 - gain, parameters.grid_scale)
    return v * (1 - s) if parameters.reset == "zero" else v - s * parameters.threshold


NORSE_SURROGATES = {"heavi_erfc": "erfc", "tanh": "tanh", "triangle": "triangle", "circ": "circ"}
NORSE_RESETS = {  # name of the reset function: reset, detached
    "reset_value": ("zero", False),
    "reset_subtract": ("subtract", False),
    "reset_to_zero": ("zero", True),  # ours, see snn.engines.norse
}


def from_norse(parameters: Any, dt: float = 0.001) -> NeuronParameters:
    """The neuron that norse's ``LIFBoxCell(parameters, dt)`` or ``IAFCell(parameters)`` is.

    Parameters
    ----------
    parameters : LIFBoxParameters or IAFParameters
        Of norse 1.1. Its surrogate ``"super"`` ignores alpha (``functional/superspike.py``): the
        width is always 1.
    dt : float
        As given to the cell.

    Raises
    ------
    ModelError
        For what has no counterpart, all of it by name.
    """
    name = type(parameters).__name__
    problems = [
        f"{field_name} = {float(value)} must be 0"
        for field_name in ("v_leak", "v_reset")
        if float(value := getattr(parameters, field_name, 0.0)) != 0
    ]
    if hasattr(parameters, "tau_syn_inv"):
        problems.append("tau_syn_inv: synaptic currents with a memory are not supported")
    leaks = hasattr(parameters, "tau_mem_inv")
    if not (leaks or name == "IAFParameters"):
        problems.append("LIFBoxParameters or IAFParameters are needed")
    method = getattr(parameters, "method", "super")
    if method not in (*NORSE_SURROGATES, "super"):
        problems.append(f"method {method!r} must be one of super, {', '.join(NORSE_SURROGATES)}")
    reset_name = "reset_value"
    if hasattr(parameters, "reset_method"):
        reset_name = getattr(parameters.reset_method, "__name__", repr(parameters.reset_method))
    if reset_name not in NORSE_RESETS:
        problems.append(f"reset_method {reset_name} must be one of {', '.join(NORSE_RESETS)}")
    if problems:
        raise ModelError(f"norse's {name}: " + "; ".join(problems))
    reset, detached = NORSE_RESETS[reset_name]
    return NeuronParameters(
        kind="lif" if leaks else "if",
        gain=float(dt * parameters.tau_mem_inv) if leaks else 1.0,
        threshold=float(parameters.v_th),
        reset="zero" if reset == "zero" else "subtract",
        detach_reset=detached,
        surrogate=Surrogate("superspike", 1.0)
        if method == "super"
        else Surrogate(NORSE_SURROGATES[method], float(parameters.alpha)),
    )
