"""The kernel K that shares an event among temporal bins: a piecewise linear function of |z|.

EST learns K with a perceptron 1-30-30-1 (LeakyReLU 0.1); TIE uses the stored initial weights as
they are, so K is a fixed function, and a piecewise linear one. The weights are not at hand, only
these values of theirs:

    |z|    0      1/16   1/8  1/4 .. 1   1.5    2      10    1e5
    K     0.984   0.13   0       0      0.011  0.035   0.57  6543

``est`` joins them by straight lines. The first goes straight on beyond 1/16, to zero at 0.072, and
K is 0 from there to 1. So ``est`` has all values of the table, to the digits that it gives, and is
a reading between them. The reason for that zero: when EST's own procedure fits a perceptron to the
trilinear kernel of 15 bins, max(0, 1 - 14|z|), it gets 0.95 to 0.99, 0.13 and 0.00 at 0, 1/16 and
1/8, and 0 from 1/14 on; fitted to the kernel of 9 bins it gets 0.50 at 1/16. Values beyond 1 follow
no target, they depend on how the weights began; for z < -1, which only a negative time can reach,
they are taken to be the same. ``trilinear`` is the kernel of nine bins, max(0, 1 - 8|z|).

What ``est`` lacks are the errors of the fit between 1/8 and 1, some thousandths. They show where B
is t: then most channels of a window have no bin near its time, only these errors, which the stretch
of TIE brings to full contrast. The published images of t_t and t0_t have a bright green for that
reason (mean 0.26; 0.2 with a perceptron fitted as above, 0.06 with ``est``, on rendered faces);
where B is t0 the two agree.

Beyond |z| = 1 K grows, by 0.0654 for 1: bins far from an event get a share of it when its time, in
the variants that do not normalise it, passes 1 s.

Sources: D. Gehrig et al., "End-to-End Learning of Representations for Asynchronous Event-Based
Data", ICCV 2019; values calculated from the ``trilinear_init.pth`` of its code.

>>> kernel_values(np.array([0.0, 1 / 16, -1 / 32, 2.0]), "est").round(3).tolist()
[0.984, 0.13, 0.557, 0.035]
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple, get_args

import numpy as np

from snn.errors import EventFormatError

Kernel = Literal["est", "trilinear"]
N_BINS = 9

_PEAK, _SIXTEENTH = 0.984, 0.13  # est at 0 and 1/16
_EST_DISTANCES = (1.0, 1.5, 2.0, 10.0, 1e5)
_EST_VALUES = (0.0, 0.011, 0.035, 0.57, 6543.0)


class KernelLines(NamedTuple):
    """K as straight lines.

    Attributes
    ----------
    peak, steepness : float
        ``K(z) = max(0, peak - steepness·|z|)`` for |z| <= 1; it is 0 from 1/8 on.
    distances, values, slopes : ndarray of float64, shape (n_lines,)
        Beyond 1, ``K(z) = values[k] + slopes[k]·(|z| - distances[k])`` for the last k with
        ``distances[k] <= |z|``. Not writeable.
    """

    peak: float
    steepness: float
    distances: np.ndarray
    values: np.ndarray
    slopes: np.ndarray


@functools.cache
def kernel_lines(kernel: Kernel) -> KernelLines:
    """The lines of a kernel.

    Raises
    ------
    EventFormatError
        For an unknown kernel.
    """
    if kernel == "est":
        distances, values = np.array(_EST_DISTANCES), np.array(_EST_VALUES)
        tail = (distances[:-1], values[:-1], np.diff(values) / np.diff(distances))
        peak, steepness = _PEAK, 16 * (_PEAK - _SIXTEENTH)
    elif kernel == "trilinear":
        tail = (np.ones(1), np.zeros(1), np.zeros(1))
        peak, steepness = 1.0, N_BINS - 1.0
    else:
        raise EventFormatError(
            f"unknown kernel {kernel!r}; choose one of {', '.join(get_args(Kernel))}"
        )
    for array in tail:
        array.setflags(write=False)
    return KernelLines(peak, steepness, *tail)


def kernel_values(z: np.ndarray, kernel: Kernel) -> np.ndarray:
    """K(z).

    Parameters
    ----------
    z : ndarray of float
        Distance from the middle of a bin, in the unit of the kernel's argument.
    kernel : {"est", "trilinear"}

    Returns
    -------
    ndarray of float64, same shape
    """
    lines = kernel_lines(kernel)
    distance = np.abs(np.asarray(z, np.float64))
    near = np.maximum(lines.peak - lines.steepness * distance, 0)
    line = np.maximum(np.searchsorted(lines.distances, distance, side="right") - 1, 0)
    far = lines.values[line] + lines.slopes[line] * (distance - lines.distances[line])
    return np.where(distance > 1, far, near)
