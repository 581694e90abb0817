"""``spikeface parity``: one network on its way from floats to the chip, and where it changes.

The result is a folder with ``parity.json``, ``parity.html`` and one figure a hop; the same lines
go to the terminal.

>>> section = parity(Request(Path("network.nir"), "random:0.05"), out=Path("runs/parity"))
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from hardware.analysis.hops import Hop, compare_hops
from hardware.backends.backend import Backend
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.loihi import loihi_availability
from hardware.backends.simulator.backend import Simulator
from spikeface.environment import versions
from spikeface.figures.parity import hop_figure
from spikeface.figures.style import inline_svg, to_svg
from spikeface.networks.request import Request
from spikeface.outputs import new_folder, write_json, write_text
from spikeface.pages.html import environment
from spikeface.progress import progress_bar
from spikeface.text.summary import parity_lines

SCHEMA = "spikeface.parity/1"
TEMPLATE = "parity.html.j2"


def parity(
    request: Request,
    *,
    out: Path,
    backends: Sequence[str] = ("simulator", "lava"),
    timeout_s: float = 300,
) -> dict[str, Any]:
    """Compare every stage of a network with the one before, on the same input.

    Parameters
    ----------
    request : Request
    out : Path
        A new folder.
    backends : sequence of str
        Engines after the integers of the specification: ``"simulator"``, ``"lava"``.
    timeout_s : float
        Limit for Lava, in seconds.

    Returns
    -------
    dict
        The content of ``parity.json``.

    Raises
    ------
    OutputError
        When the folder holds something or cannot be written.
    """
    new_folder(out)  # before anything long begins
    try:
        section = _compare(request, backends, timeout_s, out)
    except BaseException:
        _remove_if_empty(out)
        raise
    return section


def _compare(
    request: Request, backends: Sequence[str], timeout_s: float, out: Path
) -> dict[str, Any]:
    opened, spikes = request.load()
    engines = [_engine(name, timeout_s) for name in backends]
    n_stages = len(engines) + (3 if opened.floats else 1)
    with progress_bar(n_stages, "stages", "stage") as advance:
        hops = list(
            compare_hops(
                opened.chip,
                spikes,
                floats=opened.floats,
                losses=opened.losses,
                backends=engines,
                progress=advance,
            )
        )
    section = {
        "schema": SCHEMA,
        "tag": "simulated",
        "name": request.network.resolve().name,
        **request.as_dict(),
        "command_line": shlex.join(["spikeface", *sys.argv[1:]]),
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": {k: v for k, v in versions().items() if v},
        "input_shape": list(spikes.shape),
        "input_share_active": float(np.count_nonzero(spikes) / spikes.size),
        "assumptions": list(opened.assumptions),
        "hops": [_entry(hop) for hop in hops],
        "chip": _chip(),
    }
    _write(out, section, hops)
    return section


def _engine(name: str, timeout_s: float) -> Backend:
    return Simulator() if name == "simulator" else LavaBackend(timeout_s=timeout_s)


def _chip() -> dict[str, str]:
    availability = loihi_availability()
    return {"state": availability.state, "reason": availability.reason}


def _entry(hop: Hop) -> dict[str, Any]:
    """A hop in plain values."""
    divergence, cause = hop.divergence, hop.cause
    return {
        "expected": hop.expected,
        "found": hop.found,
        "equal": hop.equal,
        "between_engines": hop.between_engines,
        "same_answers": hop.same_answers,
        "readout_error": hop.readout_error,
        "messages": hop.messages,
        "silent": hop.silent,
        "first_divergence": None if divergence is None else vars(divergence),
        "differing_share": {name: float(s.mean()) for name, s in hop.differing.items()},
        "thresholds_apart": hop.size,
        "voltages_in_thresholds": hop.voltages,
        "cause": None if cause is None else vars(cause),
        "figure": f"{_slug(hop)}.svg",
    }


def _slug(hop: Hop) -> str:
    return f"{hop.expected}-to-{hop.found}".replace(" ", "-")


def _remove_if_empty(out: Path) -> None:
    with suppress(OSError):
        out.rmdir()


def _write(out: Path, section: dict[str, Any], hops: Sequence[Hop]) -> None:
    pictures = dict(_pictures(hops))
    for name, svg in pictures.items():
        write_text(out / f"{name}.svg", svg)
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            section=section,
            lines=parity_lines(section),
            figures=[
                Markup(inline_svg(svg, label=f"Comparison {name}"))
                for name, svg in pictures.items()
            ],
        )
    )
    write_text(out / "parity.html", page)
    write_json(out / "parity.json", section)


def _pictures(hops: Sequence[Hop]) -> Iterator[tuple[str, str]]:
    for hop in hops:
        yield _slug(hop), to_svg(hop_figure(hop), salt=_slug(hop))
