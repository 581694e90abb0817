"""What the page of a conversion shows.

>>> conversion_content(run, run.read_report()).values["code_name"]
'rate code'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spikeface.errors import RunFolderError
from spikeface.figures.conversion import embedding_over_steps, error_over_steps, form_bars
from spikeface.figures.style import to_svg
from spikeface.pages.content import Content, Picture, analysis_pictures
from spikeface.runs import RunFolder
from spikeface.text.accuracy import BASELINES, accuracy_rows, wilson_interval
from spikeface.text.conversion import (
    CODE_MEANING,
    CODE_NAMES,
    FORM_MEANING,
    operations,
    result_rows,
)


def conversion_content(run: RunFolder, report: dict[str, Any]) -> Content:
    """The page of a conversion, from what is known so far.

    Raises
    ------
    RunFolderError
        Before the encoder was converted.
    """
    if "conversion" not in report:
        raise RunFolderError(
            f"{run.path}: was not converted yet; go on with 'spikeface convert' and --resume"
        )
    chosen = report["conversion"]
    return Content(
        template="conversion.html.j2",
        pictures=tuple(_pictures(report)),
        commands=[
            ["spikeface", "convert", chosen["source"]["run"], "config.toml", "--out",
             run.path.resolve().name]
        ],
        values={
            "rows": [
                {**row, "operations": operations(row, report), "interval": _interval(row)}
                for row in result_rows(report)
            ],
            "trivial": accuracy_rows(report, BASELINES),
            "code_name": CODE_NAMES[chosen["code"]],
            "code_meaning": CODE_MEANING[chosen["code"]],
            "form_meaning": FORM_MEANING[chosen["activation"]],
        },
    )  # fmt: skip


def _interval(row: dict[str, Any]) -> tuple[float, float]:
    return wilson_interval(row["per_recording"]["value"], row["per_recording"]["n"])


def _pictures(report: dict[str, Any]) -> Iterator[Picture]:
    """Each figure that the report has the numbers for."""
    rows = result_rows(report)
    if rows:
        figure = form_bars(rows, chance=report["accuracy"]["chance"])
        yield Picture("accuracy", "Test accuracies of all forms", to_svg(figure, salt="accuracy"))
    if len(report["conversion"]["steps"]) > 1 and rows:
        figure = embedding_over_steps(rows)
        label = "Accuracy and cosine similarity over steps"
        yield Picture("steps", label, to_svg(figure, salt="steps"))
    layers = report.get("agreement", {}).get("layers", [])
    if layers and len(layers[0]["error"]) > 1:
        figure = error_over_steps(layers)
        yield Picture("error", "Error of every layer over steps", to_svg(figure, salt="error"))
    yield from analysis_pictures(report)
