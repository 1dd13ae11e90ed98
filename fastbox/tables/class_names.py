"""Classes of several tables that number them differently: joined by the names that the tables' records tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastbox.errors import InputError
from fastbox.tables.sink import read_names

__all__ = ["JoinedClasses", "Renumbered", "joined_classes", "names_of"]

SHOWN = 4  # names in a message


@dataclass(frozen=True)
class Renumbered:
    """The classes of a table as another table numbers them.

    Attributes
    ----------
    numbers : mapping of int to int
        Of the classes that both name.
    taken : frozenset of int
        Numbers that mean another class there: classes of these, and of others without a partner, are moved away.
    moved : int
        By how much: beyond every number of both tables.

    Examples
    --------
    >>> own = Renumbered({0: 1}, frozenset({1, 2}), 1000)
    >>> own(0), own(1), own(7)
    (1, 1001, 7)
    """

    numbers: Mapping[int, int] = field(default_factory=dict)
    taken: frozenset[int] = frozenset()
    moved: int = 0

    def __call__(self, label: Any) -> Any:
        if label in self.numbers:
            return self.numbers[label]
        return label + self.moved if label in self.taken else label


@dataclass(frozen=True)
class JoinedClasses:
    """How the classes of some tables are told to be the same.

    Attributes
    ----------
    tables : tuple of (Renumbered or None)
        For each table how its classes become those of the join; None where they are these.
    names : dict of str to str
        The names of the join's classes, by the class as text.
    """

    tables: tuple[Renumbered | None, ...]
    names: dict[str, str]

    @property
    def by_name(self) -> bool:
        """Whether the tables number their classes differently."""
        return any(self.tables)


def joined_classes(tables: Sequence[Sequence[str]], kind: str | None, first: int = 0) -> JoinedClasses:
    """Join the classes of some tables, each given by its files, by name where both name them, else by number.

    Parameters
    ----------
    tables : sequence of sequences of path
    kind : str or None
        ``"integer"`` or ``"string"``, of the classes of all tables: text is its own name.
    first : int
        The table whose numbers are kept.

    Raises
    ------
    InputError
        Files of a table, or names of two tables, that contradict one another.
    """
    named = [names_of(files) for files in tables]
    names = dict(named[first])
    if kind != "integer":
        return JoinedClasses((None,) * len(tables), {name: text for own in named for name, text in own.items()} | names)
    numbered = [_numbered(own) for own in named]
    found = [
        None if k == first else _renumbered(own, numbered[first], tables[k][0], tables[first][0])
        for k, own in enumerate(numbered)
    ]
    for own, change in zip(numbered, found, strict=True):
        for number, name in own.items():
            names.setdefault(str(number if change is None else change(number)), name)
    return JoinedClasses(tuple(found), names)


def names_of(files: Sequence[str]) -> dict[str, str]:
    """Return the names of a table's classes, by the class as text, as all of its files tell them.

    Raises
    ------
    InputError
        Two files name one class differently.
    """
    found: dict[str, str] = {}
    for file in files:
        for label, name in read_names(file).items():
            if found.setdefault(label, name) != name:
                came = f"{found[label]!r} and, in {file}, {name!r}"
                raise InputError(
                    f"expected one name of class {label} in all files of a table, got {came}: convert them together"
                )
    return found


def _numbered(names: Mapping[str, str]) -> dict[int, str]:
    """Classes by number, without those that are called by it, which is no name."""
    numbers = {int(label): name for label, name in names.items() if label.removeprefix("-").isdecimal()}
    return {number: name for number, name in numbers.items() if name != str(number)}


def _renumbered(own: Mapping[int, str], other: Mapping[int, str], file: str, where: str) -> Renumbered | None:
    """How the classes of a table become another's; None where nothing tells that they are other ones."""
    if not own or not other or _alike(own, other):
        return None
    for names, path in ((own, file), (other, where)):
        repeated = [name for name, count in Counter(names.values()).items() if count > 1]
        if repeated:
            two = " and ".join(str(number) for number, name in names.items() if name == repeated[0])
            raise InputError(
                f"expected a name of its own for each class, as {file} and {where} number classes differently, "
                f"got {repeated[0]!r} for {two} in {path}: rename one of them"
            )
    places = {name: number for number, name in other.items()}
    numbers = {number: places[name] for number, name in own.items() if name in places}
    if not numbers:
        raise InputError(
            f"expected the same names of classes in both tables, got {_listed(own)} in {file} and "
            f"{_listed(other)} in {where}: rename those of one table"
        )
    beyond = max(abs(number) for number in (*own, *other))
    return Renumbered(numbers, frozenset(other), 10 ** len(str(beyond)))


def _alike(own: Mapping[int, str], other: Mapping[int, str]) -> bool:
    """Whether each number has one name, and each name one number, as far as both tell."""
    if any(other.get(number, name) != name for number, name in own.items()):
        return False
    alone, elsewhere = (
        {name for number, name in a.items() if number not in b} for a, b in ((own, other), (other, own))
    )
    return not alone & elsewhere


def _listed(names: Mapping[int, str]) -> str:
    shown = [f"{number} {name!r}" for number, name in sorted(names.items())[:SHOWN]]
    return ", ".join(shown) + (", …" if len(names) > SHOWN else "")
