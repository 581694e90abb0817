"""Chips and boards: how many chips a number of cores takes, and which boards have them.

>>> chips_for(61), smallest_board(3)
(1, 'Kapoho Point')
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

CORES_A_CHIP = {"Loihi 2": 120, "Loihi 1": 128}
CORES_SOURCE = (
    "Loihi 2: 128 cores at most, papers use 120 of them; Loihi 1: 128 (Davies et al. 2018)"
)
BOARD_SOURCE = "Intel's product names as quoted in later work; 1,152 chips of Hala Point: Intel"


class Board(NamedTuple):
    """A system of Loihi 2 chips."""

    name: str
    chips: int


LOIHI2_BOARDS = (
    Board("Oheo Gulch", 1),
    Board("Kapoho Point", 8),
    Board("Loihi 2 VPX", 16),
    Board("Hala Point", 1152),
)


def chips_for(cores: int, *, chip: str = "Loihi 2") -> int:
    """Chips that hold so many cores; a chip that holds nothing is still one."""
    return max(1, math.ceil(cores / CORES_A_CHIP[chip]))


def board_rows(cores: int) -> list[dict[str, Any]]:
    """Each board with its cores and whether the network fits it."""
    per_chip = CORES_A_CHIP["Loihi 2"]
    return [
        {
            "board": board.name,
            "chips": board.chips,
            "cores": board.chips * per_chip,
            "fits": chips_for(cores) <= board.chips,
        }
        for board in LOIHI2_BOARDS
    ]


def smallest_board(chips: int) -> str:
    """The smallest board with so many chips, or that there is none."""
    fitting = (board for board in LOIHI2_BOARDS if board.chips >= chips)
    board = next(fitting, None)
    return board.name if board else "no known board"
