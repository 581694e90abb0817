"""What a configuration trains: a spiking network, a reconstruction, or a classifier on images.

>>> config = load_run_config(Path("configs/evtransfer_faces.toml"))
>>> train_task(RunFolder.create(Path("runs/a"), to_toml(config)), config, open_task(config))
"""

from __future__ import annotations

from snn.errors import TrainingError
from snn.training import current_team
from spikeface.config import Config, ReconstructionRunConfig, RunConfig, trained
from spikeface.runs import RunFolder
from spikeface.steps.images import ImageData, open_images
from spikeface.steps.reconstruction import PARTS as RECONSTRUCTION_PARTS
from spikeface.steps.reconstruction import reconstruct
from spikeface.steps.sources import TrainingData, open_training_data
from spikeface.steps.training import train
from spikeface.steps.transfer import check_encoder, transfer


def open_task(config: RunConfig) -> TrainingData | ImageData:
    """The data of a run; what is wrong with them or the encoder shows before a folder is made."""
    config = trained(config)
    if isinstance(config, Config):
        return open_training_data(config)
    if isinstance(config, ReconstructionRunConfig):
        if current_team().size > 1:
            raise TrainingError(
                "a reconstruction trains in one process; start 'spikeface train' without torchrun"
            )
        return open_images(config, frames=True, parts=RECONSTRUCTION_PARTS)
    check_encoder(config)
    return open_images(config, survey=config.data.baselines)


def train_task(
    run: RunFolder | None, config: RunConfig, data: TrainingData | ImageData | None = None
) -> None:
    """Train what a configuration names.

    Parameters
    ----------
    run : RunFolder or None
        None in all processes of a team but the first, which writes for all.
    config : Config, ReconstructionRunConfig or TransferRunConfig
    data : TrainingData or ImageData, optional
        What ``open_task`` opened.
    """
    config = trained(config)
    if isinstance(config, Config):
        train(run, config, data if isinstance(data, TrainingData) else None)
        return
    images = data if isinstance(data, ImageData) else None
    if not isinstance(config, ReconstructionRunConfig):
        transfer(run, config, images)
    elif run:
        reconstruct(run, config, images)
