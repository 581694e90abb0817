"""Tables of GitHub Markdown, whatever stands in their cells.

>>> "\n".join(table(["engine", "accuracy"], [["norse", "85.9%"]], title="Results"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", words: int = 1
) -> Iterator[str]:
    """A table with an empty line behind it; after the first `words` columns all are numbers.

    Without rows there is none.
    """
    if not rows:
        return
    if title:
        yield from (f"## {cell(title)}", "")
    yield _line(head)
    yield _line(["---"] * words + ["---:"] * (len(head) - words))
    yield from map(_line, rows)
    yield ""


def cell(text: str) -> str:
    """Text that stays within its cell, whatever a class or a run is called."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"
