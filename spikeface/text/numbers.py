"""Numbers as a person reads them in a report.

>>> percent(0.1234), whole(12345.6), three_figures(0.01234), small(0.000123)
"""

from __future__ import annotations

import math
from typing import TypeGuard

MISSING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent."""
    return f"{value:.{digits}%}" if _known(value) else MISSING


def spread(mean: float | None, std: float | None) -> str:
    """A mean share and its standard deviation, where there is one, as per cent."""
    return percent(mean) if mean is None or std is None else f"{100 * mean:.1f} ± {100 * std:.1f}%"


def share(part: float, whole: float) -> str:
    """What `part` is of `whole`, as per cent; a dash where there is nothing to be part of."""
    return percent(part / whole) if whole else MISSING


def whole(value: float | None) -> str:
    """A count with thousands separators."""
    return f"{value:,.0f}" if _known(value) else MISSING


def three_figures(value: float | None) -> str:
    """Three significant figures without an exponent; from 100 on, whole."""
    if not _known(value):
        return MISSING
    if value == 0:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def small(value: float | None) -> str:
    """An error that may be tiny: 0, or two significant figures."""
    if not _known(value):
        return MISSING
    return "0" if value == 0 else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+")


def compact(value: float) -> str:
    """A count in few characters: 850, 5.4k, 412k, 2.9M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def quantity(value: float | str | None) -> str:
    """A number of any size or a word: whole ones with separators, others to three figures."""
    if isinstance(value, str):
        return value
    if not _known(value):
        return MISSING
    return whole(value) if value == int(value) else three_figures(value)


def energy_text(energy_nj: float | None) -> str:
    """An energy in nanojoules in the unit that suits it."""
    if not _known(energy_nj):
        return MISSING
    for size, unit in ((1e9, "J"), (1e6, "mJ"), (1e3, "µJ"), (1, "nJ")):
        if abs(energy_nj) >= 0.9995 * size:
            return f"{energy_nj / size:,.3g} {unit}"
    return f"{energy_nj:.3g} nJ"


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def short(text: str, length: int = 14) -> str:
    """A name of at most `length` characters: what ends it tells more than its middle.

    >>> short("stage4.block1.conv2")
    'stage4…1.conv2'
    """
    if len(text) <= length:
        return text
    front = (length - 1) // 2
    return f"{text[:front]}…{text[front + 1 - length :]}"
