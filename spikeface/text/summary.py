"""Results as a few lines of text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikeface.text.accuracy import ACCURACIES
from spikeface.text.conversion import conversion_lines
from spikeface.text.numbers import energy_text, share


def report_lines(report: dict[str, Any], *, run: Path | None = None) -> list[str]:
    """The short table at the end of a run: whatever ``report.json`` knows so far."""
    if report.get("task") == "conversion":
        return [*conversion_lines(report), *_parity(report), *_where(report, run)]
    return [
        *_reconstruction(report),
        *_accuracy(report),
        *_activity(report),
        *_parity(report),
        *_where(report, run),
    ]


def pipeline_lines(report: dict[str, Any]) -> list[str]:
    """The table of ``evtransfer``: a line a classifier, baselines first."""
    lines = [*_reconstruction(report), f"{'test accuracy':<22} {'by clip':>9} {'by recording':>13}"]
    for key, label in ACCURACIES:
        if key in report["accuracy"]:
            lines.append(f"  {label:<20} {'':>9} {report['accuracy'][key]['value']:>13.1%}")
    lines += [
        f"  {row['run']:<20} {row['clip_accuracy']:>9.1%} {row['recording_accuracy']:>13.1%}"
        for row in report["classifiers"]["rows"]
    ]
    return [*lines, *_where(report, None)]


def quantisation_lines(section: dict[str, Any]) -> list[str]:
    """What quantisation changed, a line a layer."""
    width = max(10, *(len(layer["layer"]) + 1 for layer in section["layers"]))
    head = (
        f"{'layer':<{width}}{'weight SQNR':>13}{'bits':>7}{'zeroed':>9}{'clipped':>9}{'decay':>10}"
    )
    return [
        f"{head}{'bias':>10}",
        *(_loss_line(layer, width) for layer in section["layers"]),
        *(f"{layer['layer']}: {note}" for layer in section["layers"] for note in layer["notes"]),
        *_assumed(section),
    ]


def recording_lines(entry: dict[str, Any]) -> list[str]:
    """What a recording did to the network."""
    width, height = entry["sensor_size"]
    lines = [
        f"{entry['file']}: {entry['events']:,} events in {entry['duration_us'] / 1e6:.3f} s, "
        f"{width}×{height} sensor, {entry['windows']} window(s) of "
        f"{entry['window_us'] / 1e6:g} s"
    ]
    for name, run in entry["backends"].items():
        layers = ", ".join(f"{row['layer']} {row['spikes']:,.0f}" for row in run["layers"])
        lines.append(f"{name:<10} spikes per window: {layers}")
        lines.append(f"{'':<10} output spikes: {run['output_spikes']}")
    if "parity" in entry:
        lines.append(f"parity     {entry['parity']['statement']}")
    return [*lines, "(spikes only: this says nothing about the expression of the face)"]


def parity_lines(section: dict[str, Any]) -> list[str]:
    """A paragraph a hop: equal, or where, how far and why not."""
    samples, steps, *_ = section["input_shape"]
    lines = [
        f"{section['network']} on {section['input']}: {samples} sample(s) of {steps} steps, "
        f"{section['input_share_active']:.1%} of the input active; simulated",
        *_assumed(section),
    ]
    for hop in section["hops"]:
        lines += _hop_lines(hop)
    return [*lines, f"{'-> Loihi 2':<34} {section['chip']['reason']}"]


def _hop_lines(hop: dict[str, Any]) -> Iterator[str]:
    head = f"{hop['expected']} -> {hop['found']}"
    first = hop["first_divergence"]
    if first is None:
        silent = f"; but {', '.join(hop['silent'])} sent none" if hop["silent"] else ""
        yield f"{head:<34} every message of every layer equal{silent}"
        yield from _readout_line(hop)
        return
    neuron = ", ".join(map(str, first["neuron"]))
    yield (
        f"{head:<34} part first in {first['population']} at step {first['step']}, neuron "
        f"({neuron}), sample {first['sample']}: {first['variable']} {first['expected']} and "
        f"{first['found']}"
    )
    if hop["thresholds_apart"] is not None:
        one, other = hop["voltages_in_thresholds"]
        yield f"{'':<34} voltage {one:.4f} and {other:.4f} of the threshold"
    yield f"{'':<34} cause: {hop['cause']['kind']}: {hop['cause']['evidence']}"
    differing = {k: v for k, v in hop["differing_share"].items() if v}
    shares = ", ".join(f"{name} {share:.2%}" for name, share in differing.items())
    if shares:
        yield f"{'':<34} messages that differ: {shares}; same answer {hop['same_answers']:.1%}"
    yield from _readout_line(hop)


def _readout_line(hop: dict[str, Any]) -> Iterator[str]:
    if hop["readout_error"]:
        yield f"{'':<34} readout off by at most {hop['readout_error']:.2%} of its range"


def _assumed(section: dict[str, Any]) -> list[str]:
    return [f"assumed: {assumption}" for assumption in section["assumptions"]]


def simulation_lines(section: dict[str, Any]) -> list[str]:
    """What a network did, a line a layer."""
    width = max(6, *(len(row["layer"]) + 1 for row in section["layers"]))
    head = (
        f"{'layer':<{width}}{'neurons':>10}{'messages':>12}{'rate':>9}{'synaptic operations':>21}"
    )
    lines = [
        *_assumed(section),
        f"{section['samples']} sample(s) of {section['n_steps']} steps on {section['backend']}, "
        f"{1e3 * section['host_seconds'] / section['samples']:.2f} ms each on this computer; "
        f"counts per sample, {section['tag']}",
        head,
    ]
    for row in section["layers"]:
        lines.append(
            f"{row['layer']:<{width}}{row['neurons']:>10,}{row['spikes']:>12,.1f}"
            f"{row['rate']:>9.2%}{row['synops']:>21,.1f}"
        )
    silent = [row["layer"] for row in section["layers"] if not row["spikes"]]
    if silent and not (section["readout"] == "membrane" and silent == [row["layer"]]):
        lines.append(f"nothing was sent by {', '.join(silent)}")
    answers = [_answer(output) for output in section["output"][:20]]
    more = " ..." if len(section["output"]) > len(answers) else ""
    return [*lines, f"{_readout(section)}: {', '.join(answers)}{more}"]


def _readout(section: dict[str, Any]) -> str:
    kind = "membrane" if section["readout"] == "membrane" else "messages"
    alone = len(section["output"][0]) == 1
    return f"output ({kind})" if alone else f"largest output ({kind})"


def _answer(output: list[float]) -> str:
    """Index of the largest, or the value of an only one; ``-`` where several are largest."""
    if len(output) == 1:
        return f"{output[0]}"
    largest = max(output)
    return str(output.index(largest)) if output.count(largest) == 1 else "-"


def _accuracy(report: dict[str, Any]) -> Iterator[str]:
    accuracy = report.get("accuracy", {})
    if accuracy:
        yield f"{'test accuracy':<22} {'simulated':>9}"
    for key, label in ACCURACIES:
        if key == "float" and "per_clip" in accuracy:
            continue  # one of the two below it
        if key in accuracy:
            what = "recordings" if "per_clip" in accuracy and key != "per_clip" else "clips"
            n = f"   on {accuracy[key]['n']} {what}" if "n" in accuracy[key] else ""
            yield f"  {label:<21} {accuracy[key]['value']:>7.1%}{n}"


def _reconstruction(report: dict[str, Any]) -> Iterator[str]:
    if "reconstruction" in report:
        section = report["reconstruction"]
        yield f"{'held-out faces':<22} {'PSNR':>9} {'SSIM':>8} {'MSE':>9}   simulated"
        for key, label in (("mean_face", "always the mean face"), ("quality", "network")):
            row = section[key]
            yield f"  {label:<20} {row['psnr']:>6.2f} dB {row['ssim']:>8.3f} {row['mse']:>9.4f}"
        yield f"{'encoders kept':<22} {len(section['encoders']):>9}   in encoders/"


def _activity(report: dict[str, Any]) -> Iterator[str]:
    if "spikes" in report:
        section = report["spikes"]
        operations = section["synaptic_operations"]
        yield f"{'spikes per clip':<22} {section['spikes']:>9,.0f}   simulated"
        yield (
            f"{'synaptic operations':<22} {operations:>9,.0f}   "
            f"simulated; {share(operations, section['dense_operations'])} of the dense ones"
        )
    if "energy" in report:
        yield from _energy(report["energy"])


def _energy(section: dict[str, Any]) -> Iterator[str]:
    """Static, dynamic and total apart, and where the prices are from."""
    rows, level = section["rows"], {"low", "nominal", "high"}
    names = [
        f"{row['device']} ({row['level']})" if row.get("level") in level else row["device"]
        for row in rows
    ]
    width = max(22, *(len(name) + 3 for name in names))
    head = f"energy per {section['per']}, estimated"
    yield f"{head:<{width}}{'dynamic':>12}{'static':>12}{'total':>12}"
    for name, row in zip(names, rows, strict=True):
        static = "left out" if row["static_nj"] is None else energy_text(row["static_nj"])
        yield (
            f"  {name:<{width - 2}}{energy_text(row['dynamic_nj']):>12}{static:>12}"
            f"{energy_text(row['total_nj']):>12}"
        )
    sources = ((c["source"], c.get("evidence", "secondary")) for c in section["constants"])
    for source, evidence in dict.fromkeys(sources):
        yield f"  source ({evidence}): {source}"
    yield "  Loihi 2 is not priced: no energy per operation has been published for it"
    if "crossover" in section:
        yield f"  {section['crossover']['statement']}"


def _parity(report: dict[str, Any]) -> Iterator[str]:
    if "parity" in report:
        yield f"{'simulator = Lava':<22} {report['parity']['statement']}"


def _where(report: dict[str, Any], run: Path | None) -> Iterator[str]:
    folder = run or (Path(report["folder"]) if "folder" in report else None)
    if folder:
        page = folder / "report.html"
        yield f"{'report':<22} {page}" if page.exists() else f"{'run folder':<22} {folder}"


def _loss_line(layer: dict[str, Any], width: int) -> str:
    sqnr, bits = layer["weight_sqnr_db"], layer["effective_bits"]
    exact = sqnr is None
    return (
        f"{layer['layer']:<{width}}{'exact' if exact else f'{sqnr:.1f} dB':>13}"
        f"{'' if exact else f'{bits:.1f}':>7}{layer['zeroed']:>9.2%}{layer['clipped']:>9.2%}"
        f"{layer['decay_error']:>10.1e}{layer['bias_error']:>10.1e}"
    )
