"""Columns of one length that grow part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.values.groups import stable

__all__ = ["Rows"]

MANY = 1 << 15  # rows from which columns are copied side by side


class Rows:
    """A table in memory with named columns and their dtypes, to which parts are added.

    A column may have several numbers in each row, given by its dtype.

    >>> rows = Rows(score=np.float64)
    >>> rows.add(score=np.array([0.5]))
    >>> rows.add(score=np.array([0.25]))
    >>> rows["score"]
    array([0.5 , 0.25])
    """

    def __init__(self, **dtypes: Any) -> None:
        self._dtypes = dtypes
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in dtypes}
        self._room: dict[str, NDArray[Any]] = {}
        self._unordered: dict[str, tuple[list[NDArray[Any]], NDArray[np.int64]]] = {}  # columns, until asked for
        self._groups: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._distinct: dict[str, list[int]] = {}

    def reserve(self, rows: int) -> None:
        """Make room for a number of rows in all, so that the parts that are added need not be joined afterwards.

        Memory is taken as the room is filled.
        """
        if not len(self):
            self._room = {name: np.empty(rows, dtype) for name, dtype in self._dtypes.items()}

    def add(self, **columns: NDArray[Any]) -> None:
        """Add rows: all columns, of one length."""
        self._order_all()
        first = len(self)
        last = first + len(columns[next(iter(self._dtypes))])
        if any(last > len(room) for room in self._room.values()):
            self._room = {}
        if self._room:
            copies = [(self._room[name][first:last], columns[name]) for name in self._dtypes]
            if last - first > MANY:
                parallel.run(_copy, copies)
            else:
                for one in copies:
                    _copy(*one)
            self._parts = {name: [room[:last]] for name, room in self._room.items()}
        else:
            for name, dtype in self._dtypes.items():
                self._parts[name].append(columns[name].astype(np.dtype(dtype).base, copy=False))
        self._groups.clear()
        self._distinct.clear()

    def joined(self, other: Rows, **changed: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
        """Return the rows of both, columns of the other table changed by the functions that are given for them."""
        both = Rows(**self._dtypes)
        for rows in (self, other):
            if rows._parts[next(iter(self._dtypes))]:
                every = {name: rows[name] for name in self._dtypes}
                if rows is other:
                    every |= {name: change(every[name]) for name, change in changed.items() if name in every}
                both.add(**every)
        return both

    def __getitem__(self, name: str) -> NDArray[Any]:
        if (unordered := self._unordered.get(name)) is not None:
            parts, order = unordered  # both from one place: two threads that ask for the column do the same
            self._parts[name] = [np.take(_whole(parts), order, axis=0)]
            self._unordered.pop(name, None)
        parts = self._parts[name]
        return _whole(parts) if parts else np.empty(0, self._dtypes[name])

    def put(self, order: NDArray[np.int64], *names: str) -> None:
        """Put the rows in another order: these columns now, side by side, the others when they are asked for."""
        self._order_all()
        self._room = {}
        self._unordered = {name: (parts, order) for name, parts in self._parts.items() if parts}
        parallel.run(self.__getitem__, [(name,) for name in names])
        self._groups.clear()

    def _order_all(self) -> None:
        for name in [*self._unordered]:
            self.__getitem__(name)

    def of_group(self, name: str, group: int) -> NDArray[np.int64]:
        """Return the rows with one value in a column of small numbers, in their order."""
        if name not in self._groups:
            column = self[name]
            count = int(column.max()) + 1 if len(column) else 0
            ends = np.cumsum(np.bincount(column, minlength=count))
            self._groups[name] = stable(column, count), np.concatenate(([0], ends))
        order, bounds = self._groups[name]
        return order[bounds[group] : bounds[group + 1]] if group + 1 < len(bounds) else order[:0]

    def distinct(self, name: str) -> list[int]:
        """Return the numbers that a column of small numbers has, ascending."""
        if name not in self._distinct:
            column = self[name]
            there = np.zeros(int(column.max(initial=-1)) + 1, np.bool_)
            there[column] = True
            self._distinct[name] = np.flatnonzero(there).tolist()
        return self._distinct[name]

    def __len__(self) -> int:
        return sum(map(len, next(iter(self._parts.values()))))


def _copy(room: NDArray[Any], values: NDArray[Any]) -> None:
    room[:] = values


def _whole(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Return a column in one piece, and free its parts: one column at a time, memory never holds the table twice."""
    if len(parts) > 1:
        parts[:] = [np.concatenate(parts)]
    return parts[0]
