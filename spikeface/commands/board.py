"""Options of the commands that can run on a Loihi 2 board."""

from __future__ import annotations

import argparse
from typing import Any

LOIHI = "loihi"
OPTIONS = ("dry_run", "partition", "board", "host", "generation")


def add_board_options(command: argparse.ArgumentParser) -> None:
    """``--dry-run`` and which board; read by ``board_request``."""
    board = command.add_argument_group("with --on loihi", "See docs/loihi_board.md.")
    board.add_argument(
        "--dry-run", action="store_true", help="print the plan; needs neither Lava nor a board"
    )
    board.add_argument("--partition", metavar="NAME", help="of SLURM (PARTITION)")
    board.add_argument("--board", metavar="NODE", help="of SLURM (BOARD)")
    board.add_argument("--host", metavar="ADDRESS", help="without SLURM (NXSDKHOST)")
    board.add_argument("--generation", metavar="N3B3", help="of the chip (LOIHI_GEN, or N3B3)")


def board_request(options: argparse.Namespace) -> Any:
    """The board that is wanted.

    Raises
    ------
    ConfigError
        When something of a board is asked for without ``--on loihi``, or cannot be meant.
    """
    from hardware.backends.loihi.hosts import BoardRequest
    from spikeface.errors import ConfigError

    given = [name for name in OPTIONS if getattr(options, name)]
    if options.on != LOIHI and given:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"{names}: only with --on loihi")
    request = BoardRequest(**{name: getattr(options, name) for name in OPTIONS[1:]})
    if problem := request.problem():
        raise ConfigError(problem)
    return request
