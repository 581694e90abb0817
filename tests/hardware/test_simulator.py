"""The simulator against the specification, step by step and bit by bit."""

import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.simulator import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.neurons import CubaState, cuba_step
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Dense
from hardware.errors import NetworkFormatError

SHAPES = [
    {"layers": ({"channels": 4, "kernel": (3, 2)}, 5)},
    {
        "input_shape": (4, 9, 8),
        "layers": (
            {"channels": 6, "kernel": (3, 3), "stride": (2, 1), "padding": (1, 2), "groups": 2},
            {"channels": 4, "kernel": (2, 3), "dilation": (2, 1), "padding": (0, 1)},
            7,
        ),
    },
    {"input_shape": (11,), "layers": (9, 5)},
    {"input_shape": (2, 5, 5), "layers": (6,)},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_every_state_equals_the_specification(
    shape, seed, random_network, random_spikes, reference_run
):
    network = random_network(seed, **shape)
    spikes = random_spikes(seed, (3, 9, *network.input_shape))
    probes = [probe for variable in ("spikes", "u", "v") for probe in every(network, variable)]
    run = Simulator().run(network, spikes, probes=probes)
    expected = reference_run(network, spikes)
    assert any(expected[name, "spikes"].any() for name, _ in every(network, "spikes"))
    for probe in probes:
        np.testing.assert_array_equal(run.traces[probe], expected[probe], err_msg=str(probe))


def test_golden_voltages_of_one_neuron():
    # Weight 10, threshold 12: 10<<6 = 640 is below 768; half of 640 decays away; 320 + 640 fires.
    network = one_neuron(weight=10, dv=2048, vth=12)
    run = Simulator().run(
        network,
        np.array([[[1], [0], [1], [1], [0]]], np.uint8),
        probes=[("n", "spikes"), ("n", "v")],
    )
    assert run.traces["n", "v"].ravel().tolist() == [640, 320, 0, 640, 320]
    assert run.traces["n", "spikes"].ravel().tolist() == [0, 0, 1, 0, 0]


def test_threshold_is_strict():
    run = Simulator().run(one_neuron(weight=12, dv=0, vth=12), np.ones((1, 1, 1), np.uint8))
    assert run.output.item() == 0


def state(u, v):
    return CubaState(np.array([u]), np.array([v]), np.array([0]))


def test_decay_rounds_toward_zero():
    _, after, _ = cuba_step(state(0, -3), np.array([0]), du=4096, dv=2048, vth=1, bias=0)
    assert after.v.item() == -1


def test_current_wraps_and_voltage_saturates():
    start = state(2**23, 2**23 - 1)
    _, after, faults = cuba_step(start, np.array([1]), du=0, dv=0, vth=2**17 - 1, bias=-1)
    assert after.u.item() == 2**23 + 64 - 2**24
    assert faults["u wrapped"].all() and not faults["v saturated"].any()
    start = state(0, 1 - 2**23)
    _, after, faults = cuba_step(start, np.array([-1]), du=0, dv=0, vth=1, bias=0)
    assert after.v.item() == 1 - 2**23
    assert faults["v saturated"].all()


def test_synaptic_operations_are_counted_one_by_one(random_network, random_spikes):
    network = random_network(
        3, layers=({"channels": 3, "kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}, 4)
    )
    spikes = random_spikes(1, (1, 4, *network.input_shape))
    run = Simulator().run(network, spikes, probes=every(network, "spikes"))
    conv, dense = network.synapses
    by_hand = 0
    for c, y, x in np.argwhere(spikes.sum(axis=(0, 1))):
        for _ in range(int(spikes[0, :, c, y, x].sum())):
            for out_y in range(network.populations[0].shape[1]):
                for out_x in range(network.populations[0].shape[2]):
                    i, j = y + 1 - 2 * out_y, x + 1 - 2 * out_x
                    if 0 <= i < 3 and 0 <= j < 3:
                        by_hand += np.count_nonzero(conv.weight[:, c, i, j])
    assert run.synops[conv.target].item() == by_hand
    hidden = run.traces[dense.sources[0], "spikes"].sum(axis=(0, 1)).ravel()
    assert run.synops[dense.target].item() == int(hidden @ np.count_nonzero(dense.weight, axis=0))


def test_samples_do_not_influence_each_other(random_network, random_spikes):
    network = random_network(5)
    spikes = random_spikes(2, (4, 6, *network.input_shape))
    together = Simulator().run(network, spikes).output
    alone = np.concatenate([Simulator().run(network, sample[None]).output for sample in spikes])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("spikes", "message"),
    [
        (np.zeros((1, 3, 2), np.uint8), "spikes must have shape"),
        (np.zeros((1, 3, 1), np.float32), "must be integers"),
        (np.full((1, 3, 1), 2, np.uint8), "must be 0 or 1"),
        (np.zeros((0, 3, 1), np.uint8), "nothing to run"),
    ],
)
def test_unfit_input_is_refused(spikes, message):
    with pytest.raises(NetworkFormatError, match=message):
        Simulator().run(one_neuron(weight=2, dv=0, vth=1), spikes)


def test_unknown_probe_is_refused():
    with pytest.raises(NetworkFormatError, match="no 'volts' of 'n'"):
        Simulator().run(
            one_neuron(weight=2, dv=0, vth=1), np.ones((1, 1, 1), np.uint8), probes=[("n", "volts")]
        )


def one_neuron(*, weight, dv, vth):
    def array(value):
        return np.array([value], np.int32)

    population = Cuba(
        name="n", shape=(1,), du=array(4096), dv=array(dv), vth=array(vth), bias_mant=array(0)
    )
    synapse = Dense(sources=("input",), target="n", weight=array(weight)[None])
    return ChipNetwork(input_shape=(1,), populations=(population,), synapses=(synapse,))
