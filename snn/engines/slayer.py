"""Networks of lava-dl SLAYER blocks: weights and states on the chip's grid while they train.

SLAYER's CUBA neuron runs Loihi's integer recursion in its forward pass, on weights rounded to
even multiples of 1/64. With ``current_decay=1`` the synaptic current has no memory and with
``delay_shift=False`` a block answers in the step of its input, so that a block is a layer of
``snn.models`` and its trained weights are the chip's integers, exactly. Source:
``lava/lib/dl/slayer/neuron/cuba.py`` and ``block/cuba.py``, lava-dl 0.6.0.

Two settings decide whether it learns. Its surrogate gradient

    scale_rho / (2 tau_rho) exp(-|v - threshold| / tau_rho),
    tau_rho = 100 tau_grad threshold,  scale_rho = 0.1 scale_grad

is with ``tau_grad=1`` a hundred thresholds wide and practically flat; here width and height come
from ``ModelConfig.surrogate_width``. And its default weights leave every neuron silent on sparse
events; ``snn.training`` scales them to a firing rate before the first step.
"""

from __future__ import annotations

import contextlib
import io

import torch
from torch import nn

from snn.errors import ModelError
from snn.models import LayerShape, ModelConfig, SpikingNetwork, TrainedLayer

WEIGHT_SCALE = 64  # SLAYER's integers per unit of weight
TAU_RHO_MULT, SCALE_RHO_MULT = 100.0, 0.1  # constants in lava-dl's neuron/cuba.py


def import_blocks() -> object:
    """lava-dl's CUBA blocks; its import prints notices, and stdout belongs to our results."""
    notices = io.StringIO()
    try:
        with contextlib.redirect_stdout(notices), contextlib.redirect_stderr(notices):
            from lava.lib.dl import slayer
    except ImportError as error:
        raise ModelError(
            f"the engine 'slayer' needs lava-dl, which is not usable here ({error}); "
            "install it on Python 3.10 or use --engine norse"
        ) from error
    return slayer.block.cuba


class SlayerNetwork(SpikingNetwork):
    """A stack of SLAYER blocks."""

    normalised = False

    def __init__(self, config: ModelConfig, layer_shapes: tuple[LayerShape, ...]) -> None:
        super().__init__()
        self.layer_shapes = layer_shapes
        blocks = import_blocks()
        neuron = neuron_parameters(config)
        self.blocks = nn.ModuleList(_block(blocks, neuron, shape) for shape in layer_shapes)

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

    def trained_layers(self) -> list[TrainedLayer]:
        """See ``SpikingNetwork.trained_layers``."""
        return [
            _trained(shape, block)
            for shape, block in zip(self.layer_shapes, self.blocks, strict=True)
        ]


def neuron_parameters(config: ModelConfig) -> dict[str, float]:
    """SLAYER's neuron parameters for a surrogate of peak 1 / threshold and the asked-for width."""
    tau_grad = config.surrogate_width / TAU_RHO_MULT
    return {
        "threshold": config.threshold,
        "current_decay": 1.0,
        "voltage_decay": 1.0 / config.tau_steps,
        "tau_grad": tau_grad,
        "scale_grad": 2 * config.surrogate_width / SCALE_RHO_MULT,
    }


def _block(blocks: object, neuron: dict[str, float], shape: LayerShape) -> nn.Module:
    if shape.is_conv:
        return blocks.Conv(
            neuron,
            shape.inputs,
            shape.outputs,
            shape.kernel,
            stride=shape.stride,
            padding=shape.padding,
            delay_shift=False,
        )
    return blocks.Dense(neuron, shape.inputs, shape.outputs, delay_shift=False)


def _trained(shape: LayerShape, block: nn.Module) -> TrainedLayer:
    weight = block.synapse.pre_hook_fx(block.synapse.weight.detach())
    weight = weight.squeeze(-1) if shape.is_conv else weight.flatten(1)
    neuron = block.neuron
    return TrainedLayer(
        shape=shape,
        weight=weight.contiguous().numpy(),
        bias=torch.zeros(shape.outputs).numpy(),
        decay=float(neuron.cx_voltage_decay) / (1 << 12),
        gain=1.0,
        threshold=float(neuron.threshold),
        weight_scale=WEIGHT_SCALE,
    )
