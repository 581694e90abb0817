"""What all populations share: parameters, their limits, and how they are spread over neurons.

A parameter that is an array has one value per channel, shape ``(C,)`` or ``(F,)``, or one per
neuron, the shape of the population; a plain int is spread over the channels. The arithmetic is in
`hardware.chip.neurons`; what is here binds it to parameters.

>>> population.per_neuron("vth").shape
(8, 1, 1)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hardware.chip import registers as reg
from hardware.chip.neurons import Faults

Parameter = np.ndarray | int
Limits = dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Population(ABC):
    """What all models share.

    Parameters
    ----------
    name : str
    shape : tuple of int
        ``(C, H, W)`` or ``(F,)``.
    reset_interval, reset_phase : int
        State returns to its initial value before every step ``t`` (from 0 in each sample) with
        ``t % reset_interval == reset_phase``; 0 for no reset but the one at the sample's start.
    """

    name: str
    shape: tuple[int, ...]
    reset_interval: int = 0
    reset_phase: int = 0

    KIND: ClassVar[str]
    ARRAYS: ClassVar[Limits]  # parameters with one value per channel or neuron, and their range
    SCALARS: ClassVar[Limits] = {}
    STATES: ClassVar[tuple[str, ...]] = ()  # what can be probed besides the messages
    PORTS: ClassVar[tuple[str, ...]] = ("input",)
    GRADED: ClassVar[bool] = False  # messages carry values

    def __post_init__(self) -> None:
        for name in self.ARRAYS:
            value = getattr(self, name)
            if isinstance(value, int | np.integer) and self.shape:
                spread = np.full(self.shape[:1], value, np.int32)
                object.__setattr__(self, name, spread)

    @property
    def sends_values(self) -> bool:
        """Whether a message can be anything but -1, 0 and 1."""
        return self.GRADED

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def per_neuron(self, name: str) -> np.ndarray:
        """A parameter as int64, in a shape that broadcasts to the population's."""
        value = getattr(self, name).astype(np.int64)
        if value.shape == self.shape:
            return value
        return value.reshape(-1, *(1,) * (len(self.shape) - 1))

    @abstractmethod
    def initial_state(self) -> NamedTuple:
        """State before the first step."""

    @abstractmethod
    def step(
        self, state: NamedTuple, inputs: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, NamedTuple, Faults]:
        """One step: ``(message, state, faults)``; inputs are int64 sums by port."""

    def resets_at(self, step: int) -> bool:
        """Whether the state returns to its initial value before this step of a sample."""
        return bool(self.reset_interval) and step % self.reset_interval == self.reset_phase

    def problems(self) -> list[str]:
        """Everything that no chip would accept, in words."""
        if len(self.shape) not in (1, 3) or min(self.shape, default=0) < 1:
            return [f"{self.name}: shape must be (C, H, W) or (F,), got {self.shape}"]
        if self.n_neurons > reg.NEURONS_MAX:
            return [f"{self.name}: {self.n_neurons} neurons, at most {reg.NEURONS_MAX} are allowed"]
        found = [p for name, limits in self.ARRAYS.items() for p in self._array(name, *limits)]
        for name, (low, high) in self.SCALARS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                found.append(f"{self.name}: {name} must lie in [{low}, {high}], got {value}")
        if not 0 <= self.reset_phase < max(self.reset_interval, 1):
            found.append(
                f"{self.name}: reset_phase must lie in [0, reset_interval), got "
                f"{self.reset_phase} of {self.reset_interval}"
            )
        return found

    def _array(self, name: str, low: int, high: int) -> list[str]:
        values = getattr(self, name)
        if not isinstance(values, np.ndarray) or values.dtype != np.int32:
            found = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            return [f"{self.name}: {name} must be int32, got {found}"]
        if values.shape not in (self.shape, self.shape[:1]):
            return [
                f"{self.name}: {name} must have shape {self.shape[:1]} or {self.shape}, "
                f"got {values.shape}"
            ]
        if values.min() < low or values.max() > high:
            return [
                f"{self.name}: {name} must lie in [{low}, {high}], "
                f"got [{values.min()}, {values.max()}]"
            ]
        return []

    def parameters(self) -> dict[str, Any]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _zeros(self) -> np.ndarray:
        return np.zeros(self.shape, np.int64)
