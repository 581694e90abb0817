"""A network on a Loihi 2 board: the plan of a run, and the run beside the simulator's.

Whether a chip computes what Lava's model of it computes is not known, so a run on a board is always
compared with ours, layer by layer, and the first difference is named.

>>> board_plan(load_network(path), n_samples=8, n_steps=10)["runs"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware.analysis.fit import fit_network
from hardware.analysis.parity import first_divergence
from hardware.backends.backend import ChipRun, every
from hardware.backends.loihi.availability import loihi_availability
from hardware.backends.loihi.hosts import BoardRequest, intended_host
from hardware.backends.loihi.plan import plan_run
from hardware.backends.loihi.probes import KINDS, LONG_RUN_STEPS
from hardware.backends.loihi.run import BoardRun, run_on_board
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from spikeface.progress import progress_bar


@dataclass(frozen=True)
class Reading:
    """Spikes of a run, as `first_divergence` takes them."""

    backend: str
    traces: Mapping[tuple[str, str], np.ndarray]


def board_plan(
    network: ChipNetwork, *, n_samples: int, n_steps: int, request: BoardRequest | None = None
) -> dict[str, Any]:
    """What ``--on loihi`` would do: needs neither Lava nor a board.

    Returns
    -------
    dict
        That of `hardware.backends.loihi.plan.Plan`, and under ``board`` the state of this machine
        and what to do next.
    """
    request = request or BoardRequest()
    availability = loihi_availability(request)
    fit = fit_network(network).as_dict()
    plan = plan_run(
        network,
        n_samples=n_samples,
        n_steps=n_steps,
        host=availability.host or intended_host(request),
        cores={row["layer"]: row["cores"] for row in fit["layers"]},
    )
    return plan.as_dict() | {
        "board": {
            "state": availability.state,
            "reason": availability.reason,
            "next": availability.next_step,
        },
        "cores": {"tag": "estimated", "value": fit["cores"], "chips": fit["chips"]},
    }


def measure(
    network: ChipNetwork,
    spikes: np.ndarray,
    *,
    request: BoardRequest | None = None,
    timeout_s: float,
    long_run_steps: int = LONG_RUN_STEPS,
) -> tuple[ChipRun, dict[str, Any]]:
    """Run on a board, measure, and compare with the simulator.

    Parameters
    ----------
    network : ChipNetwork
    spikes : ndarray of integers, shape (N, T, ...)
    request : BoardRequest, optional
    timeout_s : float
        Limit for each run of the plan, in seconds.
    long_run_steps : int
        Least steps of a measuring run.

    Returns
    -------
    run : ChipRun
    section : dict
        ``tag`` is ``measured`` only when a chip did it.

    Raises
    ------
    BackendUnavailableError, UnsupportedNetworkError, BackendRunError
    """
    with progress_bar(1 + len(KINDS), "Loihi 2", "run") as advance:
        result = run_on_board(
            network,
            spikes,
            request=request,
            timeout_s=timeout_s,
            long_run_steps=long_run_steps,
            progress=advance,
        )
    expected = Simulator().run(network, spikes, probes=every(network, "spikes"))
    plan = result.plan
    return result.run, {
        "tag": result.tag,
        "samples": len(spikes),
        "n_steps": plan.n_steps,
        "period": plan.period,
        "host": plan.host.as_dict() if plan.host else None,
        "extension": dict(result.extension),
        "host_seconds": result.run.wall_s,
        "parity": _parity(network, expected, result),
        "same_answers": float((expected.prediction == result.run.prediction).mean()),
        "measurements": {kind: dict(values) for kind, values in result.measurements.items()},
        "cores": result.cores,
        "unverified": list(plan.unverified),
        "log": result.log,
    }


def _parity(network: ChipNetwork, expected: ChipRun, result: BoardRun) -> dict[str, Any]:
    """Where the board parts from the simulator, read as planned and some steps later."""
    readings = [Reading("loihi", traces) for traces in (result.run.traces, *result.later)]
    probes = every(network, "spikes")
    divergences = [
        first_divergence(network, expected, reading, probes=probes) for reading in readings
    ]
    later = next((k for k, found in enumerate(divergences) if found is None), None)
    first = divergences[0]
    if later == 0:
        statement = "every spike of every layer equals the simulator's"
    elif later:
        statement = (
            f"every spike equals the simulator's when all layers are read {later} step(s) later: "
            "the adapters add so many; as planned they do not"
        )
    else:
        statement = f"{first}"
    return {
        "tag": result.tag,
        "equal": later == 0,
        "steps_later": later,
        "statement": statement,
        "first_divergence": None if first is None else vars(first),
    }
