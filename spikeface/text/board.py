"""The plan of a run on a board, and what it measured, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spikeface.text.numbers import quantity

CLASSES = "lava."  # what class names begin with, left out in tables


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """What would happen on a board, and what stands in its way."""
    return list(_plan(plan))


def _plan(plan: dict[str, Any]) -> Iterator[str]:
    board, cores = plan["board"], plan["cores"]
    yield (
        f"plan of a run on Loihi 2: {plan['samples']} sample(s) of {plan['n_steps']} steps, one "
        f"every {plan['period']} steps"
        + (", each in a start of its own" if plan["fresh_start_per_sample"] else "")
    )
    yield f"cores   {cores['value']} on {cores['chips']} chip(s), estimated"
    yield ""
    width = max(len(row["name"]) for row in plan["processes"]) + 2
    yield f"{'process':<{width}}{'class':<36}{'shape W×H×C':>13}{'cores':>7}  on"
    for row in plan["processes"]:
        shape = "×".join(map(str, row["shape"]))
        yield (
            f"{row['name']:<{width}}{_class(row['process']):<36}{shape:>13}"
            f"{row.get('cores', ''):>7}  {row['runs_on']}"
        )
    yield ""
    for row in plan["adapters"]:
        bits = "".join(f", {k}={v}" for k, v in row["arguments"].items())
        yield f"adapter {_class(row['adapter'])}: {row['from']} → {row['to']}{bits}"
    yield ""
    offsets = ", ".join(f"{row['layer']} {row['offset']}" for row in plan["resets"])
    yield f"resets  every {plan['period']} steps, at step {offsets}"
    for index, run in enumerate(plan["runs"], start=1):
        probe = f" with {_class(run['probe']['profiler'])}" if run["probe"] else ""
        starts = f"{run['starts']} starts of " if run["starts"] > 1 else ""
        yield f"run {index}   {run['name']}: {starts}{run['steps']} steps{probe}"
    yield f"config  {plan['run_configuration']}"
    if plan["host"]:
        yield f"host    {plan['host']['description']}"
    for name, value in plan["environment"].items():
        yield f"        {name}={value}"
    yield ""
    yield from (f"refused: {problem}" for problem in _together(plan["refused"]))
    yield from (f"never checked: {what}" for what in _together(plan["unverified"]))
    yield f"board   {board['state']}: {board['reason']}"
    yield f"next    {board['next']}"


def board_lines(section: dict[str, Any]) -> list[str]:
    """What a run on a board gave."""
    tag = section["tag"]
    lines = [f"{section['host']['description']}, {tag}"]
    if tag != "measured":
        lines.append("NOT MEASURED: what ran only stands in for Intel's extension")
    if section["cores"] is not None:
        lines.append(f"cores      {section['cores']}, by the compiler")
    for kind, values in section["measurements"].items():
        lines += [f"{kind:<10} {text}" for text in _measured(values)]
    parity = section["parity"]
    lines.append(f"compared with the simulator: {parity['statement']}")
    return [*lines, *(f"never checked: {what}" for what in _together(section["unverified"]))]


def _measured(values: dict[str, Any]) -> Iterator[str]:
    if "failed" in values:
        yield f"not measured: {values['failed']}"
        return
    for name, value in values.items():
        if not isinstance(value, dict):
            yield f"{name} {quantity(value)}"
        elif "mean" in value:
            many = f" (mean of {value['values']})" if value["values"] > 1 else ""
            yield f"{name} {quantity(value['mean'])} {value['unit']}{many}"
        else:
            yield f"{name} " + ", ".join(f"{k} {quantity(v)}" for k, v in value.items())


def _together(problems: list[str]) -> list[str]:
    """``layer: reason`` with the layers of one reason in one line."""
    layers: dict[str, list[str]] = {}
    for problem in problems:
        layer, colon, reason = problem.partition(": ")
        layers.setdefault(colon + reason, []).append(layer)
    return [", ".join(names) + reason for reason, names in layers.items()]


def _class(name: str) -> str:
    return name.removeprefix(CLASSES)
