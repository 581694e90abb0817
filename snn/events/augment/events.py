"""Augmentations of events, with the parameters that Spiking-FER published.

Each is a frozen object called with events, the sensor's size and a random generator; it returns
events in time order and never writes into its input (it may return it as it is).

    flip                 x' = width - 1 - x
    background_activity  ⌊share · n⌋ events added, uniform in x, y, t and p
    reverse              t' = t_max - t, order turned round, polarity inverted
    flip_polarity        each polarity inverted with a probability of its own
    event_drop           one of: nothing, a stretch of time, a box, events at random

Sources: the public code of Spiking-FER (S. Barchid et al., CBMI 2023) and F. Gu et al.,
"EventDrop: Data Augmentation for Event-based Learning", IJCAI 2021.

>>> FlipLeftRight()(recording.events, recording.sensor_size, np.random.default_rng(0))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numba
import numpy as np

from snn.events.filters import flip_left_right, select
from snn.events.frames.kernels import first_at
from snn.events.recording import EVENT_DTYPE, make_events

NOISE_SHARES = (0.005, 0.01, 0.03, 0.10, 0.20)  # of the recording's events, by severity 1..5
DROP_RATIOS = tuple(k / 10 for k in range(1, 10))  # of the duration, or of the events
AREA_RATIOS = tuple(k / 20 for k in range(1, 6))


class EventAugmentation(Protocol):
    """Anything that changes events at random."""

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        """New events in time order, on the same sensor."""
        ...


@dataclass(frozen=True, kw_only=True)
class FlipLeftRight:
    """Mirror a recording with a probability."""

    probability: float = 0.5

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        return flip_left_right(events, sensor_size) if _happens(self.probability, rng) else events


@dataclass(frozen=True, kw_only=True)
class BackgroundActivity:
    """Add noise events, uniform over the sensor and the recording's time.

    Parameters
    ----------
    probability : float
    severity : int
        1 to 5, for `NOISE_SHARES` of the recording's events.
    published : bool
        As in the published code, no noise falls on the latest time (its uniform times are rounded
        down; for x and y that makes no difference). Otherwise the latest time is included.

    Notes
    -----
    Noise comes after the recording's own events of the same time.
    """

    probability: float = 0.5
    severity: int = 5
    published: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.severity <= len(NOISE_SHARES):
            raise ValueError(f"severity must be 1 to {len(NOISE_SHARES)}, got {self.severity}")

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        n_noise = int(NOISE_SHARES[self.severity - 1] * len(events))
        if not _happens(self.probability, rng) or not n_noise:
            return events
        first, last = int(events["t"][0]), int(events["t"][-1])
        end = last if self.published and last > first else last + 1
        noise = make_events(
            rng.integers(0, sensor_size[0], n_noise, np.uint16),
            rng.integers(0, sensor_size[1], n_noise, np.uint16),
            np.sort(rng.integers(first, end, n_noise)),
            rng.integers(0, 2, n_noise, np.uint8),
        )
        merged = np.empty(len(events) + n_noise, EVENT_DTYPE)
        _merge(events, noise, merged)
        return merged


@dataclass(frozen=True, kw_only=True)
class Reverse:
    """Play a recording backwards with a probability: brightening becomes darkening.

    Times start at 0 afterwards, whatever they started at, as published.
    """

    probability: float = 0.2

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        if not _happens(self.probability, rng) or not len(events):
            return events
        reversed_events = np.empty_like(events)
        _reverse(events, reversed_events)
        return reversed_events


@dataclass(frozen=True, kw_only=True)
class FlipPolarity:
    """Invert the polarity of each event with a probability; not in the published default set."""

    probability: float = 0.2

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        flipped = np.empty(len(events), EVENT_DTYPE)
        _flip_polarity(events, rng.random(len(events), np.float32), self.probability, flipped)
        return flipped


@dataclass(frozen=True, kw_only=True)
class EventDrop:
    """EventDrop: with equal chance drop nothing, a stretch of time, a box, or random events.

    Parameters
    ----------
    published : bool
        As in the published code, time is taken to start at 0 (with absolute times the stretch may
        lie before the recording and drop nothing), the area ratio is that of each side (a box of
        at most 6.25 % of the area), and a box never reaches the last column or row. Otherwise time
        starts at the first event, the ratio is that of the area, and boxes reach everywhere.

    Notes
    -----
    Ratios are drawn from .1, .2 .. .9 of the duration or the number of events, and .05, .10 .. .25
    of the area. Few events may be left: see `SpikingFERFrames` for what becomes of them.
    """

    published: bool = True

    def __call__(
        self, events: np.ndarray, sensor_size: tuple[int, int], rng: np.random.Generator
    ) -> np.ndarray:
        kind = rng.integers(4)
        if kind == 0 or not len(events):
            return events
        if kind == 1:
            first = 0 if self.published else int(events["t"][0])
            return drop_by_time(events, rng.choice(DROP_RATIOS), rng, first_us=first)
        if kind == 2:
            ratio = rng.choice(AREA_RATIOS)
            side = ratio if self.published else ratio**0.5
            return drop_by_area(events, sensor_size, side, rng, to_the_edge=not self.published)
        return drop_at_random(events, rng.choice(DROP_RATIOS), rng)


def drop_by_time(
    events: np.ndarray, ratio: float, rng: np.random.Generator, *, first_us: int
) -> np.ndarray:
    """Drop a stretch of `ratio` of the time from `first_us` to the last event, ends included."""
    span = float(int(events["t"][-1]) - first_us)
    begin = first_us + rng.uniform(0, span * (1 - ratio)) if span > 0 else float(first_us)
    times = np.array([np.ceil(begin), np.floor(begin + span * ratio) + 1])
    low, high = first_at(events, times)
    return np.concatenate([events[:low], events[max(low, high) :]])


def drop_by_area(
    events: np.ndarray,
    sensor_size: tuple[int, int],
    side: float,
    rng: np.random.Generator,
    *,
    to_the_edge: bool,
) -> np.ndarray:
    """Drop a box whose sides are the share `side` of the sensor's, rounded down to pixels.

    Without `to_the_edge` the box never holds the sensor's last column and row.
    """
    width, height = (int(n * side) for n in sensor_size)
    left = rng.integers(sensor_size[0] - width + to_the_edge)
    top = rng.integers(sensor_size[1] - height + to_the_edge)
    x, y = events["x"], events["y"]
    inside = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
    return select(events, ~inside)


def drop_at_random(events: np.ndarray, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Drop exactly ``⌊ratio · n + 0.5⌋`` of the events, each equally likely."""
    n_dropped = int(ratio * len(events) + 0.5)
    mask = np.empty(len(events), np.bool_)
    _sample(rng.random(len(events)), len(events) - n_dropped, mask)
    return select(events, mask)


def _happens(probability: float, rng: np.random.Generator) -> bool:
    return bool(rng.random() < probability)


@numba.njit(cache=True, error_model="numpy")
def _merge(first, second, merged):  # type: ignore[no-untyped-def]
    """Two sequences in time order into one; `first` goes first at equal times."""
    j = 0
    for i in range(len(first)):
        while j < len(second) and second[j].t < first[i].t:
            merged[i + j] = second[j]
            j += 1
        merged[i + j] = first[i]
    for k in range(j, len(second)):
        merged[len(first) + k] = second[k]


@numba.njit(cache=True, error_model="numpy")
def _reverse(events, reversed_events):  # type: ignore[no-untyped-def]
    last = len(events) - 1
    latest = events[last].t
    for i in range(len(events)):
        event = events[last - i]
        reversed_events[i].x, reversed_events[i].y = event.x, event.y
        reversed_events[i].t, reversed_events[i].p = latest - event.t, 1 - event.p


@numba.njit(cache=True, error_model="numpy")
def _flip_polarity(events, uniform, probability, flipped):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        flipped[i] = events[i]
        flipped[i].p = events[i].p ^ (uniform[i] < probability)


@numba.njit(cache=True, error_model="numpy")
def _sample(uniform, n_kept, mask):  # type: ignore[no-untyped-def]
    """Mark exactly `n_kept`: each with (still wanted) / (still to come), D. Knuth's algorithm S."""
    wanted = n_kept
    for i in range(len(mask)):
        mask[i] = uniform[i] * (len(mask) - i) < wanted
        wanted -= mask[i]
