"""Everything in one go: faces, training, integers, simulator, Lava, report.

>>> ./run demo --quick
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snn.events.datasets import load_event_set
from spikeface import steps
from spikeface.config import CONFIGS, Config, load_config, to_toml
from spikeface.figures.results import save_faces_preview
from spikeface.pages.writing import write_page
from spikeface.runs import RunFolder

DATA = "faces.h5"


def demo_config(*, engine: str, quick: bool, assignments: Sequence[str] = ()) -> Config:
    """The configuration ``configs/{demo,quick}-{norse,slayer}.toml`` with assignments on top.

    The fused engine is norse's neurons computed in another way: it takes norse's configuration.
    """
    name = f"{'quick' if quick else 'demo'}-{'slayer' if engine == 'slayer' else 'norse'}.toml"
    return load_config(CONFIGS / name, [f"model.engine={engine!r}", *assignments])


def demo(path: Path, config: Config, *, resume: bool = False) -> dict[str, Any]:
    """Run all steps into one folder and return the report.

    Parameters
    ----------
    path : Path
        A new folder, or with `resume` one whose demo was interrupted: finished steps are kept.
    config : Config
    """
    run = RunFolder.create(path, to_toml(config), resume=resume)
    data = run.path / DATA
    todo: list[tuple[str, str, Callable[[], object]]] = [
        ("faces", "render event faces", lambda: _render(run, data, config)),
        (
            "train",
            f"train with {config.model.engine}",
            lambda: steps.train(run, config, load_event_set(data)),
        ),
        ("quantise", "quantise to the chip's integers", lambda: steps.quantise(run)),
        (
            "simulator",
            "run the test set on the integer simulator",
            lambda: steps.run_test_set(run, backends=["simulator"]),
        ),
        (
            "lava",
            f"run {config.lava.samples} clips on Lava's CPU simulator",
            lambda: steps.run_test_set(run, backends=["lava"]),
        ),
        ("report", "write the report", lambda: write_page(run)),
    ]
    for number, (name, text, action) in enumerate(todo, start=1):
        if run.is_done(name):
            continue
        started = time.perf_counter()
        print(f"[{number}/{len(todo)}] {text}", file=sys.stderr, flush=True)
        action()
        print(f"      {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return run.read_report()


def _render(run: RunFolder, data: Path, config: Config) -> None:
    """Faces, and a look at them; each is kept when an interrupted demo goes on."""
    with run.step("faces"):
        if not data.exists():
            steps.render_faces(data, config)
        if not (preview := data.with_suffix(".png")).exists():
            save_faces_preview(preview, config.faces)
