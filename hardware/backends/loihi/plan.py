"""What a run on a board would be, as plain data, without Lava and without a board.

Lava's synapses add a step each, so layer ``p`` sees step 1 of a sample ``depth[p]`` steps late and
its neurons are reset then: ``LIFReset`` clears at ``t mod interval = offset mod interval``, before
it integrates, ``t`` from 1, hence ``offset = depth + 1``. Samples follow each other every
``period`` steps, the next power of two: all published uses of ``LIFReset`` on a board have one, and
a user reports that no other works. In the steps between, the input is silent and nothing is read.

This module does not import Lava.

>>> plan_run(network, n_samples=8, n_steps=10).as_dict()["resets"]
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hardware.backends.lava.timing import route
from hardware.backends.loihi.hosts import Host
from hardware.backends.loihi.probes import KINDS, LONG_RUN_STEPS, PROBES, Kind
from hardware.backends.loihi.stock import is_held_image, refusals, unverified
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.populations import Cuba
from hardware.chip.synapses import Conv, Dense, Sparse, Weighted

CONV_ADAPTER = "lava.proc.embedded_io.spike.PyToN3ConvAdapter"
FLAT_ADAPTER = "lava.proc.embedded_io.spike.PyToNxAdapter"
READ_ADAPTER = "lava.proc.embedded_io.spike.NxToPyAdapter"
SOURCE = "lava.proc.io.source.RingBuffer"
SINK = "lava.proc.io.sink.RingBuffer"
RUN_CONFIGURATION = "lava.magma.core.run_configs.Loihi2HwCfg"
INPUT_BITS = 16  # what PyToN3ConvAdapter is given for graded input in Intel's tutorials
SLACK = 3
"""Steps that are read beyond the last: whether the adapters add steps is not known."""
NEUROCORES, HOST_COMPUTER = "neurocores", "host"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a run would do.

    Parameters
    ----------
    processes : tuple of dict
        ``name``, ``process`` (class), ``shape`` (Lava's, ``(W, H, C)``), ``runs_on``, ``layer``
        and, where they are known, ``cores``.
    adapters : tuple of dict
        ``adapter`` (class), ``shape``, ``arguments``, ``from``, ``to``.
    resets : tuple of dict
        ``layer``, ``interval``, ``offset``.
    runs : tuple of dict
        In their order: ``name``, ``starts``, ``steps`` of a start, ``read`` (layers), ``probe``.
    period : int
        Steps from sample to sample.
    fresh : bool
        Whether each sample has a start of its own.
    host : Host or None
    cores : int or None
        Estimated, of all layers.
    refused, unverified : tuple of str
        What makes the run impossible; what nobody could check yet.
    """

    processes: tuple[dict[str, Any], ...]
    adapters: tuple[dict[str, Any], ...]
    resets: tuple[dict[str, Any], ...]
    runs: tuple[dict[str, Any], ...]
    period: int
    n_steps: int
    n_samples: int
    fresh: bool
    host: Host | None = None
    cores: int | None = None
    refused: tuple[str, ...] = ()
    unverified: tuple[str, ...] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        """As plain values; nothing in it was measured."""
        return {
            "tag": "planned",
            "samples": self.n_samples,
            "n_steps": self.n_steps,
            "period": self.period,
            "fresh_start_per_sample": self.fresh,
            "cores": self.cores,
            "processes": list(self.processes),
            "adapters": list(self.adapters),
            "resets": list(self.resets),
            "runs": list(self.runs),
            "run_configuration": RUN_CONFIGURATION,
            "host": self.host.as_dict() if self.host else None,
            "environment": self.host.environment if self.host else {},
            "refused": list(self.refused),
            "unverified": list(self.unverified),
        }


def plan_run(
    network: ChipNetwork,
    *,
    n_samples: int,
    n_steps: int,
    host: Host | None = None,
    cores: Mapping[str, int] | None = None,
    measure: Sequence[Kind] = KINDS,
    long_run_steps: int = LONG_RUN_STEPS,
) -> Plan:
    """Plan a run; a network that a board cannot have gets a plan that says so.

    Parameters
    ----------
    network : ChipNetwork
    n_samples, n_steps : int
        Of the input.
    host : Host, optional
    cores : mapping of layer to int, optional
        Estimates, to be shown beside the layers.
    measure : sequence of str
        Kinds of `hardware.backends.loihi.probes.PROBES`.
    long_run_steps : int
        Least steps of a measuring run.
    """
    fresh = needs_fresh_start(network)
    period = 1 << (n_steps - 1).bit_length()
    return Plan(
        processes=tuple(_processes(network, cores or {})),
        adapters=tuple(_adapters(network)),
        resets=tuple(
            {"layer": p.name, "interval": period, "offset": reset_offset(network, p.name)}
            for p in network.populations
        ),
        runs=tuple(_runs(network, n_samples, period, fresh, measure, long_run_steps)),
        period=period,
        n_steps=n_steps,
        n_samples=n_samples,
        fresh=fresh,
        host=host,
        cores=sum(cores.values()) if cores else None,
        refused=tuple(refusals(network)),
        unverified=tuple(unverified(network)),
    )


def reset_offset(network: ChipNetwork, name: str) -> int:
    """Step, from 1, in which a layer sees the first step of the first sample."""
    return network.depth[name] + 1


def needs_fresh_start(network: ChipNetwork) -> bool:
    """Whether something of a sample outlives the resets: messages under way, or an image."""
    held = is_held_image(network)
    return held or any(
        synapse.delays[1] > 0 for synapse in network.synapses if isinstance(synapse, Weighted)
    )


def input_adapters(network: ChipNetwork) -> dict[str, tuple[int, ...]]:
    """Adapters that the input needs, each with its shape in Lava's order of axes."""
    takers = [s for s in network.synapses if INPUT in s.sources and isinstance(s, Weighted)]
    found: dict[str, tuple[int, ...]] = {}
    if any(isinstance(s, Conv) for s in takers):
        found[CONV_ADAPTER] = network.input_shape[::-1]
    if any(not isinstance(s, Conv) for s in takers):
        found[FLAT_ADAPTER] = (math.prod(network.input_shape),)
    return found


def adapter_arguments(network: ChipNetwork) -> dict[str, int]:
    """What an input adapter is told besides its shape: nothing for binary spikes."""
    return {"num_message_bits": INPUT_BITS} if network.input_bits else {}


def process_of(network: ChipNetwork, synapse: Weighted) -> str:
    """Class of the process that holds a synapse's weights."""
    if isinstance(synapse, Conv):
        return "lava.proc.conv.process.Conv"
    delayed = synapse.delays[1] > route(network, synapse).offset
    if isinstance(synapse, Dense):
        return f"lava.proc.dense.process.{'DelayDense' if delayed else 'Dense'}"
    assert isinstance(synapse, Sparse)
    return f"lava.proc.sparse.process.{'DelaySparse' if delayed else 'Sparse'}"


def _processes(network: ChipNetwork, cores: Mapping[str, int]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        _process(f"source {index}", SOURCE, shape, HOST_COMPUTER)
        for index, shape in enumerate(input_adapters(network).values())
    ]
    for population in network.populations:
        name = population.name
        shape = population.shape[::-1]
        for synapse in network.incoming(name):
            if isinstance(synapse, Weighted):
                found.append(
                    _process(synapse.edge, process_of(network, synapse), shape, NEUROCORES, name)
                )
        kind = "lava.proc.lif.process.LIFReset" if isinstance(population, Cuba) else "none"
        neurons = _process(name, kind, shape, NEUROCORES, name)
        if name in cores:
            neurons["cores"] = cores[name]
        found.append(neurons)
    found += [
        _process(f"sink of {p.name}", SINK, p.shape[::-1], HOST_COMPUTER, p.name)
        for p in network.populations
    ]
    return found


def _process(
    name: str, process: str, shape: tuple[int, ...], runs_on: str, layer: str | None = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "process": process, "shape": list(shape)}
    return entry | {"runs_on": runs_on, "layer": layer}


def _adapters(network: ChipNetwork) -> list[dict[str, Any]]:
    arguments = adapter_arguments(network)
    found = [
        {"adapter": adapter, "shape": list(shape), "arguments": arguments}
        | {"from": f"source {index}", "to": _first_taker(network, adapter)}
        for index, (adapter, shape) in enumerate(input_adapters(network).items())
    ]
    return found + [
        {"adapter": READ_ADAPTER, "shape": list(p.shape[::-1]), "arguments": {}}
        | {"from": p.name, "to": f"sink of {p.name}"}
        for p in network.populations
    ]


def _first_taker(network: ChipNetwork, adapter: str) -> str:
    takers = [
        synapse.edge
        for synapse in network.synapses
        if INPUT in synapse.sources
        and isinstance(synapse, Weighted)
        and isinstance(synapse, Conv) == (adapter == CONV_ADAPTER)
    ]
    return ", ".join(takers)


def _runs(
    network: ChipNetwork,
    n_samples: int,
    period: int,
    fresh: bool,
    measure: Sequence[Kind],
    long_run_steps: int,
) -> list[dict[str, Any]]:
    latency = max(network.depth.values())
    starts, samples = (n_samples, 1) if fresh else (1, n_samples)
    everything = [p.name for p in network.populations]
    found: list[dict[str, Any]] = [
        {
            "name": "spikes",
            "starts": starts,
            "samples": samples,
            "steps": samples * period + latency + SLACK,
            "read": everything,
            "probe": None,
        }
    ]
    # Samples are repeated until the run is long enough; only the answer is read, as in use.
    whole = samples * period
    steps = whole * max(1, -(-long_run_steps // whole))
    for kind in measure:
        found.append(
            {
                "name": kind,
                "starts": 1,
                "samples": samples,
                "steps": steps,
                "read": [network.output.name],
                "probe": PROBES[kind].as_dict(steps),
            }
        )
    return found
