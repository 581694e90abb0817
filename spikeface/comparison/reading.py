"""What a comparison shows, in plain words, from its numbers alone.

>>> for sentence in reading(groups): print(sentence)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from spikeface.comparison.groups import Group, comparable, dominated_by
from spikeface.text.accuracy import wilson_interval
from spikeface.text.numbers import compact, percent

NAMED = 4  # of several groups in one sentence


def reading(groups: Sequence[Group]) -> list[str]:
    """Sentences: who is most accurate, who computes least, who is dominated, what is not shown."""
    alike = comparable(groups)
    return [
        *_accuracy(alike),
        *_least(alike),
        *_energy(alike),
        *_dominated(alike),
        *_limits(groups),
    ]


def _accuracy(groups: Sequence[Group]) -> Iterator[str]:
    best = max(groups, key=lambda group: group.accuracy)
    n = best.points[0].recordings
    low, _ = wilson_interval(best.accuracy, n)
    near = [g.name for g in groups if g is not best and g.accuracy >= low]
    yield f"Most accurate: {best.name} with {_share(best)} of {n} test recordings."
    if near:
        yield (
            f"{_listed(near)} lie{'s' if len(near) == 1 else ''} within the 95% interval of that "
            f"(from {percent(low)}): so few recordings cannot tell them apart."
        )


def _least(groups: Sequence[Group]) -> Iterator[str]:
    for kind, what in (("spiking", "synaptic operations"), ("artificial", "multiply-accumulates")):
        known = [(o, g) for g in groups if g.kind == kind and (o := g.operations)]
        if len(known) > 1:
            (least, group), (most, last) = (f(known, key=lambda pair: pair[0]) for f in (min, max))
            if least == most:
                continue
            yield (
                f"Of the {kind} networks {group.name} computes least, {compact(least)} {what} a "
                f"recording at {percent(group.accuracy)}; {last.name} computes most, "
                f"{compact(most)} at {percent(last.accuracy)}."
            )
    spikes = [(s, g) for g in groups if g.kind == "spiking" and (s := g.mean("spikes"))]
    if len(spikes) > 1:
        least, group = min(spikes, key=lambda pair: pair[0])
        yield f"Fewest messages: {group.name}, {compact(least)} a recording."
    fast = [(s, g) for g in groups if (s := g.mean("latency_steps")) is not None]
    if len(fast) > 1:
        least, group = min(fast, key=lambda pair: pair[0])
        yield f"Fewest steps to an answer: {group.name}, {least:g}."
    placed = [(c, g) for g in groups if (c := g.mean("cores")) is not None]
    if len(placed) > 1:
        least = min(cores for cores, _ in placed)
        fewest = _listed([group.name for cores, group in placed if cores == least])
        yield f"Fewest cores of a Loihi 2, estimated: {fewest}, {least:g}."
    if own := [g.name for g in groups if g.needs_microcode]:
        yield f"Not on the chip's stock neurons: {_listed(own)}."


def _energy(groups: Sequence[Group]) -> Iterator[str]:
    for kind, why in (
        ("spiking", "priced as Loihi 1"),
        ("artificial", "arithmetic alone, in 45 nm"),
    ):
        known = [(e[1], g) for g in groups if g.kind == kind and (e := g.energy_nj)]
        if known:
            least, group = min(known, key=lambda pair: pair[0])
            yield (
                f"Least estimated energy of the {kind} networks ({why}): {group.name}, "
                f"{compact(least / 1e3)} µJ a recording."
            )


def _dominated(groups: Sequence[Group]) -> Iterator[str]:
    beaten = [(g, d) for g in groups if (d := dominated_by(g, groups, "operations"))]
    for group, others in beaten[:NAMED]:
        yield (
            f"{group.name} is dominated: {_listed([o.name for o in others])} "
            f"{_is(others)} no less accurate with no more operations."
        )
    if len(beaten) > NAMED:
        yield f"{len(beaten) - NAMED} more are dominated; the table marks them."
    kept = [g.name for g in groups if g.operations and not dominated_by(g, groups, "operations")]
    if beaten and kept:
        yield f"Not dominated within their kind, going by means alone: {_listed(kept)}."


def _limits(groups: Sequence[Group]) -> Iterator[str]:
    single = [group for group in groups if group.n == 1]
    if single:
        yield (
            f"{len(single)} of {len(groups)} rows are a single run: of these nobody knows what "
            "another seed would give."
        )
    if {group.kind for group in groups} == {"spiking", "artificial"}:
        yield (
            "Energies of spiking and of artificial networks have different boundaries (all of a "
            "chip's dynamic energy; arithmetic without memory): their ratio means little."
        )
    if marked := [group.name for group in groups if group.other_test]:
        yield f"Tested otherwise, and in no comparison above: {_listed(marked)}."
    test = comparable(groups)[0].points[0].test
    if test["dataset"] == "faces":
        yield "The faces are drawings: nothing here says anything about people."


def _share(group: Group) -> str:
    std = group.std("accuracy")
    runs = "" if std is None else f" ± {100 * std:.1f} (n = {group.n})"
    return f"{percent(group.accuracy)}{runs}"


def _is(names: Sequence[object]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:NAMED])
    if len(names) > NAMED:
        shown.append(f"{len(names) - NAMED} more")
    join: Callable[[list[str]], str] = "; ".join
    return shown[0] if len(shown) == 1 else f"{join(shown[:-1])} and {shown[-1]}"
