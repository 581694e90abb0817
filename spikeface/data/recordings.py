"""What the ``data`` commands do with a recording: say what is in it, convert it, look at it.

>>> info_lines(inspect_file(Path("faces_easy_0001.bin")))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn.errors import EventFormatError
from snn.events.formats import RecordingInfo, TableLayout, convert, describe, read_windows
from spikeface.text.numbers import compact

VIEW_CHUNK_EVENTS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a file does not say, and what to do about events that are out of order or place.

    Parameters
    ----------
    sensor_size : tuple of int, optional
        ``(width, height)``, for formats that do not store it.
    on_disorder : {"error", "sort", "clamp"}
    on_outside : {"error", "drop"}
    columns, time_unit : str, optional
        Of tables that do not explain themselves, see ``TableLayout``.
    """

    sensor_size: tuple[int, int] | None = None
    on_disorder: str = "error"
    on_outside: str = "error"
    columns: str | None = None
    time_unit: str | None = None

    @property
    def layout(self) -> TableLayout:
        """Columns and time unit of a table."""
        return TableLayout(columns=self.columns, time_unit=self.time_unit)

    def for_reading(self) -> dict[str, Any]:
        """Arguments of ``read_recording`` and its like."""
        return {
            "sensor_size": self.sensor_size,
            "on_disorder": self.on_disorder,
            "on_outside": self.on_outside,
            "layout": self.layout,
        }


def inspect_file(path: Path, options: ReadOptions | None = None) -> dict[str, Any]:
    """What a recording holds and what is odd about it, as plain values.

    Raises
    ------
    EventFormatError
        For a missing, foreign or damaged file.
    """
    options = options or ReadOptions()
    return as_dict(describe(path, sensor_size=options.sensor_size, layout=options.layout))


def as_dict(info: RecordingInfo) -> dict[str, Any]:
    """A summary of a recording as plain values."""
    report = info.report
    return {
        "file": str(info.path),
        "format": info.format,
        "events": report.events,
        "on_events": report.on_events,
        "off_events": report.off_events,
        "first_us": report.first_us,
        "last_us": report.last_us,
        "duration_us": report.duration_us,
        "events_per_second": report.rate_hz,
        "width": info.sensor_size[0],
        "height": info.sensor_size[1],
        "sensor_size_stored": info.sensor_size_stored,
        "extent": list(report.extent),
        "duplicates": report.duplicates,
        "steps_back": report.steps_back,
        "largest_step_back_us": report.largest_step_back_us,
        "outside": report.outside,
        "problems": report.problems(),
    }


def info_lines(section: dict[str, Any]) -> list[str]:
    """The summary as lines for a terminal."""
    size = f"{section['width']} × {section['height']} pixels"
    if not section["events"] and not section["width"]:
        size = "unknown: the file does not say it"
    elif not section["sensor_size_stored"] and section["extent"] == [
        section["width"],
        section["height"],
    ]:
        size += ", the smallest that holds all events: the file does not say it"
    share = section["on_events"] / section["events"] if section["events"] else 0.0
    lines = [
        f"{section['file']}: {section['format']}",
        f"  events    {section['events']:,}, {share:.1%} of them ON",
        f"  sensor    {size}",
        f"  time      {section['duration_us'] / 1e6:.6f} s, from {section['first_us']:,} "
        f"to {section['last_us']:,} µs",
        f"  rate      {compact(section['events_per_second'])} events per second",
    ]
    return lines + [f"  odd       {problem}" for problem in section["problems"]]


def convert_file(
    source: Path,
    target: Path,
    options: ReadOptions | None = None,
    *,
    start_at_zero: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a recording in the format of another ending; says what was written.

    Raises
    ------
    EventFormatError
        For a source that cannot be read, or a target that exists or cannot hold the events.
    """
    options = options or ReadOptions()
    info = convert(
        source,
        target,
        start_at_zero=start_at_zero,
        overwrite=overwrite,
        **options.for_reading(),
    )
    return as_dict(info)


def view_file(
    source: Path,
    out: Path,
    options: ReadOptions | None = None,
    *,
    n_pictures: int | None = None,
) -> dict[str, Any]:
    """Draw a recording into a new ``.png``, ``.gif`` or ``.mp4``, see ``save_view``.

    Raises
    ------
    EventFormatError
        For a recording that cannot be read, or without events.
    """
    from spikeface.data.view import save_view  # matplotlib takes long to load

    options = options or ReadOptions()
    section = inspect_file(source, options)
    if not section["events"]:
        raise EventFormatError(f"{source}: the recording is empty, there is nothing to show")
    size = (section["width"], section["height"])
    arguments = {**options.for_reading(), "sensor_size": size}
    picture_ms = save_view(
        out,
        read_windows(source, max_events=VIEW_CHUNK_EVENTS, **arguments),
        sensor_size=size,
        first_us=section["first_us"],
        last_us=section["last_us"],
        n_pictures=n_pictures,
    )
    return {**section, "view": str(out), "picture_ms": picture_ms}
