"""The fused layer in plain torch: any device and type, gradients by the formulas of the kernels.

``snn.fused_kernels`` states the recursion and its gradient. Here a step is a handful of torch
operations on all neurons at once; compared with ``snn.neurons.run_steps`` there is no graph of
autograd to build, keep and walk.

>>> from snn.neurons import NeuronParameters
>>> forward(torch.ones(4, 1), NeuronParameters(threshold=0.8), 0.5)[0][:, 0]
tensor([0., 0., 1., 0.])
"""

from __future__ import annotations

import torch

from snn import grid
from snn.neurons import NeuronParameters

SHORT_TYPES = (torch.bfloat16, torch.float16)


def forward(
    current: torch.Tensor, parameters: NeuronParameters, gain: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes ``[T, ...]`` in the type of `current` and the last membrane, float32 or longer."""
    spikes = torch.empty_like(current)
    r = torch.zeros_like(current[0], dtype=_state_type(current))
    for x, s in zip(current, spikes, strict=True):
        v = _charge(r, x, parameters, gain)
        s.copy_(v > parameters.threshold)
        r = _reset(v, parameters, gain)
    return spikes, r


def backward(
    current: torch.Tensor,
    grad_spikes: torch.Tensor,
    grad_v_last: torch.Tensor | None,
    target: torch.Tensor,
    parameters: NeuronParameters,
    gain: float,
    *,
    wants_gain: bool,
) -> torch.Tensor | None:
    """Write the gradient of `current` into `target` and return that of the gain, if asked for.

    Parameters
    ----------
    current, grad_spikes : Tensor of shape (T, ...)
    grad_v_last : Tensor of shape (...), optional
    target : Tensor of shape (T, ...), written
        May be `current` itself.
    parameters : NeuronParameters
    gain : float
    wants_gain : bool
    """
    leaks = parameters.kind == "lif"
    membranes, before = [], [torch.zeros_like(current[0], dtype=_state_type(current))]
    for x in current:
        membranes.append(_charge(before[-1], x, parameters, gain))
        before.append(_reset(membranes[-1], parameters, gain))
    dr = torch.zeros_like(before[-1]) if grad_v_last is None else grad_v_last.to(before[-1].dtype)
    before.pop()
    dgain = torch.zeros((), dtype=dr.dtype, device=dr.device)
    for t in range(len(current) - 1, -1, -1):
        v, r = membranes.pop(), before.pop()
        ds = grad_spikes[t].to(dr.dtype)
        if not parameters.detach_reset:
            ds = ds - _dropped_by_a_spike(v, parameters, gain) * dr
        through = dr if parameters.reset == "subtract" else dr * (v <= parameters.threshold)
        dv = ds * parameters.surrogate.derivative(v - parameters.threshold) + through
        if wants_gain:
            dgain += (dv * (current[t].to(dr.dtype) - r)).sum()
        target[t] = gain * dv if leaks else dv
        dr = (1 - gain) * dv if leaks else dv
    return dgain if wants_gain else None


def _state_type(current: torch.Tensor) -> torch.dtype:
    return torch.float32 if current.dtype in SHORT_TYPES else current.dtype


def _charge(
    r: torch.Tensor, x: torch.Tensor, parameters: NeuronParameters, gain: float
) -> torch.Tensor:
    x = x.to(r.dtype)
    return r + x if parameters.kind == "if" else r + gain * (x - r)


def _kept(v: torch.Tensor, parameters: NeuronParameters, gain: float) -> torch.Tensor:
    """What the chip's decay leaves of a membrane, or all of it."""
    if parameters.truncates and parameters.grid_scale is not None:
        return grid.truncate_decay(v, 1 - gain, parameters.grid_scale)
    return v


def _reset(v: torch.Tensor, parameters: NeuronParameters, gain: float) -> torch.Tensor:
    fires = (v > parameters.threshold).to(v.dtype)
    kept = _kept(v, parameters, gain)
    return kept * (1 - fires) if parameters.reset == "zero" else kept - fires * parameters.threshold


def _dropped_by_a_spike(
    v: torch.Tensor, parameters: NeuronParameters, gain: float
) -> torch.Tensor | float:
    return parameters.threshold if parameters.reset == "subtract" else _kept(v, parameters, gain)
