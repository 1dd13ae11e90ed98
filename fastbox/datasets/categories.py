"""Names and numbers of categories, for file formats that write names and those that keep names in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from fastbox._lazy import deferred
from fastbox.errors import InputError

__all__ = [
    "Names",
    "Numbering",
    "by_number",
    "load_yaml",
    "named",
    "names_of_all",
    "numbered",
    "yaml_module",
]

listing = deferred("fastbox.datasets.listing")

Names: TypeAlias = Sequence[str] | Mapping[int, str] | str | os.PathLike[str]


class Numbering:
    """Numbers for names, counted up as names come.

    Parameters
    ----------
    names : dict of int to str
        Names that have a number; new names are added to this dict.
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
        self._shared = {name for number, name in names.items() if self._numbers[name] != number}
        self._next = max(names, default=-1) + 1

    def __call__(self, name: str, where: str) -> int:
        number = self._numbers.get(name)
        if name in self._shared:
            numbers = " and ".join(str(number) for number, other in self.names.items() if other == name)
            raise InputError(f"{where} has {name!r}, which is the name of categories {numbers}: give each its own name")
        if number is None:
            if self._closed:
                raise InputError(
                    f"expected one of the names given, {', '.join(self._numbers)}, in {where}, got {name!r}: add it "
                    "to them"
                )
            number = self._numbers[name] = self._next
            self.names[number] = name
            self._next += 1
        return number


def named(categories: Mapping[int, str], number: int, target: str) -> str:
    """Return the name of a category; ``InputError`` for a category without a name."""
    try:
        return categories[number]
    except KeyError:
        raise InputError(
            f"expected a name for every category to write {target}, got none for {number}: name it in the source"
        ) from None


def by_number(names: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of categories in a footer by number; keys that are not texts of numbers are skipped.

    >>> by_number({"7": "cat", "x": "dog"})
    {7: 'cat'}
    """
    return {int(number): str(name) for number, name in names.items() if re.fullmatch(r"-?[0-9]{1,18}", number)}


def names_of_all(files: Iterable[tuple[str, Mapping[int, str]]]) -> dict[int, str]:
    """Return the names of categories by number in some files; ``InputError`` if two files contradict each other.

    >>> names_of_all([("a.parquet", {1: "cat"}), ("b.parquet", {1: "cat", 2: "dog"})])
    {1: 'cat', 2: 'dog'}
    """
    found: dict[int, str] = {}
    tellers: dict[int, str] = {}
    for file, names in files:
        for number, name in names.items():
            if found.setdefault(number, name) != name:
                raise InputError(
                    f"category {number} is {found[number]!r} in {tellers[number]} and {name!r} in {file}: convert them "
                    "one by one, with the same numbers for the same names"
                )
            tellers.setdefault(number, file)
    return found


def numbered(names: Names) -> dict[int, str]:
    """Return names by number: a list counts from 0; a path is a YAML file, or a text file with a name on each line.

    Raises
    ------
    InputError
        The file can't be read or PyYAML, which a YAML file needs, is not installed.

    Examples
    --------
    >>> numbered(["cat", "dog"])
    {0: 'cat', 1: 'dog'}
    """
    if isinstance(names, (str, os.PathLike)):
        path = os.fspath(names)
        names = _yaml_names(path) if path.endswith((".yaml", ".yml")) else _lines(path)
    return dict(names) if isinstance(names, Mapping) else dict(enumerate(names))


def yaml_module() -> Any:
    """Return PyYAML; ``InputError`` if it is not installed."""
    try:
        import yaml
    except ImportError as error:
        raise InputError(
            "expected PyYAML for a data.yaml, got none: install it with pip install 'fastbox-engine[formats]'"
        ) from error
    return yaml


def load_yaml(path: str) -> dict[str, Any]:
    """Return the content of a YAML file, every scalar as text: a category called ``no`` is not a boolean."""
    yaml = yaml_module()
    text = listing.read_text(path)
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
        raise InputError(f"{path} is not YAML{where}: fix this place") from error
    if not isinstance(found, dict):
        raise InputError(
            f"expected YAML with names: and a list, or names by number, in {path}, got no object: write one of these"
        )
    return found


def _yaml_names(path: str) -> dict[int, str]:
    """Return the names of a YAML file as YOLO has them: a list, or an object of names by number."""
    names = load_yaml(path).get("names", [])
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else None
    try:
        found = {int(number): name for number, name in pairs or ()}
    except ValueError:
        pairs = None
    if pairs is None or not all(isinstance(name, str) for name in found.values()):
        raise InputError(
            f"expected a list of names, or names by number, for names in {path}, got something else: write one"
        )
    return found


def _lines(path: str) -> list[str]:
    return [line.strip() for line in listing.read_text(path).lstrip("\r\n").rstrip().split("\n")]
