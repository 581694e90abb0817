"""How fast events become frames, are filtered and augmented: against tonic, and the bound.

The compared functions take turns and the medians of ratios are reported, since neighbours on a
shared machine slow all of them. Before anything is timed, results are compared.

The bound is reading every event once: a kernel that adds up one field of each 13-byte event.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numba
import numpy as np
from measuring import Row, seconds
from tonic import functional
from tonic.transforms import ToFrame

from snn.events import filters
from snn.events.augment import (
    BackgroundActivity,
    EventDrop,
    FlipLeftRight,
    FlipPolarity,
    Reverse,
    SpikingFERAugmentation,
)
from snn.events.augment.events import drop_at_random
from snn.events.frames import EqualCountFrames, SpikingFERFrames
from snn.events.frames.slices import event_bins
from snn.events.recording import Recording, make_events

SIZE, BINS = (200, 200), 10


def measure(*, quick: bool = False) -> list[Row]:
    """All rows: what, events, ms, tonic_ms, vs_tonic, and of_bound (time over that of reading)."""
    rounds = 5 if quick else 11
    counts = (25_000, 1_000_000) if quick else (25_000, 1_000_000, 10_000_000)
    rows = [row for n in counts for row in frames(n, 3 if n > 2_000_000 else rounds)]
    events = random_events(1_000_000)
    return rows + filtering(events, 2 if quick else 3) + augmenting(events, rounds)


def frames(n: int, rounds: int) -> list[Row]:
    """tonic's ToFrame, the kernel in place, and the kernel after copying the columns."""
    events = random_events(n)
    recording = Recording(events, SIZE)
    ours, theirs = EqualCountFrames(n_bins=BINS), ToFrame((*SIZE, 2), n_event_bins=BINS)
    np.testing.assert_array_equal(ours(recording), theirs(events))
    slices = event_bins(n, BINS)

    def from_columns() -> np.ndarray:
        x, y, _, p = (np.ascontiguousarray(events[name]) for name in "xytp")
        counts = np.zeros((BINS, 2, *SIZE[::-1]), np.uint16)
        _count_columns(x, y, p, *slices, 65535, counts)
        return counts

    np.testing.assert_array_equal(from_columns(), ours(recording))
    binary = EqualCountFrames(n_bins=BINS, binary=True)
    return [
        _row("counts", events, lambda: ours(recording), lambda: theirs(events), rounds),
        _row("binary", events, lambda: binary(recording), lambda: theirs(events) > 0, rounds),
        _row("counts, columns copied first", events, from_columns, None, rounds),
        _row("Spiking-FER frames", events, lambda: SpikingFERFrames()(recording), None, rounds),
    ]


def filtering(events: np.ndarray, rounds: int) -> list[Row]:
    """Filters against tonic's loops in Python; each of tonic's runs takes seconds."""
    pairs: list[tuple[str, Callable, Callable]] = [
        ("denoise", lambda: filters.denoise(events), lambda: functional.denoise_numpy(events)),
        ("refractory period", lambda: filters.refractory_period(events, 10_000),
         lambda: functional.refractory_period_numpy(events, 10_000)),
        ("decimate", lambda: filters.decimate(events, 3),
         lambda: functional.decimate_numpy(events, 3)),
    ]  # fmt: skip
    for _, ours, theirs in pairs:
        np.testing.assert_array_equal(ours(), theirs())
    return [_row(name, events, ours, theirs, rounds) for name, ours, theirs in pairs]


def augmenting(events: np.ndarray, rounds: int) -> list[Row]:
    """Every augmentation, made to happen, and the published pipeline on a typical clip."""
    rng = np.random.default_rng(0)
    steps = {
        "flip": FlipLeftRight(probability=1.0),
        "background_activity": BackgroundActivity(probability=1.0),
        "reverse": Reverse(probability=1.0),
        "flip_polarity": FlipPolarity(),
        "event_drop, median of its kinds": EventDrop(),
    }
    rows = [
        _row(name, events, lambda step=step: step(events, SIZE, rng), None, 4 * rounds)
        for name, step in steps.items()
    ]
    rows.append(
        _row(
            "drop half at random", events, lambda: drop_at_random(events, 0.5, rng),
            lambda: functional.drop_event_numpy(events, 0.5), rounds,
        )
    )  # fmt: skip
    clip, pipeline = Recording(random_events(68_810), SIZE), SpikingFERAugmentation()
    rows.append(
        _row("Spiking-FER pipeline", clip.events, lambda: pipeline(clip, rng), None, 8 * rounds)
    )
    return rows


def random_events(n: int) -> np.ndarray:
    """A second of uniform events: the worst case for the caches, no two alike."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    return make_events(x, y, np.sort(rng.integers(0, 1_000_000, n)), rng.integers(0, 2, n))


def _row(
    what: str,
    events: np.ndarray,
    ours: Callable[[], object],
    theirs: Callable[[], object] | None,
    rounds: int,
) -> Row:
    runs: dict[str, list[float]] = {"ours": [], "theirs": [], "bound": []}
    for run in (ours, lambda: _read(events)):
        run()  # compiles
    for _ in range(rounds):
        runs["bound"].append(seconds(lambda: _read(events), 1))
        runs["ours"].append(seconds(ours, 1))
        if theirs:
            runs["theirs"].append(seconds(theirs, 1))
    pairs = zip(runs["theirs"], runs["ours"], strict=False)
    bounds = zip(runs["ours"], runs["bound"], strict=True)
    return {
        "what": what,
        "events": len(events),
        "ms": 1e3 * median(runs["ours"]),
        "tonic_ms": 1e3 * median(runs["theirs"]) if theirs else "",
        "vs_tonic": median(a / b for a, b in pairs) if theirs else "",
        "of_bound": median(a / b for a, b in bounds),
    }


@numba.njit(error_model="numpy")
def _read(events):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(len(events)):
        total += events[i].x
    return total


@numba.njit(error_model="numpy")
def _count_columns(x, y, p, starts, ends, limit, frames):  # type: ignore[no-untyped-def]
    """`count_slices` on columns instead of events."""
    for k in range(len(starts)):
        frame = frames[k]
        for i in range(starts[k], ends[k]):
            count = frame[p[i], y[i], x[i]]
            frame[p[i], y[i], x[i]] = count + (count < limit)
