"""The pixels of ESIM: events at the times where the interpolated signal crosses a threshold.

Between two frames the log intensity of a pixel is a straight line from ``a`` at ``t0`` to ``b`` at
``t1``. Its levels lie one threshold apart, and each level on the line's way is one event:

    L  = ln(I/255 + ε)
    r += s·C_s  while r lies in (a, b] (falling: [b, a)),  s = sign(b - a)
    t  = t0 + (r - a)·(t1 - t0)/(b - a)

So event times do not depend on the frame rate as long as light changes linearly in between; v2e's
pixels fire on a grid of slots. An event within the refractory period of the last one is dropped and
the level counts as crossed.

Reference: H. Rebecq, D. Gehrig, D. Scaramuzza, "ESIM: an Open Event Camera Simulator", CoRL 2018,
and D. Gehrig et al., "Video to Events", CVPR 2020; written from the formulas.

>>> rng = np.random.default_rng(0)
>>> pixels = EsimPixels(np.full((1, 1), 50, np.uint8), 0.0, EsimParameters(), rng)
>>> pixels.advance(np.full((1, 1), 100, np.uint8), 0.01)["t"].tolist()
[2896, 5792, 8688]
"""

from __future__ import annotations

import numpy as np
from numba import njit

from snn.events.camera.parameters import EsimParameters
from snn.events.camera.v2e import draw_thresholds
from snn.events.camera.v2e_kernels import to_us
from snn.events.recording import EVENT_DTYPE

# A signal that comes back to its old value ends on a level; rounding must not decide on that event.
TIE = 1e-9
RADIX_BITS = 11  # digits of the sort by time: two of them cover four seconds of microseconds


class EsimPixels:
    """The pixel array between two frames: memory, thresholds, last event.

    Parameters
    ----------
    frame : ndarray of shape (height, width), dtype uint8
        The first frame, which only sets the memory.
    time_s : float
        Its time in seconds.
    parameters : EsimParameters
        The pixels.
    rng : numpy.random.Generator
        Source of the mismatch: ON thresholds, OFF thresholds.
    """

    def __init__(
        self,
        frame: np.ndarray,
        time_s: float,
        parameters: EsimParameters,
        rng: np.random.Generator,
    ) -> None:
        self.parameters = parameters
        self.time_s = time_s
        self.width = frame.shape[1]
        self.table = np.log(np.arange(256) / 255 + parameters.log_eps)
        self.before = frame.ravel().copy()
        self.reference = self.table[self.before]
        sigma = parameters.sigma_thres
        self.theta_on = draw_thresholds(parameters.pos_thres, sigma, self.reference, rng)
        self.theta_off = draw_thresholds(parameters.neg_thres, sigma, self.reference, rng)
        self.active = np.empty(frame.size, np.int32)
        self.last_s = np.full(frame.size if parameters.refractory_period > 0 else 0, -np.inf)

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
            Sorted by time; in reading order inside a time stamp.
        """
        pixels = np.ascontiguousarray(frame).reshape(-1)
        active, most = _find_active(
            self.before,
            pixels,
            self.table,
            self.reference,
            self.theta_on,
            self.theta_off,
            self.active,
        )
        events = np.empty(most, EVENT_DTYPE)
        n = _cross(
            self.active[:active],
            self.before,
            pixels,
            self.width,
            (self.time_s, time_s),
            self.table,
            self.theta_on,
            self.theta_off,
            self.parameters.refractory_period,
            self.reference,
            self.last_s,
            events,
        )
        self.before[:] = pixels
        self.time_s = time_s
        return events[_order(events["t"][:n])]


@njit(cache=True, error_model="numpy")
def _find_active(
    before: np.ndarray,
    after: np.ndarray,
    table: np.ndarray,
    reference: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    active: np.ndarray,
) -> tuple[int, int]:
    """List the pixels that reach a level; returns how many, and a bound of their events."""
    n, most = 0, 0
    for i in range(len(after)):
        level, known = table[after[i]], reference[i]
        up, down = known + theta_on[i] - TIE, known - theta_off[i] + TIE
        if down < level < up or before[i] == after[i]:
            continue
        active[n] = i
        n += 1
        theta = theta_on[i] if level > known else theta_off[i]
        most += int(abs(level - known) / theta) + 2
    return n, most


@njit(cache=True, error_model="numpy")
def _cross(
    active: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    width: int,
    span_s: tuple[float, float],
    table: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    dead_s: float,
    reference: np.ndarray,
    last_s: np.ndarray,
    events: np.ndarray,
) -> int:
    """Write the events pixel by pixel, move references and last times; returns their number."""
    n = 0
    start_s, dt_s = span_s[0], span_s[1] - span_s[0]
    for i in active:
        a, b = table[before[i]], table[after[i]]
        rises = b > a
        step = np.float64(theta_on[i]) if rises else -np.float64(theta_off[i])
        y = i // width
        level = reference[i] + step
        while (level <= b + TIE) if rises else (level >= b - TIE):
            reference[i] = level
            time_s = start_s + min((level - a) / (b - a), 1.0) * dt_s
            level += step
            if dead_s > 0:
                if time_s - last_s[i] < dead_s:
                    continue
                last_s[i] = time_s
            events[n].x, events[n].y = i - y * width, y
            events[n].t, events[n].p = to_us(time_s), rises
            n += 1
    return n


@njit(cache=True, error_model="numpy")
def _order(times_us: np.ndarray) -> np.ndarray:
    """Positions of the times in rising order, equal ones as they come: a radix sort."""
    n = len(times_us)
    order, other = np.arange(n), np.empty(n, np.int64)
    if n == 0:
        return order
    first, digits = times_us.min(), 1 << RADIX_BITS
    span, shift = times_us.max() - first, 0
    while span >> shift > 0:
        place = np.zeros(digits + 1, np.int64)
        for k in range(n):
            place[((times_us[k] - first) >> shift & (digits - 1)) + 1] += 1
        for d in range(digits):
            place[d + 1] += place[d]
        for k in range(n):
            digit = (times_us[order[k]] - first) >> shift & (digits - 1)
            other[place[digit]] = order[k]
            place[digit] += 1
        order, other = other, order
        shift += RADIX_BITS
    return order
