"""How far long work has come, for those who watch it in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(doing: str, count: Callable[[], int] | None = None) -> Iterator[Callable[[int], None] | None]:
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
        task = bar.add_task(doing, total=total, rate="")

        def step(rows: int) -> None:
            bar.advance(task, rows)
            if speed := bar.tasks[0].speed:
                bar.update(task, rate=f"{speed / 1e6:.1f} M rows/s" if speed >= 1e6 else f"{speed / 1e3:,.0f} k rows/s")

        yield step
