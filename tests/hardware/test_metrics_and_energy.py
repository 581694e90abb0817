"""Activity and energy of a toy network, against numbers worked out by hand."""

import numpy as np
import pytest

from hardware.analysis.energy import constants, estimate
from hardware.analysis.metrics import dense_operations, layer_activity
from hardware.backends.backend import ChipRun
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense

STEPS = 2


def population(name, shape):
    def filled(value):
        return np.full(shape[:1], value, np.int32)

    return Cuba(
        name=name, shape=shape, du=filled(4096), dv=filled(4096), vth=filled(1), bias_mant=filled(0)
    )


@pytest.fixture
def network():
    """1×3×3 input, a 2×2 kernel of ones to 2×2, then a dense layer with one weight missing."""
    return ChipNetwork(
        input_shape=(1, 3, 3),
        populations=(population("conv", (1, 2, 2)), population("out", (2,))),
        synapses=(
            Conv(sources=("input",), target="conv", weight=np.full((1, 1, 2, 2), 2, np.int32)),
            Dense(
                sources=("conv",), target="out", weight=np.array([[2, 2, 2, 2], [0, 2, 2, 2]], "i4")
            ),
        ),
    )


@pytest.fixture
def run(network):
    """One spike in the middle, which reaches all four neurons; nothing in the second step."""
    spikes = np.zeros((1, STEPS, 1, 3, 3), np.uint8)
    spikes[0, 0, 0, 1, 1] = 1
    return Simulator().run(network, spikes)


def test_activity_by_hand(network, run):
    conv, out = layer_activity(network, run, STEPS)
    assert (conv.spikes, conv.synops) == (4, 4)  # each of the four outputs once
    assert (out.spikes, out.synops) == (2, 7)  # 4 spikes, 8 synapses, one of them zero
    assert (conv.synapses, out.synapses) == (16, 7)
    assert (conv.weights, out.weights) == (4, 8)
    assert conv.rate == 4 / (4 * STEPS)
    assert conv.activation_sparsity == 1 - conv.rate
    assert dense_operations(network) == {"conv": 16, "out": 8}
    assert (conv.dense, out.dense) == (16 * STEPS, 8 * STEPS)


def test_energy_by_hand(network, run):
    rows = estimate(layer_activity(network, run, STEPS), n_steps=STEPS, duration_s=0.5)
    davies, fit, once, every_step = rows
    # 11 synaptic operations, 6 spikes, 12 updates of which 6 are active.
    assert davies.dynamic_nj == pytest.approx((11 * 23.6 + 6 * (81 + 1.7) + 6 * 52) * 1e-3)
    assert fit.dynamic_nj == pytest.approx((11 * 35.5 + 6 * (142.1 + 111) + 6 * 72.8) * 1e-3)
    assert davies.static_nj == pytest.approx(3.34 / 32 * 0.5 * 1e9)
    assert davies.total_nj == davies.dynamic_nj + davies.static_nj
    assert once.dynamic_nj == pytest.approx(24 * 0.23e-3)
    assert every_step.dynamic_nj == pytest.approx(STEPS * 24 * 0.23e-3)
    assert {row.provenance for row in rows} == {"estimated"}


def test_no_loihi_2_is_priced_and_every_constant_has_a_source():
    assert all(constant.source and constant.value > 0 for constant in constants())
    assert not any("Loihi 2" in constant.source for constant in constants())


def test_means_over_samples(network):
    run = ChipRun(
        output=np.zeros((2, 2), np.int64),
        spikes={"input": np.array([1, 3]), "conv": np.array([2, 4]), "out": np.array([0, 1])},
        synops={"conv": np.array([4, 8]), "out": np.array([5, 7])},
        traces={},
        wall_s=0.0,
        backend="by hand",
    )
    conv, out = layer_activity(network, run, STEPS)
    assert (conv.spikes, conv.synops, out.spikes, out.synops) == (3, 6, 0.5, 6)
