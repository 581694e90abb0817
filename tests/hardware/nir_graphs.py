"""Graphs of NIR nodes, and what is sent through them; ``conftest.py`` makes it importable."""

from itertools import pairwise

import nir
import numpy as np

from hardware.compiler.floats.run import run_floats


def graph_of(nodes, edges=None, *, shape, out=(1,)):
    """A graph of named nodes between an input and an output; a chain where no edges are given."""
    nodes = {"in": nir.Input(np.array(shape)), **nodes, "out": nir.Output(np.array(out))}
    edges = list(pairwise(nodes)) if edges is None else edges
    return nir.NIRGraph(nodes, edges, type_check=False)


def full(shape, value):
    return np.full(shape, float(value))


def summing(n):
    """A readout whose membrane is the sum of all that arrived."""
    return nir.I(r=full(n, 1))


def binary(shape, *, seed=0, rate=0.3):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.float64)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def trace(network, inputs, variable="spikes"):
    name = network.output.name
    return run_floats(network, inputs, probes=[(name, variable)]).traces[name, variable]


def conv2d(c_out, c_in, k, stride=1, padding=0, dilation=1, groups=1, *, seed=0, bias=True):
    weight = normal(c_out, c_in // groups, *np.broadcast_to(k, 2), seed=seed)
    values = normal(c_out, seed=seed + 9) if bias else np.zeros(c_out)
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, values)


def pool(kind, k, stride=None, padding=0):
    pair = [np.array(np.broadcast_to(n, 2)) for n in (k, k if stride is None else stride, padding)]
    return kind(*pair)


FLAT = nir.Flatten({"input": None}, 0, -1)
