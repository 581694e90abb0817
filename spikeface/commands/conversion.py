"""``convert`` and ``compare``: classifiers into spikes, and everything in one table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from spikeface.commands.options import (
    FAILED,
    add_command,
    add_resume_option,
    add_set_option,
    show,
    show_report,
)

CODES = ("rate", "graded", "sigma-delta")  # those of conversion.spiking, which would import torch


def add_conversion_commands(commands: Any) -> None:
    """``convert``, ``compare``."""
    convert = add_command(
        commands, "convert", _convert, "the encoder of a transfer run in spikes, tested in integers"
    )
    convert.add_argument("run", type=Path, metavar="RUN", help="of task = 'transfer'")
    convert.add_argument(
        "config", type=Path, nargs="?", metavar="CONFIG.toml", help="(configs/convert_CODE.toml)"
    )
    convert.add_argument("--out", type=Path, required=True, metavar="RUN2", help="a new run folder")
    convert.add_argument("--code", choices=CODES, help="overrides conversion.code")
    convert.add_argument("--on", choices=("simulator", "lava", "both"), default="both")
    add_resume_option(convert)
    add_set_option(convert)

    compare = add_command(
        commands, "compare", _compare, "runs of any kind in one table, with what it shows"
    )
    compare.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folders with report.json"
    )
    compare.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    compare.add_argument(
        "--mark",
        action="store_true",
        help="keep runs on other data in the table, marked, instead of refusing them",
    )


def _convert(options: argparse.Namespace) -> int:
    from spikeface.config import CONFIGS, ConversionRunConfig, load_run_config, read_toml, to_toml
    from spikeface.errors import ConfigError
    from spikeface.pages.writing import write_page
    from spikeface.runs import RunFolder
    from spikeface.steps.conversion.running import checked_source, convert_run

    code = options.code.replace("-", "_") if options.code else None
    path = options.config or CONFIGS / f"convert_{code or 'graded'}.toml"
    own = [f"conversion.run={json.dumps(str(options.run.resolve()))}"]
    own += [f"conversion.code={code}"] if code else []
    if (task := read_toml(path).get("task", "spiking")) != "conversion":
        raise ConfigError(f"{path}: task = {task!r}; this needs task = 'conversion'")
    config = load_run_config(path, [*own, *options.set])
    assert isinstance(config, ConversionRunConfig)
    source = checked_source(config)
    run = RunFolder.create(options.out, to_toml(config), resume=options.resume)
    backends = ("simulator", "lava") if options.on == "both" else (options.on,)
    convert_run(run, config, source, backends=backends)
    write_page(run)
    report = run.read_report()
    show_report(report, options, run=run.path)
    return 0 if report.get("parity", {}).get("equal", True) else FAILED


def _compare(options: argparse.Namespace) -> int:
    from spikeface.comparison import compare, comparison_lines

    result = compare(options.runs, options.out, mark=options.mark)
    show(result, list(comparison_lines(result)), options)
    return 0
