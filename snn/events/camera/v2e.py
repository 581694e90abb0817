"""The pixels of v2e 1.5.1, written anew from its formulas.

A pixel remembers a log intensity (``base``) and compares the present one with it: each whole
threshold of difference is one event, and the memory follows by that threshold.

    L      = I·ln(20)/20 for I ≤ 20, else ln I                 lin-log, I = 0..255
    Lp     = (1 - ε)·Lp + ε·L,  ε = min(1, 2π·fc·dt·(I+20)/275)  low-pass; fc = 0: Lp = L
    base  -= dt·r_leak·10^(c·ξ_pixel)·(1 - j·ξ)·θ_on            leak, ξ standard normal
    n_on   = ⌊max(0,  Lp + η - base) / θ_on⌋                    events of this frame interval
    n_off  = ⌊max(0, base - Lp - η) / θ_off⌋
    base  += n_on·θ_on - n_off·θ_off

The events of an interval lie on M slots, M being the largest count of any pixel: slot ``i`` is at
``t_previous + (i + 1)·dt/M`` and a pixel with ``n`` events uses the first ``n`` slots. So a pixel
with one event fires early in the interval, not where its signal crossed the threshold; render fast
enough that an edge moves less than a pixel per frame.

Noise is one of two. Shot noise: independent events at the interval's end, which also set
``base = Lp``, of either polarity with probability ``r/2·dt·(1 - 0.75·(I+20)/275)·θ_nominal/θ``.
Photoreceptor noise: ``η`` is white noise through the low-pass of a white pixel,

    η = (1 - ε)·η + ε·σ·√((2 - ε)/ε)·ξ,   σ = E[min(θ_on, θ_off)] / 10^y
    y = -0.0026x³ - 0.036x² - 0.1949x + 0.321,   x = log10(r / 2fc)

(the fit is to figure 3 of R. Graca and T. Delbruck, arXiv 2109.08640). v2e estimates the mean and
the root by drawing samples; here they are exact. Its filter of ``η`` also diverges at frame rates
below ``π·fc``, where ``ε > 2``; here ``ε ≤ 1``.

The refractory period follows v2e's rules: it suppresses nothing in an interval whose slots are
further apart than it, and such an interval does not start a dead time either.

Reference: Y. Hu, S.-C. Liu, T. Delbruck, "v2e: From Video Frames to Realistic DVS Events", CVPRW
2021, and the behaviour of v2e 1.5.1. Without noise the events equal those of v2e.

>>> rng = np.random.default_rng(0)
>>> pixels = V2ePixels(np.full((4, 4), 50, np.uint8), 0.0, CameraParameters(sigma_thres=0), rng)
>>> len(pixels.advance(np.full((4, 4), 100, np.uint8), 0.03))
48
"""

from __future__ import annotations

from math import erf, exp, log10, pi, sqrt

import numpy as np

from snn.events.camera.parameters import CameraParameters
from snn.events.camera.v2e_kernels import (
    choose_noisy,
    emit,
    find_active,
    leak,
    remember,
    to_us,
)
from snn.events.recording import EVENT_DTYPE, make_events

LINEAR_BELOW = 20  # digital numbers up to this one map linearly, the others logarithmically
SMALLEST_THRESHOLD = 0.01  # v2e's floor under a randomly drawn threshold
SHOT_NOISE_BRIGHT = 0.25  # shot noise rate of a white pixel relative to a black one
DENSE_NOISE = 0.1  # chance of a noise event above which drawing for every pixel is faster
BRIGHTNESS = (np.arange(256) + 20.0) / 275.0  # what speed and noise of a pixel depend on


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


def draw_thresholds(
    nominal: float, sigma: float, like: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Thresholds ``N(nominal, sigma)`` but at least 0.01, one for each element of `like`.

    float32 when drawn, else as precise as `like`, which is how v2e divides by them.
    """
    if sigma == 0:
        return np.full_like(like, nominal)
    drawn = rng.normal(nominal, sigma, like.shape)
    return np.maximum(drawn, SMALLEST_THRESHOLD).astype(np.float32)


def photoreceptor_noise_rms(parameters: CameraParameters) -> float:
    """Standard deviation of the photoreceptor noise behind the low-pass, in log intensity.

    Of the size that crosses thresholds at about ``shot_noise_rate_hz``; formula and source in the
    module's description.
    """
    on, off, sigma = parameters.pos_thres, parameters.neg_thres, parameters.sigma_thres
    smaller = min(on, off)
    if sigma > 0:  # mean of the smaller of two independent normal variables
        spread = sqrt(2) * sigma
        z = (off - on) / spread
        below = (1 + erf(z / sqrt(2))) / 2
        smaller = on * below + off * (1 - below) - spread * exp(-z * z / 2) / sqrt(2 * pi)
    x = log10(parameters.shot_noise_rate_hz / parameters.cutoff_hz / 2)
    return smaller / 10 ** (-0.0026 * x**3 - 0.036 * x**2 - 0.1949 * x + 0.321)


class V2ePixels:
    """The pixel array between two frames: memory, filter state, thresholds, random source.

    Parameters
    ----------
    frame : ndarray of shape (height, width), dtype uint8
        The first frame, which only sets the memory.
    time_s : float
        Its time in seconds.
    parameters : CameraParameters
        The pixels.
    rng : numpy.random.Generator
        Source of mismatch and noise: ON thresholds, OFF thresholds, leak rates, then per frame
        photoreceptor noise, leak jitter, shot noise.
    """

    def __init__(
        self,
        frame: np.ndarray,
        time_s: float,
        parameters: CameraParameters,
        rng: np.random.Generator,
    ) -> None:
        self.parameters, self.rng = parameters, rng
        self.time_s = time_s
        self.width = frame.shape[1]
        self.table = lin_log_table()
        # v2e filters in double precision but keeps an unfiltered signal in single precision.
        precision = np.float64 if parameters.cutoff_hz > 0 else np.float32
        self.filtered = self.table[frame.ravel()].astype(precision)
        self.base = self.filtered.copy()
        sigma = parameters.sigma_thres
        self.theta_on = draw_thresholds(parameters.pos_thres, sigma, self.base, rng)
        self.theta_off = draw_thresholds(parameters.neg_thres, sigma, self.base, rng)
        self.smallest_theta = min(self.theta_on.min(), self.theta_off.min())
        self.leak_per_s = self._leak_per_second()
        self.noise = np.zeros(frame.size if parameters.photoreceptor_noise else 0, np.float32)
        self.last_s = np.full(frame.size if parameters.refractory_period > 0 else 0, -np.inf)
        self.last_single_s = self.last_s.astype(np.float32)
        self.active, self.counts = np.empty((2, frame.size), np.int32)

    def _leak_per_second(self) -> np.ndarray | None:
        if self.parameters.leak_rate_hz == 0:
            return None
        decades = self.parameters.noise_rate_cov_decades * self.rng.standard_normal(self.base.shape)
        rate = self.parameters.leak_rate_hz * 10.0**decades * self.theta_on
        return rate.astype(np.float32)

    def advance(self, frame: np.ndarray, time_s: float) -> np.ndarray:
        """Events between the previous frame and this one.

        Parameters
        ----------
        frame : ndarray of shape (height, width), dtype uint8
            The new frame.
        time_s : float
            Its time in seconds, after that of the previous one.

        Returns
        -------
        ndarray of ``EVENT_DTYPE``
            Sorted by time; in reading order inside a time stamp, shot noise last.
        """
        pixels = np.ascontiguousarray(frame).reshape(-1)
        dt_s = time_s - self.time_s
        if self.parameters.photoreceptor_noise:
            self._draw_noise(dt_s)
        if self.leak_per_s is not None:
            leak(self.base, self.leak_per_s, dt_s, self._leak_jitter())
        n, most, total = find_active(
            pixels,
            self.table,
            self._filter_share(dt_s),
            self.noise,
            self.theta_on,
            self.theta_off,
            self.base,
            self.filtered,
            self.active,
            self.counts,
        )
        events = self._emit(self.active[:n], self.counts[:n], most, total, dt_s)
        if self.parameters.shot_noise_rate_hz > 0 and not self.parameters.photoreceptor_noise:
            events = np.concatenate([events, self._shot_noise(pixels, time_s, dt_s)])
        self.time_s = time_s
        return events

    def _filter_share(self, dt_s: float) -> np.ndarray:
        """Share of the step to its new log intensity that a pixel makes, by grey value."""
        if self.parameters.cutoff_hz == 0:
            return np.zeros(0)
        tau_s = 1 / (pi * 2 * self.parameters.cutoff_hz)
        return np.minimum(BRIGHTNESS * (dt_s / tau_s), 1.0)

    def _draw_noise(self, dt_s: float) -> None:
        share = min(1.0, 2 * pi * self.parameters.cutoff_hz * dt_s)
        white_rms = photoreceptor_noise_rms(self.parameters) * sqrt((2 - share) / share)
        drawn = self.rng.standard_normal(self.noise.shape, np.float32)
        self.noise *= np.float32(1 - share)
        self.noise += drawn * np.float32(share * white_rms)

    def _leak_jitter(self) -> np.ndarray:
        fraction = self.parameters.leak_jitter_fraction
        if fraction == 0:
            return np.zeros(0, np.float32)
        return self.rng.standard_normal(self.base.shape, np.float32) * np.float32(fraction)

    def _emit(
        self, active: np.ndarray, counts: np.ndarray, most: int, total: int, dt_s: float
    ) -> np.ndarray:
        events = np.empty(total, EVENT_DTYPE)
        if total == 0:
            return events
        slot_s = self.time_s + (np.arange(most) + 1) * (dt_s / most)
        single_s = _single_slots(slot_s[0], self.time_s + dt_s, most)
        dead_s = self.parameters.refractory_period
        if dead_s <= dt_s / most:
            dead_s = 0.0
        n = emit(
            active,
            counts,
            self.width,
            slot_s,
            single_s,
            dead_s,
            self.last_s,
            self.last_single_s,
            events,
        )
        remember(active, counts, self.theta_on, self.theta_off, self.base)
        return events[:n]

    def _shot_noise(self, pixels: np.ndarray, time_s: float, dt_s: float) -> np.ndarray:
        """Noise events of one interval, all at its end; they reset their pixels' memory."""
        by_grey = (SHOT_NOISE_BRIGHT - 1) * BRIGHTNESS + 1
        by_grey *= self.parameters.shot_noise_rate_hz / 2 * dt_s
        nominal = self.parameters.pos_thres + self.parameters.neg_thres
        most = by_grey[0] * nominal / self.smallest_theta
        # Where noise is rare, only the pixels that could have it are drawn: as many as a binomial
        # variable says, each of them then thinned to its own chance.
        if most < DENSE_NOISE:
            n = self.rng.binomial(len(pixels), most)
            drawn = np.sort(self.rng.choice(len(pixels), n, replace=False, shuffle=False))
            uniform = self.rng.random(n) * most
        else:
            drawn = np.arange(len(pixels))
            uniform = self.rng.random(len(pixels))
        nominal_on, nominal_off = self.parameters.pos_thres, self.parameters.neg_thres
        n = choose_noisy(
            pixels,
            drawn,
            uniform,
            by_grey * nominal_on,
            by_grey * nominal_off,
            self.theta_on,
            self.theta_off,
            self.active,
            self.counts,
        )
        where, is_on = self.active[:n], self.counts[:n]
        self.base[where] = self.filtered[where]
        time_us = np.full(n, to_us(time_s), np.int64)
        return make_events(where % self.width, where // self.width, time_us, is_on)


def _single_slots(first_s: float, last_s: float, n: int) -> np.ndarray:
    """Slots as v2e rounds them: torch's linear space in single precision, from both ends."""
    first, last = np.float32(first_s), np.float32(last_s)
    step = float((last - first) / np.float32(max(n - 1, 1)))
    place = np.arange(n)
    # Double precision stands for the fused multiplication and addition that torch uses here.
    slots = np.where(place < n // 2, first + step * place, last - step * (n - 1 - place))
    return slots.astype(np.float32)
