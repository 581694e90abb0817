"""The training loop: surrogate gradients, selection on validation, resume, a dead-network check.

The loss is the cross-entropy of the output neurons' spike counts. Everything random in an epoch
is drawn from generators seeded by (seed, epoch), so a run that was killed and resumed ends with
the same weights as one that was not.

>>> result = train(network, data, TrainingConfig(epochs=3), checkpoint=Path("checkpoint.pt"))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn.errors import TrainingError
from snn.events.augment.batch import AugmentConfig, augment
from snn.files import replacing
from snn.models import SpikingNetwork


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
    learning_rate : float
        Peak of a schedule that warms up over the first tenth and falls as a cosine to zero.
    weight_decay, label_smoothing : float
    logit_scale : float
        Logits are spike counts per step times this.
    init_rate : float
        Firing rate that every layer is scaled to before the first step; 0 leaves them as drawn.
    threads : int
        Of torch. More than one gains little on a small network, and on a machine with other work
        to do, threads that wait for each other cost more than tenfold.
    seed : int
    augment : AugmentConfig
    """

    epochs: int = 20
    batch_size: int = 16
    grid_share: float = 0.3
    learning_rate: float = 6e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    logit_scale: float = 4.0
    init_rate: float = 0.1
    threads: int = 1
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        lowest = {"epochs": 1, "batch_size": 2, "threads": 1}
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in lowest.items()
            if getattr(self, name) < low
        ]
        if not 0 <= self.grid_share <= 1:
            problems.append(f"grid_share must lie in [0, 1], got {self.grid_share}")
        if not self.learning_rate > 0:
            problems.append(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.init_rate < 1:
            problems.append(f"init_rate must lie in [0, 1), got {self.init_rate}")
        if problems:
            raise TrainingError("[training] " + "; ".join(problems))

    def is_on_grid(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, runs on the chip's weight grid."""
        return epoch >= self.epochs - round(self.grid_share * self.epochs)


@dataclass(frozen=True)
class Split:
    """Clips of one split: binary frames uint8 ``[N, T, C, H, W]`` and labels int64 ``[N]``."""

    frames: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class EpochMetrics:
    """One row of ``metrics.csv``; rates are spikes per neuron and step, accuracies in [0, 1]."""

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    mean_rate: float
    on_grid: bool
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """Predictions of a network: spike counts ``[N, classes]``, rates per layer, accuracy."""

    counts: torch.Tensor
    rates: dict[str, float]
    accuracy: float

    @property
    def predictions(self) -> torch.Tensor:
        """Index of the output neuron with most spikes (the first of equals), ``[N]``."""
        return first_argmax(self.counts)


def first_argmax(counts: torch.Tensor) -> torch.Tensor:
    """Index of the first largest value in each row; torch's argmax does not promise which."""
    positions = torch.arange(counts.shape[1]).expand_as(counts)
    is_largest = counts == counts.amax(dim=1, keepdim=True)
    return torch.where(is_largest, positions, counts.shape[1]).amin(dim=1)


@torch.no_grad()
def evaluate(network: SpikingNetwork, split: Split, *, batch_size: int = 64) -> Evaluation:
    """Run a split in evaluation mode."""
    network.eval()
    counts, active = [], torch.zeros(len(network.layer_shapes), dtype=torch.float64)
    for frames in split.frames.split(batch_size):
        trains = network(frames.float())
        counts.append(trains[-1].sum(dim=1).long())
        active += torch.tensor([len(frames) * t.mean(dtype=torch.float64) for t in trains])
    joined = torch.cat(counts)
    rates = (active / len(split.frames)).tolist()
    return Evaluation(
        counts=joined,
        rates=dict(zip((s.name for s in network.layer_shapes), rates, strict=True)),
        accuracy=float((first_argmax(joined) == split.labels).double().mean()),
    )


def train(
    network: SpikingNetwork,
    training: Split,
    validation: Split,
    config: TrainingConfig,
    *,
    checkpoint: Path,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[EpochMetrics]:
    """Train, and leave the network with the weights of its best validation epoch.

    Parameters
    ----------
    network : SpikingNetwork
    training, validation : Split
    config : TrainingConfig
    checkpoint : Path
        Written after each epoch; when it exists, training goes on from it.
    on_epoch, on_batch : callable, optional
        Called with the metrics of each epoch (also of resumed ones), and the clips of each batch.

    Returns
    -------
    list of EpochMetrics

    Raises
    ------
    TrainingError
        For a dead network, a loss that is not finite, or a checkpoint of another run.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    torch.set_num_threads(config.threads)
    state = _resume(network, optimiser, config, checkpoint)
    if state is None:
        state = {"history": [], "best": None, "best_accuracy": -1.0}
        prepare(network, training, config)
    history = [EpochMetrics(**row) for row in state["history"]]
    for metrics in history:
        if on_batch:
            on_batch(len(training.frames))
        if on_epoch:
            on_epoch(metrics)
    ends_on_grid = config.is_on_grid(config.epochs - 1)
    for epoch in range(len(history), config.epochs):
        if config.is_on_grid(epoch):
            network.use_chip_grid()
        metrics = _run_epoch(network, optimiser, training, validation, config, epoch, on_batch)
        history.append(metrics)
        may_be_kept = metrics.on_grid or not ends_on_grid
        if may_be_kept and metrics.validation_accuracy > state["best_accuracy"]:
            state["best_accuracy"] = metrics.validation_accuracy
            state["best"] = {k: v.clone() for k, v in network.state_dict().items()}
        state["history"] = [asdict(row) for row in history]
        _save(network, optimiser, config, state, checkpoint)
        if on_epoch:
            on_epoch(metrics)
    if ends_on_grid:
        network.use_chip_grid()
    network.load_state_dict(state["best"])
    return history


def prepare(network: SpikingNetwork, training: Split, config: TrainingConfig) -> dict[str, float]:
    """Make fresh neurons fire, and refuse a network that is dead all the same.

    Returns
    -------
    dict of str to float
        Firing rate per layer on the first clips, in spikes per neuron and step.
    """
    frames = training.frames[: 2 * config.batch_size].float()
    if config.init_rate > 0:
        scale_to_rate(network, frames, config.init_rate)
    start_statistics(network, frames)
    rates = firing_rates(network, frames)
    check_alive(rates)
    return rates


@torch.no_grad()
def start_statistics(network: SpikingNetwork, frames: torch.Tensor) -> None:
    """Set running statistics of batch normalisation to those of the first clips.

    They start at variance 1, currents of sparse events have a hundredth of it, and for many steps
    a running average of the two would silence the network wherever it is evaluated.
    """
    norms: list[Any] = [m for m in network.modules() if hasattr(m, "running_mean")]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    network(frames)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def firing_rates(network: SpikingNetwork, frames: torch.Tensor) -> dict[str, float]:
    """Spikes per neuron and step of each layer in training mode; statistics stay untouched."""
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    rates = [float(train.mean()) for train in network(frames)]
    network.load_state_dict(kept)
    return dict(zip((s.name for s in network.layer_shapes), rates, strict=True))


def check_alive(rates: dict[str, float], *, lowest: float = 1e-3, highest: float = 0.9) -> None:
    """Fail loudly on a network that cannot learn because its neurons never, or always, fire.

    Raises
    ------
    TrainingError
        Naming the layers and what to change.
    """
    dead = {name: rate for name, rate in rates.items() if not lowest <= rate <= highest}
    if dead:
        found = ", ".join(
            f"{name} fires in {100 * r:.3g} % of all steps" for name, r in dead.items()
        )
        raise TrainingError(
            f"the network cannot learn: {found}; allowed are {100 * lowest:g} % to "
            f"{100 * highest:g} %. Set training.init_rate (0.1 is usual), or lower model.threshold"
        )


@torch.no_grad()
def scale_to_rate(network: SpikingNetwork, frames: torch.Tensor, rate: float) -> None:
    """Scale the input of each layer in turn until it fires at `rate`.

    A data-driven initialisation after the idea of LSUV (Mishkin and Matas, ICLR 2016), with the
    firing rate in place of the variance. The rate grows with the scale, so bisection on its
    logarithm finds it.
    """
    network.train()
    for index, gain in enumerate(network.weight_gains()):
        drawn = gain.clone()
        low, high = math.log(1e-2), math.log(1e3)
        for _ in range(16):
            middle = (low + high) / 2
            gain.copy_(drawn * math.exp(middle))
            if float(network(frames)[index].mean()) < rate:
                low = middle
            else:
                high = middle


def _run_epoch(
    network: SpikingNetwork,
    optimiser: torch.optim.Optimizer,
    training: Split,
    validation: Split,
    config: TrainingConfig,
    epoch: int,
    on_batch: Callable[[int], None] | None,
) -> EpochMetrics:
    started = time.perf_counter()
    rng = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    torch.manual_seed(config.seed * 1_000_003 + epoch)  # dropout inside a network draws from here
    network.train()
    batches = torch.randperm(len(training.frames), generator=rng).split(config.batch_size)
    batches = [batch for batch in batches if len(batch) > 1]  # batch statistics need two clips
    loss_sum = correct = rate_sum = 0.0
    for number, batch in enumerate(batches):
        lr = _learning_rate(config, (epoch + number / len(batches)) / config.epochs)
        optimiser.param_groups[0]["lr"] = lr
        frames = augment(training.frames[batch].float(), config.augment, rng)
        labels = training.labels[batch]
        trains = network(frames)
        counts = trains[-1].sum(dim=1)
        loss = nn.functional.cross_entropy(
            config.logit_scale * counts / frames.shape[1],
            labels,
            label_smoothing=config.label_smoothing,
        )
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss became {float(loss)} in epoch {epoch}; lower training.learning_rate"
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss_sum += float(loss.detach()) * len(batch)
        correct += int((first_argmax(counts.detach()) == labels).sum())
        rate_sum += len(batch) * sum(float(t.detach().mean()) for t in trains) / len(trains)
        if on_batch:
            on_batch(len(batch))
    seen = sum(len(batch) for batch in batches)
    return EpochMetrics(
        epoch=epoch,
        loss=loss_sum / seen,
        train_accuracy=correct / seen,
        validation_accuracy=evaluate(network, validation).accuracy,
        mean_rate=rate_sum / seen,
        on_grid=config.is_on_grid(epoch),
        learning_rate=lr,
        seconds=time.perf_counter() - started,
    )


def _learning_rate(config: TrainingConfig, progress: float, warm_up: float = 0.1) -> float:
    if progress < warm_up:
        return config.learning_rate * max(progress / warm_up, 0.05)
    return (
        config.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))
    )


def _save(
    network: SpikingNetwork,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    state: dict[str, Any],
    path: Path,
) -> None:
    """Write a checkpoint that appears whole or not at all."""
    saved = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "config": asdict(config),
        **state,
    }
    with replacing(path) as temporary:
        torch.save(saved, temporary)


def _resume(
    network: SpikingNetwork,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    path: Path,
) -> dict[str, Any] | None:
    saved = read_checkpoint(path) if path.exists() else None
    if saved is None:
        return None
    if saved["config"] != asdict(config):
        changed = [k for k, v in asdict(config).items() if saved["config"].get(k) != v]
        raise TrainingError(
            f"{path}: belongs to a run with another configuration ({', '.join(changed)} differ); "
            "use another folder"
        )
    try:
        network.load_state_dict(saved["network"])
    except RuntimeError as error:
        raise TrainingError(f"{path}: belongs to another network ({error})") from error
    optimiser.load_state_dict(saved["optimiser"])
    return {key: saved[key] for key in ("history", "best", "best_accuracy")}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data only; nothing in it is executed.

    Raises
    ------
    TrainingError
        For a missing, truncated or foreign file.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        missing = {"network", "config", "history", "best"} - set(saved)
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise TrainingError(f"{path}: not a readable checkpoint ({error})") from error
    if missing:
        raise TrainingError(f"{path}: not a checkpoint of this tool, it lacks {sorted(missing)}")
    return saved
