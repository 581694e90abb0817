"""``network.nir`` to ``network.chip``."""

from __future__ import annotations

from hardware.chip.storage import save_network
from hardware.compiler.nir.reader import read_nir
from hardware.compiler.quantise.quantiser import quantise as quantise_network
from spikeface.config import load_config
from spikeface.runs import RunFolder


def quantise(run: RunFolder) -> None:
    """Turn ``network.nir`` into ``network.chip`` and report what that changed."""
    load_config(run.config)  # refuses the run of another task
    with run.step("quantise"):
        floats = read_nir(run.need(run.nir, "train"))
        chip, losses = quantise_network(floats)
        save_network(chip, run.chip)
    run.update_report(
        quantisation={
            "layers": [loss.as_dict() for loss in losses],
            "assumptions": list(floats.assumptions),
        }
    )
