"""What an 8-bit synaptic weight can be, and what happens to one that is something else.

A block of weights has a sign mode. Weights of one sign use all 8 bits for the magnitude; mixed
signs spend one on the sign, so the lowest bit of the 9-bit value is always zero:

    mixed        even values in [-256, 254]
    excitatory   [0, 255]
    inhibitory   [-255, 0]

Fewer weight bits drop further low bits. Source: ``lava/utils/weightutils.py`` of lava-nc 0.10.0,
functions ``determine_sign_mode``, ``clip_weights``, ``truncate_weights``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hardware.chip import registers as reg

SignMode = Literal["mixed", "excitatory", "inhibitory"]


def sign_mode(weight: np.ndarray) -> SignMode:
    """The mode that the values of a block ask for."""
    if weight.min(initial=0) >= 0:
        return "excitatory"
    return "inhibitory" if weight.max(initial=0) <= 0 else "mixed"


def fit_weights(
    weight: np.ndarray, *, bits: int = reg.WEIGHT_BITS, mode: SignMode | None = None
) -> np.ndarray:
    """Clip weights to the range of their mode and drop the low bits that it cannot hold.

    Parameters
    ----------
    weight : ndarray of int
    bits : int
        Stored bits per weight, in [1, 8].
    mode : str, optional
        The mode that the values ask for by default.

    Returns
    -------
    ndarray of int32
        Rounded down in magnitude for one sign, toward minus infinity for mixed signs.
    """
    mode = mode or sign_mode(weight)
    magnitude = -weight if mode == "inhibitory" else weight
    low = reg.WEIGHT_MIN if mode == "mixed" else 0
    magnitude = np.clip(magnitude.astype(np.int32), low, reg.UNSIGNED_WEIGHT_MAX)
    dropped = reg.WEIGHT_BITS - bits + (mode == "mixed")
    magnitude = (magnitude >> dropped) << dropped
    return -magnitude if mode == "inhibitory" else magnitude


def stored_mode(weight: np.ndarray) -> SignMode | None:
    """A mode that stores the weights exactly, or None: mixed where they are even."""
    modes: tuple[SignMode, ...] = ("mixed", sign_mode(weight))
    return next((m for m in modes if np.array_equal(fit_weights(weight, mode=m), weight)), None)


def weight_problem(weight: np.ndarray) -> str | None:
    """What keeps the weights of a block from being stored exactly, or None."""
    if weight.dtype != np.int32:
        return f"weights must be int32, got {weight.dtype}"
    if stored_mode(weight):
        return None
    if sign_mode(weight) == "mixed":
        allowed = f"even and lie in [{reg.WEIGHT_MIN}, {reg.WEIGHT_MAX}]"
    else:
        allowed = f"at most {reg.UNSIGNED_WEIGHT_MAX} in size"
    wrong = int(np.count_nonzero(fit_weights(weight) != weight))
    return (
        f"weights must be {allowed}, got [{weight.min()}, {weight.max()}] with {wrong} that are not"
    )
