"""The fused engine: a whole layer of neurons, all steps and both directions, in one call.

``fused_steps`` means what ``snn.neurons.run_steps`` means. On a CPU a compiled kernel
(``snn.fused_kernels``) takes blocks of neurons through all steps while their membranes stay in the
cache; the spikes are those of the plain loop, bit by bit. Elsewhere, and for types the kernel does
not know, the same recursion runs in torch (``snn.fused_torch``) with the same backward pass and
without autograd's graph of every step.

The backward pass computes the membranes again from the currents, so a layer keeps nothing but its
current. ``in_place=True`` also lets the gradient of the current take the place of the current:
the right choice after convolutions, dense layers and batch normalisation, which do not need their
own output again, and when nobody looks at the current after the backward pass.

>>> from snn.neurons import NeuronParameters
>>> spikes, v = fused_steps(torch.ones(4, 1), NeuronParameters(gain=0.5, threshold=0.8))
>>> spikes[:, 0], v
(tensor([0., 0., 1., 0.]), tensor([0.5000]))
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from snn import fused_kernels, fused_torch
from snn.errors import ModelError
from snn.grid import FRACTION
from snn.neurons import NeuronParameters, check_gain, check_steps

KERNEL_TYPES = (torch.float32, torch.bfloat16)


def fused_steps(
    current: torch.Tensor,
    parameters: NeuronParameters,
    *,
    gain: torch.Tensor | None = None,
    in_place: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All steps of a layer of neurons.

    Parameters
    ----------
    current : Tensor of shape (T, ...)
        float32 or bfloat16 for the compiled kernel. The steps must lie one after the other in
        memory, each in any dense order (plain or channels last); anything else is copied first.
    parameters : NeuronParameters
    gain : Tensor without dimensions, optional
        In place of ``parameters.gain``; receives the gradient of PLIF.
    in_place : bool
        The backward pass may overwrite `current` with its gradient. It can then run only once.

    Returns
    -------
    spikes : Tensor of shape (T, ...)
        0 or 1 in the dtype and memory order of `current`.
    v_last : Tensor of shape (...)
        The membrane after the last reset; float32 if `current` is bfloat16.

    Raises
    ------
    ModelError
        For a current without steps, a gain that is not one number, or `in_place` on a leaf of
        autograd's graph. The backward pass raises it when it runs twice after `in_place`.
    """
    check_steps(current)
    check_gain(parameters, gain)
    if in_place and current.is_leaf and current.requires_grad:
        raise ModelError(
            "in_place would overwrite a current that is itself a parameter (a leaf that requires "
            "its gradient); leave in_place out"
        )
    spikes, v_last = _FusedSteps.apply(_steps_apart(current), parameters, gain, in_place)
    return spikes, v_last


class _FusedSteps(torch.autograd.Function):
    """Forward and backward over all steps; saves the current only."""

    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        parameters: NeuronParameters,
        gain: torch.Tensor | None,
        in_place: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(current, gain)
        ctx.parameters, ctx.in_place, ctx.used = parameters, in_place, False
        ctx.set_materialize_grads(False)
        share = parameters.gain if gain is None else float(gain)
        if uses_kernel(current):
            return _kernel_forward(current, parameters, share)
        return fused_torch.forward(current, parameters, share)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_spikes: torch.Tensor | None, grad_v_last: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        if ctx.used:
            raise ModelError(
                "the current of this layer was overwritten by its gradient: after in_place=True "
                "the backward pass runs once; use in_place=False to run it again"
            )
        current, gain = ctx.saved_tensors
        if grad_spikes is None:
            grad_spikes = torch.zeros_like(current)
        ctx.used = ctx.in_place
        target = current.detach() if ctx.in_place else torch.empty_like(current)
        share = ctx.parameters.gain if gain is None else float(gain)
        run = _kernel_backward if uses_kernel(current) else fused_torch.backward
        grad_gain = run(
            current.detach(),
            grad_spikes,
            grad_v_last,
            target,
            ctx.parameters,
            share,
            wants_gain=ctx.needs_input_grad[2],
        )
        if ctx.in_place:
            torch.autograd.graph.increment_version(current)
        if gain is not None and grad_gain is not None:
            grad_gain = grad_gain.to(gain)
        return target, None, grad_gain, None


def uses_kernel(current: torch.Tensor) -> bool:
    """Whether the compiled kernel computes a layer of this current."""
    return current.device.type == "cpu" and current.dtype in KERNEL_TYPES


def _steps_apart(current: torch.Tensor) -> torch.Tensor:
    """`current` itself if its steps are dense and follow each other in memory, else a copy."""
    size = current[0].numel()
    one_after_other = len(current) == 1 or current.stride(0) == size
    return current if one_after_other and _is_dense(current[0]) else current.contiguous()


def _is_dense(step: torch.Tensor) -> bool:
    """Whether the elements fill one piece of memory, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(step.stride(), step.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def _rows(tensor: torch.Tensor) -> Any:
    """``[T, M]`` of a tensor whose steps are apart, as numpy sees it; bfloat16 as uint16."""
    size = tensor[0].numel()
    flat = tensor.detach().as_strided((len(tensor), size), (size, 1))
    if tensor.dtype == torch.bfloat16:
        return flat.view(torch.int16).numpy().view(np.uint16)
    return flat.numpy()


def _kernel_forward(
    current: torch.Tensor, parameters: NeuronParameters, gain: float
) -> tuple[torch.Tensor, torch.Tensor]:
    spikes = torch.empty_like(current)
    v_last = torch.empty_like(current[0], dtype=torch.float32)
    x, s, v = _rows(current), _rows(spikes), _rows(v_last[None])[0]
    constants = _constants(parameters, gain)
    _in_parallel(
        lambda start, stop: fused_kernels.run_forward(x, s, v, constants, start, stop), x.shape
    )
    return spikes, v_last


def _kernel_backward(
    current: torch.Tensor,
    grad_spikes: torch.Tensor,
    grad_v_last: torch.Tensor | None,
    target: torch.Tensor,
    parameters: NeuronParameters,
    gain: float,
    *,
    wants_gain: bool,
) -> torch.Tensor | None:
    x, dx = _rows(current), _rows(target)
    ds = _rows(_ordered_like(grad_spikes, current))
    dv_last = np.empty(0, np.float32)
    if grad_v_last is not None:
        first = torch.empty_like(current[:1], dtype=torch.float32)
        dv_last = _rows(_ordered_like(grad_v_last[None], first))[0]
    n_blocks = -(-x.shape[1] // fused_kernels.block_length(len(x)))
    dgain = np.zeros(n_blocks if wants_gain else 0)
    constants = _constants(parameters, gain)
    _in_parallel(
        lambda start, stop: fused_kernels.run_backward(
            x, ds, dv_last, dx, dgain, constants, start, stop
        ),
        x.shape,
    )
    return torch.tensor(dgain.sum()) if wants_gain else None


def _ordered_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`tensor` in the memory order and type of `like`; itself where it already is."""
    if tensor.stride() == like.stride() and tensor.dtype == like.dtype:
        return tensor
    return torch.empty_like(like).copy_(tensor)


def _constants(parameters: NeuronParameters, gain: float) -> fused_kernels.Constants:
    unit = 0.0
    if parameters.truncates and parameters.grid_scale is not None:
        unit = parameters.grid_scale * FRACTION * (1 - gain)
    return fused_kernels.as_constants(
        leaks=parameters.kind == "lif",
        gain=gain,
        threshold=parameters.threshold,
        subtracts=parameters.reset == "subtract",
        detached=parameters.detach_reset,
        decay_unit=unit,
        shape=parameters.surrogate.shape,
        alpha=parameters.surrogate.alpha,
    )


def _in_parallel(run: Callable[[int, int], None], shape: tuple[int, ...]) -> None:
    """Neurons in as many runs of whole blocks as torch has threads; the kernels free the GIL."""
    steps, size = shape
    block = fused_kernels.block_length(steps)
    n_blocks = -(-size // block)
    workers = min(torch.get_num_threads(), n_blocks)
    if workers <= 1:
        if size:
            run(0, size)
        return
    edges = [min(n_blocks * k // workers * block, size) for k in range(workers + 1)]
    pool = _pool(os.getpid(), workers - 1)
    others = [pool.submit(run, edges[k], edges[k + 1]) for k in range(1, workers)]
    run(edges[0], edges[1])
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """Threads of this process: those of a parent do not live on after a fork."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"fused-{process}")
