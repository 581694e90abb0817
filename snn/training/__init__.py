"""The training of a network: recipes, sources of batches, the loop, many processes.

`config` says how, `data` where batches come from, `loading` prepares them, `preparation` makes
fresh neurons fire, `objective` is what is minimised, `loop` puts it together, `checkpoint` lets it
go on after a kill, `evaluation` is what counts in the end, `votes` what the clips of a recording
say together, `distributed` runs it on many devices.
"""

from snn.events.augment.batch import AugmentConfig
from snn.events.augment.images import ImageAugmentConfig
from snn.training.checkpoint import read_checkpoint
from snn.training.config import EventAugmentConfig, TrainingConfig
from snn.training.data import (
    ClipSource,
    EpochAugmentation,
    EventClips,
    KeptRecordings,
    Split,
    TimeBinFrames,
)
from snn.training.distributed import Team, current_team, session
from snn.training.evaluation import Evaluation, evaluate
from snn.training.loop import best_epoch, train
from snn.training.metrics import EpochMetrics
from snn.training.preparation import check_alive, prepare
from snn.training.votes import Votes, first_argmax, vote

__all__ = [
    "AugmentConfig",
    "ClipSource",
    "EpochAugmentation",
    "EpochMetrics",
    "Evaluation",
    "EventAugmentConfig",
    "EventClips",
    "ImageAugmentConfig",
    "KeptRecordings",
    "Split",
    "Team",
    "TimeBinFrames",
    "TrainingConfig",
    "Votes",
    "best_epoch",
    "check_alive",
    "current_team",
    "evaluate",
    "first_argmax",
    "prepare",
    "read_checkpoint",
    "session",
    "train",
    "vote",
]
