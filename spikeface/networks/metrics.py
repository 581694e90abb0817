"""``spikeface metrics``: NeuroBench's metrics of any network on any input, step by step.

>>> section = measure(Request(Path("network.nir"), "random:0.05"))
>>> section["synaptic_operations"]["effective_acs"]
"""

from __future__ import annotations

from typing import Any

from hardware.analysis.metrics import metrics_of, observe
from hardware.backends.backend import Backend
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.reference import Reference
from hardware.backends.simulator.backend import Simulator
from spikeface.networks.request import Request
from spikeface.progress import progress_bar


def measure(
    request: Request,
    *,
    backend: str = "simulator",
    timeout_s: float = 300,
) -> dict[str, Any]:
    """Run a network and give the section ``metrics`` of a report.

    Parameters
    ----------
    request : Request
    backend : {"simulator", "reference", "lava"}
    timeout_s : float
        Limit for Lava, in seconds.

    Raises
    ------
    HardwareError, InputError, ConfigError
        Of what opens the network and the input, and of the backend.
    """
    opened, spikes = request.load()
    with progress_bar(len(spikes), backend, "sample") as advance:
        seen = observe(opened.chip, spikes, backend=_backend(backend, timeout_s), progress=advance)
    return (
        metrics_of(opened.chip, seen).as_dict()
        | request.as_dict()
        | {"assumptions": list(opened.assumptions), "backend": seen.run.backend}
    )


def _backend(name: str, timeout_s: float) -> Backend:
    if name == "lava":
        return LavaBackend(timeout_s=timeout_s)
    return Simulator() if name == "simulator" else Reference()
