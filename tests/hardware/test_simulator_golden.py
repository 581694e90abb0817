"""The simulator against values worked out by hand: each model, each synapse, the counts."""

import numpy as np
import pytest

from hardware.backends.backend import every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from hardware.chip.neurons import CubaState, cuba_step
from hardware.chip.populations import Cuba, Delta, Relay, ResonateAndFire, Sigma, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct, Sparse
from hardware.errors import ArithmeticFaultError


def single(population, values, *, bits=0, port="input", weight=None):
    """Traces of one neuron that is driven directly, or through a dense weight."""
    ends = {"sources": ("input",), "target": population.name, "port": port}
    synapse = Direct(**ends)
    if weight is not None:
        synapse = Dense(weight=np.array([[weight]], np.int32), message_bits=bits, **ends)
    network = ChipNetwork(
        input_shape=(1,), input_bits=bits, populations=(population,), synapses=(synapse,)
    )
    frames = np.array(values).reshape(1, -1, 1)
    probes = [(population.name, v) for v in ("spikes", *population.STATES)]
    run = Simulator().run(network, frames, probes=probes)
    return {variable: trace.ravel().tolist() for (_, variable), trace in run.traces.items()}


def test_golden_voltages_of_one_neuron():
    # Weight 10, threshold 12: 10<<6 = 640 is below 768; half of 640 decays away; 320 + 640 fires.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=2048, vth=12)
    seen = single(cuba, [1, 0, 1, 1, 0], weight=10)
    assert seen["v"] == [640, 320, 0, 640, 320]
    assert seen["spikes"] == [0, 0, 1, 0, 0]


def test_threshold_is_strict():
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=12)
    assert single(cuba, [1], weight=12)["spikes"] == [0]
    assert single(cuba, [1], weight=14)["spikes"] == [1]


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


def test_golden_current_and_voltage_of_cuba():
    # u: 640, 320, 160, 80 + 640; v: 640, 640 + 320, 960 + 160 > 1088 fires, 720.
    cuba = Cuba(name="n", shape=(1,), du=2048, dv=0, vth=17)
    seen = single(cuba, [1, 0, 0, 1], weight=10)
    assert seen["u"] == [640, 320, 160, 720]
    assert seen["v"] == [640, 960, 0, 720]
    assert seen["spikes"] == [0, 0, 1, 0]


def test_golden_reset_by_subtraction_with_initial_voltage():
    # Threshold 640: 300 + 640 = 940 leaves 300, and again; without input nothing changes.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=10, v_init=300, reset="subtract")
    seen = single(cuba, [1, 1, 0, 1], weight=10)
    assert seen["v"] == [300, 300, 300, 300]
    assert seen["spikes"] == [1, 1, 0, 1]


def test_golden_rest_after_a_spike():
    # Fires at once, stands still for two steps while the current goes on, then counts again.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=9, refractory=2)
    seen = single(cuba, [1, 1, 1, 1, 0], weight=10)
    assert seen["v"] == [0, 0, 0, 0, 0]
    assert seen["u"] == [640, 640, 640, 640, 0]
    assert seen["spikes"] == [1, 0, 0, 1, 0]


def test_golden_reset_interval():
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=1000, reset_interval=3, reset_phase=2)
    assert single(cuba, [1, 1, 1, 1, 1], weight=10)["v"] == [640, 1280, 640, 1280, 1920]


def test_golden_input_into_the_bias():
    # (2 + 5) << 3 and (2 + 0) << 3, without the shift by 6 of inputs.
    cuba = Cuba(name="n", shape=(1,), du=4096, dv=0, vth=1000, bias_mant=2, bias_exp=3)
    seen = single(cuba, [5, 0], bits=4, port="bias")
    assert (seen["u"], seen["v"]) == ([0, 0], [56, 72])


def test_golden_relay():
    values = [3, -3, 2, -2, 0]
    assert single(Relay(name="n", shape=(1,), vth=2), values, bits=4)["spikes"] == [3, -3, 0, 0, 0]
    rectified = Relay(name="n", shape=(1,), vth=2, rectify=True)
    assert single(rectified, values, bits=4)["spikes"] == [3, 0, 0, 0, 0]


def test_golden_sigma():
    assert single(Sigma(name="n", shape=(1,)), [3, -1, 0], bits=4)["sigma"] == [3, 2, 2]


def test_golden_delta():
    # Changes 3, 1, 3 against a threshold of 2: the held back 1 is sent with the next.
    seen = single(Delta(name="n", shape=(1,), vth=2), [3, 4, 7], bits=4)
    assert seen["spikes"] == [3, 0, 4]
    assert seen["residue"] == [0, 1, 0]


def test_golden_sigma_delta():
    # sigma 3, -2, 5; with bias 1 and ReLU: 4, 0, 6; all changes reach the threshold 2.
    seen = single(SigmaDelta(name="n", shape=(1,), vth=2, bias=1), [3, -5, 7], bits=4)
    assert seen["sigma"] == [3, -2, 5]
    assert seen["act"] == [4, 0, 6]
    assert seen["spikes"] == [4, -4, 6]


@pytest.mark.parametrize("izhikevich", [False, True])
def test_golden_resonator(izhikevich):
    # A quarter turn per step: 1 -> i -> -1 -> -i -> 1, with vth 2 and inputs of 4.
    population = ResonateAndFire(
        name="n",
        shape=(1,),
        sin_decay=4096,
        cos_decay=0,
        vth=2,
        state_exp=0,
        izhikevich=izhikevich,
    )
    seen = single(population, [4, 0, 0, 0, 0], bits=4)
    if izhikevich:  # fires when the imaginary part reaches 2, and leaves 0 + 1i
        assert seen["spikes"] == [0, 1, 0, 0, 0]
        assert seen["imag"] == [0, 1, 0, -1, 0]
    else:  # fires when the point passes the positive real axis from below
        assert seen["real"] == [4, 0, -4, 0, 4]
        assert seen["spikes"] == [0, 0, 0, 0, 1]


def test_golden_delays_of_a_sparse_and_a_recurrent_synapse():
    # The input arrives after 2 steps; the neuron's own spike inhibits it one step later.
    relay = Relay(name="n", shape=(1,))
    network = ChipNetwork(
        input_shape=(1,),
        populations=(relay,),
        synapses=(
            Sparse(
                sources=("input",),
                target="n",
                weight=np.array([8], np.int32),
                targets=np.array([0], np.int32),
                offsets=np.array([0, 1]),
                n_targets=1,
                delay=2,
            ),
            Dense(sources=("n",), target="n", weight=np.array([[-3]], np.int32), delay=1),
        ),
    )
    frames = np.array([1, 0, 1, 0, 0, 0, 0], np.uint8).reshape(1, -1, 1)
    run = Simulator().run(network, frames, probes=[("n", "spikes")])
    assert run.traces["n", "spikes"].ravel().tolist() == [0, 0, 8, -3, 5, -3, -3]


def test_a_convolution_wraps_and_strict_mode_names_the_neuron():
    weight = np.full((1, 1, 1, 2), 254, np.int32)
    network = ChipNetwork(
        input_shape=(1, 1, 3),
        input_bits=24,
        populations=(Relay(name="r", shape=(1, 1, 2)),),
        synapses=(Conv(sources=("input",), target="r", weight=weight, message_bits=24),),
    )
    frames = np.zeros((2, 3, 1, 1, 3), np.int64)
    frames[1, 2, 0, 0, 2] = 40_000
    run = Simulator().run(network, frames, probes=[("r", "spikes")])
    assert run.traces["r", "spikes"][1, 2].ravel().tolist() == [0, 40_000 * 254 - 2**24]
    with pytest.raises(ArithmeticFaultError) as caught:
        Simulator(strict=True).run(network, frames)
    assert caught.value.layer == "input -> r" and caught.value.fault == "sum wrapped"
    assert (caught.value.neuron, caught.value.step, caught.value.sample) == ((0, 0, 1), 2, 1)


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
