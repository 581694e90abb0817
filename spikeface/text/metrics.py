"""NeuroBench's metrics as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

BARS = " ▁▂▃▄▅▆▇█"
COLUMNS = 32  # of a picture of steps


def metrics_lines(section: dict[str, Any]) -> list[str]:
    """The network's numbers, a line a layer, and the spikes of each step as small bars."""
    return [
        *(f"assumed: {assumption}" for assumption in section.get("assumptions", ())),
        f"{section['samples']} sample(s) of {section['n_steps']} steps; counts per sample, "
        f"simulated; names of {section['names']}",
        *_whole(section),
        *_layers(section["layers"]),
        *_over_time(section["over_time"]),
    ]


def _whole(section: dict[str, Any]) -> Iterator[str]:
    operations = section["synaptic_operations"]
    by_call = operations["neurobench"]
    rows = [
        ("footprint", f"{section['footprint_bytes']:,} bytes"),
        ("parameter count", f"{section['parameter_count']:,}"),
        ("connection sparsity", _share(section["connection_sparsity"])),
        ("activation sparsity", _share(section["activation_sparsity"])),
        ("effective ACs", f"{operations['effective_acs']:,.1f}"),
        ("effective MACs", f"{operations['effective_macs']:,.1f}"),
        ("  graded ACs among them", _graded(operations)),
        ("dense", f"{operations['dense']:,.0f}"),
        ("  with padding", f"{operations['dense_padded']:,.0f}"),
    ]
    if by_call["effective_acs"] != operations["effective_acs"]:
        rows.append(
            (
                "  by call, as NeuroBench",
                f"{by_call['effective_acs']:,.1f} ACs, {by_call['effective_macs']:,.1f} MACs",
            )
        )
    updates, neurons = section["membrane_updates"], section["neuron_operations"]
    rows.append(("membrane updates", "not defined" if updates is None else f"{updates:,.1f}"))
    if neurons:
        rows.append(
            ("neuron operations", f"{neurons['effective']:,.1f} of {neurons['dense']:,.0f} dense")
        )
    yield from (f"{name:<26}{value}" for name, value in rows)


def _layers(layers: Sequence[dict[str, Any]]) -> Iterator[str]:
    width = max(6, *(len(row["layer"]) + 1 for row in layers))
    yield (
        f"{'layer':<{width}}{'neurons':>10}{'spikes':>12}{'rate':>9}{'sparsity':>10}"
        f"{'effective':>14}{'dense':>16}"
    )
    for row in layers:
        yield (
            f"{row['layer']:<{width}}{row['neurons']:>10,}{row['spikes']:>12,.1f}"
            f"{row['rate']:>9.2%}{row['activation_sparsity']:>10.2%}{row['synops']:>14,.1f}"
            f"{row['dense']:>16,.0f}"
        )


def _over_time(over_time: dict[str, list[float]]) -> Iterator[str]:
    width = max(6, *(len(name) + 1 for name in over_time))
    yield "spikes in each step, each layer by its own largest"
    for name, values in over_time.items():
        yield f"{name:<{width}}{bars(values)}  largest {max(values):,.1f}"


def bars(values: Sequence[float]) -> str:
    """Values from 0 as characters of a height; of many steps, the largest of neighbours."""
    together = -(-len(values) // COLUMNS)
    shown = [max(values[i : i + together]) for i in range(0, len(values), together)]
    largest = max(shown)
    # Only zero is empty: a step with one spike shows.
    return "".join(
        BARS[-(-round(1e6 * v) * (len(BARS) - 1) // round(1e6 * largest))] if v else BARS[0]
        for v in shown
    )


def _graded(operations: dict[str, Any]) -> str:
    bits = operations["payload_bits"]
    of = f", payloads of up to {bits} bits" if bits else ""
    return f"{operations['graded_acs']:,.1f}{of}"


def _share(value: float | None) -> str:
    return "no weights" if value is None else f"{value:.4f}"
