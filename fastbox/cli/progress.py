"""The progress of long work in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Step", "progress"]

SOON = 0.2  # seconds: a rate over a shorter time means nothing


class Step:
    """A progress bar as a function of the rows done since its last call; ``tell`` shows words beside it.

    The first call starts the clock. It comes after kernels are loaded, or reports the rows of an earlier run.
    """

    def __init__(self, bar: Any, doing: str, total: int | None) -> None:
        self._bar, self._doing, self._total = bar, doing, total
        self._task = bar.add_task(doing, total=total, rate="", share="0%")
        self._done, self._first, self._start = 0, 0, 0.0

    def __call__(self, rows: int) -> None:
        now = time.monotonic()
        if not self._done:
            self._first, self._start = rows, now
        self._done += rows
        if self._total is not None and self._done >= self._total > 0:
            self._bar.update(self._task, total=None, rate="all rows are read, the rest follows", share="")
            return
        share = f"{100 * self._done // self._total}%" if self._total else ""
        self._bar.update(
            self._task, total=self._total, completed=self._done, rate=self._rate(now - self._start), share=share
        )

    def tell(self, more: str) -> None:
        """Show some words behind the name of the work."""
        self._bar.update(self._task, description=f"{self._doing} {more}")

    def _rate(self, seconds: float) -> str:
        """Return rows a second, and the time left if the number of rows to do is known."""
        if seconds < SOON or self._done == self._first:
            return ""
        speed = (self._done - self._first) / seconds
        rate = f"{speed / 1e6:.1f} M rows/s" if speed >= 1e6 else f"{speed / 1e3:,.0f} k rows/s"
        if self._total is None:
            return rate
        left = max(0, round((self._total - self._done) / speed))
        return f"{rate}, {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"


@contextmanager
def progress(doing: str, count: Callable[[], int] | None = None) -> Iterator[Step | None]:
    """Show a bar with rows a second and the time left on stderr, and remove it when the work is done.

    Yields a function to call with the rows done since its last call, or None if stderr is not a terminal. ``count``
    returns the number of rows to do; without it the bar only shows the rate and the time since the start.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    from fastbox.cli.bar import Bar

    total = None if count is None else count()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(30),
        *([TextColumn("{task.fields[share]}")] if count is not None else []),
        TextColumn("{task.fields[rate]}"),
        *([TimeElapsedColumn()] if count is None else []),
    )
    with Bar(Console(stderr=True), *columns).shown() as bar:
        yield Step(bar, doing, total)
