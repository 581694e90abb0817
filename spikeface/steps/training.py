"""Event faces to a trained network, its float accuracy, and the baselines it stands beside."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from snn.baselines import event_count_baseline, ridge_baseline
from snn.events.datasets import EventSet, file_digest
from snn.export import write_nir
from snn.models import build
from snn.training import Split, evaluate
from snn.training import train as train_network
from spikeface.config import Config
from spikeface.progress import progress_bar
from spikeface.runs import RunFolder
from spikeface.steps.sections import simulated

BASELINE_BINS = 4


def train(run: RunFolder, config: Config, events: EventSet) -> None:
    """Train on a set, select on its validation subjects, test once, write ``network.nir``."""
    splits = {
        name: Split(
            torch.from_numpy(clips.binary_frames(config.frames.n_bins)),
            torch.from_numpy(clips.labels),
        )
        for name, clips in events.splits.items()
    }
    torch.manual_seed(config.training.seed)
    input_shape = tuple(splits["train"].frames.shape[2:])
    network = build(config.model, input_shape=input_shape, n_classes=len(events.classes))
    started = time.perf_counter()
    with (
        run.step("train"),
        progress_bar(config.training.epochs * len(splits["train"].frames), "training", "clip") as (
            advance
        ),
    ):
        history = train_network(
            network,
            splits["train"],
            splits["validation"],
            config.training,
            checkpoint=run.checkpoint,
            on_epoch=lambda metrics: advance.note(
                f"epoch {metrics.epoch + 1}: validation {metrics.validation_accuracy:.1%}, "
                f"rate {metrics.mean_rate:.3f}"
            ),
            on_batch=advance,
        )
        run.write_metrics(
            [vars(metrics) | {"on_grid": int(metrics.on_grid)} for metrics in history]
        )
        tested = evaluate(network, splits["test"])
        write_nir(
            network,
            run.nir,
            input_shape=input_shape,
            dt_us=events.duration_us // config.frames.n_bins,
            metadata={"classes": list(events.classes), "n_steps": config.frames.n_bins},
        )
    candidates = [m for m in history if m.on_grid] or history
    best = max(candidates, key=lambda m: m.validation_accuracy)
    run.update_report(
        name=run.path.name,
        data=_describe_data(events),
        training={
            "engine": config.model.engine,
            "seed": config.training.seed,
            "epochs": len(history),
            "best_epoch": best.epoch + 1,
            "best_validation_accuracy": simulated(best.validation_accuracy),
            "parameters": sum(p.numel() for p in network.parameters()),
            "host_seconds": time.perf_counter() - started,
            "firing_rates": tested.rates,
        },
        accuracy={
            "protocol": "strict: test subjects never seen, epoch selected on validation subjects, "
            "test set used once",
            "chance": 1 / len(events.classes),
            "float": simulated(tested.accuracy, n=len(splits["test"].labels)),
            **_baselines(events),
        },
        predictions={
            "tag": "simulated",
            "labels": splits["test"].labels.tolist(),
            "float": tested.predictions.tolist(),
        },
    )


def _describe_data(events: EventSet) -> dict[str, Any]:
    return {
        "file": str(events.source.resolve()),
        "sha256": file_digest(events.source),
        "classes": list(events.classes),
        "sensor_size": list(events.sensor_size),
        "duration_us": events.duration_us,
        "splits": {
            name: {
                "clips": len(clips),
                "subjects": len(np.unique(clips.subjects)),
                "events_per_clip": float(clips.event_counts.mean()),
            }
            for name, clips in events.splits.items()
        },
        "rendered_with": events.parameters,
    }


def _baselines(events: EventSet) -> dict[str, Any]:
    """Test accuracy of the two trivial classifiers."""
    training, validation, test = (events.splits[n] for n in ("train", "validation", "test"))
    maps = {s: c.count_maps(BASELINE_BINS).reshape(len(c), -1) for s, c in events.splits.items()}
    return {
        "baseline_event_count": simulated(
            event_count_baseline(
                training.event_counts, training.labels, test.event_counts, test.labels
            ),
            n=len(test),
        ),
        "baseline_ridge": simulated(
            ridge_baseline(
                maps["train"],
                training.labels,
                maps["validation"],
                validation.labels,
                maps["test"],
                test.labels,
            ),
            n=len(test),
            bins=BASELINE_BINS,
        ),
    }
