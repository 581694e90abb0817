"""What a page is made of, before it is written: a template, its figures, what else it shows.

>>> content = content_of(run, run.read_report())
>>> content.template, [picture.name for picture in content.pictures]
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from spikeface.figures.costs import cores_by_layer, energy_range
from spikeface.figures.overtime import activity_over_time
from spikeface.figures.results import layer_bars
from spikeface.figures.style import to_svg
from spikeface.runs import RunFolder


@dataclass(frozen=True)
class Picture:
    """A figure: its name, what is to be seen, and its SVG text."""

    name: str
    label: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """A page to be.

    Parameters
    ----------
    template : str
        File name of the template.
    pictures : tuple of Picture
        Written to ``figures/`` and shown where the template names them.
    commands : list of list of str
        What to type to get the same again.
    values : dict
        What else the template reads.
    elements : dict of str to Markup
        Figures that are elements already, and ``files``, where they lie.
    """

    template: str
    pictures: tuple[Picture, ...]
    commands: list[list[str]]
    values: dict[str, Any] = field(default_factory=dict)
    elements: dict[str, Markup] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def analysis_pictures(report: Mapping[str, Any]) -> Iterator[Picture]:
    """What every network that runs on a chip shows, as far as the report has the numbers."""
    if "spikes" in report:
        spikes = report["spikes"]
        figure = layer_bars(spikes["layers"], input_spikes=spikes["input_spikes"])
        yield Picture("layers", "Messages and operations by layer", to_svg(figure, salt="layers"))
    if "metrics" in report:
        metrics = report["metrics"]
        neurons = {row["layer"]: row["neurons"] for row in metrics["layers"]}
        over_time = {name: metrics["over_time"][name] for name in neurons}
        figure = activity_over_time(over_time, neurons)
        yield Picture(
            "overtime", "Share of neurons that send, by layer and step", to_svg(figure, salt="time")
        )
    if "fit" in report:
        figure = cores_by_layer(report["fit"]["layers"])
        yield Picture("cores", "Neurocores by layer", to_svg(figure, salt="cores"))
    if any(row.get("level") for row in report.get("energy", {}).get("rows", [])):
        figure = energy_range(report["energy"]["rows"])
        yield Picture("energy", "Energy estimates side by side", to_svg(figure, salt="energy"))


def read_metrics(run: RunFolder) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``, none where there is no such file."""
    if not run.metrics.is_file():
        return []
    with run.metrics.open(newline="", encoding="utf-8") as file:
        return [{key: float(v) for key, v in row.items()} for row in csv.DictReader(file)]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file, empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
