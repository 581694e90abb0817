"""One image of all events of a recording: the representations of the evTransFER authors' code.

    ACC      background 128; the last event of a pixel makes it 255 (ON) or 0 (OFF)
    signed   127, but 255 where ON events outnumber OFF events and 0 where it is the other way
    SAE      ⌊(s_off + s_on) / 2⌋,  s_p = 255·(t - t_min) / (t_max - t_min + 1), t a pixel's last
    TBR      Σ_k 2^(N-1-k) · b_k,   b_k = 1 where bin k of N has an event: oldest bin highest bit
    TQR      b_k for each polarity
    Tencode  white, but (255, g, 0) for ON and (0, g, 255) for OFF,
             g = ⌊255·(t_max - t) / (t_max - t_min)⌋
    BEHI     255 where any event fell

The bins of TBR and TQR are equally spaced from the first to the last event. Images of a moving
window come from `OverWindows`. The authors keep channels last; here they come first.

Sources: uoh-rislab (ACC) and ibugueno/event-based_datasets (the others). TBR: S. Innocenti et al.,
"Temporal Binary Representation for Event-Based Action Recognition", ICPR 2020; Tencode: Z. Huang
et al., "Eventpoint: Self-Supervised Interest Point Detection and Description for Event-based
Camera", WACV 2023.

>>> temporal_binary_image(recording).shape
(200, 200)
"""

from __future__ import annotations

import numpy as np

from snn.events.frames.counts import slice_frames, stretch_tables
from snn.events.frames.kernels import add_to_voxels, count_slices, first_at, latest_index
from snn.events.frames.slices import time_bins
from snn.events.recording import Recording

BITS = 8  # of a grey value
EMPTY_SAE = 127  # what the authors' SAE is without any event, though its background is 0


def accumulated_polarity(recording: Recording) -> np.ndarray:
    """ACC: the polarity of the last event of each pixel.

    Returns
    -------
    ndarray of uint8, shape (H, W)
    """
    off, on = _latest(recording)
    image = np.full(off.shape, 128, np.uint8)
    image[on > off] = 255
    image[off > on] = 0
    return image


def signed_sum(recording: Recording) -> np.ndarray:
    """Sign of the number of ON minus OFF events of each pixel.

    Returns
    -------
    ndarray of uint8, shape (H, W)
    """
    width, height = recording.sensor_size
    counts: np.ndarray = np.zeros((1, 2, height, width), np.uint32)
    starts, ends = np.zeros(1, np.int64), np.full(1, len(recording), np.int64)
    count_slices(recording.events, starts, ends, None, None, len(recording), counts)
    off, on = counts[0]
    image = np.full(off.shape, 127, np.uint8)
    image[on > off] = 255
    image[off > on] = 0
    return image


def active_surface(recording: Recording) -> np.ndarray:
    """SAE, the surface of active events: how late each pixel was last active, mean of polarities.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        127 everywhere without any event, as in the authors' code; otherwise 0 is the background.
    """
    latest = _latest(recording)
    if not len(recording):
        return np.full(latest.shape[1:], EMPTY_SAE, np.uint8)
    times = recording.events["t"]
    lateness = (times[latest] - times[0]) / (recording.duration_us + 1) * 255.0
    surface = np.where(latest >= 0, lateness, 0).astype(np.float32)
    return (0.5 * surface[1] + 0.5 * surface[0]).astype(np.uint8)


def temporal_quaternary(
    recording: Recording, n_bins: int = BITS, size: tuple[int, int] | None = None
) -> np.ndarray:
    """TQR: where each polarity was active in each bin.

    Parameters
    ----------
    recording : Recording
    n_bins : int
    size : tuple of int, optional
        ``(width, height)`` to which pixel addresses are scaled and rounded down.

    Returns
    -------
    ndarray of uint8 in {0, 1}, shape (n_bins, 2, H, W)
        Channel 0 OFF, 1 ON; the authors' axes are (H, W, n_bins, 2).
    """
    slices = time_bins(recording.events, n_bins)
    tables = stretch_tables(recording.sensor_size, size) if size else None
    return slice_frames(recording, slices, binary=True, size=size, tables=tables)


def temporal_binary(
    recording: Recording, n_bins: int = BITS, size: tuple[int, int] | None = None
) -> np.ndarray:
    """TBR as a tensor: where anything was active in each bin.

    Returns
    -------
    ndarray of uint8 in {0, 1}, shape (n_bins, H, W)
        The authors' axes are (H, W, n_bins). Parameters as in `temporal_quaternary`.
    """
    active = temporal_quaternary(recording, n_bins, size)
    return active[:, 0] | active[:, 1]


def temporal_binary_image(recording: Recording, n_bins: int = BITS) -> np.ndarray:
    """TBR as an image: the bins are the bits of a grey value, the oldest the highest.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    ValueError
        For more than 8 bins.
    """
    if n_bins > BITS:
        raise ValueError(f"a grey value holds at most {BITS} bins, got {n_bins}; use the tensor")
    bits = np.packbits(temporal_binary(recording, n_bins), axis=0)[0]
    return bits >> np.uint8(BITS - n_bins)


def temporal_binary_images(recording: Recording, *, bin_us: int, n_bins: int = BITS) -> np.ndarray:
    """TBR of a stream: consecutive bins of a fixed duration, `n_bins` of them an image.

    Time starts at the first event; a last image that is not whole is left out. NEFER has 8 bins of
    15 ms, FACEMORPHIC 8 bins of 4 ms.

    Returns
    -------
    ndarray of uint8, shape (n_images, H, W)

    Raises
    ------
    ValueError
        For 0 or more than 8 bins, or bins shorter than a microsecond.
    """
    if not 1 <= n_bins <= BITS or bin_us < 1:
        raise ValueError(
            f"{n_bins} bins of {bin_us} µs; an image holds 1 to {BITS} bins of at least 1 µs"
        )
    events = recording.events
    n_images = recording.duration_us // (bin_us * n_bins)
    if not n_images:
        return np.zeros((0, *recording.sensor_size[::-1]), np.uint8)
    begin = int(events["t"][0]) + bin_us * np.arange(n_images * n_bins)
    slices = first_at(events, begin), first_at(events, begin + bin_us)
    frames = slice_frames(recording, slices, binary=True)
    active = (frames[:, 0] | frames[:, 1]).reshape(n_images, n_bins, *frames.shape[2:])
    bits = np.packbits(active, axis=1)
    return bits.reshape(n_images, *frames.shape[2:]) >> np.uint8(BITS - n_bins)


def tencode(recording: Recording, *, newest_wins: bool = False) -> np.ndarray:
    """Tencode: polarity in red and blue, age in green.

    Parameters
    ----------
    recording : Recording
    newest_wins : bool
        A pixel with both polarities shows its last event. In the authors' code, the default, it
        shows its last OFF event.

    Returns
    -------
    ndarray of uint8, shape (3, H, W)
        Red, green, blue; the authors' axes are (H, W, 3).
    """
    off, on = _latest(recording)
    image = np.full((3, *off.shape), 255, np.uint8)
    if not len(recording):
        return image
    show_off = (off >= 0) & (off > on) if newest_wins else off >= 0
    show_on = (on >= 0) & ~show_off
    times = recording.events["t"]
    age = (times[-1] - times) / max(recording.duration_us, 1) * 255
    image[1] = np.where(show_off | show_on, age[np.where(show_off, off, on)], 255).astype(np.uint8)
    image[0][show_off], image[2][show_on] = 0, 0
    return image


def binary_history(recording: Recording) -> np.ndarray:
    """BEHI, the binary event history image.

    Returns
    -------
    ndarray of uint8 in {0, 255}, shape (H, W)
    """
    return (_latest(recording).max(axis=0) >= 0) * np.uint8(255)


def voxel_grid(recording: Recording, n_bins: int) -> np.ndarray:
    """Sum of polarities (±1), each event shared between the two bins around its time.

    With ``τ = n_bins · (t - t_first) / (t_last - t_first)`` and ``k = ⌊τ⌋``, bin ``k`` gets
    ``1 - (τ - k)`` and bin ``k + 1`` gets ``τ - k``, where these bins exist: tonic's ToVoxelGrid,
    after A. Z. Zhu et al., "Unsupervised Event-based Learning of Optical Flow, Depth, and
    Egomotion", CVPR 2019, where the factor is ``n_bins - 1`` and so no share is lost.

    Returns
    -------
    ndarray of float32, shape (n_bins, 1, H, W)
        Summed in double precision. Without a duration everything is in bin 0.

    Raises
    ------
    ValueError
        For less than one bin.
    """
    if n_bins < 1:
        raise ValueError(f"there must be at least one bin, got {n_bins}")
    width, height = recording.sensor_size
    voxels: np.ndarray = np.zeros((n_bins, height, width))
    if len(recording):
        add_to_voxels(recording.events, float(recording.duration_us or 1), voxels)
    return voxels[:, None].astype(np.float32)


def _latest(recording: Recording) -> np.ndarray:
    """Index of the last event per polarity and pixel, -1 without one: int64 ``[2, H, W]``."""
    width, height = recording.sensor_size
    latest: np.ndarray = np.full((2, height, width), -1, np.int64)
    latest_index(recording.events, latest)
    return latest
