"""NIR, of any framework, to a float network.

A neuron node becomes a population and the linear nodes before it become its synapses; what cannot
run on a chip is refused, all of it in one error, by node name. Several edges into one node add up.
A loop without a delay is heard one step later, as every framework steps it. Conv1d works on images
of height 1, so a signal ``(C, L)`` becomes a population ``(C, 1, L)``. A graph that ends in LI,
CubaLI, I or a linear node is read out by its membrane.

What NIR cannot say is read from node metadata, taken from the options, or assumed and said; see
`hardware.compiler.nir.nodes.Conventions`. A graph's own metadata is JSON under ``"spikeface"``.

>>> network = read_nir("network.nir", Conventions(reset="subtract"))
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from hardware.chip.network import INPUT
from hardware.chip.registers import DELAY_MAX
from hardware.compiler.floats.network import FloatNetwork, FloatSynapse
from hardware.compiler.nir.file import load_graph
from hardware.compiler.nir.graph import FlatGraph, Problems, topological
from hardware.compiler.nir.linear import Kernel, Matrix
from hardware.compiler.nir.nodes import (
    ASSUMED_DT_S,
    Conventions,
    Stepper,
    plain,
)
from hardware.compiler.nir.shapes import find_shapes
from hardware.compiler.nir.signals import Signals
from hardware.errors import NetworkFormatError, UnsupportedNetworkError


def read_nir(path: str | Path, conventions: Conventions | None = None) -> FloatNetwork:
    """Read a NIR file.

    Parameters
    ----------
    path : str or Path
    conventions : Conventions, optional
        What the file cannot say; they win over its metadata.

    Raises
    ------
    NetworkFormatError
        For a missing, foreign or damaged file, or values that make no network.
    UnsupportedNetworkError
        Listing every node that cannot be mapped, by name, and everything else that is wrong.
    """
    graph = load_graph(path)
    try:
        return from_nir(graph, conventions)
    except (NetworkFormatError, UnsupportedNetworkError) as error:
        raise type(error)(f"{path}: {error}") from None
    # A file can hold anything in place of a number; what no check foresaw is still the file's.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise NetworkFormatError(
            f"{path}: not a usable NIR graph ({type(error).__name__}: {error})"
        ) from error


def from_nir(graph: nir.NIRGraph, conventions: Conventions | None = None) -> FloatNetwork:
    """Float network of a NIR graph; parameters and errors as `read_nir`."""
    conventions = conventions or Conventions()
    problems = Problems(malformed=conventions.problems())
    metadata = _metadata(graph, problems)
    flat = FlatGraph.of(graph, problems)
    dt, is_said = _step_duration(flat, conventions, problems)
    problems.raise_if_any()
    stepper = Stepper(conventions, dt, is_said, problems)
    signals = Signals(flat, find_shapes(flat, problems), stepper, conventions.pooling)
    signals.collect()
    problems.raise_if_any()
    return _assemble(signals, metadata)


def _metadata(graph: nir.NIRGraph, problems: Problems) -> dict[str, Any]:
    """What this tool wrote along with the graph; empty for graphs of other tools."""
    try:
        metadata = json.loads(plain(graph.metadata.get("spikeface", "{}")))
    except (TypeError, ValueError) as error:
        problems.malformed.append(f"the metadata 'spikeface' is not JSON ({error})")
        return {}
    if not isinstance(metadata, dict):
        problems.malformed.append(f"the metadata 'spikeface' is no table but {metadata!r}")
        return {}
    return metadata


def _step_duration(
    graph: FlatGraph, conventions: Conventions, problems: Problems
) -> tuple[float, bool]:
    """Duration of a step in seconds, and whether anybody said it."""
    if conventions.dt_s is not None:
        return conventions.dt_s, True
    said: dict[float, str] = {}
    for name, node in graph.nodes.items():
        value = plain(node.metadata["dt"]) if "dt" in (node.metadata or {}) else None
        if value is None:
            continue
        if not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
            problems.malformed.append(f"{name}: dt must be above 0 seconds, got {value!r}")
        else:
            said.setdefault(float(value), name)
    if len(said) > 1:
        steps = ", ".join(f"{dt} s ({name})" for dt, name in said.items())
        problems.malformed.append(f"all nodes must have one dt, found {steps}")
    return next(iter(said), ASSUMED_DT_S), bool(said)


def _assemble(signals: Signals, metadata: dict[str, Any]) -> FloatNetwork:
    """Populations in order, loops delayed, equal synapses of several sources as one."""
    links: dict[tuple[str, str], int] = {}
    for target, terms in signals.terms.items():
        for term in terms:
            delay = min(int(np.min(term.delay)), links.get((term.source, target), DELAY_MAX))
            links[term.source, target] = delay
    order = topological(links, signals.output)
    position = {name: i for i, name in enumerate((INPUT, *order))}
    synapses: list[FloatSynapse] = []
    assumptions = list(signals.stepper.assumptions)
    # Messages that are changes have a scale of each population's own as integers.
    changes = any(p.kind == "sigma_delta" for p in signals.populations.values())
    if changes:
        assumptions.append("the input of a sigma-delta network is the change from frame to frame")
    for target in order:
        forward = []
        for term in signals.terms.get(target, ()):
            if position[term.source] >= position[target] and np.min(term.delay) < 1:
                term = _one_step_later(term)
                assumptions.append(
                    f"{term.source} -> {target}: leads backwards and arrives one step later"
                )
            forward.append(term)
        synapses += [_synapse(group, target) for group in _joined(forward, may_share=not changes)]
    output = signals.populations[signals.output]
    return FloatNetwork(
        input_shape=signals.source_shape(signals.graph.source),
        populations=tuple(signals.populations[name] for name in order),
        synapses=tuple(synapses),
        readout="membrane" if output.kind == "readout" else "spike_count",
        metadata=metadata,
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def _one_step_later(term: Matrix | Kernel) -> Matrix | Kernel:
    """The term with a delay of at least one step everywhere."""
    if isinstance(term, Kernel):
        return replace(term, delay=max(term.delay, 1))
    return replace(term, delay=np.maximum(term.delay, 1))


def _joined(terms: list[Matrix | Kernel], *, may_share: bool) -> list[list[Matrix | Kernel]]:
    """Terms that differ in nothing but their source: their messages can add up first."""
    groups: list[list[Matrix | Kernel]] = []
    for term in terms:
        for group in groups if may_share else ():
            if _equal(term, group[0]) and all(term.source != other.source for other in group):
                group.append(term)
                break
        else:
            groups.append([term])
    return groups


def _equal(a: Matrix | Kernel, b: Matrix | Kernel) -> bool:
    if a.shape != b.shape or not np.array_equal(a.delay, b.delay):
        return False
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return (
            isinstance(a, Matrix) and isinstance(b, Matrix) and np.array_equal(a.weight, b.weight)
        )
    return _geometry(a) == _geometry(b) and np.array_equal(a.window.weight, b.window.weight)


def _geometry(term: Kernel) -> dict[str, Any]:
    window = term.window
    return {
        "stride": window.stride,
        "padding": window.padding,
        "dilation": window.dilation,
        "groups": window.groups,
    }


def _synapse(group: list[Matrix | Kernel], target: str) -> FloatSynapse:
    first, sources = group[0], tuple(term.source for term in group)
    delay = first.delay
    if np.ndim(delay) and np.min(delay) == np.max(delay):
        delay = int(np.min(delay))
    if isinstance(first, Matrix):
        return FloatSynapse(sources=sources, target=target, weight=first.weight, delay=delay)
    return FloatSynapse(
        sources=sources,
        target=target,
        kind="conv",
        weight=first.window.weight,
        delay=delay,
        **_geometry(first),
    )
