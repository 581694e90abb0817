"""Does loading keep the training step fed: our frame store against tonic's caches, and the step.

Recordings of 200 x 200 pixels in v2e's HDF5 become six Spiking-FER frames of 128 x 128. Every
loader is torch's ``DataLoader`` in this process (no workers), shuffled, batches of 8, default
collate; a batch ends as a float32 tensor. The step is forward and backward of the convolutions of
a SEW-ResNet-18 in plain torch on the same thread: less than a real step, so that shares are upper
bounds. Files are in the system's cache, as in every epoch after the first. Before anything is
timed, the batches are compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import torch
from measuring import Row, ratio, seconds
from tonic import DiskCachedDataset, MemoryCachedDataset
from torch.utils.data import DataLoader

from snn.events.datasets import FolderSet, FrameStore
from snn.events.recording import Recording

RECORDINGS, EVENTS, BATCH, STEPS, SLICE = 48, 25_000, 8, 6, 2500
SENSOR, SIZE = 200, 128


def measure(rounds: int = 5) -> list[Row]:
    """Time of one epoch per loader, next to the time of a training step.

    Returns
    -------
    list of dict
        A row a loader: milliseconds a batch, samples a second, how many times our store is as
        fast, and the share of a training step that loading its batch takes.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        loaders = _loaders(Path(name))
        _assert_equal(loaders)
        step = _training_step()
        times: dict[str, list[float]] = {loader: [] for loader in loaders}
        steps = []
        for turn in range(rounds):
            for loader, dataset in loaders.items():
                run = lambda d=dataset, seed=turn: _epoch(d, seed)  # noqa: E731
                times[loader].append(seconds(run, 1) / (RECORDINGS / BATCH))
            steps.append(seconds(step, 1))
    ours = times["frame store (ours)"]
    return [
        {
            "loader": loader,
            "ms_per_batch": 1e3 * median(taken),
            "samples_per_s": BATCH / median(taken),
            "vs_ours": ratio(taken, ours),
            "step_ms": 1e3 * median(steps),
            "share_of_step": ratio(taken, steps),
        }
        for loader, taken in times.items()
    ]


def spiking_fer_frames(recording: Recording) -> np.ndarray:
    """The six central slices of 2,500 events, binary, nearest 128 x 128."""
    events = recording.events
    first = int((len(events) // SLICE - STEPS) / 2) * SLICE
    events = events[first : first + STEPS * SLICE]
    frames = np.zeros((STEPS, 2, SENSOR, SENSOR), np.uint8)
    frames[np.arange(len(events)) // SLICE, events["p"], events["y"], events["x"]] = 1
    nearest = np.arange(SIZE) * SENSOR // SIZE
    return frames[:, :, nearest[:, None], nearest]


def _loaders(folder: Path) -> dict[str, Any]:
    _write_recordings(folder / "set")
    sensor = (SENSOR, SENSOR, 2)
    frames = FolderSet(folder / "set", sensor_size=sensor, representation=spiking_fer_frames)
    return {
        "frame store (ours)": FrameStore.build(frames, folder / "store", spiking_fer_frames),
        "tonic memory cache": MemoryCachedDataset(frames),
        "tonic disk cache, no compression": DiskCachedDataset(
            frames, str(folder / "plain"), compress=False
        ),
        "tonic disk cache, lzf (its default)": DiskCachedDataset(frames, str(folder / "lzf")),
        "no cache: v2e's HDF5": frames,
    }


def _write_recordings(folder: Path) -> None:
    """Clustered events, as of moving edges, in v2e's layout."""
    rng = np.random.default_rng(0)
    for number in range(RECORDINGS):
        path = folder / f"class{number % 6}" / f"{number:03d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        t = np.sort(rng.integers(0, 400_000, EVENTS))
        x, y = np.clip(rng.normal(SENSOR / 2, SENSOR / 6, (2, EVENTS)), 0, SENSOR - 1)
        p = rng.integers(0, 2, EVENTS)
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "events",
                data=np.stack([t, x, y, p], 1).astype(np.uint32),
                chunks=(512, 4),
                compression="gzip",
            )


def _epoch(dataset: Any, seed: int) -> None:
    shuffled = torch.Generator().manual_seed(seed)
    for frames, _ in DataLoader(dataset, batch_size=BATCH, shuffle=True, generator=shuffled):
        frames.float()


def _assert_equal(datasets: dict[str, Any]) -> None:
    """All loaders give the same batches; fills the caches on the way."""
    loaders = (DataLoader(d, batch_size=BATCH) for d in datasets.values())
    for ours, *theirs in zip(*loaders, strict=True):
        assert ours[0].any()
        for frames, labels in theirs:
            assert torch.equal(frames, ours[0])
            assert torch.equal(labels, ours[1])


def _training_step() -> Callable[[], None]:
    """Forward and backward of the 20 convolutions, steps and samples in one batch."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = [
        torch.nn.Conv2d(2, 64, 7, stride=2, padding=3, bias=False),
        torch.nn.MaxPool2d(3, 2, 1),
    ]
    channels = 64
    for out in (64, 128, 256, 512):
        for block in (1, 2):
            stride = 2 if out > 64 and block == 1 else 1
            layers.append(_Block(channels, out, stride))
            channels = out
    network = torch.nn.Sequential(*layers)
    frames = (torch.rand(BATCH * STEPS, 2, SIZE, SIZE) < 0.05).float()

    def step() -> None:
        network.zero_grad()
        network(frames).mean().backward()

    step()
    return step


class _Block(torch.nn.Module):
    """Two 3 x 3 convolutions and what is added to them."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.second = torch.nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.shortcut: torch.nn.Module = torch.nn.Identity()
        if stride > 1:
            self.shortcut = torch.nn.Conv2d(channels, out, 1, stride=stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu()).relu() + self.shortcut(x)
