"""What other frameworks export runs here spike for spike as it runs there, in floats.

norse is a dependency. snnTorch 1.0.0, sinabs 3.1.3 and spikingjelly's development version are not
and want an environment of their own (the last two with nir 1.0.7); their tests skip without them.
"""

import nir
import numpy as np
import pytest

from hardware.compiler.floats.run import run_floats
from hardware.compiler.nir.nodes import WRITTEN_BY, Conventions
from hardware.compiler.nir.reader import from_nir, read_nir
from hardware.errors import UnsupportedNetworkError

torch = pytest.importorskip("torch", reason="the other implementation is torch's")

N, T = 4, 40


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)


@pytest.fixture
def spikes():
    return (np.random.default_rng(1).random((N, T, 10)) < 0.3).astype(np.float32)


@pytest.fixture
def images():
    return (np.random.default_rng(2).random((N, T, 2, 12, 12)) < 0.2).astype(np.float32)


def through_a_file(graph, tmp_path):
    """The graph as numpy arrays, written and read: exporters leave torch tensors in it."""
    for node in graph.nodes.values():
        for name, value in vars(node).items():
            if isinstance(value, torch.Tensor | np.ndarray):
                setattr(node, name, np.asarray(value)[()])  # NIR cannot write 0-d arrays
    nir.write(tmp_path / "g.nir", graph)
    return tmp_path / "g.nir"


def found(network, inputs):
    name = network.output.name
    return run_floats(network, inputs, probes=[(name, "spikes")]).traces[name, "spikes"]


# -- norse -----------------------------------------------------------------------------------------


def norse_run(module, inputs):
    """Outputs ``(N, T, ...)`` of a norse module stepped by itself."""
    state, out = None, []
    with torch.no_grad():
        for t in range(inputs.shape[1]):
            z, state = module(torch.from_numpy(inputs[:, t]), state)
            out.append(z.numpy())
    return np.stack(out, axis=1)


def strong(module, factor):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("weight", "bias")):
                parameter *= factor
    return module


def test_norse_lif(spikes, tmp_path):
    norse = pytest.importorskip("norse.torch")
    module = norse.SequentialState(
        torch.nn.Linear(10, 20), norse.LIFBoxCell(), torch.nn.Linear(20, 6), norse.LIFBoxCell()
    )
    strong(module, 20)
    graph = norse.to_nir(module, torch.zeros(1, 10))
    # to_nir(dt=1e-3) writes dt * tau; with steps of dt**2 the ratio is norse's own.
    network = read_nir(through_a_file(graph, tmp_path), WRITTEN_BY["norse"])
    expected = norse_run(module, spikes)
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, spikes), expected)
    seconds = from_nir(norse.to_nir(module, torch.zeros(1, 10), dt=1), Conventions(dt_s=1e-3))
    np.testing.assert_array_equal(found(seconds, spikes), expected)


def test_norse_cuba_lif_adds_whole_weights_to_the_current(spikes):
    norse = pytest.importorskip("norse.torch")
    module = norse.SequentialState(
        torch.nn.Linear(10, 20), norse.LIFCell(), torch.nn.Linear(20, 6), norse.LIFCell()
    )
    strong(module, 4)
    graph = norse.to_nir(module, torch.zeros(1, 10), dt=1)
    network = from_nir(graph, Conventions(dt_s=1e-3, current="jump"))
    expected = norse_run(module, spikes)
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, spikes), expected)
    # NIR's own equation takes only dt / tau_syn of a spike into the current.
    literal = from_nir(graph, Conventions(dt_s=1e-3))
    assert found(literal, spikes).mean() < expected.mean()
    assert any("current 'jump'" in a for a in literal.assumptions)


def test_norse_leaky_readout(spikes):
    norse = pytest.importorskip("norse.torch")
    module = norse.SequentialState(
        torch.nn.Linear(10, 20), norse.LIFBoxCell(), torch.nn.Linear(20, 3), norse.LIBoxCell()
    )
    strong(module, 6)
    network = from_nir(norse.to_nir(module, torch.zeros(1, 10), dt=1), Conventions(dt_s=1e-3))
    assert network.readout == "membrane"
    expected = norse_run(module, spikes)[:, -1]
    np.testing.assert_allclose(run_floats(network, spikes).output, expected, rtol=1e-4, atol=1e-5)


def test_norse_integrators_and_convolutions(images):
    norse = pytest.importorskip("norse.torch")
    module = norse.SequentialState(
        torch.nn.Conv2d(2, 3, 3, padding=1),
        norse.IAFCell(),
        torch.nn.Conv2d(3, 4, 3, stride=2),
        norse.IAFCell(),
    )
    strong(module, 2)
    network = from_nir(norse.to_nir(module, torch.zeros(1, 2, 12, 12)))
    assert network.input_shape == (2, 12, 12)
    assert any("per step" in a for a in network.assumptions)
    expected = norse_run(module, images)
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, images), expected)


def test_norse_recurrence_is_heard_one_step_later(spikes):
    """norse does not export recurrent cells; this is its cell, written as others write it."""
    norse = pytest.importorskip("norse.torch")
    cell = norse.LIFRecurrentCell(10, 12)
    with torch.no_grad():
        cell.input_weights *= 4
        cell.recurrent_weights *= 4
    exported = norse.to_nir(
        norse.SequentialState(torch.nn.Linear(10, 10), cell), torch.zeros(1, 10)
    )
    with pytest.raises(UnsupportedNetworkError, match=r"1 \(NoneType\)"):
        from_nir(exported)

    def filled(value):
        return np.full(12, value)

    neuron = nir.CubaLIF(
        tau_syn=filled(5e-3), tau_mem=filled(1e-2), r=filled(1.0), v_leak=filled(0.0),
        v_threshold=filled(1.0), w_in=filled(5.0),
    )  # fmt: skip
    recurrent = nir.NIRGraph(
        {
            "input": nir.Input(np.array([12])),
            "lif": neuron,
            "w_rec": nir.Linear(cell.recurrent_weights.detach().numpy()),
            "output": nir.Output(np.array([12])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([10])),
            "fc": nir.Linear(cell.input_weights.detach().numpy()),
            "rnn": recurrent,
            "output": nir.Output(np.array([12])),
        },
        [("input", "fc"), ("fc", "rnn"), ("rnn", "output")],
    )
    network = from_nir(graph, Conventions(dt_s=1e-3))
    assert [s.edge for s in network.synapses] == ["input -> rnn.lif", "rnn.lif -> rnn.lif"]
    assert [s.shortest_delay for s in network.synapses] == [0, 1]
    expected = norse_run(cell, spikes)
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, spikes), expected)


# -- others, where they are installed --------------------------------------------------------------


def stepped(module, inputs):
    with torch.no_grad():
        return np.stack(
            [module(torch.from_numpy(inputs[:, t])).numpy() for t in range(inputs.shape[1])], axis=1
        )


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_snntorch(spikes, reset):
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    def neurons(n, beta):
        return snn.Leaky(
            beta=torch.full((n,), beta), threshold=torch.ones(n), reset_mechanism=reset,
            init_hidden=True, reset_delay=False,
        )  # fmt: skip

    module = torch.nn.Sequential(
        torch.nn.Linear(10, 20), neurons(20, 0.8), torch.nn.Linear(20, 6), neurons(6, 0.9)
    )
    # After a subtraction that leaves it above the threshold, snnTorch's neuron subtracts before it
    # spikes again: inputs of at most a threshold keep it from there.
    with torch.no_grad():
        for linear in (module[0], module[2]):
            linear.weight.copy_(linear.weight.abs() / linear.weight.abs().sum(1, keepdim=True))
            linear.bias.zero_()
    graph = export_to_nir(module, torch.zeros(1, 10), ignore_dims=[0])
    for neuron in (module[1], module[3]):
        neuron.reset_hidden()
    network = from_nir(graph, Conventions(reset=reset))
    expected = stepped(module, spikes)
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, spikes), expected)


def test_snntorch_recurrent(spikes):
    """Its reset comes a step late and takes the input with it, which no chip does: at once here."""
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    cell = snn.RSynaptic(alpha=0.5, beta=0.8, linear_features=20, init_hidden=True)
    module = strong(torch.nn.Sequential(torch.nn.Linear(10, 20), cell), 1.5)
    graph = export_to_nir(module, torch.zeros(1, 10), ignore_dims=[0])
    network = from_nir(graph, Conventions(reset="subtract"))
    assert any("one step later" in a for a in network.assumptions)
    syn = mem = spk = torch.zeros(N, 20)
    expected = []
    with torch.no_grad():
        for t in range(T):
            inputs = module[0](torch.from_numpy(spikes[:, t])) + cell.recurrent(spk)
            syn = 0.5 * syn + inputs
            mem = 0.8 * mem + syn
            spk = (mem > 1).float()
            mem = mem - spk
            expected.append(spk.numpy())
    expected = np.stack(expected, axis=1)
    assert 0.02 < expected.mean() < 0.9
    assert np.mean(found(network, spikes) != expected) < 2e-3  # float32 there


def test_sinabs(images):
    sl = pytest.importorskip("sinabs.layers")
    from sinabs.activation import MembraneSubtract, SingleSpike
    from sinabs.nir import to_nir

    def neurons():
        return sl.IAFSqueeze(
            batch_size=N, spike_fn=SingleSpike, reset_fn=MembraneSubtract(), min_v_mem=None
        )

    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), neurons(), sl.SumPool2d(2),
        torch.nn.Conv2d(4, 3, 3, padding=1), neurons(),
        torch.nn.Flatten(), torch.nn.Linear(108, 5), neurons(),
    )  # fmt: skip
    strong(module, 2)
    flat = torch.from_numpy(images).flatten(0, 1)
    with torch.no_grad():
        expected = module(flat).unflatten(0, (N, T)).numpy()
    network = from_nir(to_nir(module, flat), WRITTEN_BY["sinabs"])
    assert 0.02 < expected.mean() < 0.9
    assert np.mean(found(network, images) != expected) < 2e-3  # float32 there


def test_sinabs_lif_decays_exponentially(spikes):
    sl = pytest.importorskip("sinabs.layers")
    from sinabs.activation import SingleSpike
    from sinabs.nir import to_nir

    module = torch.nn.Sequential(
        torch.nn.Linear(10, 6),
        sl.LIFSqueeze(batch_size=N, tau_mem=5.0, spike_fn=SingleSpike, norm_input=True),
    )
    strong(module, 10)
    flat = torch.from_numpy(spikes).flatten(0, 1)
    with torch.no_grad():
        expected = module(flat).unflatten(0, (N, T)).numpy()
    graph = to_nir(module, flat)
    network = from_nir(graph, WRITTEN_BY["sinabs"])
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(found(network, spikes), expected)


@pytest.mark.parametrize("v_reset", [0.0, None])
def test_spikingjelly(images, v_reset):
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    from spikingjelly.activation_based import functional, layer, neuron

    module = torch.nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1), layer.AvgPool2d(2),
        neuron.LIFNode(tau=2.0, v_reset=v_reset),
        layer.Flatten(), layer.Linear(144, 5), neuron.IFNode(v_reset=v_reset),
    )  # fmt: skip
    strong(module, 4)
    try:
        graph = exchange.export_to_nir(module, torch.from_numpy(images[:1, 0]))
    except TypeError as error:  # 2.0.0.dev1 passes shapes, which NIR 1.0.8 does not take
        pytest.skip(f"this spikingjelly does not write for this NIR: {error}")
    functional.reset_net(module)
    expected = stepped(module, images)
    network = from_nir(
        graph, Conventions(reset="subtract" if v_reset is None else "zero", fires="at_or_above")
    )
    assert 0.02 < expected.mean() < 0.9
    assert np.mean(found(network, images) != expected) < 2e-3  # float32 there
