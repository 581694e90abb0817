"""A conversion in words and as lines of text: what its forms are called, what each was found to do.

>>> form_name({"form": "spiking_integer", "steps": 8}, "rate")
'rate code, 8 steps, integers'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spikeface.text.numbers import MISSING, compact

CODE_NAMES = {"rate": "rate code", "graded": "graded code", "sigma_delta": "sigma-delta"}
ARTIFICIAL = {
    "ann_float32": "artificial, 32 bits",
    "ann_int8": "artificial, 8 bits",
    "ann_quantised": "artificial, quantised activations",
}
CODE_MEANING = {
    "rate": "binary spikes; an activation is the number of spikes over the steps",
    "graded": "one whole number a neuron and image, which is its activation in levels",
    "sigma_delta": "changes of activations; the windows of a recording are a stream",
}
FORM_MEANING = {
    "qcfs": "cut off",
    "signed": "sent as negative messages",
    "pair": "sent by a second neuron",
}


def form_name(row: Mapping[str, Any], code: str, detail: str = "") -> str:
    """What a row of the results is called; `detail` follows the name of its code."""
    if row["form"] in ARTIFICIAL:
        return ARTIFICIAL[row["form"]]
    numbers = {"spiking_float": "floats", "spiking_integer": "integers"}[row["form"]]
    steps = f", {row['steps']} step{'s' if row['steps'] > 1 else ''}" if code == "rate" else ""
    return f"{CODE_NAMES[code]}{detail}{steps}, {numbers}"


def result_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All forms that were tested, with their names."""
    code = report["conversion"]["code"]
    rows = [r for key in ("floats", "integers") for r in report.get(key, {}).get("rows", [])]
    return [{"name": form_name(row, code), **row} for row in rows]


def conversion_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The table at the end of a conversion."""
    if "conversion" not in report:
        return
    tested = report["data"]["tested_recordings"]
    subset = "" if tested["used"] == tested["of"] else f", of {tested['of']}"
    yield f"{tested['used']} test recordings{subset}; simulated"
    yield (
        f"{'':<34}{'by clip':>9}{'by rec.':>9}{'cosine':>9}{'CKA':>8}{'probe':>9}"
        f"{'operations an image':>26}"
    )
    for row in result_rows(report):
        yield (
            f"{row['name']:<34}{row['per_clip']['value']:>9.1%}"
            f"{row['per_recording']['value']:>9.1%}{row['cosine']['value']:>9.4f}"
            f"{_value(row['cka'], '.4f'):>8}{_value(row['probe'], '.1%'):>9}"
            f"{operations(row, report):>26}"
        )


def operations(row: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Operations of the encoder for an image, by kind; they are never added together."""
    if row["form"] in ARTIFICIAL:
        return f"{compact(report['conversion']['encoder_macs_per_image'])} MAC"
    if "acs_per_image" not in row:
        return ""
    parts = {"AC": row["acs_per_image"], "graded": row["graded_acs_per_image"]}
    return " + ".join(f"{compact(v)} {kind}" for kind, v in parts.items() if v) or "0"


def _value(entry: Mapping[str, Any] | None, form: str) -> str:
    return MISSING if entry is None else format(entry["value"], form)
