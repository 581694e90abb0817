"""A network and what it is shown: where simulating, measuring, comparing and reporting begin.

>>> opened, spikes = Request(Path("network.nir"), "random:0.05").load()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeface.networks.inputs import RANDOM, InputOptions, load_input
from spikeface.networks.opening import ImportOptions, OpenedNetwork, open_network


@dataclass(frozen=True)
class Request:
    """What to open and what to show it.

    Parameters
    ----------
    network : Path
        A network file or a run folder, see `spikeface.networks.opening.open_network`.
    source : str
        See `spikeface.networks.inputs.load_input`.
    network_options : ImportOptions, optional
    input_options : InputOptions, optional
    """

    network: Path
    source: str = RANDOM
    network_options: ImportOptions = field(default_factory=ImportOptions)
    input_options: InputOptions = field(default_factory=InputOptions)

    def load(self) -> tuple[OpenedNetwork, np.ndarray]:
        """The network, and spikes of shape (N, T, ...).

        Raises
        ------
        HardwareError, InputError, ConfigError
            Of what opens the network and the input.
        """
        opened = open_network(self.network, self.network_options)
        return opened, load_input(self.source, opened.chip, self.input_options)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for reports."""
        return {
            "network": str(self.network),
            "input": self.source,
            "seed": self.input_options.seed,
        }
