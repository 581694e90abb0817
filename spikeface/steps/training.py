"""Clips to a trained network, its float accuracy, and the baselines it stands beside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from snn.errors import TrainingError
from snn.events.datasets import EventSet
from snn.export import write_nir
from snn.models import Network, SpikingNetwork, build
from snn.training import EpochMetrics, Evaluation, TrainingConfig, best_epoch, evaluate
from snn.training import train as train_network
from spikeface.config import Config
from spikeface.progress import Advance, progress_bar
from spikeface.runs import RunFolder
from spikeface.steps.fitting import warn_if_unfit
from spikeface.steps.sections import simulated
from spikeface.steps.sources import TrainingData, open_training_data


def train(
    run: RunFolder | None, config: Config, source: EventSet | TrainingData | None = None
) -> None:
    """Train, select on validation clips, test once, write ``network.nir`` and the report.

    Parameters
    ----------
    run : RunFolder or None
        None in all processes of a team but the first, which writes for all.
    config : Config
        Its ``[data]`` says what to train on.
    source : EventSet or TrainingData, optional
        Rendered faces in place of those of ``[data]``, or clips that are open already.
    """
    data = source if isinstance(source, TrainingData) else open_training_data(config, source)
    torch.manual_seed(config.training.seed)
    network = build(
        config.model,
        input_shape=data.input_shape,
        n_classes=len(data.classes),
        n_steps=config.frames.n_bins,
    )
    if run is None:
        _train(network, data, config, Path(os.devnull))
        evaluate(network, data.clips["test"])
        return
    if isinstance(network, SpikingNetwork):
        warn_if_unfit(network.layers, data.input_shape)
    started = time.perf_counter()
    with run.step("train"):
        n_clips = len(data.clips["train"])
        with following(run, config.training, n_clips) as (on_epoch, advance):
            history = _train(
                network, data, config, run.checkpoint, on_epoch=on_epoch, on_batch=advance
            )
        tested = evaluate(network, data.clips["test"])
        if isinstance(network, SpikingNetwork):
            write_nir(
                network,
                run.nir,
                input_shape=data.input_shape,
                dt_us=data.dt_us,
                metadata={"classes": list(data.classes), "n_steps": config.frames.n_bins},
            )
        seconds = time.perf_counter() - started
        run.update_report(
            name=run.path.name,
            data=data.description,
            training=_training_section(network, config, history, tested, seconds),
            accuracy=_accuracy_section(data, tested),
            predictions={
                "tag": "simulated",
                "labels": tested.labels.tolist(),
                "float": tested.predictions.tolist(),
            },
            confusion_float={
                "tag": "simulated",
                "rows_are_true_classes": tested.confusion.tolist(),
            },
        )


def _train(
    network: Network, data: TrainingData, config: Config, checkpoint: Path, **callbacks: Any
) -> list[EpochMetrics]:
    return train_network(
        network,
        data.clips["train"],
        data.clips["validation"],
        config.training,
        checkpoint=checkpoint,
        **callbacks,
    )


@contextmanager
def following(
    run: RunFolder, config: TrainingConfig, n_clips: int
) -> Iterator[tuple[Any, Advance]]:
    """A progress bar, and a function that writes each epoch's metrics as soon as it ended."""
    rows: list[dict[str, Any]] = []
    board = _board(run) if config.tensorboard else None
    with progress_bar(config.epochs * n_clips, "training", "clip") as advance:

        def on_epoch(metrics: EpochMetrics) -> None:
            rows.append(metrics.row())
            run.write_metrics(rows)
            if board:
                _write_to_board(board, metrics)
            advance.note(
                f"epoch {metrics.epoch + 1}: validation {metrics.accuracy(config.selection):.1%}"
                f"{_firing(metrics)}"
            )

        try:
            yield on_epoch, advance
        finally:
            if board:
                board.close()


def _firing(metrics: EpochMetrics) -> str:
    """How much a spiking network fires; nothing of one without spikes."""
    if not metrics.rates:
        return ""
    dead = f", {len(metrics.dead_layers)} silent" if metrics.dead_layers else ""
    return f", rate {metrics.mean_rate:.3f}{dead}"


def _board(run: RunFolder) -> Any:
    """A writer for TensorBoard; what an interrupted run wrote is shown once."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            f"training.tensorboard = true needs the package tensorboard ({error}); "
            "install it, or read metrics.csv"
        ) from error
    return SummaryWriter(str(run.path / "tensorboard"), purge_step=0)


def _write_to_board(board: Any, metrics: EpochMetrics) -> None:
    for name, value in metrics.row().items():
        if isinstance(value, int | float) and name != "epoch":
            board.add_scalar(name.replace(".", "/"), value, metrics.epoch)
    board.flush()


def _training_section(
    network: Network,
    config: Config,
    history: list[EpochMetrics],
    tested: Evaluation,
    seconds: float,
) -> dict[str, Any]:
    best = best_epoch(history, config.training.selection)
    fan_out = network.fan_out
    return {
        "family": config.model.family,
        "spiking": isinstance(network, SpikingNetwork),
        "engine": config.model.engine,
        "seed": config.training.seed,
        "epochs": len(history),
        "best_epoch": best.epoch + 1,
        "best_validation_accuracy": simulated(best.validation_accuracy),
        "parameters": sum(p.numel() for p in network.parameters()),
        "host_seconds": seconds,
        "firing_rates": tested.rates,
        "dead_layers": [name for name, count in tested.spikes.items() if not count],
        "spikes_per_clip": simulated(sum(tested.spikes.values())),
        "synaptic_operations_of_spikes": simulated(
            sum(count * fan_out.get(name, 0.0) for name, count in tested.spikes.items())
        ),
    }


def _accuracy_section(data: TrainingData, tested: Evaluation) -> dict[str, Any]:
    n_test = len(tested.labels)
    return {
        "protocol": data.protocol,
        "chance": 1 / len(data.classes),
        "majority": simulated(data.majority_share, n=n_test),
        "float": simulated(tested.accuracy, n=n_test),
        "float_per_class": {
            "tag": "simulated",
            **dict(zip(data.classes, tested.per_class_accuracy, strict=True)),
        },
        **data.baselines,
    }
