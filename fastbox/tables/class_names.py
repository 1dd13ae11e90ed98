"""Join the classes of tables that number them differently, by the names in the tables' records."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from fastbox._record import dataclass
from fastbox.arrow.arrays import id_kind
from fastbox.errors import InputError
from fastbox.tables.record import read_names
from fastbox.tables.source import Plan

__all__ = ["JoinedClasses", "Renumbered", "joined_classes", "kind_of_classes", "names_of"]

SHOWN = 4  # names in a message
FEWEST = 4  # digits of the least number of a class that the first table does not name


@dataclass(frozen=True)
class Renumbered:
    """The numbers of a table's classes in the join.

    Attributes
    ----------
    numbers : mapping of int to int
        The numbers in the join of the classes that the table names.
    taken : frozenset of int
        Numbers that mean a named class in the join: unnamed classes of the table with such a number get another one.
    moved : int
        The amount that is added to these numbers.
    limit : int, optional
        Classes without a number in the first table have numbers from here on; an unnamed class with such a number could
        be any of them.
    file : str
        The table, for messages.

    Examples
    --------
    >>> own = Renumbered({0: 1}, frozenset({1, 2}), 1000)
    >>> own(0), own(1), own(7)
    (1, 1001, 7)
    """

    numbers: Mapping[int, int] = field(default_factory=dict)
    taken: frozenset[int] = frozenset()
    moved: int = 0
    limit: int | None = None
    file: str = ""

    def __call__(self, label: Any) -> Any:
        if label in self.numbers:
            return self.numbers[label]
        if self.limit is not None and label >= self.limit:
            raise InputError(
                f"expected a name for every class, as the tables number classes differently, got class {label} in "
                f"{self.file} without one: name it, or number it below {self.limit}"
            )
        return label + self.moved if label in self.taken else label


@dataclass(frozen=True)
class JoinedClasses:
    """The classes of several tables, joined by name.

    Attributes
    ----------
    tables : tuple of (Renumbered or None)
        For each table the numbers of its classes in the join; None if they do not change.
    names : dict of str to str
        The names of the join's classes, by the class as text.
    alone : tuple of tuple of str
        For each table the names that no other table has, if tables number their classes differently.
    """

    tables: tuple[Renumbered | None, ...]
    names: dict[str, str]
    alone: tuple[tuple[str, ...], ...] = ()

    @property
    def by_name(self) -> bool:
        """Tell whether the tables number their classes differently."""
        return any(self.tables)


def joined_classes(tables: Sequence[Sequence[str]], kind: str | None, first: int = 0) -> JoinedClasses:
    """Join the classes of some tables, each given by its files, by name if both have names, else by number.

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
    if kind != "integer":
        every = {name: text for own in named for name, text in own.items()}
        return JoinedClasses((None,) * len(tables), every | named[first])
    numbered = [_numbered(own) for own in named]
    beyond = max((abs(number) for own in numbered for number in own), default=0)
    limit = 10 ** max(FEWEST, len(str(beyond)))
    join = dict(numbered[first])
    numbers: list[dict[int, int] | None] = [None] * len(tables)
    for k, own in enumerate(numbered):
        if k != first and own:
            placed = (
                None if not join or _alike(own, join) else _placed(own, join, limit, tables[k][0], tables[first][0])
            )
            numbers[k] = placed
            join |= {number if placed is None else placed[number]: name for number, name in own.items()}
    names = {str(number): name for number, name in join.items()}
    names |= {label: name for label, name in named[first].items() if label not in names}
    if not any(numbers):
        return JoinedClasses((None,) * len(tables), names)
    top = limit * (max(map(abs, join)) // limit + 1)
    found = tuple(
        Renumbered(own or {}, frozenset(join) if own else frozenset(), top * (k + 1), limit, tables[k][0])
        for k, own in enumerate(numbers)
    )
    counts = Counter(name for own in numbered for name in set(own.values()))
    alone = tuple(tuple(name for name in own.values() if counts[name] == 1) for own in numbered)
    return JoinedClasses(found, names, alone)


def kind_of_classes(plans: Sequence[Plan], label: str) -> str:
    """Return ``"integer"`` or ``"string"``, the kind of a column of classes, which a table without rows takes from
    the others.

    Raises
    ------
    InputError
        Classes of two kinds, or of a type that can't be classes.
    """
    kinds = [id_kind(found.columns.field(label).type, label, found.files[0]) for found in plans]
    filled = [(kind, found.files[0]) for kind, found in zip(kinds, plans, strict=True) if found.rows]
    for kind, file in filled:
        if kind != filled[0][0]:
            came = f"{filled[0][0]}s in {filled[0][1]} and {kind}s in {file}"
            raise InputError(f"expected classes of one kind in column {label!r}, got {came}: {_remedy(plans, kinds)}")
    return filled[0][0] if filled else kinds[0]


def _remedy(plans: Sequence[Plan], kinds: Sequence[str]) -> str:
    """Return the remedy for classes that are texts in one table and numbers without names in another."""
    texts = next((plan.files[0] for plan, kind in zip(plans, kinds, strict=True) if kind == "string"), None)
    named = any(names_of(plan.files) for plan, kind in zip(plans, kinds, strict=True) if kind == "integer")
    if texts is None or not named:
        return "cast one"
    command = f"`fastbox convert {shlex.quote(texts)} named.parquet`"
    return f"cast one, or number the names with {command}, and read that: its classes are joined by name"


def names_of(files: Sequence[str]) -> dict[str, str]:
    """Return the names of a table's classes in all of its files, by the class as text.

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
    """Return the names by number, without names that are the number itself."""
    numbers = {int(label): name for label, name in names.items() if label.removeprefix("-").isdecimal()}
    return {number: name for number, name in numbers.items() if name != str(number)}


def _placed(own: Mapping[int, str], join: Mapping[int, str], limit: int, file: str, where: str) -> dict[int, int]:
    """Return the numbers of a table's classes in a join; new names get numbers from the limit on."""
    for names, path in ((own, file), (join, where)):
        repeated = [name for name, count in Counter(names.values()).items() if count > 1]
        if repeated:
            two = " and ".join(str(number) for number, name in names.items() if name == repeated[0])
            raise InputError(
                f"expected a name of its own for each class, as {file} and {where} number classes differently, "
                f"got {repeated[0]!r} for {two} in {path}: rename one of them"
            )
    places = {name: number for number, name in join.items()}
    if not places.keys() & set(own.values()):
        raise InputError(
            f"expected the same names of classes in both tables, got {_listed(own)} in {file} and "
            f"{_listed(join)} in {where}: rename those of one table"
        )
    for number, name in own.items():
        if name not in places:
            fresh = number + limit
            while fresh < limit or fresh in places.values():
                fresh += limit
            places[name] = fresh
    return {number: places[name] for number, name in own.items()}


def _alike(own: Mapping[int, str], other: Mapping[int, str]) -> bool:
    """Tell whether the names of two tables agree: one name for a number, one number for a name."""
    if any(other.get(number, name) != name for number, name in own.items()):
        return False
    alone, elsewhere = (
        {name for number, name in a.items() if number not in b} for a, b in ((own, other), (other, own))
    )
    return not alone & elsewhere


def _listed(names: Mapping[int, str]) -> str:
    shown = [f"{number} {name!r}" for number, name in sorted(names.items())[:SHOWN]]
    return ", ".join(shown) + (", …" if len(names) > SHOWN else "")
