"""Windows by hand, and against the published loop."""

from __future__ import annotations

import numpy as np
import pytest

from conversion.tie import frame_windows
from snn.errors import EventFormatError


def test_windows_by_hand() -> None:
    # A window begins at the first microsecond at or after k/30 s: 0, 33,334, 66,667 after 1,000.
    times = np.array([1_000, 34_333, 34_334, 67_666, 67_667, 70_000])
    starts, ends = frame_windows(times)
    assert starts.tolist() == [0, 2, 4]
    assert ends.tolist() == [2, 4, 6]  # the last one is shorter, and kept


def test_windows_may_be_empty() -> None:
    starts, ends = frame_windows(np.array([0, 70_000]))
    assert (ends - starts).tolist() == [1, 0, 1]


def test_another_start_leaves_earlier_events_out() -> None:
    starts, ends = frame_windows(np.array([10, 20, 30, 40_030]), start_us=25)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(2, 3), (3, 4)]
    starts, ends = frame_windows(np.array([10, 20]), start_us=-40_000)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(0, 0), (0, 2)]


@pytest.mark.parametrize(
    ("times", "start_us", "n_windows"),
    [([], None, 0), ([7], None, 1), ([7, 7], None, 1), ([7, 8], 9, 0), ([9], 9, 1)],
)
def test_hardly_any_events(times: list[int], start_us: int | None, n_windows: int) -> None:
    starts, ends = frame_windows(np.array(times, np.int64), start_us=start_us)
    assert starts.dtype == ends.dtype == np.int64
    assert len(starts) == len(ends) == n_windows
    if n_windows:
        assert (starts[0], ends[0]) == (0, len(times))


def test_an_event_at_the_very_end_of_whole_windows_is_in_none() -> None:
    _, ends = frame_windows(np.array([0, 50_000, 100_000]))  # three windows of 1/30 s
    assert ends.tolist() == [1, 2, 2]


def test_times_far_from_zero_are_cut_exactly() -> None:
    offset = 1 << 60
    times = np.array([0, 33_333, 33_334, 999_999])
    near, far = frame_windows(times), frame_windows(times + offset)
    np.testing.assert_array_equal(near, far)


def test_the_published_loop_makes_the_same_windows() -> None:
    times = np.sort(np.random.default_rng(3).integers(5_000, 1_300_000, 4_000))
    seconds, expected = times / 1e6, []
    current = seconds[0]
    while current < seconds[-1]:
        inside = (seconds >= current) & (seconds < current + 1 / 30)
        label = round((current - seconds[0]) * 30)
        expected.append((label, np.flatnonzero(inside)))
        current += 1 / 30
    starts, ends = frame_windows(times)
    assert [label for label, _ in expected] == list(range(len(starts)))
    for (_, inside), start, end in zip(expected, starts, ends, strict=True):
        np.testing.assert_array_equal(inside, np.arange(start, end))


def test_absurd_times_and_rates_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(EventFormatError, match="check the unit of the times"):
        frame_windows(np.array([0, 1 << 60]))
    with pytest.raises(EventFormatError, match="rate of frames"):
        frame_windows(np.array([0, 1]), frame_rate_hz=0)
    with pytest.raises(EventFormatError, match="rate of frames"):
        frame_windows(np.array([0, 1]), frame_rate_hz=float("nan"))
