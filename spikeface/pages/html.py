"""HTML from templates: everything escaped, nothing missing."""

from __future__ import annotations

import shlex
from pathlib import PurePath

import jinja2

from spikeface.text.numbers import (
    compact,
    energy_text,
    percent,
    quantity,
    share,
    small,
    three_figures,
    whole,
)


def environment() -> jinja2.Environment:
    """The templates of this package; an undefined name is an error."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("spikeface.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "percent": percent,
        "share_of": share,
        "whole": whole,
        "figures3": three_figures,
        "small": small,
        "compact": compact,
        "quantity": quantity,
        "energy": energy_text,
        "file_name": lambda path: PurePath(path).name,
        "command": shlex.join,
    }
    return templates
