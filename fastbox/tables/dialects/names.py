"""Names of categories and their numbers, for dialects that write names and for those that keep them in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from fastbox.errors import InputError

__all__ = ["Names", "Numbering", "named", "numbered"]

Names: TypeAlias = Sequence[str] | Mapping[int, str] | str | os.PathLike[str]


class Numbering:
    """Numbers for names, counted up as names come.

    Parameters
    ----------
    names : dict of int to str
        Those that have a number; this dict itself grows.
    closed : bool
        Refuse any other name.

    Examples
    --------
    >>> numbering = Numbering({0: "Car"}, closed=False)
    >>> numbering("Dog", "7.txt"), numbering("Car", "7.txt"), numbering.names
    (1, 0, {0: 'Car', 1: 'Dog'})
    """

    def __init__(self, names: dict[int, str], *, closed: bool) -> None:
        self.names = names
        self._closed = closed
        self._numbers = {name: number for number, name in names.items()}
        self._next = max(names, default=-1) + 1

    def __call__(self, name: str, where: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            if self._closed:
                raise InputError(
                    f"expected one of the names given, {', '.join(self._numbers)}, in {where}, got {name!r}"
                )
            number = self._numbers[name] = self._next
            self.names[number] = name
            self._next += 1
        return number


def named(categories: Mapping[int, str], number: int, target: str) -> str:
    """Return the name of a category; ``InputError`` where it has none."""
    try:
        return categories[number]
    except KeyError:
        raise InputError(f"expected a name for every category to write {target}, got none for {number}") from None


def numbered(names: Names) -> dict[int, str]:
    """Return names by number: a list counts from 0, a path is that of a text file with a name a line.

    Raises
    ------
    InputError
        The file can't be read, or a name comes twice.

    Examples
    --------
    >>> numbered(["cat", "dog"])
    {0: 'cat', 1: 'dog'}
    """
    if isinstance(names, (str, os.PathLike)):
        names = _lines(os.fspath(names))
    found = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    if len(set(found.values())) < len(found):
        twice = next(name for name in found.values() if list(found.values()).count(name) > 1)
        raise InputError(f"expected every name of a category once, got {twice!r} twice")
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return [line.strip() for line in file.read().rstrip().split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(f"expected a file with a name a line, but {path} can't be read: {reason}") from error
