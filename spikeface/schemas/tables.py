"""The tables of docs/report.md, from the schema: what is in ``report.json``.

    python -m spikeface.schemas.tables      prints them

>>> print(report_tables(report_schema()))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from spikeface.schemas import report_schema
from spikeface.text.tables import table


def report_tables(schema: Mapping[str, Any]) -> str:
    """A table a section, a row a value; what several sections share stands once, at the end."""
    plain = {k: v for k, v in schema["properties"].items() if not _inner(v)}
    lines = list(table(_HEAD, list(_rows(plain, "")), words=len(_HEAD)))
    for name, part in (schema["properties"] | schema["$defs"]).items():
        if inner := _inner(part):
            title = part.get("title") or inner.get("title", "")
            lines += [f"## {name}", "", *([f"{title}.", ""] if title else [])]
            rows = list(_rows(inner["properties"], inner.get("x-tag", "")))
            lines += table(_HEAD, rows, words=len(_HEAD))
    return "\n".join(lines)


_HEAD = ("key", "what", "type", "unit", "tag")


def _inner(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that a part is, is a list of, or is unless it is null; empty for others."""
    for found in (part, part.get("items", {}), *part.get("anyOf", [])):
        if "properties" in found:
            return found
    return {}


def _rows(properties: Mapping[str, Any], tag: str) -> Iterator[list[str]]:
    own = properties.get("tag", {})
    tag = own.get("const", "its own" if own else tag)
    for key, part in properties.items():
        if key != "tag":
            yield from _row(key, part, part.get("x-tag", tag))


def _row(key: str, part: Mapping[str, Any], tag: str) -> Iterator[list[str]]:
    what = part.get("description") or part.get("title", "")
    unit = _unit(part)
    yield [f"`{key}`", what, _type(part), unit, tag if unit else ""]
    if inner := _inner(part):
        mark = "[]" if "items" in part else ""
        for row in _rows(inner["properties"], inner.get("x-tag", tag)):
            yield [f"`{key}{mark}.{row[0].strip('`')}`", *row[1:]]


def _unit(part: Any) -> str:
    """Of a number, or of what a list or mapping holds."""
    if not isinstance(part, dict) or not part:
        return ""
    return part.get("x-unit") or _unit(part.get("items", part.get("additionalProperties", {})))


def _type(part: Mapping[str, Any]) -> str:
    if "const" in part:
        return f'"{part["const"]}"'
    if "enum" in part:
        return ", ".join(map(json.dumps, part["enum"]))
    if "$ref" in part:
        return part["$ref"].rpartition("/")[2]
    if "anyOf" in part:
        return " or ".join(_type(choice) for choice in part["anyOf"])
    if "items" in part:
        return f"list of {_type(part['items'])}"
    kind = part.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "object" and isinstance(part.get("additionalProperties"), dict):
        return f"names to {_type(part['additionalProperties'])}"
    return kind


if __name__ == "__main__":
    print(report_tables(report_schema()))
