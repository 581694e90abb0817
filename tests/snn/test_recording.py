"""Recordings: what they refuse, what a report counts, what the repairs do; hand-worked numbers."""

import numpy as np
import pytest

from snn.errors import EventFormatError
from snn.events.recording import (
    EVENT_DTYPE,
    EventInspector,
    Recording,
    clamp_times,
    drop_outside,
    inspect,
    make_events,
    sort_events,
)

# x, y, t, p: a duplicate (1, 2), an event outside 8×8 (4), two steps back (5: by 6, 7: by 1)
ODD = [
    (1, 1, 10, 1),
    (2, 1, 12, 0),
    (2, 1, 12, 0),
    (2, 1, 12, 1),
    (9, 3, 16, 1),
    (0, 0, 10, 1),
    (0, 7, 21, 1),
    (0, 7, 20, 1),
]


@pytest.fixture
def odd():
    return np.array(ODD, EVENT_DTYPE)


def test_report_of_odd_events(odd):
    report = inspect(odd, (8, 8))
    assert (report.events, report.on_events, report.off_events) == (8, 6, 2)
    assert (report.first_us, report.last_us, report.duration_us) == (10, 21, 11)
    assert report.extent == (10, 8)
    assert report.outside == 1
    assert (report.steps_back, report.largest_step_back_us) == (2, 6)
    assert report.duplicates == 1
    assert report.on_share == 0.75
    assert report.rate_hz == pytest.approx(8 / 11e-6)
    assert len(report.problems()) == 3


def test_report_of_nothing_and_of_bad_polarities():
    empty = inspect(np.zeros(0, EVENT_DTYPE))
    assert (empty.events, empty.rate_hz, empty.on_share, empty.extent) == (0, 0, 0, (0, 0))
    assert empty.problems() == ["there are no events"]
    report = inspect(make_events([0, 0], [0, 0], [0, 1], [2, 0]))
    assert (report.bad_polarities, report.off_events, report.on_events) == (1, 1, 0)


def test_duplicates_equal_numpy_and_do_not_depend_on_the_pieces():
    rng = np.random.default_rng(0)
    n = 20_000
    t = np.sort(rng.integers(0, 500, n))
    events = make_events(rng.integers(0, 9, n), rng.integers(0, 5, n), t, rng.integers(0, 2, n))
    whole = inspect(events, (9, 5))
    assert whole.duplicates == n - len(np.unique(events)) > 0
    inspector = EventInspector((9, 5))
    for piece in np.split(events, [1, 2, 500, 500, 19_000]):
        inspector.add(piece)
    assert inspector.report() == whole


def test_duplicates_are_not_counted_on_absurd_sensors():
    events = make_events([65_535, 0], [65_535, 0], [0, 0], [1, 1])
    assert inspect(events).duplicates is None
    assert inspect(events).extent == (65_536, 65_536)


def test_repairs(odd):
    before = odd.copy()
    np.testing.assert_array_equal(clamp_times(odd)["t"], [10, 12, 12, 12, 16, 16, 21, 21])
    np.testing.assert_array_equal(clamp_times(odd[5:], floor_us=16)["t"], [16, 21, 21])
    ordered = sort_events(odd)
    np.testing.assert_array_equal(ordered["x"], [1, 0, 2, 2, 2, 9, 0, 0])  # ties in file order
    assert len(drop_outside(odd, (8, 8))) == 7
    np.testing.assert_array_equal(odd, before)
    Recording(sort_events(drop_outside(odd, (8, 8))), (8, 8))


def test_recordings_refuse(odd):
    with pytest.raises(EventFormatError, match=r"9, 7.*at least 10×8, or drop"):
        Recording(odd, (8, 8))
    message = (
        r"backwards after event 4 \(2 times in all, by up to 6 µs\); sort the events, or clamp"
    )
    with pytest.raises(EventFormatError, match=message):
        Recording(odd, (10, 8))
    with pytest.raises(EventFormatError, match="polarities must be 0 or 1"):
        Recording(make_events([0], [0], [0], [3]), (1, 1))
    with pytest.raises(EventFormatError, match="at least 1×1"):
        Recording(odd, (0, 8))
    with pytest.raises(EventFormatError, match="1-d array"):
        Recording(np.zeros((3, 4)), (8, 8))
    far = make_events([0, 0], [0, 0], [-(1 << 62), 1 << 62], [0, 0])
    with pytest.raises(EventFormatError, match=r"2\*\*61"):
        Recording(far, (1, 1))
