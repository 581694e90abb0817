"""How a reconstruction's encoder becomes part of a classifier, and where it is found.

    scratch    the encoder is drawn anew            all at learning rate r
    frozen     the transferred one, as it is        LSTM and head at r
    finetune   the transferred one, trained on      LSTM and head at r, encoder at encoder_factor r

Published, Adam throughout: r = 1e-3 for scratch and frozen; r = 1e-4 and a factor of 0.1 for
finetune. Source: the public code of evTransFER (arXiv 2508.03609), where frozen is "linear".

>>> TransferConfig(mode="frozen", window=3, lstm_layers=3).encoder_factor
0.1
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conversion.encoder import About, Encoder, load_encoder
from snn.errors import ModelError

KEPT_NAME = re.compile(r"encoder-epoch(\d+)\.pt")
KEPT_FOLDER = "encoders"  # of a reconstruction run


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """A classifier and what it takes over.

    Parameters
    ----------
    mode : {"scratch", "frozen", "finetune"}
    encoder : str
        A reconstruction run, a folder of its encoders, or one encoder file. ``scratch`` does not
        read it.
    epoch : int
        Which of the encoders in a folder, by the epochs it had; -1 is the last, 0 the one before
        training, against which one sees what training brought. Published: 80 without an LSTM, 100
        with one.
    width : int
        Channels of the first level of a scratch encoder; others have that of their file.
    window : int
        Consecutive images that make a clip; published: 1, or 3 with an LSTM.
    lstm_layers, lstm_hidden : int
        0 layers put the head on the features of a single image. Published: 3 layers of 512.
    head_hidden : int
    dropout : float
        Before the last layer.
    encoder_factor : float
        What finetune multiplies the learning rate of the encoder with.
    frozen_statistics : bool
        Whether a frozen encoder keeps its running statistics of batch normalisation too. False is
        published behaviour: they go on moving, and the encoder normalises by the batch while the
        head is trained.
    label_share : float
        Share of the training recordings whose labels are used, in (0, 1].

    Raises
    ------
    ModelError
        Naming every value that is out of range.
    """

    mode: Literal["scratch", "frozen", "finetune"] = "finetune"
    encoder: str = ""
    epoch: int = -1
    width: int = 64
    window: int = 1
    lstm_layers: int = 0
    lstm_hidden: int = 512
    head_hidden: int = 256
    dropout: float = 0.5
    encoder_factor: float = 0.1
    frozen_statistics: bool = True
    label_share: float = 1.0

    def __post_init__(self) -> None:
        lowest = {"epoch": -1, "width": 1, "window": 1, "lstm_layers": 0, "lstm_hidden": 1}
        lowest["head_hidden"] = 1
        problems = [
            f"{name} must be at least {low}, got {getattr(self, name)}"
            for name, low in lowest.items()
            if not getattr(self, name) >= low
        ]
        modes = ("scratch", "frozen", "finetune")
        if self.mode not in modes:
            problems.append(f"mode must be one of {', '.join(modes)}, got {self.mode!r}")
        if not 0 <= self.dropout < 1:
            problems.append(f"dropout must lie in [0, 1), got {self.dropout}")
        if not 0 < self.label_share <= 1:
            problems.append(f"label_share must lie in (0, 1], got {self.label_share}")
        if not (self.encoder_factor > 0 and math.isfinite(self.encoder_factor)):
            problems.append(f"encoder_factor must be above 0, got {self.encoder_factor}")
        if self.window > 1 and not self.lstm_layers:
            problems.append(
                f"window = {self.window} images need an LSTM to become one answer; set "
                "lstm_layers = 3, or window = 1"
            )
        if problems:
            raise ModelError("[transfer] " + "; ".join(problems))


def encoder_path(config: TransferConfig) -> Path:
    """The encoder file that a configuration means.

    Raises
    ------
    ModelError
        When it names none, or one that is not there; the message lists those that are.
    """
    if not config.encoder:
        raise ModelError(
            f"[transfer] mode = {config.mode!r} needs an encoder; set transfer.encoder to a "
            "reconstruction run or an encoder file, or mode = 'scratch'"
        )
    path = Path(config.encoder)
    if path.is_file():
        return path
    kept = _kept_encoders(path / KEPT_FOLDER) or _kept_encoders(path)
    if not kept:
        raise ModelError(
            f"{path}: neither an encoder file nor a folder with encoder-epoch010.pt or the like in "
            f"it or its {KEPT_FOLDER}/; make one with a run of task = 'reconstruction'"
        )
    epoch = max(kept) if config.epoch < 0 else config.epoch
    if epoch not in kept:
        raise ModelError(
            f"{path}: keeps no encoder of epoch {epoch}; set transfer.epoch to one of "
            f"{', '.join(map(str, sorted(kept)))}, or -1 for the last"
        )
    return kept[epoch]


def _kept_encoders(folder: Path) -> dict[int, Path]:
    """Encoder files of a folder by epoch; empty where there is no folder."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {int(m[1]): f for f in files if (m := KEPT_NAME.fullmatch(f.name))}


def transferred_encoder(config: TransferConfig, *, size: int) -> tuple[Encoder | None, About]:
    """The encoder that a classifier of images of `size` pixels starts from, and what it says of
    itself; None for scratch.

    Raises
    ------
    ModelError
        When there is none, its file is damaged, or it is for images of another size.
    """
    if config.mode == "scratch":
        return None, {}
    path = encoder_path(config)
    encoder, about = load_encoder(path)
    if encoder.size != size:
        raise ModelError(
            f"{path}: an encoder of images of {encoder.size} pixels, and these have {size}; set "
            f"images.size = {encoder.size}, or take another encoder"
        )
    return encoder, about
