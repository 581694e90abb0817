"""From a sensor or a video to a batch: against tonic, against v2e, and against a training step.

    .venv/bin/python benchmarks/events.py                 tables (about four minutes)
    .venv/bin/python benchmarks/events.py --save          also results/events-*.csv
    .venv/bin/python benchmarks/events.py --v2e FOLDER    with v2e 1.5.1, from a checkout of it
    .venv/bin/python benchmarks/events.py --quick         fewer rounds, no 10 million events
    .venv/bin/python benchmarks/events.py --json          one JSON object of the main numbers

One thread. Runs of the compared programs are interleaved and the medians of ratios reported.
Before anything is timed, results are compared.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy is loaded
from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
from pathlib import Path

import event_camera
import event_frames
import event_loading
from measuring import Row, show


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--v2e", type=Path, metavar="FOLDER", help="a checkout of v2e 1.5.1")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="write results/events-*.csv")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 7
    tables = {
        "events-frames": event_frames.measure(quick=arguments.quick),
        "events-camera": event_camera.measure(arguments.v2e, rounds),
        "events-loading": event_loading.measure(rounds=2 if arguments.quick else 5),
    }
    show(tables, summary, as_json=arguments.json, save=arguments.save)


def summary(tables: dict[str, list[Row]]) -> dict[str, float]:
    """The numbers that the README quotes."""
    main: dict[str, float] = {}
    for row in tables["events-frames"]:
        if row["vs_tonic"]:
            main[f"{row['what']}_{row['events']}_vs_tonic"] = row["vs_tonic"]
    camera = tables["events-camera"]
    if ratios := [row["vs_v2e"] for row in camera if row.get("vs_v2e")]:
        main["camera_vs_v2e_lowest"] = min(ratios)
    main["esim_events_per_s"] = max(r["events_per_s"] for r in camera if r["setting"] == "ESIM")
    for row in tables["events-loading"]:
        main[f"{row['loader']}_share_of_step"] = row["share_of_step"]
    return {name.replace(" ", "_"): round(value, 4) for name, value in main.items()}


if __name__ == "__main__":
    main()
