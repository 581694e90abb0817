"""Any network file on the chip: compile it, run it, explain every difference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spikeface.commands.board import LOIHI, add_board_options, board_request
from spikeface.commands.options import (
    FAILED,
    add_command,
    natural,
    positive,
    sensor_size,
    show,
)


def add_network_commands(commands: Any) -> None:
    """``compile``, ``simulate``, ``parity``."""
    compile_ = add_command(commands, "compile", _compile, "a network file to integers, or to .net")
    network_options(compile_)
    compile_.add_argument("out", type=Path, metavar="OUT", help="a new .chip or .net file")
    compile_.add_argument("--force", action="store_true", help="replace OUT where it exists")
    compile_.add_argument(
        "--calibrate", metavar="INPUT", help="typical input, from which voltages take their range"
    )
    _input_options_of(compile_)

    simulate = add_command(
        commands, "simulate", _simulate, "run any network file, count every spike"
    )
    network_options(simulate)
    input_arguments(simulate)
    simulate.add_argument(
        "--on", choices=("simulator", "lava", "reference", LOIHI), default="simulator"
    )
    add_board_options(simulate)
    simulate.add_argument(
        "--strict",
        action="store_true",
        help="stop where a chip would wrap, saturate or cut (not on Lava)",
    )
    simulate.add_argument(
        "--save", type=Path, metavar="OUT.npz", help="input, output and all messages"
    )

    parity = add_command(
        commands, "parity", _parity, "from floats to the chip: where it changes, why"
    )
    network_options(parity)
    input_arguments(parity)
    parity.add_argument("--on", choices=("simulator", "lava", "both"), default="both")
    parity.add_argument(
        "--out", type=Path, metavar="DIR", help="a new folder (runs/parity-NAME, ...)"
    )


def _compile(options: argparse.Namespace) -> int:
    from spikeface.networks.inputs import load_input
    from spikeface.networks.opening import open_network, write_network
    from spikeface.text.summary import quantisation_lines

    imports = import_options(options)
    opened = open_network(options.network, imports)
    if options.calibrate:
        typical = load_input(options.calibrate, opened.chip, input_options(options))
        opened = open_network(options.network, imports, calibration=typical)
    write_network(opened.chip, options.out, overwrite=options.force)
    section = {
        "file": str(options.out),
        "layers": [loss.as_dict() for loss in opened.losses],
        "assumptions": list(opened.assumptions),
    }
    lines = quantisation_lines(section) if opened.losses else []
    show(section, [*lines, f"written to {options.out}"], options)
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from spikeface.networks.simulate import plan_on_board, simulate
    from spikeface.text.board import board_lines, plan_lines
    from spikeface.text.summary import simulation_lines

    request, board = request_of(options), board_request(options)
    if options.dry_run:
        plan = plan_on_board(request, board=board)
        show(plan, plan_lines(plan), options)
        return FAILED if plan["refused"] else 0
    section = simulate(
        request,
        backend=options.on,
        strict=options.strict,
        save=options.save,
        timeout_s=options.timeout,
        board=board,
    )
    measured = board_lines(section["loihi"]) if options.on == LOIHI else []
    show(section, [*simulation_lines(section), *measured], options)
    return 0


def _parity(options: argparse.Namespace) -> int:
    from spikeface.networks.parity import parity
    from spikeface.outputs import new_run_path
    from spikeface.text.summary import parity_lines

    out = options.out or new_run_path(f"parity-{options.network.resolve().stem}")
    section = parity(
        request_of(options),
        out=out,
        backends=("simulator", "lava") if options.on == "both" else (options.on,),
        timeout_s=options.timeout,
    )
    lines = [*parity_lines(section), f"{'figures':<34} {out / 'parity.html'}"]
    show(section, lines, options)
    engines_agree = all(hop["equal"] for hop in section["hops"] if hop["between_engines"])
    return 0 if engines_agree else FAILED


def network_options(command: argparse.ArgumentParser) -> None:
    """A network of any kind, and what its file may leave unsaid."""
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
        "--dt", type=positive(float), dest="dt_s", metavar="S", help="seconds of a step"
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
        "--layers", type=positive(int), metavar="N", help="only the first N layers of a .net"
    )
    command.add_argument(
        "--lenient", action="store_true", help="cut weights of a .net silently, as netx does"
    )


def input_arguments(command: argparse.ArgumentParser) -> None:
    """What a network is shown, see ``input_options``."""
    command.add_argument(
        "--input",
        default="random",
        metavar="INPUT",
        help="an .npy of whole numbers, (N, T, ...) or (T, ...); a recording (.bin or v2e's .h5) "
        "for networks that take (2, H, W); or random:RATE (the default, random:0.05)",
    )
    _input_options_of(command)
    command.add_argument(
        "--timeout", type=positive(float), default=300, metavar="S", help="for Lava (300)"
    )


def _input_options_of(command: argparse.ArgumentParser) -> None:
    whole = positive(int)
    command.add_argument("--samples", type=whole, metavar="N", help="so many; all, or 1 random one")
    command.add_argument("--steps", type=whole, metavar="T", help="of a sample; all, or 32")
    command.add_argument("--dt-us", type=whole, metavar="US", help="step of a recording in µs")
    command.add_argument("--sensor-size", type=sensor_size, metavar="WxH", help="of the camera")
    command.add_argument("--seed", type=natural, help="of random input (0)")


def import_options(options: argparse.Namespace) -> Any:
    """What ``network_options`` was told, as `spikeface.networks.opening.ImportOptions`."""
    from dataclasses import fields, replace

    from hardware.compiler.nir.nodes import WRITTEN_BY, Conventions
    from spikeface.networks.opening import ImportOptions

    given = {field.name: getattr(options, field.name) for field in fields(Conventions)}
    given = {name: value for name, value in given.items() if value is not None}
    preset = WRITTEN_BY.get(options.written_by, Conventions())
    return ImportOptions(
        conventions=replace(preset, **given) if given or options.written_by else None,
        n_layers=options.layers,
        lenient=options.lenient,
    )


def request_of(options: argparse.Namespace) -> Any:
    """What ``network_options`` and ``input_arguments`` were told, as a `Request`."""
    from spikeface.networks.request import Request

    return Request(options.network, options.input, import_options(options), input_options(options))


def input_options(options: argparse.Namespace) -> Any:
    """What ``input_arguments`` was told, as `spikeface.networks.inputs.InputOptions`."""
    from spikeface.networks.inputs import InputOptions

    return InputOptions(
        n_steps=options.steps,
        dt_us=options.dt_us,
        n_samples=options.samples,
        sensor_size=options.sensor_size,
        seed=options.seed,
    )
