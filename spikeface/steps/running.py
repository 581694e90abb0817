"""The integers on the backends: the test set, or one recording, compared spike by spike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hardware.analysis.metrics import observe
from hardware.analysis.parity import first_divergence
from hardware.backends.backend import Backend, ChipRun, every, spoken
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network
from snn.events.datasets import file_digest
from snn.events.formats import read_recording
from spikeface.config import Config, load_config
from spikeface.errors import RunFolderError
from spikeface.networks.inputs import windows
from spikeface.progress import progress_bar
from spikeface.runs import MEMBRANE, RunFolder
from spikeface.steps.prices import Prices
from spikeface.steps.sections import (
    activity_section,
    energy_section,
    metrics_section,
    parity_section,
    simulated,
)
from spikeface.steps.sources import open_test_clips

SAMPLES_KEPT = 3  # clips whose spikes are kept for pictures


def run_test_set(
    run: RunFolder,
    *,
    backends: Sequence[str] = ("simulator", "lava"),
    prices: Prices | None = None,
) -> None:
    """Run the test clips: all on the simulator, a few on Lava, and compare these spike by spike.

    `prices` are those of the energy that is estimated from the simulator's counts.
    """
    config = load_config(run.config)
    network = load_network(run.need(run.chip, "quantise"))
    report = run.read_report()
    frames, labels = test_clips(report, config, network)
    if "simulator" in backends:
        with run.step("simulator"):
            _run_simulator(run, network, frames, labels, prices)
    if "lava" in backends:
        with run.step("lava"):
            _run_lava(run, network, frames, labels, config)


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
    config = load_config(run.config)
    network = load_network(run.need(run.chip, "quantise"))
    recording = read_recording(path, sensor_size=sensor_size)
    step = {key: network.metadata[key] for key in ("n_steps", "dt_us")}
    frames = windows(recording, network, **step)
    entry: dict[str, Any] = {
        "file": path.name,
        "events": len(recording),
        "duration_us": recording.duration_us,
        "sensor_size": list(recording.sensor_size),
        "windows": len(frames),
        "window_us": step["n_steps"] * step["dt_us"],
        "input_pixels_active": simulated(float(frames.mean())),
        "backends": {},
    }
    runs = []
    for name in backends:
        backend = _backend(name, config)
        with progress_bar(len(frames), f"{path.name} on {name}", "window") as advance:
            result = backend.run(network, frames, probes=spoken(network), progress=advance)
        runs.append(result)
        entry["backends"][name] = activity_section(network, result, frames.shape[1]) | {
            "output_spikes": result.output.tolist(),
            "host_seconds": result.wall_s,
        }
    if len(runs) == 2:
        entry["parity"] = parity_section(network, first_divergence(network, *runs), len(frames))
    others = [r for r in run.read_report().get("recordings", []) if r["file"] != path.name]
    run.update_report(recordings=[*others, entry])
    return entry


def _run_simulator(
    run: RunFolder,
    network: ChipNetwork,
    frames: np.ndarray,
    labels: np.ndarray,
    prices: Prices | None,
) -> None:
    with progress_bar(len(frames), "integer simulator", "clip") as advance:
        result = Simulator().run(network, frames, progress=advance)
    with progress_bar(len(frames), "step by step", "clip") as advance:
        seen = observe(network, frames, progress=advance)
    _keep_samples(run, network, frames, labels)
    _record_predictions(run, result, labels)
    run.update_report(
        spikes=activity_section(network, result, frames.shape[1]),
        metrics=metrics_section(network, seen),
        energy=energy_section(
            network,
            result,
            n_steps=frames.shape[1],
            duration_s=frames.shape[1] * network.metadata["dt_us"] * 1e-6,
            prices=prices,
        ),
        simulator={"host_seconds": result.wall_s, "versions": dict(result.versions)},
    )


def _record_predictions(run: RunFolder, result: ChipRun, labels: np.ndarray) -> None:
    """Accuracy of the integers, its distance from the floats, and the confusion matrix."""
    report = run.read_report()
    predictions = report["predictions"] | {"integer": result.prediction.tolist()}
    right = result.prediction == labels
    same = result.prediction == np.array(predictions["float"])
    in_float = report["accuracy"]["float"]["value"]
    n_classes = len(report["data"]["classes"])
    confusion = np.zeros((n_classes, n_classes), int)
    np.add.at(confusion, (labels, result.prediction), 1)
    run.update_report(
        accuracy=report["accuracy"]
        | {
            "integer": simulated(float(right.mean()), n=len(labels)),
            "integer_minus_float_points": simulated(100 * (float(right.mean()) - in_float)),
            "same_prediction_as_float": simulated(float(same.mean())),
        },
        predictions=predictions,
        confusion={"tag": "simulated", "rows_are_true_classes": confusion.tolist()},
    )


def _keep_samples(
    run: RunFolder, network: ChipNetwork, frames: np.ndarray, labels: np.ndarray
) -> None:
    """Keep the spikes of a few clips, packed to bits, and the membrane that is their answer."""
    chosen = spread(len(frames), SAMPLES_KEPT)
    result = Simulator().run(network, frames[chosen], probes=spoken(network))
    kept = {
        name: np.packbits(result.traces[name, "spikes"], axis=-1)
        for name, _ in every(network, "spikes")
    }
    if network.readout == "membrane":
        kept[MEMBRANE] = result.traces[network.output.name, "v"]
    run.write_samples(input=np.packbits(frames[chosen], axis=-1), labels=labels[chosen], **kept)


def _run_lava(
    run: RunFolder, network: ChipNetwork, frames: np.ndarray, labels: np.ndarray, config: Config
) -> None:
    chosen = spread(len(frames), config.lava.samples)
    probes = spoken(network)
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
        parity=parity_section(network, divergence, len(chosen))
        | {
            "values_compared": int(sum(expected.traces[probe].size for probe in probes)),
            "processes": list(found.processes),
        },
        lava={
            "samples": chosen.tolist(),
            "host_seconds": found.wall_s,
            "versions": dict(found.versions),
        },
    )


def spread(n: int, count: int) -> np.ndarray:
    """Indices of a few clips from the first to the last: different classes and subjects."""
    return np.linspace(0, n - 1, min(count, n)).astype(int)


def _backend(name: str, config: Config) -> Backend:
    return Simulator() if name == "simulator" else LavaBackend(timeout_s=config.lava.timeout_s)


def test_clips(
    report: dict[str, Any], config: Config, network: ChipNetwork
) -> tuple[np.ndarray, np.ndarray]:
    """Frames and labels of the clips this run was tested on, when they are still those."""
    if "data" not in report:
        raise RunFolderError("report.json does not say what was trained on; train again")
    path = Path(report["data"]["file"])
    digest = report["data"].get("sha256")
    if digest and not (path.is_file() and file_digest(path) == digest):
        raise RunFolderError(
            f"{path}: is not the set that this run was trained on (it changed or is gone)"
        )
    data = replace(config.data, root=str(path))
    clips = open_test_clips(replace(config, data=data))
    frames = clips.batch(range(len(clips))).numpy()
    if frames.shape[2:] != network.input_shape:
        raise RunFolderError(
            f"{path}: frames of shape {frames.shape[2:]}; the network takes {network.input_shape}"
        )
    if clips.labels.tolist() != report["predictions"]["labels"]:
        raise RunFolderError(
            f"{path}: its test clips are not those that this run was tested on (they changed)"
        )
    return frames, clips.labels.numpy()
