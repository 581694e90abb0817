"""The published format of ``report.json``: JSON Schema, draft 2020-12.

Numbers carry two annotations: ``x-unit``, and where no ``tag`` stands beside them ``x-tag``, which
says where they come from.

>>> jsonschema.validate(run.read_report(), report_schema())
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

NAME = "report.schema.json"


def report_schema() -> dict[str, Any]:
    """The schema of ``report.json``."""
    return json.loads(files(__name__).joinpath(NAME).read_text(encoding="utf-8"))
