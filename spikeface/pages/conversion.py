"""``report.html`` of a conversion.

>>> write_conversion_page(RunFolder.open(Path("runs/rate")))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from spikeface.errors import RunFolderError
from spikeface.figures.conversion import embedding_over_steps, error_over_steps, form_bars
from spikeface.figures.results import layer_bars, wilson_interval
from spikeface.figures.style import inline_svg, to_svg
from spikeface.pages.evtransfer import render
from spikeface.pages.report import AccuracyRow, accuracy_rows
from spikeface.runs import RunFolder, write_text
from spikeface.text.conversion import (
    CODE_MEANING,
    CODE_NAMES,
    FORM_MEANING,
    operations,
    result_rows,
)

TEMPLATE = "conversion.html.j2"
TRIVIAL = ("majority", "baseline_event_count", "baseline_ridge")


def write_conversion_page(run: RunFolder) -> None:
    """Write ``report.html`` and ``figures/`` from what is known so far.

    Raises
    ------
    RunFolderError
        Before the encoder was converted, or when the folder cannot be written.
    """
    report = run.read_report()
    if "conversion" not in report:
        raise RunFolderError(
            f"{run.path}: was not converted yet; go on with 'spikeface convert' and --resume"
        )
    with run.step("report"):
        run.figures.mkdir(exist_ok=True)
        figures, files = {}, {}
        for name, label, svg in _figures(report):
            write_text(run.figures / f"{name}.svg", svg)
            figures[name] = Markup(inline_svg(svg, label=label))
            files[name] = f"{run.figures.name}/{name}.svg"
        page = render(
            run,
            report,
            TEMPLATE,
            figures,
            commands=_commands(run, report),
            rows=[
                {**row, "operations": operations(row, report), "interval": _interval(row)}
                for row in result_rows(report)
            ],
            trivial=trivial_rows(report),
            code_name=CODE_NAMES[report["conversion"]["code"]],
            code_meaning=CODE_MEANING[report["conversion"]["code"]],
            form_meaning=FORM_MEANING[report["conversion"]["activation"]],
        )
        write_text(run.page, page)
        run.update_report(figures=files, folder=str(run.path.resolve()))


def trivial_rows(report: dict[str, Any]) -> list[AccuracyRow]:
    """The trivial classifiers beside which the networks stand."""
    known = report.get("accuracy", {})
    return accuracy_rows({"accuracy": {key: known[key] for key in TRIVIAL if key in known}})


def _interval(row: dict[str, Any]) -> tuple[float, float]:
    return wilson_interval(row["per_recording"]["value"], row["per_recording"]["n"])


def _figures(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, description and SVG of each figure that the report has the numbers for."""
    rows = result_rows(report)
    if rows:
        figure = form_bars(rows, chance=report["accuracy"]["chance"])
        yield "accuracy", "Test accuracies of all forms", to_svg(figure, salt="accuracy")
    if len(report["conversion"]["steps"]) > 1 and rows:
        figure = embedding_over_steps(rows)
        yield "steps", "Accuracy and cosine similarity over steps", to_svg(figure, salt="steps")
    layers = report.get("agreement", {}).get("layers", [])
    if layers and len(layers[0]["error"]) > 1:
        figure = error_over_steps(layers)
        yield "error", "Error of every layer over steps", to_svg(figure, salt="error")
    if "spikes" in report:
        spikes = report["spikes"]
        figure = layer_bars(spikes["layers"], input_spikes=spikes["input_spikes"])
        yield "layers", "Messages and operations by layer", to_svg(figure, salt="layers")


def _commands(run: RunFolder, report: dict[str, Any]) -> list[list[str]]:
    """What to type to get this run again."""
    source = report["conversion"]["source"]["run"]
    name = run.path.resolve().name
    return [["spikeface", "convert", source, "config.toml", "--out", name]]
