"""What the pages of reconstruction and transfer runs and of the whole pipeline show.

>>> reconstruction_content(run, run.read_report()).elements["sheet"]
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np
from markupsafe import Markup

from spikeface.errors import RunFolderError
from spikeface.figures.evtransfer import inline_png, quality_curve, save_sheet
from spikeface.figures.results import accuracy_bars, confusion_matrix, learning_curve
from spikeface.figures.style import to_svg
from spikeface.pages.content import Content, Picture, read_metrics
from spikeface.runs import RunFolder
from spikeface.text.accuracy import accuracy_rows

SHEET = "sheet.png"


def reconstruction_content(run: RunFolder, report: dict[str, Any]) -> Content:
    """The page of a reconstruction."""
    figure = quality_curve(read_metrics(run), report["reconstruction"]["mean_face"])
    label = "Quality of held-out faces by epoch"
    return Content(
        template="reconstruction.html.j2",
        pictures=(Picture("quality", label, to_svg(figure, salt="quality")),),
        commands=_commands(run, report),
        elements={"sheet": sheet_element(run, run)},
        files={"sheet": f"{run.figures.name}/{SHEET}"},
    )


def transfer_content(run: RunFolder, report: dict[str, Any]) -> Content:
    """The page of a classifier on images."""
    accuracy, rows = report["accuracy"], accuracy_rows(report)
    bars = accuracy_bars([(r.label, r.value, r.n) for r in rows], chance=accuracy["chance"])
    curve = learning_curve(
        read_metrics(run), chance=accuracy["chance"], best_epoch=report["training"]["best_epoch"]
    )
    counts = np.array(report["confusion_float"]["rows_are_true_classes"])
    matrix = confusion_matrix(counts, report["data"]["classes"])
    return Content(
        template="transfer.html.j2",
        pictures=(
            Picture("accuracy", "Test accuracies as bars", to_svg(bars, salt="accuracy")),
            Picture("learning", "Accuracy and loss by epoch", to_svg(curve, salt="learning")),
            Picture("confusion", "Confusion matrix of the test set", to_svg(matrix, salt="cm")),
        ),
        commands=_commands(run, report),
        values={"accuracies": rows},
    )


def overview_content(run: RunFolder, report: dict[str, Any]) -> Content:
    """The page of the whole pipeline, from its ``report.json`` and the runs in it."""
    trivial = accuracy_rows(report)
    rows = [(row.label, row.value, row.n) for row in trivial]
    rows += [
        (f"network, {row['run']}", row["recording_accuracy"], row["recordings"])
        for row in report["classifiers"]["rows"]
    ]
    bars = accuracy_bars(rows, chance=report["accuracy"]["chance"])
    asked = run.config.read_text(encoding="utf-8")
    quick = ["--quick"] if "quick = true" in asked else []
    return Content(
        template="evtransfer.html.j2",
        pictures=(Picture("overview", "Test accuracies as bars", to_svg(bars, salt="overview")),),
        commands=[["spikeface", "evtransfer", *quick, "--out", run.path.resolve().name]],
        values={"accuracies": trivial},
        elements={"sheet": sheet_element(RunFolder.open(run.path / "gan"), run)},
        files={"sheet": f"{run.figures.name}/{SHEET}"},
    )


def sheet_element(run: RunFolder, shown_in: RunFolder) -> Markup:
    """The sheet of examples of a reconstruction, drawn to ``figures/`` and for a page."""
    try:
        with np.load(run.need(run.samples, "train"), allow_pickle=False) as kept:
            sheet = kept["sheet"]
    except (OSError, KeyError, ValueError) as error:
        raise RunFolderError(f"{run.samples}: holds no examples ({error}); train again") from error
    shown_in.figures.mkdir(exist_ok=True)
    save_sheet(shown_in.figures / SHEET, sheet)
    return inline_png(
        shown_in.figures / SHEET,
        label="Examples in columns: image of events, reconstructed face, true face",
    )


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
