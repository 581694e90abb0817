"""The forms of an encoder that stand side by side: features of every window, by form.

    ann_float32      the encoder as it was trained
    ann_int8         weights of 8 bits per output channel, activations of 8 bits per layer
    ann_quantised    the activations that graded messages can stand for, weights in floats
    spiking_float    messages over steps, weights in floats
    spiking_integer  messages and weights as on the chip, see ``spikeface.steps.conversion.chip``

The 8-bit network is simulated in floats: batch norms are folded, every weight is a multiple of
``max|w| / 127`` of its output channel, every activation a multiple of ``max|a| / 127`` (255 behind
a ReLU) of its layer on calibration images; sums and biases are exact, as in 32 bits.

>>> features_of(encoder, windows).shape
torch.Size([96, 128])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from conversion.images import WindowImages
from conversion.spiking import SpikingEncoder
from conversion.spiking.calibrate import largest_activations
from conversion.spiking.converter import InputCode
from conversion.spiking.graph import Activation, Network, Operation, Weighted
from conversion.spiking.trace import trace
from spikeface.progress import progress_bar
from spikeface.steps.conversion.source import BATCH, Source, stacked

LIMIT_8 = 127  # of a signed number of 8 bits
LIMIT_8_UNSIGNED = 255


def input_code(bits: int) -> InputCode:
    """Whole numbers for images in [-1, 1]; with 8 bits those of files are exact."""
    return InputCode(bits=bits, scale=1 / ((1 << bits) - 1))


def features_of(
    encoder: nn.Module | Network, windows: WindowImages, code: InputCode | None = None
) -> torch.Tensor:
    """Features ``[n_windows, F]`` of an artificial encoder, float64 where it is a ``Network``.

    Parameters
    ----------
    encoder : Module or Network
    windows : WindowImages
    code : InputCode, optional
        How a ``Network`` sees images.
    """
    parts = []
    with torch.no_grad():
        for batch in stacked(windows).split(BATCH):
            if isinstance(encoder, Network):
                seen = code.quantised(batch.double()) if code else batch.double()
                found = encoder(seen)[encoder.output]
            else:
                found = encoder(batch)
            parts.append(found.flatten(1))
    return torch.cat(parts)


def int8_network(encoder: nn.Module, calibration: torch.Tensor) -> Network:
    """The encoder with weights and activations of 8 bits.

    Parameters
    ----------
    encoder : Module
    calibration : Tensor of shape (N, 3, S, S)
        What activations are calibrated on.
    """
    network, _ = trace(encoder, calibration)
    ranges = largest_activations(network, calibration.double(), covered=1.0)
    nodes = tuple(_of_8_bits(node, ranges) for node in network.nodes)
    return replace(network, nodes=nodes)


def spiking_features(
    spiking: SpikingEncoder, windows: WindowImages, what: str
) -> tuple[torch.Tensor, ...]:
    """Features after each step, each ``[n_windows, F]``.

    The windows of a recording are one stream for a sigma-delta network, which answers after each;
    there it is one tensor.
    """
    found: list[torch.Tensor] = []
    places: list[torch.Tensor] = []
    with progress_bar(len(windows), what, "image") as advance:
        for batch, place in batches(windows, spiking.code == "sigma_delta"):
            features = spiking.run(batch)
            if spiking.code == "sigma_delta":  # [T, R, F] to the windows of the recordings
                features = features.transpose(0, 1).flatten(0, 1)[None]
            found.append(features)
            places.append(place)
            advance(len(place))
    order = torch.cat(places).argsort()
    return tuple(torch.cat(found, dim=1)[:, order])


def largest_delta(
    source: Source,
    converted: Callable[[float], SpikingEncoder],
    deltas: Sequence[float],
    kept: float,
) -> float:
    """The largest threshold of changes with which validation recordings are answered as well.

    Parameters
    ----------
    source : Source
    converted : callable
        The sigma-delta network of a threshold.
    deltas : sequence of float
        Ascending; the first is taken where none keeps the accuracy.
    kept : float
        Share of the float encoder's accuracy that is enough.
    """
    windows = source.windows("validation")
    needed = kept * source.accuracy(windows, features_of(source.network.encoder, windows))
    for delta in reversed(deltas[1:]):
        (features,) = spiking_features(converted(delta), windows, f"validation, from {delta:g}")
        if source.accuracy(windows, features) >= needed:
            return delta
    return deltas[0]


def batches(
    windows: WindowImages, streams: bool, size: int = BATCH
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Images to be run together, and the number of the window of each.

    Parameters
    ----------
    windows : WindowImages
    streams : bool
        Whether images are ``[R, T, 3, S, S]``, the windows of `R` recordings of one length in the
        order of time, else ``[N, 3, S, S]``.
    """
    images = stacked(windows)
    if not streams:
        return list(zip(images.split(size), torch.arange(len(images)).split(size), strict=True))
    recordings = torch.from_numpy(windows.recordings)
    lengths = torch.bincount(recordings, minlength=windows.n_recordings)
    found = []
    for length in lengths.unique().tolist():
        for chosen in (lengths == length).nonzero()[:, 0].split(max(1, size // length)):
            place = torch.isin(recordings, chosen).nonzero()[:, 0]
            found.append((images[place].unflatten(0, (len(chosen), length)), place))
    return found


def _of_8_bits(node: Operation, ranges: dict[str, torch.Tensor]) -> Operation:
    if isinstance(node, Activation):
        levels = LIMIT_8 if node.negative_slope else LIMIT_8_UNSIGNED
        return replace(node, lam=ranges[node.name].double(), levels=levels)
    if isinstance(node, Weighted):
        largest = node.weight.abs().flatten(1).amax(1).clamp_min(1e-30)
        scale = (largest / LIMIT_8).reshape(-1, *(1,) * (node.weight.dim() - 1))
        return replace(node, weight=torch.round(node.weight / scale) * scale)
    return node
