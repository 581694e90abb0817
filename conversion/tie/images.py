"""TIE: the events of one video frame as a colour image that shows when each pixel was active.

For each event of a window, polarity p and bin i = 0..8:

    grid[p, i, y, x] += A·K(B - i/8)         t in seconds, t0 = (t - t_first) / (t_last - t_first)

    variant   t_t   t_t0   t0_t   t0_t0
    A          t     t      t0     t0
    B          t     t0     t      t0

The 18 planes (all of OFF, then all of ON) are summed by sixes: red is OFF 0-5, green OFF 6-8 and
ON 0-2, blue ON 3-8. Each channel is stretched from its 1st to its 99th percentile and cut off.

The unit of t matters where A or B is t, and it is the second. In microseconds every bin of an event
would get the same 0.0654·A·t (K far out). A recording's own t counts, as it is: one that starts
long after 0 has a brighter middle, so give recordings that start near 0 when B is t.

The ``published`` path makes the stretched image 8 bit (rounded down) and stores it as a JPEG. The
published arrays are upside down, and the images are turned by 180° before they are stored; that
is `upside_down` here, with either path, and off because our recordings are upright.

Source: uoh-rislab/event-camera_classifiers, ``uoh_event_representation_learning_images``; see
``kernel`` for EST.

>>> tie_image(recording.events, sensor_size=(346, 260), config=TIEConfig()).shape
(3, 260, 346)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from conversion.tie.jpeg import through_jpeg
from conversion.tie.kernel import N_BINS, Kernel, kernel_lines
from conversion.tie.scatter import scatter_events, stretch_image
from conversion.tie.windows import frame_windows
from snn.errors import EventFormatError
from snn.events.frames.counts import MAX_FRAME_BYTES
from snn.events.recording import Recording

Variant = Literal["t_t", "t_t0", "t0_t", "t0_t0"]
CHANNELS = 3
LOW_PERCENT, HIGH_PERCENT = 1.0, 99.0
GRID_PLANES = np.arange(2 * N_BINS).reshape(2, N_BINS)
CHANNEL_PLANES = GRID_PLANES // (2 * N_BINS // CHANNELS)


@dataclass(frozen=True, kw_only=True)
class TIEConfig:
    """How events become TIE images.

    Parameters
    ----------
    variant : {"t_t", "t_t0", "t0_t", "t0_t0"}
        A, then B.
    kernel : {"est", "trilinear"}
        See ``kernel_lines``.
    path : {"direct", "published"}
        The stretched image itself, or what is left of it after 8 bits and JPEG.
    upside_down : bool
        Whether the recordings are upside down, as the arrays of e-CK+; their images are turned by
        180°.
    frame_rate_hz : float
        One window a video frame.

    Raises
    ------
    EventFormatError
        For a name or a rate that is not allowed.
    """

    variant: Variant = "t0_t0"
    kernel: Kernel = "est"
    path: Literal["direct", "published"] = "direct"
    upside_down: bool = False
    frame_rate_hz: float = 30.0

    def __post_init__(self) -> None:
        allowed = {"variant": Variant, "kernel": Kernel, "path": Literal["direct", "published"]}
        for name, names in allowed.items():
            if getattr(self, name) not in get_args(names):
                raise EventFormatError(
                    f"[images] {name} must be one of {', '.join(get_args(names))}, "
                    f"got {getattr(self, name)!r}"
                )
        if not 0 < self.frame_rate_hz <= 1e6:
            raise EventFormatError(
                f"[images] frame_rate_hz must lie in (0, 1e6], got {self.frame_rate_hz}"
            )


def tie_grid(
    events: np.ndarray, *, sensor_size: tuple[int, int], variant: Variant, kernel: Kernel
) -> np.ndarray:
    """The 18 planes of one window.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
        Those of the window, in order. Without a duration all of t0 is 0.
    sensor_size : tuple of int
        ``(width, height)``.
    variant, kernel : str
        As in `TIEConfig`.

    Returns
    -------
    ndarray of float32, shape (2, 9, H, W)
        OFF, then ON. Times and kernel in double precision, sums in single.

    Raises
    ------
    EventFormatError
        For events that are not those of a `Recording`.
    """
    planes = _planes(_window(events, sensor_size), variant, kernel, GRID_PLANES)
    return planes.reshape(2, N_BINS, *planes.shape[2:])


def fold_channels(grid: np.ndarray) -> np.ndarray:
    """Sum the 18 planes by sixes: ``[2, 9, H, W]`` to ``[3, H, W]``, red, green, blue."""
    return grid.reshape(CHANNELS, -1, *grid.shape[2:]).sum(1)


def stretch(image: np.ndarray) -> np.ndarray:
    """Map each channel from its 1st and 99th percentile to 0 and 1, and cut off the rest.

    A percentile q is the value of rank ``1 + round(q/100·(n - 1))`` of the n pixels in order; there
    is no interpolation (as in EST). Where both are the same value, what is above it becomes 1 and
    the rest 0, so a constant channel is 0. This is what the published division by zero comes to:
    windows with so few events that 99 % of a channel is empty.

    Parameters
    ----------
    image : ndarray of float, shape (C, H, W)

    Returns
    -------
    ndarray of float32 in [0, 1], same shape
        A new array.
    """
    stretched = np.array(image, np.float32, order="C")
    _stretch(stretched)
    return stretched


def tie_image(events: np.ndarray, *, sensor_size: tuple[int, int], config: TIEConfig) -> np.ndarray:
    """The image of one window.

    Parameters
    ----------
    events : ndarray of shape (n_events,), dtype ``EVENT_DTYPE``
        Those of the window, in order; none give a black image.
    sensor_size : tuple of int
        ``(width, height)``.
    config : TIEConfig

    Returns
    -------
    ndarray of float32 in [0, 1], shape (3, H, W)

    Raises
    ------
    EventFormatError
        For events that are not those of a `Recording`.
    """
    recording = _window(events, sensor_size)
    return _finish(_planes(recording, config.variant, config.kernel, CHANNEL_PLANES), config)[0]


def tie_images(
    recording: Recording, config: TIEConfig, *, start_us: int | None = None
) -> np.ndarray:
    """The images of all windows of a recording; see ``frame_windows``.

    Parameters
    ----------
    recording : Recording
    config : TIEConfig
    start_us : int, optional
        Where window 0 begins; default the first event.

    Returns
    -------
    ndarray of float32 in [0, 1], shape (n_windows, 3, H, W)

    Raises
    ------
    EventFormatError
        When there are too many windows for memory.
    """
    times = recording.events["t"]
    windows = frame_windows(times, frame_rate_hz=config.frame_rate_hz, start_us=start_us)
    planes = _planes(recording, config.variant, config.kernel, CHANNEL_PLANES, windows)
    return _finish(planes, config)


def _window(events: np.ndarray, sensor_size: tuple[int, int]) -> Recording:
    """A checked recording: the compiled loops look at no bounds."""
    return Recording(events, sensor_size, source="window")


def _planes(
    recording: Recording,
    variant: Variant,
    kernel: Kernel,
    plane_of: np.ndarray,
    windows: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Planes of each window; without windows, of all events as one: float32 [L, planes, H, W]."""
    if variant not in get_args(Variant):
        raise EventFormatError(
            f"unknown variant {variant!r}; choose one of {', '.join(get_args(Variant))}"
        )
    starts, ends = windows or (np.zeros(1, np.int64), np.full(1, len(recording), np.int64))
    width, height = recording.sensor_size
    shape = (len(starts), int(plane_of.max()) + 1, height, width)
    needed = 4 * shape[0] * shape[1] * height * width
    if needed > MAX_FRAME_BYTES:
        raise EventFormatError(
            f"{recording.source}: {len(starts)} windows of {width}×{height} pixels need "
            f"{needed / 2**30:.1f} GiB, more than {MAX_FRAME_BYTES >> 30} GiB; make the images "
            "one by one, or of a crop"
        )
    planes: np.ndarray = np.zeros(shape, np.float32)
    factor, place = variant.split("_")
    scatter_events(
        recording.events, starts, ends, factor == "t0", place == "t0",
        kernel_lines(kernel), plane_of, planes,
    )  # fmt: skip
    return planes


def _finish(planes: np.ndarray, config: TIEConfig) -> np.ndarray:
    """Stretch in place, turn and, on the published path, store."""
    for image in planes:
        _stretch(image)
    turned = planes[:, :, ::-1, ::-1] if config.upside_down else planes
    if config.path == "direct":
        return np.ascontiguousarray(turned)
    for image in turned:
        image[:] = through_jpeg((image * np.float32(255)).astype(np.uint8)) / np.float32(255)
    return np.ascontiguousarray(turned)


def _stretch(image: np.ndarray) -> None:
    """`stretch` in place, of a contiguous float32 ``[C, H, W]``."""
    pixels = image.reshape(len(image), -1)
    last = pixels.shape[1] - 1
    stretch_image(pixels, round(0.01 * LOW_PERCENT * last), round(0.01 * HIGH_PERCENT * last))
