"""Progress with time left, on stderr; silent where stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


class Advance:
    """Call it with the number of things finished; ``note`` says something beside the bar."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def __call__(self, count: int) -> None:
        self._bar.update(count)

    def note(self, text: str) -> None:
        """Show a short remark behind the bar."""
        self._bar.set_postfix_str(text, refresh=False)


@contextmanager
def progress_bar(total: int, what: str, unit: str) -> Iterator[Advance]:
    """A bar over `total` things, gone from the next line on when the block ends."""
    with tqdm(
        total=total,
        desc=f"{what:<22}",
        unit=unit,
        file=sys.stderr,
        disable=None,
        dynamic_ncols=True,
    ) as bar:
        yield Advance(bar)
