"""The integer simulator: fast, and equal to the specification bit for bit.

A network is walked layer by layer: synapses send all messages of a population, for all steps,
before the next population runs all its steps; only populations in a recurrent loop are stepped
together. Samples are taken in chunks whose rows stay near the processor. Everything that depends
on the network alone is prepared once (`Plan`) and kept as long as the network lives.

>>> run = Simulator().run(network, spikes)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from hardware.backends.backend import (
    Availability,
    Backend,
    ChipRun,
    Probe,
    Progress,
    Timing,
    check_timing,
)
from hardware.backends.reference import Walk
from hardware.backends.simulator.chunk import Chunk
from hardware.backends.simulator.plan import Plan, plan_for
from hardware.chip.network import ChipNetwork

CHUNK_BYTES = 4 << 20  # rows of a chunk of samples: about what a core's second-level cache holds


class Simulator(Backend):
    """Runs a ChipNetwork exactly.

    Parameters
    ----------
    timing : {"layerwise", "pipelined"}
        See `hardware.backends.backend.Timing`.
    strict : bool
        Raise `ArithmeticFaultError` where the chip would wrap, saturate or cut a value. Kernels
        only notice that something may have happened in a sample; the specification then runs
        that sample again and names the neuron.
    batch : int, optional
        Samples to run at the same time; by default as many as fit `CHUNK_BYTES`, at least one.
    threads : int
        Chunks to run at the same time. On small batches, waking a thread costs more than it saves.
    """

    name = "simulator"

    def __init__(
        self,
        *,
        timing: Timing = "layerwise",
        strict: bool = False,
        batch: int | None = None,
        threads: int = 1,
    ) -> None:
        self.timing: Timing = timing
        self.strict = strict
        self.batch = batch
        self.threads = threads

    def is_available(self) -> Availability:
        """Always: it needs numpy and numba only."""
        return Availability("available", f"numba {numba.__version__}")

    def check(self, network: ChipNetwork) -> None:
        """Refuse loops that are too short for the chip's own time."""
        check_timing(network, self.timing)

    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        started = time.perf_counter()
        plan = plan_for(network, self.timing)
        size = self.batch or max(1, CHUNK_BYTES // plan.sample_bytes(spikes.shape[1]))
        results = Results(plan, spikes, probes)

        def run_chunk(first: int) -> int:
            part = slice(first, first + size)
            chunk = Chunk(plan, spikes[part], probes, strict=self.strict)
            chunk.run()
            results.keep(part, chunk)
            for sample in np.flatnonzero(chunk.faults) + first if self.strict else ():
                walk = Walk(network, self.timing, strict=True, sample=int(sample))
                walk.run(spikes[sample], set())
            return len(chunk.faults)

        for finished in _map(run_chunk, range(0, len(spikes), size), self.threads):
            if progress:
                progress(finished)
        return ChipRun(
            output=results.output,
            spikes=results.spikes,
            synops=results.synops,
            macs=results.macs,
            traces=results.traces,
            wall_s=time.perf_counter() - started,
            backend=self.name,
            versions={"numba": numba.__version__, "numpy": np.__version__},
        )


class Results:
    """What is kept of all samples, filled chunk by chunk."""

    def __init__(self, plan: Plan, spikes: np.ndarray, probes: tuple[tuple[str, str], ...]) -> None:
        samples, steps = spikes.shape[:2]
        self.plan = plan
        self.output = np.empty((samples, plan.output.n_neurons), np.int64)
        self.spikes = {name: np.empty(samples, np.int64) for name in plan.layouts}
        self.synops = {name: np.empty(samples, np.int64) for name in plan.populations}
        self.macs = {name: np.empty(samples, np.int64) for name in plan.populations}
        self.traces: dict[tuple[str, str], np.ndarray] = {
            (name, variable): np.empty(
                (samples, steps, *plan.layouts[name].shape), plan.dtype(name, variable)
            )
            for name, variable in probes
        }

    def keep(self, part: slice, chunk: Chunk) -> None:
        """Copy the results of a chunk to where its samples belong."""
        self.output[part] = chunk.output
        for name, counts in chunk.spikes.items():
            self.spikes[name][part] = counts
        for name, counts in chunk.synops.items():
            self.synops[name][part] = counts
            self.macs[name][part] = chunk.macs[name]
        for (name, variable), rows in chunk.traces.items():
            self.traces[name, variable][part] = self.plan.layouts[name].unpack(rows)


def _map(run: Callable[[int], int], starts: Iterable[int], threads: int) -> Iterator[int]:
    if threads == 1:
        yield from map(run, starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(run, starts)
