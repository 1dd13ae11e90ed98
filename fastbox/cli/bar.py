"""A bar with one more line below while kernels are compiled."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.text import Text

from fastbox.cli.messages import above
from fastbox.stages import logger

__all__ = ["Bar"]


class Bar(Progress):
    """A bar on a console, removed when the work is done; one line about compiled kernels stays."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._compiled = _Compiled()
        super().__init__(*columns, console=console, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bar, and the kernel that is being compiled."""
        yield self.make_tasks_table(self.tasks)
        if doing := self._compiled.doing():
            yield Text(doing, style="dim", no_wrap=True, overflow="ellipsis")

    @contextmanager
    def shown(self) -> Iterator[Bar]:
        """Show the bar, follow the log of kernels, and print one line about them at the end."""
        log = logger()
        level = log.level
        log.addHandler(self._compiled)
        log.setLevel(logging.DEBUG)
        try:
            with self, above(self.console):
                yield self
        finally:
            log.setLevel(level)
            log.removeHandler(self._compiled)
            if self._compiled.count:
                self.console.print(self._compiled.done(), style="dim", highlight=False)


class _Compiled(logging.Handler):
    """A log handler that counts compiled kernels."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.count, self._seconds = 0, 0.0
        self._kernel, self._since = "", 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of a kernel: of its start, or, if it has seconds, of its end."""
        kernel, seconds = getattr(record, "kernel", None), getattr(record, "seconds", None)
        if seconds is not None:
            self.count, self._seconds, self._kernel = self.count + 1, self._seconds + seconds, ""
        elif kernel is not None:
            self._kernel, self._since = kernel, time.monotonic()

    def doing(self) -> str:
        """Return the kernel that is being compiled with its time so far; an empty text between two kernels."""
        kernel, seconds = self._kernel, time.monotonic() - self._since
        return f"Compiling for this machine, once: {kernel} {seconds:.1f} s" if kernel else ""

    def done(self) -> str:
        """Return the line about all compiled kernels."""
        kernels = "1 kernel" if self.count == 1 else f"{self.count} kernels"
        return f"Compiled {kernels} for this machine, once, in {self._seconds:.1f} s"
