"""Design rules: what is asked of a network, what there is, and all that is broken at once."""

import numpy as np
import pytest

from hardware.analysis.fit import fit_network
from hardware.analysis.rules import RULES, check_rules
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Levels, Relay, ResonateAndFire, SigmaDelta
from hardware.chip.synapses import Conv, Dense


def lif(name, *shape, **fields):
    return Cuba(**{"name": name, "shape": shape, "du": 4096, "dv": 100, "vth": 100} | fields)


def dense(source, target, shape, value=2, **fields):
    return Dense(sources=(source,), target=target, weight=np.full(shape, value, np.int32), **fields)


def chain(*populations, value=2, rows=4, **fields):
    """Populations one behind the other, all of their weights the same."""
    synapses, before, width = [], INPUT, rows
    for population in populations:
        shape = (population.n_neurons, width)
        synapses.append(dense(before, population.name, shape, value, **fields))
        before, width = population.name, population.n_neurons
    return ChipNetwork(input_shape=(rows,), populations=populations, synapses=tuple(synapses))


def asked(network, rule):
    return [r for r in check_rules(network) if r.rule == rule]


def broken(network):
    return [(r.layer, r.rule) for r in check_rules(network) if not r.ok]


def test_a_plain_network_keeps_all_rules():
    network = chain(lif("a", 5), lif("b", 3))
    assert not broken(network)
    assert not fit_network(network).violations


@pytest.mark.parametrize(
    ("value", "bits", "unit"),
    [(2, 2, "positive"), (255, 8, "positive"), (-255, 8, "negative"), (-3, 2, "negative")],
)
def test_bits_of_weights_of_one_sign(value, bits, unit):
    (rule,) = asked(chain(lif("a", 2), value=value), "weight bits")
    assert (rule.required, rule.available, rule.ok) == (bits, 8, True)
    assert unit in rule.unit


def test_both_signs_are_even_and_reach_minus_256():
    weight = np.array([[-256, 254, 0, 2]], np.int32)
    synapse = Dense(sources=(INPUT,), target="a", weight=weight)
    network = ChipNetwork(input_shape=(4,), populations=(lif("a", 1),), synapses=(synapse,))
    (rule,) = asked(network, "weight bits")
    assert (rule.required, rule.ok) == (8, True)
    assert "both signs, even" in rule.unit


def test_registers_say_how_much_of_them_is_used():
    network = chain(lif("a", 2, vth=(1 << 17) - 1, bias_mant=-4095, bias_exp=3))
    (threshold,), (bias,) = asked(network, "threshold"), asked(network, "bias")
    assert (threshold.required, threshold.available) == (17, 17)
    assert (bias.required, bias.available) == (13, 13)
    assert "2**3" in bias.unit
    assert all(rule.source for rule in check_rules(network))


def test_messages_and_delays():
    network = chain(SigmaDelta(name="a", shape=(2,), vth=3), lif("b", 2), message_bits=24, delay=62)
    assert {r.required for r in asked(network, "bits of a message")} == {24}
    assert {(r.required, r.available) for r in asked(network, "delay of a synapse")} == {(62, 62)}
    assert not broken(network)


@pytest.mark.parametrize(("sources", "bits"), [(514, 24), (515, 25)])
def test_the_current_of_all_sources_at_once_is_a_risk_and_no_violation(sources, bits):
    """In units of 1 / 64 and weights of 255, 514 make 128 less than 2**23."""
    network = chain(lif("a", 1), value=255, rows=sources)
    (rule,) = asked(network, "current if all sources fire at once")
    assert (rule.required, rule.available, rule.ok) == (bits, 24, True)
    assert bool(rule.advice) == (bits > 24)


def test_a_neuron_with_more_sources_than_a_core_holds():
    network = chain(lif("a", 2), rows=12_001)
    (rule,) = [r for r in check_rules(network) if not r.ok]
    assert (rule.rule, rule.layer) == ("synaptic memory of one neuron", "a")
    assert (rule.required, rule.available) == (12_001, 12_000)
    assert "stride" in rule.advice
    assert broken(chain(lif("a", 2), rows=12_000)) == []


def test_a_channel_with_more_weights_than_a_core_holds():
    weight = np.full((1, 1400, 3, 3), 2, np.int32)
    network = ChipNetwork(
        input_shape=(1400, 3, 3),
        populations=(lif("a", 1, 1, 1),),
        synapses=(Conv(sources=(INPUT,), target="a", weight=weight),),
    )
    assert broken(network) == [("a", "synaptic memory of one channel")]


@pytest.mark.parametrize(
    ("population", "what"),
    [
        (lif("a", 2, reset="subtract"), "reset by subtraction"),
        (lif("a", 2, refractory=3), "rest after a spike"),
        (lif("a", 2, v_init=5), "initial voltage"),
        (lif("a", 2, reset_interval=4), "resets within a sample"),
        (Levels(name="a", shape=(2,), vth=9, levels=3), "levels need microcode"),
    ],
)
def test_neurons_that_need_a_program_of_their_own(population, what):
    (rule,) = [r for r in check_rules(chain(population)) if not r.ok]
    assert (rule.layer, rule.required, rule.available) == ("a", 2, 0)
    assert what in rule.advice


@pytest.mark.parametrize(
    "population",
    [
        Relay(name="a", shape=(2,)),
        SigmaDelta(name="a", shape=(2,), vth=3),
        ResonateAndFire(name="a", shape=(2,), sin_decay=9, cos_decay=9, vth=9),
    ],
)
def test_neurons_that_lava_has(population):
    assert not broken(chain(population))


def test_a_convolution_with_a_delay_is_refused():
    weight = np.full((1, 1, 2, 2), 2, np.int32)
    network = ChipNetwork(
        input_shape=(1, 4, 4),
        populations=(lif("a", 1, 3, 3),),
        synapses=(Conv(sources=(INPUT,), target="a", weight=weight, delay=2),),
    )
    assert broken(network) == [("a", "delay of a convolution")]


def test_a_way_back_needs_a_step_for_each_layer():
    """From b to a there are two synapses on the way round, one step of delay is too short."""

    def network(delay):
        return ChipNetwork(
            input_shape=(4,),
            populations=(lif("a", 2), lif("b", 2)),
            synapses=(
                dense(INPUT, "a", (2, 4)),
                dense("a", "b", (2, 2)),
                dense("b", "a", (2, 2), delay=delay),
            ),
        )

    (rule,) = asked(network(1), "delay of a recurrent synapse")
    assert (rule.layer, rule.required, rule.available, rule.ok) == ("a", 2, 1, False)
    assert not broken(network(2))


def test_a_path_that_skips_layers_waits():
    network = ChipNetwork(
        input_shape=(4,),
        populations=(lif("a", 2), lif("b", 2), lif("c", 2)),
        synapses=(
            dense(INPUT, "a", (2, 4)),
            dense("a", "b", (2, 2)),
            dense("b", "c", (2, 2)),
            dense("a", "c", (2, 2)),
        ),
    )
    (rule,) = asked(network, "waiting of a path that skips layers")
    assert (rule.layer, rule.required, rule.available, rule.ok) == ("c", 1, 62, True)


def test_all_violations_come_at_once_and_first():
    network = chain(
        lif("a", 3, reset="subtract"),
        Levels(name="b", shape=(12_500,), vth=9, levels=3),
        lif("c", 2),
        delay=1,
    )
    expected = [("c", "synaptic memory of one neuron")] + [
        (name, "stock neuron model") for name in "ab"
    ]
    assert broken(network) == expected
    rules = fit_network(network).as_dict()["rules"]
    assert [(r["layer"], r["rule"]) for r in rules[:3]] == expected
    kept = [r["rule"] for r in rules[3:]]
    assert len(kept) == len(set(kept))
    assert all(r["ok"] for r in rules[3:])


def test_any_network_can_be_asked(random_graph, random_networks):
    for seed in range(30):
        network = random_graph(seed, random_networks.FEATURES)
        names = {p.name for p in network.populations}
        for rule in check_rules(network):
            assert rule.layer in names
            assert rule.ok or rule.advice
            assert rule.ok == (rule.required <= rule.available) or "at once" in rule.rule
    assert len(RULES) == 12
