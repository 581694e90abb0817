"""Batches of random networks that any backend can run, side by side as one network.

>>> batch = draw_batch(7, size=3)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from random_networks import FEATURES, random_frames, random_graph

from hardware.backends.backend import check_timing, variables_of
from hardware.backends.reference import Reference
from hardware.chip.network import INPUT, ChipNetwork
from hardware.errors import UnsupportedNetworkError


@dataclass(frozen=True)
class Case:
    """A drawn network and all that the specification says of it, by (population, variable)."""

    seed: int
    network: ChipNetwork
    expected: dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True)
class Batch:
    """Networks that share an input, as cases and as one network (see `side_by_side`).

    ``passed_over`` counts the networks that were drawn in between and left out, by reason.
    """

    features: frozenset[str]
    cases: tuple[Case, ...]
    together: ChipNetwork
    frames: np.ndarray
    passed_over: Counter[str]

    def case(self, index):
        """How to draw a network of this batch again, in words."""
        network = self.cases[index].network
        return (
            f"random_graph({self.cases[index].seed}, {sorted(self.features)}, "
            f"{network.input_shape}, {network.input_bits})"
        )

    def probes(self):
        """Everything that can be probed, and what the specification says of it."""
        return {
            (f"{index}.{name}", variable): trace
            for index, case in enumerate(self.cases)
            for (name, variable), trace in case.expected.items()
        }


def draw_batch(first_seed, size, features=FEATURES, *, timing="layerwise", samples=2, steps=8):
    """Networks that any backend can run: in time for a pipeline, and far within 32 bits.

    A chip's current has 24 bits, and Lava's backend refuses one beyond 32. Both are decided by the
    specification alone, before any backend has run.
    """
    rng = np.random.default_rng(first_seed)
    shape = random_graph(first_seed, features).input_shape
    graded = {"graded", "sigma_delta"} & set(features)
    bits = int(rng.choice([0, 0, 4, 8, 24])) if graded else 0
    cases, passed_over = [], Counter()
    for seed in count(first_seed):
        network = random_graph(seed, features, shape, bits)
        frames = random_frames(network, first_seed, samples=samples, steps=steps, rate=0.4)
        if not _is_in_time(network):
            passed_over["too late for a pipeline"] += 1
            continue
        probes = [(name, v) for name, vs in variables_of(network).items() for v in vs]
        expected = dict(Reference(timing=timing).run(network, frames, probes=probes).traces)
        if max((np.abs(t).max() for (_, v), t in expected.items() if v == "u"), default=0) >= 2**29:
            passed_over["current beyond 30 bits"] += 1
            continue
        cases.append(Case(seed, network, expected))
        if len(cases) == size:
            together = side_by_side([case.network for case in cases])
            return Batch(frozenset(features), tuple(cases), together, frames, passed_over)
    raise AssertionError("count has no end")


def _is_in_time(network):
    try:
        check_timing(network, "pipelined")
    except UnsupportedNetworkError:
        return False
    return True


def side_by_side(networks):
    """Networks of one input shape as one network, populations named ``<index>.<name>``.

    What costs a backend time per start, it then needs once. Readout is that of the last one.
    """

    def renamed(index, name):
        return name if name == INPUT else f"{index}.{name}"

    return ChipNetwork(
        input_shape=networks[0].input_shape,
        input_bits=max(network.input_bits for network in networks),
        populations=tuple(
            replace(p, name=renamed(i, p.name))
            for i, n in enumerate(networks)
            for p in n.populations
        ),
        synapses=tuple(
            replace(
                s,
                sources=tuple(renamed(i, source) for source in s.sources),
                target=renamed(i, s.target),
            )
            for i, network in enumerate(networks)
            for s in network.synapses
        ),
        readout=networks[-1].readout,
    )
