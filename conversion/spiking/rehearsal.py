"""A quantised network rehearses its spikes while it learns: all steps forwards, one backwards.

A rate of few spikes depends on when its inputs come, which a QCFS knows nothing of, and every layer
adds to it. So here a layer gives what its integrate-and-fire neurons count over T steps, and its
gradient is that of the QCFS at the mean of its inputs:

    forwards    a = theta / T sum_t s_t,    with the spikes s_t of the inputs z_t
    backwards   da = dQCFS(mean_t z_t)

What lies between two QCFS is linear, so that it hands on the spikes of every step without
gradients, and their mean with them. That costs the forward passes of T steps and one backward pass.
Source: Yu et al., "Advancing training efficiency of deep spiking neural networks through rate-based
backpropagation", NeurIPS 2024, arXiv 2410.11488; the QCFS's gradient in it is ours.

>>> student = with_qcfs(encoder, levels=8, calibration=images)
>>> rehearsed(student, images, steps=8).shape
torch.Size([32, 128])
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import fx

from conversion.activations import QCFS
from conversion.spiking.graph import along_channels
from conversion.spiking.neurons import Rate, Reset


class Signal(NamedTuple):
    """What a node gives.

    Parameters
    ----------
    mean : Tensor of shape (N, ...)
        Over the steps, with gradients.
    steps : Tensor of shape (T, N, ...) or (1, N, ...)
        Of every step, or of all where they are the same; without gradients.
    """

    mean: torch.Tensor
    steps: torch.Tensor


def rehearsed(
    student: fx.GraphModule, images: torch.Tensor, steps: int, reset: Reset = "subtract"
) -> torch.Tensor:
    """The features that a rate code has of still images after some steps.

    A LeakyReLU's two sides are two neurons.

    Parameters
    ----------
    student : GraphModule
        Of ``conversion.activations.with_qcfs``, in evaluation mode.
    images : Tensor of shape (N, *input_shape)
    steps : int
    reset : {"subtract", "zero"}
        Of the neurons.

    Returns
    -------
    Tensor of shape (N, ...)
    """
    found: Signal = _Rehearsal(student, steps, reset).run(Signal(images, images.detach()[None]))
    return found.mean


class _Rehearsal(fx.Interpreter):
    def __init__(self, student: fx.GraphModule, steps: int, reset: Reset) -> None:
        super().__init__(student)
        self.steps = steps
        self.reset = reset

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output"):
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        part = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if isinstance(part, QCFS):
            return self._fired(part, args[0])
        call = getattr(self, n.op)
        mean = call(n.target, _each(args, lambda signal: signal.mean), kwargs)
        steps = max(len(signal.steps) for signal in args if isinstance(signal, Signal))
        with torch.no_grad():
            together = call(n.target, _each(args, lambda signal: _flat(signal, steps)), kwargs)
        return Signal(mean, together.unflatten(0, (steps, len(mean))))

    def _fired(self, activation: QCFS, inputs: Signal) -> Signal:
        smooth = activation(inputs.mean)
        with torch.no_grad():
            spikes = self._spikes(activation.clip, inputs.steps)
            if activation.negative_slope:
                below = -activation.negative_slope * inputs.steps
                spikes = spikes - self._spikes(activation.clip, below)
            counted = spikes.mean(0)
        return Signal(smooth + (counted - smooth).detach(), spikes)

    def _spikes(self, theta: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """What the spikes of neurons stand for, ``[T, N, ...]``."""
        shape = tuple(inputs.shape[2:])
        neurons = Rate(name="", sources=(), shape=shape, theta=theta, reset=self.reset)
        state, sent = neurons.start(inputs[0]), []
        for step in range(self.steps):
            spikes, state = neurons.step(inputs[step % len(inputs)], state)
            sent.append(spikes)
        return torch.stack(sent) * along_channels(theta, inputs[0])


def _each(args: Any, change: Any) -> Any:
    """The arguments of a call, with something else for every signal."""
    return tuple(change(value) if isinstance(value, Signal) else value for value in args)


def _flat(signal: Signal, steps: int) -> torch.Tensor:
    """All steps as one batch."""
    return signal.steps.expand(steps, *signal.steps.shape[1:]).flatten(0, 1)
