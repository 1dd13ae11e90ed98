"""The exception raised for unusable input, and the warning about input that is used in part."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "FormatWarning",
    "InputError",
    "InputWarning",
    "advice",
    "brief",
    "did_you_mean",
    "nearest",
    "not_utf8",
    "on_command_line",
    "warn",
]

_on_command_line = False


class InputError(ValueError):
    """The exception raised for unusable input; its message is one sentence with the error, its place and its fix."""


class InputWarning(UserWarning):
    """The warning about input that is used in part, or was probably not intended; its message is one sentence."""


class FormatWarning(InputWarning):
    """The warning about boxes of which most are inverted in the given format, and valid in another."""


def advice(command: str, python: str) -> str:
    """Return the advice of a message: the option to type on the command line, or the code to write in Python.

    >>> advice("--score-column COLUMN", "score_column='COLUMN'")
    "score_column='COLUMN'"
    """
    return command if _on_command_line else python


def not_utf8(path: object, got: str = "UTF-16") -> InputError:
    """Return the error of a file in another encoding than UTF-8."""
    return InputError(f"expected UTF-8 in {path}, got {got}: save it as UTF-8")


def brief(error: Exception) -> str:
    """Return the first line of an error, or its type if it has no text.

    >>> brief(OSError("no such bucket.\\nmore")), brief(KeyError())
    ('no such bucket', 'KeyError')
    """
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


@contextmanager
def on_command_line() -> Iterator[None]:
    """Make messages advise users of the command line."""
    global _on_command_line
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known word that is most like another in any case of letters, or None.

    >>> nearest("GIuo", ["iou", "giou"]), nearest("area", ["iou", "giou"])
    ('giou', None)
    """
    import difflib

    lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(str(word).lower(), lower, 1)
    return lower[found[0]] if found else None


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known word, or an empty text.

    >>> did_you_mean("iuo", ["iou", "giou"]), did_you_mean("area", ["iou", "giou"])
    ("; did you mean 'iou'?", '')
    """
    found = nearest(word, known)
    return "" if found is None else f"; did you mean {found!r}?"


def warn(warning: InputWarning) -> None:
    """Issue a warning at the line outside fastbox that made the call."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "fastbox":
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
