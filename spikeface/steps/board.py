"""A few clips of the test set on a Loihi 2 board, beside the simulator's answers.

>>> run_test_set_on_loihi(run, BoardRequest(partition="oheogulch"))["measurements"]["energy"]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hardware.backends.loihi.hosts import BoardRequest
from hardware.backends.loihi.run import TIMEOUT_S
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network
from spikeface.config import load_config
from spikeface.networks.board import board_plan, measure
from spikeface.runs import RunFolder
from spikeface.steps.running import spread, test_clips


def plan_test_set_on_loihi(run: RunFolder, request: BoardRequest | None = None) -> dict[str, Any]:
    """What `run_test_set_on_loihi` would do; needs neither Lava nor a board."""
    network, frames, _ = _clips(run)
    return board_plan(network, n_samples=len(frames), n_steps=frames.shape[1], request=request)


def run_test_set_on_loihi(
    run: RunFolder, request: BoardRequest | None = None, *, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """Run as many test clips on a board as the configuration gives to Lava, and measure.

    Returns the section ``loihi``. It is kept in the report only when it was measured on a chip.

    Raises
    ------
    BackendUnavailableError, UnsupportedNetworkError, BackendRunError
    """
    network, frames, labels = _clips(run)
    result, section = measure(network, frames, request=request, timeout_s=timeout_s)
    right = float((result.prediction == labels).mean())
    section["accuracy"] = {"value": right, "tag": section["tag"], "n": len(labels)}
    if section["tag"] == "measured":
        run.update_report(loihi=section)
    return section


def _clips(run: RunFolder) -> tuple[ChipNetwork, np.ndarray, np.ndarray]:
    config = load_config(run.config)
    network = load_network(run.need(run.chip, "quantise"))
    frames, labels = test_clips(run.read_report(), config, network)
    chosen = spread(len(frames), config.lava.samples)
    return network, frames[chosen], labels[chosen]
