"""What a lava-dl file cannot say, and that a file appears whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba, Delta, Relay, ResonateAndFire, SigmaDelta
from hardware.chip.synapses import Conv, Dense, Direct, Sparse
from hardware.compiler.netx.reader import read_netx
from hardware.compiler.netx.writer import write_netx
from hardware.errors import UnsupportedNetworkError

EVEN = np.full((3, 3), 4, np.int32)


def lif(**fields):
    return Cuba(**{"name": "lif", "shape": (3,), "du": 100, "dv": 100, "vth": 30} | fields)


def dense(target="lif", source=INPUT, **fields):
    return Dense(sources=(source,), target=target, **{"weight": EVEN} | fields)


def network(*parts, shape=(3,)):
    """Populations and synapses in any order."""
    synapses = tuple(p for p in parts if hasattr(p, "target"))
    populations = tuple(p for p in parts if not hasattr(p, "target"))
    return ChipNetwork(input_shape=shape, populations=populations, synapses=synapses)


def ring(**fields):
    decays = {"sin_decay": 1000, "cos_decay": 3000, "vth": 64}
    return ResonateAndFire(**{"name": "ring", "shape": (3,)} | decays | fields)


def sigma_delta(**fields):
    scale = {"spike_exp": 6, "state_exp": 6}
    return SigmaDelta(**{"name": "lif", "shape": (3,)} | scale | fields)


SPARSE = Sparse(
    sources=(INPUT,),
    target="lif",
    weight=EVEN[0],
    targets=np.arange(3, dtype=np.int32),
    offsets=np.arange(4),
    n_targets=3,
)
LATE_CONV = Conv(sources=(INPUT,), target="lif", weight=np.full((1, 1, 1, 1), 4, np.int32), delay=1)
BOTH_PARTS = (dense("ring"), dense("ring", port="imaginary"))
UNSAYABLE = {
    "subtract": network(lif(reset="subtract"), dense()),
    "v_init": network(lif(v_init=3), dense()),
    "refractory": network(lif(refractory=2), dense()),
    "reset_interval": network(lif(reset_interval=16), dense()),
    "multiple of 64": network(lif(bias_mant=3), dense()),
    "not whole": network(lif(), dense(weight=EVEN // 2, weight_exp=-2)),
    "weights change": network(lif(), dense(weight_exp=7)),
    "all zero": network(lif(), dense(weight=EVEN * 0)),
    "sparse": network(lif(), SPARSE),
    "delays of a recurrent": network(lif(), dense(delay=2), dense(source="lif", delay=1)),
    "delays of a convolution": network(lif(shape=(1, 2, 2)), LATE_CONV, shape=(1, 2, 2)),
    "no relay": network(Relay(name="lif", shape=(3,)), dense()),
    "back to itself": network(sigma_delta(), dense(), dense(source="lif", delay=1)),
    "rectifies": network(sigma_delta(rectify=False), dense()),
    "spike_exp": network(sigma_delta(spike_exp=2), dense()),
    "share one threshold": network(ring(vth=np.arange(3, dtype=np.int32)), *BOTH_PARTS),
    "must be 6, not 5": network(ring(state_exp=5), *BOTH_PARTS),
    "cannot be driven": network(ring(), dense("ring")),
    "next to no other bias": network(
        lif(bias_mant=64), Direct(sources=(INPUT,), target="lif", port="bias")
    ),
    "only the first layer": network(
        lif(), dense(), lif(name="late"), Direct(sources=("lif",), target="late")
    ),
    "message_bits is 0": network(
        Delta(name="delta", shape=(3,), spike_exp=6, state_exp=6),
        Direct(sources=(INPUT,), target="delta"),
        lif(),
        dense(source="delta"),
    ),
    "only the layer before": network(
        lif(), dense(), lif(name="late"), dense("late", "lif"), dense("late")
    ),
}


@pytest.mark.parametrize("what", UNSAYABLE)
def test_what_a_file_cannot_say_is_refused(tmp_path, what):
    path = tmp_path / "network.net"
    with pytest.raises(UnsupportedNetworkError, match=what):
        write_netx(UNSAYABLE[what], path)
    assert not list(tmp_path.iterdir())


def test_all_problems_are_in_one_error(tmp_path):
    chain = network(
        lif(refractory=1, v_init=1),
        dense(),
        lif(name="second", reset="subtract"),
        dense("second", "lif", weight=EVEN * 0),
    )
    with pytest.raises(UnsupportedNetworkError) as error:
        write_netx(chain, tmp_path / "network.net")
    for what in ("lif: there is no refr", "lif: v_init", "second: reset", "second: netx can"):
        assert what in str(error.value)


def test_a_written_file_replaces_an_older_one_and_reads_back_the_same(tmp_path):
    path = tmp_path / "network.net"
    path.write_text("older")
    population = lif(bias_mant=np.array([16, 0, -5], np.int32), bias_exp=7)
    back = dense(source="lif", weight=np.diag([-200, 100, 30]).astype(np.int32), delay=1)
    chain = network(population, dense(), back)
    write_netx(chain, path)
    again = read_netx(path)
    assert [p.name for p in tmp_path.iterdir()] == ["network.net"]
    assert [p.name for p in again.populations] == ["1-dense_rec"]
    for ours, theirs in zip(chain.synapses, again.synapses, strict=True):
        np.testing.assert_array_equal(ours.weight, theirs.weight)
    for name in ("du", "dv", "vth", "bias"):
        np.testing.assert_array_equal(
            getattr(population, name), getattr(again.populations[0], name)
        )


def test_a_failure_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "network.net"
    path.write_text("older")
    monkeypatch.setattr("h5py.File.__setitem__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_netx(network(lif(), dense()), path)
    assert path.read_text() == "older" and len(list(tmp_path.iterdir())) == 1
