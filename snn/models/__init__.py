"""Architectures: what the layers of a network are, before any engine builds them.

`layers` says what there is; `conv_net`, `sew_resnet` and `resnet` put it together; `build` hands it
to the engine of a configuration. Every spiking layer is

    v[t] = (1 - decay) v[t-1] + gain input[t],   s[t] = v[t] > threshold,   v reset where s[t]
"""

from snn.models.build import architecture, build
from snn.models.config import BLOCKS, ENGINES, ModelConfig
from snn.models.network import Network, Response, SpikingNetwork, TrainedLayer

__all__ = [
    "BLOCKS",
    "ENGINES",
    "ModelConfig",
    "Network",
    "Response",
    "SpikingNetwork",
    "TrainedLayer",
    "architecture",
    "build",
]
