"""Populations at work: kernels for CUBA neurons and levels, the specification for all others.

A stepper holds the state of one population for N samples and turns inputs into messages, all
steps at once or a few at a time. Rows of inputs and messages have the order of their `Layout`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from hardware.backends.simulator.level_kernel import level_steps
from hardware.backends.simulator.neuron_kernels import BLOCK, cuba_steps
from hardware.backends.simulator.projections import Layout
from hardware.chip.populations import Cuba, Levels, Population

NO_BIAS = np.zeros((0, 0, 0), np.int32)
NO_TRACE = np.zeros((0, 0, 0), np.int64)
NO_REST = np.zeros((0, 0), np.int32)


class Stepper(ABC):
    """A population for a number of samples.

    Parameters
    ----------
    population : Population
    layout : Layout
    resets : ndarray of bool, shape (T,)
        Before which steps the state returns to its initial value; includes the first.
    inputs : mapping of port to ndarray of int32 or int64, shape (N, T, width)
        Complete up to the step that is run.
    probes : collection of str
        States to keep.

    Attributes
    ----------
    messages : ndarray, shape (N, T, width)
        uint8 of spiking models, else int64; zero beyond the neurons.
    traces : dict of str to ndarray, shape (N, T, width)
    faults : ndarray of bool, shape (N,)
        Where a register may have overflowed.
    """

    def __init__(
        self,
        population: Population,
        layout: Layout,
        resets: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        probes: Collection[str],
    ) -> None:
        self.population = population
        self.layout = layout
        self.resets = resets
        self.inputs = inputs
        self.samples, self.steps, _ = inputs["input"].shape
        self.messages = self._rows(np.int64 if population.GRADED else np.uint8)
        self.messages[..., layout.size :] = 0
        self.faults = np.zeros(self.samples, bool)
        self.traces: dict[str, np.ndarray] = {}

    def _rows(self, dtype: type) -> np.ndarray:
        return np.empty((self.samples, self.steps, self.layout.width), dtype)

    @abstractmethod
    def run(self, first: int, last: int) -> None:
        """Steps ``first`` to ``last`` (excluded)."""


class CubaStepper(Stepper):
    """CUBA neurons, by `hardware.backends.simulator.neuron_kernels`; inputs must be int32."""

    def __init__(
        self,
        population: Cuba,
        layout: Layout,
        resets: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        probes: Collection[str],
        parameters: np.ndarray,
    ) -> None:
        super().__init__(population, layout, resets, inputs, probes)
        self.cuba = population
        self.parameters = parameters
        size = (self.samples, layout.size)
        self.u, self.v = np.empty(size), np.empty(size)
        self.rest = np.zeros(size, np.int32) if population.refractory else NO_REST
        self.traces = {name: self._rows(np.int64) for name in probes}

    def run(self, first: int, last: int) -> None:
        """See `Stepper.run`."""
        full = self.parameters.shape[1] == self.layout.size
        cuba_steps(
            self.inputs["input"],
            self.inputs.get("bias", NO_BIAS),
            float(1 << self.cuba.bias_exp),
            first,
            last,
            self.resets,
            self.parameters,
            BLOCK if full else self.parameters.shape[1],
            float(self.cuba.reset == "subtract"),
            self.cuba.refractory,
            self.u,
            self.v,
            self.rest,
            self.messages,
            self.traces.get("u", NO_TRACE),
            self.traces.get("v", NO_TRACE),
            self.faults,
        )


class LevelStepper(Stepper):
    """Levels, by `hardware.backends.simulator.level_kernel`."""

    def __init__(
        self,
        population: Levels,
        layout: Layout,
        resets: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        probes: Collection[str],
        parameters: np.ndarray,
    ) -> None:
        super().__init__(population, layout, resets, inputs, probes)
        self.levels = float(population.levels)
        self.parameters = parameters
        self.traces = {name: self._rows(np.int64) for name in probes}

    def run(self, first: int, last: int) -> None:
        """See `Stepper.run`."""
        level_steps(
            self.inputs["input"],
            first,
            last,
            self.parameters,
            self.levels,
            self.messages,
            self.traces.get("z", NO_TRACE),
            self.faults,
        )


class SpecifiedStepper(Stepper):
    """Any population, by `Population.step` on all samples at once."""

    def __init__(
        self,
        population: Population,
        layout: Layout,
        resets: np.ndarray,
        inputs: Mapping[str, np.ndarray],
        probes: Collection[str],
    ) -> None:
        super().__init__(population, layout, resets, inputs, probes)
        self.traces = {name: self._rows(np.int64) for name in probes}
        self.state: NamedTuple

    def run(self, first: int, last: int) -> None:
        """See `Stepper.run`."""
        for step in range(first, last):
            if self.resets[step]:
                initial = self.population.initial_state()
                whole = (self.samples, *self.layout.shape)
                self.state = initial._make(np.broadcast_to(x, whole) for x in initial)
            arriving = {
                port: self.layout.unpack(rows[:, step]).astype(np.int64)
                for port, rows in self.inputs.items()
            }
            message, self.state, faults = self.population.step(self.state, arriving)
            self.messages[:, step, : self.layout.size] = self.layout.pack(message)
            for name, trace in self.traces.items():
                trace[:, step, : self.layout.size] = self.layout.pack(getattr(self.state, name))
            for where in faults.values():
                self.faults |= where.reshape(self.samples, -1).any(axis=1)
