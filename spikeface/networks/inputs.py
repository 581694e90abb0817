"""What a network is shown: an array file, a recording cut into windows, or random events.

>>> load_input("faces.bin", network)
>>> load_input("random:0.05", network, InputOptions(n_samples=8))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware.chip.network import ChipNetwork
from snn.events.formats import read_recording
from snn.events.frames import binary_frames
from snn.events.recording import Recording
from spikeface.errors import ConfigError, InputError

RANDOM = "random"
RANDOM_RATE = 0.05
DEFAULT_STEPS = 32
MAX_BYTES = 1 << 32  # of an input


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How an input is cut.

    Parameters
    ----------
    n_steps : int, optional
        Steps of a sample; default what the network's metadata says, or 32. An array is cut.
    dt_us : int, optional
        Microseconds of a step of a recording; default what the network's metadata says.
    n_samples : int, optional
        At most so many samples, the first ones.
    sensor_size : tuple of int, optional
        ``(width, height)`` of the camera, for recordings that do not say it.
    seed : int, optional
        Of random events, 0 by default.
    """

    n_steps: int | None = None
    dt_us: int | None = None
    n_samples: int | None = None
    sensor_size: tuple[int, int] | None = None
    seed: int | None = None


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
    ConfigError
        For an option that this kind of input cannot use.
    """
    options = options or InputOptions()
    path = Path(source)
    if source.partition(":")[0] == RANDOM and not path.exists():
        _refuse(options, "random input", "dt_us", "sensor_size")
        return _random(source, network, options)
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"
        raise InputError(f"{source or 'no name'}: {what}; give a file, or random:RATE")
    if path.suffix == ".npy":
        _refuse(options, "an array", "dt_us", "sensor_size", "seed")
        return _array(path, network, options)
    _refuse(options, "a recording", "seed")
    return _recording(path, network, options)


def windows(
    recording: Recording,
    network: ChipNetwork,
    *,
    n_steps: int,
    dt_us: int,
    n_samples: int | None = None,
) -> np.ndarray:
    """Binary frames of the first windows of a recording, uint8 ``[N, T, 2, H, W]``.

    The last window may hold less of the recording than the others.

    Raises
    ------
    InputError
        When there are too many windows to hold.
    """
    _, height, width = network.input_shape
    window_us = n_steps * dt_us
    first = int(recording.events["t"][0])
    starts = range(first, first + recording.duration_us + 1, window_us)[:n_samples]
    _check_size((len(starts), n_steps, *network.input_shape))
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
        raise ConfigError(f"--input {source}: expected random:RATE with a rate in (0, 1]")
    shape = (options.n_samples or 1, _steps(network, options), *network.input_shape)
    _check_size(shape)
    rng = np.random.default_rng(options.seed or 0)
    return np.stack([(rng.random(shape[1:]) < rate).astype(np.uint8) for _ in range(shape[0])])


def _steps(network: ChipNetwork, options: InputOptions) -> int:
    return int(options.n_steps or network.metadata.get("n_steps", DEFAULT_STEPS))


def _refuse(options: InputOptions, kind: str, *names: str) -> None:
    """An option that would be ignored is an error."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if given:
        raise ConfigError(f"{' and '.join(given)}: means nothing for {kind}")


def _check_size(shape: tuple[int, ...]) -> None:
    if (size := math.prod(shape)) > MAX_BYTES:
        raise InputError(
            f"{shape[0]} samples of {shape[1]} steps are {size} values, at most {MAX_BYTES} are "
            "held at once; give --samples or --steps"
        )


def _array(path: Path, network: ChipNetwork, options: InputOptions) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable array file ({error})") from error
    wanted = network.input_shape
    found = f"{array.dtype} of shape {array.shape}"
    if array.ndim == len(wanted) + 1:
        array = array[None]
    if array.shape[2:] != wanted or array.ndim != len(wanted) + 2:
        shape = ", ".join(map(str, wanted))
        axes = "samples, steps, " + ("neurons" if len(wanted) == 1 else "channels, height, width")
        raise InputError(f"{path}: holds {found}; the network takes (N, T, {shape}): {axes}")
    steps = options.n_steps or array.shape[1]
    if steps > array.shape[1]:
        raise InputError(f"{path}: holds {array.shape[1]} steps, {steps} are asked for")
    array = array[: options.n_samples, :steps]
    _check_size(array.shape)
    array = np.asarray(array)
    if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        return array
    if not np.issubdtype(array.dtype, np.floating) or not (array == np.rint(array)).all():
        raise InputError(f"{path}: holds {found}; a spiking network takes whole numbers or bool")
    return array.astype(np.int64)


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
    return windows(
        recording,
        network,
        n_steps=_steps(network, options),
        dt_us=int(dt_us),
        n_samples=options.n_samples,
    )
