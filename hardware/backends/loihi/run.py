"""A run on a Loihi 2 board: spikes of every layer, and what the profilers measure.

Each run of the plan has a supervised child process of its own (`hardware.backends.loihi.worker`),
so that a profiler that fails or hangs takes nothing else with it. Results are called ``measured``
only when an installed package of Intel's extension made them, see `tag_of`. This module does not
import Lava.

>>> result = run_on_board(network, spikes, request=BoardRequest(partition="oheogulch"))
>>> result.measurements["energy"]["total_power"]["mean"]
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hardware.backends.backend import (
    Backend,
    ChipRun,
    Probe,
    Progress,
    check_request,
    count_operations,
    every,
    read_out,
)
from hardware.backends.lava.backend import (
    LOG,
    exchange_folder,
    follow,
    worker_command,
    worker_process,
)
from hardware.backends.lava.leftovers import BOARD_WORKER_MODULE
from hardware.backends.lava.worker import FRAMES, NETWORK, REQUEST
from hardware.backends.loihi.availability import BoardAvailability, loihi_availability
from hardware.backends.loihi.hosts import BoardRequest, Host
from hardware.backends.loihi.plan import SLACK, Plan, plan_run
from hardware.backends.loihi.probes import (
    KINDS,
    LONG_RUN_STEPS,
    Kind,
    derived,
    energy_per_sample_mj,
)
from hardware.backends.loihi.stock import is_held_image, refusals
from hardware.backends.loihi.worker import RESULT, spikes_file
from hardware.chip.network import INPUT, ChipNetwork
from hardware.chip.registers import BIAS_MANTISSA_MAX
from hardware.chip.storage import save_network
from hardware.errors import BackendRunError, BackendUnavailableError, UnsupportedNetworkError

CORES = re.compile(r"\|\s*Total\s*\|\s*(\d+)\s*\|")  # of the table in lava-dl's notebooks
LOG_MAX = 20_000  # characters that are kept
Tag = Literal["measured", "stand-in"]
TIMEOUT_S = 600.0
ADVICE = (
    "run fewer samples, or look with sinfo whether the board is in use; large convolution inputs "
    "were reported to run for ever (lava-nc/lava#826)"
)


@dataclass(frozen=True, kw_only=True)
class BoardRun:
    """What a board gave.

    Parameters
    ----------
    tag : {"measured", "stand-in"}
        Whether a chip made it; see `tag_of`.
    run : ChipRun
        Spikes of every layer, read without adding steps for the adapters.
    later : tuple of mapping of (population, variable) to ndarray
        The spikes as they are when everything is read 1, 2, ... steps later.
    measurements : dict of kind to dict
        Of each profiler: its values, or ``{"failed": reason}``.
    plan : Plan
    extension : dict
        Version, and whether it is a stand-in.
    cores : int or None
        What the compiler says that it used, where its table is found in the log.
    log : str
        What the compiler and the driver printed in the run for the spikes.
    """

    tag: Tag
    run: ChipRun
    later: tuple[Mapping[tuple[str, str], np.ndarray], ...]
    measurements: Mapping[str, Mapping[str, Any]]
    plan: Plan
    extension: Mapping[str, Any]
    cores: int | None
    log: str


class LoihiBackend(Backend):
    """Runs a ChipNetwork on a Loihi 2 board, without profilers.

    Parameters
    ----------
    request : BoardRequest, optional
    timeout_s : float
        Limit for each run of the plan, in seconds.
    """

    name = "loihi"

    def __init__(
        self, *, request: BoardRequest | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.request = request or BoardRequest()
        self.timeout_s = timeout_s

    def is_available(self) -> BoardAvailability:
        """Which of the three states this machine is in."""
        return loihi_availability(self.request)

    def check(self, network: ChipNetwork) -> None:
        """Refuse what Lava's models for the chip cannot do, by layer."""
        _refuse(refusals(network))

    def _run(
        self,
        network: ChipNetwork,
        spikes: np.ndarray,
        probes: tuple[Probe, ...],
        progress: Progress | None,
    ) -> ChipRun:
        """Spikes of every layer can be probed, states cannot."""
        if states := [f"{name}.{variable}" for name, variable in probes if variable != "spikes"]:
            raise UnsupportedNetworkError(
                f"a board gives the spikes of layers, not {', '.join(states)}; probe states on "
                "the simulator"
            )
        result = run_on_board(
            network,
            spikes,
            request=self.request,
            measure=(),
            timeout_s=self.timeout_s,
            progress=progress,
        )
        return result.run


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise UnsupportedNetworkError(
            "a Loihi 2 with Lava's own models cannot run this network; use the simulator, or "
            "another network:\n  " + "\n  ".join(problems)
        )


def run_on_board(
    network: ChipNetwork,
    spikes: np.ndarray,
    *,
    request: BoardRequest | None = None,
    measure: Sequence[Kind] = KINDS,
    long_run_steps: int = LONG_RUN_STEPS,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> BoardRun:
    """Run samples on a board, read every layer, and measure.

    Parameters
    ----------
    network : ChipNetwork
    spikes : ndarray of integers, shape (N, T, ...)
    request : BoardRequest, optional
    measure : sequence of str
        Which profilers run, each in a run of its own, see `hardware.backends.loihi.probes`.
    long_run_steps : int
        Least steps of a measuring run; the samples are repeated.
    timeout_s : float
        Limit for each run, in seconds.
    progress : callable, optional
        Called with the number of runs of the plan finished since the last call.

    Raises
    ------
    UnsupportedNetworkError
        With all that Lava's models for the chip lack, by layer.
    BackendUnavailableError
        With the state of this machine and what to do next.
    BackendRunError
        When the run for the spikes fails; a profiler that fails is only told of.
    """
    started = time.monotonic()
    check_request(network, spikes, ())
    n_samples, n_steps = spikes.shape[:2]
    plan = plan_run(
        network,
        n_samples=n_samples,
        n_steps=n_steps,
        measure=measure,
        long_run_steps=long_run_steps,
    )
    _refuse([*plan.refused, *_image_problems(network, spikes)])
    availability = loihi_availability(request)
    if not availability or availability.host is None:
        raise BackendUnavailableError(str(availability))
    host = availability.host
    raw, result = _one_run(network, spikes, plan, 0, host, timeout_s)
    if progress:
        progress(1)
    readings = [_samples(network, plan, raw, result, later=k) for k in range(SLACK + 1)]
    measurements: dict[str, dict[str, Any]] = {}
    for index, kind in enumerate(measure, start=1):
        try:
            _, measured = _one_run(network, spikes, plan, index, host, timeout_s)
            values = measured["probe"]
            measurements[kind] = values | derived(kind, values, plan.period)
        except BackendRunError as error:
            measurements[kind] = {"failed": str(error).splitlines()[0]}
        if progress:
            progress(1)
    _add_energy(measurements)
    emitted = {name: readings[0][name, "spikes"] for name, _ in every(network, "spikes")}
    counts, synops, macs = count_operations(network, {INPUT: spikes, **emitted})
    return BoardRun(
        tag=tag_of(result["extension"]),
        run=ChipRun(
            output=read_out(network, readings[0]),
            spikes=counts,
            synops=synops,
            macs=macs,
            traces=readings[0],
            wall_s=time.monotonic() - started,
            backend=LoihiBackend.name,
            versions={"lava-loihi": result["extension"]["version"] or "unknown"},
            processes=tuple(dict.fromkeys(p["process"] for p in plan.processes)),
        ),
        later=tuple(readings[1:]),
        measurements=measurements,
        plan=replace(plan, host=host),
        extension=result["extension"],
        cores=compiled_cores(result["log"]),
        log=result["log"],
    )


def tag_of(extension: Mapping[str, Any]) -> Tag:
    """``measured`` when an installed package of the extension made it and none that stands in."""
    return "measured" if extension["version"] and not extension["stand_in"] else "stand-in"


def compiled_cores(log: str) -> int | None:
    """Cores by the compiler's own table: the last total that it printed."""
    totals = CORES.findall(log)
    return int(totals[-1]) if totals else None


def _image_problems(network: ChipNetwork, spikes: np.ndarray) -> list[str]:
    """An input that is written into the bias must hold still and fit."""
    if not is_held_image(network):
        return []
    problems = []
    if (spikes != spikes[:, :1]).any():
        problems.append("input: it changes within a sample, but is written into the bias once")
    first = network.populations[0]
    bias = np.abs(first.per_neuron("bias_mant") + spikes[:, 0].astype(np.int64)).max()
    if bias > BIAS_MANTISSA_MAX:
        problems.append(f"input: with it the bias is {bias}, at most {BIAS_MANTISSA_MAX} fits")
    return problems


def _one_run(
    network: ChipNetwork, spikes: np.ndarray, plan: Plan, index: int, host: Host, timeout_s: float
) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """One run of the plan in a child: spikes of each start by layer, and what else it says."""
    run = plan.runs[index]
    used = run["starts"] * run["samples"]
    with exchange_folder() as folder:
        save_network(network, folder / NETWORK)
        np.save(folder / FRAMES, _frames(spikes[:used], plan.period))
        request = {"host": asdict(host), "run": run, "period": plan.period}
        request["pauses"] = _pauses(network, plan, run)
        (folder / REQUEST).write_text(json.dumps(request))
        command = worker_command(BOARD_WORKER_MODULE, folder)
        with worker_process(command, folder) as worker:
            follow(
                worker,
                folder=folder,
                n_samples=used,
                deadline=time.monotonic() + timeout_s,
                limit_s=timeout_s,
                progress=None,
                advice=ADVICE,
            )
        result = json.loads((folder / RESULT).read_text())
        result["log"] = (folder / LOG).read_text(errors="replace")[-LOG_MAX:]
        return _read(folder, run), result


def _frames(spikes: np.ndarray, period: int) -> np.ndarray:
    """All frames back to back, silent between samples: int32 (N * period, ...)."""
    silence = [(0, 0)] * spikes.ndim
    silence[1] = (0, period - spikes.shape[1])
    padded = np.pad(spikes.astype(np.int32), silence)
    return padded.reshape(-1, *spikes.shape[2:])


def _pauses(network: ChipNetwork, plan: Plan, run: Mapping[str, Any]) -> list[int]:
    """Steps after which the membrane that answers is read."""
    if network.readout != "membrane":
        return []
    end = plan.n_steps + network.depth[network.output.name]
    return [end + sample * plan.period for sample in range(run["samples"])]


def _read(folder: Path, run: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """Spikes of each start by layer; none of a measuring run."""
    if run["probe"]:
        return []
    return [
        {
            name: np.load(folder / spikes_file(start, place))
            for place, name in enumerate(run["read"])
        }
        for start in range(run["starts"])
    ]


def _samples(
    network: ChipNetwork,
    plan: Plan,
    raw: Sequence[Mapping[str, np.ndarray]],
    result: Mapping[str, Any],
    *,
    later: int,
) -> dict[tuple[str, str], np.ndarray]:
    """Traces of shape (N, T, ...), each layer read when its own samples pass, or some steps later.

    A sink keeps step ``t`` (from 1) at ``t - 1``; a layer's first step is at its depth.
    """
    samples = plan.runs[0]["samples"]
    traces = {}
    for name in raw[0]:
        first = network.depth[name] + later
        steps = (first + np.arange(samples)[:, None] * plan.period) + np.arange(plan.n_steps)
        traces[name, "spikes"] = np.concatenate([start[name][steps] for start in raw])
    if network.readout == "membrane":
        output = network.output
        v = np.asarray(result["membrane"], np.int64).reshape(-1, 1, *output.shape)
        traces[output.name, "v"] = v  # of the last step only
    return traces


def _add_energy(measurements: dict[str, dict[str, Any]]) -> None:
    """Energy of a sample from the power of one run and the time of another, as Intel does."""
    step = measurements.get("time", {}).get("time_per_sample_us")
    energy = measurements.get("energy", {})
    total, static = (energy.get(n, {}).get("mean") for n in ("total_power", "static_total_power"))
    if not step or total is None:
        return
    energy["energy_per_sample_mj"] = {"total": energy_per_sample_mj(total, step)}
    if static is not None:
        energy["energy_per_sample_mj"] |= {
            "static": energy_per_sample_mj(static, step),
            "dynamic": energy_per_sample_mj(total - static, step),
        }
