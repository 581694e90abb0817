"""What a run follows from, a dataclass for each task; their fields are the sections of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from conversion.distil import DistilConfig
from conversion.images import ImagesConfig
from conversion.reconstruction import ReconstructionConfig
from conversion.transfer import TransferConfig
from snn.events.faces import FaceSetParameters
from snn.models import ModelConfig
from snn.training import ImageAugmentConfig, TrainingConfig
from spikeface.config.conversion import ConversionConfig
from spikeface.config.sections import DataConfig, FramesConfig, LavaConfig
from spikeface.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class OnRecordings:
    """What is trained sees drawn faces or one of the public sets."""

    faces: FaceSetParameters = field(default_factory=FaceSetParameters)
    data: DataConfig = field(default_factory=DataConfig)


@dataclass(frozen=True, kw_only=True)
class Config(OnRecordings):
    """Everything a run of a spiking network follows from."""

    task: Literal["spiking"] = "spiking"
    frames: FramesConfig = field(default_factory=FramesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    lava: LavaConfig = field(default_factory=LavaConfig)


@dataclass(frozen=True, kw_only=True)
class ReconstructionRunConfig(OnRecordings):
    """Everything a reconstruction of faces follows from."""

    task: Literal["reconstruction"] = "reconstruction"
    images: ImagesConfig = field(default_factory=ImagesConfig)
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)


def _published_training() -> TrainingConfig:
    """How evTransFER trains its classifier; the learning rate is that of the head."""
    return TrainingConfig(
        epochs=20,
        batch_size=64,
        grid_share=0.0,
        optimiser="adam",
        schedule="constant",
        learning_rate=1e-3,
        warm_up=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        init_rate=0.0,
        augment=ImageAugmentConfig(),
    )


@dataclass(frozen=True, kw_only=True)
class TransferRunConfig(OnRecordings):
    """Everything a classifier on images of events follows from."""

    task: Literal["transfer"] = "transfer"
    images: ImagesConfig = field(default_factory=ImagesConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    training: TrainingConfig = field(default_factory=_published_training)


@dataclass(frozen=True, kw_only=True)
class ConversionRunConfig:
    """Everything the conversion of a classifier's encoder follows from."""

    task: Literal["conversion"] = "conversion"
    conversion: ConversionConfig = field(default_factory=ConversionConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    lava: LavaConfig = field(default_factory=lambda: LavaConfig(samples=2, timeout_s=900.0))


TrainedConfig = Config | ReconstructionRunConfig | TransferRunConfig
RunConfig = TrainedConfig | ConversionRunConfig
ImageRunConfig = ReconstructionRunConfig | TransferRunConfig
TASKS: dict[str, type[RunConfig]] = {
    "spiking": Config,
    "reconstruction": ReconstructionRunConfig,
    "transfer": TransferRunConfig,
    "conversion": ConversionRunConfig,
}


def trained(config: RunConfig) -> TrainedConfig:
    """A configuration that trains on data; a conversion does not.

    Raises
    ------
    ConfigError
        For a conversion.
    """
    if isinstance(config, ConversionRunConfig):
        raise ConfigError(
            "task = 'conversion' has no data of its own; use 'spikeface convert RUN CONFIG.toml'"
        )
    return config
