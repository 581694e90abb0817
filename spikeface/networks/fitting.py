"""Does it fit a chip: of any network file, and of a run, whose report then says it.

>>> fit_of(Path("network.net")).cores
"""

from __future__ import annotations

from pathlib import Path

from hardware.analysis.fit import Fit, fit_network
from hardware.chip.storage import load_network
from spikeface.networks.opening import ImportOptions, open_network
from spikeface.runs import RunFolder


def fit_of(path: Path, options: ImportOptions | None = None) -> Fit:
    """The fit of a network file, or of a run: of its integers, or else of its ``network.nir``.

    Raises
    ------
    HardwareError, ConfigError, RunFolderError
        See `spikeface.networks.opening.open_network`.
    """
    if path.is_dir() and options in (None, ImportOptions()):
        run = RunFolder.open(path)
        if run.chip.is_file():
            return fit_network(load_network(run.chip))
    return fit_network(open_network(path, options).chip)


def add_fit(run: RunFolder, fit: Fit) -> None:
    """Write the section ``fit`` of ``report.json``, and the page anew."""
    from spikeface.pages.writing import write_page  # which brings matplotlib along

    run.update_report(fit=fit.as_dict())
    write_page(run)
