"""How far long work has come, for those who watch it in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Step", "progress"]


class Step:
    """What to call with the rows done since the last call; ``tell`` says more of the work than their number."""

    def __init__(self, bar: Any, doing: str, task: Any) -> None:
        self._bar, self._doing, self._task = bar, doing, task

    def __call__(self, rows: int) -> None:
        self._bar.advance(self._task, rows)
        if speed := self._bar.tasks[0].speed:
            rate = f"{speed / 1e6:.1f} M rows/s" if speed >= 1e6 else f"{speed / 1e3:,.0f} k rows/s"
            self._bar.update(self._task, rate=rate)

    def tell(self, more: str) -> None:
        """Show some words behind what is being done."""
        self._bar.update(self._task, description=f"{self._doing} {more}")


@contextmanager
def progress(doing: str, count: Callable[[], int] | None = None) -> Iterator[Step | None]:
    """Show a bar with rows a second and the time left on stderr, gone when the work is done.

    Yields what to call with the rows done since the last call, or None where stderr is no terminal. Without ``count``,
    the rows to do, the bar only shows that work goes on, how fast, and for how long.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    total = None if count is None else count()
    known = TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("left")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(30),
        *(known if count is not None else [TextColumn("{task.fields[rate]}"), TimeElapsedColumn()]),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Step(bar, doing, bar.add_task(doing, total=total, rate=""))
