"""HTML pages from the templates of this package: everything escaped, nothing missing."""

from __future__ import annotations

import jinja2


def environment() -> jinja2.Environment:
    """Templates beside this file; an undefined name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("spikeface", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
