"""Who trains, who validates, who tests: two protocols that are never mixed.

``authors`` is what a paper did, including model selection on its test set. ``strict`` is a k-fold
by subject: each subject is tested in exactly one fold and validates in exactly one other, so
neither training nor selection ever sees a face that is tested.

>>> splits = faces.splits(protocol="strict", fold=0, n_folds=10, seed=0)
>>> splits.train, splits.validation, splits.test, splits.majority_share, print(splits.text)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from snn.errors import DatasetError

PROTOCOLS = ("authors", "strict")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Three sets of samples and what they mean.

    Parameters
    ----------
    train, validation, test : ndarray of int64
        Indices into the data set; `validation` is `test` where a paper selected on its test set.
    protocol : str
        One of ``PROTOCOLS``.
    text : str
        The protocol in a few sentences, for reports.
    labels : ndarray of int64, shape (n_samples,)
        Classes of all samples of the set.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    protocol: str
    text: str
    labels: np.ndarray = field(repr=False)

    @property
    def majority_share(self) -> float:
        """Test accuracy of always guessing the commonest class of the training samples."""
        commonest = np.bincount(self.labels[self.train]).argmax()
        return float(np.mean(self.labels[self.test] == commonest))


def published_splits(
    labels: np.ndarray,
    subjects: np.ndarray,
    parts: np.ndarray,
    *,
    source: str,
) -> Splits:
    """The split that came with a set.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_samples,)
    subjects, parts : ndarray of str, shape (n_samples,)
        Who was recorded, and one of ``PARTS`` for each sample. Without ``validation`` samples the
        test samples validate, as published; without ``test`` samples the validation samples test.
    source : str
        Where the split comes from, for the text.

    Raises
    ------
    DatasetError
        When there is nothing to train on or nothing to test on.
    """
    train, validation, test = (np.flatnonzero(parts == part) for part in PARTS)
    notes = [f"As published: {source}."]
    if len(validation) and len(test):
        notes.append("Models are selected on the validation samples.")
    else:
        validation = test = np.concatenate([validation, test])
        notes.append(
            "There is one held-out part: models are selected on the samples that they are "
            "tested on, so the score is optimistic."
        )
    if not len(train) or not len(test):
        raise DatasetError(
            f"{source}: {len(train)} training and {len(test)} test samples; "
            "a split needs both, use protocol 'strict'"
        )
    notes.append(_leakage(subjects, train, test))
    return Splits(
        train=train,
        validation=validation,
        test=test,
        protocol="authors",
        text=" ".join(notes),
        labels=labels,
    )


def strict_splits(
    labels: np.ndarray,
    subjects: np.ndarray,
    classes: tuple[str, ...],
    *,
    fold: int,
    n_folds: int,
    seed: int,
) -> Splits:
    """One fold of a k-fold by subject, with classes spread as evenly as subjects allow.

    Fold `fold` tests, the next one validates, the others train.

    Parameters
    ----------
    labels : ndarray of int64, shape (n_samples,)
    subjects : ndarray of str, shape (n_samples,)
    classes : tuple of str
        Names of the labels, for the text.
    fold, n_folds : int
        Which of how many; at least three folds, at most one a subject.
    seed : int
        Another seed gives other folds.

    Raises
    ------
    DatasetError
        For numbers that cannot be, or samples whose subject is not known.
    """
    people = np.unique(subjects)
    if (subjects == "").any():
        raise DatasetError(
            f"the subject of {np.sum(subjects == '')} samples is not known: a split by subject "
            "needs them; give subject_pattern"
        )
    if len(people) < 3:
        raise DatasetError(
            f"{len(people)} subjects: to train, validate and test on different ones takes at "
            "least 3; add recordings of others, or give a subject_pattern that tells them apart"
        )
    if not 3 <= n_folds <= len(people):
        raise DatasetError(
            f"{n_folds} folds of {len(people)} subjects: choose 3 to {len(people)} folds"
        )
    if not 0 <= fold < n_folds:
        raise DatasetError(f"folds are 0 to {n_folds - 1}, got {fold}")
    fold_of = _subject_folds(labels, subjects, n_folds=n_folds, seed=seed)
    validating = (fold + 1) % n_folds
    test, validation = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of == validating)
    train = np.flatnonzero((fold_of != fold) & (fold_of != validating))
    parts = {"train": train, "validation": validation, "test": test}
    people_in = {part: len(np.unique(subjects[indices])) for part, indices in parts.items()}
    notes = [
        f"Subject-disjoint fold {fold} of {n_folds} (seed {seed}), stratified by class, one "
        f"sample a sequence: {people_in['train']} subjects train, {people_in['validation']} "
        f"others validate, {people_in['test']} others test. Models are selected on the validation "
        "samples; test samples are used once."
    ]
    for part, indices in parts.items():
        if absent := [c for k, c in enumerate(classes) if k not in labels[indices]]:
            notes.append(f"No {part} sample shows {', '.join(absent)}.")
    return Splits(**parts, protocol="strict", text=" ".join(notes), labels=labels)


def _subject_folds(
    labels: np.ndarray, subjects: np.ndarray, *, n_folds: int, seed: int
) -> np.ndarray:
    """Fold of each sample. Subjects with most samples go first, each to the fold that it helps.

    Helping is measured by the squared distance of the class counts of the folds from equal
    shares, each class relative to its share, so that rare classes count as much as common ones.
    """
    people, person = np.unique(subjects, return_inverse=True)
    counts = np.zeros((len(people), int(labels.max()) + 1))
    np.add.at(counts, (person, labels), 1)
    share = np.maximum(counts.sum(axis=0) / n_folds, 1e-9)
    # Shuffled, then sorted stably: the seed decides among subjects with as many samples.
    order = np.random.default_rng(seed).permutation(len(people))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((n_folds, counts.shape[1]))
    fold_of_person = np.empty(len(people), np.int64)
    for subject in order:
        before = ((filled / share - 1) ** 2).sum(axis=1)
        after = (((filled + counts[subject]) / share - 1) ** 2).sum(axis=1)
        empty = filled.sum(axis=1) == 0  # no fold stays empty
        chosen = int(np.where(empty.any() & ~empty, np.inf, after - before).argmin())
        filled[chosen] += counts[subject]
        fold_of_person[subject] = chosen
    return fold_of_person[person]


def _leakage(subjects: np.ndarray, train: np.ndarray, test: np.ndarray) -> str:
    if (subjects == "").any():
        return "Whether subjects occur in both parts is not known."
    tested = np.unique(subjects[test])
    shared = int(np.isin(tested, subjects[train]).sum())
    if not shared:
        return f"None of the {len(tested)} test subjects is in the training samples."
    return f"{shared} of the {len(tested)} test subjects are also in the training samples."
