"""The command line: arguments in, one call of a plain function, results on stdout.

Progress and messages go to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration,
3 something needed is not installed or not reachable. Nothing heavy is imported before a command
needs it, so ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from hardware.errors import BackendUnavailableError, HardwareError
from snn.errors import SnnError
from spikeface import __version__
from spikeface.commands.analysis import add_analysis_commands
from spikeface.commands.conversion import add_conversion_commands
from spikeface.commands.data import add_data_commands
from spikeface.commands.metrics import add_metrics_command
from spikeface.commands.networks import add_network_commands
from spikeface.commands.options import FAILED, add_command, show
from spikeface.commands.runs import add_run_commands
from spikeface.commands.sweep import add_sweep_command
from spikeface.errors import ConfigError, SpikefaceError

USAGE, MISSING, INTERRUPTED = 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return USAGE
    try:
        return options.function(options)
    except ConfigError as error:
        return _fail(error, USAGE)
    except BackendUnavailableError as error:
        return _fail(error, MISSING)
    except (SpikefaceError, HardwareError, SnnError) as error:
        return _fail(error, FAILED)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        resumes = "; go on with --resume" if hasattr(options, "resume") else ""
        return _fail(f"interrupted{resumes}", INTERRUPTED)


def _fail(error: Exception | str, code: int) -> int:
    print(f"spikeface: {error}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spikeface",
        description="Train spiking networks on event faces and run them exactly as the chip would.",
    )
    parser.add_argument("--version", action="version", version=f"spikeface {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_run_commands(commands)
    add_sweep_command(commands)
    add_conversion_commands(commands)
    add_data_commands(commands)
    add_network_commands(commands)
    add_metrics_command(commands)
    add_analysis_commands(commands)
    doctor = add_command(commands, "doctor", _doctor, "what is available, what runs left behind")
    doctor.add_argument("--clean", action="store_true", help="remove what dead Lava runs left")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from spikeface.doctor import clean_up, examine, lines

    findings = examine()
    if options.clean:
        findings = clean_up(findings)
    show(findings, lines(findings), options)
    return 0
