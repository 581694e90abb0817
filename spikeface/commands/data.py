"""Recordings, videos and data sets: look, convert, simulate, check."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spikeface.commands.options import (
    add_command,
    add_config_options,
    read_config,
    show,
)


def add_data_commands(commands: Any) -> None:
    """``faces``."""
    faces = add_command(commands, "faces", _faces, "render a set of event faces into one file")
    faces.add_argument("out", type=Path, metavar="OUT.h5")
    faces.add_argument("--workers", type=int, default=2, help="processes that render (2)")
    add_config_options(faces)


def _faces(options: argparse.Namespace) -> int:
    from spikeface.figures import save_faces_preview
    from spikeface.steps import render_faces

    config = read_config(options)
    events = render_faces(options.out, config, workers=options.workers)
    preview = options.out.with_suffix(".png")
    save_faces_preview(preview, config.faces)
    clips = {name: len(table) for name, table in events.splits.items()}
    result = {
        "file": str(options.out),
        "preview": str(preview),
        "classes": list(events.classes),
        "sensor_size": list(events.sensor_size),
        "clips": clips,
    }
    lines = [f"{name:<11} {count:>5} clips" for name, count in clips.items()]
    show(result, [*lines, f"events in {options.out}, a look at them in {preview}"], options)
    return 0
