"""The lists that the authors published, against numbers counted from them independently."""

from pathlib import Path

import numpy as np
import pytest

from snn.errors import DatasetError
from snn.events.datasets import ADFESDVS, CASIADVS, MMIDVS, CKPlusDVS, ECKPlus

SPLITS = Path(__file__).parents[3] / "shared" / "data" / "splits"
pytestmark = pytest.mark.skipif(
    not SPLITS.is_dir(), reason="the published split files are not in the reference data"
)
SETS = [CKPlusDVS, ADFESDVS, CASIADVS, MMIDVS]


def opened(kind):
    return kind("nowhere", folds=SPLITS / f"{kind.folder}_folds.csv")


@pytest.fixture(scope="module")
def eckplus():
    return ECKPlus("nowhere", time_unit="s", frame_list=SPLITS / "eckplus_frames.txt")


@pytest.mark.parametrize(
    ("kind", "rows", "subjects", "counts"),
    [
        (CKPlusDVS, 357, 99, [94, 53, 77, 36, 38, 59]),
        (ADFESDVS, 131, 22, [22, 22, 21, 22, 22, 22]),
        (CASIADVS, 478, 80, [80, 80, 80, 80, 79, 79]),
        (MMIDVS, 207, 31, [41, 28, 41, 33, 32, 32]),
    ],
)
def test_rows_subjects_and_classes(kind, rows, subjects, counts):
    dataset = opened(kind)
    assert dataset.classes == ("happy", "fear", "surprise", "anger", "disgust", "sadness")
    assert len(dataset) == rows
    assert len(np.unique(dataset.subjects)) == subjects
    assert np.bincount(dataset.labels).tolist() == counts
    assert dataset.set_problems() == []


@pytest.mark.parametrize(
    ("kind", "test_rows", "never"),
    [
        (CKPlusDVS, [71, 70, 71, 71, 71, 71, 71, 71, 71, 70], 39),
        (ADFESDVS, [26] * 10, 10),
        (CASIADVS, [95] * 10, 45),
        (MMIDVS, [41, 41, 41, 41, 41, 40, 41, 41, 41, 41], 23),
    ],
)
def test_published_folds_are_hold_outs(kind, test_rows, never):
    dataset = opened(kind)
    folds = [dataset.splits(protocol="authors", fold=fold) for fold in range(10)]
    assert [len(splits.test) for splits in folds] == test_rows
    tested = np.zeros(len(dataset), int)
    for splits in folds:
        tested[splits.test] += 1
        assert np.array_equal(splits.validation, splits.test)
        together = np.concatenate([splits.train, splits.test])
        assert np.array_equal(np.sort(together), np.arange(len(dataset)))
    assert (tested == 0).sum() == never


def test_authors_protocol_says_how_optimistic_it_is():
    splits = opened(CKPlusDVS).splits(protocol="authors", fold=0)
    assert "50 of the 52 test subjects are also in the training samples" in splits.text
    assert "selected on the samples that they are tested on" in splits.text
    # Always "happy": 21 of 71, what an independent rerun's shortest trainings reach.
    assert splits.majority_share == pytest.approx(21 / 71)


def imbalance(labels, part):
    """Squared distance of a part's class shares from those of the whole set."""
    shares = np.bincount(labels[part], minlength=6) / max(len(labels[part]), 1)
    return float(((shares - np.bincount(labels) / len(labels)) ** 2).sum())


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("n_folds", [5, 10])
def test_strict_folds_keep_faces_apart(kind, n_folds):
    dataset = opened(kind)
    subjects, labels = dataset.subjects, dataset.labels
    person = np.unique(subjects, return_inverse=True)[1]
    tested, unevenness = np.zeros(len(dataset), int), 0.0
    for fold in range(n_folds):
        splits = dataset.splits(protocol="strict", fold=fold, n_folds=n_folds, seed=0)
        parts = [splits.train, splits.validation, splits.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(dataset)))
        people = [set(subjects[part]) for part in parts]
        assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
        tested[splits.test] += 1
        # A subject is never cut, so a fold's size is right up to the clips of one subject.
        assert abs(len(splits.test) - len(dataset) / n_folds) <= np.bincount(person).max()
        unevenness += imbalance(labels, splits.test)
    assert (tested == 1).all()
    rng, by_chance = np.random.default_rng(0), []
    for _ in range(30):
        fold_of = rng.permutation(np.arange(person.max() + 1) % n_folds)[person]
        by_chance.append(sum(imbalance(labels, fold_of == fold) for fold in range(n_folds)))
    # Where every subject shows every class once, all divisions are nearly even.
    assert unevenness < max(min(by_chance), 0.007)


def test_strict_folds_follow_from_their_seed():
    dataset = opened(CKPlusDVS)
    first = dataset.splits(seed=1).test
    assert np.array_equal(first, dataset.splits(seed=1).test)
    assert not np.array_equal(first, dataset.splits(seed=2).test)


def test_numbers_that_cannot_be_are_refused():
    dataset = opened(ADFESDVS)
    with pytest.raises(DatasetError, match="choose 3 to 22 folds"):
        dataset.splits(n_folds=23)
    with pytest.raises(DatasetError, match="folds are 0 to 9, got 10"):
        dataset.splits(fold=10)
    with pytest.raises(DatasetError, match="folds are 0 to 9, got 10"):
        dataset.splits(protocol="authors", fold=10)
    with pytest.raises(DatasetError, match="choose one of authors, strict"):
        dataset.splits(protocol="loose")


def test_eckplus_list(eckplus):
    splits = eckplus.splits(protocol="authors")
    frames = np.array([len(numbers) for numbers in eckplus.frame_numbers])
    assert (len(eckplus), frames.sum()) == (319, 2726)
    assert (len(splits.train), frames[splits.train].sum()) == (256, 2168)
    assert (len(splits.test), frames[splits.test].sum()) == (63, 558)
    assert len(set(eckplus.subjects[splits.train])) == 107
    assert len(set(eckplus.subjects[splits.test])) == 30
    assert "19 of the 30 test subjects are also in the training samples" in splits.text


def test_eckplus_classes(eckplus):
    splits, labels = eckplus.splits(protocol="authors"), eckplus.labels
    frames = np.array([len(numbers) for numbers in eckplus.frame_numbers])
    assert eckplus.classes == (
        "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise",
    )  # fmt: skip

    def counted(part, weights=None):
        return np.bincount(labels[part], None if weights is None else weights[part]).tolist()

    assert counted(splits.train) == [35, 14, 45, 20, 55, 21, 66]
    assert counted(splits.test) == [7, 4, 12, 5, 14, 6, 15]
    assert counted(splits.train, frames) == [343, 76, 314, 151, 486, 205, 593]
    assert counted(splits.test, frames) == [92, 21, 65, 99, 102, 77, 102]


def test_eckplus_agrees_with_spiking_fer_by_class_name(eckplus):
    """223 sequences are in both sets; numbers differ, names do not."""
    theirs = opened(CKPlusDVS)
    named = {s.name.replace("/", "_"): theirs.classes[s.label] for s in theirs.samples}
    shared = [s for s in eckplus.samples if s.name in named]
    assert len(shared) == 223
    assert all(eckplus.classes[s.label] == named[s.name] for s in shared)
