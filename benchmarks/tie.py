"""How fast TIE images are made: against the published method in torch, and the bound.

Peer: for each window the 18 planes, each event and bin through the perceptron 1-30-30-1 that EST
evaluates, accumulated by ``put_``; then the sum by sixes and the stretch with k-th values. The
perceptron here is built to be our kernel, so both must give the same channels, and of given
channels the same image; that is checked before anything is timed. (Where less than 1 % of a
channel has events the perceptron's rounding, 1e-7 instead of 0, is what the stretch sees.) One
thread; the two take turns, and medians of ratios are reported. Times are of the processor, not of
the clock, since a run of the peer is long enough for neighbours to be let in; and of one window:
where there are several, they are those of one recording, made at once.

The bound is the memory that cannot be left alone: each event read once and one float of its pixel
added to, the planes zeroed before and read and written once after.

    python benchmarks/tie.py [--quick] [--json] [--save]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numba
import numpy as np
import torch
from measuring import Row, print_table, ratio, save_table

from conversion.tie import (
    TIEConfig,
    Variant,
    fold_channels,
    kernel_values,
    stretch,
    tie_grid,
    tie_image,
    tie_images,
)
from conversion.tie.kernel import kernel_lines
from snn.events.recording import Recording, make_events

HIDDEN = 30
LEAK = 0.1
FIRST_US, WINDOW_US = 400_000, 33_333
SENSORS = ((64, 64), (346, 260))
# Sensor, events of a window, windows.
CASES = (
    (SENSORS[0], 250, 1),
    (SENSORS[0], 250, 30),
    (SENSORS[0], 5_000, 1),
    (SENSORS[1], 2_000, 1),
    (SENSORS[1], 10_000, 1),
    (SENSORS[1], 10_000, 12),
    (SENSORS[1], 50_000, 1),
)


def measure(*, quick: bool = False) -> list[Row]:
    """All rows: sensor, events, windows, variant, ms, peer_ms, vs_peer, mevents_per_s, of_bound."""
    torch.set_num_threads(1)
    cases = CASES[:4] if quick else CASES
    variants: tuple[Variant, ...] = ("t0_t0",) if quick else ("t0_t0", "t_t")
    return [_row(*case, variant, 5 if quick else 15) for case in cases for variant in variants]


class PublishedTIE:
    """The straightforward way, in single precision."""

    def __init__(self, sensor_size: tuple[int, int], variant: Variant) -> None:
        self.size = sensor_size
        self.variant = variant
        self.kernel = perceptron()

    def __call__(self, events: np.ndarray) -> torch.Tensor:
        """The stretched image, float32 ``[3, H, W]``."""
        return self.stretch(self.channels(events))

    @torch.no_grad()
    def channels(self, events: np.ndarray) -> torch.Tensor:
        """The grid, summed by sixes."""
        width, height = self.size
        grid = torch.zeros(2 * 9 * height * width)
        x, y, p = (torch.from_numpy(events[name].astype(np.int64)) for name in "xyp")
        t = torch.from_numpy((events["t"] / 1e6).astype(np.float32))
        t0 = (t - t.min()) / (t.max() - t.min())
        factor, place = ({"t": t, "t0": t0}[name] for name in self.variant.split("_"))
        for i in range(9):
            values = factor * self.kernel((place - i / 8)[:, None])[:, 0]
            index = x + width * y + width * height * (i + 9 * p)
            grid.put_(index, values, accumulate=True)
        return grid.view(3, 6, height, width).sum(1)

    def stretch(self, image: torch.Tensor) -> torch.Tensor:
        """Between k-th values, in place."""
        for channel in image:
            pixels = channel.reshape(-1)
            low, high = (
                pixels.kthvalue(1 + round(0.01 * percent * (len(pixels) - 1))).values
                for percent in (1.0, 99.0)
            )
            channel.copy_((channel - low) / (high - low))
        return image.clamp(0, 1).nan_to_num(0)


def perceptron() -> torch.nn.Sequential:
    """EST's layers, 1-30-30-1, with weights that make them our kernel.

    The sum over the ends d of its lines of ``bend·relu(|z| - d)``: with the leaky L,
    ``|z| = (L(z) + L(-z)) / 0.9`` is the first layer and ``relu(u) = (L(u) - 0.1·u) / 0.9``.
    """
    lines = kernel_lines("est")
    ends = np.array([0.0, lines.peak / lines.steepness, *lines.distances])
    slopes = np.array([-lines.steepness, 0.0, *lines.slopes])
    bends = torch.tensor(np.diff(slopes, prepend=0.0) / (1 - LEAK)).float()
    n = len(ends)
    first, second, last = (
        torch.nn.Linear(*sizes) for sizes in ((1, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1))
    )
    for layer in (first, second, last):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        first.weight[:2, 0] = torch.tensor([1.0, -1.0])
        # One unit an end, and |z| itself to take away what the leaks add.
        second.weight[: n + 1, :2] = 1 / (1 - LEAK)
        second.bias[:n] = -torch.tensor(ends).float()
        last.weight[0, :n] = bends
        last.weight[0, n] = -LEAK * bends.sum()
        last.bias[0] = lines.peak + LEAK * float(bends @ torch.tensor(ends).float())
    leaky = torch.nn.LeakyReLU(LEAK)
    return torch.nn.Sequential(first, leaky, second, leaky, last)


def _row(
    sensor_size: tuple[int, int], n_events: int, n_windows: int, variant: Variant, rounds: int
) -> Row:
    width, height = sensor_size
    windows = [
        clustered_events(n_events, sensor_size, FIRST_US + k * WINDOW_US) for k in range(n_windows)
    ]
    recording = Recording(np.concatenate(windows), sensor_size)
    config = TIEConfig(variant=variant)
    published = PublishedTIE(sensor_size, variant)
    _check_equal(windows[0], published)

    def ours() -> np.ndarray:
        if n_windows == 1:
            return tie_image(windows[0], sensor_size=sensor_size, config=config)
        return tie_images(recording, config, start_us=FIRST_US)

    def peer() -> torch.Tensor:
        return torch.stack([published(events) for events in windows])

    def bound() -> np.ndarray:
        planes: np.ndarray = np.zeros((n_windows, 3, height, width), np.float32)
        for events, window in zip(windows, planes, strict=True):
            _touch(events, window)
        return planes

    assert ours().size == peer().numel() == bound().size
    times: dict[str, list[float]] = {"ours": [], "peer": [], "bound": []}
    for _ in range(rounds):
        times["ours"].append(processor_seconds(ours, 3) / n_windows)
        times["peer"].append(processor_seconds(peer, 1) / n_windows)
        times["bound"].append(processor_seconds(bound, 3) / n_windows)
    return {
        "sensor": f"{width}x{height}",
        "events": n_events,
        "windows": n_windows,
        "variant": variant,
        "ms": 1e3 * median(times["ours"]),
        "peer_ms": 1e3 * median(times["peer"]),
        "vs_peer": ratio(times["peer"], times["ours"]),
        "mevents_per_s": n_events / median(times["ours"]) / 1e6,
        "of_bound": ratio(times["ours"], times["bound"]),
    }


def processor_seconds(run: Callable[[], object], repeat: int) -> float:
    """Processor time of one call, the mean of `repeat`."""
    started = time.process_time()
    for _ in range(repeat):
        run()
    return (time.process_time() - started) / repeat


def clustered_events(n: int, sensor_size: tuple[int, int], first_us: int) -> np.ndarray:
    """A window of events as of moving edges: around the middle, often at the same pixels."""
    rng = np.random.default_rng(n)
    x, y = (np.clip(rng.normal(side / 2, side / 6, n), 0, side - 1) for side in sensor_size)
    t = first_us + np.sort(rng.integers(0, WINDOW_US, n))
    return make_events(x, y, t, rng.integers(0, 2, n))


def _check_equal(events: np.ndarray, published: PublishedTIE) -> None:
    z = torch.linspace(-1, 3, 2001)
    with torch.no_grad():
        values = published.kernel(z[:, None])[:, 0].numpy()
    np.testing.assert_allclose(values, kernel_values(z.numpy(), "est"), atol=2e-5)
    grid = tie_grid(
        events, sensor_size=published.size, variant=published.variant, kernel="est"
    )  # fmt: skip
    theirs = published.channels(events)
    # Single precision rounds t to 3e-8 s of a window of 0.033 s, and the kernel's slope is 14.
    np.testing.assert_allclose(fold_channels(grid), theirs.numpy(), rtol=1e-3, atol=1e-3)
    assert grid.any()
    np.testing.assert_allclose(
        stretch(theirs.numpy()), published.stretch(theirs.clone()).numpy(), atol=1e-6
    )


@numba.njit(error_model="numpy")
def _touch(events, planes):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        event = events[i]
        planes[event.p, event.y, event.x] += np.float32(event.t)
    flat = planes.reshape(-1)
    for i in range(len(flat)):
        flat[i] *= np.float32(0.5)


def main() -> None:
    """Measure, print and perhaps save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases and repeats")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--save", action="store_true", help="write results/tie.csv")
    arguments = parser.parse_args()
    rows = measure(quick=arguments.quick)
    if arguments.json:
        print(json.dumps({"tie": rows}))
    else:
        print_table("TIE images", rows)
    if arguments.save:
        save_table("tie", rows)


if __name__ == "__main__":
    main()
