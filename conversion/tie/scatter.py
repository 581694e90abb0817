"""The loops of TIE, compiled: events into planes, and the stretch of a plane.

An event adds ``A·K(B - i/8)`` to its pixel in bin i. For B in [0, 1] only the two bins around 8·B
are within reach of the kernel; otherwise all nine are evaluated, as K may grow far out. Bins that
are summed into one channel anyway are summed before they are written, so an event of a window
touches one or two floats.

Most pixels of a window are empty, so percentiles are found among those that are not.

The callers pass events of a checked `Recording`: a kernel does not look at bounds.
"""

from __future__ import annotations

import numba
import numpy as np

SECONDS_PER_US = 1e-6
BLOCK = 32  # pixels looked at together


@numba.njit(cache=True, error_model="numpy")
def scatter_events(  # type: ignore[no-untyped-def]
    events, starts, ends, normalise_factor, normalise_place, lines, plane_of, planes
):
    """Add the events of window ``k`` to ``planes[k]``.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``, in time order
    starts, ends : ndarray of int64, shape (n_windows,)
        Window ``k`` is ``events[starts[k]:ends[k]]``.
    normalise_factor, normalise_place : bool
        Whether A, and whether B, is t0 instead of t in seconds.
    lines : KernelLines
    plane_of : ndarray of int64, shape (2, n_bins)
        Plane that a bin of a polarity is added to; bins of one plane are consecutive.
    planes : ndarray of float32, shape (n_windows, n_planes, height, width)
        Added to.
    """
    peak, steepness, distances, values, slopes = lines
    last_bin = plane_of.shape[1] - 1
    step = 1.0 / last_bin
    for k in range(len(starts)):
        if ends[k] <= starts[k]:
            continue
        window = planes[k]
        first_us = events[starts[k]].t
        duration = events[ends[k] - 1].t - first_us
        per_us = 1.0 / duration if duration > 0 else 0.0
        for j in range(starts[k], ends[k]):
            event = events[j]
            seconds = event.t * SECONDS_PER_US
            share = (event.t - first_us) * per_us
            factor = share if normalise_factor else seconds
            place = share if normalise_place else seconds
            if 0.0 <= place <= 1.0:
                low = int(place * last_bin)
                high = min(low + 1, last_bin)
                below = place - low * step
                near = peak - steepness * below
                far = peak - steepness * (step - below)
                # Products and not branches, which would be mispredicted every other time.
                near *= factor * (near > 0.0)
                far *= factor * (far > 0.0)
                plane, other = plane_of[event.p, low], plane_of[event.p, high]
                if plane == other:
                    window[plane, event.y, event.x] += near + far
                else:
                    window[plane, event.y, event.x] += near
                    window[other, event.y, event.x] += far
                continue
            plane = plane_of[event.p, 0]
            total = 0.0
            for i in range(last_bin + 1):
                if plane_of[event.p, i] != plane:
                    window[plane, event.y, event.x] += factor * total
                    plane, total = plane_of[event.p, i], 0.0
                distance = abs(place - i * step)
                if distance <= 1.0:
                    total += max(peak - steepness * distance, 0.0)
                    continue
                line = 0
                while line + 1 < len(distances) and distance >= distances[line + 1]:
                    line += 1
                total += values[line] + slopes[line] * (distance - distances[line])
            window[plane, event.y, event.x] += factor * total


@numba.njit(cache=True, error_model="numpy")
def stretch_image(image, low_rank, high_rank):  # type: ignore[no-untyped-def]
    """Map each channel's values of these ranks to 0 and 1, in place, and cut off the rest.

    Parameters
    ----------
    image : ndarray of float32, shape (C, n_pixels)
    low_rank, high_rank : int
        From 0. Where both values are the same, what is above becomes 1 and the rest 0.
    """
    zero, one = np.float32(0), np.float32(1)
    found = np.empty(image.shape[1], np.float32)
    for c in range(len(image)):
        plane = image[c]
        n_found, n_negative = _gather_nonzero(plane, found)
        low = _ranked(found[:n_found], n_negative, len(plane), low_rank)
        high = _ranked(found[:n_found], n_negative, len(plane), high_rank)
        width = high - low
        if width > zero:
            for i in range(len(plane)):
                plane[i] = min(max((plane[i] - low) / width, zero), one)
        else:
            for i in range(len(plane)):
                plane[i] = one if plane[i] > low else zero


@numba.njit(cache=True, error_model="numpy")
def _gather_nonzero(plane, found):  # type: ignore[no-untyped-def]
    """Copy what is not zero to the front of `found`; how many, and how many of them negative."""
    n_found, n_negative = 0, 0
    for start in range(0, len(plane), BLOCK):
        block = plane[start : start + BLOCK]
        something = False
        for i in range(len(block)):
            something |= block[i] != 0
        if something:
            for i in range(len(block)):
                found[n_found] = block[i]
                n_found += block[i] != 0
                n_negative += block[i] < 0
    return n_found, n_negative


@numba.njit(cache=True, error_model="numpy")
def _ranked(nonzero, n_negative, n_pixels, rank):  # type: ignore[no-untyped-def]
    """The value of a rank among `nonzero` and as many zeros as there are other pixels."""
    n_zero = n_pixels - len(nonzero)
    if n_negative <= rank < n_negative + n_zero:
        return np.float32(0)
    place = rank if rank < n_negative else rank - n_zero
    return np.partition(nonzero, place)[place]
