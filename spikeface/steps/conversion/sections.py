"""What a report says of a conversion: every form beside the float network, layers, counts.

>>> judge = Judge(source, windows, float_features, None, None)
>>> judge.row("spiking_integer", 8, features, None)["cosine"]["value"]
0.98
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conversion.images import WindowImages
from conversion.similarity import cosine, layer_agreement, linear_cka, linear_probe
from conversion.spiking import SpikingEncoder
from hardware.analysis.energy import (
    FP32_MAC,
    INT8_MAC,
    arithmetic_row,
    crossover,
    price,
    spike_rows,
)
from hardware.analysis.metrics import layer_activity, observe
from hardware.analysis.parity import differing_share
from hardware.backends.backend import ChipRun, every
from hardware.backends.simulator.backend import Simulator
from hardware.compiler.floats.run import run_floats
from spikeface.config import ConversionRunConfig
from spikeface.steps.conversion.chip import OnChip, samples_for
from spikeface.steps.conversion.source import Answers, Source, host_multiplications
from spikeface.steps.prices import Prices
from spikeface.steps.sections import (
    activity_section,
    energy_table,
    metrics_section,
    simulated,
)

WATCHED = 8  # images, or those of their recordings, that are watched step by step


@dataclass(frozen=True)
class Judge:
    """Compares features with those of the float network.

    Parameters
    ----------
    source : Source
    test : WindowImages
    expected : Tensor of shape (n_windows, F)
        The float encoder's features of the test images.
    probed : WindowImages, optional
        Training images that linear probes learn from.
    probed_expected : Tensor of shape (n_probed, F), optional
        The float encoder's features of these.
    """

    source: Source
    test: WindowImages
    expected: torch.Tensor
    probed: WindowImages | None
    probed_expected: torch.Tensor | None

    def features(
        self, encode: Callable[[WindowImages], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features of the test images and of those that probes learn from."""
        return encode(self.test), None if self.probed is None else encode(self.probed)

    def row(
        self, form: str, steps: int | None, features: torch.Tensor, probed: torch.Tensor | None
    ) -> dict[str, Any]:
        """One line of the comparison."""
        found, expected = self._answers(features), self._answers(self.expected)
        row = {
            "form": form,
            "steps": steps,
            "per_clip": simulated(found.per_clip, n=len(found.clips)),
            "per_recording": simulated(found.per_recording, n=len(found.labels)),
            "same_answers": simulated(float((found.clips == expected.clips).double().mean())),
            "cosine": simulated(float(cosine(features, self.expected).mean())),
            "cka": known(linear_cka(features, self.expected)),
            "probe": None,
        }
        if probed is not None and self.probed is not None:
            labels = [torch.from_numpy(w.labels[w.recordings]) for w in (self.probed, self.test)]
            row["probe"] = simulated(linear_probe(probed, labels[0], features, labels[1]))
        return row

    def _answers(self, features: torch.Tensor) -> Answers:
        return self.source.answers(self.test, features)


def known(value: float) -> dict[str, Any] | None:
    """A number of the report, None where it is not defined."""
    return simulated(value) if math.isfinite(value) else None


def data_section(source: Source, test: WindowImages) -> dict[str, Any]:
    """The section ``data`` of the classifier, and which of its test recordings were used."""
    found = dict(source.report["data"])
    total = source.data.parts["test"].n_recordings
    found["tested_recordings"] = {"used": test.n_recordings, "of": total}
    return found


def accuracy_section(source: Source, test: WindowImages, row: dict[str, Any]) -> dict[str, Any]:
    """Protocol, chance and the float network on the same recordings."""
    known_before = source.report["accuracy"]
    section = {key: known_before[key] for key in ("protocol", "selection", "chance")}
    if test.n_recordings == source.data.parts["test"].n_recordings:
        trivial = ("majority", "baseline_event_count", "baseline_ridge")
        section |= {key: known_before[key] for key in trivial if key in known_before}
    return section | {"float": row[f"per_{section['selection']}"]}


def conversion_section(
    config: ConversionRunConfig, source: Source, chip: OnChip, *, covered: float, delta: float
) -> dict[str, Any]:
    """What was converted, how, and what it became.

    Parameters
    ----------
    config : ConversionRunConfig
    source : Source
    chip : OnChip
    covered : float
        Share of the activations that thresholds are not below.
    delta : float
        The smallest change that a sigma-delta network sends.
    """
    chosen, report = config.conversion, chip.spiking.report
    test = source.data.parts["test"]
    return {
        "tag": "simulated",
        "source": {"run": str(Path(chosen.run).resolve()), "sha256": source.digest},
        "code": chosen.code,
        "levels": chosen.levels,
        "steps": list(chosen.tested_steps),
        "reset": chosen.reset if chosen.code == "rate" else None,
        "activation": chosen.form,
        "per_channel": chosen.per_channel,
        "covered": covered,
        "delta": delta if chosen.code == "sigma_delta" else None,
        "calibration_images": chosen.calibration_images,
        "distilled_epochs": config.distil.epochs if chosen.distil else 0,
        "needs": report.needs,
        "changes": [vars(change) for change in report.changes],
        "layers": [vars(layer) for layer in report.layers],
        "neurons": report.neurons,
        "parameters": report.parameters,
        "encoder_parameters": sum(p.numel() for p in source.network.encoder.parameters()),
        "host_parameters": sum(p.numel() for p in source.network.parameters())
        - sum(p.numel() for p in source.network.encoder.parameters()),
        "encoder_macs_per_image": report.multiplications,
        "host_macs_per_clip": host_multiplications(source.network),
        "window": source.config.transfer.window,
        "images_per_recording": len(test) / test.n_recordings,
    }


def agreement_section(spiking: SpikingEncoder, images: torch.Tensor) -> dict[str, Any]:
    """How well every layer's messages stand for the artificial activations, step by step."""
    layers = layer_agreement(spiking, images)
    return {
        "tag": "simulated",
        "images": len(images),
        "layers": [
            {
                "layer": layer.name,
                "correlation": [c if math.isfinite(c) else None for c in layer.correlation],
                "error": list(layer.error),
            }
            for layer in layers
        ],
    }


def differing_messages(chip: OnChip, images: torch.Tensor) -> dict[str, Any] | None:
    """Share of messages that the integers send otherwise than the floats, by layer.

    None for changes of activations, which floats send in other units.
    """
    if chip.streams:
        return None
    messages = chip.messages(images, chip.spiking.steps)
    probes = every(chip.network, "spikes")
    floats = run_floats(chip.floats, messages, probes=probes)
    integers = Simulator().run(chip.network, messages, probes=probes)
    shares = differing_share(chip.network, floats, integers)
    return {
        "tag": "simulated",
        "images": len(images),
        "layers": [{"layer": k, "share": float(share.mean())} for k, share in shares.items()],
    }


def activity_sections(
    chip: OnChip, source: Source, test: WindowImages, result: ChipRun, steps: int
) -> dict[str, dict[str, Any]]:
    """Messages, operations and energy: of an image, of a recording for a stream.

    The 8-bit artificial network of the energy table computes every image of the sample in full.
    """
    n_samples = len(result.output)
    images = len(test) / n_samples
    n_steps = round(images) if chip.streams else steps
    spikes = activity_section(chip.network, result, n_steps)
    spikes |= {"per": "recording" if chip.streams else "image", "images": images}
    activity = layer_activity(chip.network, result, n_steps)
    seconds = source.report["data"]["window_ms"] * source.report["data"]["stride"] * 1e-3 * images
    prices = Prices()
    priced = [
        price(profile, activity, n_steps=n_steps, duration_s=seconds) for profile in prices.profiles
    ]
    dynamic_nj = [row.dynamic_nj / images for row in priced]
    macs = chip.spiking.report.multiplications * images
    artificial = [
        arithmetic_row(f"{bits} artificial network, every image in full", macs, constant)
        for bits, constant in (("INT8", INT8_MAC), ("FP32", FP32_MAC))
    ]
    balance = crossover(activity, n_steps, passes=images, per="image")
    seen = observe(chip.network, samples_for(chip, test, WATCHED, steps))
    added = sum(layer.effective_acs for layer in activity)
    multiplied = sum(layer.effective_macs for layer in activity)
    per_image = {
        "messages_per_image": spikes["spikes"] / images,
        "input_messages_per_image": spikes["input_spikes"] / images,
        "acs_per_image": added / images,
        "graded_acs_per_image": multiplied / images,
        "dynamic_nj_per_image_low": min(dynamic_nj),
        "dynamic_nj_per_image_high": max(dynamic_nj),
    }
    return {
        "spikes": spikes | {"effective_acs": added, "effective_macs": multiplied},
        "metrics": metrics_section(chip.network, seen) | {"per": spikes["per"]},
        "energy": energy_table([*priced, *artificial, *spike_rows(activity)], balance, prices)
        | {"per": spikes["per"]},
        "simulator": {
            "host_seconds": result.wall_s,
            "images": len(test),
            "versions": dict(result.versions),
        },
        "row": {key: float(np.float64(value)) for key, value in per_image.items()},
    }
