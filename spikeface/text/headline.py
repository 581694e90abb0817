"""The few big numbers of a report, and its chain from floats to the chip, for a page and a table.

>>> [entry.what for entry in headline(report)]
['accuracy, float', 'accuracy, integer', 'simulator = Lava?', ...]
>>> [(hop.expected, hop.found, hop.state) for hop in parity_chain(report)]
[('float', 'quantised', 'different'), ('quantised', 'simulator', 'not run'), ...]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spikeface.text.numbers import compact, energy_text, percent, share, whole

LEVELS = ("low", "nominal", "high")
STAGES = ("float", "quantised", "simulator", "Lava", "Loihi 2")
EQUAL, DIFFERENT, NOT_RUN = "equal", "different", "not run"


@dataclass(frozen=True)
class Headline:
    """One big number: what it is, its tag, a sentence, and whether it is good or bad news."""

    what: str
    number: str
    tag: str
    note: str
    state: str = ""


@dataclass(frozen=True)
class ChainHop:
    """One step from floats to the chip: equal, different or not run, and what was seen."""

    expected: str
    found: str
    state: str
    detail: str


def headline(report: Mapping[str, Any]) -> list[Headline]:
    """Accuracy, parity, operations, cores and energy, as far as the report knows them."""
    return [
        *_accuracy(report),
        *_operations(report),
        *_parity(report),
        *_cores(report),
        *_energy(report),
    ]


def sample_name(report: Mapping[str, Any]) -> str:
    """What one sample of the counts is: a clip, an image, ..."""
    per = report.get("spikes", {}).get("per", "sample")
    return "clip" if per == "sample" and "data" in report else per


def _accuracy(report: Mapping[str, Any]) -> Iterator[Headline]:
    accuracy = report.get("accuracy", {})
    names = {"float": "float", "integer": "integer", "loihi": "on Loihi 2"}
    for key, name in names.items():
        if key not in accuracy:
            continue
        entry = accuracy[key]
        counted = "recordings" if accuracy.get("selection") == "recording" else "clips"
        note = f"on {whole(entry['n'])} test {counted}"
        if key == "float":
            note += f"; chance {percent(accuracy['chance'])}"
        yield Headline(f"accuracy, {name}", percent(entry["value"]), entry["tag"], note)


def _operations(report: Mapping[str, Any]) -> Iterator[Headline]:
    if "spikes" not in report:
        return
    spikes, name = report["spikes"], sample_name(report)
    total, dense = spikes["synaptic_operations"], spikes["dense_operations"]
    of_dense = f"{share(total, dense)} of the dense ones; "
    yield Headline(
        f"synaptic operations per {name}",
        compact(total),
        spikes["tag"],
        f"{of_dense}{compact(spikes['spikes'])} messages, {compact(spikes['input_spikes'])} inputs",
    )


def _parity(report: Mapping[str, Any]) -> Iterator[Headline]:
    if "parity" in report:
        found = report["parity"]
        first = found["first_divergence"]
        note = f"{found['compared']} on {found['samples']} sample{_s(found['samples'])}"
        if first is not None:
            note = f"first in layer {first['population']}"
        word, state = ("equal", "good") if found["equal"] else ("not equal", "bad")
        yield Headline("simulator = Lava?", word, found["tag"], note, state)
        return
    compared = [hop for hop in report.get("hops", []) if hop["between_engines"]]
    if compared:
        parted = [hop for hop in compared if not hop["equal"]]
        names = ", ".join(hop["found"] for hop in compared)
        yield Headline(
            "all engines equal?",
            "not equal" if parted else "equal",
            "simulated",
            f"{parted[0]['found']} parts" if parted else f"every message, on {names}",
            "bad" if parted else "good",
        )
    elif "spikes" in report:
        yield Headline("simulator = Lava?", NOT_RUN, "simulated", "see the parity chain")


def _cores(report: Mapping[str, Any]) -> Iterator[Headline]:
    if "fit" not in report:
        return
    fit = report["fit"]
    broken = [rule for rule in fit["rules"] if not rule["ok"]]
    bound = f"at least {whole(fit['cores_lower_bound'])}; bound by {fit['binding']}"
    note = f"{bound}; {len(broken)} rule{_s(len(broken))} violated" if broken else bound
    yield Headline(
        f"neurocores, {fit['chip']}",
        f"{whole(fit['cores'])} on {whole(fit['chips'])} chip{_s(fit['chips'])}",
        fit["tag"],
        note,
        "bad" if broken else "",
    )


def _energy(report: Mapping[str, Any]) -> Iterator[Headline]:
    energy = report.get("energy", {})
    rows: dict[str, Any] = {}
    for row in energy.get("rows", []):
        rows.setdefault(row.get("level", ""), row)  # the first: profiles of users come behind
    if any(level not in rows for level in LEVELS):
        return
    low, nominal, high = (energy_text(rows[level]["total_nj"]) for level in LEVELS)
    static = " with static" if rows["high"]["static_nj"] is not None else ""
    yield Headline(
        f"energy per {energy['per']}",
        nominal,
        energy["tag"],
        f"nominal, {rows['nominal']['device']}; low {low}, high {high}{static}; for Loihi 2 "
        "no price is published",
    )


def parity_chain(report: Mapping[str, Any]) -> list[ChainHop]:
    """The way of a network that spikes, hop by hop; empty for what has no integers."""
    if "spikes" not in report and "quantisation" not in report:
        return []
    hops = {hop["found"]: hop for hop in report.get("hops", [])}
    return [
        _quantised(report, hops),
        _compared(hops.get("simulator"), "quantised", "simulator", "spikeface parity RUN"),
        _on_lava(report, hops),
        _on_chip(report),
    ]


def _quantised(report: Mapping[str, Any], hops: Mapping[str, Any]) -> ChainHop:
    ends = STAGES[:2]
    if "integers" in hops and hops["integers"]["expected"] != "integers":
        parts = [hop for hop in hops.values() if not hop["between_engines"]]
        same = min(hop["same_answers"] for hop in parts)
        state = EQUAL if all(hop["equal"] for hop in parts) else DIFFERENT
        return ChainHop(*ends, state, f"same largest output in {percent(same)} of the samples")
    accuracy = report.get("accuracy", {})
    if "same_prediction_as_float" in accuracy:
        same = accuracy["same_prediction_as_float"]["value"]
        points = accuracy["integer_minus_float_points"]["value"]
        moved = f"{points:+.1f}".replace("-", "−")
        state = EQUAL if same == 1 else DIFFERENT
        return ChainHop(*ends, state, f"same answer in {percent(same)} of clips, {moved} points")
    if differing := report.get("differing"):
        most = max(layer["share"] for layer in differing["layers"])
        state = DIFFERENT if most else EQUAL
        return ChainHop(*ends, state, f"at most {percent(most, 2)} of a layer's messages differ")
    if "network" in report and not report["network"]["quantised"]:
        return ChainHop(*ends, NOT_RUN, "the file holds integers, no floats")
    return ChainHop(*ends, NOT_RUN, "'spikeface parity' compares message by message")


def _compared(hop: Mapping[str, Any] | None, one: str, other: str, command: str) -> ChainHop:
    if hop is None:
        return ChainHop(one, other, NOT_RUN, f"'{command}' compares; the tests hold them equal")
    if hop["equal"]:
        return ChainHop(one, other, EQUAL, "every message of every layer")
    first = hop["first_divergence"]
    return ChainHop(one, other, DIFFERENT, f"first in layer {first['population']}")


def _on_lava(report: Mapping[str, Any], hops: Mapping[str, Any]) -> ChainHop:
    ends = STAGES[2:4]
    if "parity" in report:
        found = report["parity"]
        if found["equal"]:
            where = f"{found['compared']}, {found['samples']} sample{_s(found['samples'])}"
            return ChainHop(*ends, EQUAL, where)
        first = found["first_divergence"]
        return ChainHop(*ends, DIFFERENT, f"first in layer {first['population']}")
    if "lava" in hops:
        return _compared(hops["lava"], *ends, "")
    return ChainHop(*ends, NOT_RUN, "'spikeface run RUN --on lava' or 'spikeface parity'")


def _on_chip(report: Mapping[str, Any]) -> ChainHop:
    ends = STAGES[3:]
    found = report.get("loihi")
    if not found:
        return ChainHop(*ends, NOT_RUN, "nothing here ran on a chip")
    equal = found.get("parity", {}).get("equal")
    if equal is None:
        return ChainHop(*ends, NOT_RUN, "it ran on a board, and was not compared")
    return ChainHop(*ends, EQUAL if equal else DIFFERENT, "answers on the board")


def _s(n: float) -> str:
    return "" if n == 1 else "s"
