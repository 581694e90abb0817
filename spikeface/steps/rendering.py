"""Configuration to a file of event faces."""

from __future__ import annotations

from pathlib import Path

from snn.events.datasets import EventSet, load_event_set, n_clips, write_face_set
from spikeface.config import RunConfig
from spikeface.progress import progress_bar


def render_faces(path: Path, config: RunConfig, *, workers: int = 2) -> EventSet:
    """Render the face set of a configuration into a new file."""
    with progress_bar(n_clips(config.faces), "rendering faces", "clip") as advance:
        write_face_set(path, config.faces, workers=workers, progress=advance)
    return load_event_set(path)
