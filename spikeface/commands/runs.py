"""From faces to a report: the commands that read and write a run folder.

``train`` takes configurations of every task; ``quantise`` and ``run`` go on with spiking networks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikeface.commands.board import LOIHI, add_board_options, board_request
from spikeface.commands.networks import input_arguments, network_options, request_of
from spikeface.commands.options import (
    FAILED,
    add_command,
    add_config_options,
    add_resume_option,
    add_set_option,
    natural,
    positive,
    read_config,
    sensor_size,
    show,
    show_report,
)

ENGINES = ("fused", "norse", "slayer")  # those of snn.models, which would import torch


def add_run_commands(commands: Any) -> None:
    """``demo``, ``evtransfer``, ``train``, ``quantise``, ``run``, ``report``."""
    demo = add_command(commands, "demo", _demo, "everything in one go, from faces to a report")
    demo.add_argument("--quick", action="store_true", help="a small set and few epochs: a look")
    demo.add_argument("--engine", choices=ENGINES, default="fused", help="default: fused")
    demo.add_argument("--out", type=Path, metavar="RUN", help="a new folder (runs/demo, -2, ...)")
    add_resume_option(demo)
    add_set_option(demo)

    evtransfer = add_command(
        commands, "evtransfer", _evtransfer, "evTransFER in one go: faces, GAN, six classifiers"
    )
    evtransfer.add_argument("--quick", action="store_true", help="small and short: a look")
    evtransfer.add_argument(
        "--out", type=Path, metavar="DIR", help="a new folder (runs/evtransfer, -2, ...)"
    )
    add_resume_option(evtransfer)
    add_set_option(evtransfer)

    train = add_command(
        commands, "train", _train, "train what a configuration says: task = spiking, ..."
    )
    train.add_argument(
        "positional_config", type=Path, nargs="?", metavar="CONFIG.toml", help="same as --config"
    )
    _add_data_options(train)
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="a new run folder")
    train.add_argument("--engine", choices=ENGINES, help="overrides model.engine")
    add_resume_option(train)
    add_config_options(train)

    quantise = add_command(commands, "quantise", _quantise, "network.nir to integers: network.chip")
    quantise.add_argument("run", type=Path, metavar="RUN")

    run = add_command(commands, "run", _run, "run the test set, or a recording, on the backends")
    run.add_argument("run", type=Path, metavar="RUN")
    run.add_argument("--on", choices=("simulator", "lava", "both", LOIHI), default="both")
    run.add_argument(
        "--timeout", type=positive(float), metavar="S", help="for each run on Loihi (600)"
    )
    add_board_options(run)
    run.add_argument("--input", type=Path, metavar="FILE", help="a recording (.bin, v2e's .h5)")
    run.add_argument(
        "--sensor-size", type=sensor_size, metavar="WxH", help="of the camera that made --input"
    )
    run.add_argument(
        "--energy-profile",
        type=Path,
        metavar="FILE.toml",
        help="prices of your own device, beside Loihi 1 (configs/energy/example.toml)",
    )

    report = add_command(
        commands, "report", _report, "the page of a run, of a comparison, or of any network file"
    )
    network_options(report)
    input_arguments(report)
    report.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a new folder (of a network runs/report-NAME, ...; of the others their own)",
    )
    report.add_argument("--markdown", action="store_true", help="report.md too: tables for a paper")
    report.add_argument(
        "--parity",
        choices=("simulator", "lava", "both"),
        help="of a network file: compare every hop from floats to the chip, too",
    )


def _add_data_options(train: argparse.ArgumentParser) -> None:
    """What to train on: a file of rendered faces, or recordings by protocol."""
    kind = train.add_mutually_exclusive_group()
    kind.add_argument("--data", metavar="FACES.h5", help="faces from 'spikeface faces'")
    kind.add_argument(
        "--dataset",
        metavar="SET",
        help="ckplus-dvs, adfes-dvs, casia-dvs, mmi-dvs, eckplus, nefer, faces or folder",
    )
    train.add_argument("--root", metavar="FOLDER", help="where the recordings of --dataset are")
    train.add_argument(
        "--videos",
        metavar="FOLDER",
        help="of eckplus: the images of CK+, for faces and their boxes",
    )
    train.add_argument("--protocol", choices=("strict", "authors"), help="(of the configuration)")
    train.add_argument("--fold", type=natural, metavar="N", help="(of the configuration)")


def _data_assignments(options: argparse.Namespace) -> list[str]:
    """The options of ``_add_data_options`` as assignments to ``[data]``."""
    given = {
        "dataset": "faces" if options.data else options.dataset,
        "root": options.data or options.root,
        "protocol": options.protocol,
        "fold": options.fold,
        "videos": options.videos,
    }
    return [f"data.{key}={json.dumps(v)}" for key, v in given.items() if v is not None]


def _demo(options: argparse.Namespace) -> int:
    from spikeface.outputs import new_run_path
    from spikeface.pipelines.demo import demo, demo_config

    config = demo_config(engine=options.engine, quick=options.quick, assignments=options.set)
    report = demo(options.out or new_run_path("demo"), config, resume=options.resume)
    show_report(report, options)
    return 0 if report["parity"]["equal"] else FAILED


def _evtransfer(options: argparse.Namespace) -> int:
    from spikeface.outputs import new_run_path
    from spikeface.pipelines.evtransfer import evtransfer
    from spikeface.text.summary import pipeline_lines

    report = evtransfer(
        options.out or new_run_path("evtransfer"),
        quick=options.quick,
        assignments=options.set,
        resume=options.resume,
    )
    show(report, pipeline_lines(report), options)
    return 0


def _train(options: argparse.Namespace) -> int:
    from snn.training import session
    from spikeface.config import to_toml, trained
    from spikeface.errors import ConfigError
    from spikeface.pages.writing import write_page
    from spikeface.runs import RunFolder
    from spikeface.steps import open_task, train_task

    if options.positional_config and options.config:
        raise ConfigError("give the configuration once, as CONFIG.toml or with --config")
    options.config = options.config or options.positional_config
    config = trained(read_config(options, _data_assignments(options)))
    how = config.reconstruction if config.task == "reconstruction" else config.training
    with session(how.device) as team:
        data = open_task(config)  # what is wrong with it shows before a folder is made
        run = None  # under torchrun the first process writes for all
        if team.is_first:
            run = RunFolder.create(options.out, to_toml(config), resume=options.resume)
        train_task(run, config, data)
    if run:
        if config.task != "spiking":  # nothing is added to it later
            write_page(run)
        show_report(run.read_report(), options, run=run.path)
    return 0


def _quantise(options: argparse.Namespace) -> int:
    from spikeface.runs import RunFolder
    from spikeface.steps import quantise
    from spikeface.text.summary import quantisation_lines

    run = RunFolder.open(options.run)
    quantise(run)
    section = run.read_report()["quantisation"]
    show(section, quantisation_lines(section), options)
    return 0


def _run(options: argparse.Namespace) -> int:
    from spikeface.errors import ConfigError
    from spikeface.runs import RunFolder
    from spikeface.steps import run_recording, run_test_set
    from spikeface.text.summary import recording_lines

    run = RunFolder.open(options.run)
    board = board_request(options)
    if options.on == LOIHI:
        return _run_on_loihi(run, board, options)
    if options.timeout is not None:
        raise ConfigError("--timeout: only with --on loihi; for Lava it is lava.timeout_s")
    backends = ("simulator", "lava") if options.on == "both" else (options.on,)
    prices = _prices(options, backends)
    if options.input is None:
        run_test_set(run, backends=backends, prices=prices)
        report = run.read_report()
        show_report(report, options, run=run.path)
        return 0 if "lava" not in backends or report["parity"]["equal"] else FAILED
    entry = run_recording(run, options.input, backends=backends, sensor_size=options.sensor_size)
    show(entry, recording_lines(entry), options)
    return 0 if entry.get("parity", {}).get("equal", True) else FAILED


def _run_on_loihi(run: Any, board: Any, options: argparse.Namespace) -> int:
    from hardware.backends.loihi.run import TIMEOUT_S
    from spikeface.errors import ConfigError
    from spikeface.steps.board import plan_test_set_on_loihi, run_test_set_on_loihi
    from spikeface.text.board import board_lines, plan_lines

    if options.input is not None or options.energy_profile is not None:
        raise ConfigError(
            "--on loihi runs clips of the test set and estimates nothing; for a recording: "
            "spikeface simulate RUN --input FILE --on loihi"
        )
    if options.dry_run:
        plan = plan_test_set_on_loihi(run, board)
        show(plan, plan_lines(plan), options)
        return FAILED if plan["refused"] else 0
    section = run_test_set_on_loihi(run, board, timeout_s=options.timeout or TIMEOUT_S)
    show(section, board_lines(section), options)
    return 0 if section["parity"]["equal"] else FAILED


def _prices(options: argparse.Namespace, backends: Sequence[str]) -> Any:
    """What ``--energy-profile`` adds, refused where no energy is estimated."""
    from spikeface.errors import ConfigError
    from spikeface.steps.prices import read_prices

    if options.energy_profile is None:
        return None
    if options.input is not None or "simulator" not in backends:
        raise ConfigError(
            "--energy-profile: energy is estimated of the test set on the simulator; "
            "leave --input out, and run --on simulator or both"
        )
    return read_prices(options.energy_profile)


def _report(options: argparse.Namespace) -> int:
    from spikeface.pages.comparison import COMPARISON, write_comparison_page

    if options.network.is_file():
        return _report_network(options)
    if (options.network / COMPARISON).is_file():
        page = write_comparison_page(options.network, options.out, markdown=options.markdown)
        show({"page": str(page)}, [f"{'report':<22} {page}"], options)
        return 0
    return _report_run(options)


def _report_run(options: argparse.Namespace) -> int:
    from spikeface.pages.writing import page_elsewhere, write_page
    from spikeface.runs import RunFolder

    _refuse_network_options(options)
    run = RunFolder.open(options.network)
    if options.out:
        run = page_elsewhere(run, options.out)
    write_page(run, markdown=options.markdown)
    show_report(run.read_report(), options, run=options.out or run.path)
    return 0


def _report_network(options: argparse.Namespace) -> int:
    from spikeface.networks.reporting import report_network
    from spikeface.outputs import new_run_path

    out = options.out or new_run_path(f"report-{options.network.resolve().stem}")
    compared = {None: (), "both": ("simulator", "lava")}.get(options.parity, (options.parity,))
    report = report_network(
        request_of(options),
        out=out,
        compared=compared,
        timeout_s=options.timeout,
    )
    show_report(report, options, run=out)
    return 0


def _refuse_network_options(options: argparse.Namespace) -> None:
    """An option that would be ignored is an error."""
    from spikeface.errors import ConfigError
    from spikeface.networks.request import Request

    if options.parity or request_of(options) != Request(options.network):
        raise ConfigError(
            f"{options.network}: a folder; options of networks and inputs are for network files"
        )
