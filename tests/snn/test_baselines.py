"""The baselines find what is there to be found by them, and nothing else."""

import numpy as np

from snn.baselines import event_count_baseline, ridge_baseline


def test_event_count_tells_apart_what_differs_in_count():
    counts, labels = np.arange(120) % 40, np.arange(120) % 40 // 20
    assert event_count_baseline(counts, labels, counts, labels) > 0.9


def test_event_count_is_at_chance_for_equal_counts():
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=1000)
    counts = rng.integers(1000, size=1000)
    accuracy = event_count_baseline(counts[:500], labels[:500], counts[500:], labels[500:])
    assert abs(accuracy - 0.25) < 0.06


def test_ridge_finds_where_events_fall():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=900)
    maps = rng.poisson(1.0, (900, 4, 2, 6, 6))
    maps[np.arange(900), 2, 1, labels, labels] += 8
    parts = [(maps[i::3], labels[i::3]) for i in range(3)]
    assert ridge_baseline(*parts[0], *parts[1], *parts[2]) > 0.9
    shuffled = rng.permutation(parts[2][1])
    assert ridge_baseline(*parts[0], *parts[1], parts[2][0], shuffled) < 0.5
