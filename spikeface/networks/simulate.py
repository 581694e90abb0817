"""``spikeface simulate``: any network on any input, what every layer did, and what it answered.

>>> section = simulate(Request(Path("network.net"), "random:0.05"), backend="simulator")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hardware.analysis.metrics import input_spikes, layer_activity
from hardware.backends.backend import Backend, ChipRun, every
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.loihi.hosts import BoardRequest
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from snn.files import replacing
from spikeface.errors import ConfigError, OutputError
from spikeface.networks.board import board_plan, measure
from spikeface.networks.request import Request
from spikeface.progress import progress_bar


def simulate(
    request: Request,
    *,
    backend: str = "simulator",
    strict: bool = False,
    save: Path | None = None,
    timeout_s: float = 300,
    board: BoardRequest | None = None,
) -> dict[str, Any]:
    """Run a network and count.

    Parameters
    ----------
    request : Request
    backend : {"simulator", "reference", "lava", "loihi"}
        On a board the section has one more, ``loihi``: what was measured and how it compares.
    strict : bool
        Stop where a chip would wrap, saturate or cut a value; not on Lava or a board.
    save : Path, optional
        A new ``.npz`` for ``input``, ``output`` and the messages of every layer, ``spikes:NAME``.
    timeout_s : float
        Limit for Lava, in seconds; on a board for each run of its plan.
    board : BoardRequest, optional
        Which board.

    Raises
    ------
    OutputError
        When the file exists already or cannot be written.
    ArithmeticFaultError
        In strict mode, naming layer and neuron.
    """
    if save and save.exists():
        raise OutputError(f"{save}: exists already; choose another --save")
    if save and not save.parent.is_dir():
        raise OutputError(f"{save}: there is no folder {save.parent}")
    if strict and backend == "lava":
        raise ConfigError("--strict: Lava does not look; run it on the simulator, which is equal")
    if strict and backend == "loihi":
        raise ConfigError("--strict: a board does not look; run it on the simulator first")
    opened, spikes = request.load()
    network = opened.chip
    probes = every(network, "spikes") if save else ()
    on_board: dict[str, Any] = {}
    if backend == "loihi":
        run, measured = measure(network, spikes, request=board, timeout_s=timeout_s)
        on_board = {"loihi": measured, "tag": measured["tag"]}
    else:
        with progress_bar(len(spikes), backend, "sample") as advance:
            run = _backend(backend, strict, timeout_s).run(
                network, spikes, probes=probes, progress=advance
            )
    if save:
        _save(save, spikes, run)
    n_steps = spikes.shape[1]
    return {
        "tag": "simulated",
        "per": "sample",
        **request.as_dict(),
        "assumptions": list(opened.assumptions),
        "backend": run.backend,
        "samples": len(spikes),
        "n_steps": n_steps,
        "host_seconds": run.wall_s,
        "input_spikes": input_spikes(run),
        "graded": [p.name for p in network.populations if p.GRADED],
        "layers": [layer.as_dict() for layer in layer_activity(network, run, n_steps)],
        "readout": network.readout,
        "output": run.output.tolist(),
        "answers": run.prediction.tolist(),
        **on_board,
    }


def plan_on_board(request: Request, *, board: BoardRequest | None = None) -> dict[str, Any]:
    """What `simulate` would do on a board, without one: see `board_plan`."""
    opened, spikes = request.load()
    plan = board_plan(opened.chip, n_samples=len(spikes), n_steps=spikes.shape[1], request=board)
    return request.as_dict() | plan


def _backend(name: str, strict: bool, timeout_s: float) -> Backend:
    if name == "lava":
        return LavaBackend(timeout_s=timeout_s)
    return (Simulator if name == "simulator" else Reference)(strict=strict)


def _save(path: Path, spikes: np.ndarray, run: ChipRun) -> None:
    arrays = {f"{variable}:{name}": trace for (name, variable), trace in run.traces.items()}
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, input=spikes, output=run.output, **arrays)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
