"""What quantisation changed, population by population, as numbers for a report.

>>> chip, losses = quantise(network); losses[0].weight_sqnr_db
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.populations import Cuba, Levels, Population, SigmaDelta
from hardware.chip.synapses import Weighted
from hardware.chip.weights import sign_mode
from hardware.compiler.floats.network import FloatPopulation, FloatSynapse
from hardware.compiler.quantise.calibrate import Range

COARSE_BITS = 4.0  # below this, a branch of a sum is named
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
    message_scale : float
        What a message of 1 in floats is as an integer: 1 but for changes of activations.
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
    message_scale: float = 1.0
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
    chip: Population,
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
    chip : Population
        The neurons after.
    scale : ndarray of float64, shape (C,)
    seen : Range, optional
        States on calibration samples.
    notes : tuple of str
    """
    sqnr, clipped, zeroed = _weights(pairs, scale)
    saturating = largest = None
    # Sums of levels may saturate without changing a message, and sigma-delta's have no shift by 6.
    if seen is not None and not isinstance(chip, Levels | SigmaDelta):
        share = seen.v * _spread(scale, seen.v) * (1 << reg.INPUT_SHIFT) / reg.STATE_LIMIT
        saturating, largest = float(np.mean(share >= 1)), float(share.max())
    return LayerLoss(
        layer=population.name,
        scale=float(scale.min()),
        scale_max=float(scale.max()),
        weight_sqnr_db=sqnr,
        effective_bits=_effective_bits(sqnr),
        clipped=clipped,
        zeroed=zeroed,
        **_register_errors(population, chip, scale),
        saturating=saturating,
        largest_v=largest,
        notes=(*notes, *_coarse_branches(pairs, scale)),
        scales=tuple(float(s) for s in scale),
    )


def _effective_bits(sqnr_db: float | None) -> float | None:
    return None if sqnr_db is None else (sqnr_db - 1.76) / 6.02


def _coarse_branches(pairs: list[tuple[FloatSynapse, Weighted]], scale: np.ndarray) -> list[str]:
    """Branches of a residual sum whose weights are small beside those that set the scale."""
    notes = []
    for pair in pairs if len(pairs) > 1 else ():
        bits = _effective_bits(_weights([pair], scale)[0])
        if bits is not None and bits < COARSE_BITS:
            notes.append(
                f"the weights from {' + '.join(pair[0].sources)} keep {bits:.1f} bits beside the "
                "others, whose scale they share; make their thresholds more alike"
            )
    return notes


def message_scale(population: Population, scale: np.ndarray) -> float:
    """What a message of 1 in floats is as an integer; 1 but for changes of activations."""
    if isinstance(population, SigmaDelta):
        return float(scale[0]) / (1 << population.state_exp)
    return 1.0


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


def _register_errors(
    population: FloatPopulation, chip: Population, scale: np.ndarray
) -> dict[str, float]:
    if isinstance(chip, Cuba):
        return _registers(population, chip, scale)
    if isinstance(chip, Levels):
        return _level_registers(population, chip, scale)
    return dict.fromkeys(ERRORS, 0.0)


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


def _level_registers(
    population: FloatPopulation, chip: Levels, scale: np.ndarray
) -> dict[str, float]:
    """As `_registers`; a threshold is that of one level, above and below zero."""
    threshold, slope = population.per_neuron("threshold"), population.per_neuron("negative_slope")
    vth, below = chip.per_neuron("vth"), chip.per_neuron("vth_negative")
    level = threshold / population.levels * _spread(scale, threshold)
    bias = (chip.per_neuron("bias_mant") << chip.bias_exp) * population.levels
    bias_error = bias / (_spread(scale, bias) * (1 << reg.INPUT_SHIFT)) - population.per_neuron(
        "bias"
    )
    errors = [np.abs(vth / level - 1), np.where(slope > 0, np.abs(below * slope / level - 1), 0)]
    return {
        "threshold_error": float(max(e.max() for e in errors)),
        "decay_error": 0.0,
        "bias_error": float((np.abs(bias_error) / threshold).max()),
    }


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
