"""From ``[data]`` and ``[images]`` to the window images of every part of a data set.

A reconstruction takes images with video frames of those who train and validate, a classifier
images of all. Both may share what was read once.

>>> data = open_images(config, frames=True, parts=("train", "validation"))
>>> data.parts["train"].images.shape, data.parts["train"].frames.shape
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.images import Boxes, Videos, WindowImages, window_images
from conversion.videos import CKVideos, RenderedVideos
from snn.events.datasets import ECKPlus, EventDataset, RenderedFaces, Splits, file_digest
from snn.training import KeptRecordings
from spikeface.config import ImageRunConfig
from spikeface.errors import ConfigError
from spikeface.steps.sources import (
    PARTS,
    Survey,
    dataset_of,
    progress_of_team,
    protocol_text,
    read_all,
    require_root,
    splits_of,
)


@dataclass(frozen=True)
class ImageData:
    """The images of a run and what its report says about them.

    Parameters
    ----------
    parts : dict of str to WindowImages
        Train, validation and test, or those of them that were asked for.
    classes : tuple of str
    splits : Splits
        Indices of the recordings of each part.
    protocol : str
        Who trains and who tests, in words.
    description : dict
        The report's section ``data``.
    survey : Survey or None
        What the trivial classifiers see, where they are asked for.
    """

    parts: dict[str, WindowImages]
    classes: tuple[str, ...]
    splits: Splits
    protocol: str
    description: dict[str, Any]
    survey: Survey | None


def open_images(
    config: ImageRunConfig,
    *,
    frames: bool = False,
    parts: Sequence[str] = PARTS,
    survey: bool = False,
) -> ImageData:
    """The images that a configuration names.

    Parameters
    ----------
    config : ReconstructionRunConfig or TransferRunConfig
    frames : bool
        Whether each window comes with its video frame.
    parts : sequence of str
        Of ``PARTS``, which recordings to make images of.
    survey : bool
        Whether to read all recordings once for the trivial classifiers.

    Raises
    ------
    ConfigError
        When ``[data]`` names nothing, or a set without video frames where these are needed.
    DatasetError
        When recordings or video frames are missing, or the set has no such protocol or fold.
    """
    require_root(config)
    dataset = dataset_of(config)
    dataset.require_files()
    videos = _videos(config, dataset) if frames else None
    boxes = None
    if isinstance(dataset, ECKPlus) and config.data.videos:
        boxes = CKVideos(dataset, config.data.videos).box
    splits = splits_of(config, dataset)
    made: dict[str, WindowImages] = {}
    for part in parts:
        same = next((name for name in made if _same(splits, name, part)), None)
        made[part] = made[same] if same else _images(config, dataset, splits, part, videos, boxes)
    return ImageData(
        parts=made,
        classes=dataset.classes,
        splits=splits,
        protocol=protocol_text(config, splits),
        description=_description(config, dataset, splits, made),
        survey=read_all(config, KeptRecordings(dataset), None)[1] if survey else None,
    )


def _same(splits: Splits, one: str, other: str) -> bool:
    """Whether two parts hold the same recordings, as where a paper selects on its test set."""
    return np.array_equal(getattr(splits, one), getattr(splits, other))


def _images(
    config: ImageRunConfig,
    dataset: EventDataset,
    splits: Splits,
    part: str,
    videos: Videos | None,
    boxes: Boxes | None,
) -> WindowImages:
    indices = getattr(splits, part)
    with progress_of_team(len(indices), f"images, {part}") as advance:
        return window_images(
            dataset,
            indices,
            config.images,
            frame_numbers=dataset.frame_numbers if isinstance(dataset, ECKPlus) else None,
            videos=videos,
            boxes=boxes,
            progress=advance,
        )


def _videos(config: ImageRunConfig, dataset: EventDataset) -> Videos | None:
    """Where the video frames of a set come from."""
    if isinstance(dataset, RenderedFaces):
        return RenderedVideos(dataset, frame_rate_hz=config.images.frame_rate_hz)
    if not isinstance(dataset, ECKPlus):
        raise ConfigError(
            f"[data] dataset = {config.data.dataset!r} has no video frames to reconstruct; use "
            "faces or eckplus, and transfer the encoder from there"
        )
    if not config.data.videos:
        raise ConfigError(
            "[data] videos is empty: a reconstruction needs the images of CK+; name the folder "
            "that holds S005/001/S005_001_00000001.png with --set data.videos=FOLDER"
        )
    return CKVideos(dataset, config.data.videos)


def _description(
    config: ImageRunConfig,
    dataset: EventDataset,
    splits: Splits,
    made: dict[str, WindowImages],
) -> dict[str, Any]:
    """The report's section ``data``."""
    images = config.images
    rendered = isinstance(dataset, RenderedFaces)
    return {
        "dataset": config.data.dataset,
        "file": str(dataset.root.resolve()),
        "sha256": file_digest(dataset.root) if rendered else None,
        "classes": list(dataset.classes),
        "sensor_size": list((dataset.sensor_size or ())[:2]),
        "image_size": images.size,
        "window_ms": 1e3 / images.frame_rate_hz,
        "stride": images.stride,
        "variant": images.variant,
        "protocol": "strict" if config.data.has_own_splits else splits.protocol,
        "fold": config.data.fold,
        "n_folds": config.data.n_folds if splits.protocol == "strict" else None,
        "splits": {
            part: {
                "subjects": len(np.unique(dataset.subjects[getattr(splits, part)])),
                "recordings": windows.n_recordings,
                "windows": len(windows),
            }
            for part, windows in made.items()
        },
        "rendered_with": dataset.events.parameters if isinstance(dataset, RenderedFaces) else None,
    }
