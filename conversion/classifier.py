"""The classifier of evTransFER: an encoder for each image, an LSTM over them, a small head.

    features_l = encoder(image_l)                          [N, L, F],  F = 512 as published
    h          = LSTM(features)_L, its last step           [N, 512],   or features_1 without one
    logits     = W2 dropout(ReLU(W1 h + b1)) + b2          256 hidden units

Source: the public code of evTransFER (arXiv 2508.03609). LSTM and head are drawn before a scratch
encoder: under one seed they start equal in every mode.

>>> config = TransferConfig(mode="scratch", width=8, window=3, lstm_layers=1)
>>> classifier = build_classifier(config, size=64, n_classes=7)
>>> classifier(torch.zeros(2, 3, 3, 64, 64)).scores.shape
torch.Size([2, 7])
"""

from __future__ import annotations

import torch
from torch import nn

from conversion.encoder import MULTIPLES, Encoder
from conversion.transfer import TransferConfig
from snn.errors import ModelError
from snn.models import Network, Response
from snn.models.network import Readout


class EvTransFER(Network):
    """An encoder, an optional LSTM and a head; made by ``build_classifier``.

    Parameters
    ----------
    config : TransferConfig
    encoder : Encoder
    lstm : LSTM, optional
    head : Module
        From the features of one image, or the last state of the LSTM, to logits.
    """

    def __init__(
        self, config: TransferConfig, encoder: Encoder, lstm: nn.LSTM | None, head: nn.Module
    ) -> None:
        super().__init__()
        self.config, self.encoder, self.lstm, self.head = config, encoder, lstm, head
        self.encoder.requires_grad_(not self.is_frozen)  # frozen, nothing goes back through it

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder keeps the weights it came with."""
        return self.config.mode == "frozen"

    @property
    def readout(self) -> Readout:
        """See ``Network.readout``."""
        return "logits"

    @property
    def needs_preparation(self) -> bool:
        """No: running statistics are those of the encoder, or torch's initial ones."""
        return False

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """See ``Network.parameter_groups``; a frozen encoder is not in it."""
        encoder = list(self.encoder.parameters())
        rest = [p for part in (self.lstm, self.head) if part for p in part.parameters()]
        return {
            "scratch": [(encoder + rest, 1.0)],
            "frozen": [(rest, 1.0)],
            "finetune": [(encoder, self.config.encoder_factor), (rest, 1.0)],
        }[self.config.mode]

    def train(self, mode: bool = True) -> EvTransFER:
        """As torch's; the statistics of a frozen encoder stay those it came with, on request."""
        super().train(mode)
        if self.is_frozen and self.config.frozen_statistics:
            self.encoder.eval()
        return self

    def forward(self, frames: torch.Tensor) -> Response:
        """Logits of clips ``[N, L, 3, S, S]`` in [-1, 1], L the configuration's window.

        Raises
        ------
        ModelError
            For another number of images; the encoder checks their size.
        """
        if frames.dim() != 5 or frames.shape[1] != self.config.window:
            raise ModelError(
                f"clips of shape {tuple(frames.shape)}; this network takes [N, "
                f"{self.config.window}, 3, {self.encoder.size}, {self.encoder.size}]"
            )
        features = self.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        state = self.lstm(features)[0][:, -1] if self.lstm else features[:, 0]
        return Response(self.head(state), {})


def build_classifier(
    config: TransferConfig, *, size: int, n_classes: int, encoder: Encoder | None = None
) -> EvTransFER:
    """A classifier of a configuration; what is not transferred is drawn from torch's generator.

    Parameters
    ----------
    config : TransferConfig
    size : int
        Of the images in pixels.
    n_classes : int
    encoder : Encoder, optional
        What ``transferred_encoder`` found: None for scratch. It becomes part of the classifier.

    Raises
    ------
    ModelError
        For a mode and an encoder that do not belong together, or an encoder of another size.
    """
    if (encoder is None) != (config.mode == "scratch"):
        raise ModelError(
            f"[transfer] mode = {config.mode!r} "
            + ("draws its encoder and takes over none" if encoder else "needs an encoder")
        )
    if encoder and encoder.size != size:
        raise ModelError(f"images of {size} pixels; the encoder takes {encoder.size}")
    n_features = encoder.n_features if encoder else MULTIPLES[-1] * config.width
    lstm = None
    if config.lstm_layers:
        lstm = nn.LSTM(n_features, config.lstm_hidden, config.lstm_layers, batch_first=True)
    head = nn.Sequential(
        nn.Linear(config.lstm_hidden if lstm else n_features, config.head_hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.head_hidden, n_classes),
    )
    return EvTransFER(config, encoder or Encoder(size=size, width=config.width), lstm, head)
