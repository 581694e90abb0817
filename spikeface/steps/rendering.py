"""Configuration to a file of event faces."""

from __future__ import annotations

from pathlib import Path

from snn.events.datasets import EventSet, load_event_set, n_clips, write_face_set
from spikeface.config import RunConfig, trained
from spikeface.progress import progress_bar


def render_faces(path: Path, config: RunConfig, *, workers: int = 2) -> EventSet:
    """Render the face set of a configuration into a new file."""
    faces = trained(config).faces
    with progress_bar(n_clips(faces), "rendering faces", "clip") as advance:
        write_face_set(path, faces, workers=workers, progress=advance)
    return load_event_set(path)
