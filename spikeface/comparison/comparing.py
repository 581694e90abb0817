"""``spikeface compare``: run folders in, a folder with table, picture and page out.

    comparison.csv  comparison.json  comparison.md     the table, and what it shows in words
    pareto.svg  pareto.png  report.html                the picture, and all of it on one page

>>> compare([Path("runs/spiking"), Path("runs/graded")], Path("comparison"))["reading"]
"""

from __future__ import annotations

import csv
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikeface.comparison.groups import comparable, grouped, with_one_test
from spikeface.comparison.picture import pareto
from spikeface.comparison.points import points_of
from spikeface.comparison.reading import reading
from spikeface.comparison.tables import NOTES, markdown, table_rows, what_was_tested
from spikeface.figures.style import to_svg
from spikeface.outputs import new_folder, refuse_used, write_json, write_text, writing
from spikeface.pages.comparison import comparison_page

SCHEMA = "spikeface.comparison/1"
DPI = 160


def compare(paths: Sequence[Path], out: Path, *, mark: bool = False) -> dict[str, Any]:
    """Compare runs and write what comes out.

    Parameters
    ----------
    paths : sequence of Path
        Run folders: spiking networks, classifiers on images, converted ones.
    out : Path
        A new folder.
    mark : bool
        Whether runs that were tested otherwise become marked rows instead of an error.

    Returns
    -------
    dict
        The content of ``comparison.json``.

    Raises
    ------
    RunFolderError
        For a folder that has nothing to compare.
    ConfigError
        For runs that were tested otherwise than the rest.
    OutputError
        When the folder holds something or cannot be written.
    """
    refuse_used(out)
    unique = list(dict.fromkeys(path.resolve() for path in paths))
    points = [point for path in unique for point in points_of(path)]
    groups = with_one_test(grouped(points), mark=mark)
    rows, sentences = table_rows(groups), reading(groups)
    test = comparable(groups)[0].points[0].test
    picture = pareto(groups)
    svg = to_svg(picture, salt="pareto")
    result = {
        "schema": SCHEMA,
        "tag": "simulated",
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "command_line": shlex.join(["spikeface", *sys.argv[1:]]),
        "folder": str(out),
        "test": test,
        "rows": rows,
        "reading": sentences,
        "notes": list(NOTES),
    }
    new_folder(out)
    with writing(out / "comparison.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_text(out / "comparison.md", markdown(rows, sentences, what_was_tested(test)))
    write_text(out / "pareto.svg", svg)
    with writing(out / "pareto.png") as temporary:
        picture.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
    write_text(out / "report.html", comparison_page(out.resolve().name, result, svg))
    write_json(out / "comparison.json", result)
    return result
