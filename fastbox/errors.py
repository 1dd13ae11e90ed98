"""The exception raised for unusable input, and the warning about input that is used in part."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["FormatWarning", "InputError", "InputWarning", "advice", "on_command_line", "warn"]

_on_command_line = False


class InputError(ValueError):
    """A file, a column or a row can't be used; the message is one sentence that says what, where and how to mend it."""


class InputWarning(UserWarning):
    """Something that was given is used in part, or is likely not what was meant; one sentence, as an InputError's."""


class FormatWarning(InputWarning):
    """Most boxes of a collection are inverted in the format they were given in, and would be valid in another."""


def advice(command: str, python: str) -> str:
    """Return what a message tells people to do: what to type on the command line, or what to write in Python.

    >>> advice("--score-column COLUMN", "score='COLUMN'")
    "score='COLUMN'"
    """
    return command if _on_command_line else python


@contextmanager
def on_command_line() -> Iterator[None]:
    """Let messages advise those who type commands."""
    global _on_command_line
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def warn(warning: InputWarning) -> None:
    """Issue a warning at the line, outside fastbox, whose call led to it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "fastbox":
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
