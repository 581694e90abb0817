"""Sources of batches: draws follow from (seed, epoch, clip), whoever prepares them and when."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from snn.errors import TrainingError
from snn.events.augment import SpikingFERAugmentation
from snn.events.augment.batch import AugmentConfig
from snn.events.frames import SpikingFERFrames
from snn.events.recording import Recording, make_events
from snn.training import (
    EpochAugmentation,
    EventAugmentConfig,
    EventClips,
    KeptRecordings,
    Split,
    Team,
    TimeBinFrames,
    TrainingConfig,
)
from snn.training.data import random_window
from snn.training.loading import plan, prepared

FRAMES = SpikingFERFrames(n_frames=3, events_per_frame=20, size=(16, 12))


class Few:
    """Seven random recordings of a small sensor."""

    labels = np.arange(7) % 2

    def __init__(self):
        self.reads = 0

    def recording(self, index):
        self.reads += 1
        rng = np.random.default_rng(index)
        n = 200 + index
        events = make_events(
            rng.integers(0, 24, n), rng.integers(0, 20, n),
            np.sort(rng.integers(50, 90_000, n)), rng.integers(0, 2, n),
        )  # fmt: skip
        return Recording(events, (24, 20))


@pytest.fixture
def clips():
    return EventClips(Few(), np.array([6, 2, 3, 0, 1]), FRAMES)


def test_plain_clips_are_the_representation(clips):
    batch = clips.batch([0, 3])
    assert batch.dtype == torch.uint8 and batch.shape == (2, 3, 2, 12, 16)
    assert np.array_equal(batch[0], FRAMES(Few().recording(6)))
    assert np.array_equal(batch[1], FRAMES(Few().recording(0)))
    assert clips.labels.tolist() == [0, 0, 1, 0, 1]


@pytest.mark.parametrize("published", [True, False])
def test_the_default_is_the_published_pipeline(clips, published):
    theirs = SpikingFERAugmentation(published=published, representation=FRAMES)
    config = EventAugmentConfig(published=published)
    for epoch in range(6):
        batch = clips.batch(range(5), EpochAugmentation(config, 11, epoch))
        for clip, index in enumerate(clips.indices):
            rng = np.random.default_rng([11, epoch, clip])
            assert np.array_equal(batch[clip], theirs(Few().recording(index), rng))


def test_every_switch_turns_one_augmentation_off(clips):
    everything = EventAugmentConfig(flip_polarity=True)
    assert len(everything.names) == 7
    for name in everything.names:
        config = dataclasses.replace(everything, **{name: False})
        assert set(everything.names) - set(config.names) == {name}
    silent = dict.fromkeys(everything.names, False)
    plain = clips.batch([1], EpochAugmentation(EventAugmentConfig(**silent), 0, 0))
    assert torch.equal(plain, clips.batch([1]))


def test_crops_may_be_held_large(clips):
    off = dict.fromkeys(EventAugmentConfig(flip_polarity=True).names, False) | {"crop": True}

    def pixels(scale):
        config = EventAugmentConfig(**off, crop_scale=scale)
        batches = [clips.batch([0], EpochAugmentation(config, 0, e)) for e in range(30)]
        return np.std([float(b.float().mean()) for b in batches])

    assert pixels(0.99) < pixels(0.08)


def test_a_window_is_a_stretch_of_the_recording():
    events = Few().recording(0).events
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        kept = random_window(events, 0.5, rng)
        start = np.searchsorted(events["t"], kept["t"][0])
        assert np.array_equal(kept["t"], events["t"][start : start + len(kept)])
        shares.append(len(kept) / len(events))
    assert 0.4 < min(shares) < 0.6 and 0.9 < max(shares) <= 1.0
    assert len(random_window(events[:0], 0.5, rng)) == 0


@pytest.mark.parametrize("augment", [AugmentConfig(drop=0.3), EventAugmentConfig(window=0.5)])
def test_workers_change_no_bit_and_no_order(clips, augment):
    config = TrainingConfig(batch_size=2, augment=augment, seed=4)
    before = torch.random.get_rng_state()

    def batches(workers):
        changed = dataclasses.replace(config, workers=workers)
        return list(prepared(clips, plan(len(clips), changed, range(1, 4)), changed))

    alone, together = batches(0), batches(2)
    assert [step for step, _ in alone] == [step for step, _ in together]
    assert len(alone) == 3 * 2  # five clips: two batches of two, and one that is left out
    for (_, one), (_, other) in zip(alone, together, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(alone[0][1], alone[2][1])
    assert torch.equal(torch.random.get_rng_state(), before)  # dropout's draws are not touched


def test_a_clip_is_augmented_alike_in_any_batch():
    rng = torch.Generator().manual_seed(0)
    split = Split((torch.rand(6, 3, 2, 9, 9, generator=rng) < 0.3).byte(), torch.zeros(6).long())
    augmentation = EpochAugmentation(AugmentConfig(flip=0.5, shift=2, drop=0.4), 1, 2)
    whole = split.batch(range(6), augmentation)
    assert torch.equal(split.batch([4, 1], augmentation), whole[[4, 1]])
    other = split.batch(range(6), dataclasses.replace(augmentation, epoch=3))
    assert not torch.equal(whole, other)


def test_a_team_shares_every_batch():
    config = TrainingConfig(batch_size=5)
    alone = list(plan(17, config, range(2)))
    shares = [list(plan(17, config, range(2), Team(rank, 3))) for rank in range(3)]
    assert [len(step.clips) for step in alone] == [5, 5, 5, 2] * 2
    # Two clips are too few for three processes.
    assert [len(step.clips) for step in shares[0]] == [5, 5, 5] * 2
    for parts in zip(*shares, strict=True):
        assert sum((part.mine for part in parts), ()) == parts[0].clips
        assert all(part.mine for part in parts)
    assert [s.clips for s in alone if len(s.clips) == 5] == [s.clips for s in shares[0]]
    assert [step.is_last for step in alone] == [False, False, False, True] * 2


def test_recordings_are_kept_while_they_fit():
    few = Few()
    size = few.recording(0).events.nbytes
    kept = KeptRecordings(few, limit_bytes=size)
    few.reads = 0
    for _ in range(3):
        assert len(kept.recording(0)) == 200
    assert few.reads == 1
    for _ in range(3):
        kept.recording(1)
    assert few.reads == 4


def test_sources_say_what_they_cannot_do():
    with pytest.raises(TrainingError, match="one size"):
        EventClips(Few(), np.arange(2), TimeBinFrames(n_bins=3))
    split = Split(torch.zeros(2, 3, 2, 4, 4, dtype=torch.uint8), torch.zeros(2).long())
    with pytest.raises(TrainingError, match="train from recordings with --dataset"):
        split.batch([0], EpochAugmentation(EventAugmentConfig(), 0, 0))
    with pytest.raises(TrainingError, match=r"crop_scale must lie in \(0, 1\]"):
        EventAugmentConfig(crop_scale=0.0)


def test_bins_of_equal_time_see_every_event():
    recording = Few().recording(3)
    frames = TimeBinFrames(n_bins=4)(recording)
    first, last = recording.events["t"][[0, -1]]
    expected = np.zeros((4, 2, 20, 24), np.uint8)
    for event in recording.events:
        step = min(int((event["t"] - first) * 4 // (last - first)), 3)
        expected[step, event["p"], event["y"], event["x"]] = 1
    assert (frames != expected).sum() <= 8  # events that fall on an edge
    assert TimeBinFrames(n_bins=4, size=(12, 10))(recording).shape == (4, 2, 10, 12)
