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
from snn.models.config import ModelConfig
from snn.models.layers import INPUT, Accumulator, Layer, MaxPool, Spiking
from snn.models.network import Response, SpikingNetwork, TrainedLayer

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
    """A graph of SLAYER blocks and sums of their spikes.

    Raises
    ------
    ModelError
        Naming everything that SLAYER cannot express.
    """

    def __init__(self, config: ModelConfig, layers: tuple[Layer, ...]) -> None:
        super().__init__(layers)
        _check(config, layers)
        self.blocks = nn.ModuleList(_block(config, layer) for layer in self._spiking)

    @property
    def _spiking(self) -> list[Spiking]:
        return [layer for layer in self.layers if isinstance(layer, Spiking)]

    def forward(self, frames: torch.Tensor) -> Response:
        """See ``Network.forward``."""
        # SLAYER's order is N, C, H, W, T.
        signals = {INPUT: torch.movedim(frames, 1, -1).contiguous()}
        blocks = iter(self.blocks)
        for layer in self.layers:
            arriving: torch.Tensor = sum(signals[source] for source in layer.sources)  # type: ignore[assignment]
            if isinstance(layer, Spiking):
                flat = arriving if layer.is_conv else arriving.flatten(1, -2)
                arriving = next(blocks)(flat)
            signals[layer.name] = arriving
        scores = signals[self.layers[-1].name].sum(dim=-1)
        trains = {name: torch.movedim(signals[name], -1, 0) for name in self.layer_names}
        return Response(scores, trains)

    def weight_gains(self) -> dict[str, torch.Tensor]:
        """The magnitudes of weight normalisation, one per output channel."""
        return {
            layer.name: block.synapse.weight_g
            for layer, block in zip(self._spiking, self.blocks, strict=True)
        }

    def use_chip_grid(self) -> None:
        """Nothing to do: SLAYER is never off the grid."""

    def trained_layers(self) -> dict[str, TrainedLayer]:
        """See ``SpikingNetwork.trained_layers``."""
        return {
            layer.name: _trained(layer, block)
            for layer, block in zip(self._spiking, self.blocks, strict=True)
        }


def _check(config: ModelConfig, layers: tuple[Layer, ...]) -> None:
    found = {
        "max pooling (set stem = 'strided')": any(isinstance(x, MaxPool) for x in layers),
        "an accumulator (set head = 'spike_count')": isinstance(layers[-1], Accumulator),
        f"neurons of kind {config.neuron!r}": config.neuron == "plif",
        f"a reset that is {config.reset!r}": config.reset != "zero",
        "a reset inside of the gradient": not config.detach_reset,
        f"the normalisation {config.norm!r}": config.norm != "batch",
        f"the surrogate {config.surrogate!r}": config.surrogate not in ("default", "exponential"),
    }
    problems = [what for what, is_there in found.items() if is_there]
    if problems:
        raise ModelError(
            f"[model] engine 'slayer' cannot express {'; '.join(problems)}; the engine 'fused' can"
        )


def neuron_parameters(config: ModelConfig, layer: Spiking) -> dict[str, Any]:
    """SLAYER's neuron parameters for a surrogate of peak 1 / threshold and the asked-for width."""
    return {
        "threshold": config.threshold,
        "current_decay": 1.0,
        "voltage_decay": 0.0 if config.neuron == "if" else 1.0 / config.tau_steps,
        "tau_grad": config.surrogate_width / TAU_RHO_MULT,
        "scale_grad": 2 * config.surrogate_width / SCALE_RHO_MULT,
        "scale": weight_scale(config, layer),
        "norm": partial(import_slayer().neuron.norm.MeanOnlyBatchNorm, num_features=layer.outputs),
    }


def weight_scale(config: ModelConfig, layer: Spiking) -> int:
    """Integers per unit of weight, a power of two for which the chip's 8 bits are well used.

    A layer of fan-in n whose sources fire at rate r reaches its threshold with weights of about
    threshold / sqrt(n r); the grid is laid so that five times that is its largest weight. With
    SLAYER's own 64 a dense layer of a thousand inputs is left with a handful of weight values.
    """
    typical = config.threshold / math.sqrt(layer.fan_in * TYPICAL_RATE)
    return 1 << max(round(math.log2(WEIGHT_LIMIT / (5 * typical))), 0)


def _block(config: ModelConfig, layer: Spiking) -> nn.Module:
    with warnings.catch_warnings():
        # lava-dl uses torch's former weight_norm, which still works in the torch it is bound to.
        warnings.filterwarnings("ignore", message=".*weight_norm is deprecated")
        return _new_block(config, layer)


def _new_block(config: ModelConfig, layer: Spiking) -> nn.Module:
    blocks = import_slayer().block.cuba
    neuron = neuron_parameters(config, layer)
    common = {"weight_norm": True, "delay_shift": False}
    if layer.is_conv:
        return blocks.Conv(
            neuron,
            layer.inputs,
            layer.outputs,
            layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            **common,
        )
    return blocks.Dense(neuron, layer.inputs, layer.outputs, **common)


def _trained(layer: Spiking, block: nn.Module) -> TrainedLayer:
    weight = block.synapse.pre_hook_fx(block.synapse.weight.detach())
    weight = weight.squeeze(-1) if layer.is_conv else weight.flatten(1)
    neuron = block.neuron
    return TrainedLayer(
        layer=layer,
        weight=weight.contiguous().numpy(),
        bias=-neuron.quantize_8bit(neuron.norm.running_mean).numpy(),
        decay=float(neuron.cx_voltage_decay) / (1 << 12),
        gain=1.0,
        threshold=float(neuron.threshold),
        weight_scale=float(neuron.scale),
    )
