"""The device of a training, and what bfloat16 is worth on it."""

from __future__ import annotations

import logging
import platform
import time
from pathlib import Path
from statistics import median

import torch
from torch.nn.functional import conv2d

from snn.errors import TrainingError
from snn.training.config import TrainingConfig

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of /proc/cpuinfo, x86 and Arm

log = logging.getLogger(__name__)


def training_device(config: TrainingConfig) -> torch.device:
    """The device of a configuration; a line in the log where bfloat16 will not save time on it.

    Raises
    ------
    TrainingError
        Where there is no such device, or it cannot multiply in the precision asked for.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "training.device = 'cuda': torch finds no GPU here; set training.device = 'cpu'"
        )
    if config.amp == "bf16" and not has_bf16(config.device):
        raise TrainingError(
            f"training.amp = 'bf16': the {'GPU' if config.device == 'cuda' else 'processor'} here "
            "has no bfloat16 arithmetic and would be slower with it; set training.amp = 'off'"
        )
    if config.device == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    if config.amp == "bf16" and (gain := bf16_gain()) < 1:
        log.warning(
            "training.amp = 'bf16': a convolution takes %.1f times as long as in float32 on this "
            "processor. This saves memory, not time; training.amp = 'off' is faster",
            1 / gain,
        )
    return torch.device("cpu")


def has_bf16(device: str) -> bool:
    """Whether multiplying in bfloat16 is an instruction and not an emulation."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    if platform.system() == "Darwin":
        return False
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(BF16_FLAGS & set(text.split()))


def bf16_gain() -> float:
    """Time of a convolution in float32 over that in bfloat16 on this processor, within 0.2 s.

    The instruction says little: AVX512-BF16 is twice as fast as float32 on some processors and half
    as fast on others.
    """
    values, weight = torch.ones(8, 128, 16, 16), torch.ones(128, 128, 3, 3)
    times: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for _ in range(7):
        for dtype, taken in times.items():
            layer = [t.to(dtype, memory_format=torch.channels_last) for t in (values, weight)]
            started = time.perf_counter()
            conv2d(layer[0], layer[1], padding=1)
            taken.append(time.perf_counter() - started)
    return median(times[torch.float32]) / median(times[torch.bfloat16])
