"""Lava against the specification on random networks, every message and state of every population.

    python benchmarks/lava_equality.py --networks 2000 --seed 0 --save

Prints, by feature, how many networks use it and how many values of them differ; ``--save`` writes
that table with its conditions to ``results/lava_equality.csv``. 2,000 networks took 20 minutes on
two busy cores. Networks that Lava cannot run are passed over before it runs, and counted.

Zero is the only good number in the last column: the exit code is 1 otherwise, and the networks that
differ are named. A feature is counted where it shows: in ``extreme`` networks a weight exponent is
in use; ``cuba`` to ``resonate_and_fire`` are the models of populations.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import platform
import sys
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import numpy as np
from random_batches import Batch, draw_batch
from random_networks import FEATURES, features_of
from tqdm import tqdm

from hardware.backends.backend import ChipRun
from hardware.backends.lava.backend import LavaBackend

RESULTS = Path(__file__).parents[1] / "results/lava_equality.csv"
COUNTS = ("networks", "populations", "spiking", "values", "differing")
SEEDS_PER_BATCH = 1000  # more than a batch draws, so that no network comes twice
SAMPLES, STEPS = 2, 8


def main() -> int:
    """Draw, run, compare, report."""
    arguments = parse_arguments()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    passed_over: Counter[str] = Counter()
    with tqdm(total=arguments.networks, unit="network", file=sys.stderr) as bar:
        for index, done in enumerate(range(0, arguments.networks, arguments.batch)):
            size = min(arguments.batch, arguments.networks - done)
            first_seed = (arguments.seed + index) * SEEDS_PER_BATCH
            batch = draw_batch(first_seed, size, FEATURES, samples=SAMPLES, steps=STEPS)
            probes = batch.probes()
            run = LavaBackend(timeout_s=600).run(batch.together, batch.frames, probes=probes)
            wrong += count(batch, run, table)
            passed_over += batch.passed_over
            bar.update(size)
    print_table(table)
    for reason, number in passed_over.items():
        print(f"passed over: {number:,} networks, {reason}")
    for case in wrong:
        print(f"differs: {case}")
    if arguments.save:
        save(table, arguments)
    return int(bool(wrong))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="other networks for another seed")
    parser.add_argument("--batch", type=int, default=25, help="networks per start (default 25)")
    parser.add_argument("--save", action="store_true", help=f"write results/{RESULTS.name}")
    return parser.parse_args()


def count(batch: Batch, run: ChipRun, table: dict[str, Counter[str]]) -> list[str]:
    """Add a batch to the table; the networks that differ, in words."""
    wrong = []
    for index, case in enumerate(batch.cases):
        found: Counter[str] = Counter(networks=1, populations=len(case.network.populations))
        for (name, variable), expected in case.expected.items():
            differs = run.traces[f"{index}.{name}", variable] != expected
            found["values"] += differs.size
            found["differing"] += int(np.count_nonzero(differs))
            found["spiking"] += int(variable == "spikes" and expected.any())
        for feature in ("all", *features_of(case.network)):
            table[feature].update(found)
        if found["differing"]:
            wrong.append(batch.case(index))
    return wrong


def print_table(table: dict[str, Counter[str]]) -> None:
    """One line for each feature, those of all networks first."""
    print(f"{'feature':18}" + "".join(f"{name:>13}" for name in COUNTS))
    for feature in sorted(table, key=lambda name: (name != "all", name)):
        print(f"{feature:18}" + "".join(f"{table[feature][name]:13,}" for name in COUNTS))


def save(table: dict[str, Counter[str]], arguments: argparse.Namespace) -> None:
    """Write the table with its conditions."""
    conditions = {
        "seed": arguments.seed,
        "batch": arguments.batch,
        "samples": SAMPLES,
        "steps": STEPS,
        "lava_nc": importlib.metadata.version("lava-nc"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("feature", *COUNTS, *conditions))
        for feature in sorted(table, key=lambda name: (name != "all", name)):
            writer.writerow((feature, *(table[feature][c] for c in COUNTS), *conditions.values()))


if __name__ == "__main__":
    sys.exit(main())
