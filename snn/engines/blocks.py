"""Networks of torch's synapses and normalisation, whose neurons an engine steps.

The synapses of a layer run over all steps at once, in channels-last memory; normalisation uses the
statistics of batch and time together and is folded away on export, so the chip never sees it. Then
the engine's function turns the currents of all steps into spikes.

On the chip's grid (``snn.grid``) a layer runs with folded weights and biases as the chip will hold
them, and its voltages decay as the chip's do. Without a leak, or with a time constant of two steps
(or another power of two), everything is exact in float32, and spikes are the chip's, one by one.

>>> network = BlockNetwork(config, layers, fused)
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import nn

from snn import grid
from snn.engines.heads import AccumulatorHead
from snn.engines.norms import new_norm
from snn.models.config import ModelConfig
from snn.models.layers import INPUT, Accumulator, Add, Layer, MaxPool, Spiking
from snn.models.network import Response, SpikingNetwork, TrainedLayer, decay_of
from snn.neurons import NeuronParameters

SMALL_MAP = 16  # positions; 512 channels of 2x2 are 1.5 times as fast in the plain order


class Steps(Protocol):
    """Neurons over time: what an engine is."""

    def __call__(
        self,
        current: torch.Tensor,
        parameters: NeuronParameters,
        *,
        gain: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Spikes ``[T, N, ...]`` of currents ``[T, N, ...]``, which it may overwrite."""
        ...


class BlockNetwork(SpikingNetwork):
    """A graph of layers; its modules are named after them.

    Parameters
    ----------
    config : ModelConfig
    layers : tuple of Layer
    steps : Steps
    """

    def __init__(self, config: ModelConfig, layers: tuple[Layer, ...], steps: Steps) -> None:
        super().__init__(layers)
        self.blocks = nn.ModuleDict(
            {
                _key(layer.name): SpikingBlock(config, layer, steps)
                if isinstance(layer, Spiking)
                else AccumulatorHead(layer)
                for layer in layers
                if isinstance(layer, Spiking | Accumulator)
            }
        )

    def forward(self, frames: torch.Tensor) -> Response:
        """See ``Network.forward``."""
        # Steps first, so that the spikes of each step lie together.
        signals = {INPUT: _channels_last(frames.transpose(0, 1))}
        for layer in self.layers:
            signals[layer.name] = self._run(layer, [signals[s] for s in layer.sources])
        scores = signals[self.layers[-1].name]
        if self.readout == "spike_count":
            scores = scores.sum(dim=0)
        return Response(scores, {name: signals[name] for name in self.layer_names})

    def _run(self, layer: Layer, inputs: list[torch.Tensor]) -> torch.Tensor:
        if isinstance(layer, Add):
            return cast(torch.Tensor, sum(inputs[1:], inputs[0]))
        if isinstance(layer, MaxPool):
            pooled = nn.functional.max_pool2d(
                inputs[0].flatten(0, 1), layer.kernel, layer.stride, layer.padding
            )
            return pooled.unflatten(0, inputs[0].shape[:2])
        return self.blocks[_key(layer.name)](inputs[0])

    def weight_gains(self) -> dict[str, torch.Tensor]:
        """The gains of the normalisations, one per output channel."""
        return {name: block.norm.weight for name, block in self._spiking().items()}

    def use_chip_grid(self) -> None:
        """See ``SpikingNetwork.use_chip_grid``."""
        for block in self.blocks.values():
            block.on_grid = True

    @torch.no_grad()
    def trained_layers(self) -> dict[str, TrainedLayer]:
        """See ``SpikingNetwork.trained_layers``."""
        return {
            layer.name: self.blocks[_key(layer.name)].trained()
            for layer in self.layers
            if _key(layer.name) in self.blocks
        }

    def _spiking(self) -> dict[str, Any]:
        return {
            layer.name: self.blocks[_key(layer.name)]
            for layer in self.layers
            if isinstance(layer, Spiking)
        }


class ChipLayer(NamedTuple):
    """A layer as the chip will hold it, in units of the float network; see ``snn.grid``."""

    weight: torch.Tensor
    bias: torch.Tensor
    threshold: float
    scale: float


class SpikingBlock(nn.Module):
    """Synapses, normalisation and neurons of one layer, steps first."""

    def __init__(self, config: ModelConfig, layer: Spiking, steps: Steps) -> None:
        super().__init__()
        self.layer, self.steps = layer, steps
        if layer.is_conv:
            self.synapse: nn.Module = nn.Conv2d(
                layer.inputs,
                layer.outputs,
                layer.kernel,
                stride=layer.stride,
                padding=layer.padding,
                bias=False,
            )
        else:
            self.synapse = nn.Linear(layer.inputs, layer.outputs, bias=False)
        if config.family == "sew_resnet" and layer.is_conv and layer.sources != (INPUT,):
            # The authors initialise like this, and replace the first convolution afterwards.
            nn.init.kaiming_normal_(self.synapse.weight, mode="fan_out", nonlinearity="relu")
        self.order = memory_order(layer)
        nn.utils.convert_conv2d_weight_memory_format(self.synapse, self.order)
        self.norm = new_norm(config.norm, layer)
        neurons = config.neuron_parameters()
        self.neurons = replace(neurons, gain=grid.decay_on_grid(neurons.gain))
        # A time constant that is learnt is stored as the logit of its gain, as in PLIF (W. Fang et
        # al., ICCV 2021), so that the gain stays in (0, 1).
        self.logit: nn.Parameter | None = None
        if config.neuron == "plif":
            self.logit = nn.Parameter(torch.tensor(-math.log(config.tau_steps - 1)))
        self.on_grid = False

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Spikes ``[T, N, ...]`` in, spikes ``[T, N, ...]`` out."""
        flat = spikes.flatten(0, 1) if self.layer.is_conv else spikes.flatten(0, 1).flatten(1)
        flat = flat.contiguous(memory_format=self.order)
        neurons, gain = self.neurons, None
        if self.on_grid:
            neurons = self._settled()
            chip = self._on_grid(neurons.gain)
            current = self._project(flat, chip)
            neurons = replace(neurons, threshold=chip.threshold, grid_scale=chip.scale)
        else:
            current = self.norm(self.synapse(flat))
            gain = None if self.logit is None else torch.sigmoid(self.logit)
        return self.steps(current.unflatten(0, spikes.shape[:2]), neurons, gain=gain)

    def trained(self) -> TrainedLayer:
        """The layer with its normalisation folded into weight and bias."""
        neurons = self._settled()
        weight, bias = self._folded()
        threshold, scale = neurons.threshold, None
        if self.on_grid:
            weight, bias, threshold, scale = self._on_grid(neurons.gain)
        return TrainedLayer(
            layer=self.layer,
            weight=weight.float().cpu().contiguous().numpy(),
            bias=bias.float().cpu().numpy(),
            decay=decay_of(neurons),
            gain=neurons.gain,
            threshold=threshold,
            reset=neurons.reset,
            weight_scale=scale,
        )

    def _settled(self) -> NeuronParameters:
        """The neurons, a learnt gain replaced by the nearest one that the chip has."""
        if self.logit is None:
            return self.neurons
        gain = grid.decay_on_grid(float(torch.sigmoid(self.logit.detach())))
        return replace(self.neurons, gain=gain)

    def _folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        factor, shift = self.norm.folded()
        weight = self.synapse.weight
        return weight * factor.view(-1, *[1] * (weight.dim() - 1)), shift

    def _on_grid(self, gain: float) -> ChipLayer:
        weight, bias = self._folded()
        scale = grid.grid_scale(gain * weight)
        return ChipLayer(  # the neuron multiplies its input by the gain: the product is on the grid
            grid.round_weight(weight, gain * scale),
            grid.round_bias(bias, gain * scale),
            grid.round_threshold(self.neurons.threshold, scale),
            scale,
        )

    def _project(self, spikes: torch.Tensor, chip: ChipLayer) -> torch.Tensor:
        if not self.layer.is_conv:
            return nn.functional.linear(spikes, chip.weight, chip.bias)
        geometry = {"stride": self.layer.stride, "padding": self.layer.padding}
        return nn.functional.conv2d(spikes, chip.weight, chip.bias, **geometry)


def memory_order(layer: Spiking) -> torch.memory_format:
    """The order in which oneDNN's convolutions are fast: channels last, but for small maps."""
    channels_last = layer.is_conv and math.prod(layer.shape[1:]) > SMALL_MAP
    return torch.channels_last if channels_last else torch.contiguous_format


def _channels_last(frames: torch.Tensor) -> torch.Tensor:
    flat = frames.flatten(0, 1)
    if flat.dim() == 4:
        flat = flat.contiguous(memory_format=torch.channels_last)
    return flat.unflatten(0, frames.shape[:2])


def _key(name: str) -> str:
    """A layer's name as torch allows it for a module."""
    return name.replace(".", "_")
