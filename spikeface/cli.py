"""The command line: arguments in, one call of a plain function, results on stdout.

Progress and messages go to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration,
3 something needed is not installed or not reachable. Nothing heavy is imported before a command
needs it, so ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hardware.errors import BackendUnavailableError, HardwareError
from snn.errors import SnnError
from spikeface import __version__
from spikeface.errors import ConfigError, SpikefaceError

FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return USAGE
    try:
        return options.function(options)
    except ConfigError as error:
        return _fail(error, USAGE)
    except BackendUnavailableError as error:
        return _fail(error, MISSING)
    except (SpikefaceError, HardwareError, SnnError) as error:
        return _fail(error, FAILED)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        resumes = "; go on with --resume" if hasattr(options, "resume") else ""
        return _fail(f"interrupted{resumes}", INTERRUPTED)


def _fail(error: Exception | str, code: int) -> int:
    print(f"spikeface: {error}", file=sys.stderr)
    return code


# -- commands --------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from spikeface.demo import demo, demo_config
    from spikeface.runs import new_run_path

    config = demo_config(engine=options.engine, quick=options.quick, assignments=options.set)
    report = demo(options.out or new_run_path("demo"), config, resume=options.resume)
    _show_report(report, options)
    return 0 if report["parity"]["equal"] else FAILED


def _faces(options: argparse.Namespace) -> int:
    from spikeface.figures import save_faces_preview
    from spikeface.steps import render_faces

    config = _config(options)
    events = render_faces(options.out, config, workers=options.workers)
    preview = options.out.with_suffix(".png")
    save_faces_preview(preview, config.faces)
    clips = {name: len(table) for name, table in events.splits.items()}
    result = {
        "file": str(options.out),
        "preview": str(preview),
        "classes": list(events.classes),
        "sensor_size": list(events.sensor_size),
        "clips": clips,
    }
    lines = [f"{name:<11} {count:>5} clips" for name, count in clips.items()]
    _show(result, [*lines, f"events in {options.out}, a look at them in {preview}"], options)
    return 0


def _train(options: argparse.Namespace) -> int:
    from snn.events.datasets import load_event_set
    from spikeface.config import to_toml
    from spikeface.runs import RunFolder
    from spikeface.steps import train

    config = _config(options)
    events = load_event_set(options.data)
    run = RunFolder.create(options.out, to_toml(config), resume=options.resume)
    train(run, config, events)
    _show_report(run.read_report(), options, run=run.path)
    return 0


def _quantise(options: argparse.Namespace) -> int:
    from spikeface.runs import RunFolder
    from spikeface.steps import quantise
    from spikeface.summary import quantisation_lines

    run = RunFolder.open(options.run)
    quantise(run)
    section = run.read_report()["quantisation"]
    _show(section, quantisation_lines(section), options)
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
        _show_report(report, options, run=run.path)
        return 0 if "lava" not in backends or report["parity"]["equal"] else FAILED
    entry = run_recording(run, options.input, backends=backends, sensor_size=options.sensor_size)
    _show(entry, recording_lines(entry), options)
    return 0 if entry.get("parity", {}).get("equal", True) else FAILED


def _compile(options: argparse.Namespace) -> int:
    from spikeface.inputs import load_input
    from spikeface.networks import open_network, write_network
    from spikeface.summary import quantisation_lines

    imports = _import_options(options)
    opened = open_network(options.network, imports)
    if options.calibrate:
        typical = load_input(options.calibrate, opened.chip, _input_options(options))
        opened = open_network(options.network, imports, calibration=typical)
    write_network(opened.chip, options.out, overwrite=options.force)
    section = {
        "file": str(options.out),
        "layers": [loss.as_dict() for loss in opened.losses],
        "assumptions": list(opened.assumptions),
    }
    lines = quantisation_lines(section) if opened.losses else []
    _show(section, [*lines, f"written to {options.out}"], options)
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from spikeface.simulate import simulate
    from spikeface.summary import simulation_lines

    section = simulate(
        options.network,
        options.input,
        backend=options.on,
        strict=options.strict,
        save=options.save,
        network_options=_import_options(options),
        input_options=_input_options(options),
        timeout_s=options.timeout,
    )
    _show(section, simulation_lines(section), options)
    return 0


def _parity(options: argparse.Namespace) -> int:
    from spikeface.parity import parity
    from spikeface.runs import new_run_path
    from spikeface.summary import parity_lines

    out = options.out or new_run_path(f"parity-{options.network.resolve().stem}")
    section = parity(
        options.network,
        options.input,
        out=out,
        backends=("simulator", "lava") if options.on == "both" else (options.on,),
        network_options=_import_options(options),
        input_options=_input_options(options),
        timeout_s=options.timeout,
    )
    lines = [*parity_lines(section), f"{'figures':<34} {out / 'parity.html'}"]
    _show(section, lines, options)
    engines_agree = all(hop["equal"] for hop in section["hops"] if hop["between_engines"])
    return 0 if engines_agree else FAILED


def _report(options: argparse.Namespace) -> int:
    from spikeface.report import write_report
    from spikeface.runs import RunFolder

    run = RunFolder.open(options.run)
    write_report(run)
    _show_report(run.read_report(), options, run=run.path)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from spikeface.doctor import clean_up, examine, lines

    findings = examine()
    if options.clean:
        findings = clean_up(findings)
    _show(findings, lines(findings), options)
    return 0


# -- options ---------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spikeface",
        description="Train spiking networks on event faces and run them exactly as the chip would.",
    )
    parser.add_argument("--version", action="version", version=f"spikeface {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "everything in one go, from faces to a report")
    demo.add_argument("--quick", action="store_true", help="a small set and few epochs: a look")
    demo.add_argument("--engine", choices=("norse", "slayer"), default="norse")
    demo.add_argument("--out", type=Path, metavar="RUN", help="a new folder (runs/demo, -2, ...)")
    _resume_option(demo)
    _set_option(demo)

    faces = _command(commands, "faces", _faces, "render a set of event faces into one file")
    faces.add_argument("out", type=Path, metavar="OUT.h5")
    faces.add_argument("--workers", type=int, default=2, help="processes that render (2)")
    _config_options(faces)

    train = _command(commands, "train", _train, "train a spiking network, write network.nir")
    train.add_argument("--data", type=Path, required=True, metavar="FACES.h5")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="a new run folder")
    train.add_argument("--engine", choices=("norse", "slayer"), help="overrides model.engine")
    _resume_option(train)
    _config_options(train)

    quantise = _command(commands, "quantise", _quantise, "network.nir to integers: network.chip")
    quantise.add_argument("run", type=Path, metavar="RUN")

    run = _command(commands, "run", _run, "run the test set, or a recording, on the backends")
    run.add_argument("run", type=Path, metavar="RUN")
    run.add_argument("--on", choices=("simulator", "lava", "both"), default="both")
    run.add_argument("--input", type=Path, metavar="FILE", help="a recording (.bin, v2e's .h5)")
    run.add_argument(
        "--sensor-size", type=_sensor_size, metavar="WxH", help="of the camera that made --input"
    )

    compile_ = _command(commands, "compile", _compile, "a network file to integers, or to .net")
    _network_options(compile_)
    compile_.add_argument("out", type=Path, metavar="OUT", help="a new .chip or .net file")
    compile_.add_argument("--force", action="store_true", help="replace OUT where it exists")
    compile_.add_argument(
        "--calibrate", metavar="INPUT", help="typical input, from which voltages take their range"
    )
    _input_options_of(compile_)

    simulate = _command(commands, "simulate", _simulate, "run any network file, count every spike")
    _network_options(simulate)
    _input_arguments(simulate)
    simulate.add_argument("--on", choices=("simulator", "lava", "reference"), default="simulator")
    simulate.add_argument(
        "--strict",
        action="store_true",
        help="stop where a chip would wrap, saturate or cut (not on Lava)",
    )
    simulate.add_argument(
        "--save", type=Path, metavar="OUT.npz", help="input, output and all messages"
    )

    parity = _command(commands, "parity", _parity, "from floats to the chip: where it changes, why")
    _network_options(parity)
    _input_arguments(parity)
    parity.add_argument("--on", choices=("simulator", "lava", "both"), default="both")
    parity.add_argument(
        "--out", type=Path, metavar="DIR", help="a new folder (runs/parity-NAME, ...)"
    )

    report = _command(commands, "report", _report, "write report.html from what is known so far")
    report.add_argument("run", type=Path, metavar="RUN")

    doctor = _command(commands, "doctor", _doctor, "what is available here, what runs left behind")
    doctor.add_argument("--clean", action="store_true", help="remove what dead Lava runs left")
    return parser


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(function=function)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return command


def _network_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "network", type=Path, metavar="NETWORK", help=".nir, lava-dl's .net, .chip or a run folder"
    )
    unsaid = command.add_argument_group("what a .nir file does not say")
    unsaid.add_argument(
        "--written-by",
        choices=("norse", "sinabs", "snntorch", "spikingjelly"),
        help="what this framework means when it exports with its defaults (norse 1.1, sinabs 3.1, "
        "snnTorch 1.0, spikingjelly 2.0)",
    )
    unsaid.add_argument(
        "--dt", type=_positive(float), dest="dt_s", metavar="S", help="seconds of a step"
    )
    unsaid.add_argument("--reset", choices=("zero", "subtract"), help="after a spike")
    unsaid.add_argument("--fires", choices=("above", "at_or_above"), help="the threshold")
    unsaid.add_argument("--solver", choices=("euler", "exact"), help="of the leak")
    unsaid.add_argument(
        "--current", choices=("filtered", "jump"), help="what a spike adds to a CubaLIF's current"
    )
    unsaid.add_argument(
        "--integrator", choices=("auto", "per_second", "per_step"), help="what r of an IF is"
    )
    unsaid.add_argument(
        "--pooling", choices=("fold", "relay"), help="into weights, or as relay neurons"
    )
    command.add_argument(
        "--layers", type=_positive(int), metavar="N", help="only the first N layers of a .net"
    )
    command.add_argument(
        "--lenient", action="store_true", help="cut weights of a .net silently, as netx does"
    )


def _input_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input",
        default="random",
        metavar="INPUT",
        help="an .npy of whole numbers, (N, T, ...) or (T, ...); a recording (.bin or v2e's .h5) "
        "for networks that take (2, H, W); or random:RATE (the default, random:0.05)",
    )
    _input_options_of(command)
    command.add_argument(
        "--timeout", type=_positive(float), default=300, metavar="S", help="for Lava (300)"
    )


def _input_options_of(command: argparse.ArgumentParser) -> None:
    whole = _positive(int)
    command.add_argument("--samples", type=whole, metavar="N", help="so many; all, or 1 random one")
    command.add_argument("--steps", type=whole, metavar="T", help="of a sample; all, or 32")
    command.add_argument("--dt-us", type=whole, metavar="US", help="step of a recording in µs")
    command.add_argument("--sensor-size", type=_sensor_size, metavar="WxH", help="of the camera")
    command.add_argument("--seed", type=_natural, help="of random input (0)")


def _import_options(options: argparse.Namespace) -> Any:
    from dataclasses import fields, replace

    from hardware.compiler.nir.nodes import WRITTEN_BY, Conventions
    from spikeface.networks import ImportOptions

    given = {field.name: getattr(options, field.name) for field in fields(Conventions)}
    given = {name: value for name, value in given.items() if value is not None}
    preset = WRITTEN_BY.get(options.written_by, Conventions())
    return ImportOptions(
        conventions=replace(preset, **given) if given or options.written_by else None,
        n_layers=options.layers,
        lenient=options.lenient,
    )


def _input_options(options: argparse.Namespace) -> Any:
    from spikeface.inputs import InputOptions

    return InputOptions(
        n_steps=options.steps,
        dt_us=options.dt_us,
        n_samples=options.samples,
        sensor_size=options.sensor_size,
        seed=options.seed,
    )


def _config_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE.toml")
    _set_option(command)


def _set_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one value of the configuration (repeatable)",
    )


def _resume_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")


def _config(options: argparse.Namespace) -> Any:
    from spikeface.config import load_config

    engine = getattr(options, "engine", None)
    assignments = [f"model.engine={engine!r}"] if engine else []
    return load_config(options.config, [*assignments, *options.set])


def _positive(kind: type[int] | type[float]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a {kind.__name__} above 0")
        return value

    return parse


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _sensor_size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, such as 240x180")
    return int(width), int(height)


# -- output ----------------------------------------------------------------------------------------


def _show_report(
    report: dict[str, Any], options: argparse.Namespace, *, run: Path | None = None
) -> None:
    from spikeface.summary import report_lines

    _show(report, report_lines(report, run=run), options)


def _show(result: dict[str, Any], lines: Sequence[str], options: argparse.Namespace) -> None:
    print(json.dumps(result, ensure_ascii=False) if options.json else "\n".join(lines))
