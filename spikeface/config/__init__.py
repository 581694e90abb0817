"""Configuration: TOML files into frozen dataclasses, with errors that name the nearest key.

``task`` at the top of a file says what is trained and so which sections there are: a ``spiking``
network (the default), the ``reconstruction`` of faces from events, the ``transfer`` of its encoder
to a classifier, or the ``conversion`` of that encoder into a spiking one.

>>> load_config(Path("configs/demo.toml"), ["training.epochs=3"]).training.epochs
3
"""

from spikeface.config.conversion import ConversionConfig
from spikeface.config.loading import CONFIGS, load_config, load_run_config
from spikeface.config.sections import DataConfig, FramesConfig, LavaConfig
from spikeface.config.tasks import (
    Config,
    ConversionRunConfig,
    ImageRunConfig,
    ReconstructionRunConfig,
    RunConfig,
    TrainedConfig,
    TransferRunConfig,
    trained,
)
from spikeface.config.toml import read_toml, to_toml

__all__ = [
    "CONFIGS",
    "Config",
    "ConversionConfig",
    "ConversionRunConfig",
    "DataConfig",
    "FramesConfig",
    "ImageRunConfig",
    "LavaConfig",
    "ReconstructionRunConfig",
    "RunConfig",
    "TrainedConfig",
    "TransferRunConfig",
    "load_config",
    "load_run_config",
    "read_toml",
    "to_toml",
    "trained",
]
