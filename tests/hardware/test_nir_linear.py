"""Linear NIR nodes: each chain between two populations is one exact synapse, or relay neurons."""

from pathlib import Path

import nir
import numpy as np
import pytest
from nir_graphs import FLAT, binary, conv2d, graph_of, normal, pool, summing, trace

from hardware.compiler.floats.run import run_floats
from hardware.compiler.nir.nodes import Conventions
from hardware.compiler.nir.reader import from_nir, read_nir

torch = pytest.importorskip("torch", reason="the other implementation is torch's")
functional = torch.nn.functional

DATA = Path(__file__).parents[3] / "shared/data"


def directly(node, x):
    """What a linear node makes of ``(N, ...)``, by torch."""
    if isinstance(node, nir.Affine | nir.Linear):
        bias = getattr(node, "bias", None)
        return functional.linear(
            x, torch.from_numpy(node.weight), None if bias is None else torch.from_numpy(bias)
        )
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        convolve = functional.conv1d if isinstance(node, nir.Conv1d) else functional.conv2d
        arguments = (node.stride, node.padding, node.dilation, node.groups)
        return convolve(x, torch.from_numpy(node.weight), torch.from_numpy(node.bias), *arguments)
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        size, stride, padding = (tuple(int(i) for i in n) for n in (
            node.kernel_size, node.stride, node.padding))  # fmt: skip
        mean = functional.avg_pool2d(x, size, stride, padding)
        return mean if isinstance(node, nir.AvgPool2d) else mean * size[0] * size[1]
    if isinstance(node, nir.Scale):
        return x * torch.from_numpy(node.scale)
    return x.flatten(1)


CHAINS = {
    "affine": ((6,), [nir.Affine(normal(4, 6), normal(4))]),
    "affine after affine": ((6,), [nir.Affine(normal(5, 6), normal(5)), nir.Linear(normal(3, 5))]),
    "scale before affine": ((6,), [nir.Scale(normal(6)), nir.Affine(normal(4, 6), normal(4))]),
    "scale after affine": ((6,), [nir.Affine(normal(4, 6), normal(4)), nir.Scale(normal(4))]),
    "scale alone": ((6,), [nir.Scale(normal(6))]),
    "scale of images": ((2, 3, 3), [nir.Scale(normal(2, 1, 1) * np.ones((2, 3, 3)))]),
    "nothing": ((5,), []),
    "conv": ((4, 9, 7), [conv2d(6, 4, (3, 2), (2, 1), (1, 2), (1, 2), 2)]),
    "same": ((2, 6, 7), [conv2d(3, 2, (2, 4), padding="same")]),
    "same, dilated": ((2, 9, 9), [conv2d(3, 2, (2, 3), padding="same", dilation=3)]),
    "valid": ((2, 6, 7), [conv2d(3, 2, (2, 4), padding="valid")]),
    "conv scaled": ((2, 6, 6), [
        nir.Scale(normal(2, 1, 1) * np.ones((2, 6, 6))), conv2d(4, 2, 3, groups=2),
        nir.Scale(normal(4, 1, 1) * np.ones((4, 4, 4))),
    ]),
    "conv after conv": ((2, 9, 9), [conv2d(3, 2, 3, 2, 1), conv2d(4, 3, 2, seed=1)]),
    "dense after conv": ((2, 6, 6), [
        conv2d(3, 2, 3, 2, 1), FLAT, nir.Affine(normal(4, 27), normal(4))]),
    "conv, flat": ((2, 6, 6), [conv2d(3, 2, 3, 2, 1), FLAT]),
    "sum pool before conv": ((2, 8, 8), [pool(nir.SumPool2d, 2), conv2d(3, 2, 3, padding=1)]),
    "mean pool before conv": ((4, 9, 9), [
        pool(nir.AvgPool2d, 3), conv2d(4, 4, 2, 2, 1, groups=2)]),
    "pool with a rest before conv": ((2, 9, 7), [pool(nir.SumPool2d, 2), conv2d(3, 2, 2)]),
    "pool after conv": ((2, 9, 9), [
        conv2d(4, 2, 3, 1, 1, groups=2), pool(nir.AvgPool2d, 2)]),
    "pool before dense": ((2, 7, 8), [
        pool(nir.AvgPool2d, (3, 2)), FLAT, nir.Affine(normal(3, 16), normal(3))]),
    "overlapping pool before dense": ((2, 7, 7), [
        pool(nir.SumPool2d, 3, 2, 1), FLAT, nir.Linear(normal(3, 32))]),
    "pool alone": ((2, 6, 6), [pool(nir.AvgPool2d, 2)]),
    "two pools": ((2, 8, 8), [pool(nir.SumPool2d, 2), pool(nir.AvgPool2d, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_linear_nodes_are_one_exact_synapse(name):
    shape, nodes = CHAINS[name]
    inputs = binary((3, 5, *shape), seed=4)
    expected = torch.from_numpy(inputs).flatten(0, 1)
    for node in nodes:
        expected = directly(node, expected)
    n = tuple(expected.shape[1:])
    named = {f"node{i}": node for i, node in enumerate(nodes)}
    network = from_nir(graph_of({**named, "sum": summing(n)}, shape=shape, out=n))
    assert len(network.synapses) == len(network.populations) == 1
    expected = expected.unflatten(0, (3, 5)).sum(dim=1).flatten(1).numpy()
    np.testing.assert_allclose(run_floats(network, inputs).output, expected, atol=1e-10)


def test_conv1d_is_an_image_of_height_1():
    node = nir.Conv1d(None, normal(4, 3, 3), 2, 1, 2, 1, normal(4))
    inputs = binary((2, 5, 3, 11))
    expected = directly(node, torch.from_numpy(inputs).flatten(0, 1))
    n = tuple(expected.shape[1:])
    network = from_nir(graph_of({"conv": node, "sum": summing(n)}, shape=(3, 11), out=n))
    assert network.input_shape == (3, 1, 11)
    found = run_floats(network, inputs[:, :, :, None]).output
    expected = expected.unflatten(0, (2, 5)).sum(dim=1).flatten(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10)


POOLED = {
    "into conv": [conv2d(3, 2, 3, padding=1), summing((3, 4, 4))],
    "into dense": [FLAT, nir.Affine(normal(3, 32), normal(3)), summing((3,))],
}


@pytest.mark.parametrize("after", POOLED)
@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_relays_do_what_folding_does(kind, after):
    nodes = {"pool": pool(kind, 2), **{f"n{i}": node for i, node in enumerate(POOLED[after])}}
    graph = graph_of(nodes, shape=(2, 8, 8))
    inputs = binary((2, 4, 2, 8, 8))
    folded, relayed = from_nir(graph), from_nir(graph, Conventions(pooling="relay"))
    assert [p.kind for p in relayed.populations] == ["relay", "readout"]
    np.testing.assert_allclose(
        run_floats(relayed, inputs).output, run_floats(folded, inputs).output, atol=1e-10
    )
    relay = run_floats(relayed, inputs, probes=[("pool", "spikes")]).traces["pool", "spikes"]
    assert relay.max() > 1  # sums, whatever kind of pooling it is


@pytest.mark.parametrize("pooling", [pool(nir.SumPool2d, 3, 2, 1), pool(nir.AvgPool2d, 2)])
def test_pooling_that_cannot_be_folded_becomes_relays(pooling):
    conv = conv2d(3, 2, 3, padding=1)
    inputs = binary((2, 4, 2, 9, 9))
    expected = directly(conv, directly(pooling, torch.from_numpy(inputs).flatten(0, 1)))
    n = tuple(expected.shape[1:])
    nodes = {"pool": pooling, "conv": conv, "sum": summing(n)}
    network = from_nir(graph_of(nodes, shape=(2, 9, 9)))
    assert [p.name for p in network.populations] == ["pool", "sum"]
    expected = expected.unflatten(0, (2, 4)).sum(dim=1).flatten(1).numpy()
    np.testing.assert_allclose(run_floats(network, inputs).output, expected, atol=1e-10)


def test_pooling_may_end_the_network():
    network = from_nir(graph_of({"pool": pool(nir.AvgPool2d, 2)}, shape=(1, 4, 4)))
    inputs = binary((1, 6, 1, 4, 4))
    expected = inputs.sum(axis=1).reshape(2, 2, 2, 2).sum(axis=(1, 3)).reshape(1, -1)
    np.testing.assert_array_equal(run_floats(network, inputs).output, expected)
    assert any("not their means" in a for a in network.assumptions)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here")
def test_the_convolutional_network_of_nirs_paper():
    """Read by hand and stepped by torch, against the imported network."""
    path = DATA / "nir/cnn_sinabs.nir"
    network = read_nir(path, Conventions(reset="subtract", fires="at_or_above"))
    assert [p.shape for p in network.populations] == [
        (16, 16, 16), (16, 16, 16), (8, 8, 8), (256,), (10,)
    ]  # fmt: skip
    inputs = binary((4, 24, 2, 34, 34), rate=0.05)
    graph = nir.read(path, type_check=False)
    spikes = torch.from_numpy(inputs)
    for i in range(13):
        node = graph.nodes[str(i)]
        if isinstance(node, nir.IF):
            v, out = torch.zeros_like(spikes[:, 0]), []
            for t in range(24):
                v = v + spikes[:, t]
                out.append((v >= 1).double())
                v = v - out[-1]
            spikes = torch.stack(out, dim=1)
            continue
        for name in ("weight", "bias"):
            if hasattr(node, name):
                setattr(node, name, np.asarray(getattr(node, name), np.float64))
        for name in ("stride", "padding", "dilation"):
            if isinstance(node, nir.Conv2d):
                setattr(node, name, tuple(int(n) for n in getattr(node, name)))
        spikes = directly(node, spikes.flatten(0, 1)).unflatten(0, (4, 24))
    found = trace(network, inputs)
    assert 0.02 < found.mean() < 0.5
    np.testing.assert_array_equal(found, spikes.numpy())
