"""What a network costs in NeuroBench's terms, whatever file it is in."""

from __future__ import annotations

import argparse
from typing import Any

from spikeface.commands.networks import input_arguments, network_options, request_of
from spikeface.commands.options import add_command, show


def add_metrics_command(commands: Any) -> None:
    """``metrics``."""
    metrics = add_command(
        commands, "metrics", _metrics, "NeuroBench's metrics of any network file, layer by layer"
    )
    network_options(metrics)
    input_arguments(metrics)
    metrics.add_argument("--on", choices=("simulator", "lava", "reference"), default="simulator")


def _metrics(options: argparse.Namespace) -> int:
    from spikeface.networks.metrics import measure
    from spikeface.text.metrics import metrics_lines

    section = measure(request_of(options), backend=options.on, timeout_s=options.timeout)
    show(section, metrics_lines(section), options)
    return 0
