"""From faces to a report: the commands that read and write a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spikeface.commands.options import (
    FAILED,
    add_command,
    add_config_options,
    add_resume_option,
    add_set_option,
    read_config,
    sensor_size,
    show,
    show_report,
)


def add_run_commands(commands: Any) -> None:
    """``demo``, ``train``, ``quantise``, ``run``, ``report``."""
    demo = add_command(commands, "demo", _demo, "everything in one go, from faces to a report")
    demo.add_argument("--quick", action="store_true", help="a small set and few epochs: a look")
    demo.add_argument("--engine", choices=("norse", "slayer"), default="norse")
    demo.add_argument("--out", type=Path, metavar="RUN", help="a new folder (runs/demo, -2, ...)")
    add_resume_option(demo)
    add_set_option(demo)

    train = add_command(commands, "train", _train, "train a spiking network, write network.nir")
    train.add_argument("--data", type=Path, required=True, metavar="FACES.h5")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="a new run folder")
    train.add_argument("--engine", choices=("norse", "slayer"), help="overrides model.engine")
    add_resume_option(train)
    add_config_options(train)

    quantise = add_command(commands, "quantise", _quantise, "network.nir to integers: network.chip")
    quantise.add_argument("run", type=Path, metavar="RUN")

    run = add_command(commands, "run", _run, "run the test set, or a recording, on the backends")
    run.add_argument("run", type=Path, metavar="RUN")
    run.add_argument("--on", choices=("simulator", "lava", "both"), default="both")
    run.add_argument("--input", type=Path, metavar="FILE", help="a recording (.bin, v2e's .h5)")
    run.add_argument(
        "--sensor-size", type=sensor_size, metavar="WxH", help="of the camera that made --input"
    )

    report = add_command(commands, "report", _report, "write report.html from what is known so far")
    report.add_argument("run", type=Path, metavar="RUN")


def _demo(options: argparse.Namespace) -> int:
    from spikeface.demo import demo, demo_config
    from spikeface.runs import new_run_path

    config = demo_config(engine=options.engine, quick=options.quick, assignments=options.set)
    report = demo(options.out or new_run_path("demo"), config, resume=options.resume)
    show_report(report, options)
    return 0 if report["parity"]["equal"] else FAILED


def _train(options: argparse.Namespace) -> int:
    from snn.events.datasets import load_event_set
    from spikeface.config import to_toml
    from spikeface.runs import RunFolder
    from spikeface.steps import train

    config = read_config(options)
    events = load_event_set(options.data)
    run = RunFolder.create(options.out, to_toml(config), resume=options.resume)
    train(run, config, events)
    show_report(run.read_report(), options, run=run.path)
    return 0


def _quantise(options: argparse.Namespace) -> int:
    from spikeface.runs import RunFolder
    from spikeface.steps import quantise
    from spikeface.summary import quantisation_lines

    run = RunFolder.open(options.run)
    quantise(run)
    section = run.read_report()["quantisation"]
    show(section, quantisation_lines(section), options)
    return 0


def _run(options: argparse.Namespace) -> int:
    from spikeface.runs import RunFolder
    from spikeface.steps import run_recording, run_test_set
    from spikeface.summary import recording_lines

    run = RunFolder.open(options.run)
    backends = ("simulator", "lava") if options.on == "both" else (options.on,)
    if options.input is None:
        run_test_set(run, backends=backends)
        report = run.read_report()
        show_report(report, options, run=run.path)
        return 0 if "lava" not in backends or report["parity"]["equal"] else FAILED
    entry = run_recording(run, options.input, backends=backends, sensor_size=options.sensor_size)
    show(entry, recording_lines(entry), options)
    return 0 if entry.get("parity", {}).get("equal", True) else FAILED


def _report(options: argparse.Namespace) -> int:
    from spikeface.report import write_report
    from spikeface.runs import RunFolder

    run = RunFolder.open(options.run)
    write_report(run)
    show_report(run.read_report(), options, run=run.path)
    return 0
