"""What conversion to spikes costs, in the chip's integers: six layers of 256, three ways.

The same weights, thresholds and biases as levels sent whole, as rates of neurons that subtract, and
as rates of neurons that reset to zero, over as many steps as there are levels. Everything is
integers, so that what differs is conversion alone. Expected numbers: ``reference/conversion.md``,
section 3, measured there on other random networks.
"""

import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels
from hardware.chip.synapses import Dense

NEURONS, LAYERS, SAMPLES = 256, 6, 20
GAIN = 1.6  # of the weights: activations of the last layer fill about a quarter of their range
LEVELS = (4, 8, 16, 32)
RATE_ERROR = {4: 0.100, 8: 0.056, 16: 0.030, 32: 0.016}
UNITS_OFF = {4: 0.342, 8: 0.365, 16: 0.371, 32: 0.379}
HARD_RESET_ERROR = 0.182


def parameters(seed):
    """``(W, V, B)`` of each layer, as section 3 maps them; thresholds of floats are 1."""
    rng = np.random.default_rng(seed)
    found = []
    for layer in range(LAYERS):
        weight = rng.normal(0, GAIN / np.sqrt(NEURONS), (NEURONS, NEURONS))
        bias = rng.normal(0, 0.1, NEURONS) if layer else np.zeros(NEURONS)
        # Rates add whole input messages up over all steps: the first layer leaves room for that.
        v = int((254 if layer else 8) / np.abs(weight).max())
        w = (2 * np.rint(weight * v / 2)).astype(np.int32)
        found.append((w, v, (32 * np.rint(64 * v * bias / 32)).astype(np.int64)))
    return found


def network(layers, neurons):
    """A chain; ``neurons(name, V, bias mantissas of exponent 5)`` makes a population."""
    names = [f"layer {i + 1}" for i in range(len(layers))]
    return ChipNetwork(
        input_shape=(NEURONS,),
        input_bits=6,
        populations=tuple(
            neurons(name, v, (b >> 5).astype(np.int32))
            for name, (_, v, b) in zip(names, layers, strict=True)
        ),
        synapses=tuple(
            Dense(sources=(source,), target=name, weight=w, message_bits=6)
            for source, name, (w, _, _) in zip((INPUT, *names), names, layers, strict=False)
        ),
    )


def graded(layers, levels):
    return network(
        layers,
        lambda name, v, b: Levels(
            name=name, shape=(NEURONS,), vth=v, levels=levels, bias_mant=b, bias_exp=5
        ),
    )


def rate(layers, levels, reset):
    """Input messages are levels, which a rate code gets anew in every step: V counts them all."""

    def neurons(name, v, b):
        v = v * levels if name == "layer 1" else v
        return Cuba(
            name=name, shape=(NEURONS,), du=4096, dv=0, vth=v, v_init=32 * v + 1,
            bias_mant=b, bias_exp=5, reset=reset,
        )  # fmt: skip

    return network(layers, neurons)


def quantised_ann(layers, levels, images):
    """Activations of every layer as levels: the clip-floor-shift network, in whole numbers.

    ``a = clip(floor(z L + 1/2) / L, 0, 1)`` with ``z = (W a) / V + B / (64 V)`` and ``a = n / L``.
    """
    n, found = images, []
    for w, v, b in layers:
        numerator = 64 * (n @ w.T.astype(np.int64)) + levels * b  # of z L, over 64 V
        n = np.clip((2 * numerator + 64 * v) // (2 * 64 * v), 0, levels)
        found.append(n)
    return found


def counts(chip, images, steps, strict):
    """Sums of the messages of every layer over the steps."""
    run = Simulator(strict=strict).run(
        chip, np.repeat(images[:, None], steps, axis=1), probes=every(chip, "spikes")
    )
    return [run.traces[p.name, "spikes"].sum(axis=1, dtype=np.int64) for p in chip.populations]


def images_of(levels):
    return np.random.default_rng(99).integers(0, levels + 1, (SAMPLES, NEURONS))


@pytest.mark.parametrize("levels", LEVELS)
def test_levels_equal_the_quantised_network_in_every_layer(levels):
    for seed in range(3):
        layers, images = parameters(seed), images_of(levels)
        expected = quantised_ann(layers, levels, images)
        found = counts(graded(layers, levels), images, 1, strict=True)
        assert [np.count_nonzero(a != b) for a, b in zip(expected, found, strict=True)] == [0] * 6
        assert 0.1 < expected[-1].mean() / levels < 0.5
        assert len(np.unique(expected[-1])) == levels + 1


@pytest.mark.parametrize("levels", LEVELS)
def test_rates_come_near_and_hard_resets_do_not(levels):
    soft, hard, off = [], [], []
    for seed in range(3):
        layers, images = parameters(seed), images_of(levels)
        expected = quantised_ann(layers, levels, images)
        found = counts(rate(layers, levels, "subtract"), images, levels, strict=True)
        np.testing.assert_array_equal(found[0], expected[0])  # a constant input: exact
        soft.append(np.abs(found[-1] - expected[-1]).mean() / levels)
        off.append(np.mean(found[-1] != expected[-1]))
        found = counts(rate(layers, levels, "zero"), images, levels, strict=True)
        hard.append(np.abs(found[-1] - expected[-1]).mean() / levels)
    assert np.mean(soft) == pytest.approx(RATE_ERROR[levels], rel=0.15)
    assert np.mean(off) == pytest.approx(UNITS_OFF[levels], rel=0.15)
    assert np.mean(hard) == pytest.approx(HARD_RESET_ERROR, rel=0.15)
