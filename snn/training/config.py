"""How a network is trained: one frozen dataclass, and the augmentation of events inside it.

>>> TrainingConfig(optimiser="sgd", schedule="cosine_epochs", learning_rate=5e-3).is_on_grid(19)
True
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from snn.errors import TrainingError
from snn.events.augment.batch import AugmentConfig
from snn.events.augment.images import ImageAugmentConfig
from snn.events.augment.spiking_fer import EVENT_NAMES, FRAME_NAMES

LOWEST = {
    "epochs": 1,
    "batch_size": 2,
    "threads": 1,
    "workers": 0,
    "seed": 0,
    "patience": 0,
    "weight_decay": 0,
    "rate_penalty": 0,
    "synop_budget": 0,
    "synop_weight": 0,
}
SHARES = ("grid_share", "warm_up", "momentum", "label_smoothing", "target_rate", "init_rate")


@dataclass(frozen=True, kw_only=True)
class EventAugmentConfig:
    """The augmentations of Spiking-FER, each with its switch; see ``snn.events.augment``.

    Parameters
    ----------
    kind : str
        Tells this section from ``AugmentConfig``, the augmentation of whole batches of frames.
    flip, background_activity, reverse, flip_polarity, event_drop, crop, face_reflection : bool
        The default is the published best set, all but `flip_polarity`.
    published : bool
        Keep the quirks of the published code.
    crop_scale : float
        Smallest share of the area that a crop covers; published: 0.08.
    window : float
        Smallest share of a recording's time that a clip keeps, a random stretch drawn anew in
        every epoch; published: 1, the whole recording.
    """

    kind: Literal["spiking_fer"] = "spiking_fer"
    flip: bool = True
    background_activity: bool = True
    reverse: bool = True
    flip_polarity: bool = False
    event_drop: bool = True
    crop: bool = True
    face_reflection: bool = True
    published: bool = True
    crop_scale: float = 0.08
    window: float = 1.0

    def __post_init__(self) -> None:
        for name in ("crop_scale", "window"):
            if not 0 < getattr(self, name) <= 1:
                raise TrainingError(
                    f"[training.augment] {name} must lie in (0, 1], got {getattr(self, name)}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The augmentations that are on, as ``SpikingFERAugmentation`` calls them."""
        return tuple(name for name in EVENT_NAMES + FRAME_NAMES if getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a network is trained.

    Parameters
    ----------
    epochs, batch_size : int
    grid_share : float
        Share of the epochs, the last ones, that run on the chip's weight grid (``snn.grid``) with
        the statistics of batch normalisation held; the best of them is kept. 0 trains in floats
        to the end.
    optimiser : {"adamw", "adam", "sgd"}
        ``sgd`` with `momentum`; the weight decay of ``adam`` and ``sgd`` is part of the gradient.
    schedule : {"cosine", "cosine_epochs", "constant"}
        ``cosine`` changes the learning rate with every batch: it rises over the first `warm_up`
        and falls as a cosine to zero. ``cosine_epochs`` keeps it through an epoch,
        ``(1 + cos(π epoch / epochs)) / 2`` of its peak, without a warm-up. ``constant`` is the
        peak from the first batch to the last.
    learning_rate : float
        Peak of the schedule. A network may set a factor on it for some of its parameters.
    momentum, warm_up, weight_decay, label_smoothing : float
    logit_scale : float
        Logits of spike counts are counts per step times this; a membrane and the scores of an
        artificial network are logits as they are.
    init_rate : float
        Firing rate that every layer is scaled to before the first step; 0 leaves them as drawn.
    rate_penalty, target_rate : float
        Adds ``rate_penalty`` times the mean over layers of ``(rate - target_rate)²`` to the loss.
    synop_budget, synop_weight : float
        Synaptic operations that a clip may cost, 0 for no limit. Above it the loss grows by
        ``synop_weight (operations / synop_budget - 1)``.
    patience : int
        Stop after as many epochs without a better validation accuracy; 0 never stops. Only epochs
        whose weights may be kept count: with a `grid_share` those on the grid.
    selection : {"clip", "recording"}
        Which validation accuracy the best epoch has: that of clips, or that of recordings whose
        clips vote (``snn.training.votes``).
    amp : {"off", "bf16"}
        ``bf16`` multiplies in bfloat16 where the processor or GPU can; off the grid only. It saves
        memory everywhere, time not on every processor: training says so where it does not.
    device : {"cpu", "cuda"}
    threads : int
        Of torch. More than one gains little on a small network, and on a machine with other work
        to do, threads that wait for each other cost more than tenfold.
    workers : int
        Processes that prepare the next batches; 0 prepares them between steps. Results do not
        depend on it.
    seed : int
    tensorboard : bool
        Also write the metrics for TensorBoard, a package of its own.
    augment : AugmentConfig, EventAugmentConfig or ImageAugmentConfig
    """

    epochs: int = 20
    batch_size: int = 16
    grid_share: float = 0.3
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    schedule: Literal["cosine", "cosine_epochs", "constant"] = "cosine"
    learning_rate: float = 6e-3
    momentum: float = 0.9
    warm_up: float = 0.1
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    logit_scale: float = 4.0
    init_rate: float = 0.1
    rate_penalty: float = 0.0
    target_rate: float = 0.1
    synop_budget: float = 0.0
    synop_weight: float = 1.0
    patience: int = 0
    selection: Literal["clip", "recording"] = "clip"
    amp: Literal["off", "bf16"] = "off"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    workers: int = 0
    seed: int = 0
    tensorboard: bool = False
    augment: AugmentConfig | EventAugmentConfig | ImageAugmentConfig = field(
        default_factory=AugmentConfig
    )

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in LOWEST.items()
            if not getattr(self, name) >= low
        ]
        problems += [
            f"{name} must lie in [0, 1{']' if name == 'grid_share' else ')'}, "
            f"got {getattr(self, name)}"
            for name in SHARES
            if not (0 <= getattr(self, name) < 1 or (name == "grid_share" and self.grid_share == 1))
        ]
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            problems.append(f"learning_rate must be above 0, got {self.learning_rate}")
        allowed = {
            "optimiser": ("adamw", "adam", "sgd"),
            "schedule": ("cosine", "cosine_epochs", "constant"),
            "selection": ("clip", "recording"),
            "amp": ("off", "bf16"),
            "device": ("cpu", "cuda"),
        }
        problems += [
            f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}"
            for name, values in allowed.items()
            if getattr(self, name) not in values
        ]
        if problems:
            raise TrainingError("[training] " + "; ".join(problems))

    def is_on_grid(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, runs on the chip's weight grid."""
        return epoch >= self.epochs - round(self.grid_share * self.epochs)

    @property
    def ends_on_grid(self) -> bool:
        """Whether the weights that are kept are those of an epoch on the grid."""
        return self.is_on_grid(self.epochs - 1)
