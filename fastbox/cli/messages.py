"""Messages while a command runs, as lines on stderr: above the progress bar where one is shown."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["above", "logged_on_stderr", "say"]

LOG = logging.getLogger("fastbox")

_consoles: list[Console] = []  # of the bars that are shown


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "kernel"):  # the bar shows kernels
            say(record.getMessage(), *(("warning: ", "yellow") if record.levelno >= logging.WARNING else ()))


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
    handler, level = _Lines(logging.INFO), LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
