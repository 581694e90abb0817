"""What one run has to say in a comparison: a point for every form of its network.

Everything is per recording, the unit that accuracy is counted in: a network that answers for single
images is charged for all images of a recording, host part included.

>>> points_of(Path("runs/graded"))[-1].label
'evTransFER finetune, graded code of 8 levels, integers'
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardware.analysis.energy import FP32_MAC, INT8_MAC, Constant
from hardware.analysis.fit import fit_network
from hardware.chip.network import ChipNetwork
from hardware.chip.storage import load_network
from hardware.errors import HardwareError
from snn.errors import SnnError
from spikeface.config import read_toml
from spikeface.errors import ConfigError, RunFolderError
from spikeface.networks.facts import chip_facts
from spikeface.runs import SCHEMA, RunFolder
from spikeface.text.conversion import form_name

FLOAT_BYTES = 4
SEEDLESS = (("training", "seed"), ("data", "root"), ("data", "cache"), ("conversion", "run"))
LOIHI = "Loihi 1"
ARTIFICIAL_FORMS = {"ann_float32": (32, FP32_MAC), "ann_int8": (8, INT8_MAC)}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network in one form; None where nothing is known.

    Parameters
    ----------
    run : str
        Name of the run folder.
    label : str
        What the network is, without its seed.
    kind : {"spiking", "artificial"}
    settings : str
        Everything that the run follows from but its seed: runs of one group have it in common.
    test : dict
        What it was tested on.
    accuracy : float
        Share of test recordings, in [0, 1].
    recordings : int
    latency_steps : int
        Steps until an answer is complete, on a chip.
    spikes : float
        Messages of all neurons per recording, without the input's.
    acs, graded_acs, macs : float
        Operations per recording: additions, multiplications with a message's few bits, and those of
        two full numbers.
    weight_bytes, state_bytes : int
    cores : int
        Of a Loihi 2, estimated.
    needs_microcode : bool
        Whether it has neurons that are none of the chip's stock ones.
    energy_nj : tuple of float
        Lowest and highest estimate per recording, dynamic only.
    energy_basis : str
        What was counted, and the source of the constants.
    """

    run: str
    label: str
    kind: str
    settings: str
    test: dict[str, Any]
    seed: int | None
    accuracy: float
    recordings: int
    latency_steps: int | None = None
    spikes: float | None = None
    acs: float | None = None
    graded_acs: float | None = None
    macs: float | None = None
    parameters: int | None = None
    weight_bytes: int | None = None
    state_bytes: int | None = None
    cores: int | None = None
    needs_microcode: bool | None = None
    energy_nj: tuple[float, float] | None = None
    energy_basis: str = ""
    source: str = field(default="", compare=False)  # of which a converted network is a form


def points_of(path: Path) -> list[Point]:
    """The points of a run folder.

    Raises
    ------
    RunFolderError
        For a folder without a report, a report of another tool or task, or one that does not say
        how accurate its network is.
    """
    run = RunFolder(Path(path))
    if not run.report.is_file():
        raise RunFolderError(f"{path}: there is no report.json; give run folders that have one")
    report = run.read_report()
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise RunFolderError(f"{run.report}: is no report of this tool (schema {SCHEMA!r})")
    task = report.get("task", "spiking")
    readers = {"spiking": _spiking, "transfer": _transfer, "conversion": _conversion}
    if task not in readers:
        raise RunFolderError(
            f"{path}: a run of task = {task!r} has no accuracy to compare; give classifiers"
        )
    try:
        points = list(readers[task](run, report))
    except (LookupError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{run.report}: says too little to be compared ({type(error).__name__}: {error}); "
            "let its run end first"
        ) from error
    return points


def test_of(report: Mapping[str, Any], recordings: int) -> dict[str, Any]:
    """What a network was tested on; two networks compare where it is the same."""
    data = report["data"]
    tested = data.get("tested_recordings")
    return {
        "dataset": data.get("dataset", "faces"),
        "sha256": data.get("sha256"),
        "classes": list(data["classes"]),
        "protocol": data.get("protocol", "strict"),  # faces come with subject-disjoint splits
        "fold": data.get("fold", 0),
        "n_folds": data.get("n_folds"),
        "recordings": recordings,
        "of": tested["of"] if tested else recordings,
    }


def _spiking(run: RunFolder, report: dict[str, Any]) -> Iterator[Point]:
    """A network that was trained on event frames: in floats and, where it ran, in integers."""
    accuracy, training = report["accuracy"], report["training"]
    name = f"{_family(training['family'])}, {training['engine']}"
    scored = accuracy.get("per_recording", accuracy["float"])
    shared = {
        "run": run.path.resolve().name,
        "settings": settings_of(run),
        "test": test_of(report, scored["n"]),
        "seed": training.get("seed"),
        "parameters": training["parameters"],
        "recordings": scored["n"],
    }
    yield Point(
        **shared,
        label=f"{name}, floats",
        kind="spiking" if training.get("spiking", True) else "artificial",
        accuracy=scored["value"],
        spikes=training.get("spikes_per_clip", {}).get("value"),
        weight_bytes=FLOAT_BYTES * training["parameters"],
    )
    if "integer" not in accuracy or "spikes" not in report:
        return
    spikes = report["spikes"]
    added, multiplied = _by_kind(spikes)
    facts = _chip(run)
    yield Point(
        **shared,
        label=f"{name}, integers",
        kind="spiking",
        accuracy=accuracy["integer"]["value"],
        latency_steps=facts.get("latency_steps"),
        spikes=spikes["spikes"],
        acs=added,
        graded_acs=multiplied,
        macs=0.0,
        weight_bytes=facts.get("weight_bytes", sum(row["weights"] for row in spikes["layers"])),
        state_bytes=facts.get("state_bytes"),
        **_fit(run),
        energy_nj=_loihi(report.get("energy")),
        energy_basis=_loihi_basis(report.get("energy")),
    )


def _transfer(run: RunFolder, report: dict[str, Any]) -> Iterator[Point]:
    """A classifier on images, in floats."""
    scored, split = report["accuracy"]["per_recording"], report["data"]["splits"]["test"]
    parameters = report["training"]["parameters"]
    macs = _transfer_macs(run, report, split["windows"] / split["recordings"])
    yield Point(
        run=run.path.resolve().name,
        label=f"{_transfer_name(report)}, 32 bits",
        kind="artificial",
        settings=settings_of(run),
        test=test_of(report, scored["n"]),
        seed=report["training"].get("seed"),
        accuracy=scored["value"],
        recordings=scored["n"],
        spikes=0.0,
        acs=0.0,
        graded_acs=0.0,
        macs=macs,
        parameters=parameters,
        weight_bytes=FLOAT_BYTES * parameters,
        state_bytes=0,
        source=str(run.path.resolve()),
        **_arithmetic(macs, FP32_MAC),
    )


def _conversion(run: RunFolder, report: dict[str, Any]) -> Iterator[Point]:
    """A converted classifier: the artificial one in 32 and 8 bits, and its integers."""
    chosen = report["conversion"]
    source = RunFolder(Path(chosen["source"]["run"]))
    own = settings_of(source) if source.config.is_file() else json.dumps(report["transfer"])
    for row in (*report["floats"]["rows"], *report.get("integers", {"rows": []})["rows"]):
        scored = row["per_recording"]
        about = {
            "run": run.path.resolve().name,
            "seed": report["training"].get("seed"),
            "source": chosen["source"]["run"],
            "accuracy": scored["value"],
            "recordings": scored["n"],
            "test": test_of(report, scored["n"]),
        }
        if row["form"] in ARTIFICIAL_FORMS:
            yield _before_conversion(row, report, own, about)
        elif row["form"] == "spiking_integer":
            yield _converted(row, report, run, own, about)


def _before_conversion(
    row: Mapping[str, Any], report: Mapping[str, Any], own: str, about: Mapping[str, Any]
) -> Point:
    """The artificial network that was converted, in 32 or in 8 bits."""
    chosen = report["conversion"]
    bits, constant = ARTIFICIAL_FORMS[row["form"]]
    parameters = chosen["encoder_parameters"] + chosen["host_parameters"]
    macs = chosen["encoder_macs_per_image"] * chosen["images_per_recording"] + _host_macs(chosen)
    return Point(
        **about,
        label=f"{_transfer_name(report)}, {bits} bits",
        kind="artificial",
        settings=own,
        spikes=0.0,
        acs=0.0,
        graded_acs=0.0,
        macs=macs,
        parameters=parameters,
        weight_bytes=bits // 8 * parameters,
        state_bytes=0,
        **_arithmetic(macs, constant),
    )


def _converted(
    row: Mapping[str, Any],
    report: Mapping[str, Any],
    run: RunFolder,
    own: str,
    about: Mapping[str, Any],
) -> Point:
    """The spiking network in integers, with its head on the host."""
    chosen, chip = report["conversion"], report["chip"]
    images, host_macs = chosen["images_per_recording"], _host_macs(chosen)
    return Point(
        **about,
        label=f"{_transfer_name(report)}, {form_name(row, chosen['code'], _detail(chosen))}",
        kind="spiking",
        settings=own + settings_of(run),
        latency_steps=chip["depth"] + row["steps"],
        spikes=row["messages_per_image"] * images,
        acs=row["acs_per_image"] * images,
        graded_acs=row["graded_acs_per_image"] * images,
        macs=host_macs,
        parameters=chosen["parameters"] + chosen["host_parameters"],
        weight_bytes=chip["weight_bytes"] + FLOAT_BYTES * chosen["host_parameters"],
        state_bytes=chip["state_bytes"],
        **_fit(run),
        energy_nj=(
            row["dynamic_nj_per_image_low"] * images + _host_nj(host_macs),
            row["dynamic_nj_per_image_high"] * images + _host_nj(host_macs),
        ),
        energy_basis=_loihi_basis(report["energy"]) + "; head on the host: 45 nm floats",
    )


def _host_macs(chosen: Mapping[str, Any]) -> float:
    """Of head and LSTM, per recording."""
    clips = max(chosen["images_per_recording"] - chosen["window"] + 1, 1)
    return chosen["host_macs_per_clip"] * clips


def settings_of(run: RunFolder) -> str:
    """A run's configuration without its seed and without where things lie."""
    if not run.config.is_file():
        return ""
    try:
        table = read_toml(run.config)
    except ConfigError as error:
        raise RunFolderError(str(error)) from error
    for section, key in SEEDLESS:
        table.get(section, {}).pop(key, None)
    return json.dumps(table, sort_keys=True, default=str)


def _family(name: str) -> str:
    names = {"conv": "Spiking-FER", "sew_resnet": "SEW-ResNet", "resnet": "ResNet"}
    return names.get(name, name)


def _detail(chosen: Mapping[str, Any]) -> str:
    """What tells conversions of one code apart in a name."""
    if chosen["code"] == "graded":
        return f" of {chosen['levels']} levels"
    if chosen.get("reset") == "zero":
        return " with resets to zero"
    return f" from {chosen['delta']:.3g}" if chosen["code"] == "sigma_delta" else ""


def _transfer_name(report: Mapping[str, Any]) -> str:
    chosen = report["transfer"]
    lstm = f", LSTM over {chosen['window']}" if chosen["lstm_layers"] else ""
    return f"evTransFER {chosen['mode']}{lstm}"


def _by_kind(spikes: Mapping[str, Any]) -> tuple[float, float]:
    """Additions and multiplications of a network's messages; reports of binary networks that are
    older than the distinction count additions only."""
    layers = spikes["layers"]
    multiplied = sum(row.get("effective_macs", 0.0) for row in layers)
    return spikes["synaptic_operations"] - multiplied, multiplied


def _chip(run: RunFolder) -> dict[str, Any]:
    """What the integers beside a report say of memory and latency; nothing where there are none."""
    network = _integers(run)
    n_steps = network.metadata.get("n_steps") if network else None
    return chip_facts(network, n_steps) if network and isinstance(n_steps, int) else {}


def _fit(run: RunFolder) -> dict[str, Any]:
    """What they take of a chip."""
    network = _integers(run)
    if network is None:
        return {}
    fit = fit_network(network)
    return {"cores": fit.cores, "needs_microcode": fit.needs_microcode}


def _integers(run: RunFolder) -> ChipNetwork | None:
    if not run.chip.is_file():
        return None
    try:
        return load_network(run.chip)
    except HardwareError as error:
        raise RunFolderError(str(error)) from error


def _loihi(energy: Mapping[str, Any] | None) -> tuple[float, float] | None:
    values = [row["dynamic_nj"] for row in _loihi_rows(energy)]
    return (min(values), max(values)) if values else None


def _loihi_basis(energy: Mapping[str, Any] | None) -> str:
    names = [row["device"] for row in _loihi_rows(energy)]
    return f"dynamic, priced as {' and as '.join(names)}" if names else ""


def _loihi_rows(energy: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Those that differ in dynamic energy: the high one only adds what is static."""
    rows = (energy or {"rows": []})["rows"]
    return [row for row in rows if LOIHI in row["device"] and row.get("level") != "high"]


def _arithmetic(macs: float | None, constant: Constant) -> dict[str, Any]:
    if macs is None:
        return {}
    energy_nj = macs * constant.value * 1e-3
    return {
        "energy_nj": (energy_nj, energy_nj),
        "energy_basis": f"arithmetic only, {constant.value:g} pJ a {constant.name}, "
        f"{constant.source}",
    }


def _host_nj(macs: float) -> float:
    return macs * FP32_MAC.value * 1e-3


def _transfer_macs(run: RunFolder, report: Mapping[str, Any], images: float) -> float | None:
    """Multiply-accumulates per recording, from the shapes of the trained weights."""
    if not run.checkpoint.is_file():
        return None
    from snn.training import read_checkpoint

    try:
        weights = read_checkpoint(run.checkpoint)["best"]
    except SnnError as error:
        raise RunFolderError(str(error)) from error
    side, encoder, host = report["data"]["image_size"], 0, 0
    for name, weight in weights.items():
        if name.startswith("encoder.") and weight.dim() == 4:
            side //= 2  # every level halves the image
            encoder += weight.numel() * side**2
        elif name.startswith("head.") and weight.dim() == 2:
            host += weight.numel()
        elif name.startswith("lstm.") and weight.dim() == 2:
            host += weight.numel() * report["transfer"]["window"]
    clips = max(images - report["transfer"]["window"] + 1, 1)
    return encoder * images + host * clips
