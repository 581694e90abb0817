"""``summary.md``: the groups of a sweep, the trivial classifiers beside them, and by which rules.

>>> print(summary_page(group_results(results)))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from spikeface.sweeps.results import Group, protocol_of
from spikeface.text.numbers import percent, spread, three_figures, whole
from spikeface.text.tables import cell, table

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


def _main_table(groups: Sequence[Group]) -> Iterator[str]:
    yield from table(
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
                spread(group.mean("float_accuracy"), group.std("float_accuracy")),
                spread(group.mean("integer_accuracy"), group.std("integer_accuracy")),
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
    yield from table(
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
        yield from table(
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
    yield from table(
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
        yield from (f"- `{result.planned.name}`: {cell(result.error)}" for result in failed)
        yield ""


def _protocols(groups: Sequence[Group]) -> Iterator[str]:
    texts = Counter(r.protocol_text for group in groups for r in group.finished)
    if texts:
        yield from ("## Protocol", "")
        yield from (
            f"- {text} ({count} run{'s' if count > 1 else ''})" for text, count in texts.items()
        )
        yield ""
