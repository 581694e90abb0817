"""The hops from floats to the chip: what differs is found, measured and explained."""

import dataclasses
from functools import partial

import numpy as np
import pytest

from hardware.analysis.hops import compare_hops
from hardware.backends.backend import Availability, Backend, ChipRun
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT
from hardware.compiler.floats.network import FloatNetwork, FloatPopulation, FloatSynapse
from hardware.compiler.quantise.quantiser import quantise


class Other(Backend):
    """An engine with a mistake: it runs another network, or the samples without a fresh start."""

    name = "other"

    def __init__(self, *, change=lambda network: network, forgets=True):
        self.change = change
        self.forgets = forgets

    def is_available(self):
        return Availability("available", "for this test")

    def check(self, network):
        pass

    def _run(self, network, spikes, probes, progress):
        network = self.change(network)
        if self.forgets:
            return Reference().run(network, spikes, probes=probes)
        in_one = Reference().run(network, spikes.reshape(1, -1, *spikes.shape[2:]), probes=probes)
        traces = {
            probe: trace.reshape(*spikes.shape[:2], *trace.shape[2:])
            for probe, trace in in_one.traces.items()
        }
        output = traces[network.output.name, "spikes"].sum(axis=1)
        return ChipRun(
            output=output, spikes={}, synops={}, traces=traces, wall_s=0.0, backend=self.name
        )


def with_middle(kind, **fields):
    """A change of the middle population, or of the synapse into it."""

    def change(network):
        parts = list(getattr(network, kind))
        new = {k: f(getattr(parts[1], k)) if callable(f) else f for k, f in fields.items()}
        parts[1] = dataclasses.replace(parts[1], **new)
        return dataclasses.replace(network, **{kind: tuple(parts)})

    return change


with_population = partial(with_middle, "populations")
with_synapse = partial(with_middle, "synapses")


def one_weight(weight):
    changed = weight.copy()
    changed[0] = np.where(changed[0] > 0, changed[0] - 40, changed[0] + 40)
    return changed


MISTAKES = {
    "synapses": with_synapse(weight=one_weight),
    "bias or decay": with_population(bias_mant=lambda b: b + 400),
    "threshold": with_population(vth=lambda v: v + 60),
    "reset": with_population(reset="subtract"),
    "timing": with_synapse(delay=1),
}


@pytest.fixture
def network(random_network):
    """Three layers; the middle one has no bias and no memory of its current."""
    network = random_network(8, input_shape=(20,), layers=(16, 12, 4))
    quiet = with_population(bias_mant=lambda b: 0 * b, du=lambda d: 0 * d + 4096, bias_exp=0)
    return quiet(network)


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_of_an_engine_is_found_and_named(network, random_spikes, kind):
    spikes = random_spikes(1, (3, 12, 20))
    (hop,) = compare_hops(network, spikes, backends=[Other(change=MISTAKES[kind])])
    assert not hop.equal
    assert hop.divergence.population == "layer-1"
    assert hop.cause.kind == kind, str(hop)
    assert hop.differing["layer-0"].max() == 0 and hop.differing["layer-1"].max() > 0
    assert hop.picture.step == hop.divergence.step


def test_a_missing_reset_between_samples_is_named(network, random_spikes):
    spikes = random_spikes(1, (3, 12, 20))
    (hop,) = compare_hops(network, spikes, backends=[Other(forgets=False)])
    assert hop.cause.kind == "reset" and hop.divergence.sample > 0, str(hop)


def test_engines_that_agree_differ_nowhere(network, random_spikes):
    spikes = random_spikes(1, (3, 12, 20))
    hops = list(compare_hops(network, spikes, backends=[Simulator(), Other()]))
    assert [(hop.expected, hop.found) for hop in hops] == [
        ("integers", "simulator"),
        ("simulator", "other"),
    ]
    assert all(hop.equal and hop.same_answers == 1 and hop.cause is None for hop in hops)
    assert "every message of every layer equal" in str(hops[0])


def test_a_wrong_readout_is_found_where_no_message_is(network, random_spikes):
    """A membrane that is read out sends nothing; its states are compared."""
    populations = list(network.populations)
    populations[-1] = dataclasses.replace(populations[-1], vth=2**17 - 1)
    network = dataclasses.replace(network, populations=tuple(populations), readout="membrane")

    def leak_less(network):
        *first, last = network.populations
        changed = dataclasses.replace(last, dv=last.dv // 2, bias_mant=last.bias_mant + 1)
        return dataclasses.replace(network, populations=(*first, changed))

    spikes = random_spikes(1, (3, 12, 20))
    (hop,) = compare_hops(network, spikes, backends=[Other(change=leak_less)])
    assert hop.divergence.population == "layer-2" and hop.divergence.variable == "v"
    assert hop.cause.kind == "bias or decay" and hop.readout_error > 0
    assert hop.silent == []


# -- from floats to integers -----------------------------------------------------------------------


def float_chain(*, weight=0.3, threshold=1.0, v_decay=0.1, bias=0.0, **fields):
    """One input, one neuron; a second, silent channel fixes the scale of the layer."""
    return FloatNetwork(
        input_shape=(1,),
        populations=(
            FloatPopulation(
                name="n", shape=(2,), v_decay=v_decay, threshold=threshold, bias=bias, **fields
            ),
        ),
        synapses=(FloatSynapse(sources=(INPUT,), target="n", weight=np.array([[weight], [-0.9]])),),
    )


def hops_of(floats, spikes):
    chip, losses = quantise(floats, per_channel=False)
    hops = compare_hops(chip, spikes, floats=floats, losses=losses, backends=[Simulator()])
    return {(hop.expected, hop.found): hop for hop in hops}


ALWAYS = np.ones((1, 40, 1), np.uint8)


def test_rounded_weights_are_named_with_the_distance_at_the_threshold():
    """Four inputs are a hair above the threshold; the rounded weights are a hair below."""
    hops = hops_of(float_chain(weight=0.2501, v_decay=0.0), ALWAYS)
    hop = hops["float", "quantised float"]
    assert hop.divergence.step == 3 and hop.divergence.neuron == (0,)
    assert hop.cause.kind == "rounding" and "weights of 'n' alone" in hop.cause.evidence
    assert hop.voltages[0] == pytest.approx(1.0004) and hop.voltages[1] <= 1
    assert hop.size == pytest.approx(hop.voltages[0] - hop.voltages[1])


def test_rounded_decays_are_named():
    floats = float_chain(weight=0.02, threshold=3.99, v_decay=1.2e-4, weight_scale=100.0)
    hop = hops_of(floats, np.ones((1, 400, 1), np.uint8))["float", "quantised float"]
    assert "decays of 'n' alone" in hop.cause.evidence


def test_clipped_weights_are_named():
    floats = float_chain(weight=0.9, threshold=1.5, weight_scale=400.0)
    hop = hops_of(floats, ALWAYS)["float", "quantised float"]
    assert hop.cause.kind == "clip"


def test_meeting_the_threshold_exactly_is_named():
    floats = float_chain(weight=0.5, v_decay=0.0, fires="at_or_above", weight_scale=100.0)
    hop = hops_of(floats, ALWAYS)["float", "quantised float"]
    assert hop.divergence.step == 1 and hop.cause.kind == "threshold", str(hop)


def test_rounded_states_are_named():
    """A leak rounds toward zero in every step; near the threshold it decides."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((8, 400, 1)) < 0.5).astype(np.uint8)
    floats = float_chain(weight=2 / 64, threshold=0.5, v_decay=1 / 32, weight_scale=64.0)
    hop = hops_of(floats, spikes)["quantised float", "integers"]
    assert not hop.equal and hop.cause.kind == "rounding"
    assert "states are rounded" in hop.cause.evidence


def test_a_saturated_voltage_is_named():
    """Driven down beyond 24 bits, the chip's voltage stops there and comes back too early."""
    weight = np.repeat([[-200.0, 200.0]], 100, axis=1)
    floats = FloatNetwork(
        input_shape=(200,),
        populations=(FloatPopulation(name="n", shape=(1,), threshold=10000.0, weight_scale=1.0),),
        synapses=(FloatSynapse(sources=(INPUT,), target="n", weight=weight),),
    )
    spikes = np.zeros((1, 30, 200), np.uint8)
    spikes[:, :10] = weight < 0
    spikes[:, 10:] = weight > 0
    hop = hops_of(floats, spikes)["quantised float", "integers"]
    assert hop.cause.kind == "clip" and "v saturated in n" in hop.cause.evidence


def test_the_error_of_a_readout_is_a_share_of_its_range():
    floats = FloatNetwork(
        input_shape=(2,),
        populations=(FloatPopulation(name="out", shape=(2,), v_decay=0.1, kind="readout"),),
        synapses=(
            FloatSynapse(sources=(INPUT,), target="out", weight=np.array([[0.31, -0.7], [1, 0.2]])),
        ),
        readout="membrane",
    )
    spikes = (np.random.default_rng(0).random((4, 20, 2)) < 0.5).astype(np.uint8)
    hops = hops_of(floats, spikes)
    rounding = hops["float", "quantised float"].readout_error
    assert 0 < rounding < 0.02
    assert 0 < hops["quantised float", "integers"].readout_error < rounding
    assert hops["integers", "simulator"].readout_error == 0
