"""What a person is told when something they gave can't be used."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """A file, a column or a row can't be used; the message is one sentence that says what, where and how to mend it."""
