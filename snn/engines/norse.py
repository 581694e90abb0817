"""norse's neurons: ``LIFBoxCell`` and ``IAFCell``, stepped one by one.

``LIFBoxCell`` integrates ``v' = v + dt/tau (x - v)`` and fires at ``v > v_th`` in the step of its
input; ``IAFCell`` integrates ``v' = v + x``. Sources: ``norse/torch/functional/lif_box.py`` and
``iaf.py``, norse 1.1.

norse's surrogates are those of its ``threshold.py``. Its default, "super", ignores ``alpha`` in
norse 1.1 (``functional/superspike.py``): the width is always 1. What norse cannot express is
refused by name.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from norse.torch import IAFCell, LIFBoxCell, LIFBoxParameters
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.reset import reset_subtract, reset_value

from snn import grid
from snn.errors import ModelError
from snn.neurons import NeuronParameters

METHODS = {
    "erfc": "heavi_erfc",
    "superspike": "super",
    "tanh": "tanh",
    "triangle": "triangle",
    "circ": "circ",
}


def norse(
    current: torch.Tensor, parameters: NeuronParameters, *, gain: torch.Tensor | None = None
) -> torch.Tensor:
    """Spikes of currents ``[T, N, ...]``."""
    neuron, state, spikes = _cell(parameters, gain), None, []
    for step in current:
        z, state = neuron(step, state)
        spikes.append(z)
    return torch.stack(spikes)


def check_norse(parameters: NeuronParameters) -> None:
    """Refuse neurons that norse does not have.

    Raises
    ------
    ModelError
        Naming everything that norse cannot express.
    """
    problems = []
    surrogate = parameters.surrogate
    if surrogate.shape not in METHODS:
        problems.append(f"surrogate {surrogate.shape!r} (norse has {', '.join(METHODS)})")
    if surrogate.shape == "superspike" and surrogate.alpha != 1:
        problems.append(
            f"a 'superspike' surrogate of alpha {surrogate.alpha:g} (norse 1.1 ignores it and "
            "uses 1)"
        )
    if parameters.kind == "if" and (parameters.detach_reset or parameters.reset != "zero"):
        problems.append(
            "an 'if' neuron whose reset subtracts or is detached from the gradient (set "
            "reset = 'zero' and detach_reset = false)"
        )
    if problems:
        raise ModelError(
            f"[model] engine 'norse' cannot express {'; '.join(problems)}; the engine 'fused' can"
        )


def _cell(parameters: NeuronParameters, gain: torch.Tensor | None) -> Any:
    threshold = torch.tensor(parameters.threshold)
    surrogate = parameters.surrogate
    common = {
        "v_th": threshold,
        "method": METHODS[surrogate.shape],
        "alpha": torch.tensor(surrogate.alpha),
    }
    if parameters.kind == "if":
        return IAFCell(IAFParameters(**common))
    reset: Any = RESETS[parameters.reset, parameters.detach_reset]
    if parameters.grid_scale is not None:
        reset = partial(
            _reset_on_grid, reset=reset, keep=1 - parameters.gain, scale=parameters.grid_scale
        )
    return LIFBoxCell(
        LIFBoxParameters(
            tau_mem_inv=torch.tensor(parameters.gain) if gain is None else gain,
            reset_method=reset,
            **common,
        ),
        dt=1.0,
    )


def reset_to_zero(
    spikes: torch.Tensor, v: torch.Tensor, v_reset: torch.Tensor, v_th: torch.Tensor
) -> torch.Tensor:
    """norse's reset to zero, but detached: no gradient flows through the reset.

    The forward pass is that of norse's ``reset_value``; the backward pass is cheaper and the usual
    choice for deep networks (F. Zenke and T. Vogels, Neural Computation 2021).
    """
    return v * (1 - spikes.detach())


def reset_by_subtraction(
    spikes: torch.Tensor, v: torch.Tensor, v_reset: torch.Tensor, v_th: torch.Tensor
) -> torch.Tensor:
    """norse's ``reset_subtract``, detached."""
    return reset_subtract(spikes.detach(), v, v_reset, v_th)


RESETS = {  # by kind, and whether it is detached
    ("zero", False): reset_value,
    ("zero", True): reset_to_zero,
    ("subtract", False): reset_subtract,
    ("subtract", True): reset_by_subtraction,
}


def _reset_on_grid(
    spikes: torch.Tensor,
    v: torch.Tensor,
    v_reset: torch.Tensor,
    v_th: torch.Tensor,
    *,
    reset: Any,
    keep: float,
    scale: float,
) -> torch.Tensor:
    """A reset, after which what the chip's decay will drop of the voltage is dropped."""
    return grid.truncate_decay(reset(spikes, v, v_reset, v_th), keep, scale)
