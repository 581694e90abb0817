"""A chunk of samples on its way through a planned network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hardware.backends.simulator.kernels import count_messages, scatter
from hardware.backends.simulator.plan import Plan, Stage
from hardware.backends.simulator.projections import WRAP_LIMIT, Projection
from hardware.backends.simulator.steppers import (
    CubaStepper,
    LevelStepper,
    SpecifiedStepper,
    Stepper,
)
from hardware.chip.network import INPUT
from hardware.chip.populations import Population
from hardware.chip.synaptic_input import shift, wrap_sum

Ports = Mapping[str, np.ndarray]


class Chunk:
    """Some samples, run together.

    Attributes
    ----------
    output : ndarray of int64, shape (N, F)
    spikes, synops, macs : dict of str to ndarray of int64, shape (N,)
    traces : dict of (str, str) to ndarray, shape (N, T, width)
    faults : ndarray of bool, shape (N,)
        Samples in which something may have overflowed; complete in strict mode only.
    """

    def __init__(
        self, plan: Plan, frames: np.ndarray, probes: tuple[tuple[str, str], ...], *, strict: bool
    ) -> None:
        self.plan = plan
        self.strict = strict
        self.probes = probes
        self.samples, self.steps = frames.shape[:2]
        self.messages = {INPUT: _input_rows(plan, frames)}
        self.spikes: dict[str, np.ndarray] = {}
        self.synops = {name: np.zeros(self.samples, np.int64) for name in plan.populations}
        self.macs = {name: np.zeros(self.samples, np.int64) for name in plan.populations}
        self.traces: dict[tuple[str, str], np.ndarray] = {}
        self.faults = np.zeros(self.samples, bool)
        self._count(INPUT)

    def run(self) -> None:
        """All stages; messages are let go after the last stage that reads them."""
        for stage in self.plan.stages:
            self._run_stage(stage)
            for name in stage.finished:
                del self.messages[name]

    def _run_stage(self, stage: Stage) -> None:
        steppers = {p.name: self._stepper(p) for p in stage.populations}
        for projection in stage.before:
            self._project(projection, steppers[projection.target].inputs, 0, self.steps)
        if not stage.between:
            for stepper in steppers.values():
                stepper.run(0, self.steps)
        else:
            self._step_together(stage, steppers)
        for name, stepper in steppers.items():
            self._keep(name, stepper)
        if self.strict:
            for projection in (*stage.before, *stage.between):
                self._check(projection)

    def _step_together(self, stage: Stage, steppers: dict[str, Stepper]) -> None:
        for name, stepper in steppers.items():
            self.messages[name] = stepper.messages
        for step in range(self.steps):
            for name, stepper in steppers.items():
                for projection in stage.between:
                    if projection.target == name:
                        self._project(projection, stepper.inputs, step, 1)
                stepper.run(step, step + 1)

    def _stepper(self, population: Population) -> Stepper:
        plan, name = self.plan, population.name
        layout = plan.layouts[name]
        size = self.samples, self.steps, layout.width
        inputs: Ports = {port: np.zeros(size, dtype) for port, dtype in plan.ports[name].items()}
        resets = np.zeros(self.steps, bool)
        resets[0] = True
        if population.reset_interval:
            start = plan.local_start[name]
            resets |= [population.resets_at(step - start) for step in range(self.steps)]
        probes = {variable for p, variable in self.probes if p == name and variable != "spikes"}
        if name == plan.output.name and plan.readout == "membrane":
            probes.add("v")
        common = population, layout, resets, inputs, probes
        if plan.fits_kernel(name, self.steps):
            return CubaStepper(*common, plan.cuba_tables[name])  # type: ignore[arg-type]
        if name in plan.level_tables:
            return LevelStepper(*common, plan.level_tables[name])  # type: ignore[arg-type]
        return SpecifiedStepper(*common)

    def _project(self, projection: Projection, inputs: Ports, first: int, steps: int) -> None:
        """Add what arrives in the steps from ``first``."""
        into = inputs[projection.port]
        skipped = max(projection.shift - first, 0)
        first, steps = first + skipped, steps - skipped
        if steps <= 0:
            return
        messages, start = self._summed(projection, first - projection.shift, steps)
        if projection.is_plain_for(into):
            _scatter(messages, start, into, first, steps, projection)
            return
        arriving = self._weighted(projection, messages, start, steps)
        if projection.wraps:
            arriving = wrap_sum(arriving)
        reached = into[:, first : first + steps]
        np.add(reached, arriving.astype(into.dtype), out=reached)

    def _weighted(
        self, projection: Projection, messages: np.ndarray, start: int, steps: int
    ) -> np.ndarray:
        """What a projection makes of its messages, before a convolution's wrap."""
        source = self.plan.layouts[projection.sources[0][0]]
        target = self.plan.layouts[projection.target]
        size = (self.samples, steps, target.width)
        if projection.runs is None:
            rows = np.zeros(size, messages.dtype)
            part = messages[:, start : start + steps]
            rows[..., : target.size] = target.pack(source.unpack(part))
            return rows
        total = np.zeros(size, projection.runs.weight.dtype)
        _scatter(messages, start, total, 0, steps, projection)
        return shift(total, projection.exponent)

    def _summed(self, projection: Projection, first: int, steps: int) -> tuple[np.ndarray, int]:
        """Messages that meet the weights from step ``first``, and where these steps begin."""
        (name, waits), *others = projection.sources
        if not others:
            return self.messages[name], first
        parts = [(self.messages[name], waits) for name, waits in projection.sources]
        graded = any(m.dtype == np.int64 for m, _ in parts) or len(parts) > 255
        total = np.zeros(
            (self.samples, steps, parts[0][0].shape[-1]), np.int64 if graded else np.uint8
        )
        for messages, waits in parts:
            skipped = min(max(waits - first, 0), steps)
            late = messages[:, first + skipped - waits : first + steps - waits]
            np.add(total[:, skipped:], late, out=total[:, skipped:])
        return total, 0

    def _check(self, projection: Projection) -> None:
        """Look for payloads and sums that do not fit, also in steps whose input comes too late."""
        if not projection.limit and not projection.wraps:
            return
        messages, _ = self._summed(projection, 0, self.steps)
        over = np.zeros(self.samples, bool)
        if projection.limit:
            over |= (np.abs(messages.astype(np.int64)) >= projection.limit).any(axis=(1, 2))
        if projection.wraps:
            total = self._weighted(projection, messages, 0, self.steps)
            over |= ((total < -WRAP_LIMIT) | (total >= WRAP_LIMIT)).any(axis=(1, 2))
        self.faults |= over

    def _keep(self, name: str, stepper: Stepper) -> None:
        self.messages[name] = stepper.messages
        self.faults |= stepper.faults
        self._count(name)
        kept = {"spikes": stepper.messages, **stepper.traces}
        self.traces |= {(p, variable): kept[variable] for p, variable in self.probes if p == name}
        if name == self.plan.output.name:
            layout = self.plan.layouts[name]
            if self.plan.readout == "membrane":
                last = stepper.traces["v"][:, -1]
                self.output = layout.unpack(last).reshape(self.samples, -1)
            else:
                total = stepper.messages.sum(axis=1, dtype=np.int64)
                self.output = layout.unpack(total).reshape(self.samples, -1)

    def _count(self, name: str) -> None:
        counts = count_messages(self.messages[name]).astype(np.float64)
        self.spikes[name] = counts.sum(axis=1).astype(np.int64)
        for target, fan_out, multiplies in self.plan.fan_out[name]:
            operations = (counts @ fan_out).astype(np.int64)
            self.synops[target] += operations
            if multiplies:
                self.macs[target] += operations


def _input_rows(plan: Plan, frames: np.ndarray) -> np.ndarray:
    """The input as a row per step, contiguous and writeable as the kernels want it."""
    layout = plan.layouts[INPUT]
    dtype = np.int64 if plan.input_bits else np.uint8
    rows = layout.pack(frames)
    if rows.shape[-1] != layout.width:
        padded = np.zeros((*rows.shape[:-1], layout.width), dtype)
        padded[..., : layout.size] = rows
        return padded
    if rows.dtype == bool:
        rows = rows.view(np.uint8)
    return np.require(rows, dtype, ["C", "W"])


def _scatter(
    messages: np.ndarray,
    start: int,
    into: np.ndarray,
    first: int,
    steps: int,
    projection: Projection,
) -> None:
    assert projection.runs is not None
    scatter(messages, start, into, first, steps, projection.as_spikes, projection.runs)
