"""Progress with time left, on stderr: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

LOG_INTERVAL_S = 15.0  # between lines where stderr is no terminal
LOG_DELAY_S = 5.0  # what is done sooner needs no line


class Advance:
    """Call it with the number of things finished; ``note`` says something beside the bar."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def __call__(self, count: int) -> None:
        if self._bar.n == 0:  # the first one also compiles: time left counts from here
            self._bar.n = self._bar.initial = self._bar.last_print_n = count
            self._bar.unpause()
        else:
            self._bar.update(count)

    def note(self, text: str) -> None:
        """Show a short remark behind the bar."""
        self._bar.set_postfix_str(text, refresh=False)


class _Lines:
    """Turns each redrawing of a bar into a line of its own."""

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            print(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def progress_bar(total: int, what: str, unit: str) -> Iterator[Advance]:
    """A bar over `total` things, with the rate and the time left."""
    if sys.stderr.isatty():
        bar = tqdm(total=total, desc=f"{what:<22}", unit=unit, dynamic_ncols=True)
    else:
        bar = tqdm(
            total=total,
            desc=what,
            unit=unit,
            file=_Lines(),
            bar_format="      {desc} {percentage:.0f}%, {remaining} left{postfix}",
            mininterval=LOG_INTERVAL_S,
            delay=LOG_DELAY_S,
        )
    with bar:
        yield Advance(bar)
