"""A run that is watched step by step, in parts small enough that nobody keeps all messages.

NeuroBench (2.3) looks at a network call by call, one call of a layer a step:

- *Membrane updates* are the neurons whose potential differs from that after the step before, and in
  the first step all of them.
- A call is made of ACs if all its inputs are -1, 0 or 1, and of MACs otherwise. Its inputs are what
  meets the weights: sources that add up count once, in the sum. Here a call is one sample in one
  step; in NeuroBench it is a whole batch, so one value makes MACs of its neighbours' spikes.

>>> seen = observe(network, spikes)
>>> seen.over_time["conv1"]  # mean spikes of each step
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hardware.backends.backend import Backend, ChipRun, Progress, every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Weighted

PART_BYTES = 1 << 27  # traces that are held at the same time
MEMBRANE_BYTES = 1 << 30  # of one sample; larger membranes are not watched
STATE_BYTES = 8  # of a traced state


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A run and what happened in its steps.

    Parameters
    ----------
    run : ChipRun
        Of all samples, without traces.
    n_steps : int
    over_time : dict of str to ndarray of float64, shape (T,)
        Messages of each population and of the ``"input"`` in every step, mean of the samples.
    membrane_updates : dict of str to float
        Per sample, of the populations of leaky integrate-and-fire neurons; empty where their
        membranes were too large to watch.
    acs_by_call, macs_by_call : dict of str to float
        Effective operations into each population per sample, told apart call by call.
    """

    run: ChipRun
    n_steps: int
    over_time: Mapping[str, np.ndarray]
    membrane_updates: Mapping[str, float]
    acs_by_call: Mapping[str, float]
    macs_by_call: Mapping[str, float]


def observe(
    network: ChipNetwork,
    spikes: np.ndarray,
    *,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> Observed:
    """Run all samples and keep sums of what every step did.

    Parameters
    ----------
    network : ChipNetwork
    spikes : ndarray of integers, shape (N, T, ...)
    backend : Backend, optional
        The simulator by default; it must keep layerwise time.
    progress : callable, optional
        Called with the number of samples finished since the last call.

    Raises
    ------
    HardwareError
        Those of the backend.
    """
    backend = backend or Simulator()
    watched = _watched(network, spikes.shape[1])
    probes = (*every(network, "spikes"), *((name, "v") for name in watched))
    size = max(1, PART_BYTES // _sample_bytes(network, watched, spikes.shape[1]))
    sums, runs = _Sums(network, watched, spikes.shape[1]), []
    for first in range(0, max(len(spikes), 1), size):  # no sample at all is the backend's to refuse
        part = spikes[first : first + size]
        run = backend.run(network, part, probes=probes, progress=progress)
        sums.add(part, run.traces)
        runs.append(run)
    return sums.observed(joined(runs), len(spikes))


def joined(runs: Iterable[ChipRun]) -> ChipRun:
    """Runs of one network one after the other as one, without traces."""
    runs = tuple(runs)

    def together(name: str) -> dict[str, np.ndarray]:
        return {
            key: np.concatenate([getattr(run, name)[key] for run in runs])
            for key in getattr(runs[0], name)
        }

    return ChipRun(
        output=np.concatenate([run.output for run in runs]),
        spikes=together("spikes"),
        synops=together("synops"),
        macs=together("macs"),
        traces={},
        wall_s=sum(run.wall_s for run in runs),
        backend=runs[0].backend,
        versions=runs[0].versions,
        processes=runs[0].processes,
    )


class _Sums:
    """Sums over samples, of one part after the other."""

    def __init__(self, network: ChipNetwork, watched: tuple[str, ...], n_steps: int) -> None:
        self.network, self.watched, self.n_steps = network, watched, n_steps
        names = [p.name for p in network.populations]
        self.over_time = {name: np.zeros(n_steps, np.int64) for name in (INPUT, *names)}
        self.updates = dict.fromkeys(watched, 0)
        self.acs, self.macs = dict.fromkeys(names, 0), dict.fromkeys(names, 0)

    def add(self, spikes: np.ndarray, traces: Mapping[tuple[str, str], np.ndarray]) -> None:
        messages = {INPUT: spikes} | {
            name: trace for (name, variable), trace in traces.items() if variable == "spikes"
        }
        for name, sent in messages.items():
            by_step = np.moveaxis(sent, 1, 0).reshape(self.n_steps, -1)
            self.over_time[name] += np.count_nonzero(by_step, axis=1)
        for name in self.watched:
            v = traces[name, "v"]
            self.updates[name] += v[:, 0].size + int(np.count_nonzero(v[:, 1:] != v[:, :-1]))
        for synapse, fan_out in zip(self.network.synapses, self.network.fan_out, strict=True):
            if isinstance(synapse, Weighted):
                for sample in range(len(spikes)):
                    self._add_calls(
                        synapse, fan_out, [messages[s][sample] for s in synapse.sources]
                    )

    def _add_calls(self, synapse: Weighted, fan_out: np.ndarray, sent: list[np.ndarray]) -> None:
        """The calls of one sample: messages of each source, shape (T, ...)."""
        summed = sent[0] if len(sent) == 1 else np.sum(sent, axis=0, dtype=np.int64)
        met = summed.reshape(self.n_steps, -1)
        if synapse.message_bits:
            met = synapse.read(met)
            multiply = (np.abs(met) > 1).any(axis=1)
        else:
            multiply = np.zeros(self.n_steps, bool)  # every message is read as one spike
        operations = (met != 0) @ fan_out.astype(np.float64)  # whole numbers far below 2**53
        self.macs[synapse.target] += int(operations[multiply].sum())
        self.acs[synapse.target] += int(operations[~multiply].sum())

    def observed(self, run: ChipRun, samples: int) -> Observed:
        """Everything per sample."""
        return Observed(
            run=run,
            n_steps=self.n_steps,
            over_time={name: total / samples for name, total in self.over_time.items()},
            membrane_updates={name: total / samples for name, total in self.updates.items()},
            acs_by_call={name: total / samples for name, total in self.acs.items()},
            macs_by_call={name: total / samples for name, total in self.macs.items()},
        )


def _watched(network: ChipNetwork, n_steps: int) -> tuple[str, ...]:
    """Populations whose membranes are looked at: all with one, or none where that is too much."""
    found = [p for p in network.populations if isinstance(p, Cuba)]
    size = STATE_BYTES * n_steps * sum(p.n_neurons for p in found)
    return tuple(p.name for p in found) if size <= MEMBRANE_BYTES else ()


def _sample_bytes(network: ChipNetwork, watched: tuple[str, ...], n_steps: int) -> int:
    messages = sum(p.n_neurons * (STATE_BYTES if p.GRADED else 1) for p in network.populations)
    return n_steps * (messages + STATE_BYTES * sum(network[name].n_neurons for name in watched))
