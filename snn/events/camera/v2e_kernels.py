"""The loops over pixels and events of v2e's model, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

# Slots of a constant frame rate often lie exactly a dead time apart (1/30 s · 3/5 = 20 ms). v2e's
# single precision then decides; within this distance ours does too, beyond it both agree.
TIE_S = 2e-6


@njit(cache=True, error_model="numpy")
def to_us(time_s: float) -> int:
    """Seconds to microseconds, rounded down as v2e does but safe against 0.2 s = 199999.99 µs."""
    return int(np.floor(time_s * 1e6 + 1e-3))


@njit(cache=True, error_model="numpy")
def leak(base: np.ndarray, rate: np.ndarray, dt_s: float, jitter: np.ndarray) -> None:
    """Lower the memory of every pixel by its leak; `jitter` is empty where there is none."""
    for i in range(len(base)):
        factor = np.float32(1.0) if len(jitter) == 0 else np.float32(1.0) - jitter[i]
        base[i] -= np.float32(dt_s * rate[i] * factor)


@njit(cache=True, error_model="numpy")
def find_active(
    frame: np.ndarray,
    table: np.ndarray,
    share: np.ndarray,
    noise: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    base: np.ndarray,
    filtered: np.ndarray,
    active: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int, int]:
    """Log intensity, low-pass and difference of every pixel; list those with events.

    Parameters
    ----------
    frame : ndarray of shape (n_pixels,), dtype uint8
        The new frame.
    table, share : ndarray of shape (256,)
        Log intensity of a grey value, and the share of it that passes the filter; an empty `share`
        is no filter.
    noise : ndarray of shape (n_pixels,) or (0,)
        Photoreceptor noise; empty is none.
    theta_on, theta_off, base : ndarray of shape (n_pixels,)
        Thresholds and memory.
    filtered : ndarray of shape (n_pixels,)
        State of the filter, overwritten.
    active, counts : ndarray of shape (n_pixels,), dtype int32
        Overwritten with the pixels that have events and their signed number of events.

    Returns
    -------
    tuple of int
        Number of active pixels, largest number of events of any, and number of all events.
    """
    n, most, total = 0, 0, 0
    passes, noisy = len(share) == 0, len(noise) > 0
    for i in range(len(frame)):
        grey = frame[i]
        if passes:
            filtered[i] = table[grey]
        else:
            filtered[i] = (1.0 - share[grey]) * filtered[i] + share[grey] * table[grey]
        difference = filtered[i] - base[i]
        if noisy:
            difference = filtered[i] + noise[i] - base[i]
        if difference >= theta_on[i]:
            count = int(difference // theta_on[i])
        elif -difference >= theta_off[i]:
            count = -int(-difference // theta_off[i])
        else:
            continue
        active[n], counts[n] = i, count
        n += 1
        most = max(most, abs(count))
        total += abs(count)
    return n, most, total


@njit(cache=True, error_model="numpy")
def emit(
    active: np.ndarray,
    counts: np.ndarray,
    width: int,
    slot_s: np.ndarray,
    slot_single_s: np.ndarray,
    dead_s: float,
    last_s: np.ndarray,
    last_single_s: np.ndarray,
    events: np.ndarray,
) -> int:
    """Write the events slot by slot, in reading order inside a slot.

    Parameters
    ----------
    active, counts : ndarray of shape (n_active,), dtype int32
        Pixels with events and their signed number; `counts` becomes the number emitted.
    width : int
        Pixels per row.
    slot_s, slot_single_s : ndarray of shape (n_slots,), dtypes float64 and float32
        Times, and as v2e rounds them.
    dead_s : float
        Refractory period; 0 suppresses nothing and leaves `last_s` as it is.
    last_s, last_single_s : ndarray of shape (n_pixels,), dtypes float64 and float32
        Time of each pixel's last event, overwritten.
    events : ndarray of ``EVENT_DTYPE``
        Written from the start; long enough for all events.

    Returns
    -------
    int
        Number of events written.
    """
    n, waiting = 0, len(active)
    queue = np.arange(waiting)
    emitted = np.zeros(waiting, np.int32)
    for slot in range(len(slot_s)):
        time_s = slot_s[slot]
        time_us = to_us(time_s)
        still = 0
        for j in range(waiting):
            k = queue[j]
            if abs(counts[k]) > slot + 1:
                queue[still] = k
                still += 1
            pixel = active[k]
            if dead_s > 0:
                margin = time_s - last_s[pixel] - dead_s
                if abs(margin) < TIE_S:
                    gap = slot_single_s[slot] - last_single_s[pixel]
                    margin = 1.0 if gap > np.float32(dead_s) else -1.0
                if margin <= 0:
                    continue
                last_s[pixel], last_single_s[pixel] = time_s, slot_single_s[slot]
            y = pixel // width
            events[n].x, events[n].y = pixel - y * width, y
            events[n].t, events[n].p = time_us, counts[k] > 0
            emitted[k] += 1
            n += 1
        waiting = still
    for k in range(len(active)):
        counts[k] = emitted[k] if counts[k] > 0 else -emitted[k]
    return n


@njit(cache=True, error_model="numpy")
def remember(
    active: np.ndarray,
    counts: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    base: np.ndarray,
) -> None:
    """Move the memory by the events that were emitted.

    One addition of a float32 product, as in v2e: returning signals hit thresholds exactly.
    """
    for k in range(len(active)):
        i = active[k]
        theta = theta_on[i] if counts[k] > 0 else theta_off[i]
        base[i] += np.float32(counts[k]) * np.float32(theta)


@njit(cache=True, error_model="numpy")
def choose_noisy(
    frame: np.ndarray,
    drawn: np.ndarray,
    uniform: np.ndarray,
    on: np.ndarray,
    off: np.ndarray,
    theta_on: np.ndarray,
    theta_off: np.ndarray,
    chosen: np.ndarray,
    is_on: np.ndarray,
) -> int:
    """Which of the drawn pixels have a shot noise event, and of which polarity.

    Parameters
    ----------
    frame : ndarray of shape (n_pixels,), dtype uint8
        Grey values.
    drawn, uniform : ndarray of shape (n_drawn,)
        Pixels, and a random number for each; below the OFF chance it is an OFF event, else below
        the sum of both chances an ON event.
    on, off : ndarray of shape (256,)
        Chance by grey value, times the nominal threshold; divided by the pixel's own it is the
        pixel's chance.
    theta_on, theta_off : ndarray of shape (n_pixels,)
        Thresholds.
    chosen, is_on : ndarray of dtype int32
        Overwritten with the pixels that have an event, and its polarity.

    Returns
    -------
    int
        Number of events.
    """
    n = 0
    for k in range(len(drawn)):
        i = drawn[k]
        grey = frame[i]
        chance_off = off[grey] / theta_off[i]
        if uniform[k] < chance_off + on[grey] / theta_on[i]:
            chosen[n], is_on[n] = i, uniform[k] >= chance_off
            n += 1
    return n
