"""The sections of a configuration that say where data come from and how they reach a network.

>>> FramesConfig(kind="time_bins", n_bins=10).size
(0, 0)
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from snn.events.datasets import DATASETS
from spikeface.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings train, validate and test.

    Parameters
    ----------
    dataset : str
        A set of ``snn.events.datasets``: ckplus-dvs, adfes-dvs, casia-dvs, mmi-dvs, eckplus,
        nefer, faces or folder.
    root : str
        Its folder; of ``faces`` the file.
    protocol : {"", "strict", "authors"}
        ``strict`` is a k-fold by subject, ``authors`` the split that came with the set. Empty:
        the subject-disjoint splits that faces were rendered with, ``strict`` for any other set.
    fold, n_folds : int
    cache : str
        Folder in which plain frames are kept from run to run; empty keeps them in memory.
    baselines : bool
        Whether to read all recordings once for the two trivial classifiers.
    time_unit, labels, subject_pattern : str
        Options of ``eckplus`` (s, ms, us, ns), ``nefer`` (expected, reported) and ``folder``.
    videos : str
        Of ``eckplus``, for images only: the folder of CK+ that holds ``S005/001/*.png``. It
        gives the true faces of a reconstruction, and the face boxes of all images.
    """

    dataset: str = "faces"
    root: str = ""
    protocol: Literal["", "strict", "authors"] = ""
    fold: int = 0
    n_folds: int = 10
    cache: str = ""
    baselines: bool = True
    time_unit: str = ""
    labels: str = ""
    subject_pattern: str = ""
    videos: str = ""

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            near = difflib.get_close_matches(self.dataset, DATASETS, n=1)
            raise ConfigError(
                f"[data] dataset must be one of {', '.join(DATASETS)}, got {self.dataset!r}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        if self.fold < 0 or self.n_folds < 3:
            raise ConfigError(
                f"[data] fold must be 0 or more and n_folds at least 3, got {self.fold} and "
                f"{self.n_folds}"
            )

    @property
    def has_own_splits(self) -> bool:
        """Whether the splits are those that faces were rendered with."""
        return self.dataset == "faces" and not self.protocol


@dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """How a clip becomes what the network sees: ``n_bins`` binary frames, one per time step.

    Parameters
    ----------
    kind : {"time_bins", "spiking_fer"}
        Equal parts of the clip's time; or the central slices of `events_per_frame` events.
    n_bins, events_per_frame : int
    size : tuple of int
        ``(width, height)`` of the frames, zeros for the sensor's. Time bins scale the addresses of
        events and lose none; the slices of Spiking-FER leave out pixels (nearest neighbour).
    """

    kind: Literal["time_bins", "spiking_fer"] = "time_bins"
    n_bins: int = 10
    events_per_frame: int = 2500
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if not 1 <= self.n_bins <= 1000:
            raise ConfigError(f"[frames] n_bins must lie in [1, 1000], got {self.n_bins}")
        if self.events_per_frame < 1:
            raise ConfigError(
                f"[frames] events_per_frame must be at least 1, got {self.events_per_frame}"
            )
        if self.size != (0, 0) and not all(1 <= n <= 4096 for n in self.size):
            raise ConfigError(
                f"[frames] size is a width and a height from 1 to 4096, or [0, 0] for those of "
                f"the sensor, got {list(self.size)}"
            )


@dataclass(frozen=True, kw_only=True)
class LavaConfig:
    """What runs on Lava's CPU simulator: ``samples`` test clips within ``timeout_s`` seconds."""

    samples: int = 8
    timeout_s: float = 240.0

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.timeout_s > 0:
            raise ConfigError(
                "[lava] samples must be at least 1 and timeout_s above 0, "
                f"got {self.samples} and {self.timeout_s}"
            )
