"""``sweep``: many runs as one command."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikeface.commands.options import (
    FAILED,
    add_command,
    add_resume_option,
    add_set_option,
    positive,
    show,
)

PLANNING = ("config", "data", "root", "over", "listed", "ablate", "set")
EXAMPLES = """\
examples:
  spikeface sweep configs/demo-norse.toml --data faces.h5 --out sweeps/seeds \\
      --over training.seed=0:5 --over model.engine=norse,slayer --launcher processes
  spikeface sweep configs/spiking_fer_modern.toml --root data --out sweeps/ablation \\
      --ablate training.augment.flip,training.augment.crop --over data.fold=0:10
  spikeface sweep --out sweeps/ablation --resume        go on with what is left
  spikeface sweep --out sweeps/ablation --show          only write the tables anew
"""


def add_sweep_command(commands: Any) -> None:
    """``sweep``."""
    sweep = add_command(commands, "sweep", _sweep, "many runs as one command, with a table of all")
    sweep.formatter_class = argparse.RawDescriptionHelpFormatter
    sweep.epilog = EXAMPLES
    sweep.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG.toml", help="what all runs share"
    )
    sweep.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    data = sweep.add_mutually_exclusive_group()
    data.add_argument("--data", type=Path, metavar="FACES.h5", help="faces from 'spikeface faces'")
    data.add_argument("--root", type=Path, metavar="FOLDER", help="where the set of [data] is")
    sweep.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=VALUE,VALUE,...",
        help="every combination is a run; a:b stands for a to b - 1 (repeatable)",
    )
    variants = sweep.add_mutually_exclusive_group()
    variants.add_argument(
        "--list",
        type=Path,
        dest="listed",
        metavar="FILE.toml",
        help='named runs: tables [[run]] with name = "..." and set = ["KEY=VALUE", ...]',
    )
    variants.add_argument(
        "--ablate",
        type=_keys,
        default=(),
        metavar="KEY,KEY,...",
        help="one run with all of these switches on, and one without each",
    )
    sweep.add_argument(
        "--until",
        choices=("train", "quantise", "simulator"),
        help="the last step of each run (simulator)",
    )
    sweep.add_argument(
        "--launcher",
        choices=("serial", "processes", "slurm"),
        default="serial",
        help="one after the other here (serial), each in a process, or jobs of a cluster",
    )
    sweep.add_argument(
        "--workers", type=positive(int), metavar="N", help="processes at a time (one a core)"
    )
    sweep.add_argument(
        "--slurm",
        metavar="KEY=VALUE,...",
        help="of the jobs: partition, timeout_min (600), gpus_per_node, mem_gb, ...; "
        "cluster=local tries them here",
    )
    add_set_option(sweep)
    add_resume_option(sweep)
    sweep.add_argument("--show", action="store_true", help="run nothing, write the tables anew")


def _sweep(options: argparse.Namespace) -> int:
    from spikeface.errors import ConfigError
    from spikeface.sweeps import SweepFolder, parse_options, plan, sweep
    from spikeface.sweeps import show as show_sweep

    if options.slurm and options.launcher != "slurm":
        raise ConfigError("--slurm needs --launcher slurm")
    if options.workers and options.launcher != "processes":
        raise ConfigError("--workers needs --launcher processes")
    if options.show:
        result = show_sweep(SweepFolder.open(options.out))
    else:
        asked = any(vars(options)[name] for name in PLANNING)
        result = sweep(
            options.out,
            plan(
                options.config,
                over=options.over,
                listed=options.listed,
                ablate=options.ablate,
                assignments=[*_data_assignments(options), *options.set],
            )
            if asked
            else (),
            until=options.until,
            launcher=options.launcher,
            workers=options.workers,
            slurm=parse_options(options.slurm or ""),
            resume=options.resume,
        )
    show(result, _lines(result), options)
    return FAILED if result["counts"].get("failed") else 0


def _data_assignments(options: argparse.Namespace) -> list[str]:
    """``--data`` and ``--root`` as assignments, valid from any folder."""
    if options.data:
        return ["data.dataset='faces'", f"data.root={json.dumps(str(options.data.resolve()))}"]
    return [f"data.root={json.dumps(str(options.root.resolve()))}"] if options.root else []


def _lines(result: dict[str, Any]) -> list[str]:
    """A line a group, then the failed runs and where the tables are."""
    from spikeface.text.numbers import spread

    width = max([6, *(len(row["group"]) + 1 for row in result["groups"])])
    lines = [f"{'group':<{width}}{'finished':>10}{'float':>16}{'integer':>16}   simulated"]
    for row in result["groups"]:
        cells = [f"{row['group']:<{width}}{row['finished']:>5} of {row['runs']:<2}"]
        for measure in ("float_accuracy", "integer_accuracy"):
            cells.append(f"{spread(row[f'{measure}_mean'], row[f'{measure}_std']):>16}")
        lines.append("".join(cells))
    lines += [
        f"failed: {row['name']}: {row['error']}"
        for row in result["runs"]
        if row["state"] == "failed"
    ]
    counts = ", ".join(f"{count} {state}" for state, count in result["counts"].items())
    jobs = [f"jobs: {', '.join(result['jobs'])}"] if result.get("jobs") else []
    return [*lines, *jobs, f"{counts}; tables in {result['folder']}"]


def _keys(text: str) -> Sequence[str]:
    keys = [key.strip() for key in text.split(",")]
    if not all("." in key for key in keys) or len(set(keys)) < len(keys):
        raise argparse.ArgumentTypeError(f"{text!r} is not SECTION.KEY,SECTION.KEY,...")
    return keys
