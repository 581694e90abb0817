"""``report.html`` of reconstruction and transfer runs, and the page of the whole pipeline.

>>> write_page(RunFolder.open(Path("runs/gan")))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from markupsafe import Markup

from spikeface.errors import RunFolderError
from spikeface.figures.evtransfer import inline_png, quality_curve, save_sheet
from spikeface.figures.results import accuracy_bars, confusion_matrix, learning_curve
from spikeface.figures.style import inline_svg, to_svg
from spikeface.pages.html import environment
from spikeface.pages.report import AccuracyRow, accuracy_rows, read_json, read_metrics, write_report
from spikeface.runs import RunFolder, write_text

TEMPLATES = {"reconstruction": "reconstruction.html.j2", "transfer": "transfer.html.j2"}
OVERVIEW = "evtransfer.html.j2"
SHEET = "sheet.png"
SHOWN_ACCURACIES = (
    "majority", "baseline_event_count", "baseline_ridge", "per_clip", "per_recording",
)  # fmt: skip


def write_page(run: RunFolder) -> None:
    """Write ``report.html`` and ``figures/`` of a run of any task.

    Raises
    ------
    RunFolderError
        When the report lacks what the run has to say, or the folder cannot be written.
    """
    report = run.read_report()
    task = report.get("task", "spiking")
    if task == "evtransfer":
        write_overview(run)
        return
    if task == "conversion":
        from spikeface.pages.conversion import write_conversion_page  # which builds on this file

        write_conversion_page(run)
        return
    if task not in TEMPLATES:
        write_report(run)
        return
    with run.step("report"):
        run.figures.mkdir(exist_ok=True)
        figures, files = {}, {}
        for name, label, svg in _figures(run, report):
            write_text(run.figures / f"{name}.svg", svg)
            figures[name] = Markup(inline_svg(svg, label=label))
            files[name] = f"{run.figures.name}/{name}.svg"
        if task == "reconstruction":
            figures["sheet"] = sheet_element(run)
            files["sheet"] = f"{run.figures.name}/{SHEET}"
        page = render(run, report, TEMPLATES[task], figures, commands=_commands(run, report))
        write_text(run.page, page)
        run.update_report(figures=files, folder=str(run.path.resolve()))


def sheet_element(run: RunFolder) -> Markup:
    """The sheet of examples of a reconstruction, drawn to ``figures/`` and for a page."""
    try:
        with np.load(run.need(run.samples, "train"), allow_pickle=False) as kept:
            sheet = kept["sheet"]
    except (OSError, KeyError, ValueError) as error:
        raise RunFolderError(f"{run.samples}: holds no examples ({error}); train again") from error
    run.figures.mkdir(exist_ok=True)
    save_sheet(run.figures / SHEET, sheet)
    return inline_png(
        run.figures / SHEET,
        label="Examples in columns: image of events, reconstructed face, true face",
    )


def write_overview(run: RunFolder) -> None:
    """Write ``report.html`` of the whole pipeline from its ``report.json`` and the runs in it."""
    report = run.read_report()
    rows = [(row.label, row.value, row.n) for row in shown_rows(report)]
    rows += [
        (f"network, {row['run']}", row["recording_accuracy"], row["recordings"])
        for row in report["classifiers"]["rows"]
    ]
    svg = to_svg(accuracy_bars(rows, chance=report["accuracy"]["chance"]), salt="overview")
    run.figures.mkdir(exist_ok=True)
    write_text(run.figures / "overview.svg", svg)
    sheet = sheet_element(RunFolder.open(run.path / "gan"))
    figures = {
        "overview": Markup(inline_svg(svg, label="Test accuracies as bars")),
        "sheet": sheet,
    }
    asked = run.config.read_text(encoding="utf-8")
    quick = ["--quick"] if "quick = true" in asked else []
    commands = [["spikeface", "evtransfer", *quick, "--out", run.path.resolve().name]]
    write_text(run.page, render(run, report, OVERVIEW, figures, commands=commands))
    run.update_report(folder=str(run.path.resolve()))


def render(
    run: RunFolder,
    report: dict[str, Any],
    template: str,
    figures: dict[str, Markup],
    **values: Any,
) -> str:
    """A page of a run from one of the templates that extend ``evtransfer_base.html.j2``."""
    return (
        environment()
        .get_template(template)
        .render(
            report=report,
            figures=figures,
            accuracies=shown_rows(report),
            where=read_json(run.path / "environment.json"),
            config=run.config.read_text(encoding="utf-8"),
            **values,
        )
    )


def shown_rows(report: dict[str, Any]) -> list[AccuracyRow]:
    """Accuracies of a classifier on images, baselines first."""
    known = report.get("accuracy", {})
    kept = {key: known[key] for key in SHOWN_ACCURACIES if key in known}
    return accuracy_rows({"accuracy": kept})


def _figures(run: RunFolder, report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, description and SVG of each figure."""
    metrics = read_metrics(run)
    if report["task"] == "reconstruction":
        figure = quality_curve(metrics, report["reconstruction"]["mean_face"])
        yield "quality", "Quality of held-out faces by epoch", to_svg(figure, salt="quality")
        return
    accuracy, classes = report["accuracy"], report["data"]["classes"]
    rows = [(row.label, row.value, row.n) for row in shown_rows(report)]
    figure = accuracy_bars(rows, chance=accuracy["chance"])
    yield "accuracy", "Test accuracies as bars", to_svg(figure, salt="accuracy")
    figure = learning_curve(
        metrics, chance=accuracy["chance"], best_epoch=report["training"]["best_epoch"]
    )
    yield "learning", "Accuracy and loss by epoch", to_svg(figure, salt="learning")
    counts = np.array(report["confusion_float"]["rows_are_true_classes"])
    figure = confusion_matrix(counts, classes)
    yield "confusion", "Confusion matrix of the test set", to_svg(figure, salt="confusion")


def _commands(run: RunFolder, report: dict[str, Any]) -> list[list[str]]:
    """What to type to get this run again, from its ``config.toml``."""
    name, data = run.path.resolve().name, report["data"]
    where = PurePath(data["file"]).name
    if data["dataset"] == "faces":
        made = [["spikeface", "faces", where, "--config", "config.toml"]]
        given = ["--data", where]
    else:
        made, given = [], ["--root", where]
    return [
        *made,
        ["spikeface", "train", "config.toml", *given, "--out", name],
        ["spikeface", "report", name],
    ]
