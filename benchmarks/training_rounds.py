"""Variants of one training step: timed turn by turn in one process, peak memory in one each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import torch
from measuring import Row, ratio, seconds

Step = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to compute the step.

    Parameters
    ----------
    name : str
    kind : str
        "ours", "bound" (a part of our step that nobody can leave out), "peer" (as its
        documentation says) or "tuned" (a peer given our memory order or bfloat16).
    build : callable
        Returns the step: forward, backward, gradients set to None; the step returns the mean
        spike rate of the output. Raises ``ImportError`` when its library is missing.
    same_output : bool
        Whether its output must have the spike rate of the reference.
    """

    name: str
    kind: str
    build: Callable[[], Step]
    same_output: bool = False


def compare(
    variants: list[Variant], *, rounds: int, base: str, settled: bool, tolerance: float = 0.02
) -> list[Row]:
    """A row a variant: milliseconds, speed relative to `base`, spike rate of the output.

    `settled` takes a step before each that is timed: training repeats one step, and does not pay
    for the memory that another variant, whose turn it was, gave back to the system.

    ``speed`` is the median of ratios of the same round, ``speed_min`` the ratio of the best times,
    ``cpu_speed`` the median ratio of processor times, which other programs disturb least.

    Raises
    ------
    RuntimeError
        When the spike rates of variants with the same dynamics differ.
    """
    steps: dict[str, Step] = {}
    missing = []
    for variant in variants:
        try:
            steps[variant.name] = variant.build()
        except ImportError as error:
            missing.append(variant.name)
            print(f"{variant.name}: missing ({error})", file=sys.stderr)
    rates = {name: step() for name, step in steps.items()}
    _assert_same_output([v for v in variants if v.name in steps], rates, tolerance)
    times: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            if settled:
                steps[name]()
            started = time.process_time()
            times[name].append(seconds(steps[name], 1))
            processor[name].append(time.process_time() - started)
    rows = []
    for variant in variants:
        if variant.name in missing:
            continue
        taken = times[variant.name]
        rows.append(
            {
                "variant": variant.name,
                "kind": variant.kind,
                "median_ms": 1e3 * median(taken),
                "min_ms": 1e3 * min(taken),
                "speed": ratio(times[base], taken),
                "speed_min": min(times[base]) / min(taken),
                "cpu_speed": ratio(processor[base], processor[variant.name]),
                "output": rates[variant.name],
            }
        )
    return rows


def _assert_same_output(variants: list[Variant], rates: dict[str, float], tolerance: float) -> None:
    same = {v.name: rates[v.name] for v in variants if v.same_output}
    if same and max(same.values()) - min(same.values()) > tolerance * max(same.values()):
        raise RuntimeError(f"outputs differ where the dynamics should not: {same}")


def with_peaks(rows: list[Row], script: Path, *arguments: str) -> list[Row]:
    """`rows` with the memory that `script` prints in a fresh process for each variant."""
    return [row | _printed(script, [*arguments, row["variant"]]) for row in rows]


def _printed(script: Path, arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_peak(step: Callable[[], object], repeats: int = 3) -> dict[str, float]:
    """Highest resident memory during some steps, in megabytes.

    ``peak_mb`` is that of the whole process, its libraries included: what a machine must have.
    ``step_mb`` leaves out what was resident before the first step, so libraries that are loaded
    when they are first used count and those that are imported before do not.
    """
    process, highest, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.is_set():
            highest[0] = max(highest[0], process.memory_info().rss)
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(repeats):
        step()
    done.set()
    watcher.join()
    return {"peak_mb": highest[0] / 1e6, "step_mb": (highest[0] - before) / 1e6}


def step_of(
    network: torch.nn.Module, run: Callable[[], torch.Tensor], labels: torch.Tensor
) -> Step:
    """A training step of `run`, which returns output spikes or scores ``[T, N, classes]``."""
    parameters = list(network.parameters())

    def step() -> float:
        out = run()
        torch.nn.functional.cross_entropy(out.float().sum(0), labels).backward()
        for parameter in parameters:
            parameter.grad = None
        return float(out.detach().float().sum(0).abs().mean())

    return step


def spikingjelly_step(
    network: torch.nn.Module,
    frames: torch.Tensor,
    labels: torch.Tensor,
    *,
    mode: str,
    channels_last: bool,
    bfloat16: bool = False,
) -> Step:
    """A training step of spikingjelly's, layer by layer ("m") or a step at a time ("s").

    Frames are ``[T, N, C, H, W]``; memory is in our order, convolutions in bfloat16 if asked.
    """
    from spikingjelly.activation_based import functional

    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        flat = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        frames = flat.unflatten(0, frames.shape[:2])

    def run() -> torch.Tensor:
        functional.reset_net(network)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return network(frames) if mode == "m" else torch.stack([network(x) for x in frames])

    return step_of(network, run, labels)
