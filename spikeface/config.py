"""Configuration: TOML files into frozen dataclasses, with errors that name the nearest key.

``task`` at the top of a file says what is trained and so which sections there are: a ``spiking``
network (the default), the ``reconstruction`` of faces from events, the ``transfer`` of its encoder
to a classifier, or the ``conversion`` of that encoder into a spiking one.

>>> load_config(Path("configs/demo.toml"), ["training.epochs=3"]).training.epochs
3
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from conversion.distil import DistilConfig
from conversion.images import ImagesConfig
from conversion.reconstruction import ReconstructionConfig
from conversion.transfer import TransferConfig
from snn.errors import SnnError
from snn.events.datasets import DATASETS
from snn.events.faces import FaceSetParameters, face_set
from snn.models import ModelConfig
from snn.training import ImageAugmentConfig, TrainingConfig
from spikeface.conversion_config import ConversionConfig
from spikeface.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings train, validate and test.

    Parameters
    ----------
    dataset : str
        A set of ``snn.events.datasets``: ckplus-dvs, adfes-dvs, casia-dvs, mmi-dvs, eckplus,
        nefer, faces or folder.
    root : str
        Its folder; of ``faces`` the file.
    protocol : {"", "strict", "authors"}
        ``strict`` is a k-fold by subject, ``authors`` the split that came with the set. Empty:
        the subject-disjoint splits that faces were rendered with, ``strict`` for any other set.
    fold, n_folds : int
    cache : str
        Folder in which plain frames are kept from run to run; empty keeps them in memory.
    baselines : bool
        Whether to read all recordings once for the two trivial classifiers.
    time_unit, labels, subject_pattern : str
        Options of ``eckplus`` (s, ms, us, ns), ``nefer`` (expected, reported) and ``folder``.
    videos : str
        Of ``eckplus``, for images only: the folder of CK+ that holds ``S005/001/*.png``. It
        gives the true faces of a reconstruction, and the face boxes of all images.
    """

    dataset: str = "faces"
    root: str = ""
    protocol: Literal["", "strict", "authors"] = ""
    fold: int = 0
    n_folds: int = 10
    cache: str = ""
    baselines: bool = True
    time_unit: str = ""
    labels: str = ""
    subject_pattern: str = ""
    videos: str = ""

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            near = difflib.get_close_matches(self.dataset, DATASETS, n=1)
            raise ConfigError(
                f"[data] dataset must be one of {', '.join(DATASETS)}, got {self.dataset!r}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        if self.fold < 0 or self.n_folds < 3:
            raise ConfigError(
                f"[data] fold must be 0 or more and n_folds at least 3, got {self.fold} and "
                f"{self.n_folds}"
            )

    @property
    def has_own_splits(self) -> bool:
        """Whether the splits are those that faces were rendered with."""
        return self.dataset == "faces" and not self.protocol


@dataclass(frozen=True, kw_only=True)
class FramesConfig:
    """How a clip becomes what the network sees: ``n_bins`` binary frames, one per time step.

    Parameters
    ----------
    kind : {"time_bins", "spiking_fer"}
        Equal parts of the clip's time; or the central slices of `events_per_frame` events.
    n_bins, events_per_frame : int
    size : tuple of int
        ``(width, height)`` of the frames, zeros for the sensor's. Time bins scale the addresses of
        events and lose none; the slices of Spiking-FER leave out pixels (nearest neighbour).
    """

    kind: Literal["time_bins", "spiking_fer"] = "time_bins"
    n_bins: int = 10
    events_per_frame: int = 2500
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if not 1 <= self.n_bins <= 1000:
            raise ConfigError(f"[frames] n_bins must lie in [1, 1000], got {self.n_bins}")
        if self.events_per_frame < 1:
            raise ConfigError(
                f"[frames] events_per_frame must be at least 1, got {self.events_per_frame}"
            )
        if self.size != (0, 0) and not all(1 <= n <= 4096 for n in self.size):
            raise ConfigError(
                f"[frames] size is a width and a height from 1 to 4096, or [0, 0] for those of "
                f"the sensor, got {list(self.size)}"
            )


@dataclass(frozen=True, kw_only=True)
class LavaConfig:
    """What runs on Lava's CPU simulator: ``samples`` test clips within ``timeout_s`` seconds."""

    samples: int = 8
    timeout_s: float = 240.0

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.timeout_s > 0:
            raise ConfigError(
                "[lava] samples must be at least 1 and timeout_s above 0, "
                f"got {self.samples} and {self.timeout_s}"
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run of a spiking network follows from."""

    task: Literal["spiking"] = "spiking"
    faces: FaceSetParameters = field(default_factory=FaceSetParameters)
    data: DataConfig = field(default_factory=DataConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    lava: LavaConfig = field(default_factory=LavaConfig)


@dataclass(frozen=True, kw_only=True)
class ReconstructionRunConfig:
    """Everything a reconstruction of faces follows from."""

    task: Literal["reconstruction"] = "reconstruction"
    faces: FaceSetParameters = field(default_factory=FaceSetParameters)
    data: DataConfig = field(default_factory=DataConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    reconstruction: ReconstructionConfig = field(default_factory=ReconstructionConfig)


def _published_training() -> TrainingConfig:
    """How evTransFER trains its classifier; the learning rate is that of the head."""
    return TrainingConfig(
        epochs=20,
        batch_size=64,
        grid_share=0.0,
        optimiser="adam",
        schedule="constant",
        learning_rate=1e-3,
        warm_up=0.0,
        weight_decay=0.0,
        label_smoothing=0.0,
        init_rate=0.0,
        augment=ImageAugmentConfig(),
    )


@dataclass(frozen=True, kw_only=True)
class TransferRunConfig:
    """Everything a classifier on images of events follows from."""

    task: Literal["transfer"] = "transfer"
    faces: FaceSetParameters = field(default_factory=FaceSetParameters)
    data: DataConfig = field(default_factory=DataConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    training: TrainingConfig = field(default_factory=_published_training)


@dataclass(frozen=True, kw_only=True)
class ConversionRunConfig:
    """Everything the conversion of a classifier's encoder follows from."""

    task: Literal["conversion"] = "conversion"
    conversion: ConversionConfig = field(default_factory=ConversionConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    lava: LavaConfig = field(default_factory=lambda: LavaConfig(samples=2, timeout_s=900.0))


TrainedConfig = Config | ReconstructionRunConfig | TransferRunConfig
RunConfig = TrainedConfig | ConversionRunConfig
ImageRunConfig = ReconstructionRunConfig | TransferRunConfig
TASKS: dict[str, type[RunConfig]] = {
    "spiking": Config,
    "reconstruction": ReconstructionRunConfig,
    "transfer": TransferRunConfig,
    "conversion": ConversionRunConfig,
}


def trained(config: RunConfig) -> TrainedConfig:
    """A configuration that trains on data; a conversion does not.

    Raises
    ------
    ConfigError
        For a conversion.
    """
    if isinstance(config, ConversionRunConfig):
        raise ConfigError(
            "task = 'conversion' has no data of its own; use 'spikeface convert RUN CONFIG.toml'"
        )
    return config


def load_config(path: Path | None, assignments: Sequence[str] = ()) -> Config:
    """``load_run_config`` where only a spiking network will do.

    Raises
    ------
    ConfigError
        Also for a file of another task.
    """
    config = load_run_config(path, assignments)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{path}: task = {config.task!r}; this needs a spiking network, task = 'spiking'"
        )
    return config


def load_run_config(path: Path | None, assignments: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file and apply ``section.key=value`` assignments on top.

    Parameters
    ----------
    path : Path, optional
        Default: the defaults of the dataclasses, for a spiking network.
    assignments : sequence of str
        Values are parsed as TOML; what is not TOML counts as a string.

    Raises
    ------
    ConfigError
        For a missing or malformed file, an unknown key (naming the nearest one), a value of the
        wrong type or out of range.
    """
    table = read_toml(path) if path else {}
    for assignment in assignments:
        _assign(table, assignment)
    where = str(path) if path else "configuration"
    task = table.get("task", "spiking")
    if task not in TASKS:
        raise ConfigError(f"{where}: task must be one of {', '.join(TASKS)}, got {task!r}")
    try:
        return _build(TASKS[task], _with_presets(table), where="")
    except (SnnError, ConfigError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _with_presets(table: dict[str, Any]) -> dict[str, Any]:
    """``preset`` in ``[faces]`` and ``[faces.camera]`` replaced by what it stands for."""
    faces = table.get("faces")
    if not isinstance(faces, dict) or not isinstance(faces.get("camera", {}), dict):
        return table
    camera = dict(faces.get("camera", {}))
    chosen = face_set(faces.get("preset", "demo"), camera=camera.pop("preset", None))
    own = {key: value for key, value in faces.items() if key not in ("preset", "camera")}
    whole = {**dataclasses.asdict(chosen), **own}
    whole["camera"] = {**whole["camera"], **camera}
    return {**table, "faces": whole}


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from None


def to_toml(config: RunConfig) -> str:
    """The whole configuration, defaults included, as TOML."""
    return "\n".join(_sections(dataclasses.asdict(config), ())).strip() + "\n"


def _sections(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    lines = [f"\n[{'.'.join(path)}]"] if path and plain else []
    lines += [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _sections(value, (*path, key))
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_value(v) for v in value)}]"
    return json.dumps(value, ensure_ascii=False)  # numbers, booleans and strings read alike


def _assign(table: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    *path, name = key.strip().split(".")
    if not equals or not name or not path:
        raise ConfigError(f"--set takes section.key=value, got {assignment!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {assignment}: {part!r} is a value, not a section")
    table[name] = value


def _build(cls: Any, table: Mapping[str, Any], *, where: str) -> Any:
    """An instance of a dataclass from a TOML table."""
    hints = typing.get_type_hints(cls)
    arguments = {}
    for key, value in _over_defaults(cls, table).items():
        name = f"{where}{key}"
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            advice = f"did you mean {where}{near[0]}?" if near else f"there are {', '.join(hints)}"
            raise ConfigError(f"unknown key {name}; {advice}")
        arguments[key] = _convert(hints[key], value, name)
    return cls(**arguments)


def _over_defaults(cls: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """Sections that a table changes in part, on top of what `cls` has there by default."""
    whole = dict(table)
    for spot in dataclasses.fields(cls):
        changed = table.get(spot.name)
        if isinstance(changed, Mapping) and spot.default_factory is not dataclasses.MISSING:
            whole[spot.name] = _merged(dataclasses.asdict(spot.default_factory()), changed)
    return whole


def _merged(default: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """`changed` on top of `default`, section by section; another ``kind`` begins anew."""
    kind = default.get("kind", "batch")
    if changed.get("kind", kind) != kind:
        return dict(changed)
    whole = {**default, **changed}
    for key, value in changed.items():
        if isinstance(value, Mapping) and isinstance(default.get(key), Mapping):
            whole[key] = _merged(default[key], value)
    return whole


def _of_kind(choices: Sequence[Any], value: Mapping[str, Any], name: str) -> Any:
    """One of several dataclasses by the ``kind`` in its section; the first, "batch", has none."""
    first, *others = choices
    by_kind = {"batch": first}
    by_kind |= {typing.get_args(typing.get_type_hints(c)["kind"])[0]: c for c in others}
    kind = value.get("kind", "batch")
    if kind not in by_kind:
        raise ConfigError(f"{name}.kind must be one of {', '.join(by_kind)}, got {kind!r}")
    own = {key: v for key, v in value.items() if key != "kind"}
    return _build(by_kind[kind], own, where=f"{name}.")


def _convert(hint: Any, value: Any, name: str) -> Any:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if all(dataclasses.is_dataclass(choice) for choice in choices):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} is a section, got {value!r}")
        if len(choices) > 1:
            return _of_kind(choices, value, name)
        return _build(hint, value, where=f"{name}.")
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        kinds = typing.get_args(hint)
        if kinds[-1] is not Ellipsis and len(kinds) != len(value):
            raise ConfigError(f"{name} needs {len(kinds)} values, got {value!r}")
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        return tuple(_convert(k, v, name) for k, v in zip(kinds, value, strict=True))
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            allowed = ", ".join(map(str, typing.get_args(hint)))
            raise ConfigError(f"{name} must be one of {allowed}, got {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = hint if isinstance(hint, type) else typing.get_origin(hint)
    if not isinstance(expected, type) or isinstance(hint, types.UnionType):
        raise TypeError(f"{name}: the configuration cannot hold a {hint}")
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{name} must be {_in_words(hint)}, got {value!r}")
    return value


def _in_words(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, f"a list such as {typing.get_args(hint)}")
