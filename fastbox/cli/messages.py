"""Messages while a command runs, as lines on stderr: above the progress bar where one is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from fastbox.stages import watched

if TYPE_CHECKING:
    from logging import Logger

    from rich.console import Console

__all__ = ["above", "logged_on_stderr", "say"]

_consoles: list[Console] = []  # of the bars that are shown


def say(sentence: str, what: str = "", color: str | None = None) -> None:
    """Print a sentence to stderr as one line, with a coloured word in front."""
    if _consoles:
        from rich.text import Text

        _consoles[-1].print(Text.assemble((what, f"bold {color or 'default'}"), sentence), soft_wrap=True)
        return
    if what:
        click.secho(what, fg=color, bold=True, nl=False, err=True, color=False if os.environ.get("NO_COLOR") else None)
    click.echo(sentence, err=True)


@contextmanager
def above(console: Console) -> Iterator[None]:
    """Print messages on the console of a bar, which moves down below each message."""
    _consoles.append(console)
    try:
        yield
    finally:
        _consoles.pop()


@contextmanager
def logged_on_stderr() -> Iterator[None]:
    """Show the records of the logger ``fastbox``, a line for each record."""
    with watched(_shown):
        yield


def _shown(log: Logger) -> Callable[[], None]:
    """Show the records of a logger; return what ends that."""
    import logging

    class Lines(logging.Handler):
        """A log handler that says each record."""

        def emit(self, record: logging.LogRecord) -> None:
            if not hasattr(record, "kernel"):  # the bar shows kernels
                say(record.getMessage(), *(("warning: ", "yellow") if record.levelno >= logging.WARNING else ()))

    handler, level = Lines(logging.INFO), log.level

    def end() -> None:
        log.removeHandler(handler)
        log.setLevel(level)

    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return end
