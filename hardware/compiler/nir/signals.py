"""What arrives at each neuron of a NIR graph: the linear nodes between populations, followed.

Every neuron starts new wires; every linear node turns the signal before it into another one, until
the next neuron takes it in as synapses and bias. Where pooling cannot become part of a synapse, it
becomes relay neurons, which send the sum of their window on.

>>> signals = Signals(graph, shapes, stepper, "fold"); signals.collect()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import nir
import numpy as np

from hardware.chip.network import INPUT
from hardware.chip.synaptic_input import conv_sum
from hardware.compiler.floats.network import FloatPopulation
from hardware.compiler.nir.codes import quantum_of
from hardware.compiler.nir.file import UnknownNode
from hardware.compiler.nir.graph import FlatGraph
from hardware.compiler.nir.inputs import biased, in_units_of_input, started
from hardware.compiler.nir.linear import (
    Kernel,
    Matrix,
    NotFoldable,
    Term,
    Window,
    Wire,
    as_kernel,
    as_matrix,
    delayed,
    fold_kernel,
    fold_matrix,
    scaled,
)
from hardware.compiler.nir.nodes import NEURONS, READOUTS, Pooling, Stepped, Stepper
from hardware.compiler.nir.shapes import Shape, as_image, geometry, physical
from hardware.errors import NetworkFormatError

PASSING = ("Input", "Output", "Identity", "Flatten")
DELAY_ROUNDING = 1e-3  # how far from a whole number of steps a delay may be


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A sum of terms and a constant, in the shape that NIR sees."""

    shape: Shape
    terms: tuple[Term, ...]
    bias: np.ndarray | None = None

    @property
    def constant(self) -> np.ndarray:
        """The bias, zeros where there is none."""
        return np.zeros(self.shape) if self.bias is None else self.bias


class Signals:
    """Follows the signals of a graph; what it finds are populations and the terms they take in.

    Parameters
    ----------
    graph : FlatGraph
    shapes : dict of str to tuple of int
    stepper : Stepper
        Makes populations of neuron nodes; gathers problems and assumptions.
    pooling : {"fold", "relay"}
    """

    def __init__(
        self, graph: FlatGraph, shapes: dict[str, Shape], stepper: Stepper, pooling: Pooling
    ) -> None:
        self.graph, self.shapes, self.stepper, self.pooling = graph, shapes, stepper, pooling
        self.problems = stepper.problems
        self.populations: dict[str, FloatPopulation] = {}
        self.terms: dict[str, list[Matrix | Kernel]] = {}
        self.output = ""
        self._known: dict[str, Signal | None] = {}
        self._open: set[str] = set()
        self._relays: dict[str, Wire] = {}

    def collect(self) -> None:
        """Fill ``populations``, ``terms`` by population, and ``output``."""
        for name, node in self.graph.nodes.items():
            if isinstance(node, NEURONS + READOUTS):
                self._take_in(name, node)
            elif kind_of(node) not in RULES:
                self.problems.unsupported.append(
                    f"{name} ({kind_of(node)}): does not run here; known are "
                    f"{', '.join(known_nodes())}"
                )
        self._read_out()
        for name, population in self.populations.items():
            if population.kind == "readout" and name != self.output:
                kind = type(self.graph.nodes[name]).__name__
                self.problems.unsupported.append(
                    f"{name}: a {kind} sends no spikes; it can only be the last node"
                )

    # -- populations -------------------------------------------------------------------------------

    def _take_in(self, name: str, node: nir.NIRNode) -> None:
        """A neuron node with its input; where that is unknown, its parameters are still checked."""
        shape = self.shapes.get(name) or tuple(int(n) for n in node.input_type["input"])
        stepped = self.stepper.population(name, node, shape) if shape else None
        signal = self._arriving(name)
        if stepped and signal and name in self.shapes:
            self._check_quanta(name, signal)
            self._join(name, stepped, signal)

    def _check_quanta(self, name: str, signal: Signal) -> None:
        """A skip without weights adds 1 for each message, whatever its source counts in."""
        for term in signal.terms if len(signal.terms) > 1 else ():
            worth = 1.0 if isinstance(term, Matrix | Kernel) else self._quantum(term.source)
            if isinstance(term, Wire) and np.all(term.scale == 1) and not np.allclose(worth, 1):
                self.problems.unsupported.append(
                    f"{name}: {term.source} is added without weights, but its messages stand for "
                    f"{float(np.ravel(worth)[0]):.6g}; put that into a Scale or a 1x1 convolution"
                )

    def _quantum(self, source: str) -> np.ndarray | float:
        return 1.0 if source == INPUT else quantum_of(self.graph.nodes[source])

    def _join(self, name: str, stepped: Stepped, signal: Signal) -> None:
        """A population with what arrives at it, times its gain."""
        population, gain = stepped.population, stepped.gain
        try:
            terms = [_synaptic(term, population.shape) for term in signal.terms]
        except NotFoldable as error:
            self.problems.unsupported.append(f"{name}: {error}")
            return
        if gain.shape != population.shape[:1] and any(isinstance(t, Kernel) for t in terms):
            if population.kind in ("readout", "sigma_delta") or (gain <= 0).any():
                self.problems.unsupported.append(
                    f"{name}: r differs between the neurons of a channel, which a convolution "
                    "cannot hold"
                )
                return
            population, gain = in_units_of_input(population, gain), np.ones(population.shape[:1])
        if signal.bias is not None:
            bias = signal.bias.reshape(population.shape)
            add = started if stepped.bias_counts_once else biased
            population = add(population, bias, gain)
        self.populations[name] = population
        self.terms[name] = [_amplified(term, gain) for term in terms]

    def _read_out(self) -> None:
        """Find the population that the graph ends in, or make one that adds up its values."""
        signal = self._arriving(self.graph.sink)
        if signal is None:
            return
        try:
            source = self._plain_source(signal)
        except NotFoldable as error:
            self.problems.unsupported.append(f"{self.graph.sink}: {error}")
            return
        if source is not None:
            self.output = source
            return
        before = self.graph.feeds[self.graph.sink]
        self.output = before[0] if len(before) == 1 else self.graph.sink
        if self.output in self.populations or self.output == self.graph.source:
            self.output = self.graph.sink
        self.stepper.assumptions.append(
            f"{self.output}: no neurons before the output; its values add up over the steps"
        )
        shape = physical(signal.shape)
        readout = FloatPopulation(name=self.output, shape=shape, kind="readout")
        self._join(self.output, Stepped(population=readout, gain=np.ones(shape[:1])), signal)

    def _plain_source(self, signal: Signal) -> str | None:
        """The population whose messages a signal is, if it is nothing else."""
        if signal.bias is not None:
            return None
        pools = {term.pool if isinstance(term, Kernel) else None for term in signal.terms}
        if len(pools) == 1 and (pool := pools.pop()) is not None:
            signal = replace(signal, terms=(self._relay(pool),))
        first = signal.terms[0]
        if len(signal.terms) > 1 or not isinstance(first, Wire) or first.source == INPUT:
            return None
        if first.source in self._relays and not np.any(first.delay):
            if not first.is_plain:
                self.stepper.assumptions.append(
                    f"{first.source}: the output counts sums of windows, not their means"
                )
            return first.source
        return first.source if first.is_plain else None

    def _relay(self, pool: str) -> Wire:
        """Relay neurons in place of a pooling node; raises NotFoldable."""
        if pool in self._relays:
            return self._relays[pool]
        signal = self._arriving(pool)
        assert signal is not None
        scales = {s for t in signal.terms for s in np.unique(getattr(t, "scale", np.nan))}
        if len(scales) != 1 or np.isnan(scale := scales.pop()) or signal.bias is not None:
            raise NotFoldable(
                f"the pooling {pool} of weighted values is not part of a synapse; pool spikes"
            )
        window = geometry(self.graph.nodes[pool], as_image(self.graph.nodes[pool], signal.shape))
        terms = [
            fold_kernel(replace(term, scale=1.0), window)
            for term in signal.terms
            if isinstance(term, Wire)
        ]
        shape = self.shapes[pool]
        self.populations[pool] = FloatPopulation(name=pool, shape=shape, kind="relay")
        self.terms[pool] = list(terms)
        factor = float(scale) * self._pool_factor(pool)
        self._relays[pool] = Wire(source=pool, shape=shape, scale=np.asarray(factor))
        return self._relays[pool]

    def _pool_factor(self, pool: str) -> float:
        node = self.graph.nodes[pool]
        mean = isinstance(node, nir.AvgPool2d)
        size = np.broadcast_to(np.asarray(node.kernel_size).ravel(), (2,))
        return 1 / float(np.prod(size)) if mean else 1.0

    # -- signals -----------------------------------------------------------------------------------

    def _arriving(self, name: str) -> Signal | None:
        """The sum of all that leads into a node, or None where something before it failed."""
        signals = [self._leaving(before) for before in self.graph.feeds[name]]
        if not signals or any(signal is None for signal in signals):
            return None
        found = [signal for signal in signals if signal is not None]
        first = found[0]
        if len({signal.constant.size for signal in found}) > 1:
            shapes = [signal.shape for signal in found]
            self.problems.malformed.append(f"{name}: inputs of shapes {shapes} do not add up")
            return None
        biases = [s.bias.reshape(first.shape) for s in found if s.bias is not None]
        return Signal(
            shape=first.shape,
            terms=tuple(term for signal in found for term in signal.terms),
            bias=sum(biases[1:], biases[0]) if biases else None,
        )

    def _leaving(self, name: str) -> Signal | None:
        if name not in self._known:
            if name in self._open:
                self.problems.unsupported.append(f"{name}: lies in a loop without neurons")
                return None
            self._open.add(name)
            self._known[name] = self._signal(name)
            self._open.discard(name)
        return self._known[name]

    def _signal(self, name: str) -> Signal | None:
        node = self.graph.nodes[name]
        shape = self.shapes.get(name)
        if isinstance(node, NEURONS + READOUTS) or name == self.graph.source:
            if shape is None:
                return None
            source = INPUT if name == self.graph.source else name
            wire = Wire(source=source, shape=self.source_shape(name))
            return Signal(shape=shape, terms=(wire,))
        before, kind = self._arriving(name), kind_of(node)
        if before is None or shape is None or kind not in RULES:
            return None
        try:
            return RULES[kind](self, name, node, before)
        except NotFoldable as error:
            self.problems.unsupported.append(f"{name} ({kind}): {error}")
        except NetworkFormatError as error:
            self.problems.malformed.append(f"{name}: {error}")
        return None

    def source_shape(self, name: str) -> Shape:
        """Shape of a population, or of the input as it is handed to a run."""
        shape = self.shapes[name]
        if name == self.graph.source and len(shape) == 2:
            readers = [self.graph.nodes[reader] for reader in self.graph.readers(name)]
            if not any(isinstance(reader, nir.Conv1d) for reader in readers):
                return (shape[0] * shape[1],)
        return physical(shape)

    def passed(self, name: str, node: nir.NIRNode, before: Signal) -> Signal:
        """The same in another shape."""
        shape = self.shapes[name]
        bias = None if before.bias is None else before.bias.reshape(shape)
        return replace(before, shape=shape, bias=bias)

    def dense(self, name: str, node: nir.Affine | nir.Linear, before: Signal) -> Signal:
        """``W x + b``."""
        weight = self._numbers(node, "weight")
        terms = tuple(fold_matrix(term, weight) for term in before.terms)
        bias = None if before.bias is None else weight @ before.bias.ravel()
        if getattr(node, "bias", None) is not None:
            own = self._numbers(node, "bias", self.shapes[name])
            bias = own if bias is None else bias + own
        return Signal(shape=self.shapes[name], terms=terms, bias=bias)

    def convolution(self, name: str, node: nir.Conv1d | nir.Conv2d, before: Signal) -> Signal:
        """``W * x + b``."""
        image = as_image(node, before.shape)
        window = geometry(node, image)
        self._numbers(node, "weight")
        signal = self._window(before, window, image)
        if node.bias is not None:
            own = self._numbers(node, "bias", window.weight.shape[:1]).reshape(-1, 1, 1)
            signal = replace(signal, bias=own + (0 if signal.bias is None else signal.bias))
        bias = None
        if signal.bias is not None:
            bias = np.broadcast_to(signal.bias, signal.shape).reshape(self.shapes[name])
        return replace(signal, shape=self.shapes[name], bias=bias)

    def pool(self, name: str, node: nir.SumPool2d | nir.AvgPool2d, before: Signal) -> Signal:
        """Sums of windows, or their means."""
        if self.pooling == "relay":
            return Signal(shape=self.shapes[name], terms=(self._relay(name),))
        image = as_image(node, before.shape)
        window = geometry(node, image)
        window = replace(window, weight=window.weight * self._pool_factor(name))
        return self._window(before, window, image, pool=name)

    def _window(
        self, before: Signal, window: Window, image: Shape, *, pool: str | None = None
    ) -> Signal:
        terms: list[Term] = []
        for term in before.terms:
            try:
                folded = fold_kernel(term, window, pool=pool)
            except NotFoldable:
                if not isinstance(term, Kernel) or term.pool is None:
                    raise
                folded = fold_kernel(self._relay(term.pool), window, pool=pool)
                if any(t.source == folded.source for t in terms):
                    continue  # its relays already stand for all terms of that pooling node
            terms.append(folded)
        bias = None
        if before.bias is not None:
            bias = conv_sum(
                window.weight,
                before.bias.reshape(image),
                stride=window.stride,
                padding=window.padding,
                dilation=window.dilation,
                groups=window.groups,
            )
        return Signal(shape=window.output_shape(image), terms=tuple(terms), bias=bias)

    def scaled(self, name: str, node: nir.Scale, before: Signal) -> Signal:
        """Each element times its factor."""
        factor = self._elements(node, "scale", before.shape)
        bias = None if before.bias is None else before.bias * factor
        terms = tuple(scaled(term, factor) for term in before.terms)
        return replace(before, terms=terms, bias=bias)

    def delayed(self, name: str, node: nir.Delay, before: Signal) -> Signal:
        """Each element later by its own number of steps."""
        delay_s, dt_s = self._elements(node, "delay", before.shape), self.stepper.step_s()
        steps = np.rint(delay_s / dt_s).astype(np.int64)
        error = np.abs(delay_s / dt_s - steps).max()
        if (delay_s < 0).any() or error > DELAY_ROUNDING:
            raise NetworkFormatError(
                f"delays must be whole steps of {dt_s} s and not negative, got "
                f"{delay_s.min()} to {delay_s.max()} s"
            )
        if error:
            self.stepper.assumptions.append(
                f"{name}: delays rounded to {steps.min()} to {steps.max()} steps of {dt_s} s, "
                f"by up to {error:.1e} steps"
            )
        return replace(before, terms=tuple(delayed(term, steps) for term in before.terms))

    def _elements(self, node: nir.NIRNode, name: str, shape: Shape) -> np.ndarray:
        values = self._numbers(node, name)
        return values.reshape(() if values.size == 1 else shape)

    def _numbers(self, node: nir.NIRNode, name: str, shape: Shape | None = None) -> np.ndarray:
        values = np.asarray(getattr(node, name), np.float64)
        if not np.isfinite(values).all():
            raise NetworkFormatError(f"{name} must be finite")
        if shape is not None and values.shape != shape:
            raise NetworkFormatError(f"{name} must have shape {shape}, got {values.shape}")
        return values


Rule = Callable[[Signals, str, nir.NIRNode, Signal], Signal]

RULES: dict[str, Rule] = {
    **dict.fromkeys(PASSING, Signals.passed),
    "Affine": Signals.dense,
    "Linear": Signals.dense,
    "Conv1d": Signals.convolution,
    "Conv2d": Signals.convolution,
    "SumPool2d": Signals.pool,
    "AvgPool2d": Signals.pool,
    "Scale": Signals.scaled,
    "Delay": Signals.delayed,
}


def kind_of(node: nir.NIRNode) -> str:
    """The node's type as its file names it."""
    return node.kind if isinstance(node, UnknownNode) else type(node).__name__


def known_nodes() -> list[str]:
    """Names of all node types that can be mapped."""
    return sorted({*RULES, "NIRGraph", *(kind.__name__ for kind in NEURONS + READOUTS)})


def _synaptic(term: Term, shape: Shape) -> Matrix | Kernel:
    """A term as weights into a population of ``shape``."""
    if len(shape) == 1 or isinstance(term, Matrix):
        return as_matrix(term)
    return as_kernel(term) if isinstance(term, Wire) else term


def _amplified(term: Matrix | Kernel, gain: np.ndarray) -> Matrix | Kernel:
    if isinstance(term, Matrix):
        return replace(term, weight=term.weight * gain.reshape(-1, 1))
    weight = term.window.weight * gain.reshape(-1, 1, 1, 1)
    return replace(term, window=replace(term.window, weight=weight))
