"""How fast the camera is: against v2e's emulator on equal events, and ESIM by itself.

Runs of the compared programs are interleaved and medians of ratios reported. Before anything is
timed, events are compared: every count of a pixel and polarity, and times within the microsecond
that v2e's single precision keeps. Of random noise only the rates can be compared.

The checkout of v2e is only read: ``v2ecore/emulator.py`` and ``emulator_utils.py`` run, while what
they import for displays and file formats is replaced by empty stand-ins.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import ModuleType

import cv2
import numpy as np
from measuring import Row, ratio, seconds

from snn.events.camera import CameraParameters, EsimParameters, camera_parameters
from snn.events.camera import events_from_frames as simulate
from snn.events.faces import FaceSetParameters, render_clip
from snn.events.recording import Recording
from snn.events.video import open_video

REFERENCE = Path(__file__).parents[2] / "shared" / "data" / "v2e" / "frames"

CLEAN = CameraParameters(sigma_thres=0.0, refractory_period=0.0005)
SETTINGS = {
    "clean": CLEAN,
    "low-pass 30 Hz": CameraParameters(sigma_thres=0.0, cutoff_hz=30.0, refractory_period=0.0005),
    "v2e's defaults": camera_parameters("v2e"),
    "noisy": camera_parameters("noisy"),
    "ESIM": EsimParameters(),
}
V2E_COLUMNS = ("v2e_ms_per_frame", "vs_v2e", "compared")
INPUTS = (((200, 200), 30.0), ((200, 200), 160.0), ((200, 200), 500.0), ((346, 260), 160.0))
FRAMES = 60
STAND_INS = {
    "screeninfo": ("get_monitors",),
    "v2ecore.output.aedat2_output": ("AEDat2Output",),
    "v2ecore.output.aedat4_output": ("AEDat4Output",),
    "v2ecore.output.ae_text_output": ("DVSTextOutput",),
    "v2ecore.v2e_utils": ("checkAddSuffix", "v2e_quit", "video_writer"),
}


def measure(v2e: Path | None, rounds: int = 7) -> list[Row]:
    """Rows of all inputs and settings; without `v2e` its columns are left out, with a line why."""
    emulator = None
    if v2e is None:
        print("v2e is not measured: no checkout given (--v2e FOLDER)", file=sys.stderr)
    else:
        emulator = load_v2e(v2e)
    rows = []
    for name, frames, rate_hz in inputs():
        for setting, parameters in SETTINGS.items():
            timed = _time_one(frames, rate_hz, parameters, emulator, rounds)
            rows.append({"input": name, "setting": setting, **timed})
    return rows


def inputs() -> Iterator[tuple[str, np.ndarray, float]]:
    """Name, frames and rate of each video; the drawn one only where the reference data are."""
    if REFERENCE.is_dir():
        yield "200x200 drawn, 30 fps", np.stack(list(open_video(REFERENCE, fps=30.0))), 30.0
    for size, rate_hz in INPUTS:
        name = f"{size[0]}x{size[1]} rendered, {rate_hz:.0f} fps"
        yield name, face_video(size, rate_hz), rate_hz
    yield "200x200 textured pan, 100 fps", panned_texture(), 100.0


def face_video(size: tuple[int, int], rate_hz: float) -> np.ndarray:
    """Frames of a rendered face that starts to smile."""
    faces = FaceSetParameters(
        sensor_size=size,
        frame_rate_hz=rate_hz,
        duration_ms=1000 * FRAMES / rate_hz,
        onset_range_ms=(0.0, 0.0),
    )
    clip = render_clip(faces, subject=0, label=4, take=0, keep_frames=True)
    assert clip.frames is not None
    return clip.frames


def panned_texture() -> np.ndarray:
    """A camera that pans over a soft random texture by a pixel a frame: many events in each."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.uniform(0, 255, (200, 200 + FRAMES)), (0, 0), 3)
    scene = (255 * (scene - scene.min()) / np.ptp(scene)).astype(np.uint8)
    return np.stack([scene[:, k : k + 200] for k in range(FRAMES)])


def _time_one(
    frames: np.ndarray,
    rate_hz: float,
    parameters: CameraParameters | EsimParameters,
    emulator: type | None,
    rounds: int,
) -> Row:
    times_s = np.arange(len(frames)) / rate_hz
    ours: Callable[[], Recording] = lambda: simulate(  # noqa: E731
        frames, frame_rate_hz=rate_hz, parameters=parameters
    )
    events = ours()
    row: Row = {"events": len(events)}
    if emulator is not None and isinstance(parameters, CameraParameters):
        theirs = lambda: v2e_events(emulator, frames, times_s, parameters)  # noqa: E731
        compared = compare(events, theirs(), exact=parameters.shot_noise_rate_hz == 0)
        pairs = [(seconds(theirs, 1), seconds(ours, 1)) for _ in range(rounds)]
        their_s, our_s = map(list, zip(*pairs, strict=True))
        v2e: Row = {
            "v2e_ms_per_frame": 1e3 * median(their_s) / len(frames),
            "vs_v2e": ratio(their_s, our_s),
            "compared": compared,
        }
    else:
        our_s = [seconds(ours, 1) for _ in range(rounds)]
        v2e = {} if emulator is None else dict.fromkeys(V2E_COLUMNS, "")
    row["ms_per_frame"] = 1e3 * median(our_s) / len(frames)
    row["events_per_s"] = len(events) / median(our_s)
    return {**row, **v2e}


def compare(ours: Recording, theirs: np.ndarray, *, exact: bool) -> str:
    """Hold the two against each other; returns what was found equal.

    Raises
    ------
    AssertionError
        When they differ.
    """
    if not exact:
        assert abs(len(ours) / len(theirs) - 1) < 0.1, (len(ours), len(theirs))
        return "within 10 %"
    columns = np.stack([ours.events[name] for name in "txyp"], axis=1).astype(np.int64)
    a, b = (e[np.lexsort((e[:, 0], e[:, 3], e[:, 1], e[:, 2]))] for e in (columns, theirs))
    assert np.array_equal(a[:, 1:], b[:, 1:]), "pixels or polarities differ"
    assert np.abs(a[:, 0] - b[:, 0]).max() <= 1, "times differ"
    return "equal"


def v2e_events(
    emulator: type, frames: np.ndarray, times_s: np.ndarray, parameters: CameraParameters
) -> np.ndarray:
    """Events of v2e's emulator: rows (t in µs, x, y, p in {0, 1}), int64, as its HDF5 files."""
    values = dict(vars(parameters))
    values["refractory_period_s"] = values.pop("refractory_period")
    running = emulator(device="cpu", **values)
    parts = [
        running.generate_events(frame.astype(np.float32), float(t))
        for frame, t in zip(frames, times_s, strict=True)
    ]
    events = np.concatenate([part for part in parts if part is not None])
    events[:, 0] *= np.float32(1e6)
    events[events[:, 3] == -1, 3] = 0
    return events.astype(np.int64)


def load_v2e(folder: Path) -> type:
    """The class ``EventEmulator`` of a checkout, on one thread and silent."""
    import torch

    torch.set_num_threads(1)
    logging.getLogger("v2ecore").setLevel(logging.ERROR)
    if not (folder / "v2ecore" / "emulator.py").is_file():
        raise SystemExit(f"{folder}: not a checkout of v2e, it has no v2ecore/emulator.py")
    for name, attributes in STAND_INS.items():
        module = ModuleType(name)
        for attribute in attributes:
            setattr(module, attribute, None)
        sys.modules[name] = module
    sys.path.insert(0, str(folder))
    from v2ecore.emulator import EventEmulator

    return EventEmulator
