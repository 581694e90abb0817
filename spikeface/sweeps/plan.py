"""The plan of a sweep: named runs, each a whole configuration that was checked beforehand.

Variants (a list of named ones, or an ablation) times a grid of values. All runs of a sweep follow
one protocol: a score whose model was selected on the test set has no place in a table beside one
whose model was not.

>>> runs = plan(Path("configs/demo.toml"), over=["training.seed=0:3", "model.engine=norse,slayer"])
>>> [run.name for run in runs][:2]
['seed0-norse', 'seed0-slayer']
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeface.config import load_run_config, read_toml, to_toml
from spikeface.errors import ConfigError
from spikeface.sweeps.values import (
    MOST_VALUES,
    as_toml,
    digest,
    parse_values,
    slug,
    tomllib,
    value_name,
)

REPEATS = ("training.seed", "data.fold")  # runs that differ in these alone share a group


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a sweep.

    Parameters
    ----------
    name : str
        Of its folder.
    group : str
        What its group is called: the name without seed and fold.
    values : dict of str to bool, int, float, str or list
        What was swept to get it.
    config : str
        Its whole configuration as TOML.
    """

    name: str
    group: str
    values: Mapping[str, Any] = field(default_factory=dict)
    config: str


def plan(
    config: Path | None,
    *,
    over: Sequence[str] = (),
    listed: Path | None = None,
    ablate: Sequence[str] = (),
    assignments: Sequence[str] = (),
) -> tuple[PlannedRun, ...]:
    """The runs of a sweep in their order, the last key of `over` changing fastest.

    Parameters
    ----------
    config : Path, optional
        TOML of the base configuration. Default: the defaults.
    over : sequence of str
        ``KEY=VALUE,VALUE,...``: every combination is run.
    listed : Path, optional
        TOML with a table a variant: ``[[run]]`` with ``name`` and ``set``, a list of assignments.
    ablate : sequence of str
        Switches: one variant with all on, and one without each.
    assignments : sequence of str
        ``KEY=VALUE`` of every run, below what is swept.

    Raises
    ------
    ConfigError
        For anything that does not lead to valid and different configurations of one protocol.
    """
    if listed and ablate:
        raise ConfigError("a sweep has a list of runs or an ablation, not both")
    variants = [("", dict[str, Any]())]
    if listed:
        variants = list(_listed(listed))
    elif ablate:
        variants = list(_ablation(ablate, config, assignments))
    grid = _grid(over)
    if len(variants) * len(grid) > MOST_VALUES:
        raise ConfigError(
            f"{len(variants) * len(grid):,} runs; a sweep has at most {MOST_VALUES:,}"
        )
    wanted = [(title, variant | point, point) for title, variant in variants for point in grid]
    names = _names([(title, point) for title, _, point in wanted])
    runs = tuple(
        PlannedRun(
            name=name,
            group=_group(title, point),
            values=values,
            config=to_toml(
                load_run_config(
                    config, [*assignments, *(f"{k}={as_toml(v)}" for k, v in values.items())]
                )
            ),
        )
        for name, (title, values, point) in zip(names, wanted, strict=True)
    )
    check_runs(runs)
    return runs


def check_runs(runs: Sequence[PlannedRun]) -> None:
    """Refuse runs that are the same, share a name, or follow different protocols."""
    by_config: dict[str, str] = {}
    for run in runs:
        if (other := by_config.setdefault(run.config, run.name)) != run.name:
            raise ConfigError(f"the runs {other} and {run.name} are the same; drop one of them")
    if repeated := [name for name, n in Counter(run.name for run in runs).items() if n > 1]:
        raise ConfigError(f"several runs are called {', '.join(repeated)}; names must differ")
    tasks = sorted({str(lookup(settings(run), "task")) for run in runs})
    if len(tasks) > 1:
        raise ConfigError(
            f"a sweep has one task, this one mixes {' and '.join(tasks)}; make a sweep of each"
        )
    protocols = sorted({protocol(run) for run in runs})
    if len(protocols) > 1:
        raise ConfigError(
            f"a sweep follows one protocol, this one mixes {' and '.join(protocols)}, whose scores "
            "do not compare; make a sweep of each"
        )


def protocol(run: PlannedRun) -> str:
    """``strict`` or ``authors``."""
    return str(lookup(settings(run), "data.protocol") or "strict")


def settings(run: PlannedRun) -> dict[str, Any]:
    """The configuration of a run as nested tables."""
    return tomllib.loads(run.config)


def lookup(table: Mapping[str, Any], key: str) -> Any:
    """The value of ``section.key``, None where there is none."""
    value: Any = table
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _grid(over: Sequence[str]) -> list[dict[str, Any]]:
    axes = [parse_values(text) for text in over]
    keys = [key for key, _ in axes]
    if repeated := [key for key, count in Counter(keys).items() if count > 1]:
        raise ConfigError(f"--over names {', '.join(repeated)} twice; write all values in one")
    if math.prod(len(values) for _, values in axes) > MOST_VALUES:
        raise ConfigError(f"the grid has more than {MOST_VALUES:,} runs")
    points = itertools.product(*(values for _, values in axes))
    return [dict(zip(keys, point, strict=True)) for point in points]


def _listed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    tables = read_toml(path).get("run")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f'{path}: needs tables [[run]] with name = "..." and set = ["KEY=VALUE"]')
    for number, table in enumerate(tables, start=1):
        where = f"{path}: [[run]] {number}"
        if not isinstance(table, dict) or set(table) - {"name", "set"}:
            raise ConfigError(f"{where} may have name and set, and nothing else")
        name, assigned = table.get("name"), table.get("set", [])
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"{where} has no name")
        if not isinstance(assigned, list) or not all(isinstance(a, str) for a in assigned):
            raise ConfigError(f'{where}: set is a list of texts such as "training.seed=1"')
        values: dict[str, Any] = {}
        for assignment in assigned:
            key, several = parse_values(_one_value(assignment))
            if len(several) > 1:
                raise ConfigError(f"{where}: {assignment} is more than one value")
            values[key] = several[0]
        yield name.strip(), values


def _one_value(assignment: str) -> str:
    """An assignment of a list file; commas of a bare word belong to it as ``--set`` has it."""
    key, equals, text = assignment.partition("=")
    try:
        tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return f"{key}{equals}{as_toml(text.strip())}"
    return assignment


def _ablation(
    switches: Sequence[str], config: Path | None, assignments: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    base = tomllib.loads(to_toml(load_run_config(config, assignments)))
    for key in switches:
        if not isinstance(lookup(base, key), bool):
            raise ConfigError(
                f"--ablate {key}: is no switch, its value is {lookup(base, key)!r}; "
                "name keys that are true or false"
            )
    yield "all", dict.fromkeys(switches, True)
    for off in switches:
        yield f"without {off.rsplit('.', 1)[-1]}", {key: key != off for key in switches}


def _names(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A name for each variant and point; points whose short names are equal get a digest."""
    names = [_joined(title, point) for title, point in wanted]
    counts = Counter(name.lower() for name in names)  # some file systems ignore case
    return [
        f"{name}-{digest(point)}" if counts[name.lower()] > 1 and point else name
        for name, (_, point) in zip(names, wanted, strict=True)
    ]


def _group(title: str, point: Mapping[str, Any]) -> str:
    return _joined(title, {key: v for key, v in point.items() if key not in REPEATS})


def _joined(title: str, point: Mapping[str, Any]) -> str:
    parts = [slug(title)] if title else []
    return "-".join([*parts, *([value_name(point)] if point else [])]) or "run"
