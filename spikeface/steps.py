"""The steps from data to a report: plain functions, one a command, usable from a notebook.

Each step reads what the step before left in the run folder and adds its section to
``report.json``. Numbers there carry a tag: ``simulated`` (computed on this host), ``estimated``
(counts times a published constant) or ``measured`` (on a chip; nothing here is).

>>> run = RunFolder.create(Path("runs/a"), to_toml(config))
>>> train(run, config, Path("faces.h5")); quantise(run); run_test_set(run)
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hardware.analysis.energy import LIMITS, constants, estimate
from hardware.analysis.metrics import input_spikes, layer_activity
from hardware.analysis.parity import Divergence, first_divergence
from hardware.backends.backend import Backend, ChipRun, every
from hardware.backends.lava import LavaBackend
from hardware.backends.simulator import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network, save_network
from hardware.compiler.nir import read_nir
from hardware.compiler.quantise import quantise as quantise_network
from snn.baselines import event_count_baseline, ridge_baseline
from snn.events.datasets import ClipTable, EventSet, load_event_set, n_clips, write_face_set
from snn.events.formats import read_recording
from snn.events.frames import binary_frames
from snn.events.recording import Recording
from spikeface.config import Config, load_config
from spikeface.errors import RunFolderError
from spikeface.progress import progress_bar
from spikeface.runs import RunFolder

BASELINE_BINS = 4
SAMPLES_KEPT = 3  # clips whose spikes are kept for pictures


def simulated(value: float, **context: Any) -> dict[str, Any]:
    """A number computed on this host."""
    return {"value": value, "tag": "simulated", **context}


def render_faces(path: Path, config: Config, *, workers: int = 2) -> EventSet:
    """Render the face set of a configuration into a new file."""
    with progress_bar(n_clips(config.faces), "rendering faces", "clip") as advance:
        write_face_set(path, config.faces, workers=workers, progress=advance)
    return load_event_set(path)


def train(run: RunFolder, config: Config, data: Path) -> None:
    """Train on a set, select on its validation subjects, test once, write ``network.nir``."""
    import torch

    from snn.export import write_nir
    from snn.models import build
    from snn.training import Split, evaluate
    from snn.training import train as train_network

    events = load_event_set(data)
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
        run.write_metrics([vars(metrics) for metrics in history])
        tested = evaluate(network, splits["test"])
        write_nir(
            network,
            run.nir,
            input_shape=input_shape,
            dt_us=events.duration_us // config.frames.n_bins,
            metadata={"classes": list(events.classes), "n_steps": config.frames.n_bins},
        )
    best = max(history, key=lambda m: m.validation_accuracy)
    run.update_report(
        name=run.path.name,
        data=_describe_data(events, data),
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
        float_predictions=tested.predictions.tolist(),
    )


def quantise(run: RunFolder) -> None:
    """Turn ``network.nir`` into ``network.chip`` and report what that changed."""
    with run.step("quantise"):
        floats = read_nir(run.need(run.nir, "train"))
        chip, losses = quantise_network(floats)
        save_network(chip, run.chip)
    run.update_report(
        quantisation={
            "layers": [loss.as_dict() for loss in losses],
            "assumptions": list(floats.assumptions),
        }
    )


def run_test_set(run: RunFolder, *, backends: Sequence[str] = ("simulator", "lava")) -> None:
    """Run the test clips: all on the simulator, a few on Lava, and compare these spike by spike."""
    config = load_config(run.config)
    network = load_network(run.need(run.chip, "quantise"))
    report = run.read_report()
    clips = _test_clips(report, network)
    frames = clips.binary_frames(config.frames.n_bins)
    if "simulator" in backends:
        with run.step("simulator"):
            _run_simulator(run, network, frames, clips)
    if "lava" in backends:
        with run.step("lava"):
            _run_lava(run, network, frames, clips.labels, config)


def run_recording(
    run: RunFolder,
    path: Path,
    *,
    backends: Sequence[str] = ("simulator", "lava"),
    sensor_size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Take a recording through the network, in windows as long as a training clip.

    The last window may be shorter than the others. Returns the section that is added to the
    report; it says nothing about expressions, only what the network did.
    """
    network = load_network(run.need(run.chip, "quantise"))
    config = load_config(run.config)
    recording = read_recording(path, sensor_size=sensor_size)
    frames = _windows(recording, network)
    entry: dict[str, Any] = {
        "file": path.name,
        "events": len(recording),
        "duration_us": recording.duration_us,
        "sensor_size": list(recording.sensor_size),
        "windows": len(frames),
        "window_us": _window_us(network),
        "input_pixels_active": simulated(float(frames.mean())),
        "backends": {},
    }
    runs = []
    for name in backends:
        backend = _backend(name, config)
        with progress_bar(len(frames), f"{path.name} on {name}", "window") as advance:
            result = backend.run(network, frames, probes=every(network, "spikes"), progress=advance)
        runs.append(result)
        entry["backends"][name] = _activity_section(network, result, frames.shape[1]) | {
            "output_spikes": result.output.tolist(),
            "host_seconds": result.wall_s,
        }
    if len(runs) == 2:
        entry["parity"] = _parity_section(first_divergence(network, *runs), len(frames))
    others = [r for r in run.read_report().get("recordings", []) if r["file"] != path.name]
    run.update_report(recordings=[*others, entry])
    return entry


def _run_simulator(
    run: RunFolder, network: ChipNetwork, frames: np.ndarray, clips: ClipTable
) -> None:
    with progress_bar(len(frames), "integer simulator", "clip") as advance:
        result = Simulator().run(network, frames, progress=advance)
    kept = Simulator().run(network, frames[:SAMPLES_KEPT], probes=every(network, "spikes"))
    run.write_samples(
        input=np.packbits(frames[:SAMPLES_KEPT], axis=-1),
        labels=clips.labels[:SAMPLES_KEPT],
        **{name: np.packbits(trace, axis=-1) for (name, _), trace in kept.traces.items()},
    )
    report = run.read_report()
    accuracy = report["accuracy"]
    right = result.prediction == clips.labels
    accuracy["integer"] = simulated(float(right.mean()), n=len(frames))
    accuracy["integer_minus_float_points"] = simulated(
        100 * (accuracy["integer"]["value"] - accuracy["float"]["value"])
    )
    same = result.prediction == np.array(report["float_predictions"])
    accuracy["same_prediction_as_float"] = simulated(float(same.mean()))
    n_classes = len(report["data"]["classes"])
    confusion = np.zeros((n_classes, n_classes), int)
    np.add.at(confusion, (clips.labels, result.prediction), 1)
    activity = layer_activity(network, result, frames.shape[1])
    duration_s = clips.duration_us * 1e-6
    run.update_report(
        accuracy=accuracy,
        confusion={"tag": "simulated", "rows_are_true_classes": confusion.tolist()},
        spikes=_activity_section(network, result, frames.shape[1]),
        energy={
            "tag": "estimated",
            "per": f"clip of {duration_s:g} s",
            "rows": [
                row.as_dict()
                for row in estimate(activity, n_steps=frames.shape[1], duration_s=duration_s)
            ],
            "constants": [vars(constant) for constant in constants()],
            "limits": list(LIMITS),
        },
        simulator={"host_seconds": result.wall_s, "versions": dict(result.versions)},
    )


def _run_lava(
    run: RunFolder, network: ChipNetwork, frames: np.ndarray, labels: np.ndarray, config: Config
) -> None:
    # Spread over the set, so that every class and many subjects are among the few.
    chosen = np.linspace(0, len(frames) - 1, min(config.lava.samples, len(frames))).astype(int)
    probes = every(network, "spikes")
    expected = Simulator().run(network, frames[chosen], probes=probes)
    with progress_bar(len(chosen), "Lava, fixed point", "clip") as advance:
        found = _backend("lava", config).run(
            network, frames[chosen], probes=probes, progress=advance
        )
    divergence = first_divergence(network, expected, found)
    accuracy = run.read_report()["accuracy"]
    right = found.prediction == labels[chosen]
    accuracy["lava"] = simulated(float(right.mean()), n=len(chosen))
    accuracy["integer_on_lava_samples"] = simulated(
        float((expected.prediction == labels[chosen]).mean()), n=len(chosen)
    )
    run.update_report(
        accuracy=accuracy,
        parity=_parity_section(divergence, len(chosen))
        | {
            "spikes_compared": int(sum(expected.traces[probe].size for probe in probes)),
            "processes": "lava.proc: Conv, Dense, LIFReset (fixed_pt)",
        },
        lava={
            "samples": chosen.tolist(),
            "host_seconds": found.wall_s,
            "versions": dict(found.versions),
        },
    )


def _activity_section(network: ChipNetwork, result: ChipRun, n_steps: int) -> dict[str, Any]:
    activity = layer_activity(network, result, n_steps)
    return {
        "tag": "simulated",
        "per": "sample",
        "input_spikes": input_spikes(result),
        "spikes": sum(layer.spikes for layer in activity),
        "synaptic_operations": sum(layer.synops for layer in activity),
        "dense_operations": sum(layer.dense for layer in activity),
        "layers": [layer.as_dict() for layer in activity],
    }


def _parity_section(divergence: Divergence | None, n_samples: int) -> dict[str, Any]:
    return {
        "tag": "simulated",
        "samples": n_samples,
        "equal": divergence is None,
        "statement": f"every spike of every layer equal on {n_samples} samples"
        if divergence is None
        else str(divergence),
        "first_divergence": None if divergence is None else vars(divergence),
    }


def _backend(name: str, config: Config) -> Backend:
    return Simulator() if name == "simulator" else LavaBackend(timeout_s=config.lava.timeout_s)


def _windows(recording: Recording, network: ChipNetwork) -> np.ndarray:
    """Binary frames of all windows of a recording, uint8 ``[N, T, C, H, W]``."""
    window_us = _window_us(network)
    _, height, width = network.input_shape
    first = int(recording.events["t"][0])
    starts = range(first, first + recording.duration_us + 1, window_us)
    return np.stack(
        [
            binary_frames(
                recording,
                n_bins=network.metadata["n_steps"],
                window_us=window_us,
                size=(width, height),
                start_us=start,
            )
            for start in starts
        ]
    )


def _window_us(network: ChipNetwork) -> int:
    return network.metadata["dt_us"] * network.metadata["n_steps"]


def _describe_data(events: EventSet, path: Path) -> dict[str, Any]:
    return {
        "file": str(path.resolve()),
        "sha256": _sha256(path),
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
            )
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
            bins=BASELINE_BINS,
        ),
    }


def _test_clips(report: dict[str, Any], network: ChipNetwork) -> ClipTable:
    """The test clips of the set this run was trained on, when it is still that set."""
    path = Path(report["data"]["file"])
    events = load_event_set(path)
    if _sha256(path) != report["data"]["sha256"]:
        raise RunFolderError(f"{path}: is not the set that this run was trained on (it changed)")
    width, height = events.sensor_size
    if (2, height, width) != network.input_shape:
        raise RunFolderError(
            f"{path}: {width}×{height} sensor; the network takes {network.input_shape}"
        )
    return events.splits["test"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
