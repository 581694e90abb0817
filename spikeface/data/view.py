"""A recording as pictures: a strip with the event rate below, or a moving picture.

A picture shows the events of an interval: ON and OFF in two colours, the more the stronger. The
recording comes in chunks, so it may be larger than memory.

>>> save_view(Path("view.png"), chunks, sensor_size=(200, 200), first_us=0, last_us=300_000)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from snn.events.recording import Recording
from spikeface.errors import ConfigError, OutputError
from spikeface.figures.spikes import OFF, ON, polarity_image
from spikeface.figures.style import PAPER, styled
from spikeface.outputs import writing
from spikeface.text.numbers import compact

STRIP_PICTURES = 6
MOVIE_PICTURES = 100
MOVIE_RATE_HZ = 25
MOVIE_SIDE = 480  # pixels to which the longer side of a small sensor is enlarged
MOVIE_FULL = 2  # events of a pixel that give it its full colour in a moving picture
RATE_BINS = 120
MAX_STRIP_PICTURES = 100  # side by side
MAX_PIXELS = 1 << 22  # 2048×2048, of a sensor that is drawn
TALLEST = 6  # height over width at which the pictures of a strip stop growing
LONG_US = 10_000_000  # from here on the strip counts in seconds
DPI = 120

Encoder = Callable[[Path, Iterable[np.ndarray]], None]


def save_view(
    path: Path,
    chunks: Iterable[Recording],
    *,
    sensor_size: tuple[int, int],
    first_us: int,
    last_us: int,
    n_pictures: int | None = None,
) -> float:
    """Draw a recording into a new ``.png``, ``.gif`` or ``.mp4``.

    Parameters
    ----------
    path : Path
        Its ending decides: a strip of pictures above the event rate, or a moving picture.
    chunks : iterable of Recording
        The recording in time order.
    sensor_size : tuple of int
        ``(width, height)``.
    first_us, last_us : int
        Time of the first and the last event.
    n_pictures : int, optional
        Intervals of equal time; default 6 of a strip, 100 of a moving picture.

    Returns
    -------
    float
        Milliseconds of the recording that a picture shows.

    Raises
    ------
    ConfigError
        For an ending that is none of the three, a sensor above 2048×2048 pixels, or more than 100
        pictures in a strip.
    OutputError
        When the file exists or cannot be written.
    """
    encoders: dict[str, Encoder] = {".gif": _write_gif, ".mp4": _write_mp4}
    suffix = path.suffix.lower()
    if suffix not in (".png", *encoders):
        raise ConfigError(f"{path}: a view is a .png, a .gif or an .mp4 file")
    if sensor_size[0] * sensor_size[1] > MAX_PIXELS:
        raise ConfigError(
            f"{path}: a sensor of {sensor_size[0]}×{sensor_size[1]} pixels is too large to draw; "
            f"at most {MAX_PIXELS} pixels can be, are the addresses right?"
        )
    if suffix == ".png" and (n_pictures or 0) > MAX_STRIP_PICTURES:
        raise ConfigError(
            f"{path}: a strip holds at most {MAX_STRIP_PICTURES} pictures, got {n_pictures}; "
            "take .gif or .mp4 for more"
        )
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another name or remove it")
    n_pictures = n_pictures or (STRIP_PICTURES if suffix == ".png" else MOVIE_PICTURES)
    edges_us = np.linspace(first_us, last_us + 1, n_pictures + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as temporary:
        if suffix == ".png":
            figure = _strip(chunks, sensor_size, edges_us)
            figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
        else:
            pictures = count_pictures(chunks, sensor_size, edges_us)
            encoders[suffix](temporary, (_enlarged(counts) for counts in pictures))
    return float(edges_us[1] - edges_us[0]) / 1000


def count_pictures(
    chunks: Iterable[Recording], sensor_size: tuple[int, int], edges_us: np.ndarray
) -> Iterator[np.ndarray]:
    """Events per polarity and pixel in each interval between the edges.

    Parameters
    ----------
    chunks : iterable of Recording
        In time order.
    sensor_size : tuple of int
        ``(width, height)``.
    edges_us : ndarray of shape (n + 1,)
        Increasing; the last lies behind the last event.

    Yields
    ------
    ndarray of int, shape (2, height, width)
        OFF first.
    """
    width, height = sensor_size
    shape, k = (2, height, width), 0
    counts = np.zeros(shape, np.int64)
    for chunk in chunks:
        events = chunk.events
        ends = np.searchsorted(events["t"], edges_us[k + 1 :])
        for begin, end in zip((0, *ends[:-1]), ends, strict=True):
            part = events[begin:end]
            place = np.ravel_multi_index((part["p"], part["y"], part["x"]), shape)
            counts += np.bincount(place, minlength=counts.size).reshape(shape)
            if end == len(events):  # the interval may go on in the next chunk
                break
            yield counts
            counts, k = np.zeros(shape, np.int64), k + 1
    yield counts
    for _ in range(k + 2, len(edges_us)):
        yield np.zeros(shape, np.int64)


@styled
def _strip(
    chunks: Iterable[Recording], sensor_size: tuple[int, int], edges_us: np.ndarray
) -> Figure:
    """Pictures side by side and the rate of both polarities below them."""
    n, (width, height) = len(edges_us) - 1, sensor_size
    rate_edges_us = np.linspace(edges_us[0], edges_us[-1], RATE_BINS + 1)
    rates = np.zeros((2, RATE_BINS))

    def counted() -> Iterator[Recording]:
        for chunk in chunks:
            for polarity in (0, 1):
                times = chunk.events["t"][chunk.events["p"] == polarity]
                rates[polarity] += np.histogram(times, rate_edges_us)[0]
            yield chunk

    pictures = list(count_pictures(counted(), sensor_size, edges_us))
    active = np.concatenate([counts.sum(axis=0).ravel() for counts in pictures])
    full = max(1, int(np.percentile(active[active > 0], 90))) if active.any() else 1
    tall = 1.7 * min(height / width, TALLEST)
    figure = Figure(figsize=(1.7 * n + 0.4, tall + 1.9), facecolor=PAPER, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(tall + 0.3, 1.6))
    unit, unit_us = ("s", 1e6) if edges_us[-1] - edges_us[0] >= LONG_US else ("ms", 1e3)
    digits = 0 if edges_us[1] - edges_us[0] >= 2 * unit_us else 3
    for axes, counts, begin, end in zip(
        top.subplots(1, n, squeeze=False)[0], pictures, edges_us, edges_us[1:], strict=False
    ):
        axes.imshow(polarity_image(counts, full=full), interpolation="nearest")
        begin, end = (begin - edges_us[0]) / unit_us, (end - edges_us[0]) / unit_us
        axes.set_title(f"{begin:.{digits}f}–{end:.{digits}f} {unit}")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    axes = bottom.subplots()
    bin_s = max(rate_edges_us[1] - rate_edges_us[0], 1) * 1e-6
    middles = ((rate_edges_us[:-1] + rate_edges_us[1:]) / 2 - edges_us[0]) / unit_us
    for rate, colour, name in zip(rates, (OFF, ON), ("OFF", "ON"), strict=True):
        axes.plot(middles, rate / bin_s, color=colour, linewidth=1.4, label=name)
    axes.set(xlabel=f"time in {unit}", ylabel="events per second", ylim=(0, None))
    axes.yaxis.set_major_formatter(lambda value, _: compact(value))
    axes.margins(x=0.01)
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98))  # above the curves
    return figure


def _enlarged(counts: np.ndarray) -> np.ndarray:
    """One picture as RGB bytes, small sensors with larger pixels."""
    image = np.rint(255 * polarity_image(counts, full=MOVIE_FULL)).astype(np.uint8)
    times = max(1, MOVIE_SIDE // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _write_gif(path: Path, pictures: Iterable[np.ndarray]) -> None:
    images = (Image.fromarray(picture) for picture in pictures)
    first, duration_ms = next(images), 1000 // MOVIE_RATE_HZ
    first.save(
        path, format="GIF", save_all=True, append_images=images, duration=duration_ms, loop=0
    )


def _write_mp4(path: Path, pictures: Iterable[np.ndarray]) -> None:
    import cv2

    # The encoder goes by the ending, and halves the resolution of colours: even sizes only.
    named = path.with_name(path.name + ".mp4")
    writer = None
    try:
        for picture in pictures:
            bgr = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2, ::-1]
            if writer is None:
                size = (bgr.shape[1], bgr.shape[0])
                writer = cv2.VideoWriter(
                    str(named), cv2.VideoWriter.fourcc(*"mp4v"), MOVIE_RATE_HZ, size
                )
                if not writer.isOpened():
                    raise OutputError(f"{path}: OpenCV cannot write MP4 here; take .gif")
            writer.write(np.ascontiguousarray(bgr))
        if writer is not None:
            writer.release()
        named.replace(path)
    finally:
        named.unlink(missing_ok=True)
