"""Two trivial classifiers that every reported score stands beside.

A set whose classes differ in the number of events, or in where events fall on average, can be
"solved" without seeing any expression. These two measure how far that goes.
"""

from __future__ import annotations

import numpy as np

COUNT_BINS = 12
RIDGE_STRENGTHS = tuple(10.0**k for k in range(-2, 7))


def event_count_baseline(
    train_counts: np.ndarray,
    train_labels: np.ndarray,
    test_counts: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Accuracy of guessing the class from the number of events alone.

    The training clips are cut into ``COUNT_BINS`` equally filled bins of their event count; a test
    clip gets the commonest training class of its bin.

    Parameters
    ----------
    train_counts, test_counts : ndarray of shape (n_clips,)
        Events per clip.
    train_labels, test_labels : ndarray of shape (n_clips,), integer
        Classes from 0.

    Returns
    -------
    float
        Share of test clips with the right class, in [0, 1].
    """
    edges = np.quantile(train_counts, np.arange(1, COUNT_BINS) / COUNT_BINS)
    votes = np.zeros((COUNT_BINS, int(np.max(train_labels)) + 1), np.int64)
    np.add.at(votes, (np.searchsorted(edges, train_counts, side="right"), train_labels), 1)
    guesses = votes.argmax(axis=1)[np.searchsorted(edges, test_counts, side="right")]
    return float(np.mean(guesses == test_labels))


def ridge_baseline(
    train_maps: np.ndarray,
    train_labels: np.ndarray,
    validation_maps: np.ndarray,
    validation_labels: np.ndarray,
    test_maps: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Accuracy of ridge regression from event count maps to one-hot classes.

    Features are ``log(1 + count)``, standardised on the training clips; the strength is the one
    of ``RIDGE_STRENGTHS`` that does best on the validation clips. Solved in the dual, since there
    are more features than clips: ``A = (K + αI)⁻¹ Y`` with ``K = X Xᵀ``.

    Parameters
    ----------
    train_maps, validation_maps, test_maps : ndarray of shape (n_clips, bins, 2, height, width)
        Events per time bin, polarity and pixel.
    train_labels, validation_labels, test_labels : ndarray of shape (n_clips,), integer
        Classes from 0.

    Returns
    -------
    float
        Share of test clips with the right class, in [0, 1].
    """
    train = _features(train_maps)
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-3
    train = (train - mean) / spread
    validation = (_features(validation_maps) - mean) / spread @ train.T
    test = (_features(test_maps) - mean) / spread @ train.T
    targets = np.eye(int(np.max(train_labels)) + 1)[train_labels]
    offset = targets.mean(axis=0)
    values, vectors = np.linalg.eigh((train @ train.T).astype(np.float64))
    rotated = vectors.T @ (targets - offset)
    best_accuracy, best_dual = -1.0, rotated
    for strength in RIDGE_STRENGTHS:
        dual = vectors @ (rotated / (np.maximum(values, 0) + strength)[:, None])
        accuracy = _accuracy(validation @ dual + offset, validation_labels)
        if accuracy > best_accuracy:
            best_accuracy, best_dual = accuracy, dual
    return _accuracy(test @ best_dual + offset, test_labels)


def _features(maps: np.ndarray) -> np.ndarray:
    return np.log1p(maps.reshape(len(maps), -1).astype(np.float32))


def _accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
