"""``report.html`` of a comparison, from its numbers and its picture.

>>> write_comparison_page(Path("comparison"))
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from spikeface.errors import RunFolderError
from spikeface.figures.style import inline_svg
from spikeface.outputs import new_folder, refuse_used, write_text
from spikeface.pages.html import environment

TEMPLATE = "comparison.html.j2"
COMPARISON, PICTURE = "comparison.json", "pareto.svg"


def comparison_page(name: str, result: dict[str, Any], svg: str) -> str:
    """The page of a comparison as HTML."""
    from spikeface.comparison.tables import HEADERS, cells, what_was_tested  # which calls this

    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            result=result,
            name=name,
            test=what_was_tested(result["test"]),
            headers=HEADERS,
            rows=[(row, cells(row)) for row in result["rows"]],
            bases=list(
                dict.fromkeys(row["energy_basis"] for row in result["rows"] if row["energy_basis"])
            ),
            figure=Markup(inline_svg(svg, label="Accuracy against operations and energy")),
        )
    )


def write_comparison_page(folder: Path, out: Path | None = None, *, markdown: bool = False) -> Path:
    """Write the page of a comparison again, into its own folder or a new one.

    Parameters
    ----------
    folder : Path
        What ``spikeface compare`` wrote.
    out : Path, optional
        A new folder.
    markdown : bool
        Write ``report.md`` too.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    RunFolderError
        When the folder lacks what ``spikeface compare`` writes, or it is of another version.
    OutputError
        When the new folder holds something or cannot be written.
    """
    from spikeface.comparison.tables import markdown as comparison_markdown
    from spikeface.comparison.tables import what_was_tested

    if out:
        refuse_used(out)
    try:
        result = json.loads((folder / COMPARISON).read_text(encoding="utf-8"))
        svg = (folder / PICTURE).read_text(encoding="utf-8")
        page = comparison_page(folder.resolve().name, result, svg)
        text = comparison_markdown(
            result["rows"], result["reading"], what_was_tested(result["test"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{folder}: not a comparison of this version ({error!r}); make it again with "
            "'spikeface compare'"
        ) from error
    place = new_folder(out) if out else folder
    write_text(place / "report.html", page)
    if markdown:
        write_text(place / "report.md", text)
    return place / "report.html"
