"""``report.html`` of anything with a ``report.json``: one self-contained page.

The page holds no script and loads nothing: figures are part of it. The same figures are written
as files to ``figures/``; ``report.md`` holds the tables for a paper.

>>> write_page(RunFolder.open(Path("runs/demo")), markdown=True)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from hardware.analysis.fit import fit_network
from hardware.chip.storage import load_network
from spikeface.errors import RunFolderError
from spikeface.figures.style import inline_svg
from spikeface.outputs import new_folder, refuse_used, write_json, write_text
from spikeface.pages.content import Content, read_json
from spikeface.pages.conversion import conversion_content
from spikeface.pages.evtransfer import overview_content, reconstruction_content, transfer_content
from spikeface.pages.html import environment
from spikeface.pages.report import spiking_content
from spikeface.runs import SCHEMA, RunFolder
from spikeface.text.headline import headline, parity_chain
from spikeface.text.markdown import report_markdown

CONTENTS = {
    "spiking": spiking_content,
    "reconstruction": reconstruction_content,
    "transfer": transfer_content,
    "evtransfer": overview_content,
    "conversion": conversion_content,
}
MARKDOWN = "report.md"


def write_page(run: RunFolder, *, markdown: bool = False) -> None:
    """Write ``report.html`` and ``figures/``, and say in ``report.json`` where they are.

    Parameters
    ----------
    run : RunFolder
        Of any task. Sections that ``report.json`` lacks are left out of the page, with the command
        that adds them.
    markdown : bool
        Write ``report.md`` too.

    Raises
    ------
    RunFolderError
        When the report has another schema or lacks what the run has to say, or the folder cannot
        be read or written.
    """
    with run.step("report"):
        report = run.read_report()
        if report.get("schema") != SCHEMA:
            raise RunFolderError(
                f"{run.report}: expected schema {SCHEMA!r}, found {report.get('schema')!r}; "
                "make the run again with this version"
            )
        if run.chip.is_file():  # it follows from the integers alone
            report["fit"] = fit_network(load_network(run.chip)).as_dict()
            run.update_report(fit=report["fit"])
        task = report.get("task", "spiking")
        if task not in CONTENTS:
            raise RunFolderError(f"{run.report}: task {task!r} has no page that is written again")
        write_content(run, report, CONTENTS[task](run, report), markdown=markdown)


def write_content(
    run: RunFolder, report: dict[str, Any], content: Content, *, markdown: bool
) -> None:
    """Write a page that was put together, its figures, and the list of these."""
    elements, files = dict(content.elements), dict(content.files)
    for picture in content.pictures:
        run.figures.mkdir(exist_ok=True)
        write_text(run.figures / f"{picture.name}.svg", picture.svg)
        files[picture.name] = f"{run.figures.name}/{picture.name}.svg"
        elements[picture.name] = Markup(inline_svg(picture.svg, label=picture.label))
    where = read_json(run.path / "environment.json")
    page = (
        environment()
        .get_template(content.template)
        .render(
            report=report,
            figures=elements,
            headline=headline(report),
            chain=parity_chain(report),
            commands=content.commands,
            where=where,
            config=run.config.read_text(encoding="utf-8") if run.config.is_file() else None,
            **content.values,
        )
    )
    write_text(run.page, page)
    if markdown:
        text = report_markdown(report, commands=content.commands, where=where)
        write_text(run.page.with_name(MARKDOWN), text)
    run.update_report(figures=files, folder=str(run.path.resolve()))


def page_elsewhere(run: RunFolder, out: Path) -> RunFolder:
    """The same run, whose report is written to a new folder; nothing in the run's own changes.

    Raises
    ------
    OutputError
        When the folder holds something or cannot be written.
    """
    refuse_used(out)
    report, status = run.read_report(), run.read_status()
    other, new = RunFolder(run.path), RunFolder(new_folder(out))
    other.report, other.page, other.figures, other.status = (
        new.report, new.page, new.figures, new.status,
    )  # fmt: skip
    write_json(other.report, report)
    write_json(other.status, status)
    return other
