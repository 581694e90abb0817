"""NIR to a float network: neurons against their equations, graphs, and what is refused."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from nir_graphs import FLAT, binary, conv2d, full, graph_of, normal, pool, summing, trace

from hardware.compiler.floats.run import run_floats
from hardware.compiler.nir.nodes import Conventions
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.errors import NetworkFormatError, UnsupportedNetworkError

torch = pytest.importorskip("torch", reason="the other implementation is torch's")
functional = torch.nn.functional

DATA = Path(__file__).parents[3] / "shared/data"
DT = 1e-3

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")


def lif(n, *, tau=4e-3, r=1.0, leak=0.0, threshold=1.0, reset=0.0, **metadata):
    node = nir.LIF(
        tau=full(n, tau), r=full(n, r), v_leak=full(n, leak), v_threshold=full(n, threshold),
        v_reset=full(n, reset),
    )  # fmt: skip
    node.metadata.update({"dt": DT, "reset": "zero", **metadata})
    return node


def one_neuron(node, inputs, variable="v_peak", **conventions):
    """Trace of one neuron with one input of weight 1."""
    graph = graph_of({"w": nir.Linear(np.ones((1, 1))), "n": node}, shape=(1,))
    inputs = np.asarray(inputs, float).reshape(1, -1, 1)
    return trace(from_nir(graph, Conventions(**conventions)), inputs, variable)[0, :, 0]


# -- neurons ---------------------------------------------------------------------------------------


def test_lif_by_hand():
    # tau = 4 steps, r = 2: v' = 3/4 v + 1/2 s; above 1 it is set to 0.
    v = one_neuron(lif(1, r=2.0), [1, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(v, [0.5, 0.875, 1.15625, 0.5, 0.375, 0.28125])


def test_a_subtracting_lif_by_hand():
    v = one_neuron(lif(1, r=2.0), [1, 1, 1, 1], reset="subtract")
    np.testing.assert_allclose(v, [0.5, 0.875, 1.15625, 0.75 * 0.15625 + 0.5])


def test_firing_at_the_threshold():
    assert one_neuron(lif(1, r=4.0), [1], "spikes").tolist() == [0]
    assert one_neuron(lif(1, r=4.0), [1], "spikes", fires="at_or_above").tolist() == [1]
    assert one_neuron(lif(1, r=4.0, fires="at_or_above"), [1], "spikes").tolist() == [1]


def test_the_exact_solution():
    v = one_neuron(lif(1), [1, 0, 0], solver="exact")
    d = np.exp(-0.25)
    np.testing.assert_allclose(v, [1 - d, (1 - d) * d, (1 - d) * d**2])


def test_initial_voltage_and_rest_come_from_metadata():
    np.testing.assert_allclose(one_neuron(lif(1, v_init=0.8), [0, 0]), [0.6, 0.45])
    spikes = one_neuron(lif(1, tau=DT, r=2.0, refractory=2), [1] * 6, "spikes")
    assert spikes.tolist() == [1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(("leak", "reset"), [(0.3, 0.0), (-2.0, -2.0), (0.1, -0.5)])
def test_leak_and_reset_elsewhere_are_folded_exactly(leak, reset):
    inputs = binary(60, rate=0.6)
    v, expected = leak, []
    for s in inputs:
        v = v + 0.25 * (leak - v + 4 * s)
        expected.append(v > 0.9)
        v = reset if v > 0.9 else v
    found = one_neuron(lif(1, r=4.0, leak=leak, reset=reset, threshold=0.9), inputs, "spikes")
    assert 3 < sum(expected) < 57
    np.testing.assert_array_equal(found, expected)


def cuba(n, **values):
    parameters = {
        "tau_syn": 2e-3, "tau_mem": 4e-3, "r": 1, "v_leak": 0, "v_threshold": 1, "w_in": 1, **values
    }  # fmt: skip
    node = nir.CubaLIF(**{name: full(n, value) for name, value in parameters.items()})
    node.metadata.update(dt=DT, reset="zero")
    return node


def test_cuba_lif_by_hand():
    # I' = I/2 + s/2 (or + s as a jump), v' = 3/4 v + I'/4 with the current of the same step.
    filtered = one_neuron(cuba(1), [1, 0, 0])
    np.testing.assert_allclose(filtered, [0.125, 0.15625, 0.1484375])
    np.testing.assert_allclose(one_neuron(cuba(1), [1, 0, 0], current="jump"), 2 * filtered)
    # r and w_in multiply the input
    np.testing.assert_allclose(one_neuron(cuba(1, r=3.0, w_in=0.5), [1, 0, 0]), 1.5 * filtered)


def test_a_bias_into_a_current_is_exact():
    graph = graph_of({"w": nir.Affine(np.ones((1, 1)), np.array([0.7])), "n": cuba(1)}, shape=(1,))
    i = v = 0.0
    expected = []
    for s in (inputs := binary(12)):
        i = 0.5 * i + 0.5 * (s + 0.7)
        v = 0.75 * v + 0.25 * i
        expected.append(v)
    found = trace(from_nir(graph), inputs.reshape(1, -1, 1), "v_peak")[0, :, 0]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("r", "metadata", "integrator", "gain"),
    [
        (1.0, {}, "auto", 1.0),  # sinabs, norse
        (1e4, {}, "auto", 1.0),  # spikingjelly: 1 / dt
        (500.0, {"dt": DT}, "auto", 0.5),
        (3.0, {"dt": DT}, "per_step", 3.0),
        (3.0, {}, "per_second", 3e-4),
    ],
)
def test_what_r_of_an_integrator_means(r, metadata, integrator, gain):
    node = nir.IF(r=full(1, r), v_threshold=full(1, 100.0))
    node.metadata.update(metadata)
    v = one_neuron(node, [1, 0, 1], integrator=integrator)
    np.testing.assert_allclose(v, [gain, gain, 2 * gain])


def test_threshold_has_no_memory():
    node = nir.Threshold(np.array([0.5]))
    assert one_neuron(node, [1, 0, 1, 1], "spikes").tolist() == [1, 0, 1, 1]
    assert one_neuron(node, [1, 0, 1, 1], "v_peak").tolist() == [1, 0, 1, 1]


def test_leaky_readouts_answer_with_their_membrane():
    for node in (
        nir.LI(tau=full(2, 4e-3), r=full(2, 1), v_leak=full(2, 0.5)),
        nir.CubaLI(tau_syn=full(2, DT), tau_mem=full(2, 4e-3), r=full(2, 1), v_leak=full(2, 0.5)),
    ):
        graph = graph_of({"w": nir.Linear(np.array([[4.0], [-40.0]])), "n": node}, shape=(1,))
        network = from_nir(graph, Conventions(dt_s=DT))
        assert network.readout == "membrane"
        v = np.full(2, 0.5)  # starts where it rests
        for s in (inputs := binary(9)):
            v = v + 0.25 * (0.5 - v + np.array([4, -40]) * s)
        found = run_floats(network, inputs.reshape(1, -1, 1)).output[0]
        np.testing.assert_allclose(found, v)


def test_parameters_may_differ_between_the_neurons_of_a_channel():
    r = np.abs(normal(3, 4, 4)) + 0.5
    neuron = nir.IF(r=r, v_threshold=full((3, 4, 4), 1.5))
    conv = nir.Conv2d((4, 4), normal(3, 2, 3, 3), 1, 1, 1, 1, normal(3, seed=1))
    inputs = binary((2, 9, 2, 4, 4))
    network = from_nir(graph_of({"conv": conv, "n": neuron}, shape=(2, 4, 4)))
    current = functional.conv2d(
        torch.from_numpy(inputs).flatten(0, 1), torch.from_numpy(conv.weight),
        torch.from_numpy(conv.bias), padding=1,
    ).unflatten(0, (2, 9)).numpy()  # fmt: skip
    v, expected = np.zeros((2, 3, 4, 4)), []
    for t in range(9):
        v = v + r * current[:, t]
        expected.append(v > 1.5)
        v = np.where(v > 1.5, 0, v)
    np.testing.assert_array_equal(trace(network, inputs), np.stack(expected, axis=1))
    assert network.output.threshold.shape == (3, 4, 4)


# -- graphs ----------------------------------------------------------------------------------------


def test_a_linear_end_is_summed_as_a_membrane():
    network = from_nir(graph_of({"fc": nir.Affine(normal(3, 4), normal(3))}, shape=(4,)))
    assert network.output.name == "fc" and network.readout == "membrane"
    assert any("add up over the steps" in a for a in network.assumptions)


def test_outputs_of_two_neurons_into_one_synapse_add_up():
    """SEW-ADD: one synapse with two sources; and two synapses where the nodes are two."""
    weight = normal(3, 4)
    nodes = {
        "wa": nir.Linear(2 * normal(4, 4)), "a": lif(4, tau=DT),
        "wb": nir.Linear(2 * normal(4, 4, seed=1)), "b": lif(4, tau=DT),
        "wc": nir.Linear(weight), "sum": summing(3),
    }  # fmt: skip
    edges = [("in", "wa"), ("wa", "a"), ("a", "wb"), ("wb", "b"), ("wc", "sum"), ("sum", "out")]
    together = from_nir(graph_of(nodes, [*edges, ("a", "wc"), ("b", "wc")], shape=(4,)))
    assert together.incoming("sum")[0].sources == ("a", "b")
    nodes["wd"] = nir.Linear(normal(3, 4, seed=2))
    apart = [*edges, ("a", "wc"), ("b", "wd"), ("wd", "sum")]
    apart = from_nir(graph_of(nodes, apart, shape=(4,)))
    assert [s.sources for s in apart.incoming("sum")] == [("a",), ("b",)]
    inputs = binary((2, 9, 4))
    probes = [("a", "spikes"), ("b", "spikes")]
    for network, second in ((together, weight), (apart, nodes["wd"].weight)):
        run = run_floats(network, inputs, probes=probes)
        a, b = (run.traces[probe].sum(axis=1) for probe in probes)
        assert a.any() and b.any()
        np.testing.assert_allclose(run.output, a @ weight.T + b @ second.T)


def test_loops_are_heard_one_step_later():
    nodes = {"w": nir.Linear(np.ones((1, 1))), "n": lif(1, tau=DT, threshold=0.5),
             "back": nir.Linear(np.ones((1, 1)))}  # fmt: skip
    edges = [("in", "w"), ("w", "n"), ("n", "back"), ("back", "n"), ("n", "out")]
    network = from_nir(graph_of(nodes, edges, shape=(1,)))
    assert [s.shortest_delay for s in network.synapses] == [0, 1]
    assert trace(network, np.array([[[0], [1], [0], [0]]]))[0, :, 0].tolist() == [0, 1, 1, 1]
    assert any("n -> n" in a for a in network.assumptions)


def test_a_loop_through_the_output_leaves_it_last():
    def dense(a, b):
        return nir.Linear(np.ones((b, a)))

    nodes = {"w1": dense(1, 2), "hidden": lif(2), "w2": dense(2, 3), "last": lif(3),
             "w3": dense(3, 4), "side": lif(4), "w4": dense(4, 2)}  # fmt: skip
    edges = [*pairwise(["in", *nodes]), ("w4", "hidden"), ("last", "out")]
    network = from_nir(graph_of(nodes, edges, shape=(1,)))
    assert network.output.name == "last"
    assert [p.name for p in network.populations] == ["side", "hidden", "last"]
    assert {s.edge: s.shortest_delay for s in network.synapses}["last -> side"] == 1


def test_delays_are_steps():
    weight = np.array([[1.0, 10.0, 100.0]])
    delay = nir.Delay(np.array([0, 2, 3]) * DT)
    node = lif(1, tau=DT, threshold=1e3)
    nodes = {"d": delay, "w": nir.Linear(weight), "n": node}
    network = from_nir(graph_of(nodes, shape=(3,)))
    pulse = np.zeros((1, 5, 3))
    pulse[0, 0] = 1
    assert trace(network, pulse, "v")[0, :, 0].tolist() == [1, 0, 10, 100, 0]
    assert network.assumptions == ()
    behind = {"w": nir.Linear(weight.T), "d": delay, "n": lif(3, tau=DT, threshold=1e3)}
    later = trace(from_nir(graph_of(behind, shape=(1,))), pulse[:, :, :1], "v")[0]
    np.testing.assert_array_equal(np.argwhere(later), [[0, 0], [2, 1], [3, 2]])
    rounded = from_nir(graph_of({**nodes, "d": nir.Delay(full(3, 2.0001 * DT))}, shape=(3,)))
    assert any("rounded to 2 to 2 steps" in a for a in rounded.assumptions)


def test_a_delay_in_a_loop_needs_no_other():
    nodes = {"w": nir.Linear(np.ones((1, 1))), "n": lif(1, tau=DT, threshold=0.5),
             "back": nir.Linear(np.ones((1, 1))), "d": nir.Delay(full(1, 2 * DT))}  # fmt: skip
    edges = [("in", "w"), ("w", "n"), ("n", "back"), ("back", "d"), ("d", "n"), ("n", "out")]
    network = from_nir(graph_of(nodes, edges, shape=(1,)))
    assert [s.shortest_delay for s in network.synapses] == [0, 2]
    assert network.assumptions == ()


def test_nested_graphs_are_laid_flat():
    inner = graph_of({"w": nir.Linear(normal(4, 4)), "n": lif(4)}, shape=(4,), out=(4,))
    middle = graph_of({"block": inner}, shape=(4,), out=(4,))
    nodes = {"first": inner, "second": middle}
    network = from_nir(graph_of(nodes, shape=(4,)))
    assert [s.edge for s in network.synapses] == ["input -> first.n", "first.n -> second.block.n"]


def test_a_batch_axis_and_scalar_parameters_are_seen_through():
    """As norse and older exporters write them."""
    neuron = nir.LIF(*(np.array(v) for v in (2e-3, 1.0, 0.0, 1.0)))
    nodes = {"w": nir.Linear(normal(3, 4)), "n": neuron}
    assert from_nir(graph_of(nodes, shape=(1, 4))).input_shape == (4,)
    conv = {"c": conv2d(2, 1, 3), "n": neuron, "f": FLAT, "w": nir.Linear(normal(3, 18))}
    assert from_nir(graph_of(conv, shape=(1, 1, 5, 5))).input_shape == (1, 5, 5)
    assert from_nir(graph_of(conv, shape=(1, 5, 5)))["n"].shape == (2, 3, 3)


def test_missing_metadata_is_assumed_and_said():
    neuron = nir.LIF(*(full(1, v) for v in (2e-3, 1, 0, 1)))
    network = from_nir(graph_of({"w": nir.Linear(np.ones((1, 1))), "n": neuron}, shape=(1,)))
    assert len(network.assumptions) == 2
    assert "dt = 0.0001" in network.assumptions[0]


# -- what is refused -------------------------------------------------------------------------------


class MaxPool2d(nir.NIRNode):
    """A node that NIR does not have."""

    def __init__(self):
        self.input_type = self.output_type = {"input": None}
        self.metadata = {}


def test_everything_wrong_comes_in_one_error():
    nodes = {
        "c": conv2d(2, 1, 3), "pool": MaxPool2d(), "f": FLAT, "w": nir.Linear(normal(3, 8)),
        "n": lif(3, tau=-1.0, threshold=np.nan), "w2": nir.Linear(normal(2, 3)),
        "m": lif(2, threshold=0.0),
    }  # fmt: skip
    with pytest.raises(UnsupportedNetworkError) as caught:
        from_nir(graph_of(nodes, shape=(1, 6, 6)))
    message = str(caught.value)
    for part in ("pool (MaxPool2d)", "n: tau", "n: v_threshold must be finite", "m: threshold"):
        assert part in message


REFUSED = {
    "negative tau": ({"n": lif(4, tau=-1e-3)}, NetworkFormatError, "at least one step of 0.001 s"),
    "tau below a step": ({"n": lif(4, tau=5e-4)}, NetworkFormatError, "at least one step"),
    "no threshold": ({"n": lif(4, threshold=0)}, NetworkFormatError, "n: threshold must be"),
    "shape": ({"w": nir.Linear(normal(4, 3)), "n": lif(4)}, NetworkFormatError, "w: weights of"),
    "neuron shape": ({"n": lif(3)}, NetworkFormatError, r"n: v_threshold has shape \(3,\)"),
    "not finite": ({"w": nir.Linear(full((4, 4), np.inf)), "n": lif(4)}, NetworkFormatError,
                   "w: weight must be finite"),
    "graded": ({"n": lif(4, levels=8)}, NetworkFormatError, "n: levels needs a code"),
    "half a step": ({"d": nir.Delay(full(4, 0.5e-3)), "n": lif(4)}, NetworkFormatError,
                    "d: delays must be whole steps"),
    "long delay": ({"d": nir.Delay(full(4, 99e-3)), "n": lif(4)}, NetworkFormatError,
                   r"delays must lie in \[0, 62\]"),
    "readout inside": ({"n": summing(4), "w": nir.Linear(normal(2, 4)), "m": lif(2)},
                       UnsupportedNetworkError, "n: a I sends no spikes"),
    "conv on a vector": ({"c": conv2d(2, 1, 3), "n": lif(4)}, NetworkFormatError, "c: a Conv2d"),
    "subtract from elsewhere": ({"n": nir.LIF(full(4, 1), full(4, 1), full(4, 0), full(4, 1),
                                              full(4, -1.0), metadata={"reset": "subtract"})},
                                UnsupportedNetworkError, "n: v_reset -1.0 means nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    nodes, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        from_nir(graph_of(nodes, shape=(4,)))


def test_convolutions_that_are_not_one_are_refused():
    nodes = {"c": conv2d(2, 1, 3, padding=1), "d": conv2d(2, 2, 3, padding=1), "n": lif((2, 6, 6))}
    with pytest.raises(UnsupportedNetworkError, match=r"d \(Conv2d\): a padded convolution"):
        from_nir(graph_of(nodes, shape=(1, 6, 6)))
    nodes = {"s": nir.Scale(np.abs(normal(1, 6, 6))), "c": conv2d(2, 1, 3), "n": lif((2, 4, 4))}
    with pytest.raises(UnsupportedNetworkError, match=r"c \(Conv2d\): factors that differ within"):
        from_nir(graph_of(nodes, shape=(1, 6, 6)))


def test_shapes_of_graphs_that_are_refused():
    dense = nir.Linear(np.ones((2, 2)))
    loose = [("in", "w"), ("w", "n"), ("n", "out"), ("n", "v")]
    with pytest.raises(UnsupportedNetworkError, match="v: leads nowhere"):
        from_nir(graph_of({"w": dense, "n": lif(2), "v": dense}, loose, shape=(2,)))
    circle = [("in", "w"), ("w", "v"), ("v", "w"), ("w", "n"), ("n", "out")]
    with pytest.raises(UnsupportedNetworkError, match="loop without neurons"):
        from_nir(graph_of({"w": dense, "v": dense, "n": lif(2)}, circle, shape=(2,)))
    with pytest.raises(NetworkFormatError, match="ghost: an edge names it"):
        from_nir(graph_of({"n": lif(2)}, [("in", "n"), ("n", "ghost"), ("n", "out")], shape=(2,)))
    two = graph_of({"n": lif(2)}, shape=(2,))
    two.nodes["more"] = nir.Output(np.array([2]))
    with pytest.raises(UnsupportedNetworkError, match="one Output node"):
        from_nir(two)
    with pytest.raises(NetworkFormatError, match="one dt"):
        from_nir(graph_of({"n": lif(2), "w": dense, "m": lif(2, dt=2e-3)}, shape=(2,)))
    with pytest.raises(NetworkFormatError, match="dt must be above 0"):
        from_nir(graph_of({"n": lif(2, dt=-1.0)}, shape=(2,)))
    with pytest.raises(NetworkFormatError, match=r"(?s)solver must be one of.*dt_s must be above"):
        from_nir(graph_of({"n": lif(2)}, shape=(2,)), Conventions(solver="magic", dt_s=-1))


def test_absurd_sizes_are_refused_before_they_are_allocated():
    wide = {"p": pool(nir.SumPool2d, 1000), "f": FLAT, "w": nir.Linear(np.ones((500, 4))),
            "n": lif(500)}  # fmt: skip
    with pytest.raises(UnsupportedNetworkError, match=r"w \(Linear\): one synapse would need"):
        from_nir(graph_of(wide, shape=(1, 2000, 2000)))
    with pytest.raises(NetworkFormatError, match="in: shape"):
        from_nir(graph_of({"n": lif(1)}, shape=(1 << 20, 1 << 10, 1 << 10)))
    with pytest.raises(NetworkFormatError, match="padding must lie in"):
        from_nir(graph_of({"c": conv2d(1, 1, 1, padding=10**9), "n": lif(1)}, shape=(1, 2, 2)))


# -- files of others -------------------------------------------------------------------------------


@needs_data
def test_the_exact_trace_of_nirs_paper():
    """``lif_exact.csv`` holds input, voltage and spikes each 0.1 ms; it resets by subtraction.

    Its neuron spikes and resets between two steps, ours at the end of one: up to the first spike
    the trace is the same, then it is off by what 0.1 ms of decay do to a threshold of 0.1.
    """
    inputs, v, spikes = np.loadtxt(DATA / "nir/lif_exact.csv", delimiter=",").T
    network = read_nir(
        DATA / "nir/lif_norse.nir", Conventions(dt_s=1e-4, reset="subtract", solver="exact")
    )
    run = run_floats(network, inputs.reshape(1, -1, 1), probes=[("1", "v"), ("1", "spikes")])
    np.testing.assert_array_equal(run.traces["1", "spikes"][0, :, 0], spikes)
    first = int(np.argmax(spikes))
    difference = np.abs(run.traces["1", "v"][0, :, 0] - v)
    assert difference[:first].max() < 1e-12
    assert difference.max() < 0.1 * (1 - np.exp(-1e-4 / 2.5e-3))
