"""The converted encoder in integers: quantised, run on the simulator and on Lava, read as features.

A still image is shown anew in every step of a rate code and once to the graded one. The windows of
a recording are one stream for a sigma-delta network: a window a step.

>>> chip = on_chip(spiking, run.nir, calibration)
>>> features, result = simulate(chip, windows, steps=8)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from conversion.images import WindowImages
from conversion.spiking import SpikingEncoder
from hardware.backends.backend import Backend, ChipRun, spoken
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.compiler.floats.network import FloatNetwork
from hardware.compiler.nir.reader import read_nir
from hardware.compiler.quantise.quantiser import LayerLoss, quantise
from spikeface.progress import progress_bar
from spikeface.steps.conversion.forms import batches
from spikeface.steps.conversion.source import stacked

SIMULATED_TOGETHER = 32  # images; a multiple of what the simulator takes in one chunk


@dataclass(frozen=True)
class OnChip:
    """A converted encoder and its integers.

    Parameters
    ----------
    spiking : SpikingEncoder
    floats : FloatNetwork
        As read back from its file.
    network : ChipNetwork
    losses : tuple of LayerLoss
    """

    spiking: SpikingEncoder
    floats: FloatNetwork
    network: ChipNetwork
    losses: tuple[LayerLoss, ...]

    @property
    def streams(self) -> bool:
        """Whether windows follow each other, a step each."""
        return self.spiking.code == "sigma_delta"

    def messages(self, images: torch.Tensor, steps: int) -> np.ndarray:
        """What the input sends, int16 ``[N, T, 3, S, S]``."""
        sent = self.spiking.messages(images).transpose(0, 1)
        return (sent if self.streams else sent[:, :steps]).numpy().astype(np.int16)

    def features(self, messages: np.ndarray) -> torch.Tensor:
        """Features after each step, float64 ``[N, T, F]``, of the last population's messages."""
        sums = torch.from_numpy(messages.astype(np.int64)).flatten(2).double()
        if self.spiking.code != "graded":
            sums = sums.cumsum(1)
        if self.spiking.code == "rate":
            sums = sums / torch.arange(1, sums.shape[1] + 1).reshape(-1, 1)
        unit = self.spiking.network.output_unit.double()
        unit = unit.repeat_interleave(sums.shape[2] // len(unit)) if len(unit) > 1 else unit
        return sums * unit / self.losses[-1].message_scale


def on_chip(spiking: SpikingEncoder, nir: Path, calibration: torch.Tensor) -> OnChip:
    """The integers of an encoder that was written to a file.

    Parameters
    ----------
    spiking : SpikingEncoder
    nir : Path
        What ``conversion.export.write_encoder`` wrote of it.
    calibration : Tensor of shape (N, 3, S, S) or (N, T, 3, S, S)
        Typical images, from which the quantiser takes the range of states.
    """
    floats = read_nir(nir)
    sent = spiking.messages(calibration).transpose(0, 1).numpy().astype(np.int16)
    network, losses = quantise(floats, calibration=sent)
    return OnChip(spiking, floats, network, losses)


def simulate(
    chip: OnChip, windows: WindowImages, *, steps: int, what: str
) -> tuple[torch.Tensor, ChipRun]:
    """Features of every window, float64 ``[n_windows, F]``, and what was counted.

    Parameters
    ----------
    chip : OnChip
    windows : WindowImages
    steps : int
        For how many steps each image is shown.
    what : str
        Named by the progress bar.
    """
    answer = (chip.network.output.name, "spikes")
    found, places, runs = [], [], []
    with progress_bar(len(windows), what, "image") as advance:
        for images, place in batches(windows, chip.streams, SIMULATED_TOGETHER):
            run = Simulator().run(chip.network, chip.messages(images, steps), probes=[answer])
            features = chip.features(run.traces[answer])
            found.append(features.flatten(0, 1) if chip.streams else features[:, -1])
            places.append(place)
            runs.append(run)
            advance(len(place))
    return torch.cat(found)[torch.cat(places).argsort()], joined(runs)


def joined(runs: Sequence[ChipRun]) -> ChipRun:
    """Runs of one network, one after the other; traces are left behind."""
    first = runs[0]

    def together(name: str) -> dict[str, np.ndarray]:
        return {
            key: np.concatenate([getattr(r, name)[key] for r in runs])
            for key in getattr(first, name)
        }

    return ChipRun(
        output=np.concatenate([run.output for run in runs]),
        spikes=together("spikes"),
        synops=together("synops"),
        macs=together("macs"),
        traces={},
        wall_s=sum(run.wall_s for run in runs),
        backend=first.backend,
        versions=first.versions,
    )


def samples_for(chip: OnChip, windows: WindowImages, count: int, steps: int) -> np.ndarray:
    """Messages of a few images, or of the recordings that they are from, spread over a part."""
    if chip.streams:
        chosen = np.linspace(0, windows.n_recordings - 1, min(count, windows.n_recordings))
        some = windows.of_recordings(np.unique(chosen.astype(np.int64)))
        parts = [chip.messages(images, steps) for images, _ in batches(some, True)]
        shortest = min(part.shape[1] for part in parts)
        return np.concatenate([part[:, :shortest] for part in parts])
    return chip.messages(stacked(windows, count), steps)


def traced(backend: Backend, chip: OnChip, messages: np.ndarray, what: str) -> ChipRun:
    """A run with every message and a membrane that is the answer."""
    with progress_bar(len(messages), what, "sample") as advance:
        return backend.run(chip.network, messages, probes=spoken(chip.network), progress=advance)
