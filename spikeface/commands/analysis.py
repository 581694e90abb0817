"""``fit``: whether a network fits a chip, what binds, what would make it smaller."""

from __future__ import annotations

import argparse
from typing import Any

from spikeface.commands.networks import import_options, network_options
from spikeface.commands.options import add_command, show


def add_analysis_commands(commands: Any) -> None:
    """``fit``."""
    fit = add_command(
        commands, "fit", _fit, "cores, chips and boards, broken rules, what would be smaller"
    )
    network_options(fit)
    fit.add_argument(
        "--chip", choices=("loihi2", "loihi1"), default="loihi2", help="whose table (loihi2)"
    )


def _fit(options: argparse.Namespace) -> int:
    from spikeface.networks.fitting import add_fit, fit_of
    from spikeface.runs import RunFolder
    from spikeface.text.fit import fit_lines, loihi1_lines

    fit = fit_of(options.network, import_options(options))
    if options.network.is_dir():
        add_fit(RunFolder.open(options.network), fit)
    if options.chip == "loihi1":
        section = fit.loihi1.as_dict()
        show(section, loihi1_lines(section), options)
    else:
        section = fit.as_dict()
        show(section, fit_lines(section), options)
    return 0
