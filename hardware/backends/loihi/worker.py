"""The child process in which Lava talks to a board: ``python -m hardware.backends.loihi.worker``.

It does one of the runs of a plan (`hardware.backends.loihi.plan`), in as many starts as that has,
behind the same fence as the CPU simulation (`hardware.backends.lava.worker`): the closed driver may
hang, crash or print, and the owner still gets an answer or a reason. What came out is left in the
exchange folder: ``spikes-START-LAYER.npy`` of shape (steps, ...), ``result.json``.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from hardware.backends.lava.worker import FRAMES, NETWORK, REQUEST, Report, Watch, serve
from hardware.backends.loihi.availability import EXTENSION, extension_version
from hardware.backends.loihi.hosts import Host

RESULT = "result.json"
COMPILER = "lava.magma.compiler.subcompilers.nc.ncproc_compiler"
STAND_IN = "STAND_IN"  # modules that only stand in for the extension, in tests, say so by this
SERIES_MAX = 4096  # values of a profiler's series that are kept


def spikes_file(start: int, layer: int) -> str:
    """Name of the file with the spikes of a layer, by its place in the plan."""
    return f"spikes-{start}-{layer}.npy"


def use_host(host: Host) -> None:
    """Tell Lava where the board is, by its own API."""
    from lava.utils import loihi

    generation = loihi.ChipGeneration[host.generation]
    if host.kind == "ethernet":
        loihi.use_ethernet_host(host.address, host.binary, generation)
        return
    # Without names: Lava 0.10.0 fails on what sinfo prints when it looks for them (`hosts`), and
    # what it does with them once found is to set the variables below.
    loihi.use_slurm_host(loihi_gen=generation)
    os.environ.update(host.environment)


def run_on_board(directory: Path, report: Report, watch: Watch) -> None:
    """Do the run of the request in the directory."""
    from hardware.chip.storage import load_network

    request = json.loads((directory / REQUEST).read_text())
    # The compiler then prints its table of cores, which the owner finds in the log.
    importlib.import_module(COMPILER).CompilerOptions.verbose = True
    use_host(Host(**request["host"]))
    network = load_network(directory / NETWORK)
    frames = np.load(directory / FRAMES)
    run = request["run"]
    samples = frames.reshape(run["starts"], -1, *frames.shape[1:])
    result: dict[str, Any] = {"extension": _extension(), "probe": None, "membrane": []}
    for start, shown in enumerate(samples):
        _start(directory, network, shown, request, start=start, result=result, report=report)
    (directory / RESULT).write_text(json.dumps(result))


def _start(
    directory: Path,
    network: Any,
    frames: np.ndarray,
    request: dict[str, Any],
    *,
    start: int,
    result: dict[str, Any],
    report: Report,
) -> None:
    """One start of Lava on the board."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2HwCfg

    from hardware.backends.loihi.compile import END_MODELS, compile_network

    run = request["run"]
    profiler = _profiler(run["probe"])
    # What is sent while a profiler runs belongs to the load, but nobody looks at it.
    kept = request["period"] if profiler else run["steps"]
    graph = compile_network(
        network, frames, period=request["period"], read=run["read"], n_steps=kept
    )
    configuration = Loihi2HwCfg(
        exception_proc_model_map=END_MODELS, callback_fxs=[profiler] if profiler else []
    )
    report.send("running")
    membranes = []
    done = 0
    for pause in request["pauses"] if not profiler else ():
        graph.head.run(RunSteps(pause - done), configuration)
        membranes.append(np.asarray(graph.neurons[network.output.name].v.get()).T.ravel().tolist())
        done = pause
        report.send("sample")
    if run["steps"] > done:
        graph.head.run(RunSteps(run["steps"] - done), configuration)
    for index, name in enumerate(run["read"] if not profiler else ()):
        values = np.asarray(graph.sinks[name].data.get()).T
        np.save(directory / spikes_file(start, index), values.astype(np.int32))
    graph.head.stop()
    result["membrane"] += membranes
    if profiler:
        result["probe"] = _read(profiler, run["probe"]["fields"])
    if not request["pauses"]:
        report.send("sample")


def _profiler(probe: dict[str, Any] | None) -> Any:
    """The profiler of a plan."""
    if probe is None:
        return None
    module, _, name = probe["profiler"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**probe["arguments"])


def _read(profiler: Any, fields: dict[str, str]) -> dict[str, Any]:
    """What a profiler says, by attribute: mean, sum, number of values, and the values if few."""
    found = {}
    for name, unit in fields.items():
        if (value := getattr(profiler, name, None)) is None:
            continue
        series = np.asarray(value, float).ravel()
        if not series.size:
            continue
        found[name] = {
            "unit": unit,
            "mean": float(series.mean()),
            "sum": float(series.sum()),
            "values": len(series),
        }
        if 1 < series.size <= SERIES_MAX:
            found[name]["series"] = series.tolist()
    return found


def _extension() -> dict[str, Any]:
    """What ran: the version of the extension, and whether it is one at all."""
    modules = [importlib.import_module(name) for name in EXTENSION]
    return {
        "version": extension_version(),
        "stand_in": any(getattr(module, STAND_IN, False) for module in modules),
    }


if __name__ == "__main__":
    serve(run_on_board)
