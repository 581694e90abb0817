"""``summary.md``: the groups of a sweep, the trivial classifiers beside them, and by which rules.

>>> print(summary_page(group_results(results)))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from spikeface.sweeps.results import Group, protocol_of
from spikeface.text.numbers import MISSING, percent, three_figures, whole

HOW = (
    "Means over the finished runs of a group, whose configurations differ in seed and fold alone; "
    "± is the sample standard deviation over these runs. Accuracies are on test clips, simulated "
    "on this host. Spikes and synaptic operations are those of the integer network, of the float "
    "one where that did not run. Minutes are those of training, on whatever this host did beside."
)


def summary_page(groups: Sequence[Group]) -> str:
    """The page as Markdown."""
    results = [result for group in groups for result in group.results]
    states = Counter(result.state for result in results)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    return "\n".join(
        [
            f"# Sweep of {len(results)} run{'s' if len(results) != 1 else ''}",
            "",
            f"{counted}. Protocol: {protocol_of(results)}. {HOW}",
            "",
            *_main_table(groups),
            *_references(groups),
            *_by_class(groups),
            *(line for group in groups if group.n for line in _confusion(group)),
            *_errors(groups),
            *_protocols(groups),
        ]
    )


def spread_text(mean: float | None, std: float | None) -> str:
    """A mean share and its spread in per cent."""
    if mean is None:
        return MISSING
    return percent(mean) if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}%"


def _main_table(groups: Sequence[Group]) -> Iterator[str]:
    yield from _table(
        [
            "group",
            "runs",
            "network, float",
            "network, integer",
            "same answers",
            "spikes per clip",
            "synaptic operations per clip",
            "minutes",
        ],
        [
            [
                group.name,
                f"{group.n} of {len(group.results)}",
                spread_text(group.mean("float_accuracy"), group.std("float_accuracy")),
                spread_text(group.mean("integer_accuracy"), group.std("integer_accuracy")),
                percent(group.mean("same_answers")),
                whole(group.activity("spikes_per_clip")),
                whole(group.activity("synaptic_operations_per_clip")),
                three_figures(group.mean("training_minutes")),
            ]
            for group in groups
        ],
    )


def _references(groups: Sequence[Group]) -> Iterator[str]:
    names = list(dict.fromkeys(n for g in groups for r in g.finished for n in r.references))
    yield from _table(
        ["group", "chance", *(name.replace("_", " ") for name in names)],
        [
            [group.name, percent(group.chance), *(percent(group.reference(n)) for n in names)]
            for group in groups
            if group.n
        ],
        title="Trivial classifiers on the same test clips",
    )


def _by_class(groups: Sequence[Group]) -> Iterator[str]:
    """A table for each list of classes: sets differ in what they show."""
    for classes in dict.fromkeys(group.classes for group in groups if group.n):
        yield from _table(
            ["group", "answers of", *classes],
            [
                [group.name, group.answers, *map(percent, group.class_accuracies().values())]
                for group in groups
                if group.n and group.classes == classes
            ],
            title="Accuracy by class, mean over runs",
        )


def _confusion(group: Group) -> Iterator[str]:
    counts = group.confusion()
    yield from _table(
        ["true \\ predicted", *group.classes],
        [
            [label, *map(str, row)]
            for label, row in zip(group.classes, counts.tolist(), strict=True)
        ],
        title=f"Confusion of {group.name}: {group.answers} network, "
        f"{counts.sum():,} clips of {group.n} run{'s' if group.n > 1 else ''}",
    )


def _errors(groups: Sequence[Group]) -> Iterator[str]:
    failed = [r for group in groups for r in group.results if r.state == "failed"]
    if failed:
        yield from ("## Failed runs", "")
        yield from (f"- `{result.planned.name}`: {_cell(result.error)}" for result in failed)
        yield ""


def _protocols(groups: Sequence[Group]) -> Iterator[str]:
    texts = Counter(r.protocol_text for group in groups for r in group.finished)
    if texts:
        yield from ("## Protocol", "")
        yield from (
            f"- {text} ({count} run{'s' if count > 1 else ''})" for text, count in texts.items()
        )
        yield ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Iterator[str]:
    if not rows:
        return
    if title:
        yield from (f"## {_cell(title)}", "")
    yield _line(head)
    yield _line(["---", *["---:"] * (len(head) - 1)])
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that stays within its cell, whatever a class or a run is called."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
