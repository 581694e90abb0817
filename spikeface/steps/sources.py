"""From ``[data]`` and ``[frames]`` to clips that train, validate and test.

Faces rendered by this tool come as one file with splits by subject; any set of recordings is cut
by a protocol. What a report says about either is gathered here: the protocol in words, what the
data are, the two trivial classifiers.

>>> data = open_training_data(load_config(path)); data.train.batch([0, 1]).shape
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snn.baselines import event_count_baseline, ridge_baseline
from snn.errors import DatasetError
from snn.events.datasets import (
    EventDataset,
    EventSet,
    FrameStore,
    Splits,
    file_digest,
    load_event_set,
    open_dataset,
)
from snn.events.frames import EqualTimeFrames, SpikingFERFrames
from snn.training import (
    ClipSource,
    EventAugmentConfig,
    EventClips,
    KeptRecordings,
    Split,
    TimeBinFrames,
)
from snn.training.distributed import current_team
from spikeface.config import Config, ImageRunConfig
from spikeface.errors import ConfigError
from spikeface.progress import progress_bar
from spikeface.steps.sections import simulated

PARTS = ("train", "validation", "test")
BASELINE_BINS = 4
BASELINE_PIXELS = 64  # count maps are added up in boxes until they are no larger
OWN_PROTOCOL = (
    "strict: test subjects never seen, epoch selected on validation subjects, test set used once"
)


@dataclass(frozen=True)
class TrainingData:
    """The clips of a run and what its report says about them.

    Parameters
    ----------
    clips : dict of str to ClipSource
        By part: train, validation, test.
    classes : tuple of str
    input_shape : tuple of int
        ``(C, H, W)`` of a frame.
    dt_us : int
        Duration of a step; where clips differ in length, that of a clip of median length.
    protocol : str
        Who trains and who tests, in words.
    majority_share : float
        Test accuracy of always guessing the commonest class of the training clips.
    description : dict
        The report's section ``data``.
    baselines : dict
        Test accuracy of the two trivial classifiers, as entries of ``accuracy``.
    """

    clips: dict[str, ClipSource]
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    dt_us: int
    protocol: str
    majority_share: float
    description: dict[str, Any]
    baselines: dict[str, Any]


def open_training_data(config: Config, events: EventSet | None = None) -> TrainingData:
    """The clips that a configuration names.

    Parameters
    ----------
    config : Config
    events : EventSet, optional
        Rendered faces that are loaded already, in place of those of ``[data]``.

    Raises
    ------
    ConfigError
        When ``[data]`` names nothing.
    DatasetError
        When recordings are missing, or the set has no such protocol or fold.
    """
    if events is None:
        require_root(config)
    if (events is not None or config.data.has_own_splits) and _needs_no_recordings(config):
        return _from_faces(config, events or load_event_set(config.data.root))
    if events is not None:
        return _from_dataset(config, open_dataset("faces", events.source))
    return _from_dataset(config, dataset_of(config))


def require_root(config: Config | ImageRunConfig) -> None:
    """Refuse a configuration that names no data."""
    if not config.data.root:
        raise ConfigError(
            "[data] root is empty: say what to train on, with --data FACES.h5, or "
            "--dataset NAME --root FOLDER"
        )


def open_test_clips(config: Config) -> ClipSource:
    """The test clips alone, plain: what a network that was trained earlier is run on."""
    if config.data.has_own_splits and _needs_no_recordings(config):
        table = load_event_set(config.data.root).splits["test"]
        frames = torch.from_numpy(table.binary_frames(config.frames.n_bins))
        return Split(frames, torch.from_numpy(table.labels))
    dataset = dataset_of(config)
    return EventClips(dataset, splits_of(config, dataset).test, _representation(config, dataset))


def _needs_no_recordings(config: Config) -> bool:
    """Whether faces can be binned once, over the window that all of them share."""
    plain_bins = config.frames.kind == "time_bins" and config.frames.size == (0, 0)
    return plain_bins and not isinstance(config.training.augment, EventAugmentConfig)


def dataset_of(config: Config | ImageRunConfig) -> EventDataset:
    """The set of recordings that ``[data]`` names."""
    names = ("time_unit", "labels", "subject_pattern")
    given = {name: getattr(config.data, name) for name in names if getattr(config.data, name)}
    return open_dataset(config.data.dataset, config.data.root, **given)


def splits_of(config: Config | ImageRunConfig, dataset: EventDataset) -> Splits:
    """Who trains, validates and tests by the protocol of ``[data]``."""
    protocol = config.data.protocol or ("authors" if config.data.has_own_splits else "strict")
    return dataset.splits(
        protocol=protocol, fold=config.data.fold, n_folds=config.data.n_folds, seed=0
    )


def protocol_text(config: Config | ImageRunConfig, splits: Splits) -> str:
    """Who trains, who tests and how an epoch is selected, for a report."""
    return OWN_PROTOCOL if config.data.has_own_splits else f"{splits.protocol}: {splits.text}"


def _from_faces(config: Config, events: EventSet) -> TrainingData:
    """Frames of all clips in memory; every clip has the same time window."""
    tables = {part: events.splits[part] for part in PARTS}
    clips: dict[str, ClipSource] = {
        part: Split(
            torch.from_numpy(table.binary_frames(config.frames.n_bins)),
            torch.from_numpy(table.labels),
        )
        for part, table in tables.items()
    }
    width, height = events.sensor_size
    return TrainingData(
        clips=clips,
        classes=events.classes,
        input_shape=(2, height, width),
        dt_us=events.duration_us // config.frames.n_bins,
        protocol=OWN_PROTOCOL,
        majority_share=_majority_share(clips),
        description={
            "dataset": "faces",
            "file": str(events.source.resolve()),
            "sha256": file_digest(events.source),
            "classes": list(events.classes),
            "sensor_size": list(events.sensor_size),
            "duration_us": events.duration_us,
            "splits": {
                part: {
                    "clips": len(table),
                    "subjects": len(np.unique(table.subjects)),
                    "events_per_clip": float(table.event_counts.mean()),
                }
                for part, table in tables.items()
            },
            "rendered_with": events.parameters,
        },
        baselines=_baselines(
            {part: table.event_counts for part, table in tables.items()},
            {part: table.count_maps(BASELINE_BINS) for part, table in tables.items()},
            {part: table.labels for part, table in tables.items()},
        )
        if config.data.baselines
        else {},
    )


def _from_dataset(config: Config, dataset: EventDataset) -> TrainingData:
    """Recordings of any set, cut by a protocol."""
    dataset.require_files()
    splits = splits_of(config, dataset)
    representation = _representation(config, dataset)
    assert representation.size is not None
    clips, survey = _clips(config, dataset, splits, representation)
    width, height = representation.size
    parts = {part: getattr(splits, part) for part in PARTS}
    return TrainingData(
        clips=clips,
        classes=dataset.classes,
        input_shape=(2, height, width),
        dt_us=max(1, int(np.median(survey.durations_us)) // config.frames.n_bins),
        protocol=protocol_text(config, splits),
        majority_share=splits.majority_share,
        description={
            "dataset": config.data.dataset,
            "file": str(dataset.root.resolve()),
            "classes": list(dataset.classes),
            "sensor_size": list((dataset.sensor_size or (*representation.size, 2))[:2]),
            "frame_size": list(representation.size),
            "median_duration_us": int(np.median(survey.durations_us)),
            "protocol": splits.protocol,
            "fold": config.data.fold,
            "n_folds": config.data.n_folds if splits.protocol == "strict" else None,
            "splits": {
                part: {
                    "clips": len(indices),
                    "subjects": len(np.unique(dataset.subjects[indices])),
                }
                for part, indices in parts.items()
            },
        },
        baselines=survey.baselines(parts, dataset.labels),
    )


def _representation(config: Config, dataset: EventDataset) -> SpikingFERFrames | TimeBinFrames:
    frames = config.frames
    size = frames.size if frames.size != (0, 0) else (dataset.sensor_size or ())[:2]
    if len(size) != 2:
        raise ConfigError(
            f"{dataset.root}: recordings of this set may differ in size; "
            "set frames.size = [width, height]"
        )
    if frames.kind == "spiking_fer":
        return SpikingFERFrames(
            n_frames=frames.n_bins, events_per_frame=frames.events_per_frame, size=size
        )
    return TimeBinFrames(n_bins=frames.n_bins, size=size)


@dataclass(frozen=True)
class Survey:
    """What one pass over all recordings found; maps and counts are missing without baselines."""

    durations_us: np.ndarray
    event_counts: np.ndarray | None = None
    maps: np.ndarray | None = None

    def baselines(self, parts: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        """Test accuracy of the two trivial classifiers, by recording."""
        if self.maps is None or self.event_counts is None:
            return {}
        tables = (self.event_counts, self.maps, labels)
        return _baselines(*({part: t[i] for part, i in parts.items()} for t in tables))


def _clips(
    config: Config,
    dataset: EventDataset,
    splits: Splits,
    representation: SpikingFERFrames | TimeBinFrames,
) -> tuple[dict[str, ClipSource], Survey]:
    """The clips by part, and what was seen of the recordings on the way."""
    store = None
    if config.data.cache:
        with progress_of_team(len(dataset), "frames to the cache") as advance:
            store = FrameStore.build(dataset, config.data.cache, representation, progress=advance)
    plain: dict[str, ClipSource] = {}
    recordings = KeptRecordings(dataset)
    frames, survey = read_all(config, recordings, None if store else representation)
    for part in PARTS:
        indices, labels = getattr(splits, part), torch.from_numpy(dataset.labels)
        plain[part] = (
            EventClips(recordings, indices, representation, store)
            if frames is None
            else Split(torch.from_numpy(frames[indices]), labels[indices])
        )
    if isinstance(config.training.augment, EventAugmentConfig):
        plain["train"] = EventClips(recordings, splits.train, representation, store)
    return plain, survey


def read_all(
    config: Config | ImageRunConfig,
    recordings: KeptRecordings,
    representation: SpikingFERFrames | TimeBinFrames | None,
) -> tuple[np.ndarray | None, Survey]:
    """Plain frames of all recordings where a representation is given, and the survey."""
    n_recordings = len(recordings.labels)
    if representation is None and not config.data.baselines:
        few = np.linspace(0, n_recordings - 1, min(n_recordings, 16)).astype(int)
        return None, Survey(np.array([recordings.recording(int(i)).duration_us for i in few]))
    count_maps = EqualTimeFrames(n_bins=BASELINE_BINS)
    frames, maps, counts, durations = [], [], [], []
    with progress_of_team(n_recordings, "recordings") as advance:
        for index in range(n_recordings):
            recording = recordings.recording(index)
            counts.append(len(recording))
            durations.append(recording.duration_us)
            if config.data.baselines:
                maps.append(_coarse(count_maps(recording)))
            if representation is not None:
                frames.append(representation(recording))
            advance(1)
    plain = np.stack(frames) if frames else None
    if not config.data.baselines:
        return plain, Survey(np.array(durations))
    return plain, Survey(np.array(durations), np.array(counts), _same_shape(maps))


def _coarse(maps: np.ndarray) -> np.ndarray:
    """Counts ``[bins, 2, H, W]`` added up in boxes, at most ``BASELINE_PIXELS`` along each side."""
    for axis in (-1, -2):
        box = -(-maps.shape[axis] // BASELINE_PIXELS)
        edges = np.arange(0, maps.shape[axis], box)
        maps = np.add.reduceat(maps.astype(np.uint32), edges, axis=axis)
    return maps


def _same_shape(maps: list[np.ndarray]) -> np.ndarray:
    if len({m.shape for m in maps}) > 1:
        raise DatasetError(
            "recordings of this set differ in sensor size, so there are no common count maps; "
            "set data.baselines = false"
        )
    return np.stack(maps)


def _majority_share(clips: dict[str, ClipSource]) -> float:
    commonest = torch.bincount(clips["train"].labels).argmax()
    return float((clips["test"].labels == commonest).double().mean())


def _baselines(
    counts: dict[str, np.ndarray], maps: dict[str, np.ndarray], labels: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Test accuracy of the two trivial classifiers."""
    n_test = len(labels["test"])
    flat = {part: values.reshape(len(values), -1) for part, values in maps.items()}
    by_count = event_count_baseline(
        counts["train"], labels["train"], counts["test"], labels["test"]
    )
    by_map = ridge_baseline(*(table[part] for part in PARTS for table in (flat, labels)))
    return {
        "baseline_event_count": simulated(by_count, n=n_test),
        "baseline_ridge": simulated(by_map, n=n_test, bins=BASELINE_BINS),
    }


def progress_of_team(total: int, what: str) -> Any:
    """A bar in the first process of a team, none in the others."""
    if current_team().is_first:
        return progress_bar(total, what, "clip")
    return nullcontext(lambda n: None)
