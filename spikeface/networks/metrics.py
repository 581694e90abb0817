"""``spikeface metrics``: NeuroBench's metrics of any network on any input, step by step.

>>> section = measure(Path("network.nir"), "random:0.05")
>>> section["synaptic_operations"]["effective_acs"]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hardware.analysis.metrics import metrics_of, observe
from hardware.backends.backend import Backend
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from spikeface.networks.inputs import InputOptions, load_input
from spikeface.networks.opening import ImportOptions, open_network
from spikeface.progress import progress_bar


def measure(
    path: Path,
    source: str,
    *,
    backend: str = "simulator",
    network_options: ImportOptions | None = None,
    input_options: InputOptions | None = None,
    timeout_s: float = 300,
) -> dict[str, Any]:
    """Run a network and give the section ``metrics`` of a report.

    Parameters
    ----------
    path : Path
        A network file or a run folder, see `spikeface.networks.opening.open_network`.
    source : str
        See `spikeface.networks.inputs.load_input`.
    backend : {"simulator", "reference", "lava"}
    timeout_s : float
        Limit for Lava, in seconds.

    Raises
    ------
    HardwareError, InputError, ConfigError
        Of what opens the network and the input, and of the backend.
    """
    opened = open_network(path, network_options)
    spikes = load_input(source, opened.chip, input_options)
    with progress_bar(len(spikes), backend, "sample") as advance:
        seen = observe(opened.chip, spikes, backend=_backend(backend, timeout_s), progress=advance)
    return metrics_of(opened.chip, seen).as_dict() | {
        "network": str(path),
        "input": source,
        "seed": input_options.seed if input_options else None,
        "assumptions": list(opened.assumptions),
        "backend": seen.run.backend,
    }


def _backend(name: str, timeout_s: float) -> Backend:
    if name == "lava":
        return LavaBackend(timeout_s=timeout_s)
    return Simulator() if name == "simulator" else Reference()
