"""Text from the data, made safe to show on a page."""

from __future__ import annotations

__all__ = ["LONGEST", "plain", "printable"]

LONGEST = 160  # characters of a text from the data that are shown
LONGEST_COMMAND = 4000


def plain(text: object) -> str:
    """Return a text without characters that can't be shown, cut where it is very long."""
    return printable(text, LONGEST)


def printable(text: object, most: int = LONGEST_COMMAND) -> str:
    """Return a text without characters that can't be shown, cut where it has more characters than ``most``."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in str(text)[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
