"""What is converted: a transfer run's classifier, its images, and its answers from any features.

Head and LSTM stay on the host: features of single images go in, clips and recordings are answered
as they were by the float network.

>>> source = open_source(Path("runs/finetune"))
>>> source.answers(source.windows("test"), features).per_recording
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conversion.classifier import EvTransFER, build_classifier
from conversion.clips import WindowClips
from conversion.encoder import Encoder
from conversion.images import WindowImages
from snn.events.datasets import file_digest
from snn.training import first_argmax, read_checkpoint, vote
from spikeface.config import TransferRunConfig, load_run_config
from spikeface.errors import ConfigError, RunFolderError
from spikeface.runs import RunFolder
from spikeface.steps.images import ImageData, open_images

FIRST_WEIGHTS = "encoder.blocks.0.conv.weight"
BATCH = 64


@dataclass(frozen=True)
class Answers:
    """What a classifier says of the clips and recordings of a part.

    Parameters
    ----------
    clips : Tensor of int64, shape (N,)
        The class of each clip.
    per_clip, per_recording : float
        Shares of right answers.
    recordings, labels : Tensor of int64, shape (R,)
        The class that the clips of each recording vote for, and the true one.
    """

    clips: torch.Tensor
    per_clip: float
    per_recording: float
    recordings: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Source:
    """A trained classifier and the images that it was trained and tested on.

    Parameters
    ----------
    run : RunFolder
    config : TransferRunConfig
    report : dict
        What its run found.
    network : EvTransFER
        With the selected weights, in evaluation mode.
    digest : str
        SHA-256 of the file with its weights.
    """

    run: RunFolder
    config: TransferRunConfig
    report: dict[str, Any]
    network: EvTransFER
    digest: str

    @cached_property
    def data(self) -> ImageData:
        """The images; those that the run was trained on, or an error."""
        data = open_images(self.config)
        expected = self.report["data"]
        found = data.description
        changed = [
            key
            for key in ("sha256", "classes", "splits", "image_size")
            if expected[key] != found[key]
        ]
        if changed:
            raise RunFolderError(
                f"{expected['file']}: is not what {self.run.path} was trained on "
                f"({', '.join(changed)} differ)"
            )
        return data

    def windows(self, part: str, n_recordings: int = 0) -> WindowImages:
        """The windows of a part, or of so many of its recordings, spread over it."""
        windows = self.data.parts[part]
        if not 0 < n_recordings < windows.n_recordings:
            return windows
        chosen = np.linspace(0, windows.n_recordings - 1, n_recordings).astype(np.int64)
        return windows.of_recordings(chosen)

    def answers(self, windows: WindowImages, features: torch.Tensor) -> Answers:
        """What LSTM and head make of the features of every window, ``[n_windows, F]``."""
        clips = WindowClips(windows, self.config.transfer.window)
        sequences = features.float()[torch.from_numpy(clips.table)]
        with torch.no_grad():
            lstm = self.network.lstm
            state = lstm(sequences)[0][:, -1] if lstm else sequences[:, 0]
            scores = self.network.head(state)
        votes = vote(scores, clips.labels, clips.recording_ids)
        answered = first_argmax(scores)
        return Answers(
            clips=answered,
            per_clip=float((answered == clips.labels).double().mean()),
            per_recording=votes.accuracy,
            recordings=votes.predictions,
            labels=votes.labels,
        )

    def accuracy(self, windows: WindowImages, features: torch.Tensor) -> float:
        """Share of right answers, counted as the classifier was selected."""
        answers = self.answers(windows, features)
        return float(getattr(answers, f"per_{self.report['accuracy']['selection']}"))


def open_source(path: Path) -> Source:
    """The classifier of a transfer run.

    Raises
    ------
    ConfigError
        For a run of another task.
    RunFolderError
        For a run that has not ended, or weights that are not those of its configuration.
    """
    run = RunFolder.open(path)
    config = load_run_config(run.config)
    if not isinstance(config, TransferRunConfig):
        raise ConfigError(
            f"{path}: task = {config.task!r}; a conversion takes a classifier on an encoder, "
            "a run of task = 'transfer'"
        )
    report = run.read_report()
    if not run.is_done("train") or "accuracy" not in report:
        raise RunFolderError(f"{path}: its training has not ended; go on with --resume first")
    saved = read_checkpoint(run.need(run.checkpoint, "train"))
    data = replace(config.data, root=report["data"]["file"])
    return Source(
        run=run,
        config=replace(config, data=data),
        report=report,
        network=_classifier(run, config, saved["best"], len(report["data"]["classes"])),
        digest=file_digest(run.checkpoint),
    )


def stacked(windows: WindowImages, count: int = 0) -> torch.Tensor:
    """Images as an encoder takes them, float32 ``[N, 3, S, S]`` in [-1, 1]; `count` of them spread
    over all, or all."""
    images = windows.images
    if 0 < count < len(images):
        images = images[np.linspace(0, len(images) - 1, count).astype(int)]
    return torch.from_numpy(images.astype(np.float32)).mul_(2).sub_(1)


def host_multiplications(network: EvTransFER) -> int:
    """Multiply-accumulates of LSTM and head for one clip; these stay on the host."""
    head = sum(p.numel() for p in network.head.parameters() if p.dim() == 2)
    if network.lstm is None:
        return head
    weights = sum(p.numel() for p in network.lstm.parameters() if p.dim() == 2)
    return head + weights * network.config.window


def _classifier(
    run: RunFolder, config: TransferRunConfig, weights: Any, n_classes: int
) -> EvTransFER:
    size = config.images.size
    try:
        own = None
        if config.transfer.mode != "scratch":
            own = Encoder(size=size, width=weights[FIRST_WEIGHTS].shape[0])
        network = build_classifier(config.transfer, size=size, n_classes=n_classes, encoder=own)
        network.load_state_dict(weights)
    except (RuntimeError, LookupError, AttributeError, TypeError) as error:
        raise RunFolderError(
            f"{run.checkpoint}: does not hold the classifier of config.toml ({error})"
        ) from error
    network.eval()
    return network
