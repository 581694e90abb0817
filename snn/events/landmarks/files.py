"""Landmark files: CK+ text, ``.pts``, tables with a row a frame, OpenFace, NumPy arrays.

A path is one file with all frames, or a folder with one file a frame in natural order (``f2``
before ``f10``). Text is told apart by its first line of data:

    2 numbers     one point; the file is one frame of 68 lines (CK+, ``.pts``)
    136 numbers   one frame, ``x0 y0 x1 y1 ...``; a line each (separated by comma or blank)
    words         the names of columns: OpenFace's ``x_0 .. x_67, y_0 .. y_67``, or the same
                  names in any order; where ``success`` is 0 nothing was found

Coordinates are taken as written, in pixels. Sets that count pixels from 1, as Matlab does, lie
one pixel to the right and down of ours; that moves a crop by one pixel and alignment not at all.

>>> read_landmarks("S005_001.csv").shape
(11, 68, 2)
"""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn.errors import EventFormatError
from snn.events.landmarks.checks import check_landmarks, fill_gaps
from snn.events.landmarks.points import N_POINTS
from snn.events.video import natural_order

TEXT_ENDINGS = (".txt", ".pts", ".csv")
ARRAY_ENDINGS = (".npy", ".npz")
MAX_FRAMES = 100_000  # about an hour at 30 frames/s
MAX_BYTES = 1 << 30
N_NUMBERS = 2 * N_POINTS
FRAME_COLUMN, SUCCESS_COLUMN = "frame", "success"
# What NumPy and zipfile raise for damaged arrays and archives; a header may claim any size.
UNREADABLE = (
    ValueError,
    EOFError,
    KeyError,
    OSError,
    MemoryError,
    RuntimeError,  # encrypted, or compressed in a way that is not supported
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,  # of a damaged header
)


@dataclass(frozen=True)
class _Track:
    """Points as they were found in files.

    Parameters
    ----------
    points : ndarray of shape (n_frames, 68, 2), dtype float64
        NaN in frames without a face.
    places : list of str
        File and line of each frame.
    """

    points: np.ndarray
    places: list[str]


def read_landmarks(
    path: str | Path,
    *,
    n_frames: int | None = None,
    image_size: tuple[int, int] | None = None,
    max_gap_frames: int = 5,
) -> np.ndarray:
    """Read, check and complete the landmarks of one video.

    Parameters
    ----------
    path : str or Path
        ``.txt``, ``.pts``, ``.csv``, ``.npy``, ``.npz`` (array ``landmarks``, or its only one),
        or a folder of ``.txt`` or ``.pts`` files, one a frame. A number missing in the names of
        such files is a frame without a face, unless there are `n_frames` files.
    n_frames : int, optional
        Frames of the video.
    image_size : tuple of int, optional
        ``(width, height)`` of the video.
    max_gap_frames : int
        Longest run of frames without a face that is filled by interpolation.

    Returns
    -------
    ndarray of shape (n_frames, 68, 2), dtype float64
        ``(x, y)`` in pixels.

    Raises
    ------
    EventFormatError
        For a missing or foreign file, points that cannot be those of a face in the video (see
        ``check_landmarks``), or a gap that is too long. The message names file and line.
    """
    path = Path(path)
    try:
        track = _read_folder(path, n_frames) if path.is_dir() else _read_file(path)
    except OSError as error:
        raise EventFormatError(f"{path}: cannot be read ({error})") from error
    points = check_landmarks(
        track.points,
        n_frames=n_frames,
        image_size=image_size,
        source=str(path),
        places=track.places,
    )
    return fill_gaps(points, max_gap_frames=max_gap_frames, source=str(path))


def _read_file(path: Path) -> _Track:
    if not path.is_file():
        raise EventFormatError(f"{path}: there is no such file or folder")
    if path.suffix.lower() not in TEXT_ENDINGS + ARRAY_ENDINGS:
        raise EventFormatError(
            f"{path}: no reader for {path.suffix or 'files without an ending'}; "
            f"there are readers for {', '.join(TEXT_ENDINGS + ARRAY_ENDINGS)} and folders"
        )
    if path.stat().st_size > MAX_BYTES:
        raise EventFormatError(f"{path}: more than {MAX_BYTES >> 20} MiB are no landmarks")
    if path.suffix.lower() in ARRAY_ENDINGS:
        return _read_array(path)
    return _read_text(path)


def _read_folder(folder: Path, n_frames: int | None) -> _Track:
    files = [file for file in folder.iterdir() if file.suffix.lower() in (".txt", ".pts")]
    files = sorted(
        (file for file in files if not file.name.startswith(".")),
        key=lambda file: natural_order(file.name),
    )
    if not files:
        raise EventFormatError(f"{folder}: there are no .txt or .pts files, one a frame")
    endings = {file.suffix.lower() for file in files}
    if len(endings) > 1:
        raise EventFormatError(f"{folder}: holds {' and '.join(sorted(endings))}; keep one kind")
    tracks = [_read_file(file) for file in files]
    for file, track in zip(files, tracks, strict=True):
        if len(track.points) != 1:
            raise EventFormatError(
                f"{file}: {len(track.points)} frames; a folder's files hold one frame each"
            )
    points = np.concatenate([track.points for track in tracks])
    places = [track.places[0] for track in tracks]
    if len(files) == n_frames:
        return _Track(points, places)
    return _spread(points, places, _frame_numbers(files), folder)


def _frame_numbers(files: list[Path]) -> np.ndarray:
    """The one number that differs between the names, or else a plain count."""
    digits = [re.findall(r"\d+", file.stem) for file in files]
    if len({len(numbers) for numbers in digits}) == 1:
        columns = [[int(number) for number in column] for column in zip(*digits, strict=True)]
        varying = [column for column in columns if len(set(column)) > 1]
        if len(varying) == 1 and max(varying[0]) - min(varying[0]) < MAX_FRAMES:
            return np.array(varying[0])
    return np.arange(len(files))


def _spread(points: np.ndarray, places: list[str], numbers: np.ndarray, source: Path) -> _Track:
    """Frames at the place of their number, NaN between them."""
    if np.any(np.diff(numbers) < 1):
        position = int(np.argmax(np.diff(numbers) < 1)) + 1
        raise EventFormatError(
            f"{places[position]}: frame {numbers[position]} follows frame "
            f"{numbers[position - 1]}; frames must be numbered upwards, one face a frame"
        )
    if numbers[-1] - numbers[0] >= MAX_FRAMES:
        raise EventFormatError(
            f"{source}: frames {numbers[0]} to {numbers[-1]} are more than {MAX_FRAMES}"
        )
    where = (numbers - numbers[0]).astype(np.int64)  # numbers may be beyond 64 bits, not these
    spread = np.full((where[-1] + 1, N_POINTS, 2), np.nan)
    spread[where] = points
    all_places = [str(source)] * len(spread)
    for position, place in zip(where, places, strict=True):
        all_places[position] = place
    return _Track(spread, all_places)


def _read_array(path: Path) -> _Track:
    try:
        points = (
            _load_npz(path)
            if path.suffix.lower() == ".npz"
            else np.load(path, mmap_mode="r", allow_pickle=False)
        )
    except UNREADABLE as error:
        raise EventFormatError(f"{path}: is no readable array of numbers ({error})") from error
    if not isinstance(points, np.ndarray) or points.shape[-2:] != (N_POINTS, 2):
        raise EventFormatError(
            f"{path}: expected an array of shape (n_frames, {N_POINTS}, 2) or ({N_POINTS}, 2), "
            f"got {getattr(points, 'shape', type(points).__name__)}"
        )
    if points.dtype.kind not in "iuf" or points.ndim > 3:
        raise EventFormatError(
            f"{path}: expected real numbers of shape (n_frames, {N_POINTS}, 2), "
            f"got {points.dtype} of shape {points.shape}"
        )
    points = points.reshape(-1, N_POINTS, 2)
    _check_count(path, len(points))
    places = [f"{path}, frame {frame}" for frame in range(len(points))]
    return _Track(np.array(points, np.float64), places)


def _load_npz(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_BYTES:
        raise EventFormatError(f"{path}: unpacks to more than {MAX_BYTES >> 20} MiB")
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        name = "landmarks" if "landmarks" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise EventFormatError(
                f"{path}: expected an array 'landmarks' or a single array, found {names[:8]}"
            )
        return archive[name]


def _check_count(path: Path, count: int) -> None:
    if not 0 < count <= MAX_FRAMES:
        raise EventFormatError(f"{path}: {count} frames; between 1 and {MAX_FRAMES} are read")


def _read_text(path: Path) -> _Track:
    rows, numbers, lines = _table(path)
    width = len(rows[0])
    if width == 2:
        if len(rows) != N_POINTS:
            raise EventFormatError(
                f"{path}: {len(rows)} points, the last in line {lines[-1]}; expected {N_POINTS}"
            )
        return _Track(np.array([rows]), [f"{path}, line {lines[0]}"])
    points = np.array(rows).reshape(-1, N_POINTS, 2)
    places = [f"{path}, line {line}" for line in lines]
    if numbers is None:
        return _Track(points, places)
    return _spread(points, places, np.array(numbers), path)


def _table(path: Path) -> tuple[list[list[float]], list[int] | None, list[int]]:
    """Numbers of each line of data (2, or 136 in the order of points), frame numbers, lines."""
    rows: list[list[float]] = []
    lines: list[int] = []
    columns: _Columns | None = None
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, 1):
            ends = "}" in text  # of a .pts file; the last point may share its line
            cells = _cells(text.strip(" \t\r\n{}\0"))
            if cells and not _is_pts_header(cells, f"{path}, line {line}"):
                if not rows and columns is None and not _is_number(cells[0]):
                    columns = _Columns(cells, f"{path}, line {line}")
                else:
                    rows.append(_numbers(cells, f"{path}, line {line}"))
                    lines.append(line)
                    expected = columns.count if columns else len(rows[0])
                    _check_width(len(cells), expected, bool(columns), f"{path}, line {line}")
            if len(rows) > MAX_FRAMES:
                raise EventFormatError(f"{path}: more than {MAX_FRAMES} frames")
            if ends:
                break
    if not rows:
        raise EventFormatError(f"{path}: there are no points in it")
    if columns is None:
        return rows, None, lines
    return [columns.points(row) for row in rows], columns.frames(rows), lines


def _cells(text: str) -> list[str]:
    for separator in (",", ";"):
        if separator in text:
            return [cell.strip() for cell in text.split(separator)]
    return text.split()


def _is_pts_header(cells: list[str], place: str) -> bool:
    name = cells[0].rstrip(":").lower()
    if name in ("n_points", "npoints") and cells[-1] != str(N_POINTS):
        raise EventFormatError(f"{place}: {cells[-1]} points; expected {N_POINTS}")
    return name in ("version", "n_points", "npoints")


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], place: str) -> list[float]:
    """An empty cell is NaN."""
    for cell in cells:
        if not _is_number(cell):
            raise EventFormatError(f"{place}: {cell[:40]!r} is no number")
    return [float(cell or "nan") for cell in cells]


def _check_width(found: int, expected: int, is_named: bool, place: str) -> None:
    if is_named and found != expected:
        raise EventFormatError(f"{place}: {found} cells under {expected} names")
    if not is_named and (found != expected or found not in (2, N_NUMBERS)):
        raise EventFormatError(
            f"{place}: {found} numbers; expected 2 (a point a line) or {N_NUMBERS} (a frame a line)"
            f"{f', as in the lines before: {expected}' if found != expected else ''}"
        )


class _Columns:
    """Which column of a table with names is what."""

    def __init__(self, names: list[str], place: str) -> None:
        where = {name: index for index, name in enumerate(names)}
        wanted = [f"{axis}_{point}" for point in range(N_POINTS) for axis in "xy"]
        absent = [name for name in wanted if name not in where]
        if absent:
            raise EventFormatError(
                f"{place}: there is no column {absent[0]!r} ({len(absent)} of x_0 to x_67 and "
                f"y_0 to y_67 are missing); found {', '.join(names)[:80]}"
            )
        self.count = len(names)
        self._points = [where[name] for name in wanted]
        self._frame = where.get(FRAME_COLUMN)
        self._success = where.get(SUCCESS_COLUMN)

    def points(self, row: list[float]) -> list[float]:
        """136 numbers in the order of points, NaN where nothing was found."""
        if self._success is not None and row[self._success] != 1:
            return [np.nan] * N_NUMBERS
        return [row[index] for index in self._points]

    def frames(self, rows: list[list[float]]) -> list[int] | None:
        """Frame numbers, where the table has them."""
        if self._frame is None:
            return None
        numbers = [row[self._frame] for row in rows]
        return [int(number) if np.isfinite(number) else -1 for number in numbers]
