"""Networks of norse neurons: convolution, batch normalisation, ``LIFBoxCell``.

norse's ``LIFBoxCell`` integrates ``v' = v + dt/tau (x - v)`` and fires at ``v > v_th`` with a
reset to zero, in the step of its input. The synapses of a layer run over all steps at once; batch
normalisation uses the statistics of batch and time together and is folded away on export, so the
chip never sees it. Source: ``norse/torch/functional/lif_box.py``, norse 1.1.
"""

from __future__ import annotations

import torch
from norse.torch import LIFBoxCell, LIFBoxParameters
from torch import nn

from snn.grid import grid_scale, round_to_grid
from snn.models import LayerShape, ModelConfig, SpikingNetwork, TrainedLayer


class NorseNetwork(SpikingNetwork):
    """A stack of ``NorseLayer``."""

    def __init__(self, config: ModelConfig, layer_shapes: tuple[LayerShape, ...]) -> None:
        super().__init__()
        self.layer_shapes = layer_shapes
        self.layers = nn.ModuleList(NorseLayer(config, shape) for shape in layer_shapes)

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """See ``SpikingNetwork.forward``."""
        spikes = frames.transpose(0, 1)  # steps first, so that each step is contiguous
        trains = []
        for layer in self.layers:
            spikes = layer(spikes)
            trains.append(spikes.transpose(0, 1))
        return trains

    def weight_gains(self) -> list[torch.Tensor]:
        """The gains of batch normalisation, one per output channel."""
        return [layer.norm.weight for layer in self.layers]

    def use_chip_grid(self) -> None:
        """See ``SpikingNetwork.use_chip_grid``."""
        for layer in self.layers:
            layer.on_grid = True

    def trained_layers(self) -> list[TrainedLayer]:
        """See ``SpikingNetwork.trained_layers``."""
        return [layer.trained() for layer in self.layers]


def reset_to_zero(
    spikes: torch.Tensor, v: torch.Tensor, v_reset: torch.Tensor, v_th: torch.Tensor
) -> torch.Tensor:
    """norse's reset to zero, but detached: no gradient flows through the reset.

    The forward pass is that of norse's ``reset_value``; the backward pass is cheaper and the usual
    choice for deep networks (F. Zenke and T. Vogels, Neural Computation 2021).
    """
    return v * (1 - spikes.detach())


class NorseLayer(nn.Module):
    """Synapses, batch normalisation and neurons of one layer, steps first."""

    def __init__(self, config: ModelConfig, shape: LayerShape) -> None:
        super().__init__()
        self.shape = shape
        if shape.is_conv:
            self.synapse: nn.Module = nn.Conv2d(
                shape.inputs,
                shape.outputs,
                shape.kernel,
                stride=shape.stride,
                padding=shape.padding,
                bias=False,
            )
            self.norm: nn.Module = nn.BatchNorm2d(shape.outputs)
        else:
            self.synapse = nn.Linear(shape.inputs, shape.outputs, bias=False)
            self.norm = nn.BatchNorm1d(shape.outputs)
        self.gain = 1.0 / config.tau_steps
        self.threshold = config.threshold
        self.on_grid = False
        # norse's derivative of this method is 2/sqrt(pi) exp(-(alpha (v - v_th))^2). Its default,
        # "super", ignores alpha in norse 1.1 (functional/superspike.py): the width is always 1.
        parameters = LIFBoxParameters(
            tau_mem_inv=torch.tensor(self.gain),
            v_th=torch.tensor(config.threshold),
            method="heavi_erfc",
            alpha=torch.tensor(1.0 / (config.surrogate_width * config.threshold)),
            reset_method=reset_to_zero,
        )
        self.neuron = LIFBoxCell(parameters, dt=1.0)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Spikes ``[T, N, ...]`` in, spikes ``[T, N, ...]`` out."""
        steps, batch = spikes.shape[:2]
        flat = spikes.flatten(0, 1)
        flat = (
            flat.contiguous(memory_format=torch.channels_last)
            if self.shape.is_conv
            else flat.flatten(1)
        )
        current = self._current(flat).unflatten(0, (steps, batch))
        state, out = None, []
        for step in current:
            z, state = self.neuron(step, state)
            out.append(z)
        return torch.stack(out)

    def trained(self) -> TrainedLayer:
        """The layer with its batch normalisation folded into weight and bias."""
        with torch.no_grad():
            weight, bias = self._folded()
            scale = grid_scale(self.gain * weight, self.threshold) if self.on_grid else None
            if scale is not None:
                weight = round_to_grid(weight, self.gain * scale)
        return TrainedLayer(
            shape=self.shape,
            weight=weight.contiguous().numpy(),
            bias=bias.numpy(),
            decay=self.gain,
            gain=self.gain,
            threshold=self.threshold,
            weight_scale=scale,
        )

    def _current(self, spikes: torch.Tensor) -> torch.Tensor:
        """Input currents of all steps; on the grid, through the weights that the chip will hold."""
        if not self.on_grid:
            return self.norm(self.synapse(spikes))
        weight, bias = self._folded()
        scale = grid_scale(self.gain * weight, self.threshold)
        weight = round_to_grid(weight, self.gain * scale)
        if not self.shape.is_conv:
            return nn.functional.linear(spikes, weight, bias)
        geometry = {"stride": self.shape.stride, "padding": self.shape.padding}
        return nn.functional.conv2d(spikes, weight, bias, **geometry)

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias with the batch normalisation of evaluation in them."""
        norm = self.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = self.synapse.weight
        folded = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        return folded, norm.bias - norm.running_mean * scale
