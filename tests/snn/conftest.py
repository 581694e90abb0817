"""Recordings drawn at random, and what others read and made that ours are compared with."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.events.recording import Recording, make_events

V2E_DATA = Path(__file__).parents[3] / "shared" / "data" / "v2e"


@pytest.fixture(scope="session")
def random_recording():
    """``(n, *, seed=0, span_us=8_000_000) -> Recording`` on a sensor of 100×80."""
    return _random_recording


@pytest.fixture
def recording():
    """4,000 events of eight seconds, of which the largest x is 89 and the largest y 69."""
    return _random_recording(4000, seed=3)


@pytest.fixture(scope="session")
def peer():
    """``name -> module`` of an independent reader; the test is skipped where it is missing."""
    return _peer


@pytest.fixture(scope="session")
def by_faery():
    """``path -> events, fields t, x, y, on``, as faery reads them."""
    return _by_faery


@pytest.fixture(scope="session")
def assert_same_events():
    """``(ours, theirs, names=("x", "y", "t", "p"))``: equal, whatever their fields are called."""
    return _assert_same_events


@pytest.fixture(scope="session")
def assert_events_of_v2e():
    """``(events, name)``: those of a file by v2e, which shuffles the events of one timestamp."""
    return _assert_events_of_v2e


def _random_recording(n, *, seed=0, span_us=8_000_000):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(5, span_us, n))
    events = make_events(rng.integers(0, 90, n), rng.integers(0, 70, n), t, rng.integers(0, 2, n))
    return Recording(events, (100, 80))


def _peer(name):
    return pytest.importorskip(name, reason=f"{name} is an independent reader, for tests only")


def _by_faery(path):
    parts = _peer("faery").events_stream_from_file(str(path))
    return np.concatenate([part.copy() for part in parts])


def _assert_same_events(ours, theirs, names=("x", "y", "t", "p")):
    assert len(ours) == len(theirs) > 0
    for name, other in zip("xytp", names, strict=True):
        np.testing.assert_array_equal(ours[name], theirs[other].astype(np.int64))


def _assert_events_of_v2e(events, name):
    with h5py.File(V2E_DATA / name) as file:
        theirs = file["events"][:].astype(np.int64)
    ours = np.stack([events["t"], events["x"], events["y"], events["p"]], axis=1).astype(np.int64)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
