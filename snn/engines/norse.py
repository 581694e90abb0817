"""Networks of norse neurons: convolution, batch normalisation, ``LIFBoxCell``.

norse's ``LIFBoxCell`` integrates ``v' = v + dt/tau (x - v)`` and fires at ``v > v_th`` with a
reset to zero, in the step of its input. The synapses of a layer run over all steps at once; batch
normalisation uses the statistics of batch and time together and is folded away on export, so the
chip never sees it. Source: ``norse/torch/functional/lif_box.py``, norse 1.1.

On the chip's grid (``snn.grid``) a layer runs with folded weights and biases as the chip will hold
them, and its voltages decay as the chip's do. With a time constant of two steps (or another power
of two) everything is exact in float32, and spikes are the chip's, one by one.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from norse.torch import LIFBoxCell, LIFBoxParameters
from torch import nn

from snn import grid
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
        with torch.no_grad():
            return [layer.trained() for layer in self.layers]


class ChipLayer(NamedTuple):
    """A layer as the chip will hold it, in units of the float network; see ``snn.grid``."""

    weight: torch.Tensor
    bias: torch.Tensor
    threshold: float
    scale: float


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
        self.gain = grid.decay_on_grid(1.0 / config.tau_steps)
        self.threshold = config.threshold
        self.on_grid = False
        # norse's derivative of this method is 2/sqrt(pi) exp(-(alpha (v - v_th))^2). Its default,
        # "super", ignores alpha in norse 1.1 (functional/superspike.py): the width is always 1.
        self.parameters_of_neuron = LIFBoxParameters(
            tau_mem_inv=torch.tensor(self.gain),
            v_th=torch.tensor(config.threshold),
            method="heavi_erfc",
            alpha=torch.tensor(1.0 / (config.surrogate_width * config.threshold)),
            reset_method=reset_to_zero,
        )

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Spikes ``[T, N, ...]`` in, spikes ``[T, N, ...]`` out."""
        steps, batch = spikes.shape[:2]
        flat = spikes.flatten(0, 1)
        flat = (
            flat.contiguous(memory_format=torch.channels_last)
            if self.shape.is_conv
            else flat.flatten(1)
        )
        if self.on_grid:
            chip = self._on_grid()
            current, parameters = self._project(flat, chip), self._parameters_on_grid(chip)
        else:
            current, parameters = self.norm(self.synapse(flat)), self.parameters_of_neuron
        neuron, state, out = LIFBoxCell(parameters, dt=1.0), None, []
        for step in current.unflatten(0, (steps, batch)):
            z, state = neuron(step, state)
            out.append(z)
        return torch.stack(out)

    def trained(self) -> TrainedLayer:
        """The layer with its batch normalisation folded into weight and bias."""
        weight, bias = self._folded()
        threshold, scale = self.threshold, None
        if self.on_grid:
            weight, bias, threshold, scale = self._on_grid()
        return TrainedLayer(
            shape=self.shape,
            weight=weight.contiguous().numpy(),
            bias=bias.numpy(),
            decay=self.gain,
            gain=self.gain,
            threshold=threshold,
            weight_scale=scale,
        )

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias with the batch normalisation of evaluation in them."""
        norm, weight = self.norm, self.synapse.weight
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = weight * factor.view(-1, *[1] * (weight.dim() - 1))
        return weight, norm.bias - norm.running_mean * factor

    def _on_grid(self) -> ChipLayer:
        weight, bias = self._folded()
        scale = grid.grid_scale(self.gain * weight)
        return ChipLayer(  # the neuron multiplies its input by the gain: the product is on the grid
            grid.round_weight(weight, self.gain * scale),
            grid.round_bias(bias, self.gain * scale),
            grid.round_threshold(self.threshold, scale),
            scale,
        )

    def _project(self, spikes: torch.Tensor, chip: ChipLayer) -> torch.Tensor:
        if not self.shape.is_conv:
            return nn.functional.linear(spikes, chip.weight, chip.bias)
        geometry = {"stride": self.shape.stride, "padding": self.shape.padding}
        return nn.functional.conv2d(spikes, chip.weight, chip.bias, **geometry)

    def _parameters_on_grid(self, chip: ChipLayer) -> LIFBoxParameters:
        return self.parameters_of_neuron._replace(
            v_th=torch.tensor(chip.threshold),
            reset_method=partial(reset_on_grid, keep=1 - self.gain, scale=chip.scale),
        )


def reset_to_zero(
    spikes: torch.Tensor, v: torch.Tensor, v_reset: torch.Tensor, v_th: torch.Tensor
) -> torch.Tensor:
    """norse's reset to zero, but detached: no gradient flows through the reset.

    The forward pass is that of norse's ``reset_value``; the backward pass is cheaper and the usual
    choice for deep networks (F. Zenke and T. Vogels, Neural Computation 2021).
    """
    return v * (1 - spikes.detach())


def reset_on_grid(
    spikes: torch.Tensor,
    v: torch.Tensor,
    v_reset: torch.Tensor,
    v_th: torch.Tensor,
    *,
    keep: float,
    scale: float,
) -> torch.Tensor:
    """``reset_to_zero``, and what the chip's decay will drop of the voltage is dropped here."""
    return grid.truncate_decay(v, keep, scale) * (1 - spikes.detach())
