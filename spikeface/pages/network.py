"""What the page of any network file shows.

>>> network_content(report, None, commands=[]).template
'network.html.j2'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeface.figures.spikes import message_raster
from spikeface.figures.style import to_svg
from spikeface.pages.content import Content, Picture, analysis_pictures

ANSWERS_LISTED = 20  # all of them are in report.json


def network_content(
    report: Mapping[str, Any],
    sample: tuple[np.ndarray, Mapping[str, np.ndarray]] | None,
    *,
    commands: list[list[str]],
) -> Content:
    """The page of a network.

    Parameters
    ----------
    report : dict
    sample : tuple of ndarray and dict, optional
        Input ``(T, ...)`` of one sample, and the messages ``(T, ...)`` of each layer.
    commands : list of list of str
        What to type to get the page again.
    """
    pictures = list(analysis_pictures(report))
    if sample:
        svg = to_svg(message_raster(*sample), salt="raster")
        pictures.append(Picture("raster", "Messages of one sample, layer by layer", svg))
    return Content(
        template="network.html.j2",
        pictures=tuple(pictures),
        commands=commands,
        values={"answers_listed": ANSWERS_LISTED},
    )
