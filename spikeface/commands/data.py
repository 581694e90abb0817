"""Recordings, videos and data sets: look, convert, simulate, standardise, check, render."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spikeface.commands.options import (
    FAILED,
    add_command,
    add_config_options,
    natural,
    positive,
    read_config,
    sensor_size,
    show,
)
from spikeface.errors import ConfigError

CAMERAS = ("v2e", "clean", "noisy", "spiking-fer", "eck+", "esim")
FACE_SETS = ("demo", "faces-small", "faces-full")
CROPS = ("spiking-fer", "spiking-fer-literal", "whole-face", "evtransfer")
FORMATS = ".h5 .raw .dat .aedat4 .bin .es .csv .txt .npy .npz"


def add_data_commands(commands: Any) -> None:
    """``faces``, and ``data`` with its own commands."""
    faces = add_command(commands, "faces", _faces, "render a set of event faces into one file")
    faces.add_argument("out", type=Path, metavar="OUT.h5")
    faces.add_argument("--preset", choices=FACE_SETS, help="(demo: 64 x 64 pixels, 400 ms)")
    faces.add_argument("--camera", choices=("clean", "real", "hard"), help="its noise (real)")
    faces.add_argument("--workers", type=positive(int), default=2, help="that render (2)")
    add_config_options(faces)

    data = commands.add_parser(
        "data",
        help="recordings, videos, data sets: info, convert, view, events, standardise, verify",
        description="Recordings, videos and data sets.",
    )
    kinds = data.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    _add_recording_commands(kinds)
    _add_video_commands(kinds)
    verify = add_command(kinds, "verify", _verify, "what is missing from a copy of a data set")
    verify.add_argument(
        "name",
        metavar="SET",
        help="ckplus-dvs, adfes-dvs, casia-dvs, mmi-dvs, eckplus, nefer, faces or folder",
    )
    verify.add_argument("root", type=Path, metavar="ROOT")
    verify.add_argument("--full", action="store_true", help="read every event, not only headers")
    verify.add_argument("--folds", type=Path, metavar="CSV", help="fold file of a Spiking-FER set")
    verify.add_argument("--frame-list", type=Path, metavar="TXT", help="published split of e-CK+")
    verify.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of e-CK+ (s)")
    verify.add_argument("--labels", choices=("expected", "reported"), help="of NEFER (expected)")
    verify.add_argument(
        "--subject-pattern", metavar="REGEX", help="of folder: finds the subject in a file's name"
    )


def _add_recording_commands(kinds: Any) -> None:
    info = add_command(kinds, "info", _info, "what a recording holds, and what is odd about it")
    convert = add_command(kinds, "convert", _convert, "a recording in another format")
    view = add_command(kinds, "view", _view, "a recording as a picture strip, a GIF or an MP4")
    for command in (info, convert, view):
        command.add_argument("file", type=Path, metavar="FILE", help=FORMATS)
        _add_layout_options(command)
    for command in (convert, view):
        _add_repair_options(command)
    convert.add_argument("out", type=Path, metavar="OUT", help=".h5 .raw (EVT2) .bin .csv .npy ...")
    convert.add_argument("--start-at-zero", action="store_true", help="shift times")
    convert.add_argument("--force", action="store_true", help="replace OUT where it exists")
    view.add_argument("out", type=Path, metavar="OUT", help="a new .png, .gif or .mp4")
    view.add_argument("--pictures", type=positive(int), metavar="N", help="(6 in .png, else 100)")


def _add_layout_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sensor-size", type=sensor_size, metavar="WxH", help="of the camera")
    command.add_argument("--columns", metavar="xytp", help="order of a table's columns")
    command.add_argument("--time-unit", choices=("s", "ms", "us", "ns"), help="of a table")
    command.set_defaults(disorder="error", outside="error")


def _add_repair_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--disorder",
        choices=("error", "sort", "clamp"),
        default="error",
        help="when times step back (error)",
    )
    command.add_argument(
        "--outside", choices=("error", "drop"), default="error", help="events off the sensor"
    )


def _add_video_commands(kinds: Any) -> None:
    events = add_command(kinds, "events", _events, "what an event camera sees of a video")
    events.add_argument("video", type=Path, metavar="VIDEO", help="a file, or a folder of images")
    events.add_argument("out", type=Path, metavar="OUT", help="a new recording; .h5 as v2e's")
    events.add_argument("--fps", type=positive(float), metavar="F", help="a folder needs it")
    events.add_argument(
        "--camera", choices=CAMERAS, default="v2e", help="(v2e: the defaults of its command line)"
    )
    events.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one parameter by v2e's name, such as pos_thres=0.2 (repeatable)",
    )
    events.add_argument("--size", type=sensor_size, metavar="WxH", help="of the sensor")
    events.add_argument(
        "--upsample", type=positive(int), default=1, metavar="K", help="blend K-1 frames in (1)"
    )
    events.add_argument("--seed", type=natural, default=0, help="of mismatch and noise (0)")
    events.add_argument("--force", action="store_true", help="replace OUT where it exists")

    standardise = add_command(
        kinds, "standardise", _standardise, "hold the head still and crop the face, by landmarks"
    )
    standardise.add_argument("video", type=Path, metavar="VIDEO")
    standardise.add_argument("out", type=Path, metavar="FOLDER", help="a new folder of frames")
    standardise.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE",
        help="68 points a frame: .txt, .pts, .csv, .npy, or a folder of such; without it they are "
        "detected, which needs mediapipe",
    )
    standardise.add_argument("--crop", choices=CROPS, default="spiking-fer")
    standardise.add_argument("--align", choices=("none", "rotation", "similarity"))
    standardise.add_argument(
        "--smooth", type=positive(float), default=0.0, metavar="FRAMES", help="detected points"
    )
    standardise.add_argument("--size", type=sensor_size, default=(200, 200), metavar="WxH")


def _info(options: argparse.Namespace) -> int:
    from spikeface.data.recordings import info_lines, inspect_file

    section = inspect_file(options.file, _read_options(options))
    show(section, info_lines(section), options)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from spikeface.data.recordings import convert_file, info_lines

    section = convert_file(
        options.file,
        options.out,
        _read_options(options),
        start_at_zero=options.start_at_zero,
        overwrite=options.force,
    )
    show(section, info_lines(section), options)
    return 0


def _view(options: argparse.Namespace) -> int:
    from spikeface.data.recordings import info_lines, view_file

    section = view_file(
        options.file, options.out, _read_options(options), n_pictures=options.pictures
    )
    each_ms = section["picture_ms"]
    time = f"{each_ms / 1000:,.4g} s" if each_ms >= 1000 else f"{each_ms:.3g} ms"
    each = f"pictures in {section['view']}, {time} of events in each"
    show(section, [*info_lines(section), each], options)
    return 0


def _events(options: argparse.Namespace) -> int:
    from spikeface.data.recordings import info_lines
    from spikeface.data.videos import simulate_camera

    section = simulate_camera(
        options.video,
        options.out,
        fps=options.fps,
        camera=options.camera,
        overrides=_numbers(options.set),
        size=options.size,
        upsample=options.upsample,
        seed=options.seed,
        overwrite=options.force,
    )
    show(section, info_lines(section), options)
    return 0


def _standardise(options: argparse.Namespace) -> int:
    from spikeface.data.videos import standardise_video

    section = standardise_video(
        options.video,
        options.out,
        options.landmarks,
        crop=options.crop,
        align=options.align,
        size=options.size,
        smooth_frames=options.smooth,
    )
    width, height = options.size
    line = f"{section['frames']} frames of {width} × {height} pixels in {section['folder']}"
    show(section, [line], options)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from spikeface.data.verification import verify_copy

    names = ("folds", "frame_list", "time_unit", "labels", "subject_pattern")
    given = {name: getattr(options, name) for name in names}
    if options.name == "eckplus":
        given["time_unit"] = options.time_unit or "s"
    section, lines = verify_copy(
        options.name,
        options.root,
        full=options.full,
        options={name: value for name, value in given.items() if value is not None},
    )
    show(section, lines, options)
    return 0 if section["complete"] else FAILED


def _faces(options: argparse.Namespace) -> int:
    from spikeface.figures.results import save_faces_preview
    from spikeface.steps import render_faces

    presets = {"faces.preset": options.preset, "faces.camera.preset": options.camera}
    given = [f'{key}="{name}"' for key, name in presets.items() if name]
    config = read_config(options, given)
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
    show(result, [*lines, f"events in {options.out}, a look at them in {preview}"], options)
    return 0


def _read_options(options: argparse.Namespace) -> Any:
    from spikeface.data.recordings import ReadOptions

    return ReadOptions(
        sensor_size=options.sensor_size,
        on_disorder=options.disorder,
        on_outside=options.outside,
        columns=options.columns,
        time_unit=options.time_unit,
    )


def _numbers(assignments: list[str]) -> dict[str, float]:
    """``name=value`` pairs; switches may say true or false."""
    values: dict[str, float] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        switch = {"true": 1.0, "false": 0.0}.get(text.strip().lower())
        try:
            values[name.strip()] = float(text) if switch is None else switch
        except ValueError:
            raise ConfigError(f"--set takes NAME=VALUE with a number, got {assignment!r}") from None
    return values
