"""How far two trivial classifiers get on the rendered faces, and what rendering takes.

    .venv/bin/python benchmarks/face_baselines.py --set demo --camera clean
    .venv/bin/python benchmarks/face_baselines.py --save     demo and faces-small, all cameras

A score on drawn faces means something only beside these: the number of events alone, and ridge
regression on count maps in four time bins (pooled to 64 x 64 pixels), on test subjects never seen.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import Row, print_table, save_table

from snn.baselines import event_count_baseline, ridge_baseline
from snn.events.datasets import ClipTable, load_event_set, n_clips, write_face_set
from snn.events.faces import CAMERAS, SPLITS, face_set

SETS = ("demo", "faces-small")
BINS, SIDE = 4, 64


def main() -> None:
    """Parse the command line, render, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=SETS, help="only this one")
    parser.add_argument("--camera", choices=CAMERAS, help="only this one")
    parser.add_argument("--save", action="store_true", help="write results/face_baselines.csv")
    arguments = parser.parse_args()
    rows = []
    for name in [arguments.set] if arguments.set else SETS:
        for camera in [arguments.camera] if arguments.camera else CAMERAS:
            rows.append(measure(name, camera))
            print_table("face_baselines", rows)
    if arguments.save:
        save_table("face_baselines", rows)


def measure(name: str, camera: str) -> Row:
    """One set with one camera."""
    parameters = face_set(name, camera=camera)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "faces.h5")
        started = time.perf_counter()
        write_face_set(path, parameters, workers=os.cpu_count() or 1)
        minutes = (time.perf_counter() - started) / 60
        events = load_event_set(path)
        train, validation, test = (events.splits[split] for split in SPLITS)
        labelled = [(maps(table), table.labels) for table in (train, validation, test)]
        return {
            "set": name,
            "camera": camera,
            "clips": n_clips(parameters),
            "test_clips": len(test),
            "events_per_clip": float(np.mean(test.event_counts)),
            "chance": 1 / len(events.classes),
            "event_count": event_count_baseline(
                train.event_counts, train.labels, test.event_counts, test.labels
            ),
            "ridge": ridge_baseline(*(array for pair in labelled for array in pair)),
            "minutes": minutes,
            "cores": os.cpu_count(),
        }


def maps(table: ClipTable) -> np.ndarray:
    """Count maps ``[N, bins, 2, 64, 64]``, larger sensors pooled."""
    counts = table.count_maps(BINS).astype(np.float32)
    n, bins, polarities, height, width = counts.shape
    rows, columns = height // SIDE, width // SIDE
    return counts.reshape(n, bins, polarities, SIDE, rows, SIDE, columns).sum(axis=(4, 6))


if __name__ == "__main__":
    main()
