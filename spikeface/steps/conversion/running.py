"""A trained classifier to its spiking form: the encoder in messages, head and LSTM on the host.

    distil      the quantised encoder learns the float encoder's embedding (where asked for)
    convert     network.nir and network.chip
    floats      the artificial network in 32 and 8 bits, and the spiking one in floats
    simulator   the integers, on all test images
    lava        a few of them on Lava, every message compared

Steps that are done are skipped when a run goes on; distillation goes on where it was.

>>> convert_run(RunFolder.create(Path("runs/rate"), to_toml(config)), config)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conversion.activations import with_qcfs
from conversion.distil import Distillation
from conversion.export import write_encoder
from conversion.images import WindowImages
from conversion.spiking import SpikingEncoder, convert
from conversion.spiking.calibrate import covered_share
from conversion.spiking.converter import InputCode
from hardware.analysis.parity import first_divergence
from hardware.backends.lava.backend import LavaBackend
from hardware.backends.simulator.backend import Simulator
from hardware.chip.storage import save_network
from snn.saved import read_saved, write_saved
from spikeface.config import ConversionRunConfig
from spikeface.errors import ConfigError, RunFolderError
from spikeface.networks.facts import chip_facts
from spikeface.progress import progress_bar
from spikeface.runs import RunFolder
from spikeface.steps.conversion.chip import OnChip, on_chip, samples_for, simulate, traced
from spikeface.steps.conversion.forms import (
    batches,
    features_of,
    input_code,
    int8_network,
    largest_delta,
    spiking_features,
)
from spikeface.steps.conversion.sections import (
    Judge,
    accuracy_section,
    activity_sections,
    agreement_section,
    conversion_section,
    data_section,
    differing_messages,
)
from spikeface.steps.conversion.source import Source, open_source, stacked
from spikeface.steps.sections import parity_section

QUANTISED_ON = 8  # images, or recordings, from which the quantiser takes the range of states
COMPARED = 8  # images on which layers are compared
FILE_CODE = input_code(8)  # what an 8-bit network sees


@dataclass(frozen=True)
class Work:
    """Everything of one conversion, made when it is first needed, the same every time."""

    run: RunFolder
    config: ConversionRunConfig
    source: Source

    @property
    def input_code(self) -> InputCode:
        """How images become messages."""
        return input_code(self.config.conversion.input_bits)

    @cached_property
    def test(self) -> WindowImages:
        """The test images, or those of the recordings that are tested."""
        return self.source.windows("test", self.config.conversion.test_recordings)

    @cached_property
    def probed(self) -> WindowImages | None:
        """The training images that probes learn from."""
        count = self.config.conversion.probe_recordings
        return self.source.windows("train", count) if count else None

    @cached_property
    def calibration(self) -> torch.Tensor:
        """Training images as the network will see them."""
        count = self.config.conversion.calibration_images
        return self.input_code.quantised(stacked(self.source.windows("train"), count))

    @cached_property
    def student(self) -> nn.Module:
        """The encoder with activations that its spikes can send; the float one of sigma-delta."""
        chosen, encoder = self.config.conversion, self.source.network.encoder
        if chosen.code == "sigma_delta":
            return encoder
        student = with_qcfs(
            encoder,
            chosen.levels,
            calibration=self.calibration,
            per_channel=chosen.per_channel,
            signed=chosen.form != "qcfs",
        )
        return self._distilled(student) if chosen.distil else student

    @property
    def kept_student(self) -> Path:
        """Where the distillation is kept after every epoch."""
        return self.run.path / "distil.pt"

    def _distilled(self, student: nn.Module) -> nn.Module:
        chosen = self.config.conversion
        images = self.input_code.quantised(
            stacked(self.source.windows("train"), chosen.distil_images)
        )
        training = Distillation(
            student,
            self.source.network.encoder,
            images,
            self.config.distil,
            steps=chosen.steps if chosen.code == "rate" else (),
            reset=chosen.reset,
        )
        if self.kept_student.is_file():
            training.load_state_dict(_read_kept(self.kept_student, self.source.digest))
        left = self.config.distil.epochs - len(training.losses)
        if not left:
            return training.student
        with progress_bar(left, "distillation", "epoch") as advance:
            for _ in range(left):
                loss = training.epoch()
                kept = {"source": self.source.digest, "state": training.state_dict()}
                write_saved(self.kept_student, kept)
                self.run.write_metrics(
                    [{"epoch": n, "loss": value} for n, value in enumerate(training.losses)]
                )
                advance(1)
                advance.note(f"loss {loss:.4f}")
        return training.student

    @cached_property
    def spiking(self) -> SpikingEncoder:
        """The encoder in messages."""
        return self.converted(self.delta)

    @cached_property
    def delta(self) -> float:
        """The smallest change that a sigma-delta network sends."""
        deltas = self.config.conversion.deltas
        if self.config.conversion.code != "sigma_delta" or len(deltas) == 1:
            return deltas[-1]
        return largest_delta(self.source, self.converted, deltas, self.config.conversion.kept)

    def converted(self, delta: float) -> SpikingEncoder:
        """The encoder in messages; a sigma-delta network sends changes from `delta` on."""
        chosen = self.config.conversion
        return convert(
            self.student,
            self.calibration,
            code=chosen.code,
            steps=chosen.tested_steps[-1],
            calibration=self.calibration if chosen.code == "sigma_delta" else None,
            per_channel=chosen.per_channel,
            activation=chosen.form,
            reset=chosen.reset,
            delta=delta,
            input_bits=self.input_code.bits,
            input_scale=self.input_code.scale,
        )

    @cached_property
    def chip(self) -> OnChip:
        """The encoder in integers."""
        windows = self.source.windows("train", QUANTISED_ON)
        images = stacked(windows, QUANTISED_ON)
        if self.spiking.code == "sigma_delta":
            (images, _), *_ = batches(windows, streams=True)
        return on_chip(self.spiking, self.run.nir, images)

    @cached_property
    def judge(self) -> Judge:
        """Compares every form with the float network."""
        encoder = self.source.network.encoder
        probed = None if self.probed is None else features_of(encoder, self.probed)
        return Judge(self.source, self.test, features_of(encoder, self.test), self.probed, probed)


def convert_run(
    run: RunFolder,
    config: ConversionRunConfig,
    source: Source | None = None,
    *,
    backends: Sequence[str] = ("simulator", "lava"),
) -> None:
    """Convert, test every form beside the others, and add what was found to the report.

    Parameters
    ----------
    run : RunFolder
        New, or one to go on with.
    config : ConversionRunConfig
    source : Source, optional
        The classifier of ``config.conversion.run``, where it is open already.
    backends : sequence of str
        Of ``"simulator"`` and ``"lava"``.

    Raises
    ------
    RunFolderError
        For a run that was begun with other weights of the same name.
    """
    source = source or open_source(Path(config.conversion.run))
    known = run.read_report().get("conversion", {}).get("source", {}).get("sha256", source.digest)
    if known != source.digest:
        raise RunFolderError(
            f"{source.run.checkpoint}: has changed since {run.path} was begun; convert it into a "
            "new folder"
        )
    work = Work(run, config, source)
    actions: dict[str, Callable[[Work], None]] = {"convert": _convert, "floats": _floats}
    actions |= {"simulator": _simulator} if "simulator" in backends else {}
    actions |= {"lava": _lava} if "lava" in backends else {}
    for name, action in actions.items():
        if not run.is_done(name):
            with run.step(name):
                action(work)


def checked_source(config: ConversionRunConfig) -> Source:
    """The classifier that a configuration names; what is wrong shows before a folder is made."""
    if not config.conversion.run:
        raise ConfigError("[conversion] run is empty: name the run folder of a classifier")
    source = open_source(Path(config.conversion.run))
    _ = source.data  # refuses images that are not those it was trained on
    return source


def _convert(work: Work) -> None:
    said = {"source": work.source.run.path.name, "classes": work.source.report["data"]["classes"]}
    write_encoder(work.spiking, work.run.nir, metadata=said)
    save_network(work.chip.network, work.run.chip)
    losses = [loss.as_dict() for loss in work.chip.losses]
    spiking = work.spiking
    covered = covered_share(spiking.artificial, spiking.network.neurons, work.calibration.double())
    work.run.update_report(
        name=work.run.path.name,
        task=work.config.task,
        data=data_section(work.source, work.test),
        conversion=conversion_section(
            work.config, work.source, work.chip, covered=covered, delta=work.delta
        ),
        training=work.source.report["training"],
        transfer=work.source.report["transfer"],
        quantisation={"layers": losses, "assumptions": list(work.chip.floats.assumptions)},
        chip=chip_facts(work.chip.network, work.config.conversion.tested_steps[-1]),
    )


def _floats(work: Work) -> None:
    judge, chosen = work.judge, work.config.conversion
    encoder = work.source.network.encoder
    rows = [judge.row("ann_float32", None, judge.expected, judge.probed_expected)]
    forms = {"ann_int8": (int8_network(encoder, work.calibration), FILE_CODE)}
    if chosen.code == "graded":  # a rate code has learned with spikes, not for these activations
        forms["ann_quantised"] = (work.spiking.artificial, work.input_code)
    for form, (network, code) in forms.items():
        encode = partial(features_of, network, code=code)
        rows.append(judge.row(form, None, *judge.features(encode)))
    tested = spiking_features(work.spiking, work.test, "spiking, in floats")
    probed = None
    if work.probed is not None:
        probed = spiking_features(work.spiking, work.probed, "spiking, for the probe")
    for steps in chosen.tested_steps:
        own = None if probed is None else probed[steps - 1]
        rows.append(judge.row("spiking_float", steps, tested[steps - 1], own))
    images = stacked(work.test, COMPARED)
    work.run.update_report(
        floats={"tag": "simulated", "rows": rows},
        agreement=agreement_section(work.spiking, images),
        accuracy=accuracy_section(work.source, work.test, rows[0]),
    )


def _simulator(work: Work) -> None:
    judge, rows, activity = work.judge, [], {}
    for steps in work.config.conversion.tested_steps:
        shown = f"integers, {steps} steps" if work.spiking.code == "rate" else "integers"
        features, result = simulate(work.chip, work.test, steps=steps, what=shown)
        own = None
        if work.probed is not None:
            own, _ = simulate(work.chip, work.probed, steps=steps, what="integers, for the probe")
        rows.append(judge.row("spiking_integer", steps, features, own))
        activity = activity_sections(work.chip, work.source, work.test, result, steps)
        rows[-1] |= activity["row"]
    answer = rows[-1]
    accuracy = work.run.read_report()["accuracy"]
    work.run.update_report(
        integers={"tag": "simulated", "rows": rows},
        spikes=activity["spikes"],
        energy=activity["energy"],
        simulator=activity["simulator"],
        differing=differing_messages(work.chip, stacked(work.test, COMPARED)),
        accuracy=accuracy
        | {key: answer[key] for key in ("per_clip", "per_recording")}
        | {"integer": answer[f"per_{accuracy['selection']}"]},
    )


def _lava(work: Work) -> None:
    config = work.config.lava
    steps = work.config.conversion.tested_steps[-1]
    messages = samples_for(work.chip, work.test, config.samples, steps)
    expected = traced(Simulator(), work.chip, messages, "simulator, for parity")
    backend = LavaBackend(timeout_s=config.timeout_s)
    found = traced(backend, work.chip, messages, "Lava, fixed point")
    network = work.chip.network
    divergence = first_divergence(network, expected, found)
    same_readout = bool((expected.output == found.output).all())
    section = parity_section(network, divergence, len(messages)) | {
        "values_compared": int(sum(trace.size for trace in expected.traces.values())),
        "same_readout": same_readout,
        "processes": list(found.processes),
        "steps": messages.shape[1],
    }
    work.run.update_report(
        parity=section,
        lava={"host_seconds": found.wall_s, "versions": dict(found.versions)},
    )


def _read_kept(path: Path, digest: str) -> dict[str, Any]:
    """The state of a distillation."""
    saved = read_saved(path, {"source", "state"})
    if saved["source"] != digest:
        raise RunFolderError(f"{path}: was learned from other weights; convert into a new folder")
    return saved["state"]
