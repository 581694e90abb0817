"""Energy of a toy network, against numbers worked out by hand; sources, and refusals."""

import dataclasses

import pytest

from hardware.analysis.energy import (
    FP32_AC,
    INT8_MAC,
    LIMITS,
    LOIHI1,
    LOIHI1_LOW,
    RANDOM_HOPS,
    EnergyProfileError,
    Hops,
    anchors,
    anchors_from_tables,
    constants,
    crossover,
    estimate,
    price,
    profile_from_table,
)
from hardware.analysis.energy.anchors import ANCHORS
from hardware.analysis.energy.constants import EVIDENCE
from hardware.analysis.metrics import LayerActivity

STEPS, SECONDS = 2, 0.5


def layer(name, *, synops, spikes, neurons, dense, kind, macs=0):
    return LayerActivity(
        layer=name,
        neurons=neurons,
        synapses=dense,
        weights=dense,
        spikes=spikes,
        synops=synops,
        dense=float(dense * STEPS),
        dense_padded=float(dense * STEPS),
        rate=spikes / neurons / STEPS,
        activation_sparsity=1 - spikes / neurons / STEPS,
        effective_acs=synops - macs,
        effective_macs=macs,
        synapse_kind=kind,
    )


@pytest.fixture
def activity():
    """The toy of ``test_metrics.py``: 11 synaptic operations, 6 spikes, 12 updates."""
    return (
        layer("conv", synops=4, spikes=4, neurons=4, dense=16, kind="conv"),
        layer("out", synops=7, spikes=2, neurons=2, dense=8, kind="dense"),
    )


def test_every_powered_chip_draws_static_power(activity):
    _, nominal, high, *_ = estimate(activity, n_steps=STEPS, duration_s=SECONDS, loihi1_chips=14)
    assert nominal.static_nj is None and "chips" not in nominal.basis
    assert high.static_nj == pytest.approx(14 * 3.34 / 32 * SECONDS * 1e9)
    assert high.basis.endswith("14 chips stay powered")


def test_energy_by_hand(activity):
    rows = estimate(activity, n_steps=STEPS, duration_s=SECONDS)
    low, nominal, high, once, every_step, floats, spikes8, spikes32 = rows
    assert [row.level for row in rows] == ["low", "nominal", "high"] + ["reference"] * 5
    # 6 of 12 updates are active.
    assert low.dynamic_nj == pytest.approx((11 * 23.6 + 6 * (81 + 1.7) + 6 * 52) * 1e-3)
    fit = (4 * 24.0 + 7 * 35.5 + 6 * (142.1 + 111) + 6 * 72.8) * 1e-3
    assert nominal.dynamic_nj == high.dynamic_nj == pytest.approx(fit)
    assert low.static_nj is nominal.static_nj is None
    assert (low.total_nj, nominal.total_nj) == (low.dynamic_nj, nominal.dynamic_nj)
    assert high.static_nj == pytest.approx(3.34 / 32 * SECONDS * 1e9)
    assert high.total_nj == high.dynamic_nj + high.static_nj
    assert once.dynamic_nj == pytest.approx(24 * 0.23e-3)
    assert every_step.dynamic_nj == pytest.approx(STEPS * 24 * 0.23e-3)
    assert floats.dynamic_nj == pytest.approx(24 * 4.6e-3)
    assert spikes8.dynamic_nj == pytest.approx(11 * 0.03e-3)
    assert spikes32.dynamic_nj == pytest.approx(11 * 0.9e-3)
    assert {row.provenance for row in rows} == {"estimated"}


def test_messages_with_values_multiply():
    rows = estimate(
        [layer("out", synops=10, macs=4, spikes=0, neurons=1, dense=5, kind="dense")],
        n_steps=STEPS,
        duration_s=SECONDS,
    )
    assert rows[-2].dynamic_nj == pytest.approx((6 * 0.03 + 4 * 0.23) * 1e-3)
    assert rows[-1].dynamic_nj == pytest.approx((6 * 0.9 + 4 * 4.6) * 1e-3)
    assert "4 multiply-accumulates" in rows[-1].basis


def test_an_artificial_network_multiplies_with_its_padding():
    padded = dataclasses.replace(
        layer("c", synops=0, spikes=0, neurons=1, dense=25, kind="conv"), dense_padded=36.0 * STEPS
    )
    once = estimate([padded], n_steps=STEPS, duration_s=SECONDS)[len(LOIHI1)]
    assert once.dynamic_nj == pytest.approx(36 * 0.23e-3)


def test_hops_are_left_out_unless_they_are_given(activity):
    plain = price(LOIHI1_LOW, activity, n_steps=STEPS, duration_s=SECONDS)
    far = price(
        LOIHI1_LOW,
        activity,
        n_steps=STEPS,
        duration_s=SECONDS,
        hops=Hops(east_west=2, north_south=1),
    )
    assert far.dynamic_nj - plain.dynamic_nj == pytest.approx(6 * (2 * 3.0 + 4.0) * 1e-3)
    assert "hops" in far.basis and "hops" not in plain.basis
    distances = [abs(a - b) for a in range(8) for b in range(8)]
    assert RANDOM_HOPS.east_west == pytest.approx(sum(distances) / 64)
    assert any("tiles" in limit for limit in LIMITS)


def test_crossover_in_words(activity):
    found = crossover(activity, STEPS)
    assert found["threshold"] == pytest.approx(0.23 / 0.9) == INT8_MAC.value / FP32_AC.value
    assert found["spikes_per_synapse"] == pytest.approx(11 / 24)
    assert "0.26 spikes" in found["statement"] and "0.46" in found["statement"]
    assert "need more" in found["statement"]
    assert "need less" in crossover(activity, STEPS, passes=10)["statement"]
    valued = [layer("out", synops=10, macs=4, spikes=0, neurons=1, dense=5, kind="dense")]
    assert "messages with values" in crossover(valued, STEPS)["statement"]
    once, spikes = (estimate(activity, n_steps=STEPS, duration_s=1)[i].dynamic_nj for i in (3, -1))
    assert (spikes > once) == ("need more" in found["statement"])


def test_no_loihi_2_is_priced_and_every_constant_has_a_source():
    for constant in constants():
        assert constant.source and constant.value > 0 and constant.evidence in EVIDENCE
        assert "Loihi 2" not in constant.source
    assert not any("Loihi 2" in profile.device for profile in LOIHI1)
    assert len(set(constants())) == len(constants())


def test_anchors_are_measured_and_primary_unless_asked_for():
    shown = anchors()
    assert len(shown) == 2 and {anchor.evidence for anchor in shown} == {"primary"}
    assert "1.661 mJ" in shown[0].figure and "16.34 mJ" in shown[1].figure
    assert {anchor.as_dict()["tag"] for anchor in shown} == {"measured"}
    assert len(anchors(EVIDENCE)) == len(ANCHORS) > 5


# -- a user's own ----------------------------------------------------------------------------------


def constant(value=1.0, unit="pJ", source="a data sheet", **more):
    return {"value": value, "unit": unit, "source": source} | more


def table(**changes):
    whole = {
        "device": "Mine",
        "synaptic_operation": constant(2.0, evidence="primary"),
        "neuron_update_active": constant(3.0),
        "neuron_update_inactive": constant(500, unit="fJ"),
        "spike": constant(0.001, unit="nJ"),
    } | changes
    return {key: value for key, value in whole.items() if value is not None}


def test_a_profile_of_ones_own(activity):
    profile = profile_from_table(
        table(
            level="high",
            static_power=constant(20, unit="mW"),
            synaptic_operation_conv=constant(1.0),
            hop_east_west=constant(7.0),
        )
    )
    assert profile.synop.evidence == "primary" and profile.active.evidence == "secondary"
    row = price(profile, activity, n_steps=STEPS, duration_s=SECONDS)
    assert row.dynamic_nj == pytest.approx((4 * 1.0 + 7 * 2.0 + 6 * (3.0 + 1.0) + 6 * 0.5) * 1e-3)
    assert row.static_nj == pytest.approx(20e-3 * SECONDS * 1e9)
    assert (row.device, row.level) == ("Mine", "high")
    assert profile.hop_ew.value == 7.0
    assert {c.name for c in constants([profile])} >= {"synaptic operation", "static power"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spikes": constant()}, "unknown key spikes; did you mean spike?"),
        ({"spike": constant(vaule=1)}, "unknown key spike.vaule; did you mean spike.value?"),
        ({"spike": None}, "spike is missing"),
        ({"spike": 1.7}, "spike is a table with value, unit and source, got 1.7"),
        ({"spike": {"value": 1, "unit": "pJ"}}, "spike.source must say where the number is from"),
        ({"spike": constant(source=" ")}, "spike.source must say where the number is from"),
        ({"spike": constant(unit="pj")}, "spike.unit must be one of fJ, pJ"),
        ({"spike": constant(-1)}, "spike.value must be a number from 0, got -1"),
        ({"spike": constant(float("nan"))}, "spike.value must be a number from 0, got nan"),
        ({"spike": constant(True)}, "spike.value must be a number from 0, got True"),
        ({"spike": constant(unit=["pJ"])}, "spike.unit must be one of"),
        ({"static_power": constant(unit="pJ")}, "static_power.unit must be one of"),
        ({"spike": constant(evidence="sure")}, "spike.evidence must be one of primary"),
        ({"device": ""}, "device must say what is priced"),
        ({"level": "best"}, "level must be one of low, nominal, high"),
    ],
)
def test_profiles_that_say_too_little(changes, said):
    with pytest.raises(EnergyProfileError) as caught:
        profile_from_table(table(**changes))
    assert said in str(caught.value)


def test_all_problems_at_once():
    with pytest.raises(EnergyProfileError) as caught:
        profile_from_table(table(device=None, spike=None, level=3))
    assert all(part in str(caught.value) for part in ("device", "spike is missing", "level"))


@pytest.mark.parametrize(
    "device",
    ["Loihi 2", "loihi2", "Intel LOIHI-2 (ours)", "Loihi II", "Kapoho Point", "Hala Point"],
)
def test_loihi_2_is_refused_with_the_reason(device):
    with pytest.raises(EnergyProfileError) as caught:
        profile_from_table(table(device=device))
    assert "no energy per operation has been published" in str(caught.value)
    assert "[[anchors]]" in str(caught.value)


@pytest.mark.parametrize("device", ["Loihi 1", "Loihi", "Akida 2", "Loihi 20"])
def test_other_devices_are_not(device):
    assert profile_from_table(table(device=device)).device == device


def test_anchors_of_ones_own():
    given = {"workload": "w", "figure": "1 mJ", "source": "us"}
    (anchor,) = anchors_from_tables([given])
    assert anchor.as_dict() == given | {"evidence": "secondary", "tag": "measured"}
    for wrong, said in (
        ({"workload": "w", "figure": "1 mJ"}, "anchors[1].source must be text"),
        (given | {"fig": "x"}, "unknown key anchors[1].fig; did you mean anchors[1].figure?"),
        (given | {"evidence": "sure"}, "anchors[1].evidence must be one of"),
    ):
        with pytest.raises(EnergyProfileError) as caught:
            anchors_from_tables([wrong])
        assert said in str(caught.value)
    with pytest.raises(EnergyProfileError):
        anchors_from_tables({"workload": "w"})
