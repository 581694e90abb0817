"""Options that several commands share, and how a result is shown.

A command is a function of the parsed options that returns an exit code: 0 done, 1 failed. Results
go to stdout, as lines or with ``--json`` as one object.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FAILED = 1


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """A command with the option that all have; `function` runs it."""
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(function=function)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return command


def add_config_options(command: argparse.ArgumentParser) -> None:
    """``--config`` and ``--set``, read by ``read_config``."""
    command.add_argument("--config", type=Path, metavar="FILE.toml")
    add_set_option(command)


def add_set_option(command: argparse.ArgumentParser) -> None:
    """``--set SECTION.KEY=VALUE``, as often as wanted."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one value of the configuration (repeatable)",
    )


def add_resume_option(command: argparse.ArgumentParser) -> None:
    """``--resume`` for what may be interrupted."""
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")


def read_config(options: argparse.Namespace, assignments: Sequence[str] = ()) -> Any:
    """The configuration that the options name, with `assignments` below those of ``--set``."""
    from spikeface.config import load_run_config

    engine = getattr(options, "engine", None)
    engines = [f"model.engine={engine!r}"] if engine else []
    return load_run_config(options.config, [*engines, *assignments, *options.set])


def positive(kind: type[int] | type[float]) -> Callable[[str], Any]:
    """A type of an option: a number above 0."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a {kind.__name__} above 0")
        return value

    return parse


def natural(text: str) -> int:
    """A type of an option: a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def sensor_size(text: str) -> tuple[int, int]:
    """A type of an option: ``WIDTHxHEIGHT``."""
    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 240x180")
    return int(width), int(height)


def show_report(
    report: dict[str, Any], options: argparse.Namespace, *, run: Path | None = None
) -> None:
    """The report of a run: the table on top of its page."""
    from spikeface.text.summary import report_lines

    show(report, report_lines(report, run=run), options)


def show(result: dict[str, Any], lines: Sequence[str], options: argparse.Namespace) -> None:
    """One JSON object or lines, on stdout."""
    print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))
