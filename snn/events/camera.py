"""Video frames to events: the pixel model of v2e, written anew from its formulas.

A pixel remembers a log intensity (``base``) and compares the present one with it: each whole
threshold of difference is one event, and the memory follows by that threshold.

    L      = I·ln(20)/20 for I ≤ 20, else ln I                 lin-log, I = 0..255
    Lp     = (1 - ε)·Lp + ε·L,  ε = min(1, 2π·fc·dt·(I+20)/275)  low-pass; fc = 0: Lp = L
    n_on   = ⌊max(0,  Lp - base) / θ_on⌋                        events of this frame interval
    n_off  = ⌊max(0, base - Lp) / θ_off⌋
    base  += n_on·θ_on - n_off·θ_off

The events of an interval lie on M slots, M being the largest count of any pixel: slot ``i`` is at
``t_previous + (i + 1)·dt/M`` and a pixel with ``n`` events uses the first ``n`` slots. So a pixel
with one event fires early in the interval, not where its signal crossed the threshold; render fast
enough that an edge moves less than a pixel per frame.

Reference: Y. Hu, S.-C. Liu, T. Delbruck, "v2e: From Video Frames to Realistic DVS Events", CVPRW
2021, and the behaviour of v2e 1.5.1. Without noise the events equal those of v2e.

>>> frames = np.stack([np.full((4, 4), 50, np.uint8), np.full((4, 4), 100, np.uint8)])
>>> len(events_from_frames(frames, frame_rate_hz=30.0, parameters=CameraParameters(sigma_thres=0)))
48
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from snn.errors import EventFormatError
from snn.events.recording import EVENT_DTYPE, Recording, make_events

LINEAR_BELOW = 20  # digital numbers up to this one map linearly, the others logarithmically
SMALLEST_THRESHOLD = 0.01  # v2e's floor under a randomly drawn threshold
SHOT_NOISE_BRIGHT = 0.25  # shot noise rate of a white pixel relative to a black one


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of the pixel model, under v2e's names; the defaults are its ``clean`` preset.

    Parameters
    ----------
    pos_thres, neg_thres : float
        Nominal ON and OFF threshold in units of log intensity.
    sigma_thres : float
        Standard deviation of the thresholds from pixel to pixel.
    cutoff_hz : float
        Cut-off of the photoreceptor's low-pass for a white pixel; darker ones are slower. 0 is off.
    leak_rate_hz : float
        Rate of the ON events that an unchanging pixel leaks.
    leak_jitter_fraction : float
        Relative jitter of the leak from frame to frame.
    noise_rate_cov_decades : float
        Spread of the leak rate from pixel to pixel, in decades.
    shot_noise_rate_hz : float
        Rate of noise events (both polarities together) of a black pixel.
    refractory_period : float
        Dead time of a pixel after an event, in seconds (v2e's command line uses 0.0005).
    """

    pos_thres: float = 0.2
    neg_thres: float = 0.2
    sigma_thres: float = 0.02
    cutoff_hz: float = 0.0
    leak_rate_hz: float = 0.0
    leak_jitter_fraction: float = 0.1
    noise_rate_cov_decades: float = 0.1
    shot_noise_rate_hz: float = 0.0
    refractory_period: float = 0.0

    def __post_init__(self) -> None:
        if self.pos_thres <= 0 or self.neg_thres <= 0:
            raise ValueError(
                f"thresholds must be above 0, got {self.pos_thres} and {self.neg_thres}"
            )
        negative = [
            name for name, value in vars(self).items() if not name.endswith("thres") and value < 0
        ]
        if negative or self.sigma_thres < 0:
            raise ValueError(f"camera parameters must not be negative: {negative or 'sigma_thres'}")


def events_from_frames(
    frames: np.ndarray,
    *,
    timestamps_us: np.ndarray | None = None,
    frame_rate_hz: float | None = None,
    parameters: CameraParameters | None = None,
    seed: int | np.random.Generator = 0,
    source: str = "camera",
) -> Recording:
    """Simulate an event camera that watches a video.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, height, width), dtype uint8
        Grey values, not gamma corrected. The first frame only sets the pixels' memory.
    timestamps_us : ndarray of shape (n_frames,), optional
        Time of each frame in microseconds, increasing. Exactly one of this and `frame_rate_hz`.
    frame_rate_hz : float, optional
        Constant rate; the first frame is then at time 0.
    parameters : CameraParameters, optional
        Pixel model; default v2e's ``clean`` preset.
    seed : int or numpy.random.Generator
        Source of threshold mismatch and noise.
    source : str
        Name of the recording in messages.

    Returns
    -------
    Recording
        Events sorted by time and, within one timestamp, in reading order with noise events last.

    Raises
    ------
    EventFormatError
        For frames of another shape or dtype, or times that do not increase.
    """
    parameters = parameters or CameraParameters()
    times_s = _frame_times(frames, timestamps_us, frame_rate_hz)
    rng = np.random.default_rng(seed)
    pixels = _Pixels(frames[0], times_s[0], parameters, rng)
    chunks = [pixels.advance(frames[k], times_s[k]) for k in range(1, len(frames))]
    events = np.concatenate(chunks) if chunks else np.zeros(0, EVENT_DTYPE)
    _, height, width = frames.shape
    return Recording(events, (width, height), source)


def _frame_times(
    frames: np.ndarray, timestamps_us: np.ndarray | None, frame_rate_hz: float | None
) -> np.ndarray:
    if frames.ndim != 3 or frames.dtype != np.uint8 or not len(frames):
        raise EventFormatError(
            f"expected uint8 frames of shape (n_frames, height, width), "
            f"got {frames.dtype} of shape {frames.shape}"
        )
    if (timestamps_us is None) == (frame_rate_hz is None):
        raise EventFormatError("give exactly one of timestamps_us and frame_rate_hz")
    if frame_rate_hz is not None:
        return np.arange(len(frames)) / frame_rate_hz
    times_s = np.asarray(timestamps_us, np.float64) * 1e-6
    if times_s.shape != (len(frames),) or np.any(np.diff(times_s) <= 0):
        raise EventFormatError(
            f"expected {len(frames)} increasing timestamps, one per frame; "
            f"got shape {times_s.shape}"
        )
    return times_s


def lin_log_table() -> np.ndarray:
    """Log intensity of the 256 grey values.

    Returns
    -------
    ndarray of shape (256,), dtype float32
        ``I·ln(20)/20`` up to 20 and ``ln I`` above, rounded to 8 decimals as in v2e.
    """
    grey = np.arange(256, dtype=np.float64)
    linear = grey * np.log(LINEAR_BELOW) / LINEAR_BELOW
    logarithmic = np.log(np.maximum(grey, 1.0))
    return np.round(np.where(grey <= LINEAR_BELOW, linear, logarithmic), 8).astype(np.float32)


class _Pixels:
    """The pixel array between two frames: memory, filter state, thresholds, random source."""

    def __init__(
        self,
        frame: np.ndarray,
        time_s: float,
        parameters: CameraParameters,
        rng: np.random.Generator,
    ) -> None:
        self.parameters, self.rng = parameters, rng
        self.time_s = time_s
        self.table = lin_log_table()
        # v2e filters in double precision but keeps an unfiltered signal in single precision.
        precision = np.float64 if parameters.cutoff_hz > 0 else np.float32
        self.filtered = self.table[frame].astype(precision)
        self.base = self.filtered.copy()
        self.theta_on = self._thresholds(parameters.pos_thres, frame.shape)
        self.theta_off = self._thresholds(parameters.neg_thres, frame.shape)
        self.last_event_s = np.full(frame.shape, -np.inf)
        self.leak = self._leak_per_second(frame.shape)

    def _thresholds(self, nominal: float, shape: tuple[int, ...]) -> np.ndarray:
        if self.parameters.sigma_thres == 0:
            return np.full(shape, nominal, self.filtered.dtype)
        drawn = self.rng.normal(nominal, self.parameters.sigma_thres, shape)
        return np.maximum(drawn, SMALLEST_THRESHOLD).astype(np.float32)

    def _leak_per_second(self, shape: tuple[int, ...]) -> np.ndarray | None:
        if self.parameters.leak_rate_hz == 0:
            return None
        decades = self.parameters.noise_rate_cov_decades * self.rng.standard_normal(shape)
        return self.parameters.leak_rate_hz * 10.0**decades * self.theta_on

    def advance(self, frame: np.ndarray, time_s: float) -> np.ndarray:
        """Events between the previous frame and this one."""
        dt_s = time_s - self.time_s
        self._filter(frame, dt_s)
        if self.leak is not None:
            jitter = 1 - self.parameters.leak_jitter_fraction * self.rng.standard_normal(
                frame.shape
            )
            self.base -= (dt_s * self.leak * jitter).astype(self.base.dtype)
        counts = np.empty(frame.shape, np.int32)
        most, total = _count_events(self.filtered, self.base, self.theta_on, self.theta_off, counts)
        events = self._emit(counts, most, total, dt_s)
        if self.parameters.shot_noise_rate_hz > 0:
            events = np.concatenate([events, self._shot_noise(frame, time_s, dt_s)])
        self.time_s = time_s
        return events

    def _filter(self, frame: np.ndarray, dt_s: float) -> None:
        if self.parameters.cutoff_hz == 0:
            self.filtered = self.table[frame]
            return
        rate = 2 * np.pi * self.parameters.cutoff_hz * dt_s
        _low_pass(frame, self.table, rate, self.filtered)

    def _emit(self, counts: np.ndarray, most: int, total: int, dt_s: float) -> np.ndarray:
        if total == 0:
            return np.zeros(0, EVENT_DTYPE)
        slot_s = self.time_s + (np.arange(most) + 1) * (dt_s / most)
        refractory_s = self.parameters.refractory_period
        # v2e does not filter a period shorter than the slots' spacing.
        dead_s = refractory_s if refractory_s > dt_s / most else -np.inf
        columns = np.empty((4, total), np.int64)
        n = _emit_events(
            counts,
            slot_s,
            dead_s,
            self.theta_on,
            self.theta_off,
            self.base,
            self.last_event_s,
            columns,
        )
        return make_events(*columns[:, :n])

    def _shot_noise(self, frame: np.ndarray, time_s: float, dt_s: float) -> np.ndarray:
        """Noise events of one interval, all at its end; they reset their pixels' memory."""
        brightness = (frame + 20.0) / 275.0
        factor = (SHOT_NOISE_BRIGHT - 1) * brightness + 1
        chance = self.parameters.shot_noise_rate_hz / 2 * dt_s * factor
        uniform = self.rng.random(frame.shape)
        is_on = uniform > 1 - chance * (self.parameters.pos_thres / self.theta_on)
        is_off = uniform < chance * (self.parameters.neg_thres / self.theta_off)
        y, x = np.nonzero(is_on | is_off)
        self.base[y, x] = self.filtered[y, x]
        time_us = np.full(len(x), _to_us(time_s), np.int64)
        return make_events(x, y, time_us, is_on[y, x])


@njit(cache=True, error_model="numpy")
def _low_pass(frame: np.ndarray, table: np.ndarray, rate: float, filtered: np.ndarray) -> None:
    """One Euler step of the intensity-dependent low-pass, in place."""
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            grey = frame[y, x]
            epsilon = min(1.0, (grey + 20.0) / 275.0 * rate)
            filtered[y, x] = (1.0 - epsilon) * filtered[y, x] + epsilon * table[grey]


@njit(cache=True, error_model="numpy")
def _count_events(
    filtered: np.ndarray,
    base: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int]:
    """Signed event count per pixel; returns the largest magnitude and the sum of magnitudes."""
    most, total = 0, 0
    for y in range(counts.shape[0]):
        for x in range(counts.shape[1]):
            difference = filtered[y, x] - base[y, x]
            count = 0
            if difference >= theta_on[y, x]:
                count = int(difference // theta_on[y, x])
            elif -difference >= theta_off[y, x]:
                count = -int(-difference // theta_off[y, x])
            counts[y, x] = count
            most = max(most, abs(count))
            total += abs(count)
    return most, total


@njit(cache=True, error_model="numpy")
def _to_us(time_s: float) -> int:
    """Seconds to microseconds, rounded down as v2e does but safe against 0.2 s = 199999.99 µs."""
    return int(np.floor(time_s * 1e6 + 1e-3))


@njit(cache=True, error_model="numpy")
def _emit_events(
    counts: np.ndarray,
    slot_s: np.ndarray,
    dead_s: float,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    base: np.ndarray,
    last_event_s: np.ndarray,
    columns: np.ndarray,
) -> int:
    """Write the events slot by slot into ``columns`` (x, y, t, p) and move the pixels' memory.

    Only events that survive the refractory period move the memory. Returns the number written.
    """
    active_y, active_x = np.nonzero(counts)
    emitted = np.zeros(len(active_y), np.float32)
    n = 0
    for i in range(len(slot_s)):
        time_us = _to_us(slot_s[i])
        for k in range(len(active_y)):
            y, x = active_y[k], active_x[k]
            if abs(counts[y, x]) <= i or slot_s[i] - last_event_s[y, x] <= dead_s:
                continue
            last_event_s[y, x] = slot_s[i]
            emitted[k] += 1
            columns[0, n], columns[1, n] = x, y
            columns[2, n], columns[3, n] = time_us, 1 if counts[y, x] > 0 else 0
            n += 1
    for k in range(len(active_y)):
        y, x = active_y[k], active_x[k]
        # One addition of a float32 product, as in v2e: returning signals hit thresholds exactly.
        if counts[y, x] > 0:
            base[y, x] += emitted[k] * np.float32(theta_on[y, x])
        else:
            base[y, x] -= emitted[k] * np.float32(theta_off[y, x])
    return n
