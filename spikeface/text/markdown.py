"""``report.md``: a report as plain GitHub Markdown, tables for a paper with sources as footnotes.

>>> print(report_markdown(run.read_report(), commands=[["spikeface", "demo"]], where={}))
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikeface.text.accuracy import accuracy_rows
from spikeface.text.conversion import operations, result_rows
from spikeface.text.headline import headline, parity_chain, sample_name
from spikeface.text.numbers import (
    energy_text,
    percent,
    quantity,
    share,
    three_figures,
    whole,
)
from spikeface.text.tables import cell, table


def report_markdown(
    report: Mapping[str, Any], *, commands: Sequence[Sequence[str]], where: Mapping[str, Any]
) -> str:
    """The tables of a report, as far as it knows them.

    Parameters
    ----------
    report : dict
        ``report.json`` of anything.
    commands : sequence of sequence of str
        What to type to get the same again.
    where : dict
        ``environment.json``, empty where it is unknown.
    """
    lines = [
        f"# {cell(report.get('name', 'run'))}",
        "",
        *_headline(report),
        *_accuracy(report),
        *_faces(report),
        *_classifiers(report),
        *_forms(report),
        *_chain(report),
        *_layers(report),
        *_metrics(report),
        *_fit(report),
        *_energy(report),
        *_again(commands, where),
    ]
    return "\n".join(lines)


def _headline(report: Mapping[str, Any]) -> Iterator[str]:
    rows = [[entry.what, entry.number, entry.tag, entry.note] for entry in headline(report)]
    if rows:
        yield from table(["", "", "tag", ""], rows, words=4)


def _accuracy(report: Mapping[str, Any]) -> Iterator[str]:
    if "accuracy" not in report or "conversion" in report:
        return
    accuracy = report["accuracy"]
    rows = [["chance", percent(accuracy["chance"]), "", ""]]
    for row in accuracy_rows(report):
        rows.append([row.label, percent(row.value), _interval(row.interval), whole(row.n)])
    yield from table(["simulated", "accuracy", "95% interval", "n"], rows, title="Test accuracy")
    yield f"Protocol: {cell(accuracy['protocol'])} Intervals are Wilson's for independent samples."
    yield ""


def _faces(report: Mapping[str, Any]) -> Iterator[str]:
    if "reconstruction" in report:
        section = report["reconstruction"]
        pairs = (("mean training face", "mean_face"), ("network", "quality"))
        rows = [
            [
                label,
                *(f"{section[key][name]:.2f}" for name in ("psnr",)),
                *(f"{section[key][name]:.4f}" for name in ("ssim", "ncc", "mse", "mae")),
            ]
            for label, key in pairs
        ]
        head = ["held-out faces, simulated", "PSNR, dB", "SSIM", "NCC", "MSE", "MAE"]
        yield from table(head, rows, title="Faces from events")


def _classifiers(report: Mapping[str, Any]) -> Iterator[str]:
    if "classifiers" in report:
        rows = [
            [
                row["run"],
                percent(row["clip_accuracy"]),
                percent(row["recording_accuracy"]),
                whole(row["trained_parameters"]),
            ]
            for row in report["classifiers"]["rows"]
        ]
        head = ["simulated", "by clip", "by recording", "trained parameters"]
        yield from table(head, rows, title="Classifiers")


def _forms(report: Mapping[str, Any]) -> Iterator[str]:
    rows = result_rows(report) if "conversion" in report else []
    if rows:
        cells = [
            [
                row["name"],
                percent(row["per_clip"]["value"]),
                percent(row["per_recording"]["value"]),
                f"{row['cosine']['value']:.4f}",
                operations(row, report),
            ]
            for row in rows
        ]
        head = ["simulated", "by clip", "by recording", "cosine", "operations an image"]
        yield from table(head, cells, title="Forms of the encoder")


def _chain(report: Mapping[str, Any]) -> Iterator[str]:
    rows = [[f"{h.expected} → {h.found}", h.state, h.detail] for h in parity_chain(report)]
    if rows:
        yield from table(["hop", "", ""], rows, title="From floats to the chip", words=3)


def _layers(report: Mapping[str, Any]) -> Iterator[str]:
    if "spikes" not in report:
        return
    spikes = report["spikes"]
    rows = [
        [
            row["layer"],
            whole(row["neurons"]),
            whole(row["weights"]),
            three_figures(row["spikes"]),
            percent(row["rate"], 2),
            whole(row["synops"]),
            share(row["synops"], row["dense"]),
        ]
        for row in spikes["layers"]
    ]
    head = ["layer", "neurons", "weights", "messages", "per neuron and step"]
    title = f"Layers, per {sample_name(report)} ({spikes['tag']})"
    yield from table([*head, "synaptic operations", "of dense"], rows, title=title)


def _metrics(report: Mapping[str, Any]) -> Iterator[str]:
    if "metrics" not in report:
        return
    found = report["metrics"]
    counts = found["synaptic_operations"]
    rows = [
        ["footprint, bytes", whole(found["footprint_bytes"])],
        ["parameter count", whole(found["parameter_count"])],
        ["connection sparsity", percent(found["connection_sparsity"], 2)],
        ["activation sparsity", percent(found["activation_sparsity"], 2)],
        *(
            [f"synaptic operations, {key.replace('_', ' ')}", whole(counts[key])]
            for key in ("effective_acs", "effective_macs", "graded_acs", "dense")
        ),
        ["membrane updates", whole(found["membrane_updates"])],
    ]
    yield from table(["NeuroBench's names", found["tag"]], rows, title="Metrics")


def _fit(report: Mapping[str, Any]) -> Iterator[str]:
    if "fit" not in report:
        return
    fit = report["fit"]
    rows = [
        [
            row["layer"],
            row["kind"],
            row["binding"],
            whole(row["neurons"]),
            whole(row["weight_bytes"]),
            whole(row["cores"]),
            whole(row["cores_lower_bound"]),
        ]
        for row in fit["layers"]
    ]
    total = [
        "all",
        "",
        fit["binding"],
        "",
        "",
        whole(fit["cores"]),
        whole(fit["cores_lower_bound"]),
    ]
    head = ["layer", "kind", "bound by", "neurons", "weight bytes", "cores", "at least"]
    title = f"Fit to {fit['chip']} ({fit['tag']}): {whole(fit['chips'])} chip(s)"
    yield from table(head, [*rows, total], title=title, words=3)
    broken = [rule for rule in fit["rules"] if not rule["ok"]]
    for rule in broken:
        needed = f"{quantity(rule['required'])} {rule['unit']}"
        limit = f"{quantity(rule['available'])} allowed"
        yield (
            f"- violated: {cell(rule['layer'])}: {rule['rule']}, {needed}, {limit}. "
            f"{cell(rule['advice'])}"
        )
    yield from ("",) if broken else ("No rule is violated.", "")
    if fit["suggestions"]:
        rows = [
            [row["change"], row["cost"], whole(row["cores"]), whole(row["chips"])]
            for row in fit["suggestions"]
        ]
        yield from table(["change", "cost", "cores", "chips"], rows, words=2)
    yield from (f"- {cell(note)}" for note in fit["notes"])
    yield from ("", f"Sources: {cell('; '.join(fit['sources']))}.", "")


def _energy(report: Mapping[str, Any]) -> Iterator[str]:
    if "energy" not in report:
        return
    energy = report["energy"]
    rows = [
        [
            row.get("level", ""),
            row["device"],
            row["basis"],
            energy_text(row["dynamic_nj"]),
            "not included" if row["static_nj"] is None else energy_text(row["static_nj"]),
            energy_text(row["total_nj"]),
        ]
        for row in energy["rows"]
    ]
    head = ["level", "device", "counted", "dynamic", "static", "total"]
    yield from table(head, rows, title=f"Energy per {energy['per']} ({energy['tag']})", words=3)
    sources = list(dict.fromkeys(constant["source"] for constant in energy["constants"]))
    rows = [
        [
            f"{constant['name']}[^{1 + sources.index(constant['source'])}]",
            constant.get("evidence", ""),
            f"{constant['value']:.4g} {constant['unit']}",
        ]
        for constant in energy["constants"]
    ]
    yield from table(["constant", "evidence", "value"], rows, words=2)
    yield from (f"- {cell(limit)}" for limit in energy["limits"])
    yield ""
    if anchors := energy.get("anchors", []):
        rows = [
            [anchor["workload"], anchor["figure"], anchor["source"], anchor["evidence"]]
            for anchor in anchors
        ]
        head = ["measured by others, for scale", "result", "source", "evidence"]
        yield from table(head, rows, words=4)
    yield from (f"[^{1 + place}]: {cell(source)}" for place, source in enumerate(sources))
    yield ""


def _again(commands: Sequence[Sequence[str]], where: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## How to make this again", "", "```")
    yield from (shlex.join(command) for command in commands)
    yield from ("```", "")
    if where:
        packages = ", ".join(f"{k} {v}" for k, v in where["packages"].items() if v)
        commit = where["commit"] or "unknown"
        yield (
            f"spikeface {where['spikeface']} (commit {commit}), Python {where['python']} on "
            f"{where['platform']}; {packages}."
        )
        yield ""


def _interval(interval: tuple[float, float] | None) -> str:
    return f"{percent(interval[0], 0)} to {percent(interval[1], 0)}" if interval else ""
