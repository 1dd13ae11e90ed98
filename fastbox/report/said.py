"""What is logged while a command runs, as lines on stderr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["logged_on_stderr"]

LOG = logging.getLogger("fastbox")


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "kernel"):  # the bar tells of kernels
            click.echo(record.getMessage(), err=True)


@contextmanager
def logged_on_stderr() -> Iterator[None]:
    """Show what the logger ``fastbox`` is told, a line for each record."""
    handler, level = _Lines(logging.INFO), LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)
