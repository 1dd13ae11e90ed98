"""Lines for a terminal, by rich; for a file or a pipe as plain text, mostly without rich, which takes long to load."""

from __future__ import annotations

import os
import re
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.text import Text as RichText

__all__ = ["Console", "Text", "cells"]

# Characters that surely take one cell of a terminal.
NARROW = re.compile(r"[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u2500-\u25fc–—…→−≤≥]*")


def cells(text: str) -> int:
    """Return the cells of a terminal that a line takes."""
    if NARROW.fullmatch(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class Text:
    """A line of text with styles of rich: one of the line, and those of its parts."""

    def __init__(self, text: str = "", style: str = "", *, no_wrap: bool = False) -> None:
        self.plain = text
        self._begun = text, style, no_wrap
        self._steps: list[tuple[Any, ...]] = []  # methods of rich's text, each with its arguments

    def append(self, text: str, style: str = "") -> Text:
        """Add a part, and return this line."""
        self.plain += text
        self._steps.append(("append", text, style))
        return self

    def append_text(self, text: Text) -> None:
        """Add a line of one's own."""
        self.plain += text.plain
        self._steps.append(("append_text", text))

    def pad_right(self, count: int) -> None:
        """Add spaces."""
        self.plain += " " * count
        self._steps.append(("pad_right", count))

    def rstrip(self) -> None:
        """Remove the spaces at the end."""
        self.plain = self.plain.rstrip()
        self._steps.append(("rstrip",))

    def __len__(self) -> int:
        return len(self.plain)

    def __rich__(self) -> RichText:
        from rich.text import Text as RichText

        text, style, no_wrap = self._begun
        made = RichText(text, style, no_wrap=no_wrap)
        for name, *given in self._steps:
            getattr(made, name)(*(one.__rich__() if isinstance(one, Text) else one for one in given))
        return made


class Console:
    """An output whose lines look as rich prints them.

    Attributes
    ----------
    width : int
        The cells of a line, after which it is wrapped; those of the terminal, but at least ``least``.
    encoding : str
    """

    def __init__(self, file: TextIO | None, least: int = 80) -> None:
        file = StringIO() if file is None else file  # of a process without standard output
        self._file = file
        self.encoding = (file.encoding or "utf-8").lower()
        self._styled = "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ or file.isatty()
        self._rich: RichConsole | None = None
        self.width = max(self._by_rich().width if self._styled else _columns(), least)

    def print(self, line: Text | None = None, *, soft_wrap: bool = False) -> None:
        """Print a line; with ``soft_wrap`` the terminal wraps it."""
        text = "" if line is None else line.plain
        fits = text.isprintable() if soft_wrap else NARROW.fullmatch(text) and len(text) <= self.width
        if fits and not self._styled:
            self._file.write(f"{text}\n")
            self._file.flush()
            return
        console = self._by_rich()
        console.width = self.width
        console.print("" if line is None else line, soft_wrap=soft_wrap)

    def _by_rich(self) -> RichConsole:
        from rich.console import Console as RichConsole

        if self._rich is None:
            self._rich = RichConsole(file=self._file, highlight=False)
        return self._rich


def _columns() -> int:
    """Return the width of the terminal: of any of the standard streams, or as the environment gives it."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit():
        return int(given) or 80
    for descriptor in range(3):
        try:
            return os.get_terminal_size(descriptor).columns or 80
        except OSError:
            continue
    return 80
