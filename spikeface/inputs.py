"""What a network is shown: an array file, a recording cut into windows, or random events.

>>> load_input("faces.bin", network)
>>> load_input("random:0.05", network, InputOptions(n_samples=8))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware.chip.network import ChipNetwork
from snn.events.formats import read_recording
from snn.events.frames import binary_frames
from snn.events.recording import Recording
from spikeface.errors import InputError

RANDOM = "random"
RANDOM_RATE = 0.05
DEFAULT_STEPS = 32
MAX_BYTES = 1 << 32  # of one array file


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How an input is cut.

    Parameters
    ----------
    n_steps : int, optional
        Steps of a sample; default what the network's metadata says, or 32.
    dt_us : int, optional
        Microseconds of a step of a recording; default what the network's metadata says.
    n_samples : int, optional
        At most so many samples, the first ones.
    sensor_size : tuple of int, optional
        ``(width, height)`` of the camera, for recordings that do not say it.
    seed : int
        Of random events.
    """

    n_steps: int | None = None
    dt_us: int | None = None
    n_samples: int | None = None
    sensor_size: tuple[int, int] | None = None
    seed: int = 0


def load_input(
    source: str, network: ChipNetwork, options: InputOptions | None = None
) -> np.ndarray:
    """Spikes for a network, shape (N, T, ...).

    Parameters
    ----------
    source : str
        ``"random"`` or ``"random:RATE"``; an ``.npy`` file of integers or bool, shape
        (N, T, ...) or (T, ...); or a recording.
    network : ChipNetwork
    options : InputOptions, optional

    Raises
    ------
    InputError
        Naming the file, what was found and what the network takes.
    """
    options = options or InputOptions()
    path = Path(source)
    if source.partition(":")[0] == RANDOM and not path.exists():
        spikes = _random(source, network, options)
    elif path.suffix == ".npy":
        spikes = _array(path, network)
    else:
        spikes = _recording(path, network, options)
    return spikes[: options.n_samples]


def windows(recording: Recording, network: ChipNetwork, *, n_steps: int, dt_us: int) -> np.ndarray:
    """Binary frames of all windows of a recording, uint8 ``[N, T, 2, H, W]``.

    The last window may hold less of the recording than the others.
    """
    _, height, width = network.input_shape
    window_us = n_steps * dt_us
    first = int(recording.events["t"][0])
    starts = range(first, first + recording.duration_us + 1, window_us)
    return np.stack(
        [
            binary_frames(
                recording,
                n_bins=n_steps,
                window_us=window_us,
                size=(width, height),
                start_us=start,
            )
            for start in starts
        ]
    )


def _random(source: str, network: ChipNetwork, options: InputOptions) -> np.ndarray:
    _, _, text = source.partition(":")
    try:
        rate = float(text) if text else RANDOM_RATE
    except ValueError:
        rate = -1.0
    if not 0 < rate <= 1:
        raise InputError(f"--input {source}: expected random:RATE with a rate in (0, 1]")
    shape = (options.n_samples or 1, _steps(network, options), *network.input_shape)
    return (np.random.default_rng(options.seed).random(shape) < rate).astype(np.uint8)


def _steps(network: ChipNetwork, options: InputOptions) -> int:
    return int(options.n_steps or network.metadata.get("n_steps", DEFAULT_STEPS))


def _array(path: Path, network: ChipNetwork) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable array file ({error})") from error
    wanted = network.input_shape
    found = f"{array.dtype} of shape {array.shape}"
    if array.ndim == len(wanted) + 1:
        array = array[None]
    if array.shape[2:] != wanted or array.ndim != len(wanted) + 2:
        shape = ", ".join(map(str, wanted))
        raise InputError(f"{path}: holds {found}; the network takes (N, T, {shape})")
    if array.dtype != bool and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{path}: holds {found}; a spiking network takes integers or bool")
    if array.nbytes > MAX_BYTES:
        raise InputError(f"{path}: holds {array.nbytes} bytes, at most {MAX_BYTES} are read")
    return np.asarray(array)


def _recording(path: Path, network: ChipNetwork, options: InputOptions) -> np.ndarray:
    if len(network.input_shape) != 3 or network.input_shape[0] != 2:
        raise InputError(
            f"{path}: a recording has two polarities; the network takes {network.input_shape}, "
            "so give it an .npy file"
        )
    dt_us = options.dt_us or network.metadata.get("dt_us")
    if not dt_us:
        raise InputError(
            f"{path}: how long is a step? The network does not say it; give --dt-us MICROSECONDS"
        )
    recording = read_recording(path, sensor_size=options.sensor_size)
    return windows(recording, network, n_steps=_steps(network, options), dt_us=int(dt_us))
