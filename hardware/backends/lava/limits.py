"""What Lava's CPU models can run of a ChipNetwork, asked before anything is started.

This module does not import Lava.

>>> check_expressible(network)
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from hardware.backends.lava.timing import timing_problem
from hardware.chip.network import ChipNetwork
from hardware.chip.populations import Cuba, Population
from hardware.chip.synapses import Direct, Weighted
from hardware.errors import UnsupportedNetworkError

Precision = Literal["fixed_pt", "floating_pt"]


def is_plain(population: Population, ports: set[str]) -> bool:
    """Whether Lava's `LIFReset` is all that a population needs whose ``ports`` are driven."""
    return (
        isinstance(population, Cuba)
        and population.reset == "zero"
        and not population.refractory
        and not population.reset_interval
        and not np.any(population.v_init)
        and "bias" not in ports
    )


def check_expressible(network: ChipNetwork, precision: Precision = "fixed_pt") -> None:
    """Refuse what Lava would compute wrongly or not at all, all problems in one error."""
    problems = graph_problems(network)
    if precision == "floating_pt":
        problems += _floating_problems(network)
    if problems:
        raise UnsupportedNetworkError(
            "Lava cannot run this network; use the simulator:\n  " + "\n  ".join(problems)
        )


def graph_problems(network: ChipNetwork) -> list[str]:
    """Synapses that no graph of Lava's processes can have, in time or at all."""
    late = [
        f"{synapse.edge}: {problem}"
        for synapse in network.synapses
        if (problem := timing_problem(network, synapse))
    ]
    return late + _connection_problems(network)


def _connection_problems(network: ChipNetwork) -> list[str]:
    """Ports that would be connected twice, which Lava does not allow."""
    found = []
    for population in network.populations:
        direct = [
            (synapse.port, source)
            for synapse in network.incoming(population.name)
            if isinstance(synapse, Direct)
            for source in synapse.sources
        ]
        found += [
            f"{source} -> {population.name}: connected twice to port {port!r}, at most once is "
            "allowed"
            for port, source in sorted({end for end in direct if direct.count(end) > 1})
        ]
    return found + [
        f"{synapse.edge}: a source is named twice, at most once is allowed"
        for synapse in network.synapses
        if isinstance(synapse, Weighted) and len({*synapse.sources}) < len(synapse.sources)
    ]


def _floating_problems(network: ChipNetwork) -> list[str]:
    """Populations that are not plain CUBA."""
    found = []
    for population in network.populations:
        ports = {synapse.port for synapse in network.incoming(population.name)}
        if not is_plain(population, ports):
            found.append(
                f"{population.name}: Lava has floating-point models for CUBA neurons with reset to "
                "zero only, without rest, initial voltage, bias input or resets within a sample; "
                "use precision 'fixed_pt'"
            )
    return found
