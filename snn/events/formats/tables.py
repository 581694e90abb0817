"""Tables of numbers as events: which column is what, the unit of time, the two polarities.

Text files and ``.npy`` tables agree on nothing: e-CK+ stores x, y, t, p with t in seconds and p in
{-1, +1}; v2e's text is t, x, y, p; Prophesee's CSV is x, y, p, t. A `TableLayout` says it. What a
file's own header or field names say is believed; what nobody says is asked for, never guessed.
Whole numbers without a stated unit are microseconds.

>>> to_events(dict(x=[3], y=[4], t=[0.25], p=[-1]), time_unit="s")["t"]
array([250000])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from snn.errors import EventFormatError
from snn.events.recording import EVENT_FIELDS, MAX_TIME_US, make_events

TIME_UNITS_US = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
FIELD_NAMES = {
    "x": "x", "xs": "x",
    "y": "y", "ys": "y",
    "t": "t", "ts": "t", "time": "t", "timestamp": "t", "timestamps": "t",
    "p": "p", "ps": "p", "pol": "p", "polarity": "p", "polarities": "p", "on": "p",
}  # fmt: skip

# Of each of x, y, t, p: the array that holds it, and which column or field of that, if it has some.
Places = dict[str, tuple[str, "int | str | None"]]


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """What a table does not say about itself.

    Parameters
    ----------
    columns : str, optional
        The letters x, y, t and p in the order of the columns, as in ``"xytp"``.
    time_unit : {"s", "ms", "us", "ns"}, optional
    """

    columns: str | None = None
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if self.columns is not None and sorted(self.columns) != sorted(EVENT_FIELDS):
            raise EventFormatError(
                f"columns must be the letters x, y, t, p in some order, got {self.columns!r}"
            )
        if self.time_unit is not None and self.time_unit not in TIME_UNITS_US:
            raise EventFormatError(
                f"time_unit must be one of {', '.join(TIME_UNITS_US)}, got {self.time_unit!r}"
            )


def named_fields(names: tuple[str, ...]) -> tuple[dict[str, str], str | None]:
    """Which of some field names are x, y, t and p, and the unit that the name of the time states.

    Parameters
    ----------
    names : tuple of str
        As in ``("t_us", "x", "y", "polarity")`` or ``("time [s]", ...)``.

    Returns
    -------
    fields : dict
        From x, y, t, p to the given names; only those found.
    time_unit : str or None

    Raises
    ------
    EventFormatError
        When two names mean the same.
    """
    fields: dict[str, str] = {}
    unit = None
    for name in names:
        word, _, rest = name.strip().lower().replace("[", "_").replace("(", "_").partition("_")
        suffix = rest.strip("_ )]")
        field = FIELD_NAMES.get(word.strip())
        if field is None or (suffix and (field != "t" or suffix not in TIME_UNITS_US)):
            continue
        if field in fields:
            raise EventFormatError(f"two fields are the {field!r} of an event: {list(names)}")
        fields[field] = name
        unit = suffix or unit
    return fields, unit


def pick(blocks: Mapping[str, np.ndarray], places: Places) -> dict[str, np.ndarray]:
    """The columns x, y, t and p out of blocks of rows."""
    columns = {}
    for field, (name, column) in places.items():
        block = blocks[name]
        if column is not None:
            block = block[:, column] if isinstance(column, int) else block[column]
        columns[field] = block
    return columns


def checked_events(events: np.ndarray) -> np.ndarray:
    """Stored events of ``EVENT_DTYPE`` themselves, when their times and polarities can be.

    Raises
    ------
    EventFormatError
        For polarities other than 0 and 1, or times beyond ±2**61 µs.
    """
    if len(events):
        times = events["t"]
        if events["p"].max() > 1:
            raise EventFormatError(f"polarities must be 0 and 1, found {int(events['p'].max())}")
        if not -MAX_TIME_US <= times.min() <= times.max() <= MAX_TIME_US:
            raise EventFormatError(f"times reach {times.max()}, more than 2**61 µs")
    return events


def to_events(columns: Mapping[str, ArrayLike], time_unit: str | None) -> np.ndarray:
    """Check four columns and pack them.

    Parameters
    ----------
    columns : mapping of str to array_like of shape (n,)
        Under x, y, t, p: whole pixel addresses, times, and polarities in {0, 1} or {-1, +1}.
    time_unit : str, optional
        Without it, times must be whole numbers and are microseconds.

    Returns
    -------
    ndarray of shape (n,), dtype ``EVENT_DTYPE``

    Raises
    ------
    EventFormatError
        For anything that is not such a number.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise EventFormatError(f"{name} must be numbers, found {array.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise EventFormatError(f"{name} holds values that are not finite numbers")
    x, y = _pixels(arrays["x"]), _pixels(arrays["y"])
    return make_events(x, y, _times(arrays["t"], time_unit), _polarities(arrays["p"]))


def _pixels(values: np.ndarray) -> np.ndarray:
    if len(values) and (values.min() < 0 or values.max() > np.iinfo(np.uint16).max):
        raise EventFormatError(
            "pixel addresses must lie in [0, 65535], "
            f"found {values.min()} to {values.max()}; are the columns in another order?"
        )
    if values.dtype.kind == "f" and (values % 1 != 0).any():
        raise EventFormatError(
            "pixel addresses must be whole numbers; are the columns in another order?"
        )
    return values.astype(np.uint16)


def _times(values: np.ndarray, time_unit: str | None) -> np.ndarray:
    scale = TIME_UNITS_US[time_unit or "us"]
    if time_unit is None and values.dtype.kind == "f" and (values % 1 != 0).any():
        raise EventFormatError(
            "times are fractions and their unit is not stated; give time_unit, as in time_unit='s'"
        )
    if len(values) and max(abs(float(values.min())), abs(float(values.max()))) * scale > float(
        MAX_TIME_US
    ):
        raise EventFormatError(f"times reach {values.max()}, more than 2**61 µs")
    if values.dtype.kind == "f" or scale < 1:
        return np.rint(values * scale).astype(np.int64)
    return values.astype(np.int64) * int(scale)


def _polarities(values: np.ndarray) -> np.ndarray:
    found = np.unique(values)
    if not (np.isin(found, (0, 1)).all() or np.isin(found, (-1, 1)).all()):
        raise EventFormatError(f"polarities must be 0 and 1, or -1 and +1, found {found[:8]}")
    return (values > 0).astype(np.uint8)
