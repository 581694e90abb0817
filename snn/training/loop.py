"""The training loop: surrogate gradients, selection on validation, resume, many processes.

Everything random in an epoch is drawn from generators seeded by (seed, epoch), or (seed, epoch,
clip), so a run that was killed and resumed ends with the same weights as one that was not.

>>> history = train(network, training, validation, TrainingConfig(epochs=3), checkpoint=path)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from snn.errors import TrainingError
from snn.models import Network, SpikingNetwork
from snn.training.checkpoint import read_checkpoint, remove_leftovers, restore, save_checkpoint
from snn.training.config import TrainingConfig
from snn.training.data import ClipSource, recording_ids
from snn.training.device import training_device
from snn.training.distributed import Team, current_team, share_statistics
from snn.training.evaluation import evaluate
from snn.training.loading import Step, epoch_seed, plan, prepared
from snn.training.metrics import EpochMetrics, EpochTotals
from snn.training.objective import activity_of, logits_of, loss_share
from snn.training.optimisers import learning_rate, make_optimiser, set_learning_rate
from snn.training.preparation import prepare
from snn.training.votes import first_argmax


def train(
    network: Network,
    training: ClipSource,
    validation: ClipSource,
    config: TrainingConfig,
    *,
    checkpoint: Path,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[EpochMetrics]:
    """Train, and leave the network with the weights of its best validation epoch.

    In a team (``snn.training.distributed``) every process calls this with the same arguments; the
    first one alone writes the checkpoint and calls back.

    Parameters
    ----------
    network : Network
        Left on the device it was trained on.
    training, validation : ClipSource
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
        For a dead network, a loss that is not finite, a checkpoint of another run, or a device
        that is not there.
    """
    torch.set_num_threads(config.threads)
    team, device = current_team(), training_device(config)
    _check(network, training, validation, config, team)
    network.to(device)
    optimiser = make_optimiser(network, config)
    state = _resume(network, optimiser, config, checkpoint, team)
    if state is None:
        state = {"history": [], "best": None, "best_accuracy": -1.0}
        if network.needs_preparation:
            prepare(network, training, config)
    team.copy_first(network.state_dict().values())
    share_statistics(network)
    history = [EpochMetrics(**row) for row in state["history"]]
    tell_epoch = on_epoch if on_epoch and team.is_first else _nothing
    tell_batch = on_batch if on_batch and team.is_first else _nothing
    for metrics in history:
        tell_batch(len(training))
        tell_epoch(metrics)
    steps = plan(len(training), config, range(len(history), config.epochs), team)
    totals = EpochTotals()
    for step, frames in prepared(training, steps, config):
        if step.number == 0:
            if out_of_patience(history, config):
                break
            totals = _begin(network, config, step.epoch, team)
        _step(network, optimiser, config, step, frames, training.labels, totals)
        tell_batch(len(step.clips))
        if step.is_last:
            metrics = _end(network, validation, config, step.epoch, totals)
            history.append(metrics)
            _remember(state, network, history, config)
            if team.is_first:
                save_checkpoint(checkpoint, network, optimiser, config, state)
            tell_epoch(metrics)
    if config.ends_on_grid:
        _use_chip_grid(network)
    network.load_state_dict(state["best"])
    return history


def out_of_patience(history: list[EpochMetrics], config: TrainingConfig) -> bool:
    """Whether the last ``config.patience`` epochs that may be kept brought nothing better."""
    accuracies = [m.accuracy(config.selection) for m in history if _may_be_kept(m, config)]
    if not config.patience or not accuracies:
        return False
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) >= config.patience


def best_epoch(
    history: list[EpochMetrics], selection: Literal["clip", "recording"] = "clip"
) -> EpochMetrics:
    """The epoch whose weights were kept: the first best of those that end as the training does."""
    candidates = [m for m in history if m.on_grid] or history
    return max(candidates, key=lambda m: m.accuracy(selection))


def _may_be_kept(metrics: EpochMetrics, config: TrainingConfig) -> bool:
    return metrics.on_grid or not config.ends_on_grid


def _check(
    network: Network,
    training: ClipSource,
    validation: ClipSource,
    config: TrainingConfig,
    team: Team,
) -> None:
    fewest = max(2, team.size)
    if len(training) < fewest:
        raise TrainingError(
            f"{len(training)} training clips; batch statistics and {team.size} process(es) need "
            f"at least {fewest}"
        )
    if config.batch_size < team.size:
        raise TrainingError(
            f"training.batch_size = {config.batch_size} for {team.size} processes: each needs a "
            "clip of every batch; raise it or start fewer"
        )
    if config.grid_share > 0 and not isinstance(network, SpikingNetwork):
        raise TrainingError(
            "an artificial network has no weights on the chip's grid; set training.grid_share = 0"
        )
    if config.selection == "recording" and recording_ids(validation) is None:
        raise TrainingError(
            "training.selection = 'recording': the validation clips are whole recordings and have "
            "no vote; set training.selection = 'clip'"
        )


def _use_chip_grid(network: Network) -> None:
    assert isinstance(network, SpikingNetwork)  # see _check
    network.use_chip_grid()


def _begin(network: Network, config: TrainingConfig, epoch: int, team: Team) -> EpochTotals:
    # Dropout draws from torch's generator; processes of a team must not drop the same values.
    torch.manual_seed(epoch_seed(config, epoch) + 7_368_787 * team.rank)
    if config.is_on_grid(epoch):
        _use_chip_grid(network)
    network.train()
    return EpochTotals()


def _step(
    network: Network,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    step: Step,
    frames: torch.Tensor,
    all_labels: torch.Tensor,
    totals: EpochTotals,
) -> None:
    """One global batch: this process's share forward and backward, one step together."""
    team, n_clips = current_team(), len(step.clips)
    device = next(network.parameters()).device
    totals.learning_rate = learning_rate(config, step.epoch + step.number / step.n_batches)
    set_learning_rate(optimiser, network, totals.learning_rate)
    frames = frames.to(device, non_blocking=True).float()
    labels = all_labels[list(step.mine)].to(device)
    half = config.amp == "bf16" and not config.is_on_grid(step.epoch)  # the grid needs float32
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        response = network(frames)
    logits = logits_of(response, network, config, n_steps=frames.shape[1])
    activity = activity_of(frames, response, network, n_clips=n_clips, team=team)
    share = loss_share(logits, labels, activity, config, n_clips=n_clips, team=team)
    correct = (first_argmax(logits.detach()) == labels).sum()
    loss, correct = team.sum(torch.stack([share.detach().double(), correct.double()]))
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss became {float(loss)} in epoch {step.epoch}; lower training.learning_rate"
        )
    optimiser.zero_grad(set_to_none=True)
    share.backward()
    team.sum_gradients(network.parameters())
    optimiser.step()
    totals.add(clips=n_clips, loss=float(loss), correct=correct, activity=activity)


def _end(
    network: Network,
    validation: ClipSource,
    config: TrainingConfig,
    epoch: int,
    totals: EpochTotals,
) -> EpochMetrics:
    totals.stop()
    current_team().copy_first(network.buffers())
    return totals.metrics(epoch, evaluate(network, validation), config, network.layer_names)


def _remember(
    state: dict[str, Any], network: Network, history: list[EpochMetrics], config: TrainingConfig
) -> None:
    """Put an epoch into the state, and its weights when they are the best so far."""
    accuracy = history[-1].accuracy(config.selection)
    if _may_be_kept(history[-1], config) and accuracy > state["best_accuracy"]:
        state["best_accuracy"] = accuracy
        state["best"] = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
    state["history"] = [asdict(row) for row in history]


def _resume(
    network: Network,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    path: Path,
    team: Team,
) -> dict[str, Any] | None:
    """The state of an interrupted training, on all processes; None where there is none."""
    saved = None
    if team.is_first:
        remove_leftovers(path)
        saved = read_checkpoint(path) if path.exists() else None
    saved = team.from_first(saved)
    return None if saved is None else restore(saved, network, optimiser, config, path)


def _nothing(*args: Any) -> None:
    pass
