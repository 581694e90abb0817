"""``spikeface report NETWORK``: a network file opened, run, fitted and priced, on one page.

    report.json  report.html  report.md  figures/    what came out
    environment.json  parity/                        where; hop by hop, with `compared`

>>> report_network(Request(Path("network.nir"), "random:0.05"), out=Path("runs/report-network"))
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hardware.analysis.fit import fit_network
from hardware.analysis.metrics import observe
from hardware.backends.backend import ChipRun, every
from hardware.backends.simulator.backend import Simulator
from hardware.chip.network import ChipNetwork
from snn.events.datasets import file_digest
from spikeface.environment import environment
from spikeface.networks.facts import chip_facts
from spikeface.networks.inputs import RANDOM
from spikeface.networks.opening import OpenedNetwork
from spikeface.networks.parity import parity
from spikeface.networks.request import Request
from spikeface.outputs import new_folder, refuse_used, write_json
from spikeface.pages.network import network_content
from spikeface.pages.writing import write_content
from spikeface.progress import progress_bar
from spikeface.runs import SCHEMA, RunFolder
from spikeface.steps.sections import activity_section, energy_section, metrics_section

FORMATS = {".nir": "NIR", ".h5": "NIR", ".net": "lava-dl .net", ".chip": "integers, .chip"}
ASSUMED_DT_US = 1000
RASTER_VALUES = 1 << 27  # of one sample; larger networks are not drawn


def report_network(
    request: Request,
    *,
    out: Path,
    compared: Sequence[str] = (),
    timeout_s: float = 300,
) -> dict[str, Any]:
    """Run a network, see whether it fits, what it costs, and write the page.

    Parameters
    ----------
    request : Request
        Of a network file.
    out : Path
        A new folder.
    compared : sequence of str
        Engines to compare message by message, see `spikeface.networks.parity.parity`.
    timeout_s : float
        Limit for Lava, in seconds.

    Returns
    -------
    dict
        The content of ``report.json``.

    Raises
    ------
    OutputError
        When the folder holds something or cannot be written.
    """
    refuse_used(out)
    opened, spikes = request.load()
    with progress_bar(len(spikes), "integer simulator", "sample") as advance:
        seen = observe(opened.chip, spikes, progress=advance)
    report = {
        "schema": SCHEMA,
        "task": "network",
        "name": request.network.stem,
        "network": _network_section(request, opened, spikes, seen.run),
        "chip": chip_facts(opened.chip, seen.n_steps),
        "spikes": activity_section(opened.chip, seen.run, seen.n_steps),
        "metrics": metrics_section(opened.chip, seen),
        "fit": fit_network(opened.chip).as_dict(),
        "energy": _energy(opened.chip, seen.run, seen.n_steps),
        "simulator": {"host_seconds": seen.run.wall_s, "versions": dict(seen.run.versions)},
    }
    if opened.losses:
        report["quantisation"] = {
            "layers": [loss.as_dict() for loss in opened.losses],
            "assumptions": list(opened.assumptions),
        }
    run = RunFolder(new_folder(out))
    if compared:
        report["hops"] = parity(
            request, out=out / "parity", backends=compared, timeout_s=timeout_s
        )["hops"]
    write_json(run.path / "environment.json", environment())
    write_json(run.report, report)
    content = network_content(
        report, _first_sample(opened.chip, spikes), commands=[["spikeface", *sys.argv[1:]]]
    )
    write_content(run, report, content, markdown=True)
    return run.read_report()


def _network_section(
    request: Request, opened: OpenedNetwork, spikes: np.ndarray, run: ChipRun
) -> dict[str, Any]:
    """What was opened and what it was shown."""
    path, source, network = request.network, request.source, opened.chip
    random = source.partition(":")[0] == RANDOM and not Path(source).exists()
    assumptions = list(opened.assumptions)
    if not network.metadata.get("dt_us"):
        assumptions.append(
            f"a step lasts {ASSUMED_DT_US} µs, for static energy: the file does not say it"
        )
    return {
        "tag": "simulated",
        "file": str(path),
        "sha256": file_digest(path),
        "format": FORMATS.get(path.suffix, path.suffix),
        "quantised": opened.floats is not None,
        "assumptions": assumptions,
        "input": source,
        "random": random,
        "seed": (request.input_options.seed or 0) if random else None,
        "input_shape": list(network.input_shape),
        "input_share_active": float(np.count_nonzero(spikes) / spikes.size),
        "samples": len(spikes),
        "n_steps": spikes.shape[1],
        "readout": network.readout,
        "outputs": run.output.shape[1],
        "answers": _answers(run.output),
    }


def _answers(output: np.ndarray) -> list[int | float]:
    """Index of the largest output of every sample; the value itself where there is only one."""
    if output.shape[1] == 1:
        return output[:, 0].tolist()
    return output.argmax(axis=1).tolist()


def _energy(network: ChipNetwork, run: ChipRun, n_steps: int) -> dict[str, Any]:
    step_s = float(network.metadata.get("dt_us") or ASSUMED_DT_US) * 1e-6
    section = energy_section(network, run, n_steps=n_steps, duration_s=n_steps * step_s)
    return section | {"per": f"sample of {n_steps * step_s:g} s"}


def _first_sample(
    network: ChipNetwork, spikes: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Messages of the first sample, for a picture; None where they are too many to hold."""
    if spikes.shape[1] * sum(p.n_neurons for p in network.populations) > RASTER_VALUES:
        return None
    run = Simulator().run(network, spikes[:1], probes=every(network, "spikes"))
    return spikes[0], {name: trace[0] for (name, _), trace in run.traces.items()}
