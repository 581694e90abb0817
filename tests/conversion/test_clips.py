"""Clips of windows: never across recordings, never out of order; augmented by seed, epoch, clip."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch
from hypothesis import given
from hypothesis import strategies as st

from conversion.clips import WindowClips, labelled_recordings, window_table
from conversion.images import WindowImages
from snn.errors import TrainingError
from snn.events.augment.images import ImageAugmentConfig
from snn.training import EpochAugmentation, Split


def images_of(recordings, labels, values=None):
    """Window i is i / 100 all over, or has values of its own."""
    n = len(recordings)
    if values is None:
        values = np.ones((n, 3, 4, 4), np.float16) * np.arange(n)[:, None, None, None] / 100
    return WindowImages(
        images=values.astype(np.float16),
        recordings=np.array(recordings),
        numbers=np.arange(n),
        labels=np.array(labels),
        names=("",) * len(labels),
        subjects=("",) * len(labels),
    )


def test_clips_by_hand():
    """Recording 0 has four windows, 1 none, 2 a single one, 3 three."""
    recordings = [0, 0, 0, 0, 2, 3, 3, 3]
    clips = WindowClips(images_of(recordings, [5, 0, 6, 1]), window=3)
    assert clips.table.tolist() == [[0, 1, 2], [1, 2, 3], [4, 4, 4], [5, 6, 7]]
    assert clips.recording_ids.tolist() == [0, 0, 2, 3]
    assert clips.labels.tolist() == [5, 5, 6, 1]
    assert len(clips) == 4
    single = WindowClips(images_of(recordings, [5, 0, 6, 1]))
    assert single.table.tolist() == [[i] for i in range(8)]
    chosen = WindowClips(images_of(recordings, [5, 0, 6, 1]), window=2, chosen=np.array([2, 3]))
    assert chosen.table.tolist() == [[4, 4], [5, 6], [6, 7]]
    assert chosen.recording_ids.tolist() == [2, 3, 3]


@given(
    counts=st.lists(st.integers(0, 6), max_size=8),
    length=st.integers(1, 5),
)
def test_clips_stay_in_their_recording_and_in_order(counts, length):
    recordings = np.repeat(np.arange(len(counts)), counts)
    table = window_table(recordings, length)
    assert table.shape == (sum(max(n - length + 1, 1) for n in counts if n), length)
    for clip in table:
        assert len(set(recordings[clip])) == 1
        steps = np.diff(clip)
        if counts[recordings[clip[0]]] >= length:
            assert (steps == 1).all()
        else:
            assert sorted(set(clip)) == list(np.flatnonzero(recordings == recordings[clip[0]]))


def test_the_published_list_gives_as_many_samples_as_was_counted():
    """e-CK+: 2,168 training frames of 256 sequences, all of 3 or more: F - 2 clips of each."""
    lengths = np.full(256, 8)
    lengths[:120] += 1
    assert lengths.sum() == 2168
    assert len(window_table(np.repeat(np.arange(256), lengths), 3)) == 2168 - 2 * 256


def test_images_become_minus_one_to_one():
    batch = WindowClips(images_of([0, 0], [0])).batch([1, 0])
    assert batch.dtype == torch.float32 and batch.shape == (2, 1, 3, 4, 4)
    assert batch[0].unique().tolist() == [pytest.approx(2 * 0.01 - 1, abs=1e-4)]
    assert batch[1].unique().tolist() == [-1.0]


def test_draws_follow_from_seed_epoch_and_clip():
    values = np.random.default_rng(0).uniform(0.1, 1, (5, 3, 16, 16))
    clips = WindowClips(images_of([0, 0, 0, 1, 1], [0, 1], values), window=2)
    before = clips.images.images.copy()
    config = ImageAugmentConfig()
    whole = clips.batch([0, 1, 2], EpochAugmentation(config, 7, 3))
    assert torch.equal(clips.batch([2, 0], EpochAugmentation(config, 7, 3)), whole[[2, 0]])
    for other in (EpochAugmentation(config, 8, 3), EpochAugmentation(config, 7, 4)):
        assert not torch.equal(clips.batch([0, 1, 2], other), whole)
    alike = WindowClips(images_of([0] * 8, [0], values[:1].repeat(8, axis=0)))
    drawn = alike.batch(range(8), EpochAugmentation(config, 7, 3))
    assert len(drawn.unique(dim=0)) == 8
    assert float(whole.min()) == -1  # corners are black, which is 0 before it is normalised
    assert np.array_equal(clips.images.images, before)


@pytest.mark.parametrize("per_frame", [False, True])
def test_one_draw_serves_a_clip_unless_it_is_published(per_frame):
    values = np.random.default_rng(0).uniform(0.1, 1, (1, 3, 16, 16)).repeat(4, axis=0)
    clips = WindowClips(images_of([0] * 4, [0], values), window=4)
    config = ImageAugmentConfig(per_frame=per_frame)
    (clip,) = clips.batch([0], EpochAugmentation(config, 0, 0))
    assert all(torch.equal(image, clip[0]) for image in clip) is not per_frame


def test_only_images_take_the_augmentation_of_images():
    frames = Split(torch.zeros(2, 3, 2, 4, 4, dtype=torch.uint8), torch.zeros(2).long())
    with pytest.raises(TrainingError, match="changes images, and these clips are frames"):
        frames.batch([0], EpochAugmentation(ImageAugmentConfig(), 0, 0))


def test_labels_by_hand():
    """60, 10 and 3 recordings of a class: a tenth is 6, 1 and at least 1."""
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 4], [60, 10, 3]))
    chosen = labelled_recordings(labels, 0.1, seed=3)
    assert np.bincount(labels[chosen]).tolist() == [6, 1, 0, 0, 1]
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, labelled_recordings(labels, 0.1, seed=3))
    assert not np.array_equal(chosen, labelled_recordings(labels, 0.1, seed=4))
    assert len(labelled_recordings(labels, 1.0, seed=3)) == 73
    for share in (0.0, 1.1):
        with pytest.raises(TrainingError, match="must lie in"):
            labelled_recordings(labels, share, seed=0)


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    shares=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
    seed=st.integers(0, 9),
)
def test_a_smaller_share_of_labels_is_inside_a_larger_one(labels, shares, seed):
    few, many = (labelled_recordings(np.array(labels), s, seed=seed) for s in sorted(shares))
    assert set(few) <= set(many)
    assert {labels[i] for i in few} == set(labels)
