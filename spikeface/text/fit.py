"""The fit of a network as lines for the terminal, at most 100 columns wide.

>>> print("\\n".join(fit_lines(fit.as_dict())))
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from spikeface.text.numbers import compact, short

WIDTH = 100
NAMES = 24  # characters of a layer's name
BINDINGS = {
    "neurons per core": "neurons",
    "synaptic memory per core": "synapses",
    "synaptic memory of a single neuron": "fan-in",
    "one core a layer": "",
    "runs on the host": "on the host",
    "input axons per core": "input axons",
    "output axons per core": "output axons",
    "synaptic memory bits per core": "synapses",
}
Section = Mapping[str, Any]


def fit_lines(section: Section) -> list[str]:
    """Totals, a line a layer, broken rules, boards, what would be smaller, and the fine print."""
    return [
        *_head(section),
        "",
        *_layers(section),
        "",
        *_rules(section),
        *_boards(section),
        *_suggestions(section),
        *_other_chip(section["loihi1"]),
        "",
        *(line for note in section["notes"] for line in _wrapped(note, "  ", "- ")),
    ]


def loihi1_lines(section: Section) -> list[str]:
    """The same for Loihi 1, whose rule is published."""
    rows = section["layers"]
    width = _width(rows)
    head = (
        f"{'layer':<{width}}{'neurons':>10}{'axons in':>10}{'axons out':>11}"
        f"{'synaptic bits':>15}{'cores':>7}  bound by"
    )
    lines = [
        f"Loihi 1, estimated: at least {_count(section['cores'], 'core')} on "
        f"{_count(section['chips'], 'chip')}; bound by {section['binding']}",
        "",
        head,
    ]
    for row in rows:
        lines.append(
            f"{short(row['layer'], width - 1):<{width}}{row['neurons']:>10,}{row['axons_in']:>10,}"
            f"{row['axons_out']:>11,}{row['synaptic_bits']:>15,}{row['cores']:>7}"
            f"  {_binding(row)}".rstrip()
        )
    lines += [f"cannot run as it is: {problem}" for problem in section["problems"]]
    return [*lines, *(f"source: {source}" for source in section["sources"])]


def unfit_line(section: Section) -> str:
    """One line for who is about to train what will not fit."""
    broken = [f"{r['layer']}: {r['rule']}" for r in section["rules"] if not r["ok"]]
    if broken:
        text = f"the model breaks a rule of Loihi 2 ({'; '.join(broken)})"
    else:
        text = (
            f"the model would take about {section['cores']} cores on {section['chips']} Loihi 2 "
            f"chips, one has {section['cores_per_chip']}"
        )
    smaller = [s for s in section["suggestions"] if s["chips"] == 1]
    if smaller:
        first = smaller[0]
        text += f"; {first['change']} would take {first['cores']}"
    return f"note: {text} (estimated; see 'spikeface fit' after training)"


def _head(section: Section) -> Iterator[str]:
    low, high = section["cores_band"]
    cores, chips = _count(section["cores"], "core"), _count(section["chips"], "chip")
    yield (
        f"{section['chip']}, estimated: about {cores}, {chips} of {section['cores_per_chip']} "
        f"cores; bound by {section['binding']}"
    )
    band = f"{low}" if low == high else f"from {low} to {high}"
    yield f"  {band} by how cores are packed; at the very least {section['cores_lower_bound']}"


def _layers(section: Section) -> Iterator[str]:
    rows = section["layers"]
    width = _width(rows)
    yield (
        f"{'layer':<{width}}{'':<20}{'neurons':>9}{'weights':>9}{'cores':>7}{'least':>7}"
        f"  {'in a core':<14}bound by"
    )
    for row in rows:
        slab = "×".join(map(str, row["slab"])) or "–"
        yield (
            f"{short(row['layer'], width - 1):<{width}}{short(row['kind'], 19):<20}"
            f"{row['neurons']:>9,}{compact(row['weights']):>9}{row['cores']:>7}"
            f"{row['cores_lower_bound']:>7}  {slab:<14}{_binding(row)}".rstrip()
        )
    yield (
        f"{'on the chip':<{width}}{'':<20}{section['neurons']:>9,}"
        f"{compact(section['weights']):>9}{section['cores']:>7}"
    )


def _rules(section: Section) -> Iterator[str]:
    broken = [rule for rule in section["rules"] if not rule["ok"]]
    names = {rule["rule"] for rule in section["rules"]}
    kept = len(names - {rule["rule"] for rule in broken})
    yield f"design rules: {kept} kept, {len(names) - kept} broken"
    for rule in section["rules"]:
        if not rule["ok"] or rule["advice"]:
            sign = "risk" if rule["ok"] else "BROKEN"
            has = f"{rule['available']:,} available ({rule['unit']})"
            text = (
                f"{sign}: {rule['layer']}: {rule['rule']}: {rule['required']:,} needed, {has}; "
                f"{rule['advice']}"
            )
            yield from _wrapped(text, "  ")


def _boards(section: Section) -> Iterator[str]:
    fitting = [board["board"] for board in section["boards"] if board["fits"]]
    yield f"boards that hold it: {', '.join(fitting) or 'none that is known'}"


def _suggestions(section: Section) -> Iterator[str]:
    rows = section["suggestions"]
    if not rows:
        return
    yield "fewer cores, each change counted anew:"
    for row in rows:
        head = f"{_count(row['cores'], 'core')}, {_count(row['chips'], 'chip')}: {row['change']}"
        yield from _wrapped(f"{head}. Costs: {row['cost']}", "    ", "  ")


def _other_chip(section: Section) -> Iterator[str]:
    text = (
        f"Loihi 1 by its published rule: at least {_count(section['cores'], 'core')}, "
        f"{_count(section['chips'], 'chip')}, bound by {section['binding']}"
    )
    problems = section["problems"]
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        text += f"; cannot run as it is ({problems[0]}{more})"
    yield from _wrapped(text, "  ", "")


def _wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    start = indent if first is None else first
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=indent)


def _binding(row: Section) -> str:
    return BINDINGS.get(row["binding"], str(row["binding"]))


def _width(rows: list[Any]) -> int:
    return min(NAMES, max(10, *(len(row["layer"]) + 1 for row in rows)))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
