"""What quantisation changed, population by population, as numbers for a report.

>>> chip, losses = quantise(network); losses[0].weight_sqnr_db
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Weighted
from hardware.chip.weights import sign_mode
from hardware.compiler.floats.network import FloatPopulation, FloatSynapse
from hardware.compiler.quantise.calibrate import Range

FLOAT32_NOISE = 1e-12  # noise to signal of weights on the grid that came as float32


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What quantisation changed in one population and the synapses into it.

    Parameters
    ----------
    layer : str
    scale, scale_max : float
        Integers per unit of weight; the smallest and largest of its channels.
    weight_sqnr_db : float or None
        Signal to quantisation-noise ratio of the weights, in decibels; None when exact.
    effective_bits : float or None
        ``(sqnr - 1.76) / 6.02``, the bits of an ideal quantiser with this ratio.
    clipped : float
        Share of weights that hit the end of the range.
    zeroed : float
        Share of nonzero weights that became zero.
    threshold_error, decay_error : float
        Largest relative error of a threshold, largest absolute error of a decay.
    bias_error : float
        Largest error of a bias, as a share of the threshold.
    saturating : float or None
        Share of neurons whose voltage leaves 24 bits on the calibration samples.
    largest_v : float or None
        Largest voltage on the calibration samples, as a share of what 24 bits hold.
    notes : tuple of str
        What else is different, in words.
    scales : tuple of float
        ``scale`` of each channel; not part of a report.
    """

    layer: str
    scale: float
    scale_max: float
    weight_sqnr_db: float | None
    effective_bits: float | None
    clipped: float
    zeroed: float
    threshold_error: float
    decay_error: float
    bias_error: float
    saturating: float | None = None
    largest_v: float | None = None
    notes: tuple[str, ...] = ()
    scales: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a report."""
        values = asdict(self)
        del values["scales"]
        return values | {"notes": list(self.notes)}


def measure(
    population: FloatPopulation,
    pairs: list[tuple[FloatSynapse, Weighted]],
    chip: Cuba | None,
    scale: np.ndarray,
    *,
    seen: Range | None,
    notes: tuple[str, ...],
) -> LayerLoss:
    """Compare a population and its synapses with their integers.

    Parameters
    ----------
    population : FloatPopulation
    pairs : list of (FloatSynapse, Weighted)
        Before and after.
    chip : Cuba or None
        The neurons after; None for relays, which have no parameters.
    scale : ndarray of float64, shape (C,)
    seen : Range, optional
        States on calibration samples.
    notes : tuple of str
    """
    sqnr, clipped, zeroed = _weights(pairs, scale)
    saturating = largest = None
    if seen is not None:
        share = seen.v * _spread(scale, seen.v) * (1 << reg.INPUT_SHIFT) / reg.STATE_LIMIT
        saturating, largest = float(np.mean(share >= 1)), float(share.max())
    return LayerLoss(
        layer=population.name,
        scale=float(scale.min()),
        scale_max=float(scale.max()),
        weight_sqnr_db=sqnr,
        effective_bits=None if sqnr is None else (sqnr - 1.76) / 6.02,
        clipped=clipped,
        zeroed=zeroed,
        **(_registers(population, chip, scale) if chip else dict.fromkeys(ERRORS, 0.0)),
        saturating=saturating,
        largest_v=largest,
        notes=notes,
        scales=tuple(float(s) for s in scale),
    )


ERRORS = ("threshold_error", "decay_error", "bias_error")


def _weights(
    pairs: list[tuple[FloatSynapse, Weighted]], scale: np.ndarray
) -> tuple[float | None, float, float]:
    noise = signal = clipped = zeroed = nonzero = total = 0.0
    for before, after in pairs:
        exact = before.weight * _spread(scale, before.weight) * 2.0**-after.weight_exp
        units = 1 / _spread(scale, before.weight) ** 2 * 4.0**after.weight_exp
        noise += float((np.square(after.weight - exact) * units).sum())
        signal += float((np.square(exact) * units).sum())
        low, high, step = weight_range(before.weight)
        clipped += np.count_nonzero((exact > high + step / 2) | (exact < low - step / 2))
        zeroed += np.count_nonzero((after.weight == 0) & (before.weight != 0))
        nonzero += np.count_nonzero(before.weight)
        total += before.weight.size
    sqnr = None if noise <= FLOAT32_NOISE * signal else float(10 * np.log10(signal / noise))
    return sqnr, clipped / max(total, 1), zeroed / max(nonzero, 1)


def _registers(population: FloatPopulation, chip: Cuba, scale: np.ndarray) -> dict[str, float]:
    def difference(name: str, value: np.ndarray) -> np.ndarray:
        return value - population.per_neuron(name)

    def unscaled(value: np.ndarray, unit: float) -> np.ndarray:
        return value / (_spread(scale, value) * unit)

    threshold = population.per_neuron("threshold")
    decays = [
        difference("u_decay", chip.per_neuron("du") / reg.DECAY_SCALE),
        difference("v_decay", chip.per_neuron("dv") / reg.DECAY_SCALE),
    ]
    bias = unscaled(chip.per_neuron("bias_mant") << chip.bias_exp, 1 << reg.INPUT_SHIFT)
    errors = {
        "decay_error": float(max(np.abs(d).max() for d in decays)),
        "threshold_error": 0.0,
        "bias_error": float((np.abs(difference("bias", bias)) / threshold).max()),
    }
    if population.kind == "neuron":
        ratio = unscaled(chip.per_neuron("vth"), 1) / threshold
        errors["threshold_error"] = float(np.abs(ratio - 1).max())
    return errors


def weight_range(weight: np.ndarray) -> tuple[int, int, int]:
    """Smallest and largest integer that a block's signs allow, and the step between integers."""
    mode = sign_mode(weight)
    if mode == "mixed":
        return reg.WEIGHT_MIN, reg.WEIGHT_MAX, reg.WEIGHT_STEP
    high = reg.UNSIGNED_WEIGHT_MAX
    return (0, high, 1) if mode == "excitatory" else (-high, 0, 1)


def _spread(scale: np.ndarray, like: np.ndarray) -> np.ndarray:
    """One value per channel, in a shape that broadcasts to an array with channels first."""
    return scale.reshape(-1, *(1,) * (like.ndim - 1))
