"""Networks of lava-dl SLAYER blocks: weights and states on the chip's grid while they train.

SLAYER's CUBA neuron runs Loihi's integer recursion in its forward pass, on weights rounded to
even multiples of ``1 / scale``. With ``current_decay=1`` the synaptic current has no memory and
with ``delay_shift=False`` a block answers in the step of its input, so that a block is a layer of
``snn.models`` and its trained weights are the chip's integers, exactly. Source:
``lava/lib/dl/slayer/neuron/cuba.py`` and ``block/cuba.py``, lava-dl 0.6.0.

Four settings decide whether it learns. Its surrogate gradient

    scale_rho / (2 tau_rho) exp(-|v - threshold| / tau_rho),
    tau_rho = 100 tau_grad threshold,  scale_rho = 0.1 scale_grad

is with ``tau_grad=1`` a hundred thresholds wide and practically flat; here width and height come
from ``ModelConfig.surrogate_width``. Its default weights leave every neuron silent on sparse
events: ``snn.training`` scales them to a firing rate before the first step. Deep layers then fall
silent again within twenty steps unless ``MeanOnlyBatchNorm`` holds the mean of their currents
(it becomes the chip's bias, exactly). And its grid of 2/64 leaves wide layers a handful of weight
values; here each layer has the grid that suits its fan-in.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from functools import partial
from typing import Any

import torch
from torch import nn

from snn.errors import ModelError
from snn.models import LayerShape, ModelConfig, SpikingNetwork, TrainedLayer

TYPICAL_RATE = 0.05  # of sources, for the grid of the weights
WEIGHT_LIMIT = 256  # largest weight on the chip
TAU_RHO_MULT, SCALE_RHO_MULT = 100.0, 0.1  # constants in lava-dl's neuron/cuba.py


def import_slayer() -> Any:
    """lava-dl's SLAYER; its import prints notices, and stdout belongs to our results."""
    notices = io.StringIO()
    try:
        with contextlib.redirect_stdout(notices), contextlib.redirect_stderr(notices):
            from lava.lib.dl import slayer
    except ImportError as error:
        raise ModelError(
            f"the engine 'slayer' needs lava-dl, which is not usable here ({error}); "
            "install it on Python 3.10 or use --engine norse"
        ) from error
    return slayer


class SlayerNetwork(SpikingNetwork):
    """A stack of SLAYER blocks."""

    def __init__(self, config: ModelConfig, layer_shapes: tuple[LayerShape, ...]) -> None:
        super().__init__()
        self.layer_shapes = layer_shapes
        self.blocks = nn.ModuleList(_block(config, shape) for shape in layer_shapes)

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """See ``SpikingNetwork.forward``."""
        spikes = torch.movedim(frames, 1, -1).contiguous()  # SLAYER's order is N, C, H, W, T
        trains = []
        for shape, block in zip(self.layer_shapes, self.blocks, strict=True):
            if not shape.is_conv and spikes.dim() > 3:
                spikes = spikes.flatten(1, -2)
            spikes = block(spikes)
            trains.append(torch.movedim(spikes, -1, 1))
        return trains

    def weight_gains(self) -> list[torch.Tensor]:
        """The magnitudes of weight normalisation, one per output channel."""
        return [block.synapse.weight_g for block in self.blocks]

    def use_chip_grid(self) -> None:
        """Nothing to do: SLAYER is never off the grid."""

    def trained_layers(self) -> list[TrainedLayer]:
        """See ``SpikingNetwork.trained_layers``."""
        return [
            _trained(shape, block)
            for shape, block in zip(self.layer_shapes, self.blocks, strict=True)
        ]


def neuron_parameters(config: ModelConfig, shape: LayerShape) -> dict[str, Any]:
    """SLAYER's neuron parameters for a surrogate of peak 1 / threshold and the asked-for width."""
    return {
        "threshold": config.threshold,
        "current_decay": 1.0,
        "voltage_decay": 1.0 / config.tau_steps,
        "tau_grad": config.surrogate_width / TAU_RHO_MULT,
        "scale_grad": 2 * config.surrogate_width / SCALE_RHO_MULT,
        "scale": weight_scale(config, shape),
        "norm": partial(import_slayer().neuron.norm.MeanOnlyBatchNorm, num_features=shape.outputs),
    }


def weight_scale(config: ModelConfig, shape: LayerShape) -> int:
    """Integers per unit of weight, a power of two for which the chip's 8 bits are well used.

    A layer of fan-in n whose sources fire at rate r reaches its threshold with weights of about
    threshold / sqrt(n r); the grid is laid so that five times that is its largest weight. With
    SLAYER's own 64 a dense layer of a thousand inputs is left with a handful of weight values.
    """
    fan_in = shape.inputs * (shape.kernel**2 if shape.is_conv else 1)
    typical = config.threshold / math.sqrt(fan_in * TYPICAL_RATE)
    return 1 << max(round(math.log2(WEIGHT_LIMIT / (5 * typical))), 0)


def _block(config: ModelConfig, shape: LayerShape) -> nn.Module:
    with warnings.catch_warnings():
        # lava-dl uses torch's former weight_norm, which still works in the torch it is bound to.
        warnings.filterwarnings("ignore", message=".*weight_norm is deprecated")
        return _new_block(config, shape)


def _new_block(config: ModelConfig, shape: LayerShape) -> nn.Module:
    blocks = import_slayer().block.cuba
    neuron = neuron_parameters(config, shape)
    common = {"weight_norm": True, "delay_shift": False}
    if shape.is_conv:
        return blocks.Conv(
            neuron,
            shape.inputs,
            shape.outputs,
            shape.kernel,
            stride=shape.stride,
            padding=shape.padding,
            **common,
        )
    return blocks.Dense(neuron, shape.inputs, shape.outputs, **common)


def _trained(shape: LayerShape, block: nn.Module) -> TrainedLayer:
    weight = block.synapse.pre_hook_fx(block.synapse.weight.detach())
    weight = weight.squeeze(-1) if shape.is_conv else weight.flatten(1)
    neuron = block.neuron
    return TrainedLayer(
        shape=shape,
        weight=weight.contiguous().numpy(),
        bias=-neuron.quantize_8bit(neuron.norm.running_mean).numpy(),
        decay=float(neuron.cx_voltage_decay) / (1 << 12),
        gain=1.0,
        threshold=float(neuron.threshold),
        weight_scale=float(neuron.scale),
    )
