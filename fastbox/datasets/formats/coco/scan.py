"""COCO JSON from bytes to columns by kernels, window by window.

The kernels take valid JSON that has each field in its usual form. For anything else :class:`Unusual` is raised: the
file is then read by :mod:`fastbox.datasets.formats.coco.decoding`, with the same result, or an error that names the
element.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from operator import and_, or_
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.kernels.json.codes import (
    AT,
    BOX,
    CLOSED,
    END,
    FILLED,
    FULL,
    HINT,
    LEFT,
    LIMIT,
    LIMITED,
    NAME,
    ODD,
    REAL,
    REASON,
    REQUIRED,
    ROWS,
    SHORT,
    TEXT,
)
from fastbox.storage.windows import Windows

__all__ = ["Columns", "Field", "Fields", "Unusual", "elements", "fields_of_first", "members", "next_byte", "skipped"]

SPAN = 1 << 20  # bytes that one call of a kernel reads
LEAST_ELEMENT = 48  # bytes of an element; where elements are shorter, a call ends when its columns are full
MOST_LEFT = 1024  # numbers that a call leaves to float(), before it ends
MOST_SKIPPED = 64 << 20  # bytes of a value that is skipped whole
WHITE = b" \t\r\n"
KEYED = (np.dtype("float64"), "")

_BETWEEN = re.compile(rb"\}\s*,\s*\{")
_KEY = re.compile(rb'"([^"\\\x00-\x1f]*)"[ \t\r\n]*:')


R = TypeVar("R")


class Unusual(Exception):  # noqa: N818  # no error: the file is read in another way
    """JSON that the kernels don't take."""


class Field(NamedTuple):
    """A field of the elements of a list: its name, its form, and whether no element lacks it."""

    name: str
    form: int
    required: bool = False


class Fields:
    """The fields that are wanted of each element, and the columns of their values."""

    def __init__(self, *fields: Field) -> None:
        self.fields = {field.name: field for field in fields}
        self.bits = {field.name: 1 << place for place, field in enumerate(fields)}
        self.required = sum(self.bits[field.name] for field in fields if field.required)
        self.table = np.zeros((len(fields), NAME + max(len(field.name) for field in fields)), np.uint8)
        self.column: dict[str, int] = {}
        self.texts = self.wholes = sum(field.form == TEXT for field in fields)
        self.reals = texts = 0
        for row, field in zip(self.table, fields, strict=True):
            if field.form == TEXT:
                column, texts = texts, texts + 1
            elif field.form < REAL:
                column, self.wholes = self.wholes, self.wholes + 1
            else:
                column, self.reals = self.reals, self.reals + (4 if field.form == BOX else 1)
            self.column[field.name] = column
            row[:NAME] = len(field.name), field.form, column, 0
            row[NAME : NAME + len(field.name)] = list(field.name.encode())

    def without(self, name: str) -> Fields:
        """Return the fields without one."""
        return Fields(*(field for field in self.fields.values() if field.name != name))


class _Span:
    """The columns that one call of the kernel fills."""

    def __init__(self, fields: Fields) -> None:
        rows = SPAN // LEAST_ELEMENT
        self.fields, self.table = fields, fields.table.copy()  # the kernel writes in the table
        self.wholes, self.reals = np.empty((fields.wholes, rows), np.int64), np.empty((fields.reals, rows))
        self.seen = np.empty(rows, np.int64)
        self.chars = np.empty((fields.texts, 0), np.uint8)
        self.left = np.empty((MOST_LEFT, 4), np.int64)
        self.state = np.zeros(FILLED + fields.texts, np.int64)
        self.begin = -1

    def read(self, windows: Windows, begin: int, limit: int) -> None:
        """Read the elements that begin in a part of a window."""
        data = windows.data
        if self.chars.shape[1] < len(data):
            self.chars = np.empty((self.fields.texts, len(data)), np.uint8)
        self.begin, self.state[:] = begin, 0
        self.state[[AT, LIMIT, END, REQUIRED]] = begin, limit, windows.end, self.fields.required
        kernel = parallel.kernels("json.elements").ELEMENTS[KEYED]
        columns, texts = (self.wholes, self.reals), (self.chars, self.seen)
        kernel(data, self.state, self.table, columns, texts, self.left)
        for row, column, first, stop in self.left[: self.state[LEFT]].tolist():
            number = float(data[first:stop].tobytes())
            if math.isinf(number):
                self.state[REASON] = ODD
            self.reals[column, row] = number

    @property
    def rows(self) -> int:
        return int(self.state[ROWS])

    @property
    def at(self) -> int:
        return int(self.state[AT])

    @property
    def reason(self) -> int:
        return int(self.state[REASON])


class Columns:
    """The values of some elements, column by column.

    Attributes
    ----------
    rows : int
    hint : bool
        Whether the bytes "ignore" with quotes were seen outside of the wanted fields.
    """

    def __init__(self, fields: Fields, spans: Sequence[_Span]) -> None:
        self.fields = fields
        self.rows = sum(span.rows for span in spans)
        self.hint = any(span.state[HINT] for span in spans)
        self._spans = spans
        seen = [span.seen[: span.rows] for span in spans]
        self._in_some = reduce(or_, map(np.bitwise_or.reduce, seen))
        self._in_all = reduce(and_, map(np.bitwise_and.reduce, seen))

    def in_some(self, name: str) -> bool:
        """Tell whether some elements have a field, and not null."""
        return bool(self._in_some & self.fields.bits[name])

    def in_all(self, name: str) -> bool:
        """Tell whether all elements have a field, and none has null."""
        return bool(self._in_all & self.fields.bits[name])

    def given(self, name: str) -> NDArray[np.bool_]:
        """Tell which elements have a field, and not null."""
        found: NDArray[np.bool_] = self._joined(lambda span: span.seen) & self.fields.bits[name] != 0
        return found

    def numbers(self, name: str, side: int = 0) -> NDArray[Any]:
        """Return the values of a field of numbers or flags, or a side of a box; any value where no value is given."""
        column = self.fields.column[name] + side
        if self.fields.fields[name].form < REAL:
            return self._joined(lambda span: span.wholes[column])
        return self._joined(lambda span: span.reals[column])

    def texts(self, name: str) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Return the offsets and the bytes of the texts of a field; an empty text where none is given."""
        column = self.fields.column[name]
        sizes = [int(span.state[FILLED + column]) for span in self._spans]
        offsets = np.zeros(self.rows + 1, np.int32)
        row = start = 0
        for span, size in zip(self._spans, sizes, strict=True):
            offsets[row + 1 : row + 1 + span.rows] = span.wholes[column, : span.rows] + start
            row, start = row + span.rows, start + size
        parts = [span.chars[column, :size] for span, size in zip(self._spans, sizes, strict=True)]
        return offsets, np.concatenate(parts)

    def _joined(self, column: Callable[[_Span], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([column(span)[: span.rows] for span in self._spans])


def next_byte(windows: Windows) -> bytes:
    """Go to the next byte that is not white space, and return it; no bytes at the end of the file."""
    while True:
        while windows.at < windows.end:
            found = windows.data[windows.at : windows.at + 1].tobytes()
            if found not in WHITE:
                return found
            windows.at += 1
        if windows.last:
            return b""
        windows.turn()


def members(windows: Windows) -> Iterator[str]:
    """Yield the keys of the object that begins here; the caller goes behind the value before it asks for the next key.

    Raises
    ------
    Unusual
        A key is repeated or has an escape, or what follows a value is neither a comma nor the end.
    """
    known: set[str] = set()
    separator = next_byte(windows)
    while separator == b"," or not known:
        windows.at += 1
        next_byte(windows)
        found = _KEY.match(windows.data.data, windows.at, windows.end)
        while found is None and not windows.last and windows.end - windows.at < SPAN:
            windows.turn()
            found = _KEY.match(windows.data.data, windows.at, windows.end)
        if found is None:
            raise Unusual
        windows.at = found.end()
        name = found[1].decode(errors="replace")
        if name in known:
            raise Unusual
        known.add(name)
        next_byte(windows)
        yield name
        separator = next_byte(windows)
    if separator != b"}":
        raise Unusual
    windows.at += 1


def skipped(windows: Windows) -> bytes:
    """Go behind the value that begins here, and return its bytes.

    Raises
    ------
    Unusual
        The value is not JSON, or very long.
    """
    kernel = parallel.kernels("json.elements").SKIP[KEYED]
    state = np.zeros(FILLED, np.int64)
    while True:
        state[[AT, END]] = windows.at, windows.end
        kernel(windows.data, state)
        if state[REASON] == LIMITED and (state[AT] < windows.end or windows.last):
            found = windows.data[windows.at : state[AT]].tobytes()
            windows.at = int(state[AT])
            return found
        if state[REASON] == ODD or windows.last or windows.end - windows.at > MOST_SKIPPED:
            raise Unusual
        windows.turn()


def fields_of_first(windows: Windows, *candidates: Fields) -> tuple[Fields, Columns]:
    """Return the first of some fields that the element which begins here has, and the element's values.

    Raises
    ------
    Unusual
        The element has none of them.
    """
    while True:
        short = False
        for fields in candidates:
            span = _Span(fields)
            span.read(windows, windows.at, windows.at + 1)
            if span.rows and span.reason != ODD:
                return fields, Columns(fields, [span])
            short |= span.reason == SHORT
        if windows.last or not short:
            raise Unusual
        windows.turn()


def elements(windows: Windows, fields: Fields, make: Callable[[Columns], R]) -> Iterator[R]:
    """Yield what `make` returns for the elements of a list from its first one on, window by window; go behind the list.

    A window is read by several threads: each reads from a place that looks like the beginning of an element, and its
    elements count if the elements before end at that place. One thread calls `make` for the window before, whose
    columns are valid until `make` returns.

    Raises
    ------
    Unusual
        An element is invalid or unusual, or the list has no end.
    """
    spans: list[_Span] = []
    others: list[_Span] = []  # of the window before, and of the next one
    waiting: list[Columns] = []
    reason = LIMITED
    while reason != CLOSED:
        bounds = _bounds(windows)
        spans += [_Span(fields) for _ in range(len(bounds) - len(spans))]
        tasks: list[tuple[Callable[..., Any], *tuple[Any, ...]]] = [(make, columns) for columns in waiting]
        tasks += [] if windows.last else [(windows.read_ahead,)]
        tasks += [(_read, spans[0], span, windows, *bound) for span, bound in zip(spans, bounds, strict=False)]
        yield from parallel.run_calls(tasks)[: len(waiting)]
        found: list[_Span] = []
        for span, (_, limit) in zip(spans, bounds, strict=False):
            while windows.at < limit and reason in (LIMITED, FULL):
                if span.begin != windows.at:
                    span = _Span(fields)
                    span.read(windows, windows.at, limit)
                reason, windows.at = span.reason, span.at
                found.append(span)
        if reason == ODD or (reason != CLOSED and windows.last):
            raise Unusual
        waiting = [Columns(fields, found)] if any(span.rows for span in found) else []
        if reason != CLOSED:
            reason = LIMITED
            windows.turn()
            spans, others = others, spans
    yield from map(make, waiting)


def _read(first: _Span, span: _Span, windows: Windows, begin: int, limit: int) -> None:
    """Read the elements that begin in a part of a window, unless the list is known to end in the first part."""
    if span is first or first.reason != CLOSED:
        span.read(windows, begin, limit)


def _bounds(windows: Windows) -> list[tuple[int, int]]:
    """Cut a window into spans that probably begin at an element."""
    begins = [windows.at]
    for mark in range(windows.at + SPAN, windows.end - SPAN // 2, SPAN):
        found = _BETWEEN.search(windows.data.data, mark, mark + SPAN // 2)
        if found is not None:
            begins.append(found.end() - 1)
    return list(pairwise([*begins, windows.end]))
