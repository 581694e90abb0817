"""Who leads to a board: a SLURM cluster (Intel's cloud) or a host on the network.

What is wanted comes from options or from the environment variables that Lava's users set (SLURM,
PARTITION, BOARD; NOSLURM, NXSDKHOST, HOST_BINARY; LOIHI_GEN), and is checked here. Lava 0.10.0
would crash instead: ``lava/utils/slurm.py`` lets a missing ``sinfo`` raise FileNotFoundError,
fails with an IndexError on the empty last line of what ``sinfo`` prints, knows a default partition
only by its name with the star, and takes nodes for good that are drained. Its ``use_ethernet_host``
asks ``ping``, so a host counts as reachable when it answers to that.

This module does not import Lava.

>>> find_host(BoardRequest(partition="oheogulch"))
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

GENERATIONS = ("N3B2", "N3B3", "N3C1", "N3D1")  # of Loihi 2, lava/utils/loihi.py ChipGeneration
GENERATION = "N3B3"  # Lava's default; "most Loihi 2 systems available to the INRC"
HOST_BINARY = "nxcore/bin/nx_driver_server"  # Lava's default
SINFO, PING = "sinfo", "ping"
ANSWER_LIMIT_S = 5.0
SSH_PORT = 22
# States of a node in which no job starts there, by how sinfo abbreviates them; a star is "does not
# respond". Nodes in use (alloc, mix, comp) are there: a job waits for them.
UNUSABLE = ("down", "drain", "drng", "fail", "maint", "unk", "inval", "futr", "pow")


@dataclass(frozen=True, kw_only=True)
class BoardRequest:
    """Which board is wanted; what is not named comes from the environment.

    Parameters
    ----------
    partition, board : str, optional
        Of SLURM; a board is a node.
    host : str, optional
        Address of a host with a board, without SLURM.
    generation : str, optional
        One of `GENERATIONS`.
    """

    partition: str | None = None
    board: str | None = None
    host: str | None = None
    generation: str | None = None

    def problem(self) -> str | None:
        """What cannot be meant, or None."""
        if self.host and (self.partition or self.board):
            return "a host is reached without SLURM: give --host, or --partition and --board"
        if self.generation and self.generation not in GENERATIONS:
            return f"generation {self.generation!r}: there are {', '.join(GENERATIONS)}"
        return None


@dataclass(frozen=True, kw_only=True)
class Host:
    """A way to a board.

    Parameters
    ----------
    kind : {"slurm", "ethernet"}
    partition, board : str or None
        Of SLURM; None lets SLURM choose.
    address : str or None
        Of an Ethernet host.
    generation : str
    binary : str
        The driver on an Ethernet host.
    """

    kind: Literal["slurm", "ethernet"]
    partition: str | None = None
    board: str | None = None
    address: str | None = None
    generation: str = GENERATION
    binary: str = HOST_BINARY

    @property
    def environment(self) -> dict[str, str]:
        """The variables that Lava's API sets for it."""
        if self.kind == "ethernet":
            wanted = {"NOSLURM": "1", "NXSDKHOST": self.address, "HOST_BINARY": self.binary}
        else:
            wanted = {"SLURM": "1", "PARTITION": self.partition, "BOARD": self.board}
        wanted["LOIHI_GEN"] = self.generation
        return {name: value for name, value in wanted.items() if value}

    def __str__(self) -> str:
        if self.kind == "ethernet":
            return f"host {self.address} ({self.generation})"
        where = [
            f"partition {self.partition}" if self.partition else "SLURM's default partition",
            f"board {self.board}" if self.board else "any board",
        ]
        return f"SLURM, {', '.join(where)} ({self.generation})"

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, "description": str(self), "environment": self.environment}


@dataclass(frozen=True)
class Obstacle:
    """Why no board is reached, and what to do about it."""

    reason: str
    next_step: str


@dataclass(frozen=True)
class Node:
    """A line of ``sinfo -N``: a node in one of its partitions."""

    name: str
    partition: str
    state: str

    @property
    def usable(self) -> bool:
        """Whether SLURM would start a job there, now or later."""
        state = self.state.lower()
        return "*" not in state and not state.startswith(UNUSABLE)


def intended_host(request: BoardRequest, environment: Mapping[str, str] | None = None) -> Host:
    """The host that a request and the environment mean, not checked."""
    environment = os.environ if environment is None else environment
    generation = request.generation or environment.get("LOIHI_GEN", GENERATION)
    address = request.host or environment.get("NXSDKHOST")
    by_slurm = request.partition or request.board or environment.get("SLURM") == "1"
    if address and (request.host or not by_slurm):
        binary = environment.get("HOST_BINARY", HOST_BINARY)
        return Host(kind="ethernet", address=address, generation=generation, binary=binary)
    named = bool(request.partition or request.board)
    return Host(
        kind="slurm",
        partition=request.partition or (None if named else environment.get("PARTITION")),
        board=request.board or (None if named else environment.get("BOARD")),
        generation=generation,
    )


def find_host(request: BoardRequest) -> Host | Obstacle:
    """The host that is meant, when it answers."""
    if problem := request.problem():
        return Obstacle(problem, "name one board in one way")
    host = intended_host(request)
    if host.generation not in GENERATIONS:
        return Obstacle(
            f"LOIHI_GEN={host.generation} is no generation of Loihi 2",
            f"set LOIHI_GEN to one of {', '.join(GENERATIONS)}",
        )
    obstacle = _ethernet_obstacle(host) if host.kind == "ethernet" else _slurm_obstacle(host)
    return obstacle or host


def _slurm_obstacle(host: Host) -> Obstacle | None:
    if not shutil.which(SINFO):
        return Obstacle(
            "neither SLURM (sinfo is not on PATH) nor NXSDKHOST leads to a board",
            "log in where SLURM is (on Intel's cloud, /nfs/ncl/bin belongs on PATH), or give the "
            "address of a host with a board: --host ADDRESS, or NXSDKHOST",
        )
    try:
        nodes, closed = read_nodes(), closed_partitions()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Obstacle(
            f"sinfo does not answer as it should: {_told(error)}",
            "run sinfo yourself; when it fails, ask whoever runs the cluster",
        )
    wanted = [
        node
        for node in nodes
        if host.partition in (None, node.partition) and host.board in (None, node.name)
    ]
    if not wanted:
        return Obstacle(
            f"SLURM knows no {_named(host)}; it has {_listed(nodes)}",
            "choose one of these with --partition or --board",
        )
    usable = [node for node in wanted if node.usable and node.partition not in closed]
    if usable:
        return None
    states = ", ".join(f"{node.name} is {_state(node, closed)}" for node in wanted[:6])
    others = [node for node in nodes if node.usable and node.partition not in closed]
    return Obstacle(
        f"SLURM has {_named(host)}, but {states}",
        f"choose another board: {_listed(others)}" if others else "try again when a board is up",
    )


def read_nodes() -> list[Node]:
    """Nodes as ``sinfo -N`` prints them, a line for each of a node's partitions."""
    return [
        Node(row["NODELIST"], row["PARTITION"].rstrip("*"), row["STATE"])
        for row in _table([SINFO, "-N"], ("NODELIST", "PARTITION", "STATE"))
    ]


def closed_partitions() -> set[str]:
    """Partitions that take no jobs, as ``sinfo`` prints them."""
    rows = _table([SINFO], ("PARTITION", "AVAIL"))
    return {row["PARTITION"].rstrip("*") for row in rows if row["AVAIL"] != "up"}


def _table(command: list[str], columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Lines of a table as mappings by its head; lines that are shorter than it are left out."""
    printed = subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=ANSWER_LIMIT_S
    ).stdout
    head, *lines = printed.splitlines() or [""]
    names = head.split()
    if missing := [column for column in columns if column not in names]:
        raise ValueError(f"no column {missing[0]} in {head.strip()!r}")
    rows = (line.split() for line in lines)
    return [dict(zip(names, row, strict=False)) for row in rows if len(row) >= len(names)]


def _told(error: Exception) -> str:
    """What a command that failed says about it, in a line."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {ANSWER_LIMIT_S:g} s"
    said = getattr(error, "stderr", None) or str(error)
    return said.strip().splitlines()[-1] if said.strip() else type(error).__name__


def _named(host: Host) -> str:
    names = [("board", host.board), ("partition", host.partition)]
    return " in ".join(f"{kind} {name!r}" for kind, name in names if name) or "node"


def _state(node: Node, closed: set[str]) -> str:
    return node.state if not node.usable else f"in partition {node.partition}, which is closed"


def _listed(nodes: list[Node]) -> str:
    listed = [f"{node.name} ({node.partition}, {node.state})" for node in nodes]
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more if listed else "no nodes"


def _ethernet_obstacle(host: Host) -> Obstacle | None:
    assert host.address
    if not shutil.which(PING):
        return Obstacle(
            f"NXSDKHOST leads to {host.address}, but there is no ping here, with which Lava asks "
            "whether a host is there",
            "install ping (on Debian and Ubuntu: iputils-ping)",
        )
    try:
        command = [PING, "-c", "1", host.address]
        subprocess.run(command, capture_output=True, check=True, timeout=ANSWER_LIMIT_S)
    except (OSError, subprocess.SubprocessError):
        if answers(host.address, SSH_PORT):
            return Obstacle(
                f"{host.address} answers on port {SSH_PORT} but not to ping, which Lava demands",
                "let the host answer to ping (ICMP echo)",
            )
        return Obstacle(
            f"{host.address} does not answer",
            "check the address, the power of the board and the network; 'ping "
            f"{host.address}' must succeed",
        )
    return None


def answers(address: str, port: int) -> bool:
    """Whether something listens at an address."""
    try:
        with socket.create_connection((address, port), timeout=ANSWER_LIMIT_S):
            return True
    except OSError:
        return False
