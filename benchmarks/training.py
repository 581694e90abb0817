"""A training step, forward and backward, against norse, spikingjelly, snntorch, sinabs and SLAYER.

    .venv/bin/python benchmarks/training.py                tables (about a quarter of an hour)
    .venv/bin/python benchmarks/training.py --save         also results/training-*.csv
    .venv/bin/python benchmarks/training.py --quick        fewer rounds, no 128 pixels, no memory
    .venv/bin/python benchmarks/training.py --json         one JSON object of the main ratios
    .venv/bin/python benchmarks/training.py --threads 2
    .venv/bin/python benchmarks/training.py --keep-memory  snn.allocator, for every variant

Whatever is not installed is reported as missing. An environment that has all of it:

    uv venv --python 3.10 /tmp/peers
    uv pip install --python /tmp/peers/bin/python -e . spikingjelly==0.0.0.0.14 \\
        snntorch==1.0.0 sinabs==3.1.3

Variants take turns in random order in one process; their outputs are compared before. "peer" is a
library as its documentation says, "tuned" a peer that was given our channels-last memory or
bfloat16, "bound" what is left of our step without neurons. Memory is that of a fresh process for
each variant: ``peak_mb`` its highest resident size, ``step_mb`` that minus the size before the
first step.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy is loaded
from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import logging

import torch
import training_conv
import training_sew
from measuring import Row, print_table, save_table

from snn.allocator import keep_freed_memory


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="write results/training-*.csv")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of our kernels")
    parser.add_argument("--keep-memory", action="store_true", help="as snn.allocator does")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # of the peers' imports
    torch.set_num_threads(arguments.threads)
    if arguments.keep_memory:
        keep_freed_memory()
    tables = measure(quick=arguments.quick)
    for name, rows in tables.items():
        for row in rows:
            row["threads"] = arguments.threads
        if not arguments.json:
            print_table(name, rows)
        if arguments.save:
            save_table(f"training-{name}", rows)
    if arguments.json:
        print(json.dumps({name: summary(rows) for name, rows in tables.items()}))


def measure(*, quick: bool) -> dict[str, list[Row]]:
    """Rows of every network by its name."""
    everything = not quick
    tables = {
        "conv_snn": training_conv.measure(rounds=3 if quick else 11, full=everything),
        "sew_resnet18_64": training_sew.measure(64, rounds=2 if quick else 5, full=everything),
    }
    if not quick:
        tables["sew_resnet18_128"] = training_sew.measure(128, rounds=5, full=True)
    return tables


def summary(rows: list[Row]) -> dict[str, float]:
    """How many times as fast as whom, and how far from the bound."""
    speed = {row["variant"]: row["speed"] for row in rows}
    peers = {row["variant"]: row["speed"] for row in rows if row["kind"] == "peer"}
    taken = {row["variant"]: row["median_ms"] for row in rows}
    main = {"over_bound": taken["fused"] / taken["without neurons"]}
    main["bfloat16_over_bound"] = taken["fused, bfloat16"] / taken["without neurons, bfloat16"]
    for library in ("norse", "spikingjelly", "snntorch", "sinabs", "SLAYER"):
        if of_library := [s for name, s in peers.items() if name.startswith(library)]:
            main[f"fused_vs_{library.lower()}"] = speed["fused"] / max(of_library)
    if peers:
        main["fused_vs_fastest_peer"] = speed["fused"] / max(peers.values())
        main["bfloat16_vs_fastest_peer"] = speed["fused, bfloat16"] / max(peers.values())
    if tuned := [row["speed"] for row in rows if row["kind"] == "tuned"]:
        main["fused_vs_fastest_tuned_peer"] = speed["fused"] / max(tuned)
    return {name: round(value, 3) for name, value in main.items()}


if __name__ == "__main__":
    main()
